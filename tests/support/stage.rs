//! A stage for an init: a PID namespace of its own, which dies with it and takes everything along.

use super::procfs::{Process, children, descendants, process};
use super::{Outcome, PATIENCE, Record, probe, until};
use nix::unistd::geteuid;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{File, Permissions, read_to_string, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Where the init stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is PID 1 of its namespace.
    Pid1,
    /// It is PID 2, the child of somebody who reaps what it leaves.
    Below,
}

impl Place {
    pub(crate) const BOTH: [Self; 2] = [Self::Pid1, Self::Below];
}

/// A stage that is being set.
pub(crate) struct Stage {
    place: Place,
    options: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    stdin: Stdio,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    dir: TempDir,
}

impl Stage {
    pub(crate) fn new(place: Place) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err(
                "these tests have to be run by root: each init gets a PID namespace and mounts of its own \
                        (unshare and mount need CAP_SYS_ADMIN). Use sudo, or a privileged container."
                    .to_owned(),
            );
        }
        let dir = tempfile::Builder::new().prefix("runinit-").tempdir().map_err(|e| e.to_string())?;
        // Inits that run as somebody else work in it, too.
        set_permissions(dir.path(), Permissions::from_mode(0o777)).map_err(|e| e.to_string())?;
        let environment = std::env::var_os("PATH").map(|path| ("PATH".into(), path)).into_iter().collect();
        Ok(Self {
            place,
            options: Vec::new(),
            environment,
            directory: None,
            stdin: Stdio::null(),
            stdout: None,
            stderr: None,
            dir,
        })
    }

    /// A file in the stage's own directory, which is removed at the end.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// Writes a file in the stage's own directory.
    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> Result<PathBuf, String> {
        let path = self.file(name);
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        set_permissions(&path, Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
        Ok(path)
    }

    /// A copy of an executable in the stage's own directory, which every user can reach.
    pub(crate) fn copy(&self, from: impl AsRef<Path>, name: &str, mode: u32) -> Result<OsString, String> {
        let path = self.file(name);
        // By another process: a descriptor of this one, open for writing, could be in a child of another test, and then the
        // copy could not be run (ETXTBSY).
        let copied = Command::new("cp").arg("--dereference").arg(from.as_ref()).arg(&path).status();
        if !copied.is_ok_and(|status| status.success()) {
            return Err(format!("cannot copy {}", from.as_ref().display()));
        }
        set_permissions(&path, Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
        Ok(path.into())
    }

    /// An option of the probe's stage and its value; see tests/probe/stage.rs.
    pub(crate) fn with(mut self, option: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.push(option.into());
        self.options.push(value.as_ref().into());
        self
    }

    /// An option of the probe's stage without a value.
    pub(crate) fn flag(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    /// Signals that the init inherits as ignored.
    pub(crate) fn ignoring(self, signals: &[i32]) -> Self {
        signals.iter().fold(self, |stage, n| stage.with("--ignore", n.to_string()))
    }

    /// Signals that the init inherits as blocked.
    pub(crate) fn blocking(self, signals: &[i32]) -> Self {
        signals.iter().fold(self, |stage, n| stage.with("--block", n.to_string()))
    }

    /// A variable of the init's environment; besides these there is only PATH.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The init's working directory.
    pub(crate) fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The init's standard input is a pipe; see [`Running::stdin`].
    pub(crate) fn piped(mut self) -> Self {
        self.stdin = Stdio::piped();
        self
    }

    /// The init's standard input is this.
    pub(crate) fn reading(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// The init's standard output is this, not a file; see [`Running::stdout`].
    pub(crate) fn printing_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// The init's standard error is this, not a file; see [`Running::stderr`].
    pub(crate) fn complaining_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts an init with its command.
    pub(crate) fn start(self, argv: Vec<OsString>) -> Result<Running, String> {
        let output = |name| File::options().create(true).append(true).open(self.file(name));
        let mut command = Command::new(probe()?);
        command.arg("stage").arg("--report").arg(self.file("end"));
        if self.place == Place::Pid1 {
            command.arg("--pid1");
        }
        command.args(&self.options).arg("--").args(&argv);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let stdout = output("stdout").map_err(|e| e.to_string())?;
        let stderr = output("stderr").map_err(|e| e.to_string())?;
        command.stdout(self.stdout.unwrap_or_else(|| stdout.into()));
        command.stderr(self.stderr.unwrap_or_else(|| stderr.into()));
        command.stdin(self.stdin);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(|e| format!("cannot start the stage: {e}"))?;
        Ok(Running { stdin: child.stdin.take(), child, place: self.place, dir: self.dir, argv })
    }
}

/// How an init ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Who was still there at that moment. Below PID 1 only: with PID 1 the whole namespace ends.
    pub(crate) left: Vec<String>,
    /// The stage's occupant, who is none of the init's business, was still there.
    pub(crate) occupant: bool,
}

/// An init at work. Dropping it ends its whole namespace.
pub(crate) struct Running {
    /// The init's standard input, if that is a pipe.
    pub(crate) stdin: Option<ChildStdin>,
    child: Child,
    place: Place,
    dir: TempDir,
    argv: Vec<OsString>,
}

impl Running {
    /// A file in the stage's own directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a file in the stage's own directory holds by now.
    pub(crate) fn text(&self, name: &str) -> String {
        read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The record, which the stage's directory holds as `record`, as it stands.
    pub(crate) fn record(&self) -> Result<Record, String> {
        Record::read(&self.file("record")).map_err(|why| self.explain(&why))
    }

    /// Waits until the record is in this phase.
    pub(crate) fn wait_for_phase(&self, phase: &str) -> Result<Record, String> {
        let record = || self.record().ok().filter(|record| record.at("phase") == phase);
        self.wait_for(&format!("the record to say {phase}"), || record().is_some())?;
        self.record()
    }

    /// What the init and its programs have written by now.
    pub(crate) fn stdout(&self) -> String {
        self.text("stdout")
    }

    /// What the init and its programs have complained about by now.
    pub(crate) fn stderr(&self) -> String {
        self.text("stderr")
    }

    /// The init's process, once it is the init and no longer the stage.
    pub(crate) fn init(&self) -> Result<Process, String> {
        let mut found = None;
        self.wait_for("the init to be there", || {
            let stage = self.child.id().cast_signed();
            let mut near = children(stage);
            if self.place == Place::Below {
                near = near.iter().flat_map(|nanny| children(*nanny)).collect();
            }
            let inner_pid = if self.place == Place::Pid1 { 1 } else { 2 };
            found =
                near.into_iter().filter_map(process).find(|p| p.inner_pid == inner_pid && p.name != "probe");
            found.is_some()
        })?;
        found.ok_or_else(|| self.explain("no init"))
    }

    /// Everybody in the init's care, dead ones that nobody reaped too.
    pub(crate) fn programs(&self) -> Vec<Process> {
        self.init().map(|init| descendants(init.pid)).unwrap_or_default()
    }

    /// Everybody on the stage, its own processes too.
    pub(crate) fn everybody(&self) -> Vec<Process> {
        descendants(self.child.id().cast_signed())
    }

    /// Sends this signal to the init.
    pub(crate) fn signal(&self, signal: i32) -> Outcome {
        send(self.init()?.pid, signal).map_err(|e| self.explain(&format!("signal {signal} to the init: {e}")))
    }

    /// Waits until the condition holds, at most until the init's end.
    pub(crate) fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) -> Outcome {
        let (mut holds, mut ended) = (false, false);
        until(PATIENCE, || {
            ended = self.has_ended(); // looked at first: what was to happen may be the last thing that did
            holds = condition();
            holds || ended
        });
        match (holds, ended) {
            (true, _) => Ok(()),
            (false, true) => Err(self.explain(&format!("it ended before {what}: {}", self.text("end")))),
            (false, false) => Err(self.explain(&format!("waited in vain for {what}"))),
        }
    }

    /// Waits until this file in the stage's directory has this line.
    pub(crate) fn wait_for_line(&self, name: &str, line: &str) -> Outcome {
        self.wait_for(&format!("{line:?} in {name}"), || self.has_line(name, line))
    }

    /// True if this file in the stage's directory has this line by now. A probe's `ready` has a number behind it.
    pub(crate) fn has_line(&self, name: &str, line: &str) -> bool {
        self.text(name).lines().any(|l| l == line || line == "ready" && l.starts_with("ready "))
    }

    /// True once the init has ended.
    pub(crate) fn has_ended(&self) -> bool {
        !self.text("end").is_empty()
    }

    /// Waits until the init has taken every signal that was sent to it and sleeps again, or has ended.
    pub(crate) fn settle(&self) -> Outcome {
        let init = self.init()?;
        self.wait_for("the init to sleep", || {
            process(init.pid).is_none_or(|p| matches!(p.state, 'S' | 'Z') && p.pending == 0)
        })
    }

    /// Waits until the probe that writes to standard output is ready.
    pub(crate) fn wait_until_ready(&self) -> Outcome {
        self.wait_for_line("stdout", "ready")
    }

    /// Waits for the init's end.
    pub(crate) fn end(&mut self) -> Result<End, String> {
        self.end_within(PATIENCE)?.ok_or_else(|| self.explain("the init does not end"))
    }

    /// Waits for the init's end, but not for long; `None` if it did not come.
    pub(crate) fn end_within(&mut self, patience: Duration) -> Result<Option<End>, String> {
        let mut status = None;
        let ended = until(patience, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        if !ended {
            return Ok(None);
        }
        let report = self.text("end");
        let mut end = End::default();
        for line in report.lines() {
            match line.split_once(' ') {
                Some(("exit", code)) => end.code = code.parse().ok(),
                Some(("left", who)) => end.left.push(who.to_owned()),
                Some(("occupant", _)) => end.occupant = true,
                _ => {}
            }
        }
        if report.is_empty() {
            Err(self.explain(&format!("the stage broke: {status:?}")))
        } else {
            Ok(Some(end))
        }
    }

    /// Waits for the init's end, which has to have this code and to leave nobody behind.
    pub(crate) fn end_with(&mut self, code: i32) -> Outcome {
        let end = self.end()?;
        match end.code {
            Some(got) if got == code && end.left.is_empty() => Ok(()),
            Some(got) if got == code => Err(self.explain(&format!("somebody is left: {:?}", end.left))),
            Some(got) => Err(self.explain(&format!("exit code {got} instead of {code}"))),
            None => Err(self.explain(&format!("it was killed: {}", self.text("end")))),
        }
    }

    /// A message with everything that helps to understand it.
    pub(crate) fn explain(&self, message: &str) -> String {
        let stage = self.child.id().cast_signed();
        let mut text = format!("{message}\n  as {:?}: {:?}", self.place, self.argv);
        for (title, output) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            if !output.is_empty() {
                let tail: String = output.chars().skip(output.chars().count().saturating_sub(3000)).collect();
                let _ = write!(text, "\n  {title}:\n{tail}");
            }
        }
        for process in descendants(stage).into_iter().take(20) {
            let _ = write!(text, "\n  {process:?}");
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The stage's death is its namespace's death, by PR_SET_PDEATHSIG. The first process there is the last to go, and
        // until then locks are held and files are open.
        let first = children(self.child.id().cast_signed());
        let _ = self.child.kill();
        let _ = self.child.wait();
        until(PATIENCE, || first.iter().all(|pid| process(*pid).is_none_or(|p| p.state == 'Z')));
    }
}

/// Sends a signal of any number, real-time ones too.
pub(crate) fn send(pid: i32, signal: i32) -> Outcome {
    super::sys::kill(pid, signal)
}
