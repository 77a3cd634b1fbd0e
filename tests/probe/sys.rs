//! The probe's system calls. Nothing here allocates between fork and exec that the child could not: the probe has one
//! thread.
#![allow(unsafe_code)] // what the probe looks at and does is what the safe libraries hide; each block says why it is right

use std::ffi::{CString, OsString, c_int, c_ulong};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::ptr::{null, null_mut};

/// All 64 signals as the kernel's bit set: signal n is bit n - 1.
pub(crate) const EVERY: u64 = u64::MAX;
const SET_SIZE: usize = size_of::<u64>();

/// Turns -1 into the system's error.
fn check(result: c_int, what: &str) -> Result<c_int, String> {
    if result == -1 { Err(format!("{what}: {}", io::Error::last_os_error())) } else { Ok(result) }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|e| e.to_string())
}

/// Writes everything, or gives up: there is nobody to tell.
pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are of one living slice.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(n) {
            Ok(n) => bytes = &bytes[n..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Sets the blocked mask and returns the old one. The C library's own call would leave out 32 and 33.
pub(crate) fn set_mask(set: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both sets live through the call and are of the size that is named.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, &raw mut old, SET_SIZE)
    };
    old
}

/// The blocked mask.
pub(crate) fn mask() -> u64 {
    let mut now = 0_u64;
    // SAFETY: no new set is given; the old one lives through the call and is of the size that is named.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, null::<u64>(), &raw mut now, SET_SIZE) };
    now
}

/// True if this signal is ignored.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    // The kernel's own struct: handler, flags, restorer, mask (no restorer on some architectures, but never longer).
    let mut action = [0_u64; 4];
    // SAFETY: no new action is given, and the kernel's struct fits into the 32 bytes.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, null::<u64>(), action.as_mut_ptr(), SET_SIZE);
    }
    usize::try_from(action[0]).ok() == Some(libc::SIG_IGN)
}

/// Ignores this signal, or gives it its default action again; the C library's own call would refuse 32 and 33.
pub(crate) fn set_ignored(signal: c_int, ignored: bool) {
    let handler = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    let action = [handler as u64, 0, 0, 0]; // as in `is_ignored`
    // SAFETY: the kernel's struct is not longer than that, and no handler is installed that could run in signal context.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), null_mut::<u64>(), SET_SIZE) };
}

/// Waits for one of the blocked signals and takes it.
pub(crate) fn take_signal() -> c_int {
    let set = EVERY;
    loop {
        // SAFETY: the set lives through the call; no siginfo and no timeout are asked for.
        let n = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const set,
                null_mut::<libc::siginfo_t>(),
                null::<libc::timespec>(),
                SET_SIZE,
            )
        };
        if let Some(signal) = c_int::try_from(n).ok().filter(|n| *n > 0) {
            return signal;
        }
    }
}

/// Waits until something comes that has a handler; without one, for ever.
pub(crate) fn pause() {
    // SAFETY: no arguments.
    unsafe { libc::pause() };
}

/// Dies of this signal, without a core file.
pub(crate) fn die_of(signal: c_int) -> Result<c_int, String> {
    limit("core", 0)?;
    set_ignored(signal, false);
    set_mask(0);
    kill(std::process::id().cast_signed(), signal)?;
    Err(format!("still alive after signal {signal}"))
}

/// kill(2).
pub(crate) fn kill(pid: c_int, signal: c_int) -> Result<c_int, String> {
    // SAFETY: two numbers.
    check(unsafe { libc::kill(pid, signal) }, "kill")
}

/// fork(2): the child's number in the parent, 0 in the child.
pub(crate) fn fork() -> Result<c_int, String> {
    // SAFETY: the probe has one thread, so the child can do whatever the parent could.
    check(unsafe { libc::fork() }, "fork")
}

/// Ends this process now.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: one number.
    unsafe { libc::_exit(code) }
}

/// Waits for a child; how it ended, as the kernel writes it.
pub(crate) fn wait(pid: c_int) -> Result<(c_int, c_int), String> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives through the call.
        let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if ended == -1 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        return check(ended, "waitpid").map(|ended| (ended, status));
    }
}

/// A new session.
pub(crate) fn setsid() -> Result<c_int, String> {
    // SAFETY: no arguments.
    check(unsafe { libc::setsid() }, "setsid")
}

/// Joins the group of the parent.
pub(crate) fn join_parents_group() -> Result<c_int, String> {
    // SAFETY: numbers only.
    check(unsafe { libc::setpgid(0, libc::getpgid(libc::getppid())) }, "setpgid")
}

/// The group, the session and the terminal's foreground group.
pub(crate) fn ids() -> (c_int, c_int, Option<c_int>) {
    // SAFETY: numbers only.
    let (pgid, sid) = unsafe { (libc::getpgid(0), libc::getsid(0)) };
    // SAFETY: a number only; a descriptor that is no terminal is an error.
    let foreground = (0..3).map(|fd| unsafe { libc::tcgetpgrp(fd) }).find(|pgid| *pgid > 0);
    (pgid, sid, foreground)
}

/// Opens a new terminal, not asking that it be nobody's, and says if it has become this session's controlling one.
pub(crate) fn opens_controlling_terminal() -> Result<bool, String> {
    // SAFETY: numbers only, and a name that the next call of ptsname(3) would overwrite; there is none.
    unsafe {
        let master = check(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY), "posix_openpt")?;
        check(libc::grantpt(master), "grantpt")?;
        check(libc::unlockpt(master), "unlockpt")?;
        let slave = check(libc::open(libc::ptsname(master), libc::O_RDWR), "open the terminal")?;
        Ok(libc::tcgetsid(slave) == libc::getsid(0))
    }
}

/// True if this descriptor is open.
pub(crate) fn is_open(fd: c_int) -> bool {
    // SAFETY: two numbers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// close(2).
pub(crate) fn close(fd: c_int) {
    // SAFETY: the probe owns no descriptor that Rust's types would close, too: it works with numbers.
    unsafe { libc::close(fd) };
}

/// Closes this descriptor and all above it.
pub(crate) fn close_from(fd: std::ffi::c_uint) {
    // SAFETY: numbers only; the probe works with numbers, see `close`.
    unsafe { libc::syscall(libc::SYS_close_range, fd, std::ffi::c_uint::MAX, 0) };
}

/// dup2(2): the copy stays open across exec.
pub(crate) fn dup2(from: c_int, to: c_int) -> Result<c_int, String> {
    // SAFETY: two numbers.
    check(unsafe { libc::dup2(from, to) }, "dup2")
}

/// A pipe that closes at exec: its reading and its writing end.
pub(crate) fn pipe() -> Result<(c_int, c_int), String> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, "pipe2")?;
    Ok((ends[0], ends[1]))
}

/// Writes to this pipe until not one byte more fits.
pub(crate) fn fill(fd: c_int) {
    let flags = libc::O_WRONLY;
    // SAFETY: numbers only.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) };
    for size in [4096, 1] {
        let bytes = vec![b'.'; size];
        // SAFETY: the pointer and the length are of one living vector.
        while unsafe { libc::write(fd, bytes.as_ptr().cast(), size) } > 0 {}
    }
    // SAFETY: numbers only.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}

/// Reads until the other side closes.
pub(crate) fn read_to_end(fd: c_int) {
    let mut byte = [0_u8; 64];
    // SAFETY: the pointer and the length are of one living array.
    while unsafe { libc::read(fd, byte.as_mut_ptr().cast(), byte.len()) } > 0 {}
}

/// Opens a FIFO, which waits until the other side is there, and reads until that closes it.
pub(crate) fn wait_for_fifo(path: &str) -> Result<(), String> {
    let path = c_string(path)?;
    // SAFETY: the path is a C string that lives through the call.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }, "open a FIFO")?;
    read_to_end(fd);
    close(fd);
    Ok(())
}

/// Sets a resource limit, soft and hard.
pub(crate) fn limit(name: &str, value: u64) -> Result<c_int, String> {
    let resource = match name {
        "core" => libc::RLIMIT_CORE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "fsize" => libc::RLIMIT_FSIZE,
        _ => return Err(format!("no such limit: {name}")),
    };
    let both = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the struct lives through the call.
    check(unsafe { libc::setrlimit(resource, &raw const both) }, name)
}

/// Becomes this user and the group of the same number, for good.
pub(crate) fn become_user(uid: u32) -> Result<c_int, String> {
    // SAFETY: numbers only; an empty list needs no pointer.
    unsafe {
        check(libc::setgroups(0, null()), "setgroups")?;
        check(libc::setresgid(uid, uid, uid), "setresgid")?;
        check(libc::setresuid(uid, uid, uid), "setresuid")
    }
}

/// Becomes root in every way; only for a set-uid file.
pub(crate) fn become_root() -> Result<c_int, String> {
    // SAFETY: numbers only.
    check(unsafe { libc::setresuid(0, 0, 0) }, "setresuid")
}

/// Inherits the orphans among its descendants.
pub(crate) fn become_subreaper() -> Result<c_int, String> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, "PR_SET_CHILD_SUBREAPER")
}

/// Dies as soon as the thread that started this process does.
pub(crate) fn die_with_parent() -> Result<c_int, String> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, "PR_SET_PDEATHSIG")
}

/// A new PID namespace for the children of this process.
pub(crate) fn unshare_pids() -> Result<c_int, String> {
    // SAFETY: a number only.
    check(unsafe { libc::unshare(libc::CLONE_NEWPID) }, "a new PID namespace")
}

/// A new mount namespace for this process, out of which nothing gets.
pub(crate) fn unshare_mounts() -> Result<(), String> {
    // SAFETY: a number only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }, "a new mount namespace")?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
}

/// mount(2).
pub(crate) fn mount(
    source: &str,
    target: &str,
    kind: &str,
    flags: c_ulong,
    data: &str,
) -> Result<(), String> {
    let (from, to, fs, options) = (c_string(source)?, c_string(target)?, c_string(kind)?, c_string(data)?);
    // SAFETY: four C strings that live through the call.
    let result =
        unsafe { libc::mount(from.as_ptr(), to.as_ptr(), fs.as_ptr(), flags, options.as_ptr().cast()) };
    check(result, &format!("mount {target}")).map(|_| ())
}

/// Becomes this program, found along PATH.
pub(crate) fn exec(argv: &[OsString]) -> Result<c_int, String> {
    let words = argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<_>, _>>();
    let words = words.map_err(|e| e.to_string())?;
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(null());
    // SAFETY: a null-terminated array of C strings that live through the call.
    check(unsafe { libc::execvp(pointers[0], pointers.as_ptr()) }, &format!("{argv:?}"))
}
