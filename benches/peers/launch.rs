//! Starting something to be measured, hearing from it, and ending it.
//!
//! Everything is started through a helper (see helper.rs) that prepares the place, writes down the time and then
//! *becomes* the init: preparation and fork are outside of what is timed, the exec is inside.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::helper;
use crate::proc;
use crate::sys::{self, Ended};

/// Longer than anything here may take: what hangs is named instead of waited for.
const PATIENCE_MS: u16 = 60_000;

/// Where an init runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// An ordinary process.
    Below,
    /// PID 1 of a fresh PID namespace, with a /proc and an empty /run of its own, as in a container.
    First,
    /// The same, but nothing can be written to its /run: runinit has no place for a record there, and does what the others
    /// do.
    FirstReadOnly,
}

/// Something that runs. It is killed if it is dropped before its end.
pub(crate) struct Running {
    pub(crate) pid: Pid,
    /// When it was started: the moment before its exec.
    pub(crate) started_ns: u64,
    /// CPU time that the helper had used by then.
    pub(crate) cpu_before_ns: u64,
    /// Held open until the program's standard input shall end.
    pub(crate) stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: PathBuf,
    pidfd: OwnedFd,
    ended: bool,
}

/// Starts a command line. What it writes to standard output are time stamps, read with [`Running::stamp`].
pub(crate) fn launch(bench: &Bench, place: Place, command: &[OsString]) -> Result<Running> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let stderr = bench.dir().join(format!("stderr-{}", COUNT.fetch_add(1, Ordering::Relaxed) % 64));
    let log = File::create(&stderr).while_doing(stderr.display())?;
    let mut start = Command::new(&bench.me);
    start.args([helper::WORD, helper::LAUNCH, place.word()]).args(command);
    start.env_clear().env("PATH", "/usr/bin:/bin");
    start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let spawned = match place {
        Place::Below => start.spawn(),
        Place::First | Place::FirstReadOnly => {
            sys::in_new_pid_namespace(|| start.spawn()).while_doing("making a PID namespace")?
        }
    };
    let mut child = spawned.while_doing("starting the helper")?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let stdout = child.stdout.take().ok_or("the helper has no standard output")?;
    let pidfd = sys::pidfd(pid).while_doing("opening a pidfd")?;
    let stdin = child.stdin.take();
    Ok(Running { pid, started_ns: 0, cpu_before_ns: 0, stdin, stdout, stderr, pidfd, ended: false })
}

impl Place {
    /// How the helper is told.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::First => "first",
            Self::FirstReadOnly => "first-read-only",
        }
    }
}

impl Running {
    /// Reads what the helper wrote down. Not part of the launch, because whoever waits for it is woken by it and
    /// takes the CPU from what is measured.
    pub(crate) fn read_start(&mut self) -> Result<()> {
        self.started_ns = self.stamp().while_doing("the start")?;
        self.cpu_before_ns = self.stamp().while_doing("the CPU time before the start")?;
        Ok(())
    }

    /// The next time stamp that was written, in nanoseconds: two words, seconds and nanoseconds.
    pub(crate) fn stamp(&mut self) -> Result<u64> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            wait_until_ready(&self.stdout)
                .map_err(|why| self.with_stderr(&format!("no time stamp came: {why}")))?;
            match self.stdout.read(&mut bytes[filled..]).while_doing("reading a time stamp")? {
                0 => return Err(self.with_stderr("it ended before the program wrote its time stamp")),
                count => filled += count,
            }
        }
        let (seconds, nanoseconds) = bytes.split_at(8);
        let word = |half: &[u8]| half.try_into().map(u64::from_ne_bytes).while_doing("a time stamp");
        Ok(word(seconds)? * 1_000_000_000 + word(nanoseconds)?)
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<Ended> {
        wait_until_ready(&self.pidfd).map_err(|why| self.with_stderr(&format!("it does not end: {why}")))?;
        let ended = sys::wait(self.pid).while_doing(format!("waiting for {}", self.pid))?;
        self.ended = true;
        Ok(ended)
    }

    /// Asks it to end, and waits until it has. Returns how long that took, in nanoseconds.
    pub(crate) fn stop(mut self) -> Result<u64> {
        let begin = proc::monotonic_ns()?;
        kill(self.pid, Signal::SIGTERM).while_doing("sending SIGTERM")?;
        self.wait()?;
        Ok(proc::monotonic_ns()? - begin)
    }

    /// An error, with the last that was said on standard error.
    pub(crate) fn with_stderr(&self, why: &str) -> String {
        let said = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let last = said.lines().rev().take(5).collect::<Vec<_>>();
        let last: Vec<&str> = last.into_iter().rev().collect();
        if last.is_empty() { why.to_owned() } else { format!("{why}; it said:\n    {}", last.join("\n    ")) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // Errors here mean that it is gone already, which is what is wanted.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = sys::wait(self.pid);
        }
    }
}

/// Kills what failed inits have left behind: orphans of ours, as this process is their subreaper.
pub(crate) fn end_everything() {
    while let Ok(left) = proc::children(Pid::this()) {
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = sys::wait(pid);
        }
    }
}

fn wait_until_ready(file: &impl AsFd) -> Result<()> {
    let mut watched = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut watched, PollTimeout::from(PATIENCE_MS)) {
            Ok(0) => return Err(format!("nothing for {PATIENCE_MS} ms")),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(why) => return Err(why.to_string()),
        }
    }
}
