//! Where a signal goes.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::event::Received;
use super::plan::ProgramId;
use super::program::State;
use super::shutdown::Reason;
use super::signal::Signal;
use log::Level;

impl Core {
    pub(super) fn on_signal(&mut self, received: Received, now: Moment, out: &mut Vec<Action>) {
        let signal = received.signal;
        if !self.is_forwarded(signal) {
            return;
        }
        if self.asks_to_stop(signal) {
            match &self.shutdown {
                None => self.begin_shutdown(Reason::Asked, Some(received), now, out),
                Some(shutdown) if shutdown.received.is_some() => self.stop_now(now, out),
                Some(_) => self.join_shutdown(received, now),
            }
            return;
        }
        if let Some(starting) = self.ids().find(|id| self.is_main_waiting(*id)) {
            self.early.insert(signal);
            self.say(Level::Debug, starting, &format!("{signal} is kept until it has started"), out);
        }
        for id in self.ids() {
            self.forward_to(id, signal, out);
        }
    }

    /// SIGCHLD is about runinit's own children; the stop signals of a terminal are job control.
    fn is_forwarded(&self, signal: Signal) -> bool {
        let kept = [Signal::CHLD, Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
        !kept && self.plan.rewrite.get(&signal) != Some(&None)
    }

    fn asks_to_stop(&self, signal: Signal) -> bool {
        signal == Signal::TERM || (self.plan.interrupt_stops && [Signal::INT, Signal::QUIT].contains(&signal))
    }

    fn is_main_waiting(&self, id: ProgramId) -> bool {
        self.plan.programs[id.0].main && matches!(self.programs[id.0].state, State::Waiting { .. })
    }

    pub(super) fn forward_to(&self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        let rewritten = self.rewritten(signal).and_then(|signal| {
            self.plan.programs[id.0].signals.get(&signal).copied().unwrap_or(Some(signal))
        });
        if let (Some(target), Some(signal)) = (self.target(id), rewritten) {
            out.push(Action::Signal(id, target, signal));
        }
    }

    /// What a signal is to every program; `None` if it is dropped.
    pub(super) fn rewritten(&self, signal: Signal) -> Option<Signal> {
        self.plan.rewrite.get(&signal).copied().unwrap_or(Some(signal))
    }
}
