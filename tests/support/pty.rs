//! A terminal with somebody at the keyboard.

use super::{PATIENCE, until};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read, tcgetpgrp, write};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A program that leads a session of its own on a new terminal.
pub(crate) struct Pty {
    keyboard: Option<PtyMaster>,
    screen: OwnedFd,
    child: Child,
    seen: String,
    /// Up to where [`Pty::expect`] has read.
    read: usize,
}

impl Pty {
    /// Starts a command with the terminal as its controlling terminal.
    pub(crate) fn start<W: AsRef<OsStr>>(command: &[W], dir: &std::path::Path) -> Result<Self, String> {
        // Close-on-exec from the start: a copy in a child of another test would keep the terminal from vanishing.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let opened = posix_openpt(flags).and_then(|master| {
            grantpt(&master)?;
            unlockpt(&master)?;
            let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            let screen = open(ptsname_r(&master)?.as_str(), flags, Mode::empty())?;
            Ok((master, screen))
        });
        let (keyboard, screen) = opened.map_err(|e| format!("no terminal: {e}"))?;
        let slave = || screen.try_clone().map(Stdio::from).map_err(|e| e.to_string());
        let mut setsid = Command::new("setsid");
        setsid.arg("--ctty").args(command).current_dir(dir).stdin(slave()?).stdout(slave()?).stderr(slave()?);
        setsid.env("PS1", "$ ").env("TERM", "dumb").env("HISTFILE", "/dev/null");
        let child = setsid.spawn().map_err(|e| format!("setsid: {e}"))?;
        Ok(Self { keyboard: Some(keyboard), screen, child, seen: String::new(), read: 0 })
    }

    /// Types something.
    pub(crate) fn type_in(&self, text: &str) -> Result<(), String> {
        let keyboard = self.keyboard.as_ref().ok_or("the terminal is gone")?;
        write(keyboard, text.as_bytes()).map(drop).map_err(|e| format!("typing {text:?}: {e}"))
    }

    /// Waits until the screen shows this, after all that was waited for before.
    pub(crate) fn expect(&mut self, text: &str) -> Result<(), String> {
        until(PATIENCE, || {
            self.look();
            self.seen[self.read..].contains(text)
        });
        let Some(at) = self.seen[self.read..].find(text) else {
            return Err(format!("{text:?} never came; on the screen: {:?}", &self.seen[self.read..]));
        };
        self.read += at + text.len();
        Ok(())
    }

    /// What has come since the last thing that was waited for.
    pub(crate) fn rest(&mut self) -> &str {
        self.look();
        &self.seen[self.read..]
    }

    /// Everything that has come.
    pub(crate) fn everything(&mut self) -> &str {
        self.look();
        &self.seen
    }

    fn look(&mut self) {
        let Some(keyboard) = &self.keyboard else { return };
        let mut buffer = [0; 4096];
        // EIO: nobody has the other end open any more.
        while let Ok(length @ 1..) = read(keyboard, &mut buffer) {
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// The pid of the program that was started.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The group in the foreground.
    pub(crate) fn foreground(&self) -> Option<i32> {
        let keyboard = self.keyboard.as_ref()?;
        tcgetpgrp(keyboard).ok().map(Pid::as_raw)
    }

    /// Asks stty(1) about the terminal, or has it change it.
    pub(crate) fn stty(&self, words: &[&str]) -> Result<String, String> {
        let terminal = self.screen.as_fd().try_clone_to_owned().map_err(|e| e.to_string())?;
        let asked = Command::new("stty").args(words).stdin(Stdio::from(terminal)).output();
        asked.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).map_err(|e| format!("stty: {e}"))
    }

    /// Takes the terminal away, as a lost connection does.
    pub(crate) fn vanish(&mut self) {
        self.look();
        self.keyboard = None;
    }

    /// Waits for the program's end.
    pub(crate) fn end(&mut self) -> Result<ExitStatus, String> {
        let mut ended = None;
        until(PATIENCE, || {
            self.look();
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        });
        ended.ok_or_else(|| format!("it never ended; on the screen: {:?}", self.rest()))
    }
}

impl Drop for Pty {
    /// The whole session goes: the terminal hangs up, and its leader is killed.
    fn drop(&mut self) {
        self.keyboard = None;
        if kill(Pid::from_raw(self.pid()), Signal::SIGKILL) != Err(Errno::ESRCH) {
            let _ = self.child.wait();
        }
    }
}
