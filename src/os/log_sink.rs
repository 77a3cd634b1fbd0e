//! Standard error, without ever waiting for whoever reads it.
//!
//! A stalled log driver must not stop reaping or forwarding. The descriptor is shared with the programs, so it cannot be
//! made non-blocking itself: a pipe or a terminal is opened a second time, which is a description of runinit's own.

use super::raw;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::io::{Result, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pipe takes a write of this size whole or not at all (`PIPE_BUF`, pipe(7)).
const LINE_LIMIT: usize = 4096;

/// Where log lines go.
#[derive(Debug, Default)]
pub struct LogSink {
    /// Asked for with the first line: most runs of a wrapper never write one.
    way: Option<Way>,
    dropped: u64,
}

#[derive(Debug)]
enum Way {
    /// Opened again, not blocking.
    Own(OwnedFd),
    /// A file, which never makes anybody wait; or what cannot be opened again, and is asked before each write.
    Shared,
}

impl Way {
    fn find() -> Self {
        let stderr = raw::standard(2);
        let kind = fstat(stderr).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        if !matches!(kind, Ok(SFlag::S_IFIFO | SFlag::S_IFCHR)) {
            return Self::Shared;
        }
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        open("/proc/self/fd/2", flags, Mode::empty()).map_or(Self::Shared, Self::Own)
    }

    fn write(&self, line: &[u8]) -> bool {
        let fd: BorrowedFd<'_> = match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Shared if takes_a_line() => raw::standard(2),
            Self::Shared => return false,
        };
        nix::unistd::write(fd, line).is_ok()
    }
}

fn takes_a_line() -> bool {
    let mut fds = [PollFd::new(raw::standard(2), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

impl Write for LogSink {
    /// Takes one whole line; one that finds no room is counted, and the count is told once there is room again.
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let way = self.way.get_or_insert_with(Way::find);
        if self.dropped > 0 {
            let told =
                format!("runinit: warning: {} log lines found no reader and were dropped\n", self.dropped);
            if !way.write(told.as_bytes()) {
                self.dropped += 1;
                return Ok(line.len());
            }
            self.dropped = 0;
        }
        if !way.write(&line[..line.len().min(LINE_LIMIT)]) {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
