//! Signals to others.

use super::{processes, raw};
use crate::core::action::Target;
use crate::core::event::GroupState;
use crate::core::process::{Pgid, Pid};
use crate::core::signal::Signal;
use nix::errno::Errno;
use nix::unistd::getpgid;

/// Signals a program.
///
/// # Errors
/// ESRCH: nobody is there. EPERM: nobody there may be signalled, since all have become another user's.
pub fn signal(target: Target, signal: Signal) -> nix::Result<()> {
    match target {
        Target::Group(pgid) => raw::kill(-pgid.number(), signal.number()),
        Target::Leader(pid) | Target::Escapee(pid) => process(pid, signal),
    }
}

/// Signals one process.
///
/// # Errors
/// As for [`signal`].
pub fn process(pid: Pid, signal: Signal) -> nix::Result<()> {
    raw::kill(pid.number(), signal.number())
}

/// True if processes of this user may end those that runinit's own user has started (kill(2)).
pub fn may_end_others(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::getuid().as_raw()
}

/// Signals everybody in the PID namespace but runinit itself, atomically (kill(2), pid -1). Only ever called as PID 1.
pub fn everybody(signal: Signal) {
    // ESRCH: nobody is there, which is what was wanted.
    let _ = raw::kill(-1, signal.number());
}

/// True if nobody else is in the PID namespace of which this is PID 1.
pub fn is_everybody_gone() -> bool {
    raw::kill(-1, 0) == Err(Errno::ESRCH)
}

/// Is anybody in the group? A zombie that is not reaped counts, and so does somebody who may not be signalled (EPERM).
pub fn probe(pgid: Pgid) -> GroupState {
    match raw::kill(-pgid.number(), 0) {
        Err(Errno::ESRCH) => GroupState::Empty,
        Ok(()) | Err(_) => GroupState::Alive,
    }
}

/// As [`probe`], but zombies do not count: who has left a group of which this one's are may not reap them for long. It costs a
/// system call for each process there is.
pub fn probe_closely(pgid: Pgid) -> GroupState {
    if probe(pgid) == GroupState::Empty {
        return GroupState::Empty;
    }
    let is_told = processes::own().is_some_and(processes::is_own_proc);
    let Some(mut numbers) = processes::numbers().filter(|_| is_told) else { return GroupState::Alive };
    let group = |number| getpgid(Some(nix::unistd::Pid::from_raw(number))).map(nix::unistd::Pid::as_raw);
    let is_alive = |number| processes::read(number).is_some_and(|process| !process.is_dead());
    let is_anybody_there = numbers.any(|number| group(number) == Ok(pgid.number()) && is_alive(number));
    if is_anybody_there { GroupState::Alive } else { GroupState::Empty }
}
