//! What is wrong with how a fleet started and stopped, by its record.

use crate::core::budget::Budget;
use crate::core::plan::{Plan, Program};
use crate::core::policy::Restart;
use crate::core::process::Exit;
use crate::core::program::Fault;
use crate::core::timeline::{COULD_NOT_START, ENDED_SOMEHOW, NOT_STARTED, SHUTDOWN};
use crate::explain::is_kill;
use crate::record::{Entry, Phase, Record};
use humantime::format_duration;
use std::process::ExitStatus;
use std::time::Duration;

/// What happened before the stop.
#[derive(Debug)]
pub(super) enum Before {
    /// Every program was ready.
    Ready,
    /// These were not in time.
    NotReady(Vec<String>),
    /// Something had failed for good.
    Failed,
    /// The fleet ended by itself.
    Ended(ExitStatus),
}

/// Those that are not ready.
pub(super) fn unready(record: &Record) -> Vec<String> {
    let programs = record.programs.iter().filter(|program| !program.ready);
    programs.map(|program| program.name.clone()).collect()
}

/// Everybody, as long as nothing has started.
pub(super) fn everybody(plan: &Plan) -> Vec<String> {
    let programs = plan.programs.iter().filter(|program| !program.is_server());
    programs.map(|program| program.name.clone()).collect()
}

/// True if somebody has failed and nobody starts it again.
pub(super) fn is_hopeless(record: &Record, plan: &Plan) -> bool {
    failures(record, plan).iter().any(|(name, event)| {
        let spec = plan.programs.iter().find(|program| program.name == *name);
        let is_over = spec.is_some_and(|spec| spec.restart == Restart::Never || is_worn_out(record, spec));
        is_over || *event == COULD_NOT_START || event.starts_with(NOT_STARTED)
    })
}

/// True if it has been started again as often as it may be in a time, and has ended once more.
fn is_worn_out(record: &Record, spec: &Program) -> bool {
    let is_its_end = |entry: &&Entry| {
        let is_end = entry.event == ENDED_SOMEHOW || Exit::told_by(&entry.event).is_some();
        is_end && entry.program.as_ref() == Some(&spec.name)
    };
    let mut ends = record.timeline.iter().filter(is_its_end).map(|entry| entry.at_ms).rev();
    let first_ms = ends.clone().nth(usize::try_from(spec.backoff.burst).unwrap_or(usize::MAX));
    let took_ms = ends.next().zip(first_ms).map(|(last_ms, first_ms)| last_ms.abs_diff(first_ms));
    took_ms.is_some_and(|ms| Duration::from_millis(ms) < spec.backoff.within)
}

/// Everything that is wrong, in sentences.
pub(super) fn faults(record: &Record, plan: &Plan, before: &Before, within: Duration) -> Vec<String> {
    let mut faults = Vec::new();
    if let Before::NotReady(names) = before {
        faults.push(format!("not ready within {}: {}", format_duration(within), names.join(", ")));
    }
    for (name, how) in failures(record, plan) {
        faults.push(format!("before the stop: {name}: {how}"));
    }
    if let Before::Ended(status) = before
        && !status.success()
    {
        faults.push(format!("the fleet ended with {status}"));
    }
    if record.phase != Phase::Stopped {
        faults.push("runinit itself was killed".to_owned());
    }
    let killed = record.programs.iter().filter(|p| p.stopped_by.as_deref().is_some_and(is_kill));
    faults.extend(killed.map(|program| format!("{} needed SIGKILL", program.name)));
    let strays = record.strays.iter().filter(|stray| is_kill(&stray.stopped_by));
    faults
        .extend(strays.map(|stray| format!("a stray needed SIGKILL: {} (pid {})", stray.command, stray.pid)));
    if is_used_up(record) {
        let budget = Duration::from_millis(record.budget_ms.unwrap_or_default());
        faults.push(format!("the budget of {} was used up", format_duration(budget)));
    }
    faults
}

/// All but the part that belongs to the last SIGKILLs.
fn is_used_up(record: &Record) -> bool {
    let budget = record.budget_ms.map_or(Budget::Forever, |ms| Budget::Within(Duration::from_millis(ms)));
    budget.time_to_kill().is_some_and(|time| Duration::from_millis(record.elapsed_ms) >= time)
}

/// Who failed before the shutdown, and how.
fn failures<'a>(record: &'a Record, plan: &Plan) -> Vec<(&'a str, &'a str)> {
    let is_success = |name: &str, exit: Exit| {
        let program = plan.programs.iter().find(|program| program.name == name);
        program.is_some_and(|program| program.success_codes.contains(&exit.code()))
    };
    let is_failure = |name: &str, event: &str| match Exit::told_by(event) {
        Some(exit) => !is_success(name, exit),
        None => {
            [COULD_NOT_START, ENDED_SOMEHOW].contains(&event)
                || event.starts_with(NOT_STARTED)
                || Fault::told_by(event).is_some()
        }
    };
    let before =
        record.timeline.iter().take_while(|entry| entry.program.is_some() || entry.event != SHUTDOWN);
    let of_programs = before.filter_map(|entry| Some((entry.program.as_deref()?, entry.event.as_str())));
    of_programs.filter(|(name, event)| is_failure(name, event)).collect()
}
