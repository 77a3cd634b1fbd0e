//! What somebody waits for, and whether it has come true.

use crate::control::protocol::{self, Message};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::plan::{self, ProgramId};
use crate::core::program::{Fate, Hold, Program, Readiness, State};

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// This program to have stopped.
    Stopped(ProgramId, String),
    /// This program to be ready, after a start since then; it had been restarted so often.
    Started(ProgramId, String, Moment, u32),
    /// This program, which is to be forgotten, to be gone.
    Gone(ProgramId, String),
    /// Everything that has changed to be stopped; and what was said about it.
    Reloaded(String),
}

/// What it has come to, for people.
pub(super) type Outcome = Result<String, String>;

/// The answer.
pub(super) fn line(outcome: &Outcome) -> String {
    match outcome {
        Ok(message) => protocol::answer(&Message { message: message.clone() }),
        Err(why) => protocol::refusal(why),
    }
}

impl Wait {
    /// `None`: it has to be waited for.
    pub(super) fn outcome(&self, core: &Core) -> Option<Outcome> {
        match self {
            Self::Reloaded(text) => {
                let is_settled = core.programs().all(|(_, _, program)| program.fate == Fate::Stays);
                (is_settled || core.shutdown().is_some()).then(|| Ok(text.clone()))
            }
            Self::Gone(id, name) => match find(core, *id, name) {
                Some((_, Program { state: State::Survived { .. }, .. })) => Some(Err(survived(name))),
                Some(_) => None,
                None => Some(Ok(format!("{name}: removed"))),
            },
            Self::Stopped(id, name) => match find(core, *id, name) {
                Some((_, program)) => stopped(name, program),
                None => Some(Ok(format!("{name}: stopped, and no longer there"))),
            },
            Self::Started(id, name, since, restarts) => match find(core, *id, name) {
                Some((spec, program)) => started(core, spec, program, *since, *restarts),
                None => Some(Err(format!("{name}: it is no longer there"))),
            },
        }
    }
}

/// The place may be another program's by now.
fn find<'a>(core: &'a Core, id: ProgramId, name: &str) -> Option<(&'a plan::Program, &'a Program)> {
    let mut programs = core.programs();
    let (_, spec, program) = programs.find(|(known, spec, _)| *known == id && spec.name == name)?;
    Some((spec, program))
}

fn survived(name: &str) -> String {
    format!("{name}: it is still there after SIGKILL")
}

fn stopped(name: &str, program: &Program) -> Option<Outcome> {
    match (&program.state, program.hold) {
        (State::Ended, _) => Some(Ok(match program.how_it_stopped() {
            Some((_, how)) => format!("{name}: stopped: {how}"),
            None => format!("{name}: stopped"),
        })),
        (State::Survived { .. }, _) => Some(Err(survived(name))),
        (State::Waiting { .. } | State::Running { .. }, Hold::Free) => {
            Some(Err(format!("{name}: somebody has started it again")))
        }
        _ => None,
    }
}

fn started(
    core: &Core,
    spec: &plan::Program,
    program: &Program,
    since: Moment,
    restarts: u32,
) -> Option<Outcome> {
    let name = &spec.name;
    let is_new = program.started_at.is_some_and(|at| at >= since) && program.hold == Hold::Free;
    let why = match (&program.state, program.readiness) {
        (State::Running { leader, .. }, Readiness::Ready) if is_new => {
            let ready = if spec.ready.is_some() { " and ready" } else { "" };
            return Some(Ok(format!("{name}: started{ready}, pid {leader}")));
        }
        (State::Ended | State::Leaderless { pgid: None }, Readiness::Ready) if is_new => {
            return Some(Ok(format!("{name}: done")));
        }
        (State::Ended, _) => super::status::problem(core, spec, program),
        // Its daemons go on, and it will not.
        (State::Leaderless { pgid: None }, _) if is_new && !program.restarting.planned => {
            super::status::problem(core, spec, program)
        }
        (State::Waiting { .. }, _) if program.restarting.count > restarts => {
            super::status::problem(core, spec, program)
        }
        (State::Stopping { .. } | State::Survived { .. }, _)
            if program.fault.is_some() || program.restarting.is_used_up =>
        {
            super::status::problem(core, spec, program)
        }
        _ if core.shutdown().is_some() => Some("runinit is stopping".to_owned()),
        _ => return None,
    };
    Some(Err(format!("{name}: {}", why.unwrap_or_else(|| "it was not started".to_owned()))))
}
