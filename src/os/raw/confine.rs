//! The child's side of a confinement.
//!
//! Credentials are changed by raw system calls, for the calling task alone. The C library's setuid(2) and its like make
//! the other threads of the process do the same, by a signal and a wait for it (nptl(7)); in a child that shares the
//! memory of its parent, whatever list of threads they find there is the parent's.

use libc::{c_int, c_long, c_ulong, mode_t};
use nix::errno::Errno;

#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
use libc::{SYS_setgroups, SYS_setresgid, SYS_setresuid};
// The calls without 32 have 16 bits for an id there.
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{
    SYS_setgroups32 as SYS_setgroups, SYS_setresgid32 as SYS_setresgid, SYS_setresuid32 as SYS_setresuid,
};

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling process: capget(2).
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// What a child changes of itself, in this order. `None` leaves as it is what came from runinit.
#[derive(Debug, Default)]
pub(in crate::os) struct Confine {
    /// The text for /proc.
    pub(in crate::os) oom_score_adj: Option<String>,
    /// The kernel's numbers, and soft and hard limit in one.
    pub(in crate::os) limits: Vec<(c_int, u64)>,
    pub(in crate::os) nice: Option<c_int>,
    pub(in crate::os) umask: Option<mode_t>,
    pub(in crate::os) groups: Option<Vec<u32>>,
    /// runinit has the same ones, so it is no harm if they cannot be set.
    pub(in crate::os) groups_are_there: bool,
    pub(in crate::os) gid: Option<u32>,
    pub(in crate::os) uid: Option<u32>,
    pub(in crate::os) capabilities: Option<Keep>,
    pub(in crate::os) no_new_privs: bool,
}

/// The capabilities that a program keeps, as bit sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::os) struct Keep {
    /// Taken from the bounding set, from where an exec by root or of a privileged file would bring them back.
    pub(in crate::os) unbound: u64,
    pub(in crate::os) kept: u64,
    /// These survive an exec by somebody who is not root.
    pub(in crate::os) ambient: u64,
}

/// What of a confinement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::os) enum Step {
    OomScore,
    /// Which of them.
    Limit(usize),
    Nice,
    BoundingSet,
    Groups,
    Gid,
    Uid,
    Capabilities,
    NoNewPrivs,
}

/// The step and the errno.
type Failure = (Step, i32);

/// Confines the calling process: system calls only.
///
/// - The score first: a limit on open files would leave no descriptor for it. /proc/self is the child, which has a process
///   id of its own, and the kernel lets all who share its memory follow suit (`__set_oom_adj`) only without
///   `CLONE_VFORK`.
/// - Limits before `nice`, which may go as far as `RLIMIT_NICE` allows.
/// - The umask is the child's own without `CLONE_FS`.
/// - The user last of the ids: after it nothing more of the kind is allowed. What is kept of root's powers then has to be
///   raised again, since it stays permitted (`PR_SET_KEEPCAPS`) but no longer effective.
///
/// From then on until the exec, some microseconds, other processes of that user may signal this one; nobody may trace it,
/// as the kernel takes the shared memory for undumpable ([`Dumpable`]).
pub(super) fn confine(wanted: &Confine) -> Result<(), Failure> {
    if let Some(score) = &wanted.oom_score_adj {
        write_oom_score(score.as_bytes()).map_err(|errno| (Step::OomScore, errno))?;
    }
    for (place, (number, value)) in wanted.limits.iter().enumerate() {
        let limit = [*value; 2];
        // SAFETY: the limit outlives the call; the kernel's rlimit64 is two such integers.
        let set = unsafe { libc::syscall(libc::SYS_prlimit64, 0, *number, &raw const limit, 0usize) };
        check(Step::Limit(place), set)?;
    }
    if let Some(nice) = wanted.nice {
        // SAFETY: no memory is passed.
        check(Step::Nice, unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) })?;
    }
    if let Some(umask) = wanted.umask {
        // SAFETY: no memory is passed.
        unsafe { libc::umask(umask) };
    }
    if let Some(keep) = wanted.capabilities {
        for number in bits(keep.unbound) {
            check(Step::BoundingSet, control(libc::PR_CAPBSET_DROP, number, 0))?;
        }
        if keep.ambient != 0 {
            check(Step::Capabilities, control(libc::PR_SET_KEEPCAPS, 1, 0))?;
        }
    }
    if let Some(groups) = &wanted.groups {
        // SAFETY: the list is of that length.
        let set = unsafe { libc::syscall(SYS_setgroups, groups.len(), groups.as_ptr()) };
        check(Step::Groups, set).or_else(|failure| wanted.groups_are_there.then_some(()).ok_or(failure))?;
    }
    if let Some(gid) = wanted.gid {
        // SAFETY: no memory is passed.
        check(Step::Gid, unsafe { libc::syscall(SYS_setresgid, gid, gid, gid) })?;
    }
    if let Some(uid) = wanted.uid {
        // SAFETY: no memory is passed.
        check(Step::Uid, unsafe { libc::syscall(SYS_setresuid, uid, uid, uid) })?;
    }
    if let Some(keep) = wanted.capabilities {
        set_capabilities(keep)?;
    }
    if wanted.no_new_privs {
        check(Step::NoNewPrivs, control(libc::PR_SET_NO_NEW_PRIVS, 1, 0))?;
    }
    Ok(())
}

fn write_oom_score(text: &[u8]) -> Result<(), i32> {
    // SAFETY: the text is of that length.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 || libc::write(file, text.as_ptr().cast(), text.len()) < 0 {
            return Err(Errno::last_raw()); // the exec closes the file, or the exit
        }
        libc::close(file);
    }
    Ok(())
}

/// What is not inheritable does not stay ambient either (capabilities(7)), so nothing has to be cleared there.
fn set_capabilities(keep: Keep) -> Result<(), Failure> {
    let (low, high) = (|set: u64| half(set & 0xffff_ffff), |set: u64| half(set >> 32));
    let Keep { kept, ambient, .. } = keep;
    // Effective, permitted, inheritable; the low halves first.
    let sets = [low(kept), low(kept), low(ambient), high(kept), high(kept), high(ambient)];
    // SAFETY: both are what capset(2) describes for this version, and outlive the call.
    let set = unsafe { libc::syscall(libc::SYS_capset, CAPABILITY_HEADER.as_ptr(), sets.as_ptr()) };
    check(Step::Capabilities, set)?;
    for number in bits(ambient) {
        let raise = libc::PR_CAP_AMBIENT_RAISE.cast_unsigned().into();
        check(Step::Capabilities, control(libc::PR_CAP_AMBIENT, raise, number))?;
    }
    Ok(())
}

fn half(set: u64) -> u32 {
    u32::try_from(set).unwrap_or_default()
}

fn check(step: Step, result: c_long) -> Result<(), Failure> {
    if result < 0 { Err((step, Errno::last_raw())) } else { Ok(()) }
}

/// prctl(2). Arguments that are not used have to be 0.
fn control(operation: c_int, first: c_ulong, second: c_ulong) -> c_long {
    let unused: c_ulong = 0;
    // SAFETY: none of the operations that are asked for takes a pointer.
    unsafe { libc::syscall(libc::SYS_prctl, operation, first, second, unused, unused) }
}

fn bits(set: u64) -> impl Iterator<Item = c_ulong> {
    (0..64).filter(move |number| set >> number & 1 == 1)
}

/// This process's capabilities: effective and permitted.
pub(in crate::os) fn capabilities() -> (u64, u64) {
    let mut sets = [0u32; 6];
    // SAFETY: the header and the sets are what capget(2) describes for this version.
    unsafe { libc::syscall(libc::SYS_capget, CAPABILITY_HEADER.as_ptr(), sets.as_mut_ptr()) };
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    (join(sets[0], sets[3]), join(sets[1], sets[4]))
}

/// This process's niceness. The system call itself counts from 40 down, so that it is never negative.
pub(in crate::os) fn nice() -> i32 {
    // SAFETY: no memory is passed.
    let counted = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    i32::try_from(20 - counted).unwrap_or_default()
}

/// Beyond which no exec gains anything.
pub(in crate::os) fn bounding_set() -> u64 {
    let read = |number| control(libc::PR_CAPBSET_READ, number, 0);
    // EINVAL: this kernel knows no such capability, and no higher one.
    (0..64).take_while(|n| read(*n) >= 0).filter(|n| read(*n) == 1).fold(0, |set, n| set | 1 << n)
}

/// A limit of this process, soft and hard.
pub(in crate::os) fn limit(number: c_int) -> nix::Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    // SAFETY: the kernel's rlimit64 is two such integers.
    let got = unsafe { libc::syscall(libc::SYS_prlimit64, 0, number, 0usize, &raw mut limit) };
    Errno::result(got)?;
    Ok(limit.into())
}

/// Whether the memory of this process may be looked at and dumped. The kernel takes that away from all who share it when
/// one of them changes its user (`commit_creds`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Dumpable(c_long);

impl Dumpable {
    pub(super) fn now() -> Self {
        Self(control(libc::PR_GET_DUMPABLE, 0, 0))
    }

    /// EINVAL: it was 2, for root only, and still is.
    pub(super) fn restore(self) {
        control(libc::PR_SET_DUMPABLE, self.0.cast_unsigned(), 0);
    }
}
