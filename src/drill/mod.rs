//! `runinit drill`: starts a fleet in a private place, waits until it is ready, stops it, and says how that went.
//!
//! A client, not an init: it may wait. The fleet is another runinit, and all that is known of it is in its record.

mod verdict;

use crate::cli::{DRILL, Drill, Options};
use crate::core::budget::Budget;
use crate::core::plan::Plan;
use crate::core::process::Pid;
use crate::core::signal::Signal;
use crate::explain::{Screen, Told};
use crate::os::interruption::Interruption;
use crate::os::kill;
use crate::os::namespace::{self, Started};
use crate::os::own_directory::OwnDirectory;
use crate::os::processes;
use crate::record::Phase;
use humantime::format_duration;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use verdict::Before;

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often it is looked whether the fleet has stopped: its end is what the record tells, not this.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(5);

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// Nothing is wrong with how the fleet stops.
    pub is_well: bool,
}

/// Does it. The plan is what the fleet's file says.
///
/// # Errors
/// The fleet could not be started, or left no record, for people.
pub fn drill(asked: &Drill, plan: &Plan, screen: Screen) -> Result<Report, String> {
    let interruption =
        Interruption::listen().map_err(|errno| format!("cannot listen for signals: {}", errno.desc()))?;
    let directory = OwnDirectory::new("runinit-drill").map_err(|error| error.to_string())?;
    let directory = directory.path();
    let record = directory.join("shutdown_state.json");
    let own =
        std::env::current_exe().map_err(|error| format!("runinit's own file cannot be found: {error}"))?;
    let command = || {
        let mut command = Command::new(&own);
        command.args(words(&asked.options, directory, &record)).stdin(Stdio::null());
        // A tmux server of the drill must not be anybody else's.
        command.env("TMUX_TMPDIR", directory);
        command.env(DRILL, "1");
        // Ctrl-C is for the drill, which stops the fleet and tidies up.
        command.process_group(0);
        if asked.quiet {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        command
    };
    let mut started = namespace::start(interruption.mask(), command)
        .map_err(|error| format!("{}: {error}", own.display()))?;
    let before = until_ready(&mut started, &record, plan, asked.ready_within, &interruption)?;
    let status = match before {
        Before::Ended(status) => status,
        Before::Ready | Before::NotReady(_) | Before::Failed => stop(&mut started, &interruption)?,
    };
    let told = Told::read(&record).map_err(|why| format!("the fleet ended with {status}; {why}"))?;
    let mut report = report(&told, plan, &before, asked.ready_within, screen);
    if let Some(Err(why)) = asked.svg.as_ref().map(|svg| told.write_svg(svg)) {
        // How it went is worth more than the picture.
        let _ = writeln!(report.text, "drill: the picture cannot be written: {why}");
        report.is_well = false;
    }
    Ok(report)
}

/// The command line of the fleet.
fn words(options: &Options, directory: &Path, record: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--state-file".into(), record.into()];
    words.extend(["--control".into(), directory.join("control.sock").into()]);
    if let Some(config) = &options.config {
        words.extend(["--config".into(), config.into()]);
    }
    match options.grace {
        None => {}
        Some(Budget::Forever) => words.extend(["--grace", "forever"].map(OsString::from)),
        Some(Budget::Within(length)) => {
            words.extend(["--grace".into(), format_duration(length).to_string().into()]);
        }
    }
    if !options.command.is_empty() {
        words.push("--".into());
        words.extend(options.command.iter().cloned());
    }
    words
}

fn until_ready(
    started: &mut Started,
    path: &Path,
    plan: &Plan,
    within: Duration,
    interruption: &Interruption,
) -> Result<Before, String> {
    let lost = |error: std::io::Error| format!("the fleet is lost: {error}");
    let end = Instant::now() + within;
    loop {
        let ended = started.child.try_wait().map_err(lost)?;
        // The record is there once the first program has started.
        let told = Told::read(path).ok();
        let record = told.as_ref().map(Told::record);
        if ended.is_some() || record.is_some_and(|record| record.phase != Phase::Running) {
            return started.child.wait().map(Before::Ended).map_err(lost);
        }
        let unready = record.map(verdict::unready);
        if unready.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Before::Ready);
        }
        if record.is_some_and(|record| verdict::is_hopeless(record, plan)) {
            return Ok(Before::Failed);
        }
        if let Some(signal) = interruption.next() {
            stop(started, interruption)?;
            return Err(interrupted(signal));
        }
        if Instant::now() >= end {
            return Ok(Before::NotReady(unready.unwrap_or_else(|| verdict::everybody(plan))));
        }
        sleep(LOOK_EVERY);
    }
}

/// To be interrupted here means now: a second signal to the fleet.
fn stop(started: &mut Started, interruption: &Interruption) -> Result<ExitStatus, String> {
    let mut is_told = false;
    let mut by = None;
    loop {
        match (started.child.try_wait(), by) {
            (Ok(Some(status)), None) => return Ok(status),
            (Ok(Some(_)), Some(signal)) => return Err(interrupted(signal)),
            (Ok(None), _) => {}
            (Err(error), _) => return Err(format!("the fleet is lost: {error}")),
        }
        if let Some(signal) = interruption.next() {
            by = Some(signal);
            is_told = false;
        }
        if !is_told && is_listening(started) {
            terminate(started)?;
            is_told = true;
        }
        sleep(STOP_LOOK_EVERY);
    }
}

/// False while SIGTERM would be lost: as PID 1 a signal that it does not listen for yet (`pid_namespaces(7)`), else it itself.
fn is_listening(started: &Started) -> bool {
    let own = processes::own();
    let fleet = Pid::new(started.child.id().cast_signed());
    let masks = own.zip(fleet).and_then(|(own, fleet)| processes::masks(own, fleet));
    masks.is_none_or(|masks| masks.blocked.contains(Signal::TERM))
}

fn terminate(started: &Started) -> Result<(), String> {
    // It is not reaped yet, so its number is nobody else's.
    let pid = Pid::new(started.child.id().cast_signed());
    pid.map_or(Ok(()), |pid| kill::process(pid, Signal::TERM))
        .map_err(|errno| format!("the fleet is lost: {}", errno.desc()))
}

fn interrupted(by: Signal) -> String {
    format!("drill: interrupted by {by}; the fleet was stopped")
}

fn report(told: &Told, plan: &Plan, before: &Before, within: Duration, screen: Screen) -> Report {
    let mut text = format!("\n{}\n", told.draw(screen));
    let faults = verdict::faults(told.record(), plan, before, within);
    if matches!(before, Before::Ended(status) if status.code().is_some()) {
        text.push_str("The fleet ended by itself, before it was asked to stop.\n");
    }
    // Writing to a string does not fail.
    let _ = match faults.as_slice() {
        [] => writeln!(text, "drill: passed"),
        [only] => writeln!(text, "drill: FAILED: {only}"),
        all => writeln!(text, "drill: FAILED:\n  - {}", all.join("\n  - ")),
    };
    Report { text, is_well: faults.is_empty() }
}
