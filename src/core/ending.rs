//! What an exit means.

use super::action::Action;
use super::budget::Moment;
use super::children::Child;
use super::event::{GroupState, Reaped};
use super::plan::{End, OnFailure, ProgramId};
use super::process::{Exit, Pid};
use super::program::{Hold, Program, Readiness, State, StoppedBy};
use super::shutdown::{Reason, format_ms};
use super::{Core, timeline};
use log::Level;

impl Program {
    /// How its cascade went, once it is over; for people.
    pub fn how_it_stopped(&self) -> Option<(Level, String)> {
        let Self { exit, taken, stopped_by, .. } = self;
        let (exit, by, first, last) = (exit.as_ref()?, stopped_by.as_ref()?, taken.first()?, taken.last()?);
        let took = format_ms(last.until.unwrap_or(last.at).saturating_sub(first.at));
        if last.what != StoppedBy::KILL {
            return Some((Level::Info, format!("{exit} after {by}, in {took}")));
        }
        let ignored: Vec<String> = taken[..taken.len() - 1].iter().map(|t| t.what.to_string()).collect();
        let text = if ignored.is_empty() {
            format!("killed after {took}")
        } else {
            format!("killed after {took}: it did not end on {}", ignored.join(", "))
        };
        Some((Level::Warn, text))
    }
}

impl Core {
    pub(super) fn on_reaped(&mut self, reaped: &[Reaped], now: Moment, out: &mut Vec<Action>) {
        // Their numbers are free from now on: first it is forgotten whose they were, then decided what that means.
        let mut ended = Vec::new();
        for child in reaped {
            if let Some(known) = self.children.remove(child.pid) {
                ended.extend(self.forget(child.pid, known).then_some((known, child)));
            } else {
                self.reaped.orphans += 1;
            }
        }
        self.forget_escapees(reaped);
        if let Some(shutdown) = &mut self.shutdown {
            for child in reaped {
                shutdown.strays.ended(child.pid);
            }
        }
        for (child, reaped) in &ended {
            if let Child::Leader(id) = child {
                self.leader_ended(*id, Some(reaped.exit), now, out);
            }
        }
        if self.finished {
            return;
        }
        if self.ids().any(|id| self.has_ended_in_front(id)) {
            out.push(Action::TakeTerminal);
        }
        self.probe(out);
        for (child, reaped) in ended {
            match child {
                Child::Leader(_) => {}
                Child::StopCommand(id) => self.stop_command_ended(id, reaped.exit, now, out),
                Child::CheckCommand(id) => self.answered(id, reaped.exit == Exit::Code(0), now, out),
                Child::TmuxClient(id) => out.push(Action::Hear(id, reaped.exit)),
                Child::Pass => self.pass_ended(reaped.exit, out),
            }
        }
        if !reaped.is_empty() {
            self.look_again(now, out);
        }
    }

    /// The terminal is taken back from it before it is started again, which would read in the background, and while strays
    /// are waited for, so that Ctrl-C is heard. Whoever had it from that program may end later.
    fn has_ended_in_front(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        self.plan.programs[id].launch.foreground && program.pid.is_some() && program.leader().is_none()
    }

    /// True if somebody still waits for the child.
    fn forget(&mut self, pid: Pid, child: Child) -> bool {
        self.reaped.programs += 1;
        match child {
            Child::Leader(_) => true,
            Child::StopCommand(id) => self.forget_stop_command(id, pid),
            Child::CheckCommand(id) => self.forget_check_command(id, pid),
            Child::TmuxClient(id) => self.forget_client(id, pid),
            Child::Pass => self.cleaning.forget(pid),
        }
    }

    /// Any child may have been the last of a group whose leader is gone. Nothing may be started before that is known: a
    /// new process could get the number of such a group.
    fn probe(&self, out: &mut Vec<Action>) {
        for id in self.ids() {
            let program = &self.programs[id];
            if let (None, Some(pgid)) = (program.leader(), program.group()) {
                out.push(Action::Probe(id, pgid));
            }
        }
    }

    /// `None`: nobody knows how.
    pub(super) fn leader_ended(
        &mut self,
        id: ProgramId,
        exit: Option<Exit>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        self.cut_call(id, out);
        self.programs[id].exit = exit;
        let exit = exit.map_or_else(|| timeline::ENDED_SOMEHOW.to_owned(), |exit| exit.to_string());
        self.note(now, Some(id), exit.clone());
        let program = &mut self.programs[id];
        match &mut program.state {
            State::Running { pgid, .. } => {
                program.state = State::Leaderless { pgid: Some(*pgid) };
                program.stopped_by = Some(StoppedBy::Itself);
                // A main program's code is runinit's code, and so told already.
                let is_news = self.is_failure(id) && !self.plan.programs[id].main;
                let level = if is_news { Level::Warn } else { Level::Info };
                self.say(level, id, &exit, out);
                self.pass_on(id, self.programs[id].exit, out);
                self.decide(id, now, out);
            }
            State::Stopping { leader, .. } | State::Survived { leader, .. } => {
                *leader = None;
                self.seek(id);
                self.decide(id, now, out);
            }
            // Without a leader there is none to end.
            State::Waiting { .. }
            | State::Starting { .. }
            | State::Leaderless { .. }
            | State::Closing
            | State::Ended => {}
        }
        self.record_soon(now);
    }

    pub(super) fn on_group(&mut self, id: ProgramId, state: GroupState, now: Moment, out: &mut Vec<Action>) {
        match (&self.programs[id].state, state) {
            // It was known already that nobody is in it.
            (
                State::Leaderless { pgid: None }
                | State::Stopping { pgid: None, .. }
                | State::Survived { pgid: None, .. },
                _,
            ) => {}
            (State::Leaderless { .. }, GroupState::Alive) => {
                self.say(Level::Info, id, "has left processes behind", out);
                self.begin_cascade(id, now, out);
                self.probe_later(id, now);
            }
            (
                State::Leaderless { .. }
                | State::Stopping { leader: None, .. }
                | State::Survived { leader: None, .. },
                GroupState::Empty,
            ) => self.group_is_empty(id, now, out),
            (State::Stopping { leader: None, .. }, GroupState::Alive) => {
                self.go_on_without_leader(id, now, out);
                self.probe_later(id, now);
            }
            // The leader is a member: while it is not reaped the group is there, whatever a signal met.
            // Without a group there is nothing to hear about.
            (
                State::Running { .. }
                | State::Stopping { .. }
                | State::Survived { .. }
                | State::Waiting { .. }
                | State::Starting { .. }
                | State::Closing
                | State::Ended,
                _,
            ) => {}
        }
    }

    /// Nothing of it is left, neither in its group nor outside.
    pub(super) fn nothing_is_left(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.cut_stop_command(id, out);
        let program = &mut self.programs[id];
        program.close_last_step(now);
        let by_step = program.last_taken();
        let was_late = matches!(program.state, State::Survived { .. });
        program.state = State::Closing;
        program.escapees.clear();
        if program.stopped_by != Some(StoppedBy::Itself) {
            program.stopped_by = if was_late { Some(StoppedBy::Sweep) } else { by_step };
            self.tell_how_it_stopped(id, out);
        }
        self.record_soon(now);
        if self.plan.programs[id].is_agent() {
            self.close(id, now, out);
        } else {
            self.is_gone(id, now, out);
        }
    }

    /// Nothing of it is left, its session included.
    pub(super) fn is_gone(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.programs[id].state = State::Ended;
        if !self.succeed(id, now, out) && !self.held_ended(id, now, out) {
            self.restart_if_planned(id, now, out);
        }
    }

    fn tell_how_it_stopped(&self, id: ProgramId, out: &mut Vec<Action>) {
        if let Some((level, text)) = self.programs[id].how_it_stopped() {
            self.say(level, id, &text, out);
        }
    }

    /// Decides what the end of a program means for the others. Not for one that was stopped.
    pub(super) fn ended_for_good(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.on_end(id, now, out);
        if self.programs[id].readiness != Readiness::Ready {
            for dependent in self.tell_dependents(id, now, out) {
                self.on_end(dependent, now, out);
            }
        }
    }

    fn on_end(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() {
            return;
        }
        let spec = &self.plan.programs[id];
        if spec.main {
            self.begin_shutdown(Reason::MainExited, None, now, out);
            if let End::Leave(parting) = self.plan.end {
                self.leave(id, parting, now, out);
            }
        } else if self.is_failure(id) && spec.on_failure == OnFailure::Shutdown {
            self.begin_shutdown(Reason::ProgramFailed(id), None, now, out);
        } else {
            self.end_if_nobody_is_left(now, out);
        }
    }

    pub(super) fn end_if_nobody_is_left(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_none() && self.has_nobody_a_future() {
            self.begin_shutdown(Reason::AllExited, None, now, out);
        }
    }

    /// True if no program is left but those that are there for others. A server of a run before this one is there for
    /// nobody, and is waited for.
    pub(super) fn has_nobody_a_future(&self) -> bool {
        let mut all = self.programs.iter().enumerate().map(|(index, program)| (ProgramId(index), program));
        all.all(|(id, program)| {
            let is_for_others = self.plan.programs[id].is_server() && !self.is_left(id);
            let is_over = program.has_no_future() && program.hold == Hold::Free;
            is_for_others || is_over || !program.is_listed()
        })
    }

    /// True for a program whose last end was none that counts as a failure.
    pub fn has_ended_well(&self, id: ProgramId) -> bool {
        !self.is_failure(id)
    }

    pub(super) fn is_failure(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        let is_used_up = program.restarting.is_used_up;
        if program.fault.is_some() || program.failure.is_some() || is_used_up || program.was_given_up_without
        {
            return true;
        }
        match program.exit {
            Some(exit) => !self.plan.programs[id].success_codes.contains(&exit.code()),
            None => true,
        }
    }

    /// The code a program's end stands for; `None` if it never ran and nothing is known against it.
    pub(super) fn code(&self, id: ProgramId) -> Option<i32> {
        let program = &self.programs[id];
        program.failure.as_ref().map(self.plan.failed_start).or_else(|| program.exit.map(Exit::code))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::event::Event;
    use crate::core::plan::{Program, Step, StepAction};
    use crate::core::policy::{Check, Health};
    use crate::core::signal::Signal;
    use std::time::Duration;

    const FIRST: ProgramId = ProgramId(0);

    fn reaped(ends: &[(Pid, u8)]) -> Event {
        let child = |&(pid, code): &(Pid, u8)| Reaped { pid, exit: Exit::Code(code) };
        Event::Reaped(ends.iter().map(child).collect())
    }

    #[test]
    fn a_group_is_probed_before_anything_is_started_that_could_get_its_number() {
        let run = Step { action: StepAction::Run(vec!["stop".into()]), wait: Duration::from_secs(1) };
        let second = Program { stop: vec![run.clone(), run], ..program("second") };
        let mut bench = Bench::new(vec![program("first"), second]);
        bench.signal(Signal::TERM);
        let command = Pid::new(7).unwrap();
        bench.step(Event::StepSpawned(ProgramId(1), Some(command)));
        let leader = bench.program(0).leader().unwrap();
        let mut out = Vec::new();
        bench.core.step(reaped(&[(command, 1), (leader, 0)]), bench.now, &mut out);
        let place = |action: &Action| out.iter().position(|other| other == action).unwrap();
        let probe = Action::Probe(FIRST, leader.group().unwrap());
        assert!(place(&probe) < place(&Action::RunStep(ProgramId(1), 1)), "{out:?}");
    }

    #[test]
    fn a_command_that_ended_with_the_program_that_ends_all_is_not_killed() {
        let check = Check::Exec(vec!["check".into()]);
        let (every, timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        let health = Some(Health { check, every, timeout, failures: 1 });
        let main = Program { main: true, ..program("main") };
        let mut bench = Bench::new(vec![main, Program { health, ..program("other") }]);
        bench.at(1000);
        let command = Pid::new(7).unwrap();
        bench.step(Event::CheckSpawned(ProgramId(1), Some(command)));
        bench.asked();
        let leader = bench.program(0).leader().unwrap();
        bench.step(reaped(&[(leader, 0), (command, 1)]));
        let asked = bench.asked();
        assert!(!asked.iter().any(|action| matches!(action, Action::KillCommand(_))), "{asked:?}");
        assert_eq!(bench.core.reaped().programs, 2);
    }
}
