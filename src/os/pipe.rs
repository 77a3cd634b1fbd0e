//! What programs read from and write to.

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use std::fs::File;
use std::io::{Read, Seek, Write};
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

/// Writes this into such a pipe; false if there is no room for all of it (EAGAIN), or nobody reads it any more (EPIPE).
pub fn write_without_waiting(pipe: &OwnedFd, bytes: &[u8]) -> bool {
    nix::unistd::write(pipe, bytes) == Ok(bytes.len())
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

/// A file without a name, in memory: what a child writes to it never waits for a reader, and is read when the child has ended.
///
/// # Errors
/// No descriptor is left (EMFILE, ENFILE), or no memory.
pub fn to_read_at_the_end() -> nix::Result<OwnedFd> {
    memfd_create(c"answer", MFdFlags::MFD_CLOEXEC)
}

/// What was written to such a file, at most so many bytes of it.
pub fn read_at_the_end(file: OwnedFd, most: usize) -> String {
    let mut bytes = Vec::new();
    let mut file = File::from(file);
    // What cannot be read was not said.
    let _ = file.rewind().and_then(|()| file.take(most as u64).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Something to read that is there already, however long: it is in memory, so nobody has to wait to write it.
///
/// # Errors
/// No descriptor or no memory is left.
pub fn to_read_at_once(contents: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"errand", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(contents)?;
    file.rewind()?;
    Ok(file.into())
}

/// What swallows everything.
///
/// # Errors
/// There is no /dev/null, or no descriptor is left.
pub fn nowhere_to_write() -> nix::Result<OwnedFd> {
    open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
}
