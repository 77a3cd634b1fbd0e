//! The system calls that no safe wrapper offers as they are needed here. Nothing else in the crate is unsafe.
#![allow(unsafe_code)]

mod birth;
mod confine;

pub(super) use birth::{Birth, BirthFailure, NUMBER_ROOM, Stage, spawn};
pub(super) use confine::{Confine, Keep, Step, bounding_set, capabilities, limit, nice};

use libc::{c_char, c_int, c_void};
use nix::errno::Errno;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// The size of the kernel's own signal set, in bytes: 64 signals.
const KERNEL_SET_SIZE: usize = 8;

/// Replaces the signal mask and returns the one before. The C library's sigprocmask(3) leaves out 32 and 33, which it
/// keeps for itself; the kernel does not.
pub(super) fn set_signal_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: both pointers are to live sets of the size given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            KERNEL_SET_SIZE,
        );
    }
    old
}

/// The signals that are blocked and have come.
pub(super) fn pending_signals() -> u64 {
    let mut pending = 0u64;
    // SAFETY: the pointer is to a live set of the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, KERNEL_SET_SIZE) };
    pending
}

/// signalfd(2), non-blocking and close-on-exec, for the signals in the mask.
pub(super) fn signal_descriptor(mask: u64) -> nix::Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the pointer is to a live set of the size given.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask, KERNEL_SET_SIZE, flags) };
    #[allow(clippy::cast_possible_truncation)] // a descriptor, or -1
    let fd = Errno::result(fd)? as RawFd;
    // SAFETY: the descriptor is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// True if SIGCHLD was inherited as ignored. The kernel then reaps children itself and wait(2) finds none.
pub(super) fn is_sigchld_ignored() -> bool {
    // SAFETY: a null new action only asks; sigaction is plain data, for which zeroes are a value.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action);
        action.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets SIGCHLD to ignored or to its default.
pub(super) fn set_sigchld_ignored(ignored: bool) {
    let handler = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither is a function to be called.
    unsafe { libc::signal(libc::SIGCHLD, handler) };
}

/// kill(2) with any signal number; nix knows no real-time ones.
pub(super) fn kill(pid: i32, signal: c_int) -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A child that changed its state and the status as the kernel gives it, without waiting. nix refuses the status of a
/// child that died of a real-time signal (EINVAL), and its exit would be lost.
pub(super) fn wait_any(flags: c_int) -> nix::Result<(i32, c_int)> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags | libc::WNOHANG) })?;
    Ok((pid, status))
}

/// Gives up the controlling terminal, which has to be standard input. A session's leader gives it up for all of the
/// session, and the kernel then sends SIGHUP and SIGCONT to its foreground group in that leader's name.
pub(super) fn leave_terminal() -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCNOTTY) }).map(drop)
}

/// Closes a descriptor that an exec would hand on; runinit's own are all closed on exec.
pub(super) fn close_if_inherited(number: RawFd) {
    // SAFETY: whoever owns a descriptor in this program has it closed on exec, so nobody loses one.
    unsafe {
        if libc::fcntl(number, libc::F_GETFD) == 0 {
            libc::close(number);
        }
    }
}

/// A standard descriptor, 0 to 2. It may be closed; the system then says EBADF.
pub(super) fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: never -1, and runinit never closes these, so whoever borrows them keeps what is there.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes the pages of runinit's own code and constants out of its memory; those that are needed again come back from the
/// page cache.
pub(super) fn forget_own_pages() {
    unsafe extern "C" {
        // The linker's names for the beginning of the program and for the end of its code (end(3)).
        static __executable_start: u8;
        static etext: u8;
    }
    // SAFETY: sysconf(3) only asks.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = (&raw const __executable_start) as usize;
    let end = (&raw const etext) as usize / page * page;
    // SAFETY: between the two is only what is mapped from this program's own file and never written to, so what is
    // dropped is what the file holds.
    unsafe { libc::madvise(start as *mut c_void, end.saturating_sub(start), libc::MADV_DONTNEED) };
}

/// The environment of this process, as exec wants it.
pub(super) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes its environment.
    unsafe { environ }
}
