//! Another plan in the middle of a run.
//!
//! A program that is in both and has not changed is not touched. One that has changed stops by its old cascade and starts
//! anew; one that is gone stops; a new one starts in its turn. What was given up without one that has changed waits again.
//! Nothing is taken over once a shutdown has begun.
//!
//! Places in the list stay what they are while anybody may still speak of them: what is gone leaves its place, and a new
//! program takes one that is free or the next.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::plan::{self, Plan, ProgramId};
use super::program::{Fate, Hold, Program, State};
use super::timeline;
use log::Level;

impl Core {
    /// Why another plan cannot be taken over, for people; `None`: it can.
    ///
    /// What was added outlives a reload, and nobody else may be in its tmux session.
    pub fn objection_to_plan(&self, plan: &Plan) -> Option<String> {
        let is_added = |spec: &plan::Program, program: &Program| {
            let is_to_stay = program.added && program.fate != Fate::Removed;
            is_to_stay && !plan.programs.iter().any(|new| new.name == spec.name)
        };
        let mut added = self.programs().filter(|(_, spec, program)| is_added(spec, program));
        let clash = |spec| plan.programs.iter().find(|new: &&plan::Program| new.is_in_session_of(spec));
        added.find_map(|(_, spec, _)| {
            let new = &clash(spec)?.name;
            let added = &spec.name;
            Some(format!(
                "{new} cannot be in the tmux session of {added}, which was added; remove that first"
            ))
        })
    }

    #[inline(never)]
    pub(super) fn on_reload(&mut self, plan: Plan, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() {
            return;
        }
        let Plan { programs: mut specs, budget, rewrite, single_child, reload_on, tmux, hygiene, .. } = plan;
        let places = self.places(&specs);
        for spec in &mut specs {
            spec.after = spec.after.iter().map(|dependency| places[dependency.0]).collect();
        }
        let is_to_stay = |id: ProgramId| self.programs[id].added || self.serves_what_was_added(id);
        let is_gone = |id: &ProgramId| !places.contains(id) && !self.is_removed(*id) && !is_to_stay(*id);
        let gone: Vec<ProgramId> = self.ids().filter(is_gone).collect();
        let mut counts = [0; 3];
        for (&place, spec) in places.iter().zip(specs) {
            // A server is nobody's program.
            let counted = u32::from(!spec.is_server());
            counts[self.take_in(place, spec, now, out) as usize] += counted;
            // The file knows it now.
            self.programs[place].added = false;
        }
        // What was added comes after nobody who is gone.
        for id in self.ids() {
            if !self.programs[id].added || self.is_removed(id) {
                continue;
            }
            let mut after = self.plan.programs[id].after.clone();
            after.retain(|dependency| !gone.contains(dependency));
            self.come_after(id, after);
        }
        (self.plan.budget, self.plan.rewrite, self.plan.single_child) = (budget, rewrite, single_child);
        (self.plan.reload_on, self.plan.tmux) = (reload_on, tmux);
        self.plan.hygiene = hygiene;
        self.end_waits_for_ever(now);
        self.reschedule_cleaning(now, out);
        for id in &gone {
            self.remove(*id, now, out);
        }
        self.order_anew();
        self.stop_going(now, out);
        let [same, changed, new] = counts;
        let removed = gone.iter().filter(|id| !self.plan.programs[**id].is_server()).count();
        let what = format!("{same} the same, {changed} changed, {new} new, {removed} gone");
        let text = format!("{}{what}", timeline::READ_AGAIN);
        self.note(now, None, text.clone());
        self.tell(Level::Info, text, out);
        self.record_soon(now);
        // Who is new may come after what was lost before.
        for id in self.ids() {
            self.end_if_it_waits_in_vain(id, now, out);
        }
        self.wait_again(now, out);
        self.end_if_nobody_is_left(now, out);
    }

    /// Where each program of another plan goes: to the one of its name, else to a free place, else to the end.
    pub(super) fn places(&self, specs: &[plan::Program]) -> Vec<ProgramId> {
        let named = |name: &str| self.ids().find(|id| self.name(*id) == name && !self.is_free(*id));
        let known: Vec<Option<ProgramId>> = specs.iter().map(|spec| named(&spec.name)).collect();
        let free = self.ids().filter(|id| self.is_free(*id) && !self.timeline.mentions(*id));
        let mut unused = free.chain((self.programs.len()..).map(ProgramId));
        known.into_iter().map(|place| place.or_else(|| unused.next()).unwrap_or(ProgramId(0))).collect()
    }

    /// True for the server of an agent that was added: it is there as long as the agent.
    fn serves_what_was_added(&self, id: ProgramId) -> bool {
        let lives_there = |other: &ProgramId| self.programs[*other].added && !self.is_removed(*other);
        self.plan.programs[id].is_server() && self.order.dependents(id).iter().any(lives_there)
    }

    fn is_removed(&self, id: ProgramId) -> bool {
        self.programs[id].fate == Fate::Removed
    }

    fn is_free(&self, id: ProgramId) -> bool {
        self.is_removed(id) && self.programs[id].state == State::Ended
    }

    pub(super) fn take_in(
        &mut self,
        id: ProgramId,
        mut spec: plan::Program,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> Change {
        if id.0 == self.programs.len() {
            self.plan.programs.push(spec);
            self.programs.push(Program::new());
            return Change::New;
        }
        if self.is_free(id) {
            self.come_after_nobody_at(id);
            self.install(id, spec, out);
            return Change::New;
        }
        // What it is to take over stands in no file.
        spec.runs_as = self.plan.programs[id].runs_as;
        if self.plan.programs[id] == spec && self.programs[id].fate == Fate::Stays {
            return Change::None;
        }
        spec.runs_as = None;
        // The order is the new plan's at once; everything else when the old program is gone.
        self.come_after(id, spec.after.clone());
        self.note(now, Some(id), "changed");
        if self.programs[id].is_in_use() || self.may_be_there(id) {
            self.programs[id].fate = Fate::Replaced(Box::new(spec));
            self.look_for(id);
        } else {
            self.install(id, spec, out);
        }
        Change::Changed
    }

    /// It stops when its turn to leave has come.
    pub(super) fn remove(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.programs[id].fate = Fate::Removed;
        self.programs[id].hold = Hold::Free;
        self.note(now, Some(id), "removed");
        if self.programs[id].is_in_use() || self.may_be_there(id) {
            return self.look_for(id);
        }
        self.give_up(id);
        out.push(Action::Forget(id));
    }

    /// Puts a new program in a place that nothing of the old one uses. What somebody has stopped stays stopped.
    pub(super) fn install(&mut self, id: ProgramId, spec: plan::Program, out: &mut Vec<Action>) {
        let Program { hold, added, ref mut early, .. } = self.programs[id];
        // They are for whoever starts now.
        let early = std::mem::take(early);
        self.plan.programs[id] = spec;
        self.programs[id] = Program { added, early, ..Program::new() };
        out.push(Action::Forget(id));
        if hold == Hold::Stopped {
            self.programs[id].hold = hold;
            self.give_up(id);
        }
    }

    /// Nothing of a program is left; its successor takes its place. False for one that stays what it is.
    pub(super) fn succeed(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) -> bool {
        let fate = std::mem::replace(&mut self.programs[id].fate, Fate::Stays);
        match fate {
            Fate::Stays => return false,
            Fate::Removed => {
                self.programs[id].fate = Fate::Removed;
                self.programs[id].early.clear();
                if !self.programs[id].is_in_shutdown {
                    out.push(Action::Forget(id));
                }
                self.end_if_nobody_is_left(now, out);
            }
            Fate::Replaced(spec) if self.shutdown.is_none() => {
                self.forget_what_it_ran_after(id);
                self.install(id, *spec, out);
                self.end_if_it_waits_in_vain(id, now, out);
                self.wait_again(now, out);
            }
            Fate::Replaced(_) => {}
        }
        true
    }
}

/// What another plan is to a program.
#[derive(Clone, Copy)]
pub(super) enum Change {
    None,
    Changed,
    New,
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, agent, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::commanding::Command;
    use crate::core::event::{Event, GroupState};
    use crate::core::signal::Signal;
    use crate::tmux::Socket;
    use std::time::Duration;

    fn changed(name: &str) -> plan::Program {
        plan::Program { success_codes: vec![0, 7], ..program(name) }
    }

    #[test]
    fn what_has_not_changed_is_not_touched() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        let before = bench.program(0).leader();
        bench.reload(vec![program("b"), program("a")]);
        assert_eq!(bench.asked(), []);
        assert_eq!(bench.program(0).leader(), before);
    }

    #[test]
    fn what_has_changed_stops_and_starts_anew() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        bench.reload(vec![changed("a"), program("b")]);
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(0, 7, GroupState::Empty);
        assert_eq!(bench.starts(0), 1);
        assert_eq!(bench.core.plan().programs[0].success_codes, [0, 7]);
    }

    #[test]
    fn what_is_gone_stops_and_is_not_listed_any_more() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        bench.reload(vec![program("b")]);
        assert_eq!(bench.told_to_stop(), [0]);
        assert_eq!(bench.core.programs().count(), 2);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.core.programs().map(|(_, spec, _)| spec.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(bench.core.shutdown().is_none());
    }

    #[test]
    fn the_exit_code_is_that_of_the_main_program_of_now() {
        let main = |name: &str| plan::Program { main: true, ..program(name) };
        let mut bench = Bench::new(vec![main("old")]);
        bench.reload(vec![main("new")]);
        bench.ends(1, 7, GroupState::Empty);
        assert!(bench.core.last_words(bench.now).unwrap().contains("exited with code 7"));
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.core.exit_code(), 7);
    }

    #[test]
    fn a_changed_main_program_that_somebody_stops_is_the_fleet_s_end() {
        let on_failure = plan::OnFailure::Shutdown;
        let main = |main| plan::Program { main, on_failure, ..program("main") };
        for (before, after, is_end) in [(true, true, true), (true, false, false), (false, true, false)] {
            let mut bench = Bench::new(vec![program("keep"), main(before)]);
            bench.reload(vec![program("keep"), plan::Program { success_codes: vec![0, 7], ..main(after) }]);
            bench.ask(Command::Stop(ProgramId(1)));
            bench.ends(1, 3, GroupState::Empty);
            assert_eq!(bench.core.shutdown().is_some(), is_end);
        }
    }

    #[test]
    fn what_is_new_starts_in_its_turn() {
        let mut bench = Bench::new(vec![program("a")]);
        let second = plan::Program { after: vec![ProgramId(1)], ..program("c") };
        let first = plan::Program { oneshot: true, ..program("b") };
        bench.reload(vec![program("a"), first, second]);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(1))]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(2))]);
    }

    #[test]
    fn what_is_new_does_not_wait_for_what_is_lost() {
        let bad = plan::Program { oneshot: true, ..program("bad") };
        let mut bench = Bench::new(vec![program("a"), bad.clone()]);
        bench.ends(1, 1, GroupState::Empty);
        let after = |name: &str, id| plan::Program { after: vec![ProgramId(id)], ..program(name) };
        bench.reload(vec![program("a"), bad, after("c", 1), after("d", 2)]);
        assert_eq!((&bench.program(2).state, &bench.program(3).state), (&State::Ended, &State::Ended));
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn what_is_new_and_comes_after_what_is_lost_may_end_everything() {
        let bad = plan::Program { oneshot: true, ..program("bad") };
        let mut bench = Bench::new(vec![program("a"), bad.clone()]);
        bench.ends(1, 1, GroupState::Empty);
        let on_failure = plan::OnFailure::Shutdown;
        let new = plan::Program { after: vec![ProgramId(1)], on_failure, ..program("c") };
        bench.reload(vec![changed("a"), bad, new]);
        let shutdown = bench.core.shutdown().unwrap();
        assert_eq!(shutdown.reason, crate::core::shutdown::Reason::ProgramFailed(ProgramId(2)));
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn what_has_changed_does_not_come_back_without_what_it_comes_after() {
        let after = |name: &str| plan::Program { after: vec![ProgramId(0)], ..changed(name) };
        let mut bench = Bench::new(vec![program("db"), after("web"), program("other")]);
        bench.ends(0, 1, GroupState::Empty);
        let web = plan::Program { success_codes: vec![0, 9], ..after("web") };
        bench.reload(vec![program("db"), web, program("other")]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.program(1).state, State::Ended);
        let last = bench.core.timeline().entries().last().unwrap();
        assert_eq!((last.program, last.event.as_str()), (Some(ProgramId(1)), "not started: db is missing"));
    }

    #[test]
    fn one_that_is_gone_from_the_plan_still_stops_before_what_it_came_after() {
        let after = plan::Program { after: vec![ProgramId(0)], ..program("b") };
        let mut bench = Bench::new(vec![program("a"), after]);
        bench.reload(vec![program("a")]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.signal(Signal::TERM);
        assert!(bench.told_to_stop().is_empty());
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn what_is_gone_and_was_there_when_the_shutdown_began_stays_in_its_record() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        bench.reload(vec![program("a")]);
        bench.signal(Signal::TERM);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.core.programs().count(), 2);
    }

    #[test]
    fn one_that_changes_waits_for_those_that_somebody_stops() {
        let web = plan::Program { after: vec![ProgramId(0)], ..program("web") };
        let mut bench = Bench::new(vec![program("db"), web.clone()]);
        bench.step(Event::Asked(crate::core::commanding::Command::Stop(ProgramId(0))));
        bench.step(Event::Tick);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.reload(vec![changed("db"), web]);
        assert!(bench.told_to_stop().is_empty());
        bench.ends(1, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn a_budget_that_ends_kills_what_waited_for_ever() {
        let kill = |bench: &mut Bench, id: usize| {
            let group = bench.program(id).group().unwrap();
            let kill = Action::Signal(ProgramId(id), crate::core::action::Target::Group(group), Signal::KILL);
            bench.asked().contains(&kill)
        };
        let mut bench = Bench::of(Plan::new(vec![program("a"), program("b")], Budget::Forever));
        bench.step(Event::Asked(crate::core::commanding::Command::Stop(ProgramId(0))));
        bench.at(60_000);
        assert!(!kill(&mut bench, 0));
        bench.reload(vec![program("a"), program("b")]);
        bench.at(65_000);
        assert!(kill(&mut bench, 0));
        assert_eq!(bench.program(1).taken, []);
        bench.signal(Signal::TERM);
        bench.at(80_000);
        assert!(kill(&mut bench, 1));
    }

    #[test]
    fn a_server_stays_as_long_as_an_agent_that_was_added() {
        let socket = Socket::parse("own");
        let server = crate::config::tmux_server(&socket);
        let agent = |name, after| plan::Program { after: vec![ProgramId(after)], ..agent(name, name, "own") };
        let mut bench = Bench::new(vec![program("p"), agent("a", 2), server]);
        let add = crate::core::commanding::Command::Add(Box::new(agent("b", 2)));
        bench.step(Event::Asked(add));
        bench.reload(vec![program("p")]);
        assert_eq!((&bench.program(1).fate, &bench.program(2).fate), (&Fate::Removed, &Fate::Stays));
        assert_eq!(bench.core.plan().programs[3].after, [ProgramId(2)]);
        bench.step(Event::Asked(crate::core::commanding::Command::Remove(ProgramId(3))));
        bench.reload(vec![program("p")]);
        assert_eq!(bench.program(2).fate, Fate::Removed);
    }

    #[test]
    fn who_leaves_stops_before_what_it_came_after() {
        let web = || plan::Program { after: vec![ProgramId(0)], ..program("web") };
        let mut bench = Bench::new(vec![program("db"), web(), program("other")]);
        bench.reload(vec![program("other")]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!(bench.told_to_stop(), [0]);

        let mut bench = Bench::new(vec![program("db"), web()]);
        bench.reload(vec![changed("db"), plan::Program { success_codes: vec![3], ..web() }]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!((bench.told_to_stop(), bench.program(1).leader()), (vec![0], None));
        bench.ends(0, 0, GroupState::Empty);
        bench.at(2);
        assert!(bench.program(0).leader().is_some() && bench.program(1).leader().is_some());
    }

    #[test]
    fn a_session_is_not_started_in_before_another_program_has_left_it() {
        let agent = |name| agent(name, "s", Socket::DEFAULT);
        let mut bench = Bench::new(vec![agent("a")]);
        bench.reload(vec![agent("b")]);
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(0, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!((bench.program(1).leader(), &bench.program(0).state), (None, &State::Closing));
        bench.step(Event::Closed(ProgramId(0), true));
        bench.step(Event::Tick);
        assert_eq!(bench.starts(1), 1);
    }

    #[test]
    fn who_is_not_touched_is_not_waited_for() {
        let web = plan::Program { after: vec![ProgramId(0)], ..program("web") };
        let mut bench = Bench::new(vec![program("db"), web.clone()]);
        bench.reload(vec![changed("db"), web]);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn two_reloads_that_turn_the_order_round_wait_for_each_other_once() {
        let after = |name: &str, id| plan::Program { after: vec![ProgramId(id)], ..changed(name) };
        let mut bench = Bench::new(vec![program("a"), after("b", 0), program("c")]);
        bench.reload(vec![after("a", 1), program("b"), program("c")]);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.reload(vec![program("a"), after("b", 0), after("c", 1)]);
        bench.reload(vec![after("a", 2), program("b"), changed("c")]);
        bench.ends(1, 0, GroupState::Empty);
        bench.at(1);
        bench.ends(0, 0, GroupState::Empty);
        bench.ends(2, 0, GroupState::Empty);
        bench.at(2);
        let is_back = |id: usize| bench.program(id).leader().is_some();
        assert!(is_back(0) && is_back(1) && is_back(2));
    }

    #[test]
    fn a_reload_that_leaves_nobody_ends_everything() {
        let after = plan::Program { oneshot: true, ..program("a") };
        let waiting = plan::Program { after: vec![ProgramId(1)], ..program("b") };
        let ready = Some(crate::core::policy::Ready {
            by: crate::core::policy::ReadyBy::Notify,
            timeout: Duration::from_secs(1),
        });
        let restart = crate::core::policy::Restart::Always;
        let mut bench =
            Bench::new(vec![after.clone(), plan::Program { ready, restart, ..program("c") }, waiting]);
        bench.ends(0, 0, GroupState::Empty);
        bench.ends(1, 1, GroupState::Empty);
        assert!(bench.core.shutdown().is_none());
        bench.reload(vec![after]);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn a_changed_main_program_does_not_end_the_fleet() {
        let main = |program: plan::Program| plan::Program { main: true, ..program };
        let mut bench = Bench::new(vec![main(program("a"))]);
        bench.reload(vec![main(changed("a"))]);
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.shutdown().is_none());
        assert_eq!(bench.starts(0), 1);
    }

    #[test]
    fn a_reload_in_the_middle_of_a_stop_is_nothing() {
        let mut bench = Bench::new(vec![program("a")]);
        bench.signal(Signal::TERM);
        bench.reload(vec![changed("a"), program("b")]);
        assert_eq!(bench.asked(), []);
        assert_eq!(bench.core.programs().count(), 1);
    }

    #[test]
    fn a_stop_in_the_middle_of_a_reload_starts_nothing() {
        let mut bench = Bench::new(vec![program("a"), program("b")]);
        bench.reload(vec![changed("a"), program("b")]);
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
            bench.reload(vec![program("a"), program(&n.to_string())]);
            let old = bench.core.ids().find(|id| {
                bench.program(id.0).fate == Fate::Removed && bench.program(id.0).leader().is_some()
            });
            bench.ends(old.unwrap().0, 0, GroupState::Empty);
            bench.at(n * 10);
        }
        assert!(bench.core.programs.len() < 1002, "{} places", bench.core.programs.len());
    }
}
