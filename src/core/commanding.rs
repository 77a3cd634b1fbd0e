//! What people ask for while everything runs.
//!
//! - *Stop* a program: first those that come after it, then itself, each by its cascade. It stays stopped until somebody
//!   starts it, whatever its policy says, and its end is no failure and not the fleet's end; only a main program's is.
//! - *Start* one, and first what it comes after where that is stopped or has failed. Its restarts count from nothing again,
//!   and those that were given up without it wait for it again.
//! - *Restart* one: it is stopped and started at once; those that come after it stop before it and come back. What they come
//!   after is started as well where it is stopped or has failed.
//! - *Add* one that is in no file, and *remove* such a one. It outlives a reload, unless the file then knows its name.
//!
//! Once a shutdown has begun, only signals are still sent.

use super::action::Action;
use super::budget::Moment;
use super::plan::{self, ProgramId};
use super::program::{Fate, Hold, Program, Readiness, Restarting, State};
use super::signal::Signal;
use super::{Core, timeline};
use log::Level;
use std::collections::BTreeSet;

/// Programs that were added and not removed.
const MOST_ADDED: usize = 1000;

/// Something that somebody asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Stop a program, until it is started.
    Stop(ProgramId),
    /// Start a program.
    Start(ProgramId),
    /// Stop a program and start it again.
    Restart(ProgramId),
    /// Send a program a signal, as it is.
    Signal(ProgramId, Signal),
    /// Add a program.
    Add(Box<plan::Program>),
    /// Stop a program that was added, and forget it.
    Remove(ProgramId),
}

impl Core {
    /// Why this cannot be done, for people; `None`: it can.
    pub fn objection(&self, command: &Command) -> Option<String> {
        if let Command::Signal(id, _) = command {
            let is_there = self.target(*id).is_some();
            return (!is_there).then(|| format!("{} does not run", self.name(*id)));
        }
        if self.shutdown.is_some() {
            return Some("runinit is stopping: nothing is started or stopped by hand any more".to_owned());
        }
        match command {
            Command::Stop(_) | Command::Signal(..) => None,
            Command::Restart(id) if self.programs[*id].is_there() => {
                self.objection_to_start(*id, self.come_again_with(*id))
            }
            Command::Start(id) | Command::Restart(id) => self.objection_to_start(*id, vec![*id]),
            Command::Add(spec) => self.objection_to_adding(spec),
            Command::Remove(id) => self.objection_to_removal(*id),
        }
    }

    /// These start with it.
    fn objection_to_start(&self, id: ProgramId, mut all: Vec<ProgramId>) -> Option<String> {
        let mut missing = BTreeSet::new();
        while let Some(id) = all.pop() {
            all.extend(self.missing_before(id).filter(|before| missing.insert(*before)));
        }
        std::iter::once(id).chain(missing).find_map(|id| self.why_it_cannot_start(id))
    }

    fn why_it_cannot_start(&self, id: ProgramId) -> Option<String> {
        let Program { state, fate, .. } = &self.programs[id];
        match (state, fate) {
            (_, Fate::Removed) => Some(format!("{} is being removed", self.name(id))),
            (State::Survived { .. }, _) => {
                Some(format!("{} is still there after SIGKILL; it cannot be started", self.name(id)))
            }
            _ => None,
        }
    }

    /// What has to be started for a program to start: what it comes after, where that is stopped or has failed.
    fn missing_before(&self, id: ProgramId) -> impl Iterator<Item = ProgramId> {
        let is_missing = |before: &ProgramId| {
            let program = &self.programs[*before];
            program.is_lost() || program.hold == Hold::Stopped
        };
        self.plan.programs[id].after.iter().copied().filter(is_missing)
    }

    fn objection_to_adding(&self, spec: &plan::Program) -> Option<String> {
        if let Some(leaving) = spec.after.iter().find(|id| self.programs[**id].fate == Fate::Removed) {
            return Some(format!("it comes after {}, which is being removed", self.name(*leaving)));
        }
        let named = self.programs().find(|(_, known, _)| known.name == spec.name);
        if let Some((id, _, program)) = named {
            if !(program.added && program.state == State::Ended) {
                return Some(format!("there is a program {:?} already", spec.name));
            }
            if let Some(after) = spec.after.iter().find(|after| self.comes_after(**after, id)) {
                return Some(format!("it comes after {}, which comes after it", self.name(*after)));
            }
        }
        let mut others = self.programs().filter(|(_, known, _)| known.name != spec.name);
        let is_there = |known: &plan::Program, program: &Program| {
            std::iter::once(known).chain(program.successor()).any(|known| known.is_in_session_of(spec))
        };
        if let Some((_, other, _)) = others.find(|(_, known, program)| is_there(known, program)) {
            return Some(format!("{} is in that tmux session already", other.name));
        }
        let count = self.programs().filter(|(_, _, program)| program.added).count();
        (count >= MOST_ADDED).then(|| format!("{MOST_ADDED} programs were added already; remove some"))
    }

    fn objection_to_removal(&self, id: ProgramId) -> Option<String> {
        let name = self.name(id);
        if !self.programs[id].added {
            return Some(format!("{name} is in the configuration; take it out there and reload, or stop it"));
        }
        let is_to_stay = |dependent: &&ProgramId| {
            let program = &self.programs[**dependent];
            program.is_listed() && program.fate != Fate::Removed
        };
        let after = self.order.dependents(id).iter().find(is_to_stay)?;
        Some(format!("{} comes after {name}; remove that first", self.name(*after)))
    }

    #[inline(never)]
    pub(super) fn on_asked(&mut self, command: Command, now: Moment, out: &mut Vec<Action>) {
        if self.objection(&command).is_some() {
            return;
        }
        match command {
            Command::Stop(id) => {
                self.say(Level::Info, id, "stopping it: somebody asked", out);
                for dependent in self.dependents_first(id) {
                    self.hold(dependent, Hold::Stopped, now);
                    self.end_main_between_runs(dependent, now, out);
                }
            }
            Command::Restart(id) if self.programs[id].is_there() => self.restart(id, now, out),
            Command::Start(id) | Command::Restart(id) => self.start(id, now, out),
            Command::Signal(id, signal) => {
                self.note(now, Some(id), timeline::sent_by_hand(&signal.to_string()));
                self.hand_to(id, signal, out);
            }
            Command::Add(spec) => self.add(*spec, now, out),
            Command::Remove(id) => {
                self.say(Level::Info, id, "removed: somebody asked", out);
                self.remove(id, now, out);
                self.stop_going(now, out);
                self.end_if_nobody_is_left(now, out);
            }
        }
        self.wait_again(now, out);
        self.record_soon(now);
    }

    /// All that come after a program, directly or not, the furthest first; then the program itself.
    pub fn dependents_first(&self, id: ProgramId) -> Vec<ProgramId> {
        let mut found: Vec<ProgramId> = std::iter::once(id).chain(self.order.all_after(id)).collect();
        found.reverse();
        found
    }

    fn comes_after(&self, id: ProgramId, other: ProgramId) -> bool {
        id == other || self.order.all_after(other).any(|after| after == id)
    }

    /// Takes a program out of the hands of its policy. What is stopped already, and well, stays what it is.
    fn hold(&mut self, id: ProgramId, hold: Hold, now: Moment) {
        let may_be_there = self.may_be_there(id);
        let program = &self.programs[id];
        match program.state {
            // It stops anyway, and its place may be another's next.
            _ if program.fate == Fate::Removed => return,
            State::Ended if program.readiness == Readiness::Ready => return,
            // It starts as it was to be started again.
            State::Starting { .. } if hold == Hold::Again => return,
            // What the last run has left is to be stopped all the same.
            State::Waiting { .. } | State::Ended if hold == Hold::Stopped && may_be_there => {
                self.look_for(id);
            }
            State::Waiting { .. } => self.give_up(id),
            State::Ended
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaderless { .. }
            | State::Stopping { .. }
            | State::Survived { .. }
            | State::Closing => {}
        }
        let program = &mut self.programs[id];
        if program.state == State::Ended {
            program.readiness = Readiness::NotYet { until: None };
        }
        program.hold = hold;
        program.restarting.planned = false;
        self.note(now, Some(id), if hold == Hold::Again { "asked to restart" } else { "asked to stop" });
    }

    /// Those that stop for the restart of a program that is there, each before what it comes after. Not those that somebody
    /// has stopped, nor those that wait anyway: they come when it is ready.
    fn come_again_with(&self, id: ProgramId) -> Vec<ProgramId> {
        let comes_again = |other: &ProgramId| {
            let program = &self.programs[*other];
            let is_to_stay = program.fate != Fate::Removed;
            *other == id || program.is_there() && program.hold == Hold::Free && is_to_stay
        };
        self.dependents_first(id).into_iter().filter(comes_again).collect()
    }

    fn restart(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.say(Level::Info, id, "restarting it: somebody asked", out);
        for again in self.come_again_with(id) {
            self.start_what_is_missing_before(again, now, out);
            self.hold(again, Hold::Again, now);
        }
    }

    fn start_what_is_missing_before(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let missing: Vec<ProgramId> = self.missing_before(id).collect();
        for id in missing {
            self.start(id, now, out);
        }
    }

    fn start(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.start_what_is_missing_before(id, now, out);
        let program = &mut self.programs[id];
        match &mut program.state {
            State::Ended => {
                self.begin_anew(id, now);
                self.note(now, Some(id), "asked to start");
                self.say(Level::Info, id, "starting it: somebody asked", out);
            }
            State::Waiting { not_before, .. } => {
                *not_before = (*not_before).min(now);
                program.hold = Hold::Free;
                forget_restarts(&mut program.restarting);
            }
            // Nothing has been done about it yet: it just goes on.
            State::Starting { .. } | State::Running { .. } => program.hold = Hold::Free,
            State::Leaderless { .. } | State::Stopping { .. } | State::Closing => {
                program.hold = Hold::Again;
                program.restarting.planned = false;
            }
            State::Survived { .. } => {}
        }
    }

    /// It would have been started again.
    fn end_main_between_runs(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let program = &self.programs[id];
        let is_between = program.started_at.is_some()
            && program.leader().is_none()
            && !matches!(program.state, State::Starting { .. });
        if self.is_main_now(id) && program.hold == Hold::Stopped && is_between {
            self.ended_for_good(id, now, out);
        }
    }

    /// False for one that another plan makes something else, or has just made the main program: this run is not that yet.
    fn is_main_now(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        let stays_so = program.successor().is_none_or(|next| next.main);
        self.plan.programs[id].main && stays_so && program.fate != Fate::Removed
    }

    /// Nothing of it is left: it waits for its turn as if it had never failed.
    pub(super) fn begin_anew(&mut self, id: ProgramId, now: Moment) {
        let program = &mut self.programs[id];
        program.hold = Hold::Free;
        program.fault = None;
        program.failure = None;
        program.was_given_up_without = false;
        // What came for a start that was not to be is not for this one.
        program.early.clear();
        program.readiness = Readiness::NotYet { until: None };
        program.state = State::Waiting { not_before: now, tries: 0 };
        forget_restarts(&mut program.restarting);
    }

    /// The leader of a program that is to stop has ended: no policy is asked. A main program's end is the fleet's.
    pub(super) fn held_leader_ended(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let program = &mut self.programs[id];
        program.readiness = Readiness::NotYet { until: None };
        if program.hold == Hold::Stopped && self.is_main_now(id) {
            self.ended_for_good(id, now, out);
        }
    }

    /// Nothing is left of a program. False if nobody has asked for that.
    pub(super) fn held_ended(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) -> bool {
        match self.programs[id].hold {
            Hold::Free => false,
            Hold::Again if self.shutdown.is_none() => {
                self.begin_anew(id, now);
                self.note(now, Some(id), "asked to start");
                self.end_if_it_waits_in_vain(id, now, out);
                self.wait_again(now, out);
                true
            }
            Hold::Stopped | Hold::Again => {
                self.programs[id].readiness = Readiness::NotYet { until: None };
                true
            }
        }
    }

    fn add(&mut self, spec: plan::Program, now: Moment, out: &mut Vec<Action>) {
        let Some(&place) = self.places(std::slice::from_ref(&spec)).first() else { return };
        let is_known = place.0 < self.programs.len() && self.programs[place].is_listed();
        if is_known {
            // Nothing of the old one is left, and it was added too.
            self.programs[place].hold = Hold::Free;
            self.install(place, spec, out);
        } else {
            self.take_in(place, spec, now, out);
        }
        self.programs[place].added = true;
        self.order_anew();
        self.note(now, Some(place), "added");
        self.say(Level::Info, place, "added: somebody asked", out);
        self.end_if_it_waits_in_vain(place, now, out);
    }
}

fn forget_restarts(restarting: &mut Restarting) {
    *restarting = Restarting { count: restarting.count, ..Restarting::default() };
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, agent, program};
    use super::*;
    use crate::core::action::Target;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, GroupState};
    use crate::core::policy::Restart;
    use crate::core::shutdown::Reason;
    use crate::tmux::Socket;
    use std::time::Duration;

    const FIRST: ProgramId = ProgramId(0);

    fn restarted(name: &str) -> plan::Program {
        plan::Program { restart: Restart::Always, ..program(name) }
    }

    fn second() -> plan::Program {
        plan::Program { after: vec![FIRST], ..restarted("second") }
    }

    #[test]
    fn one_that_somebody_stops_stays_so_and_is_not_the_fleet_s_end() {
        let mut bench = Bench::new(vec![restarted("first")]);
        bench.ask(Command::Stop(FIRST));
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(0, 1, GroupState::Empty);
        bench.at(60_000);
        assert_eq!((bench.starts(0), &bench.program(0).state), (0, &State::Ended));
        assert!(bench.core.shutdown().is_none());
        bench.ask(Command::Start(FIRST));
        assert_eq!(bench.starts(0), 1);
        assert_eq!(bench.program(0).hold, Hold::Free);
    }

    #[test]
    fn one_that_is_removed_keeps_nobody_waiting_whatever_was_planned_for_it() {
        // It was to be started again when its group is empty.
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(restarted("x"))));
        bench.ends(1, 1, GroupState::Alive);
        bench.ask(Command::Remove(ProgramId(1)));
        bench.step(Event::Group(ProgramId(1), GroupState::Empty));
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.is_finished());

        // Somebody stops it while it goes.
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(program("x"))));
        bench.ask(Command::Remove(ProgramId(1)));
        bench.ask(Command::Stop(ProgramId(1)));
        bench.ends(1, 0, GroupState::Empty);
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn nobody_is_added_after_one_that_is_being_removed() {
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(program("x"))));
        bench.ask(Command::Remove(ProgramId(1)));
        let after = plan::Program { after: vec![ProgramId(1)], ..program("z") };
        let objection = bench.core.objection(&Command::Add(Box::new(after)));
        assert_eq!(objection.as_deref(), Some("it comes after x, which is being removed"));
    }

    #[test]
    fn one_that_is_added_after_what_is_lost_is_not_waited_for() {
        let bad = plan::Program { oneshot: true, ..program("bad") };
        let mut bench = Bench::new(vec![program("first"), bad]);
        bench.ends(1, 1, GroupState::Empty);
        let after = plan::Program { after: vec![ProgramId(1)], ..program("z") };
        bench.ask(Command::Add(Box::new(after)));
        assert_eq!(bench.program(2).state, State::Ended);
        bench.ends(0, 0, GroupState::Empty);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn those_that_come_after_it_stop_first() {
        let mut bench = Bench::new(vec![restarted("first"), second()]);
        bench.ask(Command::Stop(FIRST));
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(0, 0, GroupState::Empty);
        bench.at(60_000);
        assert_eq!(bench.asked(), []);
    }

    #[test]
    fn what_it_comes_after_is_started_too() {
        let mut bench = Bench::new(vec![restarted("first"), second()]);
        bench.ask(Command::Stop(FIRST));
        bench.ends(1, 0, GroupState::Empty);
        bench.ends(0, 0, GroupState::Empty);
        bench.ask(Command::Start(ProgramId(1)));
        bench.at(1);
        assert_eq!(bench.asked(), [Action::Spawn(FIRST), Action::Spawn(ProgramId(1))]);
    }

    #[test]
    fn a_restart_waits_for_nothing_and_brings_back_those_that_come_after_it() {
        let mut bench = Bench::new(vec![restarted("first"), second()]);
        bench.ask(Command::Restart(FIRST));
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.told_to_stop(), [0], "and the second is not started while the first goes down");
        bench.ends(0, 0, GroupState::Empty);
        bench.step(Event::Tick);
        assert_eq!(bench.asked(), [Action::Spawn(FIRST), Action::Spawn(ProgramId(1))]);
        assert_eq!(bench.program(0).restarting.count, 0, "its policy has had nothing to do");
    }

    #[test]
    fn a_start_by_hand_is_no_restart_of_its_policy() {
        let mut bench = Bench::new(vec![restarted("first")]);
        bench.ends(0, 1, GroupState::Empty);
        bench.ask(Command::Start(FIRST));
        assert_eq!((bench.starts(0), bench.program(0).restarting.count), (1, 0));
        bench.ends(0, 1, GroupState::Empty);
        bench.at(60_000);
        assert_eq!((bench.starts(0), bench.program(0).restarting.count), (1, 1));
    }

    #[test]
    fn a_restart_does_not_bring_back_what_somebody_has_stopped() {
        let mut bench = Bench::new(vec![restarted("first"), second()]);
        bench.ask(Command::Stop(ProgramId(1)));
        bench.ends(1, 0, GroupState::Empty);
        bench.ask(Command::Restart(FIRST));
        bench.ends(0, 0, GroupState::Empty);
        bench.at(60_000);
        assert_eq!(bench.starts(1), 0);
    }

    /// An agent that comes after the first.
    fn agent_after_first() -> plan::Program {
        plan::Program { after: vec![FIRST], ..agent("agent", "s", Socket::DEFAULT) }
    }

    #[test]
    fn those_that_were_given_up_without_somebody_come_when_that_one_does() {
        let after = |name, after| plan::Program { after: vec![ProgramId(after)], ..program(name) };
        let once = plan::Program { oneshot: true, ..program("once") };
        let mended = plan::Program { success_codes: vec![0, 9], ..once.clone() };
        let fleet = |once| vec![once, after("second", 0), after("third", 1), program("other")];
        for is_by_hand in [true, false] {
            let mut bench = Bench::new(fleet(once.clone()));
            bench.ends(0, 1, GroupState::Empty);
            assert_eq!((&bench.program(1).state, &bench.program(2).state), (&State::Ended, &State::Ended));
            // Whom somebody has stopped does not come by itself.
            bench.ask(Command::Stop(ProgramId(2)));
            if is_by_hand {
                bench.ask(Command::Start(FIRST));
            } else {
                bench.reload(fleet(mended.clone()));
            }
            assert_eq!(bench.asked(), [Action::Spawn(FIRST)]);
            bench.ends(0, 0, GroupState::Empty);
            assert_eq!(bench.asked(), [Action::Spawn(ProgramId(1))]);
        }
    }

    #[test]
    fn whoever_misses_another_one_too_stays_given_up() {
        let bad = |name: &str| plan::Program { oneshot: true, ..program(name) };
        let both = plan::Program { after: vec![FIRST, ProgramId(1)], ..program("both") };
        let mut bench = Bench::new(vec![bad("one"), bad("two"), both, program("other")]);
        bench.ends(0, 1, GroupState::Empty);
        bench.ends(1, 1, GroupState::Empty);
        for (id, is_back) in [(0, false), (1, true)] {
            bench.ask(Command::Start(ProgramId(id)));
            assert_eq!(matches!(bench.program(2).state, State::Waiting { .. }), is_back);
        }
    }

    #[test]
    fn what_it_comes_after_may_be_lost_while_its_session_closes() {
        let mut bench = Bench::new(vec![program("first"), agent_after_first()]);
        bench.ask(Command::Restart(ProgramId(1)));
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.program(1).state, State::Closing);
        bench.ends(0, 1, GroupState::Empty);
        assert!(bench.core.shutdown().is_none(), "somebody wants the agent back");
        bench.step(Event::Closed(ProgramId(1), true));
        assert_eq!((&bench.program(1).state, bench.program(1).hold), (&State::Ended, Hold::Free));
        assert_eq!(bench.core.shutdown().map(|shutdown| shutdown.reason), Some(Reason::AllExited));
    }

    #[test]
    fn what_it_comes_after_is_lost_as_soon_as_its_leader_is() {
        for group in [GroupState::Empty, GroupState::Alive] {
            let mut bench = Bench::new(vec![program("first"), second(), program("other")]);
            bench.ask(Command::Restart(ProgramId(1)));
            bench.ends(0, 1, group);
            bench.ends(1, 0, GroupState::Empty);
            assert_eq!(bench.program(1).state, State::Ended, "{group:?}");
            bench.ask(Command::Start(ProgramId(1)));
            bench.step(Event::Group(FIRST, GroupState::Empty));
            bench.at(1);
            assert_eq!((bench.program(0).leader().is_some(), bench.starts(1)), (true, 1), "{group:?}");
        }
    }

    #[test]
    fn a_restart_starts_what_is_missing_as_well() {
        let third = plan::Program { after: vec![FIRST, ProgramId(2)], ..restarted("third") };
        let mut bench = Bench::new(vec![restarted("first"), third, program("lost")]);
        bench.ends(2, 1, GroupState::Empty);
        bench.ask(Command::Restart(FIRST));
        assert_eq!(bench.told_to_stop(), [1]);
        assert!(bench.program(2).leader().is_some());
        bench.ends(1, 0, GroupState::Empty);
        bench.ends(0, 0, GroupState::Empty);
        bench.at(1);
        assert!(bench.program(1).leader().is_some());
    }

    #[test]
    fn nothing_is_started_that_would_wait_for_what_has_survived() {
        let mut bench = Bench::new(vec![restarted("first"), program("lost"), program("other")]);
        bench.ask(Command::Add(Box::new(plan::Program { after: vec![ProgramId(1)], ..program("z") })));
        let pgid = bench.program(1).leader().unwrap().group();
        bench.ends(1, 1, GroupState::Empty);
        bench.core.programs[ProgramId(1)].state = State::Survived { leader: None, pgid };
        let why = bench.core.objection(&Command::Restart(ProgramId(3)));
        assert_eq!(why.as_deref(), Some("lost is still there after SIGKILL; it cannot be started"));
    }

    #[test]
    fn a_start_in_the_middle_of_a_stop_comes_when_that_is_over() {
        let mut bench = Bench::new(vec![restarted("first")]);
        bench.ask(Command::Stop(FIRST));
        bench.ask(Command::Start(FIRST));
        assert_eq!(bench.asked(), []);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.starts(0), 1);
    }

    #[test]
    fn a_stop_ends_the_wait_for_a_restart_and_a_start_cuts_it_short() {
        let mut bench = Bench::new(vec![restarted("first"), program("other")]);
        bench.ends(0, 1, GroupState::Empty);
        bench.ask(Command::Start(FIRST));
        assert_eq!(bench.starts(0), 1);
        bench.ends(0, 1, GroupState::Empty);
        bench.ask(Command::Stop(FIRST));
        bench.at(60_000);
        assert_eq!(bench.starts(0), 0);
    }

    #[test]
    fn an_end_that_only_a_probe_finds_is_a_reason_to_go_on() {
        let mut bench = Bench::new(vec![restarted("first"), second()]);
        bench.ask(Command::Stop(FIRST));
        bench.ends(1, 0, GroupState::Alive);
        bench.step(Event::Group(ProgramId(1), GroupState::Empty));
        assert!(bench.core.deadline().is_some_and(|at| at <= bench.now));
    }

    #[test]
    fn one_that_ended_too_often_begins_anew() {
        let backoff = crate::core::policy::Backoff { burst: 0, ..Default::default() };
        let mut bench = Bench::new(vec![plan::Program { backoff, ..restarted("first") }, program("other")]);
        bench.ends(0, 1, GroupState::Empty);
        assert!(bench.program(0).restarting.is_used_up);
        bench.ask(Command::Start(FIRST));
        assert_eq!((bench.starts(0), bench.program(0).restarting.is_used_up), (1, false));
    }

    #[test]
    fn a_main_program_s_end_is_the_fleet_s_end_by_hand_too_but_not_its_restart() {
        let main = plan::Program { main: true, ..restarted("main") };
        let mut bench = Bench::new(vec![main.clone(), program("other")]);
        bench.ask(Command::Restart(FIRST));
        bench.ends(0, 3, GroupState::Empty);
        assert_eq!(bench.starts(0), 1);
        bench.ask(Command::Stop(FIRST));
        bench.ends(0, 3, GroupState::Empty);
        assert_eq!(bench.core.shutdown().unwrap().reason, Reason::MainExited);
        assert_eq!(bench.core.exit_code(), 3);
    }

    #[test]
    fn a_main_program_that_is_stopped_between_two_runs_is_the_fleet_s_end_too() {
        for group in [GroupState::Empty, GroupState::Alive] {
            let main = plan::Program { main: true, ..restarted("main") };
            let mut bench = Bench::new(vec![main, program("other")]);
            bench.ends(0, 3, group);
            assert!(bench.core.shutdown().is_none());
            bench.ask(Command::Stop(FIRST));
            assert_eq!(bench.core.shutdown().unwrap().reason, Reason::MainExited);
        }
    }

    #[test]
    fn nobody_comes_after_itself_by_being_added_again() {
        let mut bench = Bench::new(vec![program("first")]);
        let added = |name: &str, after: &[usize]| {
            let after = after.iter().copied().map(ProgramId).collect();
            Command::Add(Box::new(plan::Program { after, ..program(name) }))
        };
        bench.ask(added("x", &[]));
        bench.ask(added("y", &[1]));
        bench.ask(added("z", &[2]));
        bench.ends(1, 0, GroupState::Empty);
        for (after, who) in [(3, "z"), (2, "y")] {
            let objection = bench.core.objection(&added("x", &[after]));
            assert_eq!(objection, Some(format!("it comes after {who}, which comes after it")));
        }
        bench.ask(added("x", &[0]));
        assert!(bench.program(1).leader().is_some());
    }

    #[test]
    fn what_is_added_again_is_in_nobody_s_session() {
        let agent = |name| agent(name, "s", Socket::DEFAULT);
        let mut bench = Bench::new(vec![program("first"), agent("a")]);
        bench.ask(Command::Add(Box::new(program("x"))));
        bench.ends(2, 0, GroupState::Empty);
        let objection = bench.core.objection(&Command::Add(Box::new(agent("x"))));
        assert_eq!(objection.as_deref(), Some("a is in that tmux session already"));
    }

    #[test]
    fn what_is_added_is_in_nobody_s_next_session_either() {
        let agent = |name, session| agent(name, session, Socket::DEFAULT);
        let mut bench = Bench::new(vec![program("first"), agent("a", "s1")]);
        bench.reload(vec![program("first"), agent("a", "s2")]);
        for session in ["s1", "s2"] {
            let objection = bench.core.objection(&Command::Add(Box::new(agent("x", session))));
            assert_eq!(objection.as_deref(), Some("a is in that tmux session already"));
        }
    }

    #[test]
    fn one_that_has_ended_hides_nobody_who_comes_after_it() {
        let once = plan::Program { oneshot: true, after: vec![FIRST], ..program("migrate") };
        let api = plan::Program { after: vec![ProgramId(1)], ..program("api") };
        let fleet = || Bench::new(vec![program("db"), once.clone(), api.clone()]);
        let ask_to_stop = |bench: &mut Bench| bench.ask(Command::Stop(FIRST));
        for stop in [ask_to_stop, |bench: &mut Bench| bench.signal(Signal::TERM)] {
            let mut bench = fleet();
            bench.ends(1, 0, GroupState::Empty);
            stop(&mut bench);
            assert_eq!(bench.told_to_stop(), [2]);
            bench.ends(2, 0, GroupState::Empty);
            bench.at(1);
            assert_eq!(bench.told_to_stop(), [0]);
        }
    }

    #[test]
    fn nobody_comes_back_before_what_one_that_has_ended_came_after() {
        let once = plan::Program { oneshot: true, after: vec![FIRST], ..program("migrate") };
        let api = plan::Program { after: vec![ProgramId(1)], ..program("api") };
        let mut bench = Bench::new(vec![restarted("db"), once, api]);
        bench.ends(1, 0, GroupState::Empty);
        bench.ask(Command::Restart(FIRST));
        bench.ends(2, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!((bench.told_to_stop(), bench.program(2).leader()), (vec![2, 0], None));
        bench.ends(0, 0, GroupState::Empty);
        bench.at(1);
        assert!(bench.program(0).leader().is_some() && bench.program(2).leader().is_some());
        // As long as that is not ready, too.
        let notify = crate::core::policy::ReadyBy::Notify;
        let ready = crate::core::policy::Ready { by: notify, timeout: Duration::from_secs(5) };
        bench.core.plan.programs[FIRST].ready = Some(ready);
        bench.ask(Command::Restart(FIRST));
        bench.ends(2, 0, GroupState::Empty);
        bench.ends(0, 0, GroupState::Alive);
        bench.at(2);
        assert_eq!(bench.program(2).leader(), None);
        bench.step(Event::Group(FIRST, GroupState::Empty));
        bench.at(3);
        assert!(bench.program(0).leader().is_some() && bench.program(2).leader().is_none());
        bench.step(Event::Notified(FIRST, crate::core::event::Notice::Ready));
        bench.at(4);
        assert!(bench.program(2).leader().is_some());
        // It is not missed for good by who does not come right after it.
        bench.ask(Command::Stop(FIRST));
        bench.ends(2, 0, GroupState::Empty);
        bench.at(5);
        bench.ends(0, 0, GroupState::Empty);
        bench.ask(Command::Start(ProgramId(2)));
        assert!(bench.program(2).leader().is_some());
    }

    #[test]
    fn nobody_waits_for_one_that_waits_for_what_somebody_has_stopped() {
        let once = plan::Program { oneshot: true, after: vec![FIRST], ..program("migrate") };
        let web = plan::Program { after: vec![ProgramId(1)], ..restarted("web") };
        let mut bench = Bench::new(vec![program("db"), once.clone(), web.clone(), program("x")]);
        bench.ends(1, 0, GroupState::Empty);
        bench.ask(Command::Stop(ProgramId(3)));
        bench.ends(3, 0, GroupState::Empty);
        let db = plan::Program { after: vec![ProgramId(3)], ..program("db") };
        bench.reload(vec![db, once, web, program("x")]);
        bench.ends(0, 0, GroupState::Empty);
        assert!(matches!(bench.program(0).state, State::Waiting { .. }));
        bench.ends(2, 1, GroupState::Empty);
        bench.at(60_000);
        assert!(bench.program(2).leader().is_some());
    }

    #[test]
    fn a_restart_takes_the_daemons_of_those_that_come_after_it_along() {
        let once = plan::Program { oneshot: true, after: vec![FIRST], ..program("once") };
        let plan = plan::Plan::new(vec![program("db"), once], Budget::Within(Duration::from_secs(9)));
        let mut bench = Bench::of(plan::Plan { marks_programs: true, ..plan });
        bench.ends(1, 0, GroupState::Empty);
        let daemon = crate::core::event::Other {
            pid: crate::core::process::Pid::new(7).unwrap(),
            pgid: None,
            program: Some(ProgramId(1)),
            command: String::new(),
            state: 'S',
        };
        bench.step(Event::Sought(vec![(ProgramId(1), vec![daemon])]));
        assert_eq!(bench.program(1).state, State::Leaderless { pgid: None });
        bench.ask(Command::Restart(FIRST));
        assert_eq!(bench.program(1).hold, Hold::Again);
        assert!(bench.told_to_stop().is_empty());
    }

    #[test]
    fn whoever_leaves_is_waited_for_by_what_it_came_after() {
        let mut bench = Bench::new(vec![program("db")]);
        let api = plan::Program { after: vec![FIRST], ..program("api") };
        bench.ask(Command::Add(Box::new(api)));
        bench.asked();
        bench.ask(Command::Remove(ProgramId(1)));
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ask(Command::Stop(FIRST));
        assert!(bench.told_to_stop().is_empty());
        bench.ends(1, 0, GroupState::Empty);
        bench.at(1);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn once_a_shutdown_has_begun_only_signals_are_sent() {
        let mut bench = Bench::new(vec![program("first"), program("other")]);
        bench.ask(Command::Stop(ProgramId(1)));
        bench.ends(1, 0, GroupState::Empty);
        bench.signal(Signal::TERM);
        bench.asked();
        assert!(bench.core.objection(&Command::Start(ProgramId(1))).unwrap().contains("stopping"));
        bench.step(Event::Asked(Command::Start(ProgramId(1))));
        bench.step(Event::Tick);
        assert_eq!(bench.asked(), []);
        bench.ask(Command::Signal(FIRST, Signal::QUIT));
        assert!(matches!(bench.asked()[..], [Action::Signal(FIRST, Target::Group(_), Signal::QUIT)]));
        assert!(bench.core.objection(&Command::Signal(ProgramId(1), Signal::QUIT)).is_some());
    }

    #[test]
    fn a_shutdown_in_the_middle_of_a_restart_starts_nothing() {
        let mut bench = Bench::new(vec![restarted("first"), program("other")]);
        bench.ask(Command::Restart(FIRST));
        bench.signal(Signal::TERM);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.starts(0), 0);
        bench.ends(1, 0, GroupState::Empty);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn one_that_is_added_outlives_a_reload_and_can_be_removed() {
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(second())));
        assert_eq!(bench.starts(1), 1);
        let budget = crate::core::budget::Budget::Within(Duration::from_secs(9));
        let plan = plan::Plan::new(vec![program("first")], budget);
        bench.step(Event::Reloaded(Box::new(plan)));
        assert!(bench.told_to_stop().is_empty());
        assert!(bench.core.objection(&Command::Remove(FIRST)).unwrap().contains("configuration"));
        bench.ask(Command::Remove(ProgramId(1)));
        assert_eq!(bench.told_to_stop(), [1]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.core.programs().count(), 1);
        assert!(bench.core.shutdown().is_none());
    }

    #[test]
    fn a_name_is_free_again_when_what_was_added_has_ended() {
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(program("new"))));
        let again = Command::Add(Box::new(program("new")));
        assert!(bench.core.objection(&again).unwrap().contains("already"));
        bench.ends(1, 0, GroupState::Empty);
        bench.ask(again);
        assert_eq!(bench.starts(1), 1);
        assert!(bench.core.objection(&Command::Add(Box::new(program("first")))).is_some());
    }

    #[test]
    fn nothing_that_others_come_after_is_removed() {
        let mut bench = Bench::new(vec![program("first")]);
        bench.ask(Command::Add(Box::new(program("base"))));
        let top = plan::Program { after: vec![ProgramId(1)], ..program("top") };
        bench.ask(Command::Add(Box::new(top)));
        assert!(bench.core.objection(&Command::Remove(ProgramId(1))).unwrap().contains("top"));
        bench.ask(Command::Remove(ProgramId(2)));
        bench.ends(2, 0, GroupState::Empty);
        bench.ask(Command::Remove(ProgramId(1)));
    }

    #[test]
    fn there_is_a_limit_to_what_is_added() {
        let mut bench = Bench::new(vec![program("first")]);
        for n in 0..MOST_ADDED {
            bench.ask(Command::Add(Box::new(program(&format!("p{n}")))));
        }
        let more = Command::Add(Box::new(program("more")));
        assert!(bench.core.objection(&more).unwrap().contains("remove some"));
    }

    #[test]
    fn what_somebody_has_stopped_stays_so_over_a_reload() {
        let mut bench = Bench::new(vec![program("first"), program("other")]);
        bench.ask(Command::Stop(FIRST));
        bench.ends(0, 0, GroupState::Empty);
        let budget = crate::core::budget::Budget::Within(Duration::from_secs(9));
        let changed = plan::Program { success_codes: vec![0, 7], ..program("first") };
        let plan = plan::Plan::new(vec![changed, program("other")], budget);
        bench.step(Event::Reloaded(Box::new(plan)));
        bench.at(100);
        assert_eq!(bench.starts(0), 0);
        bench.ask(Command::Start(FIRST));
        assert_eq!(bench.starts(0), 1);
    }
}
