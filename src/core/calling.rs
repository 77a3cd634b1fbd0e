//! What tmux is asked: every question is a client with a deadline, whose answer comes when it comes.
//!
//! Nothing of a cascade waits for tmux: its steps need the kernel alone. A tmux that does not answer costs a program its
//! start, the knowledge of how it ended or its last screen, and never more time than the question has.

use super::Core;
use super::action::{Action, Question};
use super::budget::Moment;
use super::children::Child;
use super::event::{SpawnFailure, SpawnFailureKind};
use super::plan::{Kind, ProgramId};
use super::process::Pid;
use super::program::{Call, Fault, Program, State};
use crate::tmux::Ended;
use log::Level;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long in a shutdown, where one question may come after another.
const PATIENCE_AT_END: Duration = Duration::from_secs(1);
/// tmux may learn of an end a moment after runinit: it is asked again after this long, and then after twice as long each time.
const FIRST_AGAIN: Duration = Duration::from_millis(5);
/// No wait is longer; a session whose end tmux has not noticed after one of this length is closed all the same.
const LAST_AGAIN: Duration = Duration::from_millis(80);

/// A start that tmux does not answer, and may never have heard of.
pub fn unanswered() -> SpawnFailure {
    let message = "cannot start: tmux does not answer".to_owned();
    SpawnFailure { kind: SpawnFailureKind::NoRoom, errno: 0, message }
}

impl Program {
    /// When it is asked again, or is not waited for any longer.
    pub(super) fn call_deadline(&self) -> Option<Moment> {
        self.call.map(|call| call.again.map_or(call.until, |again| again.min(call.until)))
    }
}

impl Core {
    /// A start in which tmux has a part is answered later.
    pub(super) fn expect_start_by_tmux(&mut self, id: ProgramId, now: Moment) {
        if self.plan.programs[id].kind != Kind::Process {
            self.expect(id, Question::Start, now);
        }
    }

    fn expect(&mut self, id: ProgramId, question: Question, now: Moment) {
        let until = now + self.patience(now);
        let call = Call { question, command: None, until, again: None, waited: FIRST_AGAIN / 2 };
        self.programs[id].call = Some(call);
    }

    fn patience(&self, now: Moment) -> Duration {
        let Some(shutdown) = &self.shutdown else { return PATIENCE };
        let left = shutdown.ends_at.map(|end| end.saturating_sub(now) / 4);
        left.map_or(PATIENCE_AT_END, |left| left.min(PATIENCE_AT_END))
    }

    /// What was asked before the shutdown began is not waited for longer than what is asked in it.
    pub(super) fn squeeze_calls(&mut self, now: Moment) {
        let until = now + self.patience(now);
        for call in self.programs.iter_mut().filter_map(|program| program.call.as_mut()) {
            call.until = call.until.min(until);
        }
    }

    fn call(&mut self, id: ProgramId, question: Question, now: Moment, out: &mut Vec<Action>) {
        self.expect(id, question, now);
        out.push(Action::Call(id, question));
    }

    pub(super) fn on_called(
        &mut self,
        id: ProgramId,
        command: Option<Pid>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = &mut self.programs[id].call else { return };
        match command {
            Some(pid) => {
                call.command = Some(pid);
                self.children.insert(pid, Child::TmuxClient(id));
            }
            None => self.ask_again(id, now, out),
        }
    }

    /// True if its answer was still awaited.
    pub(super) fn forget_client(&mut self, id: ProgramId, pid: Pid) -> bool {
        let Some(call) = &mut self.programs[id].call else { return false };
        call.command.take_if(|command| *command == pid).is_some()
    }

    /// The answer is not awaited any longer.
    pub(super) fn cut_call(&mut self, id: ProgramId, out: &mut Vec<Action>) {
        let command = self.programs[id].call.take().and_then(|call| call.command);
        if let Some(pgid) = command.and_then(Pid::group) {
            out.push(Action::KillCommand(pgid));
        }
    }

    fn ask_again(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let Some(call) = &mut self.programs[id].call else { return };
        if matches!(call.question, Question::Start | Question::TakeBack) {
            // A start is tried again by the rules of starts.
            return self.give_up_call(id, now, out);
        }
        call.waited = (call.waited * 2).min(LAST_AGAIN);
        call.again = Some(now + call.waited);
        if call.waited >= LAST_AGAIN && call.question == (Question::Close { waits: true }) {
            call.question = Question::Close { waits: false };
        }
    }

    pub(super) fn call_again_or_give_up(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            let Some(call) = &mut self.programs[id].call else { continue };
            if call.until <= now {
                self.give_up_call(id, now, out);
            } else if call.again.is_some_and(|again| again <= now) {
                call.again = None;
                out.push(Action::Call(id, call.question));
            }
        }
    }

    fn give_up_call(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let Some(question) = self.programs[id].call.map(|call| call.question) else { return };
        self.cut_call(id, out);
        if question != Question::TakeBack {
            self.note(now, Some(id), "tmux does not answer");
            self.record_soon(now);
        }
        match question {
            // tmux may have been asked already, and do it later: it works off in turn what it was asked, even by those who have
            // gone.
            Question::Start
                if self.plan.programs[id].is_on_a_persons_server() && !self.patience(now).is_zero() =>
            {
                self.call(id, Question::TakeBack, now, out);
            }
            Question::Start | Question::TakeBack => self.on_spawned(id, Err(unanswered()), now, out),
            Question::End => self.end_is_known(id, Ended::Unknown, now, out),
            Question::Close { .. } => {
                self.say(Level::Warn, id, "tmux does not answer; its session was not closed", out);
                self.is_gone(id, now, out);
            }
        }
    }

    /// The leader of a program that is not runinit's own child has ended.
    pub(super) fn on_pane_ended(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let program = &self.programs[id];
        if self.plan.programs[id].is_server() {
            // Taken over from a run before this one; nobody is there who knew more.
            return self.end_is_known(id, Ended::Unknown, now, out);
        }
        if self.plan.programs[id].is_agent() && program.leader().is_some() && program.call.is_none() {
            self.call(id, Question::End, now, out);
        }
    }

    pub(super) fn on_end_told(&mut self, id: ProgramId, ended: Ended, now: Moment, out: &mut Vec<Action>) {
        if self.programs[id].call.is_none_or(|call| call.question != Question::End) {
            return;
        }
        match ended {
            Ended::NotYet => self.ask_again(id, now, out),
            Ended::With(_) | Ended::Unknown => self.end_is_known(id, ended, now, out),
        }
    }

    fn end_is_known(&mut self, id: ProgramId, ended: Ended, now: Moment, out: &mut Vec<Action>) {
        let Some(leader) = self.programs[id].leader() else { return };
        if self.children.get(leader) == Some(Child::Leader(id)) {
            self.children.remove(leader);
        }
        let exit = match ended {
            Ended::With(exit) => Some(exit),
            Ended::Unknown | Ended::NotYet => None,
        };
        self.leader_ended(id, exit, now, out);
        if let Some(pgid) = self.programs[id].group().filter(|_| !self.finished) {
            out.push(Action::Probe(id, pgid));
        }
    }

    /// Nothing of a program is left but its session.
    pub(super) fn close(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.call(id, Question::Close { waits: true }, now, out);
    }

    pub(super) fn on_closed(&mut self, id: ProgramId, is_closed: bool, now: Moment, out: &mut Vec<Action>) {
        if self.programs[id].state != State::Closing {
            return;
        }
        if is_closed {
            self.programs[id].call = None;
            self.record_soon(now);
            self.is_gone(id, now, out);
        } else {
            self.ask_again(id, now, out);
        }
    }

    /// The kernel has hung up on those whose server is gone. One that goes on all the same does so where nobody sees it.
    pub(super) fn stop_without_terminal(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            let is_gone = |server: &ProgramId| {
                self.plan.programs[*server].is_server() && self.programs[*server].leader().is_none()
            };
            let is_alone = self.plan.programs[id].is_agent() && self.stops_before(id).iter().any(is_gone);
            if is_alone && matches!(self.programs[id].state, State::Running { .. }) {
                self.stop_for(id, Fault::NoTerminal, now, out);
            }
        }
    }
}
