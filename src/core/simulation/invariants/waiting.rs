//! Before the loop sleeps: there is something to wait for, and its end will be noticed in time.

use super::cascade::{self, KILL, may_wait_for_ever};
use super::{Checker, Verdict, all_after, ensure, is_to_go};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::cleaning::LAST_PASS_LASTS;
use crate::core::plan::{self, ProgramId};
use crate::core::policy::ReadyBy;
use crate::core::program::{Fate, Program, Readiness, State};
use crate::core::simulation::fake_kernel::FakeKernel;
use std::time::Duration;

/// Strays that are nobody's children are looked for this often, at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What has changed is in the record after this.
const RECORD_WITHIN: Duration = Duration::from_millis(100);
/// Groups without a leader are probed this often, at least.
const LONGEST_PROBE: Duration = Duration::from_secs(1);
/// What has left a group is looked for after this, at the latest.
const LONGEST_SEEK: Duration = Duration::from_millis(2);
/// No start is put off for longer.
const LONGEST_RETRY: Duration = Duration::from_secs(1);

impl Checker {
    /// `is_more`: the loop only looks in, since there is more to do already.
    pub(in crate::core::simulation) fn before_wait(
        &mut self,
        core: &Core,
        kernel: &FakeKernel,
        is_more: bool,
    ) -> Verdict {
        let now = kernel.now;
        let deadline = core.deadline();
        self.late = deadline.map_or(Duration::ZERO, |deadline| now.saturating_sub(deadline));
        self.check_spinning(core, now, deadline)?;
        if is_more || deadline.is_some_and(|at| at <= now) {
            return Ok(());
        }
        ensure!(!self.owes_record, "the record does not say that a shutdown has begun");
        self.check_record_deadline(deadline, now)?;
        check_starts_deadline(core, deadline, now)?;
        self.check_checks_deadline(core, deadline, now)?;
        for (id, _, program) in core.programs() {
            self.check_cascade(id, program, core, now)?;
        }
        self.rules.check_half_time_deadline(core, now)?;
        if core.shutdown().is_some() {
            self.check_shutdown(core, kernel, deadline)?;
        } else {
            check_held(core)?;
        }
        Ok(())
    }

    /// Rounds that wait for nothing come to an end: one for each step that is due at once, and some for starts.
    fn check_spinning(&mut self, core: &Core, now: Moment, deadline: Option<Moment>) -> Verdict {
        let is_zero = deadline.is_some_and(|at| at <= now);
        self.zero_waits = if is_zero { self.zero_waits + 1 } else { 0 };
        let steps: usize = core.programs().map(|(_, spec, _)| spec.stop.len() + 2).sum();
        ensure!(self.zero_waits <= 2 * steps + 10, "{} rounds without a wait", self.zero_waits);
        Ok(())
    }

    fn check_record_deadline(&self, deadline: Option<Moment>, now: Moment) -> Verdict {
        let Some(since) = self.unrecorded_since else { return Ok(()) };
        let is_soon = deadline.is_some_and(|at| at <= (since + RECORD_WITHIN).max(now));
        ensure!(is_soon, "what changed at {since:?} is recorded at {deadline:?}");
        Ok(())
    }

    /// A program that is not ready or not well is found out in time.
    fn check_checks_deadline(&self, core: &Core, deadline: Option<Moment>, now: Moment) -> Verdict {
        for (id, spec, program) in core.programs() {
            let (State::Running { .. }, Some(started)) = (&program.state, program.started_at) else {
                continue;
            };
            if core.shutdown().is_some() || program.fate != Fate::Stays {
                continue;
            }
            let is_by = |due: Moment| deadline.is_some_and(|at| at <= due);
            if let (Some(ready), Readiness::NotYet { .. }) = (&spec.ready, program.readiness) {
                let longest = match ready.by {
                    ReadyBy::Delay(delay) => delay,
                    _ => ready.timeout,
                };
                let asked = self.rules.extended.get(&id).copied().unwrap_or_default();
                let due = (started + longest).max(asked);
                ensure!(is_by(due), "{} is not ready at {due:?}, nobody cares", spec.name);
            }
            if let (Some(health), Readiness::Ready) = (&spec.health, program.readiness) {
                let due = now + health.every.max(health.timeout);
                ensure!(is_by(due), "nobody asks how {} is", spec.name);
            }
        }
        Ok(())
    }

    /// A step ends, and no later than it says.
    fn check_cascade(&self, id: ProgramId, program: &Program, core: &Core, now: Moment) -> Verdict {
        let State::Stopping { cascade, .. } = program.state else { return Ok(()) };
        let spec = &core.plan().programs[id.0];
        let is_probed = core.deadline().is_some_and(|at| at <= now + LONGEST_PROBE);
        ensure!(is_probed || program.leader().is_some(), "nobody will know when {} has ended", spec.name);
        let Some(until) = cascade.until else {
            let may = may_wait_for_ever(core, spec, program);
            ensure!(may, "{} waits for ever after {:?}", spec.name, program.taken);
            return Ok(());
        };
        ensure!(until > now, "{}: a step was over at {until:?}", spec.name);
        let places = cascade::steps(spec, &program.taken).unwrap_or_default();
        if let (Some(taken), Some(step)) = (program.taken.last(), places.last()) {
            let own = taken.at.saturating_add(step.wait);
            let asked = self.rules.extended.get(&id).copied().unwrap_or_default();
            // A SIGTERM in place of the steps that were for a leader begins while the time goes on that the leader asked for.
            let longest = own.max(asked.saturating_add(step.wait));
            ensure!(until <= longest, "{}: {} waits until {until:?}", spec.name, taken.what);
        }
        let is_late = core.shutdown().is_some() && self.kill_at(core).is_some_and(|at| at <= now);
        let is_killed = program.taken.last().is_some_and(|taken| taken.what == KILL);
        ensure!(!is_late || is_killed, "{} should be killed by now", spec.name);
        Ok(())
    }

    fn check_shutdown(&self, core: &Core, kernel: &FakeKernel, deadline: Option<Moment>) -> Verdict {
        let ends_at = self.ends_at(core);
        ensure!(
            ends_at.is_none() || deadline.is_some_and(|at| Some(at) <= ends_at),
            "it sleeps until {deadline:?}, beyond the end at {ends_at:?}"
        );
        check_turns(core, kernel.now)?;
        let leaders =
            core.programs().filter(|(_, _, program)| program.leader().is_some() && !program.is_over());
        let is_starting =
            |(_, _, program): (ProgramId, _, &Program)| matches!(program.state, State::Starting { .. });
        let may_sweep = leaders.count() == 0 && !core.programs().any(is_starting);
        let is_cleaning = core.plan().hygiene.is_some() && core.shutdown().is_some_and(|s| s.sweep.is_none());
        let longest = if is_cleaning { LAST_PASS_LASTS } else { LOOK_EVERY };
        let is_soon = deadline.is_some_and(|at| at <= kernel.now + longest);
        ensure!(!may_sweep || is_soon, "the next look is at {deadline:?}");
        let is_anybody_left = kernel.ours().next().is_some();
        // Somebody whom others reaped may have been the last; the next look will tell.
        let is_unseen = kernel.machine.is_init && is_soon;
        let is_asked = core.programs().any(|(_, _, program)| program.call.is_some());
        ensure!(is_anybody_left || is_unseen || is_asked, "nobody is left, and it waits");
        Ok(())
    }
}

fn check_starts_deadline(core: &Core, deadline: Option<Moment>, now: Moment) -> Verdict {
    if core.shutdown().is_some() {
        return Ok(());
    }
    let is_ready = |id: &ProgramId| core.program(*id).is_some_and(Program::is_ready_for_others);
    for (id, spec, program) in core.programs() {
        let is_lost = |id: &ProgramId| core.program(*id).is_some_and(Program::is_lost);
        let is_waiting = matches!(program.state, State::Waiting { .. });
        ensure!(!is_waiting || !spec.after.iter().any(is_lost), "{} waits for what is lost", spec.name);
        let is_ready = spec.after.iter().all(is_ready) && is_nobody_coming_back_before(core, id);
        // Somebody who leaves by a reload is in its tmux session.
        let is_in_the_way = |(other, known, state): (ProgramId, &plan::Program, &Program)| {
            other != id && known.is_in_session_of(spec) && state.is_in_use() && !state.is_over()
        };
        let is_free = !spec.is_agent() || !core.programs().any(is_in_the_way);
        if is_waiting && is_ready && is_free {
            let longest = LONGEST_RETRY.max(spec.backoff.max);
            let is_soon = deadline.is_some_and(|at| at <= now + longest);
            ensure!(is_soon, "{} waits for its start until {deadline:?}", spec.name);
        }
    }
    Ok(())
}

/// False where what has ended well in between came after somebody who is just coming back.
fn is_nobody_coming_back_before(core: &Core, id: ProgramId) -> bool {
    let before = |id: ProgramId| core.plan().programs[id.0].after.clone();
    let (mut all, mut next) = (before(id), 0);
    while let Some(&other) = all.get(next) {
        next += 1;
        let Some(program) = core.program(other) else { continue };
        let is_ready = program.is_ready_for_others();
        let is_missing = |id: &ProgramId| core.program(*id).is_some_and(|p| !p.is_ready_for_others());
        let waits = matches!(program.state, State::Waiting { .. }) && before(other).iter().any(is_missing);
        if waits || is_ready && program.state == State::Ended {
            all.extend(before(other).into_iter().filter(|id| !all.contains(id)).collect::<Vec<_>>());
        } else if !is_ready && program.is_coming() {
            return false;
        }
    }
    true
}

/// Who is to go is being stopped, or somebody else has to go first.
fn check_held(core: &Core) -> Verdict {
    for (id, spec, program) in core.programs() {
        let is_to_stop = matches!(program.state, State::Running { .. }) && is_to_go(program);
        let is_there = |other: &Program| is_to_go(other) && other.is_in_use() && !other.is_over();
        let is_waited_for = all_after(core, id).any(|(_, _, other)| is_there(other));
        ensure!(!is_to_stop || is_waited_for, "{} is to stop, and nothing is before it", spec.name);
    }
    Ok(())
}

/// Everybody is being stopped, or somebody else has to go first.
fn check_turns(core: &Core, now: Moment) -> Verdict {
    for (id, spec, program) in core.programs() {
        if !matches!(program.state, State::Running { .. } | State::Leaderless { .. }) {
            ensure!(!matches!(program.state, State::Waiting { .. }), "{} still waits", spec.name);
            continue;
        }
        if program.is_sought {
            // It will be known soon whether anything of it is left.
            ensure!(
                core.deadline() <= Some(now + LONGEST_SEEK),
                "nobody looks for what {} has left",
                spec.name
            );
            continue;
        }
        let is_waited_for = all_after(core, id).any(|(_, _, dependent)| !dependent.is_over());
        ensure!(is_waited_for, "{} is not stopped, and nothing is before it", spec.name);
    }
    Ok(())
}
