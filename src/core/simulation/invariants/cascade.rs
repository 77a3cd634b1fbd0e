//! Cascades only escalate: their steps in order, none twice, nothing after SIGKILL; and each waits as long as written,
//! unless there is a reason not to.

use super::{Rules, Verdict, ensure, is_forever};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::plan::{Program, Step, StepAction};
use crate::core::program::{self, State, StoppedBy, Taken};
use crate::core::signal::Signal;
use crate::core::simulation::scenario::is_for_leader;
use std::time::Duration;

/// The wait of a SIGKILL that nobody wrote down.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// SIGKILL.
pub(super) const KILL: StoppedBy = StoppedBy::Signal(Signal::KILL);

impl Rules {
    pub(super) fn check_cascades(&self, core: &Core, now: Moment) -> Verdict {
        for (_, spec, before, after) in self.changes(core) {
            // A new life begins without steps.
            let none = Vec::new();
            let is_new = matches!(before.state, State::Starting { .. }) && after.group().is_some();
            let old = if is_new { &none } else { &before.taken };
            check_growth(spec, old, after)?;
            check_times(spec, after, now)?;
            let Some(steps) = steps(spec, &after.taken) else {
                return Err(format!("{}: steps out of order: {:?}", spec.name, after.taken));
            };
            let killed = after.taken.iter().position(|taken| taken.what == KILL);
            let is_last = killed.is_none_or(|place| place + 1 == after.taken.len());
            ensure!(is_last, "{}: a step after SIGKILL", spec.name);
            let new = old.len().max(1)..after.taken.len();
            for next in new {
                self.check_wait(core, spec, steps[next - 1], &after.taken[next - 1..=next])?;
            }
            check_survival(spec, before, after)?;
        }
        Ok(())
    }

    /// The wait before a step that was taken just now.
    fn check_wait(&self, core: &Core, spec: &Program, step: Option<usize>, pair: &[Taken]) -> Verdict {
        let [previous, next] = pair else { return Ok(()) };
        let is_now = core.shutdown().is_some_and(|shutdown| shutdown.now);
        // Its command may have failed, its input may be closed, and what is left of the group understands neither.
        let may_be_short = matches!(previous.what, StoppedBy::Run | StoppedBy::Stdin);
        if is_now || may_be_short || !self.has_time {
            return Ok(());
        }
        let own = wait(spec, step);
        let waited = next.at.saturating_sub(previous.at);
        ensure!(
            waited >= own,
            "{}: {} after {waited:?}, not {own:?} after {}",
            spec.name,
            next.what,
            previous.what
        );
        Ok(())
    }
}

/// What was done stays done.
fn check_growth(spec: &Program, before: &[Taken], after: &program::Program) -> Verdict {
    let is_kept = before.len() <= after.taken.len()
        && before.iter().zip(&after.taken).all(|(b, a)| b.what == a.what && b.at == a.at);
    ensure!(is_kept, "{}: steps are forgotten: {before:?}", spec.name);
    ensure!(after.taken.len() <= spec.stop.len() + 1, "{}: more steps than written", spec.name);
    let is_alive = matches!(after.state, State::Running { .. } | State::Leaderless { .. });
    ensure!(!is_alive || after.taken.is_empty(), "{}: a step before its time", spec.name);
    Ok(())
}

fn check_times(spec: &Program, after: &program::Program, now: Moment) -> Verdict {
    for pair in after.taken.windows(2) {
        ensure!(pair[0].until.is_some(), "{}: a step goes on after the next", spec.name);
        ensure!(pair[0].at <= pair[1].at, "{}: steps against the clock", spec.name);
    }
    let is_in_time = after.taken.iter().all(|taken| taken.at <= now && taken.until <= Some(now));
    ensure!(is_in_time, "{}: a step in the future", spec.name);
    Ok(())
}

/// Nobody is given up who was not killed.
fn check_survival(spec: &Program, before: &program::Program, after: &program::Program) -> Verdict {
    let survived = |program: &program::Program| matches!(program.state, State::Survived { .. });
    if survived(after) && !survived(before) {
        let is_killed = after.taken.last().is_some_and(|taken| taken.what == KILL);
        ensure!(is_killed, "{}: given up without SIGKILL", spec.name);
    }
    Ok(())
}

/// For each step that was taken, its place in the plan (`None`: a SIGKILL that nobody wrote); `None` if they do not
/// follow each other there.
pub(super) fn steps(spec: &Program, taken: &[Taken]) -> Option<Vec<Option<usize>>> {
    let mut from = 0;
    let mut places = Vec::new();
    for taken in taken {
        let found = (from..spec.stop.len()).find(|&place| is_of(taken.what, &spec.stop[place]));
        if found.is_none() && taken.what != KILL {
            return None;
        }
        from = found.map_or(spec.stop.len(), |place| place + 1);
        places.push(found);
    }
    Some(places)
}

fn is_of(what: StoppedBy, step: &Step) -> bool {
    match (&step.action, what) {
        (StepAction::Run(_), StoppedBy::Run) | (StepAction::Stdin(_), StoppedBy::Stdin) => true,
        (StepAction::Received, StoppedBy::Signal(sent)) => sent != Signal::KILL,
        (StepAction::Signal(written), StoppedBy::Signal(sent)) => *written == sent,
        _ => false,
    }
}

/// How long a step waits by itself.
pub(super) fn wait(spec: &Program, step: Option<usize>) -> Duration {
    step.and_then(|step| spec.stop.get(step)).map_or(KILL_WAIT, |step| step.wait)
}

/// True if a cascade may wait for ever where it is: nothing more is written, and nothing is to be killed.
pub(super) fn may_wait_for_ever(core: &Core, spec: &Program, program: &program::Program) -> bool {
    let Some(places) = steps(spec, &program.taken) else { return false };
    let from = places.last().map_or(0, |place| place.map_or(spec.stop.len(), |place| place + 1));
    let is_killed = program.taken.last().is_some_and(|taken| taken.what == KILL);
    // Without a leader nobody is left who would understand a command or a text.
    let is_useless = |step: &Step| program.leader().is_none() && is_for_leader(step);
    is_forever(core) && !is_killed && spec.stop[from..].iter().all(is_useless)
}
