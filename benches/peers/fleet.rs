//! Fleets: many programs under one init.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::goal::Goal;
use crate::launch::{Place, Running, launch};
use crate::plot;
use crate::proc;
use crate::report::{Column, Report, Row, Unit};
use crate::stats::{Number, float, median};
use crate::supervisor::{self, GRACE_MS, S6, Supervisor};
use crate::turns::in_turn;

/// Long enough for whatever a supervisor does after it has started everything: runinit looks once, a
/// second later, how near its cgroup is to the processes that it may hold.
const SETTLED: Duration = Duration::from_millis(1500);
/// Long enough to be asleep.
const ASLEEP: Duration = Duration::from_millis(300);

/// The columns that are drawn.
const START: &str = "until all run";
const MEMORY: &str = "memory/program";
const IDLE_CPU: &str = "idle CPU/s";
const STOP: &str = "stop";

/// The grace and 0.3 s.
const STUBBORN_LIMIT_NS: f64 = (GRACE_MS as f64 + 300.0) * 1e6;

/// A measured fleet.
struct Sample {
    start_ns: f64,
    /// Of all supervising processes, per program.
    proportional_kib: f64,
    anonymous_kib: f64,
    /// A second.
    idle_wakeups: f64,
    idle_cpu_ns: f64,
    stop_ns: f64,
    stop_stubborn_ns: f64,
}

/// One report for each size; and the plot, if it was asked for.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Report>> {
    bench.on_all_cpus()?;
    allow_files().while_doing("allowing more open files")?;
    let supervisors = supervisor::find(bench);
    let fleets = &bench.options.fleets;
    let reports: Vec<Report> = fleets.iter().map(|count| report(bench, &supervisors, *count)).collect();
    if let Some(file) = &bench.options.plot {
        fs::write(file, picture(fleets, &reports)).while_doing(file.display())?;
    }
    Ok(reports)
}

/// supervisord holds three descriptors for each program.
fn allow_files() -> nix::Result<()> {
    const ENOUGH: u64 = 16_384;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < ENOUGH { setrlimit(Resource::RLIMIT_NOFILE, hard.min(ENOUGH), hard) } else { Ok(()) }
}

fn picture(fleets: &[usize], reports: &[Report]) -> String {
    let panels = [
        ("Start, until all run", START),
        ("Idle CPU time, each second", IDLE_CPU),
        ("Memory, for each program", MEMORY),
        ("Stop, cooperative programs", STOP),
    ];
    let note = "Programs that do nothing; medians of runs in turn. Less is better. All axes are logarithmic.";
    let panels = panels.map(|(title, column)| plot::panel(title, column, fleets, reports));
    plot::draw("Fleets of programs under one supervisor", note, &panels)
}

/// A round of a large fleet takes about a minute, most of it for supervisord.
fn rounds(bench: &Bench, count: usize) -> usize {
    bench.options.rounds(if count < 500 { 5 } else { 3 }, 1)
}

fn report(bench: &Bench, supervisors: &[Supervisor], count: usize) -> Report {
    let rounds = rounds(bench, count);
    let idle = Duration::from_secs(if bench.options.quick { 1 } else { 2 });
    let samples = in_turn(supervisors, rounds, |supervisor| once(bench, supervisor, count, idle));
    let row = |(supervisor, samples): (&Supervisor, Result<Vec<Sample>>)| Row {
        name: supervisor.name,
        role: supervisor.role,
        cells: samples.map(|samples| cells(&samples)),
    };
    let note = format!(
        "As PID 1; medians of {rounds}, in turn. Until the last program's first instruction; memory (proportional set size, \
         and anonymous) of all supervising processes together, per program; wakeups and CPU time for each of {} idle \
         seconds; SIGTERM to end where \
         programs are cooperative, and where all ignore SIGTERM and have {GRACE_MS} ms.",
        idle.as_secs()
    );
    let time = |title| Column::new(title, Unit::Nanoseconds);
    // In a small fleet runinit's own few pages, whatever the number of programs, are a large share.
    let memory = |title| {
        let column = Column::new(title, Unit::Kib);
        if count < 200 { column } else { column.goal(Goal::Times(0.1, S6)) }
    };
    let columns = vec![
        time(START).goal(Goal::Times(1.0, S6)),
        memory(MEMORY),
        memory("anonymous/program"),
        Column::new("idle wakeups/s", Unit::Count).goal(Goal::Value(0.0)),
        time(IDLE_CPU).goal(Goal::Value(0.0)),
        time(STOP).goal(Goal::Times(1.0, S6)),
        time("stop stubborn").goal(Goal::Value(STUBBORN_LIMIT_NS)),
    ];
    Report {
        title: format!("A fleet of {count}"),
        note,
        columns,
        rows: supervisors.iter().zip(samples).map(row).collect(),
    }
}

fn cells(samples: &[Sample]) -> Vec<Number> {
    let each = |number: fn(&Sample) -> f64| median(&samples.iter().map(number).collect::<Vec<_>>());
    vec![
        each(|sample| sample.start_ns),
        each(|sample| sample.proportional_kib),
        each(|sample| sample.anonymous_kib),
        each(|sample| sample.idle_wakeups),
        each(|sample| sample.idle_cpu_ns),
        each(|sample| sample.stop_ns),
        each(|sample| sample.stop_stubborn_ns),
    ]
}

fn once(bench: &Bench, supervisor: &Supervisor, count: usize, idle: Duration) -> Result<Sample> {
    let prepared = supervisor.prepare(count, &bench.tiny.stays)?;
    let (running, start_ns) = start(bench, &prepared.command, count)?;
    sleep(SETTLED);
    let supervising = supervising(running.pid, &bench.tiny.stays)?;
    let (mut proportional_kib, mut anonymous_kib) = (0.0, 0.0);
    for pid in &supervising {
        let memory = proc::memory(*pid)?;
        proportional_kib += memory.proportional;
        anonymous_kib += memory.anonymous;
    }
    let before = activity(&supervising)?;
    sleep(idle);
    let after = activity(&supervising)?;
    let stop_ns = running.stop()?;

    let prepared = supervisor.prepare(count, &bench.tiny.stubborn)?;
    let (running, _) = start(bench, &prepared.command, count)?;
    sleep(ASLEEP);
    let stop_stubborn_ns = running.stop()?;
    Ok(Sample {
        start_ns,
        proportional_kib: proportional_kib / float(count as u64),
        anonymous_kib: anonymous_kib / float(count as u64),
        idle_wakeups: float(after.0 - before.0) / idle.as_secs_f64(),
        idle_cpu_ns: float(after.1 - before.1) / idle.as_secs_f64(),
        stop_ns: float(stop_ns),
        stop_stubborn_ns: float(stop_stubborn_ns),
    })
}

/// Starts a fleet; returns when every program has begun, with the time until the last one had.
fn start(bench: &Bench, command: &[std::ffi::OsString], count: usize) -> Result<(Running, f64)> {
    let mut running = launch(bench, Place::First, command)?;
    running.read_start()?;
    let mut last = 0;
    for index in 0..count {
        last = running.stamp().while_doing(format!("program {} of {count}", index + 1))?.max(last);
    }
    let start_ns = float(last - running.started_ns);
    Ok((running, start_ns))
}

/// Every process of the fleet that is not one of its programs.
fn supervising(init: Pid, program: &Path) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for pid in proc::family(init)? {
        if proc::executable(pid)? != program {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Wakeups and CPU time so far.
fn activity(pids: &[Pid]) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for pid in pids {
        sum.0 += proc::context_switches(*pid)?;
        sum.1 += proc::cpu_ns(*pid)?;
    }
    Ok(sum)
}
