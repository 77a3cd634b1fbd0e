//! A command that is waited for, but not for ever. Not for the loop.

use super::raw;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command that prints more is not heard to the end.
const LONGEST: usize = 4 << 20;
/// How often it is looked whether a command has ended that has closed its output.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// It exited with 0.
    pub is_success: bool,
    /// What it has printed.
    pub stdout: String,
    /// What it has complained about.
    pub stderr: String,
}

/// Runs a command; it is killed if it has not ended by then.
///
/// # Errors
/// It does not exist, cannot be run, prints too much or took too long (`TimedOut`).
pub fn run(argv: &[OsString], until: Instant) -> Result<Finished> {
    let (program, arguments) = argv.split_first().ok_or(ErrorKind::InvalidInput)?;
    // Ignored, it would keep the end of the command from being told.
    raw::set_sigchld_ignored(false);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = hear(&mut child, until).and_then(|heard| Ok((heard, end(&mut child, until)?)));
    if ended.is_err() {
        // It may have ended by now, which is no error.
        let _ = child.kill();
        let _ = child.wait();
    }
    let ([stdout, stderr], status) = ended?;
    Ok(Finished { is_success: status.success(), stdout, stderr })
}

/// Reads both pipes to their ends.
fn hear(child: &mut Child, until: Instant) -> Result<[String; 2]> {
    let mut pipes = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)]
        .map(|pipe| pipe.map(std::fs::File::from));
    let mut heard = [Vec::new(), Vec::new()];
    let mut buffer = [0; 8192];
    while pipes.iter().any(Option::is_some) {
        wait(pipes.iter().flatten(), until)?;
        for (pipe, heard) in pipes.iter_mut().zip(&mut heard) {
            let Some(file) = pipe.as_mut().filter(|file| is_ready(file)) else { continue };
            let length = file.read(&mut buffer)?;
            heard.extend_from_slice(&buffer[..length]);
            if heard.len() > LONGEST {
                return Err(ErrorKind::FileTooLarge.into());
            }
            if length == 0 {
                *pipe = None;
            }
        }
    }
    Ok(heard.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn wait<'a>(pipes: impl Iterator<Item = &'a std::fs::File>, until: Instant) -> Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut waited: Vec<_> = pipes.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut waited, timeout)? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

fn is_ready(pipe: &std::fs::File) -> bool {
    let mut one = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut one, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn end(child: &mut Child, until: Instant) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Result<Finished> {
        run(&["/bin/sh", "-c", script].map(OsString::from), Instant::now() + time)
    }

    #[test]
    fn both_outputs_and_the_end_are_heard() {
        let finished = shell("echo out; echo err >&2; exit 3", Duration::from_secs(30)).unwrap();
        let expected = Finished { is_success: false, stdout: "out\n".to_owned(), stderr: "err\n".to_owned() };
        assert_eq!(finished, expected);
    }

    #[test]
    fn one_that_hangs_is_ended_with_or_without_its_output() {
        for script in ["exec sleep 1000", "exec >&- 2>&-; exec sleep 1000"] {
            let error = shell(script, Duration::from_millis(50)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
    }

    #[test]
    fn one_that_does_not_exist_is_told() {
        let error = run(&["/nowhere/nothing".into()], Instant::now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
