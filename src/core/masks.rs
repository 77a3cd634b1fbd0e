//! What a process does with signals, as the kernel keeps it: who is late may have ignored what was sent.

use super::signal::Signal;

/// A set of signals; bit n - 1 is signal n, as in /proc/PID/status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Every signal there is.
    pub const ALL: Self = Self(u64::MAX);

    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set without a signal.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << (signal.number() - 1)))
    }

    /// Whether a signal is in it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 >> (signal.number() - 1) & 1 == 1
    }

    /// The signals in it, without the two that the C library keeps for its own threads.
    pub fn signals(self) -> impl Iterator<Item = Signal> {
        Signal::all().filter(move |signal| self.contains(*signal) && !signal.is_c_librarys())
    }
}

/// The signals that a process ignores, catches and blocks. What is in none of them has its default effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// `SigIgn`: they do nothing.
    pub ignored: SignalSet,
    /// `SigCgt`: it has a handler for them.
    pub caught: SignalSet,
    /// `SigBlk`: they wait until it lets them through.
    pub blocked: SignalSet,
}

impl Masks {
    /// Why a signal that was sent did not reach the process, if it is that.
    pub fn refusal(&self, signal: Signal) -> Option<&'static str> {
        match (self.ignored.contains(signal), self.blocked.contains(signal)) {
            (true, _) => Some("ignores"),
            (false, true) => Some("blocks"),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(signals: &[Signal]) -> SignalSet {
        SignalSet::from_bits(signals.iter().map(|signal| 1 << (signal.number() - 1)).sum())
    }

    #[test]
    fn a_set_has_the_signals_of_its_bits_the_first_and_the_last_too() {
        let signals = [Signal::HUP, Signal::TERM, Signal::new(64).unwrap()];
        assert!(set(&signals).signals().eq(signals));
        assert_eq!(SignalSet::from_bits(u64::MAX).signals().count(), 62);
    }

    #[test]
    fn a_set_without_a_signal_has_all_others() {
        let without = SignalSet::ALL.without(Signal::TERM).without(Signal::TERM);
        assert!(Signal::all().all(|signal| without.contains(signal) == (signal != Signal::TERM)));
    }

    #[test]
    fn a_signal_that_is_caught_is_not_refused() {
        let term = set(&[Signal::TERM]);
        let refusal = |masks: Masks| masks.refusal(Signal::TERM);
        assert_eq!(refusal(Masks { ignored: term, ..Masks::default() }), Some("ignores"));
        assert_eq!(refusal(Masks { blocked: term, caught: term, ..Masks::default() }), Some("blocks"));
        assert_eq!(refusal(Masks { caught: term, ..Masks::default() }), None);
    }
}
