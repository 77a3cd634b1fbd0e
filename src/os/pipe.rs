//! What programs read from and write to.

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use std::os::fd::OwnedFd;

/// Something at whose end a reader is at once: /dev/null or, where there is no /dev, a pipe that nobody writes to.
///
/// # Errors
/// No descriptor is left (EMFILE, ENFILE).
pub fn nothing_to_read() -> nix::Result<OwnedFd> {
    let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    null.or_else(|_| pipe2(OFlag::O_CLOEXEC).map(|(reading, _)| reading))
}

/// A pipe to a program's standard input: its reading end, and the writing end on which no write waits.
///
/// # Errors
/// No descriptor is left (EMFILE, ENFILE).
pub fn to_write_without_waiting() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    // The two ends are two descriptions, so the program's own end goes on blocking.
    fcntl(&writing, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reading, writing))
}

/// A pipe from a program: its reading end, on which no reading waits, and the program's own end.
///
/// # Errors
/// No descriptor is left (EMFILE, ENFILE).
pub fn to_read_without_waiting() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    // The two ends are two descriptions, so the program's own end goes on blocking.
    fcntl(&reading, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reading, writing))
}

/// What swallows everything.
///
/// # Errors
/// There is no /dev/null, or no descriptor is left.
pub fn nowhere_to_write() -> nix::Result<OwnedFd> {
    open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
}
