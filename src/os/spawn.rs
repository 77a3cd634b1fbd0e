//! Starting a program: exactly as runinit itself was started, in a group of its own.

use super::confine;
use super::environment::{Environment, Variable, search_path};
use super::raw::{self, Birth, BirthFailure, Stage};
use super::signals::Inherited;
use crate::core::event::{SpawnFailure, SpawnFailureKind};
use crate::core::plan::Launch;
use crate::core::process::Pid;
use crate::readable::readable;
use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::c_char;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

/// Where commands are looked for when PATH is not set (confstr(3), `_CS_PATH`).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// execve(2) would say ENAMETOOLONG of one that is longer (`PATH_MAX`, with a NUL), and the search would end there: glibc's
/// execvp(3) passes it over.
const LONGEST_DIRECTORY: usize = libc::PATH_MAX as usize;

/// What a program is given besides its own launch.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Handed on as it came.
    pub inherited: Inherited,
    /// Set over its environment.
    pub variables: &'a [Variable],
    /// The way into its own cgroup.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Become descriptors 0, 1 and 2; `None`: runinit's own is kept.
    pub standard: [Option<BorrowedFd<'a>>; 3],
    /// Another descriptor, and the number it gets, 3 or more.
    pub descriptor: Option<(BorrowedFd<'a>, i32)>,
    /// The terminal to be in the foreground of.
    pub terminal: Option<BorrowedFd<'a>>,
}

/// Starts a program as the leader of a new process group.
///
/// # Errors
/// Which step failed, and with what.
pub fn spawn(launch: &Launch, surroundings: Surroundings<'_>) -> Result<Pid, SpawnFailure> {
    let with_nul = |_| {
        let message =
            format!("cannot run {}: a NUL byte in its command, environment or directory", command(launch));
        SpawnFailure { kind: SpawnFailureKind::NotExecutable, errno: 0, message }
    };
    let strings = Strings::new(launch).map_err(with_nul)?;
    let mut environment = Environment::new(launch, surroundings.variables).map_err(with_nul)?;
    let candidates = pointers(&strings.candidates, &[]);
    let argv = pointers(&strings.argv, &[]);
    let mut shell_argv =
        pointers(strings.argv.get(1..).unwrap_or_default(), &[c"/bin/sh".as_ptr(), ptr::null()]);
    let changed = environment.pointers();
    let mut birth = Birth {
        candidates: candidates.as_ptr(),
        argv: argv.as_ptr(),
        shell_argv: shell_argv.as_mut_ptr(),
        environment: changed.as_ref().map_or_else(raw::environment, Vec::as_ptr),
        own_number: environment.own_number(),
        cwd: strings.cwd.as_ref().map_or(ptr::null(), |cwd| cwd.as_ptr()),
        standard: surroundings.standard.map(|descriptor| descriptor.map(|fd| fd.as_raw_fd())),
        descriptor: surroundings.descriptor.map(|(fd, number)| (fd.as_raw_fd(), number)),
        terminal: surroundings.terminal.map(|fd| fd.as_raw_fd()),
        cgroup: surroundings.cgroup.map(|fd| fd.as_raw_fd()),
        leads: launch.leads,
        mask: surroundings.inherited.mask,
        ignore_sigchld: surroundings.inherited.ignore_sigchld,
        confine: confine::prepare(&launch.confinement),
        descriptors: surroundings
            .inherited
            .descriptors
            .filter(|_| !launch.confinement.limits.iter().any(|limit| limit.name == "nofile"))
            .map(|(soft, hard)| [soft, hard]),
        failure: None,
    };
    match raw::spawn(&mut birth) {
        Ok(pid) => Pid::new(pid).ok_or_else(|| explain(launch, None, Errno::ESRCH)),
        Err(errno) => Err(explain(launch, birth.failure, errno)),
    }
}

/// Looks whether a command and its directory are there, for a start that others do and do not tell of.
///
/// # Errors
/// As for [`spawn`].
pub fn look_before(launch: &Launch) -> Result<(), SpawnFailure> {
    use nix::unistd::{AccessFlags, access};
    let failed =
        |stage, errno: Errno| explain(launch, Some(BirthFailure { stage, errno: errno as i32 }), errno);
    if let Some(cwd) = &launch.cwd {
        if !cwd.is_dir() {
            return Err(failed(Stage::Cwd, Errno::ENOENT));
        }
        access(cwd, AccessFlags::X_OK).map_err(|errno| failed(Stage::Cwd, errno))?;
    }
    let Ok(strings) = Strings::new(launch) else { return Err(failed(Stage::Exec, Errno::EINVAL)) };
    let in_cwd = |candidate: &CString| {
        let path = Path::new(OsStr::from_bytes(candidate.as_bytes()));
        launch.cwd.as_ref().map_or(path.to_owned(), |cwd| cwd.join(path))
    };
    let mut missing = Errno::ENOENT;
    for path in strings.candidates.iter().map(in_cwd) {
        match access(&path, AccessFlags::X_OK) {
            Ok(()) if !path.is_dir() => return Ok(()),
            Ok(()) | Err(Errno::EACCES) => missing = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(failed(Stage::Exec, missing))
}

fn explain(launch: &Launch, failure: Option<BirthFailure>, errno: Errno) -> SpawnFailure {
    let name = command(launch);
    let why = errno.desc();
    let stage = failure.map(|failure| failure.stage);
    let kind = match stage {
        // fork(2): EAGAIN is a limit on processes, ENOMEM memory or a PID namespace that is closing.
        None => SpawnFailureKind::NoRoom,
        Some(Stage::Exec) if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) => SpawnFailureKind::NotFound,
        // setresuid(2) and execve(2): EAGAIN is the user's limit on processes.
        Some(_) => kind_of(errno),
    };
    let message = match stage {
        None => format!("cannot start {name}: no new process: {why}"),
        Some(Stage::Group) => format!("cannot start {name} in its own group: {why}"),
        Some(Stage::Standard) => format!("cannot start {name} with its descriptors: {why}"),
        Some(Stage::Cwd) => {
            let cwd = launch.cwd.as_deref().unwrap_or(Path::new("/")).to_string_lossy();
            format!("cannot start {name} in {}: {why}", readable(&cwd))
        }
        Some(Stage::Confine(step)) => {
            let step = confine::describe(step, &launch.confinement);
            format!("cannot start {name}: {step}: {why}")
        }
        Some(Stage::Interpreter) => format!("cannot run {name}: the interpreter it names does not exist"),
        Some(Stage::Exec) if kind == SpawnFailureKind::NotFound => {
            let is_empty = launch.argv.first().is_none_or(|name| name.is_empty());
            format!(
                "cannot run {name}: {}",
                if is_empty { "the command is empty" } else { "no such command" }
            )
        }
        Some(Stage::Exec) => format!("cannot run {name}: {why}"),
    };
    SpawnFailure { kind, errno: errno as i32, message }
}

/// What it means for a start that something it needs was refused: what there is no room for now may find some soon, and what
/// is just being written may be whole soon.
pub fn kind_of(errno: Errno) -> SpawnFailureKind {
    match errno {
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::EDQUOT => {
            SpawnFailureKind::NoRoom
        }
        Errno::ETXTBSY => SpawnFailureKind::Busy,
        _ => SpawnFailureKind::NotExecutable,
    }
}

/// A start that failed before there was a process: what could not be done for it, and why.
pub fn refused(what: &str, errno: Errno) -> SpawnFailure {
    SpawnFailure { kind: kind_of(errno), errno: errno as i32, message: format!("{what}: {}", errno.desc()) }
}

/// The system's own words for an error.
pub fn describe(errno: i32) -> &'static str {
    Errno::from_raw(errno).desc()
}

/// The command's name, for people.
fn command(launch: &Launch) -> String {
    match launch.argv.first() {
        Some(name) if !name.is_empty() => readable(&name.to_string_lossy()),
        _ => "\"\"".to_owned(),
    }
}

/// Everything exec needs, with its NULs, alive until the child has become the program.
struct Strings {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    cwd: Option<CString>,
}

impl Strings {
    fn new(launch: &Launch) -> Result<Self, std::ffi::NulError> {
        let name = launch.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
        Ok(Self {
            candidates: candidates(name, search_path(launch))?,
            argv: launch.argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
            cwd: launch.cwd.as_ref().map(|cwd| CString::new(cwd.as_os_str().as_bytes())).transpose()?,
        })
    }
}

/// The paths that execvp(3) would try for a command.
fn candidates(command: &OsStr, path: Option<OsString>) -> Result<Vec<CString>, std::ffi::NulError> {
    let command = command.as_bytes();
    if command.contains(&b'/') || command.is_empty() {
        return Ok(vec![CString::new(command)?]);
    }
    let path = path.map_or_else(|| DEFAULT_PATH.to_vec(), OsString::into_vec);
    let in_directory = |directory: &[u8]| match directory {
        // An empty entry is the current directory (execvp(3)).
        b"" => CString::new(command),
        directory => CString::new([directory, b"/", command].concat()),
    };
    let directories =
        path.split(|&byte| byte == b':').filter(|directory| directory.len() < LONGEST_DIRECTORY);
    directories.map(in_directory).collect()
}

fn pointers(strings: &[CString], first: &[*const c_char]) -> Vec<*const c_char> {
    first.iter().copied().chain(strings.iter().map(|string| string.as_ptr())).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(command: &str, path: Option<&str>) -> Vec<String> {
        let found = candidates(OsStr::new(command), path.map(OsString::from)).unwrap();
        found.into_iter().map(|path| path.into_string().unwrap()).collect()
    }

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        assert_eq!(paths("ls", Some("/a::/b")), ["/a/ls", "ls", "/b/ls"]);
        assert_eq!(paths("ls", None), ["/bin/ls", "/usr/bin/ls"]);
        assert_eq!(paths("./ls", Some("/a")), ["./ls"]);
        assert_eq!(paths("", Some("/a")), [""]);
        let [longest, longer] = [4095, 4096].map(|length| format!("/{}", "a".repeat(length - 1)));
        assert_eq!(paths("ls", Some(&format!("{longer}:/b"))), ["/b/ls"]);
        assert_eq!(paths("ls", Some(&longest)), [format!("{longest}/ls")]);
        assert_eq!(paths("ls", Some(&longer)), [""; 0]);
    }
}
