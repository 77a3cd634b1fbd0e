//! Those who are late are looked for once in a shutdown, not before half of its budget, and not when it has no end.

use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;

impl Rules {
    pub(super) fn check_half_time(&mut self, core: &Core, now: Moment, actions: &[Action]) -> Verdict {
        for _ in actions.iter().filter(|action| **action == Action::LookForLate) {
            ensure!(!self.is_past_half, "those who are late are looked for twice");
            self.is_past_half = true;
            let half = half_time(core).filter(|half| *half <= now);
            ensure!(half.is_some(), "those who are late are looked for too early, at {now:?}");
        }
        Ok(())
    }

    /// Before the loop sleeps.
    pub(super) fn check_half_time_deadline(&self, core: &Core, now: Moment) -> Verdict {
        let half = half_time(core).filter(|half| *half > now && !self.is_past_half);
        let is_now = core.shutdown().is_some_and(|shutdown| shutdown.now);
        let is_awaited = half.is_none() || core.deadline().is_some_and(|at| Some(at) <= half);
        ensure!(is_awaited || is_now, "nobody will look at {half:?} who is late");
        Ok(())
    }
}

fn half_time(core: &Core) -> Option<Moment> {
    Some(core.shutdown()?.began + core.plan().budget.length()? / 2)
}
