//! The system calls that nobody wraps safely. All of the benchmark's unsafe code is here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::unistd::Pid;

/// How a process ended, and what it has cost with all children it waited for.
pub(crate) struct Ended {
    /// The raw wait status; 0 is exit code 0.
    pub(crate) status: i32,
    pub(crate) cpu_ns: u64,
    pub(crate) minor_faults: u64,
}

/// Waits for one child, with what it has cost.
pub(crate) fn wait(pid: Pid) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live local variables of the right types.
        let waited = unsafe { libc::wait4(pid.as_raw(), &raw mut status, 0, &raw mut usage) };
        if waited == pid.as_raw() {
            break;
        }
        let why = io::Error::last_os_error();
        if why.kind() != io::ErrorKind::Interrupted {
            return Err(why);
        }
    }
    let ns = |time: libc::timeval| {
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1_000
    };
    let cpu_ns = ns(usage.ru_utime) + ns(usage.ru_stime);
    Ok(Ended { status, cpu_ns, minor_faults: usage.ru_minflt.unsigned_abs() })
}

/// The clock everything here is timed by: the same in every process.
pub(crate) fn monotonic_ns() -> io::Result<u64> {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time of this process so far.
pub(crate) fn own_cpu_ns() -> io::Result<u64> {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of a process so far, without its children: exact, where `/proc/PID/stat` counts in ticks.
pub(crate) fn cpu_ns(pid: Pid) -> io::Result<u64> {
    let mut clock = 0;
    // SAFETY: the pointer is to a live local variable.
    match unsafe { libc::clock_getcpuclockid(pid.as_raw(), &raw mut clock) } {
        0 => clock_ns(clock),
        why => Err(io::Error::from_raw_os_error(why)),
    }
}

fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live local variable.
    check(unsafe { libc::clock_gettime(clock, &raw mut now) })?;
    Ok(now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs())
}

/// A descriptor that becomes readable when the process has ended: a wait with a timeout.
pub(crate) fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers, returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(check(fd)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The CPUs this process may run on, in order.
pub(crate) fn cpus() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is an array of bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the size is that of the set the pointer is to.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) })?;
    // SAFETY: the numbers are below the set's size.
    let found = (0..8 * size_of_val(&set)).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) });
    Ok(found.collect())
}

/// Keeps this process, and what it starts from now on, on these CPUs.
pub(crate) fn run_on(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is an array of bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus {
        // SAFETY: the numbers come from `cpus`, so they are below the set's size.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the size is that of the set the pointer is to.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) }).map(drop)
}

/// Other work on the machine then disturbs less. What is started inherits it.
pub(crate) fn raise_priority() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) }).map(drop)
}

/// From now on nothing interrupts this process and what it starts, not even one another (`SCHED_FIFO`, sched(7)); or all is
/// shared out as usual again. Needs root.
pub(crate) fn run_uninterrupted(on: bool) -> io::Result<()> {
    let policy = if on { libc::SCHED_FIFO } else { libc::SCHED_OTHER };
    let param = libc::sched_param { sched_priority: i32::from(on) };
    // SAFETY: the pointer is to a live value of the type that is asked for.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const param) }).map(drop)
}

/// Orphans of what is started come to this process, so that none outlives the benchmark.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// What `start` starts is PID 1 of a new namespace. Needs root.
pub(crate) fn in_new_pid_namespace<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let own = File::open("/proc/self/ns/pid")?;
    // SAFETY: only changes which namespace this process's next children are born into.
    check(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
    let started = start();
    // SAFETY: the descriptor is this process's own PID namespace, to which its children return.
    check(unsafe { libc::setns(own.as_raw_fd(), libc::CLONE_NEWPID) })?;
    Ok(started)
}

/// A /proc that belongs to this PID namespace and an empty /run, visible to this process and its children only.
pub(crate) fn private_mounts(is_run_writable: bool) -> io::Result<()> {
    // SAFETY: takes a number only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let run = if is_run_writable { 0 } else { libc::MS_RDONLY };
    let mounts =
        [(c"none", c"/", c"", private), (c"proc", c"/proc", c"proc", 0), (c"run", c"/run", c"tmpfs", run)];
    for (source, target, kind, flags) in mounts {
        // SAFETY: all strings end in NUL and live on; no data is passed.
        check(unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
        })?;
    }
    Ok(())
}

/// What an orphan needs to read and end: 8 KiB.
type Stack = [u128; 512];

/// Makes `count` processes that all read standard input until it ends, then end too; they become orphans at once.
///
/// They share this process's memory, as threads do: so they die fast, and what is measured is who reaps them. This process
/// has to outlive them. Memory has one owner, and when that one ends the kernel looks through all processes for the next
/// (`mm_update_next_owner`): among themselves two thousand orphans would spend half of the storm on that.
pub(crate) fn leave_orphans(count: usize) -> io::Result<()> {
    let stacks: &mut [Stack] = vec![[0; 512]; count + 1].leak();
    let (own, mut theirs) = stacks.split_first_mut().ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: the parent has a stack of its own, and what it is given is not touched here before it has ended.
    let parent = check(unsafe {
        libc::clone(
            parent_of_orphans,
            own.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::SIGCHLD,
            (&raw mut theirs).cast(),
        )
    })?;
    let ended = wait(Pid::from_raw(parent))?;
    if ended.status == 0 { Ok(()) } else { Err(io::Error::other("could not clone all orphans")) }
}

/// The life of their parent: one orphan for each stack.
extern "C" fn parent_of_orphans(stacks: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `leave_orphans` gives this pointer, and waits.
    let stacks = unsafe { &mut *stacks.cast::<&mut [Stack]>() };
    for stack in stacks.iter_mut() {
        let top = stack.as_mut_ptr_range().end;
        // SAFETY: every orphan has a stack of its own, which lives as long as the memory that they all share.
        let orphan =
            unsafe { libc::clone(orphan, top.cast(), libc::CLONE_VM | libc::SIGCHLD, std::ptr::null_mut()) };
        if orphan < 0 {
            // SAFETY: ends this process without running what belongs to the one it shares its memory with.
            unsafe { libc::_exit(1) };
        }
    }
    // SAFETY: as above.
    unsafe { libc::_exit(0) }
}

/// The life of an orphan.
extern "C" fn orphan(_nothing: *mut libc::c_void) -> libc::c_int {
    let mut byte = 0_u8;
    // SAFETY: one byte of room is given and asked for; nothing runs after the end.
    unsafe {
        libc::read(0, (&raw mut byte).cast(), 1);
        libc::_exit(0)
    }
}

/// Counts the instructions of this process and of all that it starts and waits for.
pub(crate) struct Instructions(File);

impl Instructions {
    /// Fails where the machine has no counters, as most virtual ones.
    pub(crate) fn open() -> io::Result<Self> {
        /// The first published form of `perf_event_attr`; the kernel takes any.
        #[repr(C)]
        #[derive(Default)]
        struct Attributes {
            kind: u32,
            size: u32,
            config: u64,
            sample: [u64; 3],
            flags: u64,
            wakeup: [u32; 2],
            more: u64,
        }
        const HARDWARE: u32 = 0;
        const INSTRUCTIONS: u64 = 1;
        const INHERIT: u64 = 1 << 1;
        const CLOSE_ON_EXEC: i32 = 1 << 3;
        let size = u32::try_from(size_of::<Attributes>()).map_err(io::Error::other)?;
        let wanted = Attributes {
            kind: HARDWARE,
            size,
            config: INSTRUCTIONS,
            flags: INHERIT,
            ..Attributes::default()
        };
        // SAFETY: the attributes live through the call and say their own size; the rest are numbers.
        let fd =
            unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const wanted, 0, -1, -1, CLOSE_ON_EXEC) };
        let fd = i32::try_from(check(fd)?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// The count so far, with that of all who have ended.
    pub(crate) fn read(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        io::Read::read_exact(&mut &self.0, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

/// -1 is an error that errno knows.
fn check<N: Into<i64> + Copy>(result: N) -> io::Result<N> {
    if result.into() == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
