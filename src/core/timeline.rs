//! What happened when, bounded.
//!
//! Its words are read again, by `explain` and the drill: those that they go by are here, but for how a process ended
//! ([`Exit`](super::process::Exit)) and what was wrong with a program ([`Fault`](super::program::Fault)).

use super::budget::Moment;
use super::plan::ProgramId;
use super::signal::Signal;
use std::collections::VecDeque;

/// The newest entries that are kept: the end of a run tells more than its beginning.
const LIMIT: usize = 1000;

/// A shutdown has begun.
pub const SHUTDOWN: &str = "shutdown";
/// It is over.
pub const STOPPED: &str = "stopped";
/// Somebody is left, and /proc does not tell who.
pub const UNSEEN: &str = "processes are left that cannot be seen";
/// Somebody has asked for it a second time.
pub const SECOND_SIGNAL: &str = "a second signal: now";
/// A program could not be started.
pub const COULD_NOT_START: &str = "could not start";
/// A reload begins with this.
pub const READ_AGAIN: &str = "read again: ";
/// Why a program was never started, or not again, comes after this.
pub const NOT_STARTED: &str = "not started: ";
/// One that was not waits for that again.
pub const WAITS_AGAIN: &str = "waits again";
/// A program has ended, and tmux could not tell how.
pub const ENDED_SOMEHOW: &str = "ended; nobody knows how";
/// How the stop command of a program failed comes after this.
pub const STOP_COMMAND: &str = "stop command ";

const STRAYS: &str = " strays";

/// Somebody has had a program sent this signal.
pub fn sent_by_hand(signal: &str) -> String {
    format!("{signal}: somebody asked")
}

/// So many strays were sent this signal.
pub(super) fn sent_to_strays(signal: Signal, count: u32) -> String {
    format!("{signal} to {count}{STRAYS}")
}

/// The signal that strays were sent, if an entry tells of that.
pub fn got_by_strays(event: &str) -> Option<&str> {
    event.strip_suffix(STRAYS)?.split_once(" to ").map(|(signal, _)| signal)
}

/// The newest of the things that happened.
#[derive(Debug, Default)]
pub struct Timeline(VecDeque<Entry>);

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// To which program, if to one.
    pub program: Option<ProgramId>,
    /// What, in a few words.
    pub event: String,
}

impl Timeline {
    pub(super) fn add(&mut self, at: Moment, program: Option<ProgramId>, event: String) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(Entry { at, program, event });
    }

    /// True if anything is still told of this program.
    pub(super) fn mentions(&self, id: ProgramId) -> bool {
        self.0.iter().any(|entry| entry.program == Some(id))
    }

    /// In order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strays_got_is_known_by_what_is_told_of_it() {
        assert_eq!(got_by_strays(&sent_to_strays(Signal::TERM, 3)), Some("SIGTERM"));
        assert_eq!(got_by_strays("SIGTERM to 3 outside its group"), None);
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut timeline = Timeline::default();
        for n in 0..=LIMIT {
            timeline.add(Moment::ZERO, None, n.to_string());
        }
        assert_eq!(timeline.entries().count(), LIMIT);
        assert_eq!(timeline.entries().next().unwrap().event, "1");
    }
}
