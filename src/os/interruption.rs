//! The wish that this process ends, for one that has something to tidy up first.

use super::raw;
use super::signals::{self, Signals};
use crate::core::signal::Signal;

/// What is waited for.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Listens for signals that would end this process.
#[derive(Debug)]
pub struct Interruption {
    signals: Signals,
    /// Those of them that were not inherited as ignored, as by nohup(1).
    heard: Vec<Signal>,
    mask: u64,
}

impl Interruption {
    /// From now on they end nothing by themselves, nor does anything else that can be blocked.
    ///
    /// # Errors
    /// The system refuses a descriptor.
    pub fn listen() -> nix::Result<Self> {
        let heard = ENDING.into_iter().filter(|signal| !raw::is_ignored(signal.number())).collect();
        signals::take_over(None).map(|(signals, inherited)| Self { signals, heard, mask: inherited.mask })
    }

    /// The signal mask that came in, for children.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    /// The next one that has come; Ctrl-Z is done at once.
    pub fn next(&self) -> Option<Signal> {
        let mut arrived = Vec::new();
        while self.signals.read(&mut arrived) {}
        if arrived.iter().any(|one| one.signal == Signal::TSTP) {
            signals::stop_self();
        }
        arrived.into_iter().map(|one| one.signal).find(|signal| self.heard.contains(signal))
    }
}
