//! The child's side of a start: from the clone to the exec.

use super::confine::{Confine, Dumpable, Step, confine};
use super::{kill, pending_signals, set_sigchld_ignored, set_signal_mask};
use crate::core::plan::Leads;
use libc::{c_char, c_int, c_void};
use nix::errno::Errno;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

/// What a new process does before it becomes another program. All memory is prepared by the parent.
#[derive(Debug)]
pub(in crate::os) struct Birth {
    /// Tried in turn as execvp(3) does; ends with a null pointer.
    pub(in crate::os) candidates: *const *const c_char,
    pub(in crate::os) argv: *const *const c_char,
    /// `/bin/sh`, room for the candidate's path, the arguments: for a script without `#!` (ENOEXEC).
    pub(in crate::os) shell_argv: *mut *const c_char,
    pub(in crate::os) environment: *const *const c_char,
    /// Room in the environment for the digits of the new process's own number and a NUL; null: none is wanted.
    pub(in crate::os) own_number: *mut u8,
    pub(in crate::os) cwd: *const c_char,
    /// What become descriptors 0, 1 and 2; none of these numbers is among them.
    pub(in crate::os) standard: [Option<RawFd>; 3],
    /// Another, and the number it gets.
    pub(in crate::os) descriptor: Option<(RawFd, i32)>,
    /// The terminal whose foreground group the process is to become.
    pub(in crate::os) terminal: Option<RawFd>,
    /// The `cgroup.procs` of the cgroup to go to.
    pub(in crate::os) cgroup: Option<RawFd>,
    pub(in crate::os) leads: Leads,
    pub(in crate::os) mask: u64,
    pub(in crate::os) ignore_sigchld: bool,
    pub(in crate::os) confine: Option<Confine>,
    /// The soft and the hard limit on descriptors.
    pub(in crate::os) descriptors: Option<[u64; 2]>,
    pub(in crate::os) failure: Option<BirthFailure>,
}

/// The step of a birth that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::os) struct BirthFailure {
    pub(in crate::os) stage: Stage,
    pub(in crate::os) errno: i32,
}

/// What a new process was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::os) enum Stage {
    Group,
    Cwd,
    Standard,
    Confine(Step),
    Exec,
    /// The file is there, but not the interpreter that it names: execve(2) says ENOENT for both.
    Interpreter,
}

/// Starts a process as `posix_spawn(3)` does inside: it shares the memory and this thread is suspended until it has become
/// the program or has failed, so there is no moment at which it could miss a signal and no copy of the page tables.
/// All signals must be blocked. `birth.failure` tells what failed in the child; without it, the clone itself did.
#[inline(never)] // the room for the child's stack is needed for this long only
pub(in crate::os) fn spawn(birth: &mut Birth) -> nix::Result<i32> {
    let mut stack = MaybeUninit::<Stack>::uninit();
    let dumpable = birth.confine.as_ref().map(|_| Dumpable::now());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack outlives the child's use of it, as CLONE_VFORK holds this thread until the exec or the exit; its top
    // is aligned as the ABIs want. `be_born` gets the pointer to `birth` that it expects, and nobody else touches that
    // meanwhile.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(1).cast::<c_void>();
        libc::clone(be_born, top, flags, ptr::from_mut(birth).cast::<c_void>())
    };
    let pid = Errno::result(pid);
    if let Some(dumpable) = dumpable {
        dumpable.restore();
    }
    let pid = pid?;
    let Some(failure) = birth.failure else { return Ok(pid) };
    // SAFETY: no status is asked for. The child is in its _exit(2) already, so this does not wait for anything.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    Err(Errno::from_raw(failure.errno))
}

/// The child's stack. It is a part of its parent's, whose pages are there already; a mapping of its own would have to be made,
/// filled with a page and unmapped for each start.
#[repr(align(16))]
struct Stack(#[allow(dead_code)] [u8; Self::SIZE]);

impl Stack {
    /// A handful of frames that call the system directly: 0.2 KiB where they are optimized, 3 KiB where not. In a release less than
    /// a page: of a larger frame every page is touched before it is used.
    const SIZE: usize = if cfg!(debug_assertions) { 16 * 1024 } else { 3584 };
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
        if let Some(cgroup) = birth.cgroup {
            // 0 is the writer (cgroups(7)). If it fails the program stays where runinit is; it can still be known by its
            // mark.
            libc::write(cgroup, c"0".as_ptr().cast::<c_void>(), 1);
        }
        if !give_descriptors(birth) {
            return failed(Stage::Standard);
        }
    }
    if let Some(wanted) = &birth.confine
        && let Err((step, errno)) = confine(wanted)
    {
        return Some((Stage::Confine(step), errno));
    }
    // As the user: what is private to one may be closed to root (without CAP_DAC_OVERRIDE, or where a server squashes it),
    // and what is root's is not the user's.
    // SAFETY: the path ends with a NUL.
    if !birth.cwd.is_null() && unsafe { libc::chdir(birth.cwd) } != 0 {
        return failed(Stage::Cwd);
    }
    if let Some(limit) = &birth.descriptors {
        // It cannot fail: it was so before. SAFETY: the kernel's rlimit64 is two such integers.
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, limit.as_ptr(), 0usize) };
    }
    if !birth.own_number.is_null() {
        // SAFETY: the parent has made room for `NUMBER_ROOM` bytes.
        unsafe { write_number(libc::getpid().unsigned_abs(), birth.own_number) };
    }
    if birth.ignore_sigchld {
        set_sigchld_ignored(true);
    }
    None
}

/// What came to runinit's group while this process was still in that is runinit's to heed. It would stop this process here,
/// and with it runinit, which waits until it has become the program (vfork(2)), and could not continue it.
fn discard_stops() {
    let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].map(|signal| 1u64 << (signal - 1));
    if pending_signals() & stops.iter().sum::<u64>() != 0 {
        // It takes all stop signals away that are pending (signal(7)), and does nothing itself where nobody is stopped.
        let _ = kill(std::process::id().cast_signed(), libc::SIGCONT);
    }
}

/// False: one of them could not be given, and errno says why.
/// SAFETY: as for `prepare`.
unsafe fn give_descriptors(birth: &Birth) -> bool {
    // SAFETY: no memory is passed, and the child has descriptors of its own.
    unsafe {
        for (number, descriptor) in (0..).zip(birth.standard) {
            if let Some(descriptor) = descriptor
                && libc::dup2(descriptor, number) < 0
            {
                return false;
            }
        }
        // Last, since its number may be that of one of those. dup2(2) onto itself would leave it close-on-exec.
        match birth.descriptor {
            Some((descriptor, number)) if descriptor == number => libc::fcntl(number, libc::F_SETFD, 0) >= 0,
            Some((descriptor, number)) => libc::dup2(descriptor, number) >= 0,
            None => true,
        }
    }
}

/// Enough for the digits of any process id and a NUL.
pub(in crate::os) const NUMBER_ROOM: usize = 11;

/// Writes a number in decimal, and a NUL. SAFETY: `room` has at least [`NUMBER_ROOM`] bytes.
unsafe fn write_number(number: u32, room: *mut u8) {
    let digits = number.checked_ilog10().unwrap_or_default() as usize + 1;
    let mut rest = number;
    // SAFETY: a `u32` has at most ten digits.
    unsafe {
        *room.add(digits) = 0;
        for place in (0..digits).rev() {
            #[allow(clippy::cast_possible_truncation)] // one digit
            let digit = (rest % 10) as u8;
            *room.add(place) = b'0' + digit;
            rest /= 10;
        }
    }
}

/// The search of execvp(3): ENOENT and its like go on to the next directory, EACCES and a missing interpreter are remembered,
/// or else the last one, anything else ends it.
/// SAFETY: as for `prepare`.
unsafe fn exec(birth: &mut Birth) -> (Stage, i32) {
    let mut remembered = (Stage::Exec, libc::ENOENT);
    let mut next = birth.candidates;
    // SAFETY: all arrays end with a null pointer.
    unsafe {
        let is_search = !(*next).is_null() && !(*next.add(1)).is_null();
        while !(*next).is_null() {
            let candidate = *next;
            next = next.add(1);
            // What is not there is passed over with all signals blocked: a stop in the middle of a long search would hold
            // runinit, too.
            let is_there = !is_search || libc::access(candidate, libc::F_OK) == 0;
            let errno = if is_there { try_to_become(birth, candidate) } else { Errno::last_raw() };
            match errno {
                libc::ENOENT if libc::access(candidate, libc::F_OK) == 0 => {
                    remembered = (Stage::Interpreter, errno);
                }
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {
                    if remembered.0 == Stage::Exec && remembered.1 != libc::EACCES {
                        remembered.1 = errno;
                    }
                }
                libc::EACCES => remembered = (Stage::Exec, errno),
                _ => return (Stage::Exec, errno),
            }
        }
    }
    remembered
}

/// Only returns if it fails.
/// SAFETY: as for `prepare`; `shell_argv` has its first two places filled by the parent.
unsafe fn try_to_become(birth: &Birth, candidate: *const c_char) -> i32 {
    discard_stops();
    set_signal_mask(birth.mask);
    // SAFETY: all arrays end with a null pointer.
    let errno = unsafe {
        libc::execve(candidate, birth.argv, birth.environment);
        let errno = Errno::last_raw();
        if errno == libc::ENOEXEC {
            *birth.shell_argv.add(1) = candidate;
            libc::execve(*birth.shell_argv, birth.shell_argv, birth.environment);
        }
        errno
    };
    set_signal_mask(u64::MAX);
    errno
}
