//! Programs change only as the state table in `core::program` says.

use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::event::Event;
use crate::core::program::{Program, State};

/// The states' names, and for each where one step may lead. A step may go through several: a program that answers in
/// the middle of a shutdown is `Running` and `Stopping` in one.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("Waiting", &["Starting", "Ended"]),
    ("Starting", &["Running", "Stopping", "Survived", "Waiting", "Ended"]),
    ("Running", &["Leaderless", "Stopping", "Survived"]),
    ("Leaderless", &["Stopping", "Survived", "Closing", "Ended", "Waiting"]),
    ("Stopping", &["Survived", "Closing", "Ended", "Waiting"]),
    ("Survived", &["Closing", "Ended", "Waiting"]),
    ("Closing", &["Ended", "Waiting", "Starting"]),
    // Another plan puts a new program in its place.
    ("Ended", &["Waiting"]),
];

impl Rules {
    pub(super) fn check_transitions(&self, event: &Event, core: &Core) -> Verdict {
        for (_, spec, before, after) in self.changes(core) {
            let (from, to) = (name(&before.state), name(&after.state));
            let allowed = ALLOWED.iter().find(|(state, _)| *state == from).map_or(&[][..], |(_, to)| *to);
            let is_by_hand = (from, to) == ("Ended", "Waiting") && matches!(event, Event::Asked(_));
            ensure!(
                from == to || allowed.contains(&to) || is_by_hand,
                "{} goes from {from} to {to}",
                spec.name
            );
            ensure!(
                before.group().is_none() || after.group().is_none() || before.group() == after.group(),
                "{} changes its group",
                spec.name
            );
            let leader = after.leader();
            ensure!(
                before.group().is_none() || leader.is_none() || leader == before.leader(),
                "{} gets another leader",
                spec.name
            );
            let is_new = matches!(before.state, State::Starting { .. } | State::Closing) || is_another(after);
            ensure!(is_new || before.exit.is_none() || before.exit == after.exit, "{} ends twice", spec.name);
            let is_restart = to == "Waiting" && (before.group().is_some() || from == "Closing");
            ensure!(!is_restart || core.shutdown().is_none(), "{} is restarted at the end", spec.name);
        }
        Ok(())
    }
}

/// True for a program that another plan has just put in the place of an old one. It has ended already if somebody had stopped
/// that, or if it waits for what will not come.
pub(super) fn is_another(program: &Program) -> bool {
    let is_new = matches!(program.state, State::Waiting { .. } | State::Starting { .. } | State::Ended);
    is_new && program.pid.is_none()
}

pub(super) fn name(state: &State) -> &'static str {
    match state {
        State::Waiting { .. } => "Waiting",
        State::Starting { .. } => "Starting",
        State::Running { .. } => "Running",
        State::Leaderless { .. } => "Leaderless",
        State::Stopping { .. } => "Stopping",
        State::Survived { .. } => "Survived",
        State::Closing => "Closing",
        State::Ended => "Ended",
    }
}
