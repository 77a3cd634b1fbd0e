//! What this program does when it is started under itself: the launcher and the programs that inits are given.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::pause;

use crate::context::{Context, Result};
use crate::launch::Place;
use crate::proc;
use crate::sys;

/// The first word of a command line that is for this file.
pub(crate) const WORD: &str = "helper";
/// Prepares a place, stamps the time, becomes the command.
pub(crate) const LAUNCH: &str = "launch";
/// Stamps the time of every SIGUSR1.
pub(crate) const LISTEN: &str = "listen";
/// Makes so many orphans, and stays.
pub(crate) const STORM: &str = "storm";
/// The name the orphans carry.
pub(crate) const ORPHAN: &CStr = c"orphan";

/// Does one of the above.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [LAUNCH, place, command @ ..] => launch(place, command),
        [LISTEN] => listen(),
        [STORM, count] => storm(count),
        _ => Err(format!("not a helper: {words:?}")),
    };
    let Err(why) = outcome else { return ExitCode::SUCCESS };
    eprintln!("helper: {why}");
    ExitCode::FAILURE
}

fn launch(place: &str, command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("nothing to launch")?;
    if place != Place::Below.word() {
        let is_run_writable = place == Place::First.word();
        sys::private_mounts(is_run_writable).while_doing("mounting /proc and /run")?;
    }
    let mut next = Command::new(program);
    next.args(arguments);
    let now = proc::monotonic_ns()?;
    let cpu = sys::own_cpu_ns().while_doing("the CPU clock")?;
    let both = [stamp(now), stamp(cpu)].concat();
    io::stdout().write_all(&both).and_then(|()| io::stdout().flush()).while_doing("stamping")?;
    Err(format!("{program}: {}", next.exec()))
}

fn listen() -> Result<()> {
    let mut expected = SigSet::empty();
    expected.add(Signal::SIGUSR1);
    expected.thread_block().while_doing("blocking SIGUSR1")?;
    write_stamp()?;
    loop {
        expected.wait().while_doing("waiting for SIGUSR1")?;
        write_stamp()?;
    }
}

fn storm(count: &str) -> Result<()> {
    let count = count.parse().while_doing("the number of orphans")?;
    nix::sys::prctl::set_name(ORPHAN).while_doing("naming the orphans")?;
    sys::leave_orphans(count).while_doing("making orphans")?;
    nix::sys::prctl::set_name(c"main").while_doing("naming the main program")?;
    write_stamp()?;
    pause();
    Ok(())
}

fn write_stamp() -> Result<()> {
    let now = stamp(proc::monotonic_ns()?);
    io::stdout().write_all(&now).and_then(|()| io::stdout().flush()).while_doing("stamping")
}

/// As the tiny programs write it: a `timespec`.
fn stamp(ns: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(ns / 1_000_000_000).to_ne_bytes());
    bytes[8..].copy_from_slice(&(ns % 1_000_000_000).to_ne_bytes());
    bytes
}
