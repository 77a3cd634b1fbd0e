//! Another plan in the middle of a run.
//!
//! A program that is in both and has not changed is not touched. One that has changed stops by its old cascade and starts
//! anew; one that is gone stops; a new one starts in its turn. Nothing is taken over once a shutdown has begun.
//!
//! Places in the list stay what they are while anybody may still speak of them: what is gone leaves its place, and a new
//! program takes one that is free or the next.

use super::action::Action;
use super::budget::Moment;
use super::order::Order;
use super::plan::{self, Plan, ProgramId};
use super::program::{Fate, Program, State};
use super::{Core, complete};
use log::Level;

impl Core {
    pub(super) fn on_reload(&mut self, plan: Plan, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() {
            return;
        }
        let Plan { programs: mut specs, budget, rewrite, single_child, reload_on, .. } = complete(plan);
        let places = self.places(&specs);
        for spec in &mut specs {
            spec.after = spec.after.iter().map(|dependency| places[dependency.0]).collect();
        }
        let gone: Vec<ProgramId> =
            self.ids().filter(|id| !places.contains(id) && !self.is_removed(*id)).collect();
        let mut counts = [0; 3];
        for (&place, spec) in places.iter().zip(specs) {
            counts[self.take_in(place, spec, now, out) as usize] += 1;
        }
        (self.plan.budget, self.plan.rewrite, self.plan.single_child) = (budget, rewrite, single_child);
        self.plan.reload_on = reload_on;
        self.order = Order::new(&self.plan.programs);
        for id in &gone {
            self.remove(*id, now, out);
        }
        let [same, changed, new] = counts;
        let text = format!("read again: {same} the same, {changed} changed, {new} new, {} gone", gone.len());
        self.note(now, None, text.clone());
        out.push(Action::Say(Level::Info, text));
        self.record_soon(now);
    }

    /// Where each program of another plan goes: to the one of its name, else to a free place, else to the end.
    fn places(&self, specs: &[plan::Program]) -> Vec<ProgramId> {
        let named = |name: &str| self.ids().find(|id| self.name(*id) == name && !self.is_free(*id));
        let known: Vec<Option<ProgramId>> = specs.iter().map(|spec| named(&spec.name)).collect();
        let free = self.ids().filter(|id| self.is_free(*id) && !self.timeline.mentions(*id));
        let mut unused = free.chain((self.programs.len()..).map(ProgramId));
        known.into_iter().map(|place| place.or_else(|| unused.next()).unwrap_or(ProgramId(0))).collect()
    }

    fn is_removed(&self, id: ProgramId) -> bool {
        self.programs[id.0].fate == Fate::Removed
    }

    fn is_free(&self, id: ProgramId) -> bool {
        self.is_removed(id) && self.programs[id.0].state == State::Ended
    }

    fn take_in(&mut self, id: ProgramId, spec: plan::Program, now: Moment, out: &mut Vec<Action>) -> Change {
        if id.0 == self.programs.len() {
            self.plan.programs.push(spec);
            self.programs.push(Program::new());
            return Change::New;
        }
        if self.is_free(id) {
            self.install(id, spec);
            return Change::New;
        }
        if self.plan.programs[id.0] == spec && self.programs[id.0].fate == Fate::Stays {
            return Change::None;
        }
        // The order is the new plan's at once; everything else when the old program is gone.
        self.plan.programs[id.0].after.clone_from(&spec.after);
        self.note(now, Some(id), "changed");
        if self.programs[id.0].group().is_none() {
            self.install(id, spec);
        } else {
            self.programs[id.0].fate = Fate::Replaced(Box::new(spec));
            self.stop_for_reload(id, now, out);
        }
        Change::Changed
    }

    fn remove(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.programs[id.0].fate = Fate::Removed;
        // Nobody comes after it any more, nor it after anybody.
        self.plan.programs[id.0].after.clear();
        self.note(now, Some(id), "removed");
        if self.programs[id.0].group().is_none() {
            self.give_up(id);
        } else {
            self.stop_for_reload(id, now, out);
        }
    }

    fn stop_for_reload(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        if matches!(self.programs[id.0].state, State::Running { .. }) {
            self.begin_cascade(id, now, out);
        }
    }

    /// Puts a new program in a place that nothing of the old one uses.
    fn install(&mut self, id: ProgramId, spec: plan::Program) {
        self.plan.programs[id.0] = spec;
        self.programs[id.0] = Program::new();
    }

    /// Nothing of a program is left; its successor takes its place. False for one that stays what it is.
    pub(super) fn succeed(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) -> bool {
        match std::mem::replace(&mut self.programs[id.0].fate, Fate::Stays) {
            Fate::Stays => return false,
            Fate::Removed => {
                self.programs[id.0].fate = Fate::Removed;
                self.end_if_nobody_is_left(now, out);
            }
            Fate::Replaced(spec) if self.shutdown.is_none() => self.install(id, *spec),
            Fate::Replaced(_) => {}
        }
        true
    }
}

/// What another plan is to a program.
#[derive(Clone, Copy)]
enum Change {
    None,
    Changed,
    New,
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::action::Target;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, GroupState};
    use crate::core::signal::Signal;
    use std::time::Duration;

    fn reload(bench: &mut Bench, programs: Vec<plan::Program>) {
        bench.asked();
        let plan = Plan::new(programs, Budget::Within(Duration::from_secs(9)));
        bench.step(Event::Reloaded(Box::new(plan)));
        bench.step(Event::Tick);
    }

    fn changed(name: &str) -> plan::Program {
        plan::Program { success_codes: vec![0, 7], ..program(name) }
    }

    fn told_to_stop(bench: &mut Bench) -> Vec<usize> {
        let term = |action: Action| match action {
            Action::Signal(id, Target::Group(_), Signal::TERM) => Some(id.0),
            _ => None,
        };
        bench.asked().into_iter().filter_map(term).collect()
    }

    #[test]
    fn what_has_not_changed_is_not_touched() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        let before = bench.program(0).leader();
        reload(&mut bench, vec![program("b"), program("a")]);
        assert_eq!(bench.asked(), []);
        assert_eq!(bench.program(0).leader(), before);
    }

    #[test]
    fn what_has_changed_stops_and_starts_anew() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        reload(&mut bench, vec![changed("a"), program("b")]);
        assert_eq!(told_to_stop(&mut bench), [0]);
        bench.ends(0, 7, GroupState::Empty);
        assert_eq!(bench.starts(0), 1);
        assert_eq!(bench.core.plan().programs[0].success_codes, [0, 7]);
    }

    #[test]
    fn what_is_gone_stops_and_is_not_listed_any_more() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        reload(&mut bench, vec![program("b")]);
        assert_eq!(told_to_stop(&mut bench), [0]);
        assert_eq!(bench.core.programs().count(), 2);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.core.programs().map(|(_, spec, _)| spec.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(bench.core.shutdown().is_none());
    }

    #[test]
    fn what_is_new_starts_in_its_turn() {
        let mut bench = Bench::new(vec![program("a")]);
        let second = plan::Program { after: vec![ProgramId(1)], ..program("c") };
        let first = plan::Program { oneshot: true, ..program("b") };
        reload(&mut bench, vec![program("a"), first, second]);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(1))]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(2))]);
    }

    #[test]
    fn a_changed_main_program_does_not_end_the_fleet() {
        let main = |program: plan::Program| plan::Program { main: true, ..program };
        let mut bench = Bench::new(vec![main(program("a"))]);
        reload(&mut bench, vec![main(changed("a"))]);
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.shutdown().is_none());
        assert_eq!(bench.starts(0), 1);
    }

    #[test]
    fn a_reload_in_the_middle_of_a_stop_is_nothing() {
        let mut bench = Bench::new(vec![program("a")]);
        bench.signal(Signal::TERM);
        reload(&mut bench, vec![changed("a"), program("b")]);
        assert_eq!(bench.asked(), []);
        assert_eq!(bench.core.programs().count(), 1);
    }

    #[test]
    fn a_stop_in_the_middle_of_a_reload_starts_nothing() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        reload(&mut bench, vec![changed("a"), program("b")]);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, GroupState::Empty);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.starts(0), 0);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn places_do_not_grow_without_a_limit() {
        let mut bench = Bench::new(vec![program("a"), program("0")]);
        for n in 1..3000u64 {
            reload(&mut bench, vec![program("a"), program(&n.to_string())]);
            let old = bench.core.ids().find(|id| {
                bench.program(id.0).fate == Fate::Removed && bench.program(id.0).leader().is_some()
            });
            bench.ends(old.unwrap().0, 0, GroupState::Empty);
            bench.at(n * 10);
        }
        assert!(bench.core.programs.len() < 1002, "{} places", bench.core.programs.len());
    }
}
