//! Whether and when a program is started again.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::plan::ProgramId;
use super::policy::Restart;
use super::program::{Fate, Hold, Readiness, State};
use super::shutdown::format_ms;
use log::Level;
use std::time::Duration;

impl Core {
    /// A leader has ended: what now? Nothing is decided once a shutdown has begun.
    pub(super) fn decide(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.stop_asking(id, out);
        if self.shutdown.is_some() {
            return;
        }
        if self.programs[id].hold != Hold::Free {
            return self.held_leader_ended(id, now, out);
        }
        if self.programs[id].fate != Fate::Stays {
            return;
        }
        let is_failure = self.is_failure(id);
        let spec = &self.plan.programs[id];
        let program = &mut self.programs[id];
        if is_failure {
            program.readiness = Readiness::NotYet { until: None };
        } else if spec.oneshot {
            program.readiness = Readiness::Ready;
        }
        let wanted = match spec.restart {
            Restart::Never => false,
            Restart::OnFailure => is_failure,
            Restart::Always => !spec.oneshot || is_failure,
        };
        if wanted && self.may_restart(id, now, out) {
            self.programs[id].restarting.planned = true;
            // Nobody comes after it before it is back.
            self.programs[id].readiness = Readiness::NotYet { until: None };
        } else {
            self.ended_for_good(id, now, out);
        }
    }

    /// False for a program that ends again and again.
    #[inline(never)]
    fn may_restart(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) -> bool {
        let backoff = self.plan.programs[id].backoff;
        let program = &mut self.programs[id];
        let recent = &mut program.restarting.recent;
        recent.retain(|at| now.saturating_sub(*at) < backoff.within);
        if recent.len() >= usize::try_from(backoff.burst).unwrap_or(usize::MAX) {
            program.restarting.is_used_up = true;
            program.readiness = Readiness::NotYet { until: None };
            let within = format_ms(backoff.within);
            let many = if backoff.burst == 1 { "restart" } else { "restarts" };
            let text = format!("failed for good: {} {many} within {within}", backoff.burst);
            self.say(Level::Error, id, &text, out);
            return false;
        }
        recent.push(now);
        if program.started_at.is_some_and(|at| now.saturating_sub(at) >= backoff.within) {
            program.restarting.doubled = 0;
        }
        true
    }

    /// Nothing of it is left, so it may wait for its turn again.
    pub(super) fn restart_if_planned(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let program = &mut self.programs[id];
        if !std::mem::take(&mut program.restarting.planned) || self.shutdown.is_some() {
            return;
        }
        let backoff = self.plan.programs[id].backoff;
        let doubled = program.restarting.doubled;
        program.restarting.doubled = doubled.saturating_add(1);
        program.restarting.is_due = true;
        let wait = backoff.first.saturating_mul(1 << doubled.min(20)).min(backoff.max);
        let wait = self.jitter(wait);
        let program = &mut self.programs[id];
        program.readiness = Readiness::NotYet { until: None };
        program.state = State::Waiting { not_before: now + wait, tries: 0 };
        if !self.end_if_it_waits_in_vain(id, now, out) {
            self.note(now, Some(id), format!("restart in {}", format_ms(wait)));
        }
    }

    /// Up to an eighth less: programs that ended together do not start together.
    fn jitter(&mut self, wait: Duration) -> Duration {
        // splitmix64 (Steele, Lea, Flood 2014)
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((mixed ^ (mixed >> 31)) >> 48).unwrap_or_default();
        wait.saturating_sub(wait / 8 * part / (1 << 16))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::event::GroupState::{Alive, Empty};
    use crate::core::event::{Event, Notice, SpawnFailure, SpawnFailureKind};
    use crate::core::plan::{OnFailure, Program};
    use crate::core::policy::Backoff;
    use crate::core::program::Fault;
    use crate::core::shutdown::Reason;
    use crate::core::signal::Signal;

    fn restarted(restart: Restart) -> Program {
        let backoff = Backoff {
            first: Duration::from_millis(800),
            max: Duration::from_millis(1600),
            burst: 3,
            within: Duration::from_mins(1),
        };
        Program { restart, backoff, ..program("p") }
    }

    /// A fleet in which somebody else goes on, so that no end is the end of everything.
    fn bench(first: Program) -> Bench {
        Bench::new(vec![first, program("other")])
    }

    #[test]
    fn one_that_was_to_come_back_and_cannot_has_failed_however_well_it_ended() {
        let on_failure = OnFailure::Shutdown;
        let again = Program { after: vec![ProgramId(1)], on_failure, ..restarted(Restart::Always) };
        let mut bench = Bench::new(vec![again, program("first"), program("other")]);
        bench.ends(0, 0, Empty);
        bench.ends(1, 1, Empty);
        assert_eq!(bench.core.shutdown().map(|s| s.reason), Some(Reason::ProgramFailed(ProgramId(0))));
    }

    #[test]
    fn only_what_the_policy_says_is_started_again() {
        for (restart, code, again) in [
            (Restart::Never, 1, 0),
            (Restart::OnFailure, 0, 0),
            (Restart::OnFailure, 1, 1),
            (Restart::Always, 0, 1),
        ] {
            let mut bench = bench(restarted(restart));
            assert_eq!(bench.starts(0), 1);
            bench.ends(0, code, Empty);
            bench.at(10_000);
            assert_eq!(bench.starts(0), again, "{restart:?} after code {code}");
        }
    }

    #[test]
    fn nobody_comes_after_it_while_something_of_its_last_run_is_there() {
        let after = Program { after: vec![crate::core::plan::ProgramId(0)], ..restarted(Restart::Always) };
        let mut bench = Bench::new(vec![restarted(Restart::Always), after]);
        bench.ends(0, 0, Alive);
        bench.ends(1, 1, Empty);
        bench.asked();
        bench.at(4_000);
        assert_eq!(bench.starts(1), 0);
    }

    #[test]
    fn each_wait_is_twice_as_long_up_to_the_longest_less_an_eighth_at_most() {
        let mut bench = bench(restarted(Restart::Always));
        for longest_ms in [800, 1600, 1600] {
            let ended = bench.now;
            bench.ends(0, 0, Empty);
            let State::Waiting { not_before, .. } = bench.program(0).state else { panic!("no restart") };
            let due = not_before.saturating_sub(ended);
            let longest = Duration::from_millis(longest_ms);
            assert!(due <= longest && due >= longest / 8 * 7, "{due:?} of {longest:?}");
            bench.at(u64::try_from((ended + due).as_millis()).unwrap() + 1);
        }
    }

    #[test]
    fn a_long_run_begins_with_the_first_wait_again() {
        let mut bench = bench(restarted(Restart::Always));
        bench.ends(0, 0, Empty);
        bench.at(70_000);
        bench.ends(0, 0, Empty);
        assert_eq!(bench.program(0).restarting.doubled, 1);
    }

    #[test]
    fn too_many_restarts_are_a_failure_for_good() {
        let mut bench = bench(Program { on_failure: OnFailure::Shutdown, ..restarted(Restart::Always) });
        for round in 0..4 {
            bench.at(round * 2000);
            bench.ends(0, 0, Empty);
        }
        assert!(matches!(bench.core.shutdown().unwrap().reason, Reason::ProgramFailed(ProgramId(0))));
        assert_eq!(bench.core.exit_code(), 1, "a code of 0 is no code for a failure");
    }

    #[test]
    fn what_made_it_fail_is_known_when_its_restarts_are_used_up() {
        let backoff = Backoff { burst: 0, ..Backoff::default() };
        let worn_out = || bench(Program { backoff, ..restarted(Restart::Always) });
        let mut bench = worn_out();
        bench.step(Event::Notified(ProgramId(0), Notice::Unwell));
        bench.ends(0, 0, Empty);
        assert_eq!(bench.program(0).fault, Some(Fault::Unhealthy));
        let why = |bench: &Bench| bench.program(0).why_failed(&bench.core.plan().programs[0]).unwrap();
        assert_eq!(why(&bench), "unhealthy; its restarts are used up");
        let mut bench = worn_out();
        bench.ends(0, 0, Empty);
        assert_eq!(why(&bench), "exited with code 0; its restarts are used up");
    }

    #[test]
    fn nothing_starts_while_anything_of_the_old_group_is_alive() {
        let mut bench = bench(restarted(Restart::Always));
        bench.ends(0, 0, Alive);
        bench.at(6_000);
        assert_eq!(bench.starts(0), 1, "only the first start");
        bench.step(crate::core::event::Event::Group(ProgramId(0), Empty));
        bench.at(8_000);
        assert_eq!(bench.starts(0), 1);
    }

    #[test]
    fn a_shutdown_ends_all_restarts() {
        let mut bench = bench(restarted(Restart::Always));
        bench.ends(0, 1, Empty);
        assert_eq!(bench.starts(0), 1);
        bench.signal(Signal::TERM);
        bench.at(9_000);
        assert_eq!(bench.starts(0), 0);
    }

    #[test]
    fn a_restart_that_cannot_start_is_a_failure_whatever_the_last_exit_was() {
        let mut bench = bench(Program { on_failure: OnFailure::Shutdown, ..restarted(Restart::Always) });
        bench.ends(0, 0, Empty);
        let State::Waiting { not_before, .. } = bench.program(0).state else { panic!("no restart") };
        bench.now = not_before;
        let mut out = Vec::new();
        bench.core.step(Event::Tick, bench.now, &mut out);
        assert!(out.contains(&Action::Spawn(ProgramId(0))));
        let failure = SpawnFailure { kind: SpawnFailureKind::NotFound, errno: 2, message: String::new() };
        bench.step(Event::Spawned(ProgramId(0), Err(failure)));
        assert_eq!(bench.core.shutdown().unwrap().reason, Reason::ProgramFailed(ProgramId(0)));
        assert_eq!(bench.core.exit_code(), 127);
    }
}
