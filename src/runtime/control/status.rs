//! How everything is.

use super::super::Runtime;
use crate::control::protocol::{self, Status};
use crate::core::budget::Moment;
use crate::core::duration::ms;
use crate::core::plan::{self, ProgramId};
use crate::core::process::Pid;
use crate::core::program::{Fault, Hold, Program, Readiness, State, StoppedBy};
use crate::core::{Core, ReapCount};
use crate::os::members::{self, Family, Usage, Usages};
use crate::record::{Exit, Phase};
use crate::tmux;
use std::time::{Duration, SystemTime};

/// A look at everybody in /proc is good for so long: a flood of questions costs no more than this.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The last look at everybody.
#[derive(Debug)]
pub(super) struct LastLook {
    at: Moment,
    reaped: ReapCount,
    families: Vec<Family>,
    usages: Option<Usages>,
}

impl Runtime {
    /// How everything is now.
    pub(super) fn status(&mut self, now: Moment) -> Status {
        let (families, reaped) = (self.families(), self.core.reaped());
        let look = self.control.as_mut().and_then(|control| control.last_look.take());
        let is_fresh = |look: &LastLook| {
            let is_soon = now.saturating_sub(look.at) < LOOK_EVERY;
            // Nobody has come or gone, as far as runinit has heard.
            is_soon && look.reaped == reaped && look.families == families
        };
        let look = look.filter(is_fresh).unwrap_or_else(|| {
            let usages = members::usage(&self.realm, &families, &self.marks);
            LastLook { at: now, reaped, families, usages }
        });
        let status = build(&self.core, self.realm.own(), look.usages.as_ref(), now);
        if let Some(control) = &mut self.control {
            control.last_look = Some(look);
        }
        status
    }
}

fn build(core: &Core, own: Pid, usages: Option<&Usages>, now: Moment) -> Status {
    let agents = || core.programs().filter(|(_, spec, _)| spec.is_agent());
    Status {
        phase: if core.shutdown().is_some() { Phase::Stopping } else { Phase::Running },
        pid: own.number(),
        uptime_ms: ms(now),
        stopping_ms: core.shutdown().map(|shutdown| ms(now.saturating_sub(shutdown.began))),
        tmux_sessions: agents().filter(|(_, _, program)| program.is_there()).count(),
        active_agents: agents().filter(|(_, _, program)| program.leader().is_some()).count(),
        zombie_processes: usages.map_or(0, |usages| usages.zombies),
        timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        reaped: core.reaped().into(),
        programs: core
            .programs()
            .filter(|(_, spec, _)| !spec.is_server())
            .map(|(id, spec, program)| {
                let uses = usages.map(|usages| usages.programs.get(&id).copied().unwrap_or_default());
                one(core, id, spec, program, uses, now)
            })
            .collect(),
    }
}

/// What to run to see a program's terminal.
pub(super) fn attach(spec: &plan::Program) -> Option<Vec<String>> {
    let line = tmux::attach(spec.session()?);
    Some(line.iter().map(|word| word.to_string_lossy().into_owned()).collect())
}

fn one(
    core: &Core,
    id: ProgramId,
    spec: &plan::Program,
    program: &Program,
    uses: Option<Usage>,
    now: Moment,
) -> protocol::Program {
    let is_there = program.leader().is_some();
    protocol::Program {
        name: spec.name.clone(),
        kind: if spec.is_agent() { "tmux" } else { "process" }.to_owned(),
        state: state(core, id, program),
        pid: program.leader().map(Pid::number),
        uptime_ms: program.started_at.filter(|_| is_there).map(|at| ms(now.saturating_sub(at))),
        restarts: program.restarting.count,
        exit: program.exit.map(Exit::from),
        session: spec.session().map(|session| session.name.clone()),
        rss_kb: uses.map(|uses| uses.rss_kb),
        cpu_ms: uses.map(|uses| uses.cpu_ms),
        processes: uses.and_then(|uses| usize::try_from(uses.processes).ok()),
        ready: program.readiness == Readiness::Ready && program.hold == Hold::Free,
        healthy: (spec.health.is_some() || program.watchdog.is_some())
            .then_some(!matches!(program.fault, Some(Fault::Unhealthy | Fault::Silent))),
        waits_for: waits_for(core, spec, program),
        status: program.status.clone().filter(|_| is_there),
        problem: problem(core, spec, program),
        added: program.added,
    }
}

fn state(core: &Core, id: ProgramId, program: &Program) -> protocol::State {
    use protocol::State as Told;
    match program.state {
        State::Waiting { .. } if program.started_at.is_some() => Told::Restarting,
        State::Waiting { .. } | State::Starting { .. } => Told::Waiting,
        State::Running { .. } => Told::Running,
        State::Leaderless { pgid: Some(_) } | State::Stopping { .. } | State::Closing => Told::Stopping,
        State::Survived { .. } => Told::Survived,
        // Daemons may go on.
        State::Leaderless { pgid: None } | State::Ended => match program.hold {
            Hold::Stopped => Told::Stopped,
            Hold::Free | Hold::Again if core.has_ended_well(id) => Told::Exited,
            Hold::Free | Hold::Again if was_stopped(program) => Told::Stopped,
            Hold::Free | Hold::Again => Told::Failed,
        },
    }
}

/// True for one that has ended because everything ends, and not because something is wrong with it.
fn was_stopped(program: &Program) -> bool {
    let by_itself = [None, Some(StoppedBy::Itself)];
    let is_at_fault = program.fault.is_some() || program.failure.is_some() || program.restarting.is_used_up;
    !is_at_fault && !by_itself.contains(&program.stopped_by)
}

/// What a program that has not started comes after and waits for.
fn waits_for(core: &Core, spec: &plan::Program, program: &Program) -> Vec<String> {
    let is_waiting = matches!(program.state, State::Waiting { .. });
    let missing = spec
        .after
        .iter()
        .filter(|id| is_waiting && core.program(**id).is_some_and(|other| !other.is_ready_for_others()));
    missing.map(|id| core.plan().programs[*id].name.clone()).collect()
}

/// Why a program is not what it should be, in a few words.
pub(super) fn problem(core: &Core, spec: &plan::Program, program: &Program) -> Option<String> {
    if program.hold == Hold::Stopped || program.state == State::Ended && was_stopped(program) {
        return None;
    }
    let because = || program.why_failed(spec);
    match program.state {
        State::Waiting { .. } => {
            let waits_for = waits_for(core, spec, program);
            if waits_for.is_empty() {
                return because().map(|because| format!("{because}; it is started again"));
            }
            Some(format!("it waits for {}", waits_for.join(", ")))
        }
        State::Running { .. } if program.readiness != Readiness::Ready && !spec.oneshot => {
            Some("not ready yet".to_owned())
        }
        State::Running { .. } if program.asking.noes > 0 => {
            Some(format!("{} health checks failed in a row", program.asking.noes))
        }
        State::Survived { .. } => Some("still there after SIGKILL".to_owned()),
        State::Ended if program.started_at.is_none() => {
            Some(because().unwrap_or_else(|| "never started: what it comes after is missing".to_owned()))
        }
        State::Ended if program.exit.is_none() => {
            Some(because().unwrap_or_else(|| "ended; nobody knows how".to_owned()))
        }
        State::Stopping { .. } | State::Closing | State::Leaderless { .. } | State::Ended => because(),
        State::Running { .. } | State::Starting { .. } => None,
    }
}
