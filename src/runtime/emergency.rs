//! After a panic: everything ends, without the core. That is only told, for the record, as long as it bears it: the bug may
//! be in there.

use super::Runtime;
use crate::core::Core;
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
        let mut is_sane = true;
        self.tell_core(&mut is_sane, |core| core.abandon(began));
        let mut asked = BTreeSet::new();
        let mut told = None;
        let left = loop {
            let left = self.who_is_left(&mut is_sane);
            let now = self.now();
            if left.alone || now >= ends_at {
                break left;
            }
            let signal = if now < kill_at { Signal::TERM } else { Signal::KILL };
            if told.replace(signal) != Some(signal) {
                self.tell_core(&mut is_sane, |core| core.all_are_told(signal, now));
            }
            if signal == Signal::KILL {
                self.kill_all(&left);
            } else {
                self.ask_all(&left, &mut asked);
            }
            let _ = self.signals.wait(Some(LOOK_EVERY));
        };
        let now = self.now();
        let _ = catch_unwind(AssertUnwindSafe(|| self.core.end_abandoned(left.others, now)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.drain_outputs()));
        if catch_unwind(AssertUnwindSafe(|| self.record(true))).is_err() {
            log::error!("the record could not be written either");
        }
        let _ = catch_unwind(AssertUnwindSafe(|| self.write_last_words()));
        u8::try_from(INTERNAL_ERROR).unwrap_or(u8::MAX)
    }

    /// What panics once is not asked again.
    fn tell_core(&mut self, is_sane: &mut bool, told: impl FnOnce(&mut Core)) {
        if *is_sane {
            *is_sane = catch_unwind(AssertUnwindSafe(|| told(&mut self.core))).is_ok();
        }
    }

    /// Everybody but runinit, when those who have ended are reaped.
    fn who_is_left(&mut self, is_sane: &mut bool) -> Look {
        let mut changed = reap::Changed::default();
        while reap::reap(&mut changed) == reap::Left::Perhaps {}
        let now = self.now();
        self.tell_core(is_sane, |core| core.have_ended(&changed.reaped, now));
        processes::look(&self.realm)
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
        if left.blind && asked.insert(self.realm.own()) {
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
        if self.realm.own().number() == 1 {
            kill::everybody(signal);
        }
    }
}
