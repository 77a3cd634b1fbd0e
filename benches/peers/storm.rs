//! A storm: thousands of orphans that die at once.

use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::goal::Goal;
use crate::helper;
use crate::launch::{Place, launch};
use crate::proc;
use crate::report::{Column, Report, Row, Unit};
use crate::stats::{Number, float, median, minimum};
use crate::subject::{Role, Subject};
use crate::turns::{in_turn, uninterrupted};

const ORPHANS: usize = 2000;

/// How often is looked whether an orphan is gone. Far below a storm's length.
const LOOK: Duration = Duration::from_micros(50);

/// No storm takes this long: who has not reaped by then, will not.
const PATIENCE_NS: u64 = 20_000_000_000;

/// One storm.
struct Sample {
    until_reaped_ns: f64,
    cpu_ns: f64,
}

/// As PID 1, because not every peer is a subreaper.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Report>> {
    let rounds = bench.options.rounds(200, 5);
    let inits: Vec<&Subject> =
        bench.subjects.iter().filter(|subject| subject.role != Role::Baseline).collect();
    let (samples, order) = uninterrupted(|| in_turn(&inits, rounds, |subject| once(bench, subject)))?;
    bench.on_all_cpus()?;
    let row = |(subject, samples): (&&Subject, Result<Vec<Sample>>)| Row {
        name: subject.name,
        role: subject.role,
        cells: samples.map(|samples| cells(&samples)),
    };
    let time = |title| Column::new(title, Unit::Nanoseconds);
    Ok(vec![Report {
        title: format!("A storm of {ORPHANS} orphans"),
        note: format!(
            "As PID 1. The orphans all wait for one pipe to close. From its closing until the last of them is reaped, \
             and the init's own CPU time meanwhile; medians of {rounds} storms each, in turn. Init and orphans share a \
             CPU, the watcher has another. {order} The orphans of dumb-init's program are of another session than \
             dumb-init, so that at each end the kernel has no orphaned group to look for."
        ),
        columns: vec![
            time("until all are reaped").goal(Goal::BestPeer),
            time("minimum"),
            time("CPU time of the init").goal(Goal::BestPeer),
            time("minimum"),
        ],
        rows: inits.iter().zip(samples).map(row).collect(),
    }])
}

fn cells(samples: &[Sample]) -> Vec<Number> {
    let until_reaped: Vec<f64> = samples.iter().map(|sample| sample.until_reaped_ns).collect();
    let cpu: Vec<f64> = samples.iter().map(|sample| sample.cpu_ns).collect();
    vec![median(&until_reaped), minimum(&until_reaped), median(&cpu), minimum(&cpu)]
}

fn once(bench: &Bench, subject: &Subject) -> Result<Sample> {
    let count = ORPHANS.to_string();
    let program = [bench.me.as_os_str(), helper::WORD.as_ref(), helper::STORM.as_ref(), count.as_ref()];
    bench.on_one_cpu()?;
    let mut running =
        launch(bench, Place::First, &subject.command(Place::First, &program.map(OsString::from)))?;
    bench.step_aside()?;
    running.read_start()?;
    running.stamp()?; // the orphans are there
    let orphans = orphans_of(running.pid)?;
    if orphans.len() != ORPHANS {
        return Err(running.with_stderr(&format!("{} orphans came to it, not {ORPHANS}", orphans.len())));
    }
    let cpu_before = proc::cpu_ns(running.pid)?;
    let release = proc::monotonic_ns()?;
    drop(running.stdin.take());
    let reaped = until_gone(orphans, release)?;
    let cpu_after = proc::cpu_ns(running.pid)?;
    Ok(Sample { until_reaped_ns: float(reaped - release), cpu_ns: float(cpu_after - cpu_before) })
}

fn orphans_of(init: Pid) -> Result<Vec<Pid>> {
    let orphan = helper::ORPHAN.to_string_lossy();
    let mut orphans = Vec::new();
    for pid in proc::children(init)? {
        if proc::name(pid)? == orphan {
            orphans.push(pid);
        }
    }
    Ok(orphans)
}

/// When the last of them was reaped: a zombie can still be signalled, a reaped process cannot.
fn until_gone(mut orphans: Vec<Pid>, release_ns: u64) -> Result<u64> {
    while let Some(pid) = orphans.last() {
        match kill(*pid, None) {
            Err(Errno::ESRCH) => drop(orphans.pop()),
            Err(why) => return Err(why).while_doing(format!("looking whether {pid} is gone")),
            Ok(()) if proc::monotonic_ns()? - release_ns > PATIENCE_NS => {
                return Err(format!("{} orphans were never reaped", orphans.len()));
            }
            Ok(()) => sleep(LOOK),
        }
    }
    proc::monotonic_ns()
}
