//! Children that have ended or stopped.

use super::raw;
use crate::core::event::Reaped;
use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use nix::errno::Errno;

/// Children that are reaped before signals are looked at again: a storm of ten thousand orphans must not delay a
/// forwarded signal until the last of them.
const BATCH: usize = 256;

/// What reaping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// More may have ended already.
    Perhaps,
    /// Children are left, and all of them live.
    Alive,
    /// There is no child at all (ECHILD).
    Nobody,
}

/// What became of children.
#[derive(Debug, Default)]
pub struct Changed {
    /// They have ended and are reaped.
    pub reaped: Vec<Reaped>,
    /// A signal has stopped them; they live.
    pub stopped: Vec<(Pid, Signal)>,
}

/// Reaps those that have ended, at most a batch, and sees those that were stopped.
///
/// waitpid(2) both names a child and frees its number. Nothing is lost by not looking first (WNOWAIT): the number of a
/// group is not given to others while the group has a member, and groups whose leader is gone are probed before anything
/// else is done.
pub fn reap(changed: &mut Changed) -> Left {
    for _ in 0..BATCH {
        match raw::wait_any(libc::WUNTRACED) {
            Ok((0, _)) => return Left::Alive,
            Ok((pid, status)) => changed.add(pid, status),
            Err(Errno::EINTR) => {}
            Err(_) => return Left::Nobody,
        }
    }
    Left::Perhaps
}

impl Changed {
    fn add(&mut self, pid: i32, status: i32) {
        let Some(pid) = Pid::new(pid) else { return };
        if let Some(exit) = decode(status) {
            self.reaped.push(Reaped { pid, exit });
        } else if libc::WIFSTOPPED(status) {
            self.stopped.extend(Signal::new(libc::WSTOPSIG(status)).map(|signal| (pid, signal)));
        }
    }
}

/// True if there is no child, dead or alive. Reaps nothing.
pub fn has_no_children() -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look) == Err(Errno::ECHILD)
}

fn decode(status: i32) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return u8::try_from(libc::WEXITSTATUS(status)).ok().map(Exit::Code);
    }
    if libc::WIFSIGNALED(status) {
        return Signal::new(libc::WTERMSIG(status)).map(Exit::Signal);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_real_time_signals_too() {
        for code in 0..=255u8 {
            assert_eq!(decode(i32::from(code) << 8), Some(Exit::Code(code)));
        }
        for signal in Signal::all() {
            assert_eq!(decode(signal.number()), Some(Exit::Signal(signal)));
            assert_eq!(decode(signal.number() | 0x80), Some(Exit::Signal(signal)), "with a core dump");
        }
    }

    #[test]
    fn a_stopped_child_has_not_ended() {
        assert_eq!(decode(0x7f | (20 << 8)), None);
    }
}
