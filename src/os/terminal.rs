//! The controlling terminal and its foreground group.

use super::raw;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{getpgrp, isatty, tcgetpgrp, tcsetpgrp};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A terminal that runinit was in the foreground of.
#[derive(Debug)]
pub struct Terminal(OwnedFd);

impl Terminal {
    /// The controlling terminal, if there is one and runinit's own group has it. A start in the background never takes
    /// it.
    pub fn in_foreground() -> Option<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let terminal = open("/dev/tty", flags, Mode::empty())
            .ok()
            .or_else(|| raw::standard(0).try_clone_to_owned().ok())?; // no /dev in a bare image
        (tcgetpgrp(&terminal) == Ok(getpgrp())).then_some(Self(terminal))
    }

    /// For a program that is to be in its foreground.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes the foreground back, as a shell expects to find it. SIGTTOU is blocked, so it works from the background.
    pub fn take_back(&self) {
        // EIO or ENXIO: the terminal is gone, and there is nothing to take back.
        let _ = tcsetpgrp(&self.0, getpgrp());
    }
}

/// True if standard input is a terminal, where Ctrl-C is pressed.
pub fn is_stdin_terminal() -> bool {
    isatty(raw::standard(0)).unwrap_or(false)
}
