//! Programs change only as the state table in `core::program` says.

use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::program::State;

/// The states' names, and for each where one step may lead. A step may go through several: a program that answers in
/// the middle of a shutdown is `Running` and `Stopping` in one.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("Waiting", &["Starting", "Ended"]),
    ("Starting", &["Running", "Stopping", "Survived", "Waiting", "Ended"]),
    ("Running", &["Leaderless", "Stopping", "Survived"]),
    ("Leaderless", &["Stopping", "Survived", "Ended", "Waiting"]),
    ("Stopping", &["Survived", "Ended", "Waiting"]),
    ("Survived", &["Ended", "Waiting"]),
    ("Ended", &[]),
];

impl Rules {
    pub(super) fn check_transitions(&self, core: &Core) -> Verdict {
        for (_, spec, before, after) in self.changes(core) {
            let (from, to) = (name(&before.state), name(&after.state));
            let allowed = ALLOWED.iter().find(|(state, _)| *state == from).map_or(&[][..], |(_, to)| *to);
            ensure!(from == to || allowed.contains(&to), "{} goes from {from} to {to}", spec.name);
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
            let is_new = matches!(before.state, State::Starting { .. });
            ensure!(is_new || before.exit.is_none() || before.exit == after.exit, "{} ends twice", spec.name);
            let is_restart = to == "Waiting" && before.group().is_some();
            ensure!(!is_restart || core.shutdown().is_none(), "{} is restarted at the end", spec.name);
        }
        Ok(())
    }
}

pub(super) fn name(state: &State) -> &'static str {
    match state {
        State::Waiting { .. } => "Waiting",
        State::Starting { .. } => "Starting",
        State::Running { .. } => "Running",
        State::Leaderless { .. } => "Leaderless",
        State::Stopping { .. } => "Stopping",
        State::Survived { .. } => "Survived",
        State::Ended => "Ended",
    }
}
