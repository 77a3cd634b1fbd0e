//! kill(2), and what a signal does.

use super::fake_kernel::{Condition, FakeKernel, Process};
use super::life::Deed;
use crate::core::process::{Exit, Pgid, Pid};
use crate::core::signal::Signal;
use std::rc::Rc;

/// What kill(2) answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// ESRCH
    Nobody,
    /// EPERM: nobody there may be signalled.
    Forbidden,
}

impl FakeKernel {
    pub(super) fn kill_group(&mut self, pgid: Pgid, signal: Signal) -> Answer {
        self.kill_all(signal, |process| process.pgid == pgid.number())
    }

    pub(super) fn kill_process(&mut self, pid: Pid, signal: Signal) -> Answer {
        self.kill_all(signal, |process| process.pid == pid.number())
    }

    /// Everybody in the namespace but runinit itself.
    pub(super) fn kill_everybody(&mut self, signal: Signal) {
        self.kill_all(signal, |_| true);
    }

    fn kill_all(&mut self, signal: Signal, is_meant: impl Fn(&Process) -> bool) -> Answer {
        let meant: Vec<(i32, bool)> =
            self.processes.values().filter(|p| is_meant(p)).map(|p| (p.pid, p.is_anothers)).collect();
        let allowed: Vec<i32> =
            meant.iter().filter(|(_, is_anothers)| !is_anothers).map(|(pid, _)| *pid).collect();
        for pid in &allowed {
            if let Some(process) = self.processes.get_mut(pid) {
                process.heard.insert(signal);
            }
            self.deliver(*pid, signal);
        }
        match (meant.is_empty(), allowed.is_empty()) {
            (true, _) => Answer::Nobody,
            (false, true) => Answer::Forbidden,
            (false, false) => Answer::Done,
        }
    }

    /// A signal reaches a process.
    pub(super) fn deliver(&mut self, pid: i32, signal: Signal) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.is_zombie() {
            return;
        }
        if signal == Signal::KILL {
            process.killed_at.get_or_insert(now);
            return self.die_of(pid, signal);
        }
        if signal == Signal::CONT && process.condition == Condition::Stopped {
            process.condition = Condition::Running;
            if !process.is_stuck {
                return self.catch_up(pid);
            }
        }
        if process.is_stuck || process.condition == Condition::Stopped {
            process.pending.insert(signal);
            return;
        }
        let life = Rc::clone(&process.life);
        match life.handlers.get(&signal).filter(|_| signal != Signal::STOP) {
            Some(deeds) => self.schedule(pid, deeds),
            None if is_ignored_by_default(signal) => {}
            None if stops_by_default(signal) => self.stop(pid, signal),
            None => self.die_of(pid, signal),
        }
    }

    fn die_of(&mut self, pid: i32, signal: Signal) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.is_dying = true;
        }
        let latency = self.random.time(self.machine.latency);
        self.schedule(pid, &vec![(latency, Deed::End(Exit::Signal(signal)))]);
    }
}

/// SIGCHLD, SIGCONT, SIGURG and SIGWINCH.
fn is_ignored_by_default(signal: Signal) -> bool {
    [17, 18, 23, 28].contains(&signal.number())
}

fn stops_by_default(signal: Signal) -> bool {
    [Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal)
}
