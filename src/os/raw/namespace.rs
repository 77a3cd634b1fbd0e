//! A process in namespaces of its own.

use libc::{c_int, c_ulong};
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Children that are started from now on are in a new PID namespace, of which the first is PID 1 (unshare(2)).
pub(in crate::os) fn unshare_children() -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWPID) }).map(drop)
}

/// Children that are started from now on are in this PID namespace again.
pub(in crate::os) fn return_children(namespace: BorrowedFd<'_>) {
    // SAFETY: no memory is passed. Nothing is left to do where it fails: the next start says so.
    unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) };
}

/// Has a command start with this signal mask, end with SIGTERM when this process ends, and, as the first of a PID namespace, see its own /proc.
pub(in crate::os) fn accompany(command: &mut Command, mask: u64, is_first: bool) {
    let prepare = move || {
        // Kept across exec, except that of a set-uid program (prctl(2)).
        call(|| unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as c_ulong) })?;
        if is_first {
            call(|| unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
            mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE)?;
            mount(c"proc", c"/proc", c"proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)?;
        }
        super::set_signal_mask(mask);
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing: an error is a number.
    unsafe { command.pre_exec(prepare) };
}

fn call(call: impl FnOnce() -> c_int) -> io::Result<()> {
    if call() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn mount(
    what: &std::ffi::CStr,
    place: &std::ffi::CStr,
    kind: &std::ffi::CStr,
    flags: c_ulong,
) -> io::Result<()> {
    // SAFETY: the texts live as long as the call, and no data is passed.
    call(|| unsafe { libc::mount(what.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, ptr::null()) })
}
