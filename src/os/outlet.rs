//! Standard output and standard error, without ever waiting for whoever reads them.
//!
//! A stalled log driver must not stop reaping or forwarding. The descriptors are shared with the programs, so they cannot
//! be made non-blocking themselves: a pipe or a terminal is opened a second time, which is a description of runinit's own.

use super::raw;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::isatty;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A pipe takes a write of this size whole or not at all (`PIPE_BUF`, pipe(7)).
pub const AT_ONCE: usize = 4096;

/// A standard descriptor to write to.
#[derive(Debug)]
pub struct Outlet {
    number: RawFd,
    way: Way,
    /// The longest write that others cannot come between.
    pub longest: usize,
    #[cfg(test)]
    refusals: std::cell::Cell<u64>,
}

#[derive(Debug)]
enum Way {
    /// Opened again, not blocking.
    Own(OwnedFd),
    /// A file, which never makes anybody wait. It is not opened again, as that would begin at its beginning.
    File,
    /// A socket, which cannot be opened again, but each write says that it is not to wait.
    Socket,
    /// Else what cannot be opened again (a pipe without /proc): asked before each write.
    Shared,
    /// A terminal that cannot be opened again, as it is another user's: it makes nobody wait for the moment of a write. It has
    /// room as soon as one byte fits, and a write waits for all of it (`n_tty_poll`, `n_tty_write`).
    Terminal,
}

impl Outlet {
    /// The outlet for descriptor 1 or 2.
    pub fn find(number: RawFd) -> Self {
        let kind =
            fstat(raw::standard(number)).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        let way = match kind {
            Ok(SFlag::S_IFREG) => Way::File,
            Ok(SFlag::S_IFSOCK) => Way::Socket,
            Ok(SFlag::S_IFIFO | SFlag::S_IFCHR) => {
                let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                let path = format!("/proc/self/fd/{number}");
                let is_terminal = || isatty(raw::standard(number)) == Ok(true);
                let shared = |_| if is_terminal() { Way::Terminal } else { Way::Shared };
                open(path.as_str(), flags, Mode::empty()).map_or_else(shared, Way::Own)
            }
            _ => Way::Shared,
        };
        let longest = if matches!(way, Way::File) { usize::MAX } else { AT_ONCE };
        Self {
            number,
            way,
            longest,
            #[cfg(test)]
            refusals: 0.into(),
        }
    }

    /// An outlet for tests: anything that is not blocking, but found without room whenever a bit of the pattern says so,
    /// as by a reader who makes room at any moment.
    #[cfg(test)]
    pub fn over(descriptor: OwnedFd, refusals: u64) -> Self {
        Self { number: 1, way: Way::Own(descriptor), longest: usize::MAX, refusals: refusals.into() }
    }

    #[cfg(test)]
    fn is_refused(&self) -> bool {
        let pattern = self.refusals.get();
        self.refusals.set(pattern.rotate_right(1));
        pattern & 1 == 1
    }

    /// Writes what can be written at once.
    ///
    /// # Errors
    /// EAGAIN: nothing can be. Else nobody reads it (EPIPE), it is closed (EBADF), the disk is full (ENOSPC).
    pub fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        #[cfg(test)]
        if self.is_refused() {
            return Err(Errno::EAGAIN);
        }
        match self.way {
            Way::Own(_) | Way::File => nix::unistd::write(self.as_fd(), bytes),
            Way::Socket => {
                send(self.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
            }
            Way::Shared if takes_some(self.as_fd()) => {
                nix::unistd::write(self.as_fd(), &bytes[..bytes.len().min(AT_ONCE)])
            }
            Way::Shared => Err(Errno::EAGAIN),
            Way::Terminal => write_without_waiting(self.as_fd(), &bytes[..bytes.len().min(AT_ONCE)]),
        }
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Own(descriptor) => descriptor.as_fd(),
            Way::File | Way::Socket | Way::Shared | Way::Terminal => raw::standard(self.number),
        }
    }
}

/// Whoever shares the descriptor does not wait in that moment either, where there is no room.
fn write_without_waiting(descriptor: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let written = nix::unistd::write(descriptor, bytes);
    fcntl(descriptor, FcntlArg::F_SETFL(flags))?;
    written
}

fn takes_some(descriptor: BorrowedFd<'_>) -> bool {
    let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLOUT)];
    poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use nix::unistd::read;

    #[test]
    fn a_terminal_that_cannot_be_opened_again_is_never_waited_for() {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let outlet = Outlet { way: Way::Terminal, ..Outlet::find(terminal.slave.as_raw_fd()) };
        let mut written = 0;
        let refusal = loop {
            match outlet.write(&[b'x'; AT_ONCE]) {
                Ok(count) => written += count,
                Err(errno) => break errno,
            }
        };
        assert_eq!((refusal, written > 0), (Errno::EAGAIN, true));
        let flags = OFlag::from_bits_retain(fcntl(&terminal.slave, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn a_socket_is_never_waited_for() {
        let (writing, reading) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
        let outlet = Outlet::find(writing.as_raw_fd());
        assert!(matches!(outlet.way, Way::Socket));
        let mut written = 0;
        let refusal = loop {
            match outlet.write(&[0; AT_ONCE]) {
                Ok(count) => written += count,
                Err(errno) => break errno,
            }
        };
        assert_eq!(refusal, Errno::EAGAIN);
        while written > 0 {
            written -= read(&reading, &mut [0; AT_ONCE]).unwrap();
        }
        assert_eq!(outlet.write(b"more"), Ok(4));
        drop(reading);
        assert_eq!(outlet.write(b"more"), Err(Errno::EPIPE));
    }
}
