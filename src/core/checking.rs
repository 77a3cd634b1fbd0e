//! When a program is ready and when it is well.
//!
//! One question at a time: first until it is ready, then as often as its health is asked for. A program that is not
//! ready in time, or not well so many times in a row, is stopped by its cascade and has failed.

use super::action::{Action, Purpose};
use super::budget::Moment;
use super::children::Child;
use super::event::Notice;
use super::plan::ProgramId;
use super::policy::{Ready, ReadyBy};
use super::process::Pid;
use super::program::{Asked, Cascade, Fault, Program, Readiness, State};
use super::{Core, share};
use log::Level;
use std::time::Duration;

/// How often a program is asked whether it is ready.
const ASK_READY_EVERY: Duration = Duration::from_millis(100);
/// So many questions have time to be answered until a program has to be ready, however long each takes.
const READY_QUESTIONS: u32 = 3;
/// How often a tmux server is: others wait for it, and it takes a few milliseconds.
const ASK_SERVER_EVERY: Duration = Duration::from_millis(10);

impl Program {
    /// When a question is to be asked, or an answer, readiness or a word of its own is due.
    pub fn check_deadline(&self) -> Option<Moment> {
        if !matches!(self.state, State::Running { .. }) {
            return None;
        }
        let ready = match self.readiness {
            Readiness::NotYet { until } => until,
            Readiness::Ready => None,
        };
        let answer = self.asking.asked.and_then(|asked| asked.until);
        let word = self.watchdog.map(|watchdog| watchdog.until);
        [ready, self.asking.next, answer, word].into_iter().flatten().min()
    }
}

impl Core {
    /// A program has started.
    pub(super) fn await_readiness(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let spec = &self.plan.programs[id];
        let program = &mut self.programs[id];
        match &spec.ready {
            None if spec.oneshot => program.readiness = Readiness::NotYet { until: None },
            None => self.is_ready(id, now, out),
            Some(Ready { by: ReadyBy::Delay(delay), .. }) => {
                program.readiness = Readiness::NotYet { until: now.checked_add(*delay) };
            }
            Some(Ready { by, timeout }) => {
                program.readiness = Readiness::NotYet { until: now.checked_add(*timeout) };
                program.asking.next = matches!(by, ReadyBy::Check(_)).then_some(now);
            }
        }
    }

    pub(super) fn is_ready(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.stop_asking(id, out);
        let spec = &self.plan.programs[id];
        let every = spec.health.as_ref().map(|health| health.every);
        let tells = spec.ready.is_some();
        let program = &mut self.programs[id];
        program.readiness = Readiness::Ready;
        program.asking.next = every.and_then(|every| now.checked_add(every));
        if tells {
            self.note(now, Some(id), "ready");
            self.say(Level::Info, id, "is ready", out);
            self.record_soon(now);
        }
    }

    /// What is due about programs that run.
    pub(super) fn ask_and_give_up(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            let program = &self.programs[id];
            if program.check_deadline().is_none_or(|at| at > now) {
                continue;
            }
            if self.is_readiness_due(id, now) {
                match &self.plan.programs[id].ready {
                    Some(Ready { by: ReadyBy::Delay(_), .. }) => self.is_ready(id, now, out),
                    _ => self.stop_for(id, Fault::NotReady, now, out),
                }
            } else if self.is_silent(id, now) {
                if self.has_overslept(id, now) {
                    self.feed_watchdog(id, now);
                } else {
                    self.stop_for(id, Fault::Silent, now, out);
                }
            } else if program.asking.asked.is_some_and(|asked| asked.until.is_some_and(|at| at <= now)) {
                self.note(now, Some(id), "check took too long");
                self.stop_asking(id, out);
                self.answered(id, false, now, out);
            } else if program.asking.next.is_some_and(|at| at <= now) {
                self.ask(id, now, out);
            }
        }
    }

    fn is_readiness_due(&self, id: ProgramId, now: Moment) -> bool {
        matches!(self.programs[id].readiness, Readiness::NotYet { until: Some(until) } if until <= now)
    }

    fn ask(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let purpose = self.purpose(id);
        let spec = &self.plan.programs[id];
        let timeout = match purpose {
            // One that hangs, as a connection to what is not up yet may, must not be the only one.
            Purpose::Ready => spec.ready.as_ref().map(|ready| ready.timeout / READY_QUESTIONS),
            Purpose::Health => spec.health.as_ref().map(|health| health.timeout),
        };
        let asking = &mut self.programs[id].asking;
        asking.next = None;
        asking.asked = Some(Asked { until: timeout.and_then(|t| now.checked_add(t)), command: None });
        out.push(Action::Ask(id, purpose));
    }

    fn purpose(&self, id: ProgramId) -> Purpose {
        if self.programs[id].readiness == Readiness::Ready { Purpose::Health } else { Purpose::Ready }
    }

    pub(super) fn on_check_spawned(
        &mut self,
        id: ProgramId,
        pid: Option<Pid>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(pid) = pid else { return self.on_answer(id, false, now, out) };
        self.children.insert(pid, Child::CheckCommand(id));
        match &mut self.programs[id].asking.asked {
            Some(asked) => asked.command = Some(pid),
            // What else came of that step has stopped the program: another's end, say, that ends everything.
            None => out.extend(pid.group().map(Action::KillCommand)),
        }
    }

    /// True if its answer was still awaited.
    pub(super) fn forget_check_command(&mut self, id: ProgramId, pid: Pid) -> bool {
        self.programs[id].asking.asked.take_if(|asked| asked.command == Some(pid)).is_some()
    }

    pub(super) fn on_answer(&mut self, id: ProgramId, yes: bool, now: Moment, out: &mut Vec<Action>) {
        if self.programs[id].asking.asked.take().is_some() {
            self.answered(id, yes, now, out);
        }
    }

    pub(super) fn answered(&mut self, id: ProgramId, yes: bool, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() || !matches!(self.programs[id].state, State::Running { .. }) {
            return;
        }
        match (self.purpose(id), yes) {
            (Purpose::Ready, true) => self.is_ready(id, now, out),
            (Purpose::Ready, false) => {
                let is_server = self.plan.programs[id].is_server();
                let wait = if is_server { ASK_SERVER_EVERY } else { ASK_READY_EVERY };
                self.programs[id].asking.next = Some(now + wait);
            }
            (Purpose::Health, _) => self.health_answered(id, yes, now, out),
        }
    }

    fn health_answered(&mut self, id: ProgramId, yes: bool, now: Moment, out: &mut Vec<Action>) {
        let Some(health) = &self.plan.programs[id].health else { return };
        let (every, failures) = (health.every, health.failures);
        let asking = &mut self.programs[id].asking;
        asking.noes = if yes { 0 } else { asking.noes.saturating_add(1) };
        asking.next = now.checked_add(every);
        let noes = asking.noes;
        if noes > 0 {
            self.note(now, Some(id), format!("check failed, {noes} of {failures}"));
        }
        if noes >= failures {
            self.stop_for(id, Fault::Unhealthy, now, out);
        }
    }

    /// Stops a program that has failed although it runs.
    pub(super) fn stop_for(&mut self, id: ProgramId, fault: Fault, now: Moment, out: &mut Vec<Action>) {
        self.programs[id].fault = Some(fault);
        self.programs[id].readiness = Readiness::NotYet { until: None };
        self.note(now, Some(id), fault.to_string());
        self.say(Level::Error, id, format_args!("{fault}; stopping it"), out);
        self.begin_cascade(id, now, out);
    }

    pub(super) fn stop_asking(&mut self, id: ProgramId, out: &mut Vec<Action>) {
        let asking = &mut self.programs[id].asking;
        asking.next = None;
        let Some(asked) = asking.asked.take() else { return };
        match asked.command.and_then(Pid::group) {
            Some(pgid) => out.push(Action::KillCommand(pgid)),
            None => out.push(Action::StopAsking(id)),
        }
    }

    #[inline(never)]
    pub(super) fn on_notice(&mut self, id: ProgramId, notice: &Notice, now: Moment, out: &mut Vec<Action>) {
        let by = self.plan.programs[id].ready.as_ref().map(|ready| &ready.by);
        let is_told = matches!(by, Some(ReadyBy::Notify | ReadyBy::Descriptor(_)));
        let is_running = matches!(self.programs[id].state, State::Running { .. });
        match notice {
            Notice::Ready if is_told && is_running && self.purpose(id) == Purpose::Ready => {
                self.is_ready(id, now, out);
            }
            Notice::Stopping => self.note(now, Some(id), "says it is stopping"),
            Notice::Status(text) => self.programs[id].status = Some(text.clone()),
            Notice::Extend(time) => self.extend(id, *time, now),
            Notice::Unwell if is_running && self.shutdown.is_none() => {
                self.stop_for(id, Fault::Unhealthy, now, out);
            }
            Notice::Watchdog(every) if is_running => self.set_watchdog(id, *every, now),
            Notice::Alive => self.feed_watchdog(id, now),
            Notice::Ready | Notice::Unwell | Notice::Watchdog(_) => {}
        }
    }

    /// A program asks for more time: to be ready, or to stop. In a shutdown it may have all there is, shared with those that
    /// can only stop after it.
    fn extend(&mut self, id: ProgramId, time: Duration, now: Moment) {
        let left = self.time_to_kill(now);
        let asked = left.map_or(time, |left| time.min(left));
        let program = &mut self.programs[id];
        match (&mut program.state, &mut program.readiness) {
            (State::Running { .. }, Readiness::NotYet { until: Some(ready_by) }) => {
                *ready_by = now.saturating_add(time).max(*ready_by);
            }
            (State::Stopping { cascade: Cascade { step, until: Some(due), .. }, .. }, _) => {
                let (step, due) = (*step, *due);
                let until = now.saturating_add(share::wait(asked, self.need_after(id, step), left)).max(due);
                if let State::Stopping { cascade, .. } = &mut self.programs[id].state {
                    cascade.until = Some(until);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::action::Target;
    use crate::core::event::{Event, GroupState};
    use crate::core::plan;
    use crate::core::policy::{Check, Health};
    use crate::core::signal::Signal;

    const FIRST: ProgramId = ProgramId(0);

    fn file() -> Check {
        Check::File("/ready".into())
    }

    fn with_ready(by: ReadyBy) -> Vec<plan::Program> {
        let ready = Some(Ready { by, timeout: Duration::from_secs(5) });
        let first = plan::Program { ready, ..program("first") };
        vec![first, plan::Program { after: vec![FIRST], ..program("second") }]
    }

    fn with_health() -> Vec<plan::Program> {
        let (every, timeout) = (Duration::from_secs(10), Duration::from_secs(3));
        vec![plan::Program {
            health: Some(Health { check: file(), every, timeout, failures: 2 }),
            ..program("first")
        }]
    }

    fn is_term_sent(bench: &mut Bench) -> bool {
        let is_term =
            |action: &Action| matches!(action, Action::Signal(FIRST, Target::Group(_), Signal::TERM));
        bench.asked().iter().any(is_term)
    }

    #[test]
    fn those_after_it_wait_until_it_is_ready() {
        let mut bench = Bench::new(with_ready(ReadyBy::Check(file())));
        assert!(bench.asked().contains(&Action::Ask(FIRST, Purpose::Ready)));
        bench.step(Event::Checked(FIRST, false));
        bench.at(50);
        assert_eq!(bench.asked(), [], "asked again too soon");
        bench.at(100);
        assert_eq!(bench.asked(), [Action::Ask(FIRST, Purpose::Ready)]);
        bench.step(Event::Checked(FIRST, true));
        bench.at(101);
        assert_eq!(bench.starts(1), 1);
    }

    #[test]
    fn a_delay_is_ready_when_it_is_over() {
        let mut bench = Bench::new(with_ready(ReadyBy::Delay(Duration::from_millis(300))));
        bench.at(299);
        assert_eq!(bench.starts(1), 0);
        bench.at(300);
        assert_eq!(bench.starts(1), 1);
    }

    #[test]
    fn a_word_of_its_own_makes_it_ready_if_that_is_the_way() {
        let mut bench = Bench::new(with_ready(ReadyBy::Notify));
        bench.step(Event::Notified(FIRST, Notice::Ready));
        bench.at(1);
        assert_eq!(bench.starts(1), 1);
        let mut bench = Bench::new(with_ready(ReadyBy::Check(file())));
        bench.step(Event::Notified(FIRST, Notice::Ready));
        bench.at(1);
        assert_eq!(bench.starts(1), 0);
    }

    #[test]
    fn one_that_is_not_ready_in_time_is_stopped_and_those_after_it_are_told() {
        let mut bench = Bench::new(with_ready(ReadyBy::Notify));
        bench.at(5_000);
        assert!(is_term_sent(&mut bench));
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.program(1).state, State::Ended);
        assert_eq!(bench.core.exit_code(), 1);
    }

    #[test]
    fn a_main_program_that_was_stopped_for_a_fault_has_failed_whatever_its_code() {
        for (code, expected) in [(0, 1), (3, 3)] {
            let main = plan::Program { main: true, ..program("main") };
            let mut bench = Bench::new(vec![main, program("other")]);
            bench.step(Event::Notified(FIRST, Notice::Unwell));
            bench.ends(0, code, GroupState::Empty);
            assert_eq!(bench.core.exit_code(), expected);
        }
    }

    #[test]
    fn more_time_is_given_on_request() {
        let mut bench = Bench::new(with_ready(ReadyBy::Notify));
        bench.at(4_000);
        bench.step(Event::Notified(FIRST, Notice::Extend(Duration::from_secs(4))));
        bench.at(7_999);
        assert!(!is_term_sent(&mut bench));
        bench.at(8_000);
        assert!(is_term_sent(&mut bench));
    }

    #[test]
    fn more_time_to_stop_leaves_time_to_those_that_stop_later() {
        let mut bench =
            Bench::new(vec![program("db"), plan::Program { after: vec![FIRST], ..program("web") }]);
        bench.signal(Signal::TERM);
        assert_eq!(bench.told_to_stop(), [1]);
        bench.step(Event::Notified(ProgramId(1), Notice::Extend(Duration::from_mins(1))));
        // Of the 8.1 s that there are for cascades it gets what two need of which one wants all and the other 5 s.
        bench.at(5_000);
        assert_eq!(bench.asked(), [Action::LookForLate]);
        bench.at(5_010);
        let kill = Action::Signal(ProgramId(1), bench.core.target(ProgramId(1)).unwrap(), Signal::KILL);
        assert_eq!(bench.asked(), [kill]);
        bench.ends(1, 0, GroupState::Empty);
        assert_eq!(bench.told_to_stop(), [0]);
    }

    #[test]
    fn an_unready_oneshot_is_ready_by_its_end() {
        let mut programs = with_ready(ReadyBy::Notify);
        programs[0].ready = None;
        programs[0].oneshot = true;
        let mut bench = Bench::new(programs);
        assert_eq!(bench.starts(1), 0);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(bench.starts(1), 1);
    }

    #[test]
    fn so_many_noes_in_a_row_stop_it_and_a_yes_forgives() {
        let mut bench = Bench::new(with_health());
        for (at, answer) in [(10_000, false), (20_000, true), (30_000, false)] {
            bench.at(at);
            assert!(bench.asked().contains(&Action::Ask(FIRST, Purpose::Health)), "at {at}");
            bench.step(Event::Checked(FIRST, answer));
        }
        assert!(!is_term_sent(&mut bench));
        bench.at(40_000);
        bench.step(Event::Checked(FIRST, false));
        assert!(is_term_sent(&mut bench));
    }

    #[test]
    fn a_check_whose_answer_is_not_awaited_any_more_is_ended_as_soon_as_it_is_known() {
        let mut bench = Bench::new(with_health());
        bench.at(10_000);
        bench.signal(Signal::TERM);
        bench.asked();
        let pid = Pid::new(500).unwrap();
        bench.step(Event::CheckSpawned(FIRST, Some(pid)));
        assert_eq!(bench.asked(), [Action::KillCommand(pid.group().unwrap())]);
        assert!(bench.core.is_child(pid));
    }

    #[test]
    fn a_check_that_hangs_is_ended_and_is_a_no() {
        let mut bench = Bench::new(with_health());
        bench.at(10_000);
        let pid = Pid::new(500).unwrap();
        bench.step(Event::CheckSpawned(FIRST, Some(pid)));
        bench.asked();
        bench.at(12_999);
        assert_eq!(bench.asked(), [], "never two at a time");
        bench.at(13_000);
        assert_eq!(bench.asked(), [Action::KillCommand(pid.group().unwrap())]);
        assert_eq!(bench.program(0).asking.noes, 1);
    }

    #[test]
    fn whether_it_is_ready_is_asked_again_where_an_answer_does_not_come() {
        let check = Check::Exec(vec!["check".into()]);
        let ready = Some(Ready { by: ReadyBy::Check(check), timeout: Duration::from_secs(6) });
        let mut bench = Bench::new(vec![plan::Program { ready, ..program("first") }]);
        let pid = Pid::new(500).unwrap();
        bench.step(Event::CheckSpawned(FIRST, Some(pid)));
        bench.asked();
        bench.at(1_999);
        assert_eq!(bench.asked(), []);
        bench.at(2_100);
        let killed = Action::KillCommand(pid.group().unwrap());
        assert_eq!(bench.asked(), [killed, Action::Ask(FIRST, Purpose::Ready)]);
    }

    #[test]
    fn nobody_is_asked_while_stopping() {
        let mut bench = Bench::new(with_health());
        bench.at(10_000);
        bench.asked();
        bench.signal(Signal::TERM);
        assert!(bench.asked().contains(&Action::StopAsking(FIRST)));
        bench.at(13_000);
        assert!(!bench.asked().iter().any(|action| matches!(action, Action::Ask(..))));
    }

    #[test]
    fn in_a_shutdown_nobody_is_stopped_for_being_unwell() {
        let mut programs = with_health();
        programs.push(plan::Program { after: vec![FIRST], ..program("second") });
        let mut bench = Bench::new(programs);
        bench.at(10_000);
        assert!(bench.asked().contains(&Action::Ask(FIRST, Purpose::Health)));
        bench.signal(Signal::TERM);
        assert!(bench.asked().contains(&Action::StopAsking(FIRST)));
        bench.step(Event::Checked(FIRST, false));
        bench.step(Event::Notified(FIRST, Notice::Unwell));
        bench.at(14_000);
        assert_eq!(bench.asked(), [], "the second, which comes after it, has not stopped yet");
    }
}
