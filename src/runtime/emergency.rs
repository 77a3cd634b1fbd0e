//! After a panic: everything ends, without the core.

use super::Runtime;
use crate::core::budget::Moment;
use crate::core::process::Pid;
use crate::core::shutdown::INTERNAL_ERROR;
use crate::core::signal::Signal;
use crate::os::poller::Poller;
use crate::os::{kill, processes, reap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How often those who are left are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// SIGKILL after a bug, where the budget would never kill.
const LONGEST_GRACE: Duration = Duration::from_secs(9);

impl Runtime {
    /// Every program is a descendant, so everybody is treated as a stray: SIGTERM, the grace, SIGKILL. Returns the exit
    /// code.
    pub(super) fn end_after_panic(&mut self) -> u8 {
        let began = self.now();
        let budget = self.core.plan().budget;
        let kill_at = began + budget.time_to_kill().unwrap_or(LONGEST_GRACE);
        let ends_at = began + budget.length().unwrap_or(LONGEST_GRACE) + LOOK_EVERY;
        log::error!("runinit has met a bug of its own; stopping everything");
        self.signal_all(Signal::TERM);
        self.signal_all(Signal::CONT);
        let mut arrived = Vec::new();
        while self.now() < ends_at && self.is_anybody_left() {
            if self.now() >= kill_at {
                self.signal_all(Signal::KILL);
            }
            // For signals alone.
            Poller::default().wait(self.signals.as_fd(), Some(LOOK_EVERY), &mut Vec::new());
            while self.signals.read(&mut arrived) {}
            arrived.clear();
        }
        let now: Moment = self.now();
        // The bug may be in there.
        let _ = catch_unwind(AssertUnwindSafe(|| self.drain_outputs()));
        let recorded = catch_unwind(AssertUnwindSafe(|| {
            self.core.abandon(now);
            self.record(true);
        }));
        if recorded.is_err() {
            log::error!("the record could not be written either");
        }
        u8::try_from(INTERNAL_ERROR).unwrap_or(u8::MAX)
    }

    fn signal_all(&self, signal: Signal) {
        if self.own.number() == 1 {
            return kill::everybody(signal);
        }
        let pids: Vec<Pid> = processes::look(self.own).others.iter().map(|other| other.pid).collect();
        for pid in pids {
            // ESRCH: it has just ended.
            let _ = kill::process(pid, signal);
        }
    }

    fn is_anybody_left(&self) -> bool {
        while reap::reap(&mut reap::Changed::default()) == reap::Left::Perhaps {}
        !processes::look(self.own).alone
    }
}
