//! Memory: what an init holds while its program sleeps.

use std::ffi::OsString;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::goal::Goal;
use crate::launch::{Place, launch};
use crate::proc::{self, Memory};
use crate::report::{Column, Report, Row, Unit};
use crate::stats::{Number, float, median};
use crate::subject::{Role, SMALLEST_PEER, Subject};
use crate::turns::in_turn;

/// Long enough for whatever an init does after it has started its program.
const SETTLED: Duration = Duration::from_millis(100);

/// One look.
struct Sample {
    memory: Memory,
    /// Once it has forwarded a signal: with the pages that this needs.
    resident_after_signal: f64,
    binary_kib: f64,
}

/// Below PID 1, and as PID 1, where runinit writes a record.
pub(crate) fn measure(bench: &Bench) -> Vec<Report> {
    vec![report(bench, Place::Below, "Memory"), report(bench, Place::First, "Memory as PID 1")]
}

fn report(bench: &Bench, place: Place, title: &str) -> Report {
    let rounds = bench.options.rounds(7, 1);
    let inits: Vec<&Subject> =
        bench.subjects.iter().filter(|subject| subject.role != Role::Baseline).collect();
    let samples = in_turn(&inits, rounds, |subject| once(bench, place, subject));
    let row = |(subject, samples): (&&Subject, Result<Vec<Sample>>)| Row {
        name: subject.name,
        role: subject.role,
        cells: samples.map(|samples| cells(&samples)),
    };
    let note = format!(
        "/proc/PID/smaps_rollup of the init alone while its program sleeps; medians of {rounds}. Anonymous memory is \
         what it needs for itself, resident memory counts its binary's (and libc's) pages too: those the kernel has mapped \
         of a binary that comes fresh from the disk."
    );
    let columns = vec![
        Column::new("anonymous", Unit::Kib).goal(Goal::Times(1.5, SMALLEST_PEER)),
        Column::new("resident", Unit::Kib).goal(Goal::Times(2.0, SMALLEST_PEER)),
        Column::new("after a signal", Unit::Kib),
        Column::new("binary", Unit::Kib),
    ];
    Report { title: title.to_owned(), note, columns, rows: inits.iter().zip(samples).map(row).collect() }
}

fn cells(samples: &[Sample]) -> Vec<Number> {
    let each = |number: fn(&Sample) -> f64| median(&samples.iter().map(number).collect::<Vec<_>>());
    vec![
        each(|sample| sample.memory.anonymous),
        each(|sample| sample.memory.resident),
        each(|sample| sample.resident_after_signal),
        each(|sample| sample.binary_kib),
    ]
}

fn once(bench: &Bench, place: Place, subject: &Subject) -> Result<Sample> {
    let binary_kib = subject.binary().map_or(Ok(f64::NAN), size_kib)?;
    let mut running = launch(bench, place, &subject.command(place, &[OsString::from(&bench.tiny.stays)]))?;
    running.read_start()?;
    running.stamp()?;
    sleep(SETTLED);
    let memory = proc::memory(running.pid)?;
    kill(running.pid, Signal::SIGWINCH).while_doing("sending SIGWINCH")?;
    sleep(SETTLED);
    let resident_after_signal = proc::memory(running.pid)?.resident;
    running.stop()?;
    Ok(Sample { memory, resident_after_signal, binary_kib })
}

fn size_kib(binary: &Path) -> Result<f64> {
    Ok(float(binary.metadata().while_doing(binary.display())?.len()) / 1024.0)
}
