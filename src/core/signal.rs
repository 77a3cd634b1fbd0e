//! A signal by number, with the kernel's names.

use std::fmt;

/// The names of the standard signals, at their Linux numbers on `x86_64` and `aarch64` (signal(7)).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// Other names for the same numbers, and what the two are shown as that have no name.
const ALIASES: [(&str, u8); 5] = [("IOT", 6), ("POLL", 29), ("CLD", 17), ("32", 32), ("33", 33)];
/// The C library keeps 32 and 33 for itself, so SIGRTMIN is 34 to every program (signal(7)).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// A signal number, 1 to 64. Real-time signals are as good as any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

impl Signal {
    /// The terminal is gone, or a daemon is to read its configuration again.
    pub const HUP: Self = Self(1);
    /// Ctrl-C.
    pub const INT: Self = Self(2);
    /// Ctrl-\.
    pub const QUIT: Self = Self(3);
    /// The end that no process can refuse.
    pub const KILL: Self = Self(9);
    /// A write to a pipe that nobody reads.
    pub const PIPE: Self = Self(13);
    /// The polite end.
    pub const TERM: Self = Self(15);
    /// A child has changed its state.
    pub const CHLD: Self = Self(17);
    /// Go on after a stop.
    pub const CONT: Self = Self(18);
    /// The stop that no process can refuse.
    pub const STOP: Self = Self(19);
    /// Ctrl-Z.
    pub const TSTP: Self = Self(20);
    /// A read from the terminal in the background.
    pub const TTIN: Self = Self(21);
    /// A file that grows beyond a limit.
    pub const XFSZ: Self = Self(25);
    /// A write to the terminal in the background.
    pub const TTOU: Self = Self(22);

    /// The signal with this number, if the kernel has one.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= RTMAX as i32 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1..=64, just checked
            return Some(Self(number as u8));
        }
        None
    }

    /// The number, as system calls want it.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Reads `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3` or `SIGRTMAX-1`, and what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::new);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN") {
            return Self::real_time(offset, '+').map(|n| Self(RTMIN + n));
        }
        if let Some(offset) = name.strip_prefix("RTMAX") {
            return Self::real_time(offset, '-').map(|n| Self(RTMAX - n));
        }
        let standard = NAMES.iter().zip(1..).find(|(known, _)| **known == name);
        let alias = || ALIASES.into_iter().find(|(known, _)| *known == name);
        standard.map(|(_, n)| Self(n)).or_else(|| alias().map(|(_, n)| Self(n)))
    }

    fn real_time(offset: &str, sign: char) -> Option<u8> {
        if offset.is_empty() {
            return Some(0);
        }
        let n: u8 = offset.strip_prefix(sign)?.parse().ok()?;
        (n <= RTMAX - RTMIN).then_some(n)
    }

    /// True for the two that the C library keeps for itself: no program uses them. They can be sent all the same, and end
    /// whoever has no threads.
    pub const fn is_c_librarys(self) -> bool {
        self.0 == 32 || self.0 == 33
    }

    /// Every signal the kernel has, 1 to 64.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=RTMAX).map(Self)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.get(usize::from(self.0) - 1), self.0) {
            (Some(name), _) => write!(f, "SIG{name}"),
            (None, RTMIN) => f.write_str("SIGRTMIN"),
            (None, n) if n > RTMIN => write!(f, "SIGRTMIN+{}", n - RTMIN),
            (None, n) => write!(f, "SIG{n}"),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_from_its_name_and_its_number() {
        for signal in Signal::all() {
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
            assert_eq!(Signal::parse(&signal.number().to_string()), Some(signal));
        }
    }

    #[test]
    fn names_are_read_in_every_usual_spelling() {
        for text in ["SIGTERM", "TERM", "term", "sigterm", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("SIGRTMIN+3").map(Signal::number), Some(37));
        assert_eq!(Signal::parse("RTMAX-1").map(Signal::number), Some(63));
        assert_eq!(Signal::parse("IOT").map(Signal::number), Some(6));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "SIG",
            "SIG15",
            "SIG34",
            "TERMS",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "999999999999",
        ] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }
}
