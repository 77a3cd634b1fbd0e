//! What an exit means.

use super::action::Action;
use super::budget::Moment;
use super::event::{GroupState, Reaped};
use super::plan::{End, OnFailure, ProgramId};
use super::process::Exit;
use super::program::{Program, Readiness, State, StoppedBy};
use super::shutdown::{Reason, format_ms};
use super::signal::Signal;
use super::{Child, Core};
use log::Level;

impl Core {
    pub(super) fn on_reaped(&mut self, reaped: &[Reaped], now: Moment, out: &mut Vec<Action>) {
        for child in reaped {
            match self.children.remove(&child.pid) {
                Some(Child::Leader(id)) => {
                    self.reaped.programs += 1;
                    self.leader_ended(id, child.exit, now, out);
                }
                Some(Child::StopCommand(id)) => {
                    self.reaped.programs += 1;
                    self.stop_command_ended(id, child.exit, now, out);
                }
                Some(Child::CheckCommand(id)) => {
                    self.reaped.programs += 1;
                    self.check_command_ended(id, child.pid, child.exit, now, out);
                }
                None => self.reaped.orphans += 1,
            }
        }
        // Any child may have been the last of a group whose leader is gone.
        for id in self.ids() {
            let program = &self.programs[id.0];
            if let (None, Some(pgid)) = (program.leader(), program.group()) {
                out.push(Action::Probe(id, pgid));
            }
        }
        if !reaped.is_empty() {
            self.look_again();
        }
    }

    fn leader_ended(&mut self, id: ProgramId, exit: Exit, now: Moment, out: &mut Vec<Action>) {
        let program = &mut self.programs[id.0];
        program.exit = Some(exit);
        self.note(now, Some(id), exit.to_string());
        let program = &mut self.programs[id.0];
        match &mut program.state {
            State::Running { pgid, .. } => {
                program.state = State::Leaderless { pgid: *pgid };
                program.stopped_by = Some(StoppedBy::Itself);
                // A main program's code is runinit's code, and so told already.
                let is_news = self.is_failure(id) && !self.plan.programs[id.0].main;
                let level = if is_news { Level::Warn } else { Level::Info };
                self.say(level, id, &exit.to_string(), out);
                self.decide(id, now, out);
            }
            State::Stopping { leader, .. } | State::Survived { leader, .. } => {
                *leader = None;
                self.decide(id, now, out);
            }
            // Without a leader there is none to end.
            State::Waiting { .. } | State::Starting { .. } | State::Leaderless { .. } | State::Ended => {}
        }
        self.record_soon(now);
    }

    pub(super) fn on_group(&mut self, id: ProgramId, state: GroupState, now: Moment, out: &mut Vec<Action>) {
        match (&self.programs[id.0].state, state) {
            (State::Leaderless { .. }, GroupState::Alive) => {
                self.say(Level::Info, id, "has left processes behind", out);
                self.begin_cascade(id, now, out);
            }
            (
                State::Leaderless { .. }
                | State::Stopping { leader: None, .. }
                | State::Survived { leader: None, .. },
                GroupState::Empty,
            ) => self.group_ended(id, now, out),
            (State::Stopping { leader: None, .. }, GroupState::Alive) => {
                self.leave_step_for_leader(id, now, out);
            }
            // The leader is a member: while it is not reaped the group is there, whatever a signal met.
            // Without a group there is nothing to hear about.
            (
                State::Running { .. }
                | State::Stopping { .. }
                | State::Survived { .. }
                | State::Waiting { .. }
                | State::Starting { .. }
                | State::Ended,
                _,
            ) => {}
        }
    }

    fn group_ended(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.cut_stop_command(id, out);
        let program = &mut self.programs[id.0];
        program.close_last_step(now);
        let by_step = program.taken.last().map(|taken| taken.what);
        let was_late = matches!(program.state, State::Survived { .. });
        program.state = State::Ended;
        if program.stopped_by != Some(StoppedBy::Itself) {
            program.stopped_by = if was_late { Some(StoppedBy::Sweep) } else { by_step };
            self.tell_how_it_stopped(id, out);
        }
        self.record_soon(now);
        if !self.succeed(id, now, out) {
            self.restart_if_planned(id, now, out);
        }
    }

    fn tell_how_it_stopped(&self, id: ProgramId, out: &mut Vec<Action>) {
        let Program { exit, taken, stopped_by, .. } = &self.programs[id.0];
        let (Some(exit), Some(by), Some(first), Some(last)) = (exit, stopped_by, taken.first(), taken.last())
        else {
            return;
        };
        let took = last.until.unwrap_or(last.at).saturating_sub(first.at);
        let took = format_ms(took);
        if last.what == StoppedBy::Signal(Signal::KILL) {
            let ignored: Vec<String> = taken[..taken.len() - 1].iter().map(|t| t.what.to_string()).collect();
            let text = if ignored.is_empty() {
                format!("killed after {took}")
            } else {
                format!("killed after {took}: it did not end on {}", ignored.join(", "))
            };
            self.say(Level::Warn, id, &text, out);
        } else {
            self.say(Level::Info, id, &format!("{exit} after {by}, in {took}"), out);
        }
    }

    /// Decides what the end of a program means for the others. Not for one that was stopped.
    pub(super) fn ended_for_good(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.on_end(id, now, out);
        if self.programs[id.0].readiness != Readiness::Ready {
            for dependent in self.tell_dependents(id, now, out) {
                self.on_end(dependent, now, out);
            }
        }
    }

    fn on_end(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        if self.shutdown.is_some() {
            return;
        }
        let spec = &self.plan.programs[id.0];
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
        if self.shutdown.is_none() && self.programs.iter().all(Program::has_no_future) {
            self.begin_shutdown(Reason::AllExited, None, now, out);
        }
    }

    pub(super) fn is_failure(&self, id: ProgramId) -> bool {
        if self.programs[id.0].fault.is_some() {
            return true;
        }
        match self.programs[id.0].exit {
            Some(exit) => !self.plan.programs[id.0].success_codes.contains(&exit.code()),
            None => true,
        }
    }

    /// The code a program's end stands for; `None` if it never ran and nothing is known against it.
    pub(super) fn code(&self, id: ProgramId) -> Option<i32> {
        let program = &self.programs[id.0];
        program.exit.map(Exit::code).or_else(|| program.failure.as_ref().map(self.plan.failed_start))
    }
}
