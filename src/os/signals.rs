//! Signals as messages: everything is blocked, and waited for by name or read from a descriptor.
//!
//! No handler is ever installed. So no handler can run in a child between fork and exec and swallow what was meant for
//! the program, every disposition stays as it was inherited, and a real-time signal that came three times is read three
//! times. A blocked signal is queued even where it is ignored, and even for PID 1 (`sig_ignored()` in the kernel asks
//! for the mask first).

use super::raw;
use crate::core::signal::Signal;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What came in at the start, to be handed on to every program as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The signal mask; bit n - 1 is signal n.
    pub mask: u64,
    /// SIGCHLD was ignored.
    pub ignore_sigchld: bool,
    /// The limits on descriptors, soft and hard, if runinit has raised its own.
    pub descriptors: Option<(u64, u64)>,
}

impl Inherited {
    /// For what is runinit's own: it has to hear of its children and to end when it is asked to, whatever came in.
    #[must_use]
    pub fn without_signals(self) -> Self {
        Self { mask: 0, ignore_sigchld: false, ..self }
    }
}

/// The descriptor that all signals arrive at.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

/// A signal as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// Who sent it, by kill(2), sigqueue(3) or tgkill(2): pid and real user id. `None` if the kernel did.
    pub sender: Option<(i32, u32)>,
}

/// As PID 1 blocks every signal, and returns the mask that was before: what is not blocked is lost to a PID 1 that has no
/// handler for it (`pid_namespaces(7)`).
pub fn hold_as_init() -> Option<u64> {
    (std::process::id() == 1).then(|| raw::set_signal_mask(u64::MAX))
}

/// Blocks every signal and opens the descriptor. `held`: the mask that was before, if they are blocked already.
///
/// # Errors
/// The system refuses a descriptor (EMFILE, ENFILE, ENOMEM).
pub fn take_over(held: Option<u64>) -> nix::Result<(Signals, Inherited)> {
    let mask = held.unwrap_or_else(|| raw::set_signal_mask(u64::MAX));
    let ignore_sigchld = raw::is_sigchld_ignored();
    if ignore_sigchld {
        raw::set_sigchld_ignored(false);
    }
    let descriptor = raw::signal_descriptor(u64::MAX)?;
    Ok((Signals { descriptor }, Inherited { mask, ignore_sigchld, descriptors: None }))
}

/// True if this signal came in ignored. runinit changes none but SIGCHLD (and SIGPIPE, where it only asks others), so it
/// still is.
pub fn is_ignored(signal: Signal) -> bool {
    raw::is_ignored(signal.number())
}

/// Whoever writes where nobody reads gets an error and no SIGPIPE. What is started by `std::process` gets its default.
pub fn ignore_broken_pipes() {
    raw::ignore_sigpipe();
}

/// Stops this process, and returns when it is continued. PID 1 cannot be stopped.
pub fn stop_self() {
    let _ = raw::kill(std::process::id().cast_signed(), Signal::STOP.number());
}

/// Signals this process's whole group. It hears the signal itself, as one of its own.
pub fn signal_group(signal: Signal) {
    let _ = raw::kill(0, signal.number());
}

/// Stops this process and its group by a stop signal of the terminal, and returns true when it is continued.
///
/// The kernel decides whether that can be: such a signal does nothing in an orphaned group, where nobody could continue
/// it, nor to PID 1, nor if it was inherited as ignored.
pub fn stop_as_terminal_does(signal: Signal) -> bool {
    stop(0, signal)
}

/// As [`stop_as_terminal_does`], where the others of the group have been stopped by the terminal itself.
pub fn stop_self_as_terminal_does(signal: Signal) -> bool {
    stop(std::process::id().cast_signed(), signal)
}

fn stop(whom: i32, signal: Signal) -> bool {
    let bit = |signal: Signal| 1u64 << (signal.number() - 1);
    // A stop signal takes a pending SIGCONT away (kill(2)), so one that is pending afterwards is what ended the stop.
    let _ = raw::kill(whom, signal.number());
    raw::set_signal_mask(!bit(signal));
    raw::set_signal_mask(u64::MAX);
    raw::pending_signals() & bit(Signal::CONT) != 0
}

/// `struct signalfd_siginfo`, of which only the first five fields are read (signalfd(2)).
const INFO_SIZE: usize = 128;
/// Signals that are read in one go. Nearly always it is one.
const BATCH: usize = 4;

impl Signals {
    /// Waits for one where nothing else is waited for: poll(2) and read(2) would be one system call more. `None` if the time
    /// is over, or for no reason at all (EINTR, when this process was stopped and goes on).
    pub fn wait(&self, time: Option<Duration>) -> Option<Arrived> {
        let info = raw::wait_for_signal(u64::MAX, time).ok()?;
        arrival(info.number, info.code, info.pid, info.uid)
    }

    /// The descriptor, for poll(2).
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Reads what has arrived, at most a batch; false when that was all.
    pub fn read(&self, arrived: &mut Vec<Arrived>) -> bool {
        let mut buffer = [0u8; INFO_SIZE * BATCH];
        match nix::unistd::read(&self.descriptor, &mut buffer) {
            Ok(length) => {
                arrived.extend(buffer[..length].chunks_exact(INFO_SIZE).filter_map(decode));
                length == buffer.len()
            }
            Err(Errno::EINTR) => true,
            // EAGAIN: nothing is left. Nothing else is known of a signalfd, and nothing could be done about it.
            Err(_) => false,
        }
    }
}

fn decode(info: &[u8]) -> Option<Arrived> {
    let word = |at: usize| -> Option<[u8; 4]> { info.get(at..at + 4)?.try_into().ok() };
    let number = i32::from_ne_bytes(word(0)?);
    let code = i32::from_ne_bytes(word(8)?);
    let pid = i32::from_ne_bytes(word(12)?);
    let uid = u32::from_ne_bytes(word(16)?);
    arrival(number, code, pid, uid)
}

fn arrival(number: i32, code: i32, pid: i32, uid: u32) -> Option<Arrived> {
    // SI_USER is 0, SI_QUEUE and SI_TKILL are negative; what the kernel sends has a positive code (sigaction(2)).
    Some(Arrived { signal: Signal::new(number)?, sender: (code <= 0).then_some((pid, uid)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(signal: i32, code: i32, pid: i32, uid: u32) -> Vec<u8> {
        let mut info = vec![0; INFO_SIZE];
        info[0..4].copy_from_slice(&signal.to_ne_bytes());
        info[8..12].copy_from_slice(&code.to_ne_bytes());
        info[12..16].copy_from_slice(&pid.to_ne_bytes());
        info[16..20].copy_from_slice(&uid.to_ne_bytes());
        info
    }

    #[test]
    fn the_sender_is_known_unless_it_is_the_kernel() {
        let by_kill = decode(&info(15, libc::SI_USER, 42, 1000));
        assert_eq!(by_kill, Some(Arrived { signal: Signal::TERM, sender: Some((42, 1000)) }));
        let by_terminal = decode(&info(2, libc::SI_KERNEL, 0, 0));
        assert_eq!(by_terminal, Some(Arrived { signal: Signal::INT, sender: None }));
    }
}
