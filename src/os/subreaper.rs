//! What a process is to its children and to its parent below PID 1.

use crate::core::signal::Signal;
use nix::sys::prctl;

/// Makes runinit the parent of every descendant whose own parent ends (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
///
/// # Errors
/// EINVAL: a kernel before 3.4.
pub fn become_subreaper() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// True if this process inherits orphans already: an exec keeps that.
pub fn is_subreaper() -> bool {
    prctl::get_child_subreaper().unwrap_or(false)
}

/// Has the kernel send a signal to runinit when its parent ends (`PR_SET_PDEATHSIG`, prctl(2)).
///
/// # Errors
/// EINVAL: no standard signal.
pub fn hear_of_parents_death(signal: Signal) -> nix::Result<()> {
    prctl::set_pdeathsig(nix::sys::signal::Signal::try_from(signal.number())?)
}
