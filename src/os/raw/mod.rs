//! The system calls that no safe wrapper offers as they are needed here. Nothing else in the crate is unsafe.
#![allow(unsafe_code)]

mod before_main;
mod birth;
mod confine;
mod message;
mod namespace;

pub(super) use birth::{Birth, BirthFailure, NUMBER_ROOM, Stage, spawn};
pub(super) use confine::{Confine, Keep, Step, bounding_set, capabilities, limit, nice};
pub(super) use message::receive;
pub(super) use namespace::{accompany, return_children, unshare_children};

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

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

/// Ends this process without what exit(3) does first.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: nothing is asked of the caller, and nothing goes on.
    unsafe { libc::_exit(code) }
}

/// The signals that are blocked and have come.
pub(super) fn pending_signals() -> u64 {
    let mut pending = 0u64;
    // SAFETY: the pointer is to a live set of the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, KERNEL_SET_SIZE) };
    pending
}

/// A signal, as sigaction(2) tells of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignalInfo {
    pub(super) number: i32,
    pub(super) code: i32,
    /// Without meaning where nobody has sent it.
    pub(super) pid: i32,
    pub(super) uid: u32,
}

/// `rt_sigtimedwait(2)` for the signals in the mask, which must be blocked; for ever without a time. The C library's would say
/// of what tgkill(2) sends that kill(2) does.
pub(super) fn wait_for_signal(mask: u64, time: Option<Duration>) -> nix::Result<SignalInfo> {
    let time = time.map(TimeSpec::from_duration);
    let until = time.as_ref().map_or(ptr::null(), |time| ptr::from_ref(time.as_ref()));
    // SAFETY: siginfo_t is plain data, for which zeroes are a value; all pointers are to live values, and the set is of the
    // size given. si_pid and si_uid are read as numbers whatever the union holds.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let set = &raw const mask;
        let result = libc::syscall(libc::SYS_rt_sigtimedwait, set, &raw mut info, until, KERNEL_SET_SIZE);
        Errno::result(result)?;
        Ok(SignalInfo { number: info.si_signo, code: info.si_code, pid: info.si_pid(), uid: info.si_uid() })
    }
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
    is_ignored(libc::SIGCHLD)
}

/// True if this signal does nothing to this process.
pub(super) fn is_ignored(signal: c_int) -> bool {
    // SAFETY: a null new action only asks; sigaction is plain data, for which zeroes are a value.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut action);
        action.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets SIGCHLD to ignored or to its default.
pub(super) fn set_sigchld_ignored(ignored: bool) {
    let handler = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither is a function to be called.
    unsafe { libc::signal(libc::SIGCHLD, handler) };
}

/// Sets SIGPIPE to ignored.
pub(super) fn ignore_sigpipe() {
    // SAFETY: it is no function to be called.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// kill(2) with any signal number; nix knows no real-time ones.
pub(super) fn kill(pid: i32, signal: c_int) -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// `pidfd_open(2)`: close-on-exec by itself, readable once the process has ended.
pub(super) fn pid_descriptor(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    #[allow(clippy::cast_possible_truncation)] // a descriptor, or -1
    let fd = fd as RawFd;
    // SAFETY: the descriptor is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A child that changed its state and the status as the kernel gives it, without waiting. nix refuses the status of a
/// child that died of a real-time signal (EINVAL), and its exit would be lost.
pub(super) fn wait_any(flags: c_int) -> nix::Result<(i32, c_int)> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags | libc::WNOHANG) })?;
    Ok((pid, status))
}

/// accept4(2), non-blocking and close-on-exec; nix's returns a bare number.
pub(super) fn accept(socket: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the address of the other side is not asked for.
    let fd = unsafe { libc::accept4(socket.as_raw_fd(), ptr::null_mut(), ptr::null_mut(), flags) };
    // SAFETY: the descriptor is new, so nobody else owns it.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives up the controlling terminal, which has to be standard input. A session's leader gives it up for all of the
/// session, and the kernel then sends SIGHUP and SIGCONT to its foreground group in that leader's name.
pub(super) fn leave_terminal() -> nix::Result<()> {
    // SAFETY: no memory is passed.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCNOTTY) }).map(drop)
}

/// How many columns and rows a terminal has; 0 if it does not know.
pub(super) fn terminal_size(descriptor: RawFd) -> Option<(u16, u16)> {
    // SAFETY: the pointer is to a live structure, which is plain data, for which zeroes are a value.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut size) == 0).then_some((size.ws_col, size.ws_row))
    }
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

/// sysconf(3); 0 for what the system does not know.
pub(super) fn system_value(name: c_int) -> u64 {
    // SAFETY: no memory is passed.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or_default()
}

/// The environment of this process, as exec wants it.
pub(super) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes its environment.
    unsafe { environ }
}

/// The strings of it.
pub(super) fn variables() -> Vec<&'static CStr> {
    let mut next = environment();
    let mut strings = Vec::new();
    // SAFETY: it ends with a null pointer, and nothing in this program changes it.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            strings.push(CStr::from_ptr(*next));
            next = next.add(1);
        }
    }
    strings
}

/// True if a file has this extended attribute (xattr(7)) with this value.
pub(super) fn attribute_is(path: &Path, name: &CStr, value: &[u8]) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut found = [0u8; 16];
    // SAFETY: both strings end with a NUL, and the room is as large as it says.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), found.as_mut_ptr().cast(), found.len()) };
    usize::try_from(length).is_ok_and(|length| found[..length] == *value)
}
