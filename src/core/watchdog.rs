//! Programs that promise to say again and again that they are alive (`WATCHDOG_USEC` and `WATCHDOG`, `sd_notify(3)`).
//!
//! Nobody asks for the promise: a program gives it when it begins to keep it.

use super::Core;
use super::budget::Moment;
use super::plan::ProgramId;
use std::time::Duration;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// The longest silence.
    pub every: Duration,
    /// Silence until then breaks it.
    pub until: Moment,
}

/// runinit wakes the moment a promise is broken. If it comes later by this much it could not run, and perhaps nobody could
/// (`docker pause`, a laptop's lid): the silence says nothing.
const OVERSLEPT: Duration = Duration::from_millis(500);

impl Core {
    /// Takes a promise, in place of one before; no time at all takes that back.
    pub(super) fn set_watchdog(&mut self, id: ProgramId, every: Duration, now: Moment) {
        let until = now.checked_add(every).filter(|_| !every.is_zero());
        self.programs[id].watchdog = until.map(|until| Watchdog { every, until });
    }

    /// It is alive.
    pub(super) fn feed_watchdog(&mut self, id: ProgramId, now: Moment) {
        if let Some(Watchdog { every, .. }) = self.programs[id].watchdog {
            self.set_watchdog(id, every, now);
        }
    }

    /// True if it is runinit that comes late.
    pub(super) fn has_overslept(&self, id: ProgramId, now: Moment) -> bool {
        self.programs[id].watchdog.is_some_and(|watchdog| now.saturating_sub(watchdog.until) >= OVERSLEPT)
    }

    pub(super) fn is_silent(&self, id: ProgramId, now: Moment) -> bool {
        self.programs[id].watchdog.is_some_and(|watchdog| watchdog.until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::action::Action;
    use crate::core::event::{Event, GroupState, Notice};
    use crate::core::plan;
    use crate::core::policy::Restart;
    use crate::core::program::Fault;
    use crate::core::signal::Signal;

    const FIRST: ProgramId = ProgramId(0);

    fn bench() -> Bench {
        let mut bench = Bench::new(vec![plan::Program { restart: Restart::Always, ..program("web") }]);
        bench.step(Event::Notified(FIRST, Notice::Watchdog(Duration::from_secs(2))));
        bench
    }

    fn says(bench: &mut Bench, notice: Notice) {
        bench.step(Event::Notified(FIRST, notice));
    }

    fn is_stopped(bench: &mut Bench) -> bool {
        bench.asked().iter().any(|action| matches!(action, Action::Signal(_, _, Signal::TERM)))
    }

    #[test]
    fn one_that_falls_silent_is_stopped_and_comes_back_without_a_promise() {
        let mut bench = bench();
        bench.at(1_999);
        says(&mut bench, Notice::Alive);
        bench.at(3_998);
        assert!(!is_stopped(&mut bench));
        bench.at(3_999);
        assert!(is_stopped(&mut bench));
        assert_eq!(bench.program(0).fault, Some(Fault::Silent));
        bench.ends(0, 0, GroupState::Empty);
        bench.at(20_000);
        assert_eq!((bench.starts(0), bench.program(0).watchdog), (1, None));
    }

    #[test]
    fn a_silence_in_which_runinit_could_not_run_either_breaks_no_promise() {
        let mut bench = bench();
        bench.now = Duration::from_millis(2_500);
        bench.step(Event::Tick);
        assert!(!is_stopped(&mut bench));
        bench.at(4_499);
        assert!(!is_stopped(&mut bench));
        bench.at(4_500);
        assert!(is_stopped(&mut bench));
    }

    #[test]
    fn a_promise_is_taken_back_and_a_word_without_one_is_nothing() {
        let mut bench = bench();
        says(&mut bench, Notice::Watchdog(Duration::ZERO));
        says(&mut bench, Notice::Alive);
        bench.at(60_000);
        assert!(!is_stopped(&mut bench));
        assert_eq!(bench.core.deadline(), None);
    }
}
