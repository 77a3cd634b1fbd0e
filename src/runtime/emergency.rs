//! After a panic: everything ends, without the core.

use super::Runtime;
use crate::core::budget::Moment;
use crate::core::event::Look;
use crate::core::process::Pid;
use crate::core::shutdown::INTERNAL_ERROR;
use crate::core::signal::Signal;
use crate::os::{kill, processes, reap};
use std::collections::BTreeSet;
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
        let mut asked = BTreeSet::new();
        let mut arrived = Vec::new();
        while self.now() < ends_at {
            let Some(left) = self.who_is_left() else { break };
            if self.now() >= kill_at {
                self.kill_all(&left);
            } else {
                self.ask_all(&left, &mut asked);
            }
            self.signals.wait(Some(LOOK_EVERY), &mut arrived);
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
        let _ = catch_unwind(AssertUnwindSafe(|| self.write_last_words()));
        u8::try_from(INTERNAL_ERROR).unwrap_or(u8::MAX)
    }

    /// Everybody but runinit, when those who have ended are reaped; `None`: nobody is left.
    fn who_is_left(&self) -> Option<Look> {
        while reap::reap(&mut reap::Changed::default()) == reap::Left::Perhaps {}
        Some(processes::look(self.own)).filter(|look| !look.alone)
    }

    /// Each is asked once, however late it came.
    fn ask_all(&self, left: &Look, asked: &mut BTreeSet<Pid>) {
        for pid in left.others.iter().map(|other| other.pid) {
            if asked.insert(pid) {
                // ESRCH: it has just ended.
                let _ = kill::process(pid, Signal::TERM);
                let _ = kill::process(pid, Signal::CONT);
            }
        }
        if left.blind && asked.insert(self.own) {
            self.signal_everybody(Signal::TERM);
            self.signal_everybody(Signal::CONT);
        }
    }

    fn kill_all(&self, left: &Look) {
        self.signal_everybody(Signal::KILL);
        for other in &left.others {
            let _ = kill::process(other.pid, Signal::KILL);
        }
    }

    fn signal_everybody(&self, signal: Signal) {
        if self.own.number() == 1 {
            kill::everybody(signal);
        }
    }
}
