//! The controlling terminal and its foreground group.

use super::{processes, raw};
use crate::core::process::{self, Pgid};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgid, getpgrp, isatty, tcgetpgrp, tcsetpgrp};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The controlling terminal.
#[derive(Debug)]
pub struct Terminal {
    descriptor: OwnedFd,
    /// A program has it from its start on, and not only when it reads from it.
    is_for_start: bool,
    /// runinit has given it away, and takes it back.
    given: Cell<bool>,
    /// Its modes when it was given away last.
    modes: RefCell<Option<Termios>>,
}

impl Terminal {
    /// The controlling terminal, if there is one. A start in the background of a script does not take it from that: such a
    /// shell leaves it in its own group, and has it ignore SIGINT and SIGQUIT (POSIX, "Asynchronous Lists").
    pub fn controlling(only_as_stdin: bool) -> Option<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let descriptor = open("/dev/tty", flags, Mode::empty())
            .ok()
            .or_else(|| raw::standard(0).try_clone_to_owned().ok())?; // no /dev in a bare image
        tcgetpgrp(&descriptor).ok()?;
        // ENOTTY: standard input is another terminal, or none.
        let is_stdin = tcgetpgrp(raw::standard(0)).is_ok();
        let is_asynchronous = raw::is_ignored(libc::SIGINT) && raw::is_ignored(libc::SIGQUIT);
        let is_for_start = is_stdin || !(only_as_stdin || is_asynchronous);
        Some(Self { descriptor, is_for_start, given: Cell::new(false), modes: RefCell::new(None) })
    }

    /// True while runinit's own group is in the foreground. A start in the background never takes the terminal.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&self.descriptor) == Ok(getpgrp())
    }

    /// True while this group has it from runinit, also if it has just ended there.
    pub fn is_given_to(&self, pgid: Pgid) -> bool {
        self.given.get() && tcgetpgrp(&self.descriptor).is_ok_and(|front| front.as_raw() == pgid.number())
    }

    /// For a program that starts and puts itself into the foreground.
    pub fn to_give(&self) -> Option<BorrowedFd<'_>> {
        (self.is_for_start && self.is_ours()).then(|| {
            self.is_about_to_be_given();
            self.descriptor.as_fd()
        })
    }

    fn is_about_to_be_given(&self) {
        self.given.set(true);
        *self.modes.borrow_mut() = tcgetattr(&self.descriptor).ok();
    }

    /// As [`give`](Self::give), to a program that goes on and has not asked for it.
    pub fn give_again(&self, pgid: Pgid) {
        if self.is_for_start {
            self.give(pgid);
        }
    }

    /// Puts a group into the foreground, if runinit's own group is there; true if it is there now. SIGTTOU is blocked, so it
    /// cannot stop anybody.
    pub fn give(&self, pgid: Pgid) -> bool {
        if !self.is_ours() {
            return tcgetpgrp(&self.descriptor).is_ok_and(|front| front.as_raw() == pgid.number());
        }
        self.is_about_to_be_given();
        // EPERM: the group has just ended.
        self.given.set(tcsetpgrp(&self.descriptor, Pid::from_raw(pgid.number())).is_ok());
        self.given.get()
    }

    /// Takes the foreground back from this group, as a shell expects to find it, and after a program that was killed the
    /// modes too. Nobody else loses it who is there: a shell has it again when the program goes on in the background.
    pub fn take_back(&self, from: Option<Pgid>, was_killed: bool) {
        if !self.given.get() && from.is_none() {
            return;
        }
        // EIO or ENXIO: the terminal is gone, and there is nothing to take back.
        let Ok(front) = tcgetpgrp(&self.descriptor) else { return };
        let is_from = from.is_some_and(|pgid| pgid.number() == front.as_raw());
        let is_left = self.given.get() && is_empty(front);
        if !is_from && !is_left {
            return;
        }
        self.given.set(tcsetpgrp(&self.descriptor, getpgrp()).is_err());
        if let (true, Some(modes)) = (was_killed, &*self.modes.borrow()) {
            let _ = tcsetattr(&self.descriptor, SetArg::TCSANOW, modes);
        }
    }

    /// Takes it for runinit's own group from the program of another runinit there: a pipeline is one job, and whoever of it
    /// reads is to have it.
    pub fn take_from_neighbour(&self) {
        if self.is_neighbours() {
            let _ = tcsetpgrp(&self.descriptor, getpgrp());
        }
    }

    /// Without /proc it is nobody's.
    fn is_neighbours(&self) -> bool {
        let front = tcgetpgrp(&self.descriptor).ok().and_then(|front| process::Pid::new(front.as_raw()));
        let parent = front.zip(processes::own()).and_then(|(leader, own)| processes::parent(own, leader));
        parent.is_some_and(|parent| parent > 0 && is_in_own_group(parent))
    }

    /// The shell that has stopped this job has taken the terminal for itself.
    pub fn is_the_shells(&self) {
        self.given.set(false);
    }
}

/// True for a process of runinit's own group: one of the same job.
pub fn is_in_own_group(pid: i32) -> bool {
    getpgid(Some(Pid::from_raw(pid))) == Ok(getpgrp())
}

/// True for the group of somebody who has ended in the foreground. 0 is a group in a PID namespace that cannot be seen.
fn is_empty(group: Pid) -> bool {
    group.as_raw() > 0 && raw::kill(-group.as_raw(), 0) == Err(Errno::ESRCH)
}

/// Gives up the controlling terminal, if that is standard input, for a program that is to lead a session with it. Where
/// there is none, or it is another, nothing is given up.
pub fn leave() {
    let _ = raw::leave_terminal();
}

/// True if standard input is a terminal, where Ctrl-C is pressed.
pub fn is_stdin_terminal() -> bool {
    isatty(raw::standard(0)).unwrap_or(false)
}

/// How many columns standard output has, if it is a terminal; one that does not know has the usual 80.
pub fn stdout_width() -> Option<usize> {
    stdout_size().map(|(columns, _)| columns)
}

/// How many columns and rows it has; one that does not know has the usual 80 and 24.
pub fn stdout_size() -> Option<(usize, usize)> {
    let known = |number: u16, usual| if number == 0 { usual } else { usize::from(number) };
    raw::terminal_size(1).map(|(columns, rows)| (known(columns, 80), known(rows, 24)))
}
