//! Everybody in a kernel session: what a terminal's programs are, whatever groups they make of themselves.
//!
//! Nothing signals a session as a whole, so its members are looked for in /proc and signalled one by one, until a look finds
//! nobody new. Where /proc is missing or another namespace's, only the group of the session's leader is reached.

use super::{kill, processes, raw};
use crate::core::action::Target;
use crate::core::event::GroupState;
use crate::core::process::{Pgid, Pid};
use crate::core::signal::Signal;
use nix::errno::Errno;
use nix::unistd::getsid;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

/// Looks for members that were born while the others were signalled. Whoever forks faster than that is met by the next signal.
const LOOKS: usize = 8;

/// A kernel session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelSession {
    /// Its number, which is also that of its leader and of that one's group.
    pub number: Pgid,
    /// Its leader lives. If not, a process with its number is somebody else, and so is the whole session.
    pub is_led: bool,
}

impl KernelSession {
    /// Is anybody in it? Zombies do not count: tmux may not reap them for long.
    pub fn probe(self) -> GroupState {
        match self.members().map(|mut members| members.next()) {
            Some(None) => GroupState::Empty,
            Some(Some(_)) => GroupState::Alive,
            None => kill::probe(self.number),
        }
    }

    /// Signals everybody in it.
    ///
    /// # Errors
    /// ESRCH: nobody is there. EPERM: somebody there may not be signalled.
    pub fn signal(self, signal: Signal) -> nix::Result<()> {
        self.signal_those(signal, |_| true)
    }

    /// Sends SIGHUP to those who ignore SIGTERM.
    pub fn hang_up(self) {
        // Nobody does, or nobody is there.
        let _ = self.signal_those(Signal::HUP, |pid| ignores(pid, Signal::TERM));
    }

    fn signal_those(self, signal: Signal, is_meant: impl Fn(Pid) -> bool) -> nix::Result<()> {
        let mut met = BTreeSet::new();
        let mut result = Ok(());
        for _ in 0..LOOKS {
            let Some(members) = self.members() else {
                return kill::signal(Target::Group(self.number), signal);
            };
            let known = met.len();
            // Each in the moment in which it is found: a little later its number may be somebody else's.
            for pid in members {
                // ESRCH: it has just ended.
                if met.insert(pid) && is_meant(pid) && kill::process(pid, signal) == Err(Errno::EPERM) {
                    result = Err(Errno::EPERM);
                }
            }
            if met.len() == known {
                break;
            }
        }
        if met.is_empty() { Err(Errno::ESRCH) } else { result }
    }

    /// Those who live, each looked at when it is asked for. `None` if /proc does not tell.
    fn members(self) -> Option<impl Iterator<Item = Pid>> {
        if !processes::is_own_proc(processes::own()?) {
            return None;
        }
        let is_anothers = !self.is_led && self.has(self.number.number());
        let numbers = processes::numbers()?.filter(move |number| !is_anothers && self.has(*number));
        Some(numbers.filter_map(Pid::new))
    }

    /// True for a process that is in it and lives. The question for the session is a system call; only those who are in it
    /// are worth a file.
    fn has(self, number: i32) -> bool {
        let is_alive = || processes::read(number).is_some_and(|process| !process.is_dead());
        session_of(number) == Some(self.number.number()) && is_alive()
    }
}

/// The session that a process is in; 0 stands for this one.
pub fn session_of(number: i32) -> Option<i32> {
    getsid(Some(nix::unistd::Pid::from_raw(number))).ok().map(nix::unistd::Pid::as_raw)
}

fn ignores(pid: Pid, signal: Signal) -> bool {
    processes::own()
        .and_then(|own| processes::masks(own, pid))
        .is_some_and(|masks| masks.ignored.contains(signal))
}

/// A descriptor that is readable once a process has ended, whoever's child it is.
///
/// # Errors
/// ESRCH: it has ended and was reaped. ENOSYS, EPERM: the kernel is older than 5.3, or a filter forbids it. No descriptor is
/// left (EMFILE, ENFILE).
pub fn watch(pid: Pid) -> nix::Result<OwnedFd> {
    raw::pid_descriptor(pid.number())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn nobody_is_in_a_session_that_is_not_there() {
        let session = KernelSession { number: Pgid::new(i32::MAX).expect("a group"), is_led: true };
        assert_eq!(session.probe(), GroupState::Empty);
        assert_eq!(session.signal(Signal::TERM), Err(Errno::ESRCH));
    }

    #[test]
    fn one_whose_leader_lives_although_it_has_ended_is_somebody_elses() {
        // The tests' own session has no number here when its leader is outside of this PID namespace.
        let mut leader = Command::new("setsid").args(["sleep", "1000"]).spawn().expect("setsid starts");
        let number = leader.id().cast_signed();
        let deadline = Instant::now() + Duration::from_secs(10);
        while session_of(number) != Some(number) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let number = Pgid::new(number).expect("a group");
        let probed = [true, false].map(|is_led| KernelSession { number, is_led }.probe());
        leader.kill().and_then(|()| leader.wait()).expect("it ends");
        assert_eq!(probed, [GroupState::Alive, GroupState::Empty]);
        assert_eq!(KernelSession { number, is_led: true }.probe(), GroupState::Empty);
    }

    #[test]
    fn an_end_is_seen_by_somebody_who_is_not_the_parent() {
        let pid = processes::own().expect("a pid");
        assert!(watch(pid).is_ok());
        assert_eq!(watch(Pid::new(i32::MAX).expect("a pid")).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn who_ignores_what_is_read_off_proc() {
        let mut child = Command::new("env").args(["--ignore-signal=TERM", "sleep", "1000"]).spawn().unwrap();
        let pid = Pid::new(child.id().cast_signed()).expect("a pid");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !ignores(pid, Signal::TERM) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let ignored = [Signal::TERM, Signal::CONT].map(|signal| ignores(pid, signal));
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert_eq!(ignored, [true, false]);
    }
}
