//! At a real terminal.

use crate::support::pty::Pty;
use crate::support::{Init, Outcome, PATIENCE, ensure, probe, process, send, until, words};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

const BASH: [&str; 4] = ["bash", "--norc", "--noprofile", "--noediting"];

/// Starts an init with a command as the leader of a session on a terminal of its own.
fn start(init: Init, options: &[&str], command: &[&str]) -> Result<Pty, String> {
    let mut argv: Vec<OsString> = words([init.path()?]);
    argv.extend(words(options.iter().copied().chain(["--"]).chain(command.iter().copied())));
    Pty::start(&argv, Path::new("/tmp"))
}

fn ended_with(terminal: &mut Pty, code: i32) -> Outcome {
    let status = terminal.end()?;
    ensure!(status.code() == Some(code), "{status:?} instead of {code}: {:?}", terminal.everything());
    Ok(())
}

pub(crate) fn reads_and_writes(init: Init) -> Outcome {
    let mut terminal = start(init, &[], &["sh", "-c", "echo up; exec tac"])?;
    terminal.expect("up\r\n")?;
    terminal.stty(&["-echo", "-opost"])?;
    terminal.type_in("1\n2\n3\n")?;
    terminal.type_in("\x04")?;
    terminal.expect("3\n2\n1\n")?;
    ended_with(&mut terminal, 0)
}

fn controls_jobs(init: Init, options: &[&str]) -> Outcome {
    let mut terminal = start(init, options, &[&BASH[..], &["-m"]].concat())?;
    terminal.type_in("echo \"flags are: [[$-]]\"\n")?;
    terminal.type_in("sleep 1000 | sleep 1000\n")?;
    // The first is the echo of what was typed.
    terminal.expect("flags are: [[")?;
    terminal.expect("flags are: [[")?;
    terminal.expect("]]")?;
    let screen = terminal.everything().to_owned();
    let flags =
        screen.rsplit_once("[[").and_then(|(_, rest)| rest.split_once("]]")).map_or("", |(flags, _)| flags);
    ensure!(flags.contains('m') && !screen.contains("no job control"), "on the screen: {screen:?}");
    // A job of its own is stopped and continued.
    let job = |terminal: &Pty| terminal.foreground().and_then(process).map(|process| process.name);
    let is_there = until(PATIENCE, || job(&terminal).as_deref() == Some("sleep"));
    ensure!(is_there, "no job is in the foreground, but {:?}", job(&terminal));
    terminal.type_in("\x1a")?;
    let is_stopped = until(init.patience(), || terminal.rest().contains("Stopped"));
    ensure!(is_stopped, "a job does not stop: {:?}", terminal.rest());
    terminal.type_in("kill %1\n")?;
    terminal.type_in("exit 0\n")?;
    terminal.type_in("exit 0\n")?; // the first one says that there are stopped jobs, if there still are
    let status = terminal.end()?;
    ensure!(status.code() == Some(0), "{status:?}: {:?}", terminal.everything());
    Ok(())
}

pub(crate) fn job_control(init: Init) -> Outcome {
    controls_jobs(init, &[])
}

pub(crate) fn job_control_single(init: Init) -> Outcome {
    controls_jobs(init, &["-c"])
}

pub(crate) fn code(init: Init) -> Outcome {
    let mut terminal = start(init, &[], &["sh"])?;
    terminal.type_in("\nexit 7\n")?;
    ended_with(&mut terminal, 7)
}

pub(crate) fn ctrl_c(init: Init) -> Outcome {
    let mut terminal = start(init, &[], &["sh", "-c", "while :; do echo up; sleep 0.05; done"])?;
    terminal.expect("up")?;
    terminal.type_in("\x03")?;
    ended_with(&mut terminal, 130)
}

fn counts_ctrl_c(init: Init, options: &[&str]) -> Outcome {
    let mut terminal = start(init, options, &[&probe()?, "hear", "--end", "3"])?;
    terminal.expect("ready")?;
    terminal.expect("\n")?;
    terminal.type_in("\x03")?;
    until(PATIENCE, || terminal.rest().contains("2\r\n"));
    send(terminal.pid(), libc::SIGUSR1)?; // forwarded after whatever else is
    until(PATIENCE, || terminal.rest().contains("10\r\n"));
    let count = terminal.rest().matches("2\r\n").count();
    terminal.type_in("\x1c")?;
    ended_with(&mut terminal, 0)?;
    ensure!(count == 1, "heard {count} times");
    Ok(())
}

pub(crate) fn ctrl_c_once(init: Init) -> Outcome {
    counts_ctrl_c(init, &[])
}

pub(crate) fn ctrl_c_once_single(init: Init) -> Outcome {
    counts_ctrl_c(init, &["-c"])
}

pub(crate) fn farewell(init: Init) -> Outcome {
    let mut terminal = start(init, &["-v"], &["sleep", "1000"])?;
    let marks = ["hand-off signal 1.", "hand-off signal 18.", "setsid complete."];
    let is_told = until(PATIENCE, || marks.iter().all(|mark| terminal.everything().contains(mark)));
    ensure!(is_told, "on the screen: {:?}", terminal.everything());
    send(terminal.pid(), libc::SIGHUP)?;
    terminal.expect("Forwarded signal 1 to children.")?;
    ended_with(&mut terminal, 129)?;
    let screen = terminal.everything();
    ensure!(!screen.contains("Forwarded signal 18"), "on the screen: {screen:?}");
    Ok(())
}

/// A person's shell.
struct Desk(Pty);

impl Desk {
    fn new() -> Result<Self, String> {
        let mut shell = Pty::start(&[&BASH[..], &["-i"]].concat(), Path::new("/tmp"))?;
        shell.expect("$ ")?;
        Ok(Self(shell))
    }

    fn type_in(&self, text: &str) -> Outcome {
        self.0.type_in(text)
    }

    /// Types a line and waits for what comes of it, which is not in the line itself: its echo may be torn apart by a prompt.
    fn run(&mut self, line: &str, expected: &str, patience: Duration) -> Outcome {
        self.type_in(&format!("{line}\n"))?;
        let came = until(patience, || self.0.rest().contains(expected));
        ensure!(came, "does not come back after {line:?}: {:?}", self.0.rest());
        self.0.expect(expected)
    }

    /// Somebody else has the terminal, and goes on: the shell says so a moment before it is true.
    fn is_given_away(&mut self, patience: Duration) -> Outcome {
        let goes_on = || {
            let job = self.0.foreground().and_then(process);
            job.is_some_and(|process| process.name != "bash" && process.state != 'T')
        };
        ensure!(until(patience, goes_on), "no job goes on: {:?}", self.0.rest());
        Ok(())
    }

    /// The shell is there, and has the terminal.
    fn is_back(&mut self, patience: Duration) -> Outcome {
        self.run("echo back-$((40 + 2))", "back-42", patience)
    }
}

fn called(init: Init, command: &str) -> Result<String, String> {
    let option = if init.name() == "tini" { "-s " } else { "" };
    Ok(format!("{} {option}-- {command}", init.path()?.display()))
}

pub(crate) fn ctrl_z(init: Init) -> Outcome {
    let mut desk = Desk::new()?;
    desk.run(&called(init, "sh -c 'echo u''p; exec sleep 1000'")?, "up", PATIENCE)?;
    desk.type_in("\x1a")?;
    desk.is_back(init.patience())?;
    desk.run("fg", "sleep 1000", init.patience())?;
    desk.is_given_away(init.patience())?;
    desk.type_in("\x03")?;
    desk.run("echo code-$?", "code-130", init.patience())
}

pub(crate) fn background(init: Init) -> Outcome {
    let mut desk = Desk::new()?;
    desk.run(&called(init, "sh -c 'echo u''p; exec sleep 1000' &")?, "up", PATIENCE)?;
    desk.is_back(init.patience())?;
    desk.run("kill %1; wait %1; echo code-$?", "code-143", init.patience())
}
