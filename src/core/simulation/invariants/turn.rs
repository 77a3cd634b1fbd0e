//! What a run was started after counts until it has stopped, whatever another plan says by then.

use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::action::Action;
use crate::core::plan::{self, ProgramId};
use crate::core::program::{Fate, Hold, Program, State};

impl Rules {
    pub(super) fn check_order(&mut self, core: &Core, actions: &[Action]) -> Verdict {
        let is_free = |program: &Program| program.fate == Fate::Removed && program.state == State::Ended;
        for id in (0..core.plan().programs.len()).map(ProgramId) {
            let Some(program) = core.program(id) else { continue };
            let was_free = self.before.get(id.0).is_some_and(is_free);
            if was_free && program.fate != Fate::Removed {
                self.ran_after.values_mut().for_each(|after| after.retain(|other| *other != id));
            }
            if program.started_at.is_none() && !matches!(program.state, State::Starting { .. }) {
                self.ran_after.remove(&id);
            }
            let after = &core.plan().programs[id.0].after;
            if actions.contains(&Action::Spawn(id)) {
                self.ran_after.insert(id, after.clone());
            }
            let known = self.ran_after.get(&id).unwrap_or(after);
            let said = core.stops_before(id);
            ensure!(
                said == known,
                "{} stops before {said:?}, not {known:?}",
                core.plan().programs[id.0].name
            );
        }
        Ok(())
    }
}

/// All that come after a program, directly or not, as they were started. Not those that it comes after as well, by another
/// plan.
pub(super) fn all_after(
    core: &Core,
    id: ProgramId,
) -> impl Iterator<Item = (ProgramId, &plan::Program, &Program)> {
    let found = found_after(core, id);
    let is_after = move |other| found.contains(&other) && !found_after(core, other).contains(&id);
    core.programs().filter(move |(other, ..)| is_after(*other))
}

fn found_after(core: &Core, id: ProgramId) -> Vec<ProgramId> {
    let (mut found, mut next) = (Vec::new(), 0);
    let mut before = id;
    loop {
        let all = (0..core.plan().programs.len()).map(ProgramId);
        let is_new =
            |other: &ProgramId| core.stops_before(*other).contains(&before) && !found.contains(other);
        let new: Vec<ProgramId> = all.filter(is_new).collect();
        found.extend(new);
        let Some(&further) = found.get(next) else { return found };
        (before, next) = (further, next + 1);
    }
}

/// True for a program that somebody has asked to stop, or that another plan has taken out or changed.
pub(super) fn is_to_go(program: &Program) -> bool {
    program.hold != Hold::Free || program.fate != Fate::Stays
}
