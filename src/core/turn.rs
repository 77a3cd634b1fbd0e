//! Whose turn it is to stop.
//!
//! Whoever was started after another stops before it: in a shutdown, by hand, and where another plan stops both. What counts
//! is what a run was started after. A plan that has come since is about the next one; the one that still stops needs what it
//! has always needed.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::order::Order;
use super::plan::ProgramId;
use super::program::{Fate, Hold, Program, State};

impl Core {
    /// What its last run was started after; of one that never ran, what the plan says.
    pub fn stops_before(&self, id: ProgramId) -> &[ProgramId] {
        self.programs[id].ran_after.as_deref().unwrap_or(&self.plan.programs[id].after)
    }

    /// From now on a program comes after these; its run, or its last one, still does after what it was started after.
    pub(super) fn come_after(&mut self, id: ProgramId, after: Vec<ProgramId>) {
        let before = std::mem::replace(&mut self.plan.programs[id].after, after);
        let program = &mut self.programs[id];
        let is_run = program.started_at.is_some() || program.is_in_use();
        if is_run && before != self.plan.programs[id].after {
            program.ran_after.get_or_insert(before);
        }
    }

    /// Somebody else takes a place: nobody was started after that one.
    pub(super) fn come_after_nobody_at(&mut self, place: ProgramId) {
        for (spec, program) in self.plan.programs.iter_mut().zip(&mut self.programs) {
            if program.fate == Fate::Removed {
                spec.after.retain(|id| *id != place);
            }
            program.ran_after.iter_mut().for_each(|after| after.retain(|id| *id != place));
        }
    }

    /// Another plan has come, or a program that is in none.
    pub(super) fn order_anew(&mut self) {
        self.order = Order::new(&self.plan.programs);
        self.order_stops();
    }

    /// A run that was started after something else than its plan says has ended.
    pub(super) fn forget_what_it_ran_after(&mut self, id: ProgramId) {
        if self.programs[id].ran_after.take().is_some() {
            self.order_stops();
        }
    }

    fn order_stops(&mut self) {
        let is_different = self.programs.iter().any(|program| program.ran_after.is_some());
        self.stop_order = is_different.then(|| Order::of(self.ids().map(|id| self.stops_before(id))));
    }

    /// In which order those stop that run.
    pub(super) fn stop_order(&self) -> &Order {
        self.stop_order.as_ref().unwrap_or(&self.order)
    }

    /// True when nobody has to stop before it in a shutdown. One that is over stands before nobody, and hides nobody who comes
    /// after it.
    pub(super) fn is_its_turn(&self, id: ProgramId) -> bool {
        self.is_first(id, |core, other| !core.programs[other].is_over())
    }

    /// True for a program that is to stop, by hand or by another plan, when nobody who is to stop as well comes after it.
    pub(super) fn is_its_turn_to_go(&self, id: ProgramId) -> bool {
        self.programs[id].is_to_go() && self.is_first(id, Self::is_going)
    }

    fn is_first(&self, id: ProgramId, is_in_the_way: fn(&Self, ProgramId) -> bool) -> bool {
        let mut after = self.stop_order().all_after(id);
        !after.any(|other| is_in_the_way(self, other) && !self.come_after_each_other(id, other))
    }

    /// True as long as it has not gone: what it comes after stays so long, if that is to go as well.
    fn is_going(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        let is_there = program.is_in_use() || self.may_be_there(id);
        program.is_to_go() && is_there && !program.is_over()
    }

    /// True for two of which neither waits for the other: another plan has turned them round, and the later one has been
    /// started again already. No plan does so by itself.
    fn come_after_each_other(&self, id: ProgramId, after: ProgramId) -> bool {
        self.stop_order.as_ref().is_some_and(|order| order.all_after(after).any(|other| other == id))
    }

    /// Those whose turn to go has come stop.
    pub(super) fn stop_going(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            if !self.may_go(id) {
                continue;
            }
            match self.programs[id].state {
                State::Running { .. } => self.begin_cascade(id, now, out),
                // Of one whose leader has ended before, its daemons.
                _ => self.seek(id),
            }
        }
    }

    /// True for a program that is to go, waits for nobody, and has not been told.
    pub(super) fn may_go(&self, id: ProgramId) -> bool {
        self.programs[id].is_untold() && self.shutdown.is_none() && self.is_its_turn_to_go(id)
    }
}

impl Program {
    /// True for a program that somebody has asked to stop, or that another plan has taken out or changed.
    pub(super) fn is_to_go(&self) -> bool {
        self.hold != Hold::Free || self.fate != Fate::Stays
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, agent, program};
    use crate::core::commanding::Command;
    use crate::core::event::GroupState::Empty;
    use crate::core::plan::{Kind, Program, ProgramId};
    use crate::core::signal::Signal;
    use crate::tmux::Socket;

    const ALL: [ProgramId; 5] = [ProgramId(0), ProgramId(1), ProgramId(2), ProgramId(3), ProgramId(4)];

    fn after(name: &str, after: &[ProgramId]) -> Program {
        Program { after: after.to_vec(), ..program(name) }
    }

    fn changed(program: Program) -> Program {
        Program { success_codes: vec![0, 7], ..program }
    }

    #[test]
    fn whoever_another_plan_has_taken_out_is_waited_for_in_a_shutdown_too() {
        let mut bench = Bench::new(vec![program("keep"), program("db"), after("web", &ALL[1..2])]);
        bench.reload(vec![program("keep")]);
        assert_eq!(bench.told_to_stop(), [2]);
        bench.signal(Signal::TERM);
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(2, 0, Empty);
        assert_eq!(bench.told_to_stop(), [1]);
    }

    /// The first plan has the second program come after the first, the next one does not any more.
    fn untied() -> Bench {
        let mut bench = Bench::new(vec![program("db"), after("web", &ALL[..1])]);
        bench.reload(vec![program("db"), program("web")]);
        bench
    }

    #[test]
    fn a_run_stops_before_what_it_was_started_after_whatever_the_plan_says_now() {
        let mut bench = untied();
        assert_eq!(bench.told_to_stop(), [1]);
        bench.signal(Signal::TERM);
        assert!(bench.told_to_stop().is_empty());
        bench.ends(1, 0, Empty);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn the_next_run_stops_before_what_that_was_started_after() {
        let mut bench = untied();
        bench.ends(1, 0, Empty);
        assert_eq!(bench.starts(1), 1);
        assert!(bench.core.stop_order.is_none(), "it is the plan's again");
        bench.signal(Signal::TERM);
        assert_eq!(bench.told_to_stop(), [0, 1]);
    }

    #[test]
    fn those_that_leave_by_another_plan_and_by_hand_wait_for_each_other_in_one_order() {
        let chain = |names: [&str; 5]| -> Vec<Program> {
            let link = |place: usize| after(names[place], &ALL[place.saturating_sub(1)..place]);
            (0..5).map(link).collect()
        };
        // x <- q <- w <- v <- z
        let mut bench = Bench::new([chain(["x", "q", "w", "v", "z"]), vec![program("keep")]].concat());
        bench.ask(Command::Stop(ALL[0]));
        assert_eq!(bench.told_to_stop(), [4]);
        let [w, v, x] = [ALL[0], ALL[1], ALL[2]];
        let turned =
            vec![program("w"), after("v", &[w]), after("x", &[v]), after("z", &[v]), program("keep")];
        bench.reload(turned);
        assert!(bench.told_to_stop().is_empty(), "{x:?}");
        for place in (1..5).rev() {
            bench.ends(place, 0, Empty);
            bench.at(u64::try_from(5 - place).unwrap());
            assert_eq!(bench.told_to_stop(), [place - 1]);
        }
    }

    #[test]
    fn a_changed_program_that_is_stopped_by_hand_waits_for_those_too_that_stop_with_it() {
        let mut bench = Bench::new(vec![program("b"), after("c", &ALL[..1]), after("d", &ALL[..1])]);
        bench.reload(vec![changed(program("b")), after("d", &ALL[..1])]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ask(Command::Stop(ALL[0]));
        assert_eq!(bench.told_to_stop(), [2]);
        bench.ends(1, 0, Empty);
        assert!(bench.told_to_stop().is_empty());
        bench.ends(2, 0, Empty);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn two_that_come_after_each_other_wait_for_neither() {
        let once = |program| Program { oneshot: true, ..program };
        let mut bench = Bench::new(vec![once(program("y")), after("x", &ALL[..1]), after("w", &ALL[1..2])]);
        bench.ends(0, 0, Empty);
        bench.reload(vec![once(after("y", &ALL[2..3])), program("x"), after("w", &ALL[1..2])]);
        assert_eq!(bench.told_to_stop(), [1]);
        assert!(bench.program(0).leader().is_some());
        bench.signal(Signal::TERM);
        assert_eq!(bench.told_to_stop(), [0, 2]);
    }

    #[test]
    fn an_agent_whose_server_changes_stops_in_its_turn() {
        let server = |name: &str| {
            let kind = Kind::TmuxServer(Socket::parse(name));
            Program { kind, ready: None, ..program(name) }
        };
        let agent =
            |socket, server: ProgramId| Program { after: vec![server], ..agent("agent", "s", socket) };
        let mut bench = Bench::new(vec![server("one"), agent("one", ALL[0]), after("last", &ALL[1..2])]);
        bench.reload(vec![server("two"), agent("two", ALL[0]), changed(after("last", &ALL[1..2]))]);
        assert_eq!(bench.told_to_stop(), [2]);
        bench.ends(2, 0, Empty);
        assert_eq!(bench.told_to_stop(), [1]);
        assert_eq!(bench.program(1).fault, None);
    }
}
