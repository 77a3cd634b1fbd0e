//! A cascade, step by step.

use super::action::{Action, Target};
use super::budget::Moment;
use super::plan::{ProgramId, Step, StepAction};
use super::process::{Exit, Pgid, Pid};
use super::program::{Cascade, State, StoppedBy, Taken};
use super::signal::Signal;
use super::{Core, share};
use log::Level;
use std::time::Duration;

/// How long a SIGKILL that nobody wrote down is waited for.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(2);

impl Core {
    /// Takes the first step against a program of which something is alive.
    pub(super) fn begin_cascade(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.stop_asking(id, out);
        let program = &mut self.programs[id.0];
        let Some(pgid) = program.group() else { return };
        let leader = program.leader();
        program.taken.clear();
        program.state =
            State::Stopping { leader, pgid, cascade: Cascade { step: 0, until: None, command: None } };
        self.enter_step(id, 0, now, out);
    }

    /// Goes on to the next step, or gives the program up if SIGKILL was the last.
    pub(super) fn next_step(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        if let State::Stopping { cascade, .. } = self.programs[id.0].state {
            self.enter_step(id, cascade.step + 1, now, out);
        }
    }

    /// Goes to the SIGKILL at once.
    pub(super) fn kill_now(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let steps = &self.plan.programs[id.0].stop;
        let kill = steps.iter().position(Step::is_kill).unwrap_or(steps.len());
        match self.programs[id.0].state {
            State::Stopping { cascade, .. } if cascade.step >= kill => {}
            State::Stopping { .. } => self.enter_step(id, kill, now, out),
            State::Running { leader, pgid } => self.kill_from(id, Some(leader), pgid, kill, now, out),
            State::Leaderless { pgid } => self.kill_from(id, None, pgid, kill, now, out),
            State::Waiting { .. } | State::Starting { .. } | State::Survived { .. } | State::Ended => {}
        }
    }

    fn kill_from(
        &mut self,
        id: ProgramId,
        leader: Option<Pid>,
        pgid: Pgid,
        kill: usize,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        self.stop_asking(id, out);
        let cascade = Cascade { step: kill, until: None, command: None };
        self.programs[id.0].state = State::Stopping { leader, pgid, cascade };
        self.enter_step(id, kill, now, out);
    }

    pub(super) fn end_overdue_steps(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            // A step may be due the moment it begins: a budget that is used up leaves no waits.
            while let State::Stopping { cascade: Cascade { until: Some(until), .. }, .. } =
                self.programs[id.0].state
                && until <= now
            {
                self.next_step(id, now, out);
            }
        }
    }

    fn enter_step(&mut self, id: ProgramId, step: usize, now: Moment, out: &mut Vec<Action>) {
        self.cut_stop_command(id, out);
        self.programs[id.0].close_last_step(now);
        let State::Stopping { leader, pgid, .. } = self.programs[id.0].state else { return };
        let killed =
            self.programs[id.0].taken.last().is_some_and(|t| t.what == StoppedBy::Signal(Signal::KILL));
        let written = self.plan.programs[id.0].stop.get(step).map(|step| step.action.clone());
        let what = match written {
            _ if killed => return self.survived(id, now, out),
            Some(StepAction::Run(_) | StepAction::Stdin(_)) if leader.is_none() => {
                return self.enter_step(id, step + 1, now, out);
            }
            Some(StepAction::Run(_)) => StoppedBy::Run,
            Some(StepAction::Stdin(_)) => StoppedBy::Stdin,
            Some(StepAction::Signal(signal)) => StoppedBy::Signal(signal),
            Some(StepAction::Received) => StoppedBy::Signal(self.received_signal()),
            // Only a cascade that never kills (forever) has an end before its SIGKILL, and only a second signal that
            // means now goes on from there.
            None if self.is_now() => StoppedBy::Signal(Signal::KILL),
            None => return self.wait_for_ever(id),
        };
        let until = self.step_ends(id, step, what, now);
        let cascade = Cascade { step, until, command: None };
        self.programs[id.0].state = State::Stopping { leader, pgid, cascade };
        self.programs[id.0].taken.push(Taken { what, at: now, until: None });
        self.note(now, Some(id), what.to_string());
        match what {
            StoppedBy::Run => out.push(Action::RunStep(id, step)),
            StoppedBy::Stdin => out.push(Action::WriteStdin(id, step)),
            StoppedBy::Signal(Signal::KILL) => {
                out.push(Action::Signal(id, Target::Group(pgid), Signal::KILL));
            }
            StoppedBy::Signal(signal) => self.signal_to_stop(id, signal, out),
            StoppedBy::Itself | StoppedBy::Sweep | StoppedBy::Nothing => {}
        }
    }

    /// A stopped process hears nothing but SIGKILL and SIGCONT (signal(7)), so SIGCONT follows.
    fn signal_to_stop(&self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        if let Some(target) = self.target(id) {
            out.push(Action::Signal(id, target, signal));
            if signal != Signal::CONT {
                out.push(Action::Signal(id, target, Signal::CONT));
            }
        }
    }

    fn received_signal(&self) -> Signal {
        let received = self.shutdown.as_ref().and_then(|s| s.received.as_ref()).map(|r| r.signal);
        received.and_then(|signal| self.rewritten(signal)).unwrap_or(Signal::TERM)
    }

    /// When the step that begins now is over. The budget cuts waits short, never the SIGKILL.
    fn step_ends(&self, id: ProgramId, step: usize, what: StoppedBy, now: Moment) -> Option<Moment> {
        let steps = &self.plan.programs[id.0].stop;
        let own = steps.get(step).map_or(KILL_WAIT, |step| step.wait);
        if what == StoppedBy::Signal(Signal::KILL) {
            // Survivors must not use up the time of those that come after them.
            let left = self.shutdown.as_ref().and_then(|s| s.ends_at).map(|end| end.saturating_sub(now) / 4);
            return Some(now + left.map_or(own, |left| own.min(left)));
        }
        if step + 1 == steps.len() {
            return None;
        }
        let left = self.shutdown.as_ref().and_then(|s| s.kill_at).map(|kill_at| kill_at.saturating_sub(now));
        now.checked_add(share::wait(own, self.need_after(id, step), left))
    }

    /// What the steps after this one, and the programs after this one, need until their SIGKILLs.
    fn need_after(&self, id: ProgramId, step: usize) -> Duration {
        let others = self.shutdown.as_ref().map_or(Duration::ZERO, |s| s.time_after[id.0]);
        self.need_from(id, step + 1).saturating_add(others)
    }

    /// What a program's steps from this one on need until its SIGKILL.
    pub(super) fn need_from(&self, id: ProgramId, step: usize) -> Duration {
        let steps = self.plan.programs[id.0].stop.iter().skip(step);
        steps
            .take_while(|step| !step.is_kill())
            .fold(Duration::ZERO, |sum, step| sum.saturating_add(step.wait))
    }

    /// Cuts the waits of cascades that began before the shutdown did.
    pub(super) fn squeeze_running_cascades(&mut self, now: Moment) {
        for id in self.ids() {
            let State::Stopping { cascade, .. } = self.programs[id.0].state else { continue };
            let Some(until) = cascade.until else { continue };
            let left =
                self.shutdown.as_ref().and_then(|s| s.kill_at).map(|kill_at| kill_at.saturating_sub(now));
            let wait = share::wait(until.saturating_sub(now), self.need_after(id, cascade.step), left);
            if let State::Stopping { cascade, .. } = &mut self.programs[id.0].state {
                cascade.until = Some(now + wait);
            }
        }
    }

    pub(super) fn stop_command_ended(
        &mut self,
        id: ProgramId,
        exit: Exit,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let State::Stopping { cascade, .. } = &mut self.programs[id.0].state else { return };
        if cascade.command.take().is_some() && exit != Exit::Code(0) {
            self.note(now, Some(id), format!("stop command {exit}"));
            self.say(Level::Warn, id, &format!("its stop command {exit}"), out);
            self.next_step(id, now, out);
        }
    }

    pub(super) fn on_stdin_written(
        &mut self,
        id: ProgramId,
        written: bool,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let asked = self.programs[id.0].taken.last().is_some_and(|t| t.what == StoppedBy::Stdin);
        if asked && !written {
            self.say(Level::Warn, id, "its standard input takes nothing", out);
            self.next_step(id, now, out);
        }
    }

    /// A command or a text was for the leader; what it left behind only understands signals.
    pub(super) fn leave_step_for_leader(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let for_leader = |t: &Taken| matches!(t.what, StoppedBy::Run | StoppedBy::Stdin);
        if self.programs[id.0].taken.last().is_some_and(for_leader) {
            self.next_step(id, now, out);
        }
    }

    pub(super) fn cut_stop_command(&mut self, id: ProgramId, out: &mut Vec<Action>) {
        if let State::Stopping { cascade, .. } = &mut self.programs[id.0].state
            && let Some(pgid) = cascade.command.take().and_then(Pid::group)
        {
            out.push(Action::KillCommand(pgid));
        }
    }

    fn wait_for_ever(&mut self, id: ProgramId) {
        if let State::Stopping { cascade, .. } = &mut self.programs[id.0].state {
            cascade.until = None;
        }
    }

    fn survived(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let State::Stopping { leader, pgid, .. } = self.programs[id.0].state else { return };
        self.programs[id.0].state = State::Survived { leader, pgid };
        self.programs[id.0].stopped_by = Some(StoppedBy::Nothing);
        self.note(now, Some(id), "survived SIGKILL");
        self.say(Level::Error, id, "is still there after SIGKILL", out);
        self.record_soon(now);
    }
}
