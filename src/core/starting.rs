//! Who starts when, and what a failed start means.

use super::action::Action;
use super::budget::Moment;
use super::children::Child;
use super::event::SpawnFailure;
use super::plan::{Kind, ProgramId};
use super::process::Pid;
use super::program::{Asking, Fate, Hold, State};
use super::{Core, timeline};
use log::Level;
use std::collections::BTreeSet;
use std::time::Duration;

/// Starts in one round of the loop, so that a large fleet's start leaves signals waiting no longer than this.
pub(super) const STARTS_PER_ROUND: usize = 16;
/// When the system has no room for a process, or the command is just being written, the first retry comes after this; each
/// later one after twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(10);
/// No retry waits longer than this.
const LONGEST_RETRY: Duration = Duration::from_secs(1);
/// When all have started the record is written, but not before the last of them had time to become the program that it is:
/// until then it may wait for the same processor.
const RECORD_AFTER_START: Duration = Duration::from_millis(3);
/// A start that was put off this often has failed: some eight seconds.
const TRIES: u32 = 14;

impl Core {
    /// True if the program waits for nobody but the clock.
    pub(super) fn may_start(&self, id: ProgramId) -> bool {
        if !matches!(self.programs[id].state, State::Waiting { .. }) {
            false
        } else if self.shutdown.is_some() || self.programs[id].is_to_go() && !self.is_left(id) {
            self.may_be_there(id)
        } else {
            (self.is_left(id) || self.is_everybody_ready_before(id))
                && self.has_no_leftovers_before(id)
                && self.is_session_free(id)
        }
    }

    /// What has ended well is ready, but stands for what it came after: if that is just coming back, it is waited for. One that
    /// is not coming is missed by those alone who come right after it.
    fn is_everybody_ready_before(&self, id: ProgramId) -> bool {
        let before = |id: ProgramId| self.plan.programs[id].after.iter().copied();
        let is_ready = |id: ProgramId| self.programs[id].is_ready_for_others();
        if !before(id).all(is_ready) {
            return false;
        }
        let is_over = |id: &ProgramId| self.programs[*id].state == State::Ended;
        let mut open: Vec<ProgramId> = before(id).filter(is_over).collect();
        let mut seen = BTreeSet::new();
        while let Some(known) = open.pop() {
            for other in before(known).filter(|other| seen.insert(*other)) {
                let waits_for_others = matches!(self.programs[other].state, State::Waiting { .. })
                    && !before(other).all(is_ready);
                if is_ready(other) && is_over(&other) || waits_for_others {
                    open.push(other);
                } else if !is_ready(other) && self.programs[other].is_coming() {
                    return false;
                }
            }
        }
        true
    }

    /// True for what a run before this one may have left, and nobody has looked for yet.
    pub(super) fn may_be_there(&self, id: ProgramId) -> bool {
        self.plan.programs[id].runs_as.is_some() && self.programs[id].pid.is_none()
    }

    /// A shutdown has begun: there is no later, and what they come after stops after them. Nobody is started who is not there.
    pub(super) fn look_for_those_who_may_be_there(&mut self) {
        for id in self.ids().filter(|id| self.may_be_there(*id)).collect::<Vec<_>>() {
            self.programs[id].is_in_shutdown = true;
            self.look_for(id);
        }
    }

    /// What may be there and is to stop is looked for first, whatever it comes after; what is known to be there is not.
    pub(super) fn look_for(&mut self, id: ProgramId) {
        let state = &mut self.programs[id].state;
        if matches!(state, State::Waiting { .. } | State::Ended) {
            *state = State::Waiting { not_before: Moment::ZERO, tries: 0 };
        }
    }

    /// What a run before this one has left in tmux goes before anything new comes there, its server last.
    fn has_no_leftovers_before(&self, id: ProgramId) -> bool {
        let is_there = |other: ProgramId| self.is_left(other) && self.programs[other].state != State::Ended;
        let spec = &self.plan.programs[id];
        match &spec.kind {
            Kind::Process => true,
            Kind::Agent(_) if self.is_left(id) => true,
            Kind::TmuxServer(_) if self.is_left(id) => {
                !self.ids().any(|other| is_there(other) && self.plan.programs[other].is_agent())
            }
            Kind::Agent(_) | Kind::TmuxServer(_) => !self.ids().any(is_there),
        }
    }

    /// A program that leaves by a reload may still be in the session that another one is to have.
    fn is_session_free(&self, id: ProgramId) -> bool {
        let programs = &self.plan.programs;
        let is_in_the_way = |other: ProgramId| {
            let state = &self.programs[other];
            other != id
                && programs[other].is_in_session_of(&programs[id])
                && state.is_in_use()
                && !state.is_over()
        };
        !programs[id].is_agent() || !self.ids().any(is_in_the_way)
    }

    /// True for what a run before this one has left, and nobody takes over.
    pub fn is_left(&self, id: ProgramId) -> bool {
        self.plan.programs[id].runs_as.is_some() && self.programs[id].fate == Fate::Removed
    }

    /// Starts the next program whose turn it is. One at a time: its failure may be the end of everything, before the one
    /// after it is started.
    pub(super) fn start_next(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.starts_left == 0 {
            return;
        }
        for id in self.order.dependencies_first() {
            let State::Waiting { not_before, tries } = self.programs[id].state else { continue };
            if not_before <= now && self.may_start(id) {
                self.starts_left -= 1;
                self.programs[id].state = State::Starting { tries };
                self.forget_what_it_ran_after(id);
                self.expect_start_by_tmux(id, now);
                return out.push(Action::Spawn(id));
            }
        }
    }

    pub(super) fn on_spawned(
        &mut self,
        id: ProgramId,
        result: Result<Pid, SpawnFailure>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let State::Starting { tries } = self.programs[id].state else { return };
        self.programs[id].call = None;
        if result.is_err() && self.programs[id].started_at.is_none() {
            self.forget_what_it_ran_after(id);
        }
        let was_sought = self.may_be_there(id);
        if was_sought && result.as_ref().is_err_and(|failure| !failure.kind.is_passing()) {
            // It is not there.
            self.plan.programs[id].runs_as = None;
            self.programs[id].is_in_shutdown = false;
        }
        match result {
            Ok(leader) => self.started(id, leader, now, out),
            // It may be there all the same.
            Err(failure)
                if was_sought
                    && failure.kind.is_passing()
                    && self.shutdown.is_none()
                    && tries + 1 < TRIES =>
            {
                self.try_again(id, tries, &failure, now, out);
            }
            Err(_) if self.programs[id].fate != Fate::Stays => {
                self.give_up(id);
                self.record_soon(now);
                self.succeed(id, now, out);
            }
            // Somebody has stopped it while tmux was asked to start it.
            Err(_)
                if self.programs[id].hold == Hold::Stopped
                    && (was_sought || !self.plan.programs[id].main) =>
            {
                self.give_up(id);
            }
            // Others wait for it to be over.
            Err(failure) if self.shutdown.is_some() && (was_sought || failure.kind.is_passing()) => {
                self.give_up(id);
            }
            Err(failure)
                if failure.kind.is_passing() && tries + 1 < TRIES && self.programs[id].hold == Hold::Free =>
            {
                self.try_again(id, tries, &failure, now, out);
                // Lost while tmux was asked to start it, perhaps.
                self.end_if_it_waits_in_vain(id, now, out);
            }
            Err(failure) => self.never_started(id, failure, now, out),
        }
    }

    fn try_again(
        &mut self,
        id: ProgramId,
        tries: u32,
        failure: &SpawnFailure,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let wait = FIRST_RETRY.saturating_mul(1 << tries.min(16)).min(LONGEST_RETRY);
        self.programs[id].state = State::Waiting { not_before: now + wait, tries: tries + 1 };
        if tries == 0 {
            self.say(Level::Warn, id, format_args!("{}; trying again", failure.message), out);
        }
    }

    fn started(&mut self, id: ProgramId, leader: Pid, now: Moment, out: &mut Vec<Action>) {
        let Some(pgid) = leader.group() else { return };
        let program = &mut self.programs[id];
        program.state = State::Running { leader, pgid };
        let is_restart = std::mem::take(&mut program.restarting.is_due);
        program.restarting.count = program.restarting.count.saturating_add(u32::from(is_restart));
        program.pid = Some(leader);
        program.started_at = Some(now);
        program.exit = None;
        program.stopped_by = None;
        program.fault = None;
        program.taken.clear();
        program.masks = None;
        program.status = None;
        program.was_interrupted = false;
        program.asking = Asking::default();
        program.watchdog = None;
        self.children.insert(leader, Child::Leader(id));
        let is_taken_over = self.plan.programs[id].runs_as == Some(leader);
        if let Some(shutdown) = self.shutdown.as_mut().filter(|_| is_taken_over) {
            // It was alive when that began.
            shutdown.active.extend((!self.plan.programs[id].is_server()).then_some(id));
        }
        let how = if is_taken_over { "taken over" } else { "started" };
        self.note(now, Some(id), how);
        self.say(Level::Info, id, format_args!("{how}, pid {leader}"), out);
        for signal in std::mem::take(&mut self.programs[id].early) {
            self.forward_to(id, signal, out);
        }
        if self.programs[id].fate != Fate::Stays && self.shutdown.is_none() {
            self.record_soon(now);
            return self.stop_going(now, out);
        }
        if !self.is_left(id) {
            self.plan.programs[id].runs_as = None;
        }
        if is_taken_over && self.plan.programs[id].is_agent() {
            // It has said so to somebody else, long ago.
            self.is_ready(id, now, out);
        } else {
            self.await_readiness(id, now, out);
        }
        if self.ids().any(|id| self.may_start(id)) {
            self.record_soon(now);
        } else {
            self.record_by(now + RECORD_AFTER_START);
        }
    }

    fn never_started(&mut self, id: ProgramId, failure: SpawnFailure, now: Moment, out: &mut Vec<Action>) {
        self.note(now, Some(id), timeline::COULD_NOT_START);
        self.say(Level::Error, id, &failure.message, out);
        self.programs[id].failure = Some(failure);
        self.give_up(id);
        self.ended_for_good(id, now, out);
    }

    /// Everything that waits for a program that will never start ends as well, and is told so.
    pub(super) fn tell_dependents(
        &mut self,
        id: ProgramId,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> Vec<ProgramId> {
        let mut told = Vec::new();
        let mut waiting_for = vec![id];
        while let Some(missing) = waiting_for.pop() {
            for dependent in self.order.dependents(missing).to_vec() {
                if self.may_miss_somebody(dependent) {
                    self.give_up_without(dependent, missing, now, out);
                    waiting_for.push(dependent);
                    told.push(dependent);
                }
            }
        }
        told
    }

    /// What a program comes after may be gone for good before its turn comes again.
    pub(super) fn end_if_it_waits_in_vain(
        &mut self,
        id: ProgramId,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> bool {
        let mut after = self.plan.programs[id].after.iter().copied();
        let Some(lost) = after.find(|before| self.programs[*before].is_lost()) else { return false };
        if !self.may_miss_somebody(id) {
            return false;
        }
        self.give_up_without(id, lost, now, out);
        self.ended_for_good(id, now, out);
        true
    }

    /// False for one that is only looked for, to be stopped.
    fn may_miss_somebody(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        matches!(program.state, State::Waiting { .. }) && !program.is_to_go()
    }

    fn give_up_without(&mut self, id: ProgramId, lost: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.give_up(id);
        self.programs[id].was_given_up_without = true;
        let lost = self.name(lost);
        let event = format!("{}{lost} is missing", timeline::NOT_STARTED);
        let again = if self.programs[id].started_at.is_some() { "restarted" } else { "started" };
        let text = format!("not {again}: it comes after {lost}, which will not be ready");
        self.note(now, Some(id), event);
        self.say(Level::Error, id, &text, out);
    }

    /// Those that were given up without somebody wait again, if all that they come after may come back.
    pub(super) fn wait_again(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() || !self.programs.iter().any(|program| program.was_given_up_without) {
            return;
        }
        for id in self.order.dependencies_first() {
            let program = &self.programs[id];
            let is_free = program.hold == Hold::Free && program.fate == Fate::Stays;
            let is_gone = |before: &ProgramId| {
                self.programs[*before].is_lost() || self.programs[*before].hold == Hold::Stopped
            };
            if program.was_given_up_without && is_free && !self.plan.programs[id].after.iter().any(is_gone) {
                self.begin_anew(id, now);
                self.note(now, Some(id), timeline::WAITS_AGAIN);
                self.say(Level::Info, id, "waits again for what it comes after", out);
            }
        }
    }

    /// Ends a program that never ran.
    pub(super) fn give_up(&mut self, id: ProgramId) {
        self.programs[id].state = State::Ended;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, agent, program};
    use super::*;
    use crate::core::action::Target;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, GroupState, Notice, Received, SpawnFailureKind};
    use crate::core::plan::{Plan, Program};
    use crate::core::policy::{Ready, ReadyBy};
    use crate::core::signal::Signal;
    use crate::tmux::Socket;

    #[test]
    fn nobody_is_started_beside_one_whose_failure_ends_everything() {
        let main = Program { main: true, ..program("main") };
        let mut core = Core::new(Plan::new(vec![main, program("other")], Budget::Forever));
        let mut out = Vec::new();
        core.step(Event::Tick, Moment::ZERO, &mut out);
        let failure = SpawnFailure { kind: SpawnFailureKind::NotFound, errno: 2, message: String::new() };
        core.step(Event::Spawned(ProgramId(0), Err(failure)), Moment::ZERO, &mut out);
        core.step(Event::Tick, Moment::ZERO, &mut out);
        let starts: Vec<_> = out.iter().filter(|action| matches!(action, Action::Spawn(_))).collect();
        assert_eq!(starts, [&Action::Spawn(ProgramId(0))]);
    }

    #[test]
    fn whoever_is_on_its_way_when_the_shutdown_begins_is_stopped_too() {
        let mut core = Core::new(Plan::new(vec![program("p")], Budget::Within(Duration::from_secs(9))));
        let mut out = Vec::new();
        core.step(Event::Tick, Moment::ZERO, &mut out);
        assert!(out.contains(&Action::Spawn(ProgramId(0))));
        let term = Received::from_kernel(Signal::TERM);
        core.step(Event::Signal(term), Moment::ZERO, &mut out);
        assert!(!out.iter().any(|action| matches!(action, Action::Signal(..))), "nobody is there yet");
        let pid = Pid::new(7).unwrap();
        core.step(Event::Spawned(ProgramId(0), Ok(pid)), Moment::ZERO, &mut out);
        let stop = Action::Signal(ProgramId(0), Target::Group(pid.group().unwrap()), Signal::TERM);
        assert!(out.contains(&stop), "{out:?}");
    }

    fn pid(number: i32) -> Option<Pid> {
        Pid::new(number)
    }

    /// A server and an agent that are to be taken over, and an agent that is left to be stopped, which takes its time.
    fn adopting() -> Bench {
        let socket = Socket::parse("runinit");
        let agent =
            |name, runs_as| Program { runs_as, after: vec![ProgramId(0)], ..agent(name, name, "runinit") };
        let server =
            Program { kind: Kind::TmuxServer(socket.clone()), runs_as: pid(102), ..program("tmux:runinit") };
        let plan = Plan::new(vec![server, agent("a", pid(103))], Budget::Within(Duration::from_secs(9)));
        Bench::of(Plan { left: vec![agent("b", pid(101))], ..plan })
    }

    fn closes(bench: &mut Bench, id: usize) {
        bench.ends(id, 0, GroupState::Empty);
        bench.step(Event::Closed(ProgramId(id), true));
        bench.at(u64::try_from(bench.now.as_millis()).unwrap());
    }

    #[test]
    fn what_is_to_be_taken_over_is_looked_for_in_a_shutdown_and_stopped_before_its_server() {
        let mut bench = adopting();
        assert_eq!(bench.told_to_stop(), [2]);
        bench.signal(Signal::TERM);
        assert_eq!(bench.told_to_stop(), [1]);
        assert_eq!(bench.program(0).leader(), pid(102));
        assert_eq!(bench.core.shutdown().unwrap().active, [ProgramId(2), ProgramId(1)]);
        closes(&mut bench, 1);
        assert!(bench.told_to_stop().is_empty());
        closes(&mut bench, 2);
        assert_eq!(bench.told_to_stop(), [0]);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.core.programs().count(), 3);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn in_a_shutdown_what_is_not_there_is_not_started_and_what_may_be_is_not_forgotten() {
        use SpawnFailureKind::{NoRoom, NotFound};
        for (kind, runs_as) in [(NotFound, None), (NoRoom, pid(103))] {
            let mut bench = adopting();
            let mut out = Vec::new();
            bench.core.step(Event::Signal(Received::from_kernel(Signal::TERM)), bench.now, &mut out);
            bench.core.step(Event::Tick, bench.now, &mut out);
            bench.core.step(Event::Spawned(ProgramId(0), Ok(Pid::new(102).unwrap())), bench.now, &mut out);
            assert!(out.contains(&Action::Spawn(ProgramId(1))), "{out:?}");
            let failure = SpawnFailure { kind, errno: 0, message: String::new() };
            bench.core.step(Event::Spawned(ProgramId(1), Err(failure)), bench.now, &mut out);
            assert_eq!(bench.program(1).state, State::Ended);
            assert_eq!(bench.core.plan().programs[1].runs_as, runs_as);
        }
    }

    #[test]
    fn what_is_to_stop_before_it_was_looked_for_is_found_and_stopped_before_its_server() {
        let mut bench = adopting();
        bench.ask(crate::core::commanding::Command::Stop(ProgramId(1)));
        bench.at(0);
        assert_eq!(bench.told_to_stop(), [1]);
        assert!(bench.program(1).leader().is_some() && bench.program(0).leader().is_none());
        closes(&mut bench, 1);
        closes(&mut bench, 2);
        assert_eq!((&bench.program(1).state, bench.program(1).hold), (&State::Ended, Hold::Stopped));
        assert!(bench.program(0).leader().is_some() && bench.told_to_stop().is_empty());
    }

    #[test]
    fn what_has_changed_is_looked_for_even_if_it_was_given_up() {
        let plan = adopting().core.plan().clone();
        let [server, agent] = [0, 1].map(|place| plan.programs[place].clone());
        let agent = Program { after: vec![ProgramId(0), ProgramId(2)], ..agent };
        let bad = Program { oneshot: true, ..program("bad") };
        let fleet = |agent: &Program| vec![server.clone(), agent.clone(), bad.clone(), program("other")];
        let mut bench = Bench::of(Plan { programs: fleet(&agent), ..Plan::new(Vec::new(), plan.budget) });
        bench.ends(2, 1, GroupState::Empty);
        assert_eq!(bench.program(1).state, State::Ended, "given up");
        bench.reload(fleet(&Program { success_codes: vec![7], runs_as: None, ..agent }));
        assert_eq!(bench.told_to_stop(), [1]);
    }

    #[test]
    fn what_another_plan_takes_out_before_it_was_looked_for_is_stopped_all_the_same() {
        let mut bench = adopting();
        bench.reload(vec![program("web")]);
        closes(&mut bench, 2);
        assert_eq!(bench.told_to_stop(), [1]);
        closes(&mut bench, 1);
        assert_eq!(bench.told_to_stop(), [0]);
        let mut bench = adopting();
        let same = bench.core.plan().programs[..2].iter();
        let same = same.map(|spec| Program { runs_as: None, ..spec.clone() }).collect();
        bench.reload(same);
        closes(&mut bench, 2);
        assert_eq!([0, 1].map(|id| bench.program(id).leader()), [pid(102), pid(103)]);
        assert!(bench.told_to_stop().is_empty());
    }

    #[test]
    fn a_round_starts_many_but_not_all_of_a_large_fleet() {
        let mut bench = Bench::new((0..100).map(|number| program(&format!("p{number}"))).collect());
        let is_start = |action: &Action| matches!(action, Action::Spawn(_));
        assert_eq!(bench.asked().iter().filter(|action| is_start(action)).count(), 100);
        bench.core = Core::new(bench.core.plan().clone());
        bench.step(Event::Tick);
        assert_eq!(bench.asked().iter().filter(|action| is_start(action)).count(), STARTS_PER_ROUND);
        assert_eq!(bench.core.deadline(), Some(Moment::ZERO), "and goes on at once");
    }

    #[test]
    fn what_a_run_says_about_itself_is_forgotten_with_it() {
        let restart = crate::core::policy::Restart::Always;
        let mut bench = Bench::new(vec![Program { restart, ..program("p") }, program("other")]);
        bench.step(Event::Notified(ProgramId(0), Notice::Status("12 requests".to_owned())));
        assert_eq!(bench.program(0).status.as_deref(), Some("12 requests"));
        bench.ends(0, 1, GroupState::Empty);
        bench.at(1_000);
        assert!(bench.program(0).leader().is_some());
        assert_eq!(bench.program(0).status, None);
    }

    #[test]
    fn signals_that_come_too_early_are_for_the_main_program() {
        let ready =
            |ms| Some(Ready { by: ReadyBy::Delay(Duration::from_millis(ms)), timeout: Duration::MAX });
        let second = Program { after: vec![ProgramId(0)], ready: ready(10), ..program("second") };
        let main = Program { main: true, after: vec![ProgramId(1)], ..program("main") };
        let mut bench = Bench::new(vec![Program { ready: ready(10), ..program("first") }, second, main]);
        bench.step(Event::Signal(crate::core::event::Received::from_kernel(Signal::HUP)));
        bench.asked();
        bench.at(20);
        let leader = bench.program(2).leader().unwrap();
        let told = Action::Signal(ProgramId(2), Target::Group(leader.group().unwrap()), Signal::HUP);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(1)), Action::Spawn(ProgramId(2)), told]);
    }

    #[test]
    fn signals_that_come_between_two_runs_are_for_neither() {
        let restart = crate::core::policy::Restart::Always;
        let mut bench =
            Bench::new(vec![Program { main: true, restart, ..program("main") }, program("other")]);
        bench.ends(0, 1, GroupState::Empty);
        bench.step(Event::Signal(crate::core::event::Received::from_kernel(Signal::HUP)));
        bench.asked();
        bench.at(1_000);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(0))]);
    }

    #[test]
    fn a_main_program_without_what_it_comes_after_ends_with_1_whatever_is_asked_later() {
        let main = Program { main: true, after: vec![ProgramId(0)], ..program("main") };
        let first = Program { oneshot: true, ..program("first") };
        let mut bench = Bench::new(vec![first, main, program("other")]);
        bench.ends(0, 9, GroupState::Empty);
        bench.signal(Signal::TERM);
        assert_eq!(bench.core.exit_code(), 1);
    }
}
