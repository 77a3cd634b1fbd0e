//! Process and group numbers that can be trusted, and how a process ended.

use super::signal::Signal;
use std::fmt;

/// A process id, 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// The process with this number.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 { Some(Self(number)) } else { None }
    }

    /// The number, as system calls want it.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The group this process leads; every program is started as the leader of its own.
    pub const fn group(self) -> Option<Pgid> {
        Pgid::new(self.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process group that may be signalled. It cannot hold 0, 1 or a negative number: kill(2) would take `-0` for the
/// caller's own group and `-1` for every process there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pgid(i32);

impl Pgid {
    /// The group with this number.
    pub const fn new(number: i32) -> Option<Self> {
        if number > 1 { Some(Self(number)) } else { None }
    }

    /// The number, as system calls want it.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pgid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const EXITED: &str = "exited with code ";
const DIED: &str = "died of ";

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited, with this code.
    Code(u8),
    /// A signal ended it.
    Signal(Signal),
}

impl Exit {
    /// The code a shell would show: the exit code, or 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => i32::from(code),
            Self::Signal(signal) => 128 + signal.number(),
        }
    }

    /// The one that an entry of the timeline tells of, if it tells of one.
    pub fn told_by(event: &str) -> Option<Self> {
        if let Some(code) = event.strip_prefix(EXITED) {
            return code.parse().ok().map(Self::Code);
        }
        event.strip_prefix(DIED).and_then(Signal::parse).map(Self::Signal)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{EXITED}{code}"),
            Self::Signal(signal) => write!(f, "{DIED}{signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_kill_would_misread_cannot_be_made() {
        for number in [i32::MIN, -1, 0, 1] {
            assert_eq!(Pgid::new(number), None);
        }
        assert_eq!(Pid::new(1).and_then(Pid::group), None);
        assert_eq!(Pid::new(2).and_then(Pid::group).map(Pgid::number), Some(2));
    }

    #[test]
    fn an_exit_is_known_by_what_is_told_of_it() {
        let signals = [1, 15, 34, 37, 64].map(|number| Exit::Signal(Signal::new(number).unwrap()));
        for exit in [Exit::Code(0), Exit::Code(255)].into_iter().chain(signals) {
            assert_eq!(Exit::told_by(&exit.to_string()), Some(exit));
        }
        assert_eq!(Exit::told_by("ready"), None);
    }

    #[test]
    fn a_death_by_signal_is_128_and_its_number() {
        assert_eq!(Exit::Code(255).code(), 255);
        assert_eq!(Exit::Signal(Signal::new(64).unwrap()).code(), 192);
    }
}
