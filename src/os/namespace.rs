//! A child in a PID namespace of its own, where that is allowed.

use super::raw;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command};

/// A child that was started.
#[derive(Debug)]
pub struct Started {
    /// The child, which gets SIGTERM if this process ends before it.
    pub child: Child,
    /// It is PID 1 of its own namespace and sees nobody else.
    pub is_alone: bool,
}

/// Starts a command with this signal mask as PID 1 of a namespace, and where the system does not allow that (it needs `CAP_SYS_ADMIN`), beside
/// everybody else.
///
/// # Errors
/// The command cannot be started at all.
pub fn start(mask: u64, command: impl Fn() -> Command) -> io::Result<Started> {
    // Ignored, it would keep the child's end from being told.
    raw::set_sigchld_ignored(false);
    if let Ok(own) = File::open("/proc/self/ns/pid")
        && raw::unshare_children().is_ok()
    {
        let mut first = command();
        raw::accompany(&mut first, mask, true);
        let child = first.spawn();
        raw::return_children(own.as_fd());
        if let Ok(child) = child {
            return Ok(Started { child, is_alone: true });
        }
    }
    let mut beside = command();
    raw::accompany(&mut beside, mask, false);
    beside.spawn().map(|child| Started { child, is_alone: false })
}
