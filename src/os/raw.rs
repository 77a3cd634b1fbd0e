//! The system calls that no safe wrapper offers as they are needed here. Nothing else in the crate is unsafe.
#![allow(unsafe_code)]

use crate::core::plan::Leads;
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

/// A standard descriptor, 0 to 2. It may be closed; the system then says EBADF.
pub(super) fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: never -1, and runinit never closes these, so whoever borrows them keeps what is there.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// The environment of this process, as exec wants it.
pub(super) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes its environment.
    unsafe { environ }
}

/// What a new process does before it becomes another program. All memory is prepared by the parent.
#[derive(Debug)]
pub(super) struct Birth {
    /// Tried in turn as execvp(3) does; ends with a null pointer.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    /// `/bin/sh`, room for the candidate's path, the arguments: for a script without `#!` (ENOEXEC).
    pub(super) shell_argv: *mut *const c_char,
    pub(super) environment: *const *const c_char,
    pub(super) cwd: *const c_char,
    pub(super) stdin: Option<RawFd>,
    /// The terminal whose foreground group the process is to become.
    pub(super) terminal: Option<RawFd>,
    pub(super) leads: Leads,
    pub(super) mask: u64,
    pub(super) ignore_sigchld: bool,
    pub(super) failure: Option<BirthFailure>,
}

/// The step of a birth that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BirthFailure {
    pub(super) stage: Stage,
    pub(super) errno: i32,
}

/// What a new process was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Group,
    Cwd,
    Stdin,
    Exec,
    /// The file is there, but not the interpreter that it names: execve(2) says ENOENT for both.
    Interpreter,
}

/// Starts a process as `posix_spawn(3)` does inside: it shares the memory and this thread is suspended until it has become
/// the program or has failed, so there is no moment at which it could miss a signal and no copy of the page tables.
/// All signals must be blocked. `birth.failure` tells what failed in the child; without it, the clone itself did.
pub(super) fn spawn(birth: &mut Birth) -> nix::Result<i32> {
    /// Enough for a handful of frames that call the system directly.
    const STACK: usize = 32 * 1024;
    let mut stack = Vec::<u8>::with_capacity(STACK);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack outlives the child's use of it, as CLONE_VFORK holds this thread until the exec or the exit;
    // its top is aligned to 16 bytes, as both ABIs want it. `be_born` gets the pointer to `birth` that it expects, and
    // nobody else touches that meanwhile.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(STACK);
        let top = end.sub(end as usize % 16);
        libc::clone(be_born, top.cast::<c_void>(), flags, ptr::from_mut(birth).cast::<c_void>())
    };
    let pid = Errno::result(pid)?;
    let Some(failure) = birth.failure else { return Ok(pid) };
    // SAFETY: no status is asked for. The child is in its _exit(2) already, so this does not wait for anything.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    Err(Errno::from_raw(failure.errno))
}

/// The child's side: async-signal-safe calls only, no allocation, no lock, no panic.
extern "C" fn be_born(birth: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its `Birth`, and is suspended while this runs.
    let birth = unsafe { &mut *birth.cast::<Birth>() };
    let (stage, errno) = unsafe { prepare(birth) }.unwrap_or_else(|| unsafe { exec(birth) });
    birth.failure = Some(BirthFailure { stage, errno });
    // SAFETY: ends this process alone, without the parent's exit handlers.
    unsafe { libc::_exit(127) }
}

/// SAFETY: only for a child that shares its suspended parent's memory.
unsafe fn prepare(birth: &Birth) -> Option<(Stage, i32)> {
    let failed = |stage| Some((stage, Errno::last_raw()));
    // SAFETY: plain system calls on memory that the parent keeps alive.
    unsafe {
        let led = match birth.leads {
            Leads::Group => libc::setpgid(0, 0),
            Leads::Session => libc::setsid(),
            Leads::Nothing => 0,
        };
        if led < 0 {
            return failed(Stage::Group);
        }
        if birth.leads == Leads::Session {
            // ENOTTY: standard input is no terminal. EPERM: it is another session's.
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        }
        if let Some(terminal) = birth.terminal {
            // SIGTTOU is blocked here. If it fails the program runs in the background, which it will notice itself.
            libc::tcsetpgrp(terminal, libc::getpid());
        }
        if !birth.cwd.is_null() && libc::chdir(birth.cwd) != 0 {
            return failed(Stage::Cwd);
        }
        if let Some(stdin) = birth.stdin
            && libc::dup2(stdin, 0) < 0
        {
            return failed(Stage::Stdin);
        }
    }
    if birth.ignore_sigchld {
        set_sigchld_ignored(true);
    }
    set_signal_mask(birth.mask);
    None
}

/// The search of execvp(3): ENOENT and its like go on to the next directory, EACCES is remembered, anything else ends it.
/// SAFETY: as for `prepare`.
unsafe fn exec(birth: &mut Birth) -> (Stage, i32) {
    let mut remembered = libc::ENOENT;
    let mut next = birth.candidates;
    // SAFETY: all arrays end with a null pointer; `shell_argv` has its first two places filled by the parent.
    unsafe {
        while !(*next).is_null() {
            let candidate = *next;
            next = next.add(1);
            libc::execve(candidate, birth.argv, birth.environment);
            let mut errno = Errno::last_raw();
            if errno == libc::ENOEXEC {
                *birth.shell_argv.add(1) = candidate;
                libc::execve(*birth.shell_argv, birth.shell_argv, birth.environment);
                errno = libc::ENOEXEC;
            }
            match errno {
                libc::ENOENT if libc::access(candidate, libc::F_OK) == 0 => {
                    return (Stage::Interpreter, errno);
                }
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                libc::EACCES => remembered = errno,
                _ => return (Stage::Exec, errno),
            }
        }
    }
    (Stage::Exec, remembered)
}
