//! Start-up: how long until the program's first instruction, and what a whole run costs.

use std::ffi::OsString;

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::goal::Goal;
use crate::launch::{Place, launch};
use crate::proc;
use crate::report::{Column, Report, Row, Unit};
use crate::stats::{Number, float, median, minimum};
use crate::subject::{Role, Subject};
use crate::sys::Instructions;
use crate::turns::in_turn;

/// One run.
struct Sample {
    until_program_ns: f64,
    whole_ns: f64,
    cpu_ns: f64,
    faults: f64,
    instructions: f64,
}

/// Below PID 1, and as PID 1 with the record, which no peer writes, and without.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Report>> {
    bench.on_one_cpu()?;
    let below = report(bench, Place::Below, "Start-up");
    let first = report(bench, Place::First, "Start-up as PID 1");
    let without_record = report(bench, Place::FirstReadOnly, "Start-up as PID 1, /run read-only: no record");
    bench.on_all_cpus()?;
    Ok(vec![below, first, without_record])
}

fn report(bench: &Bench, place: Place, title: &str) -> Report {
    let rounds = bench.options.rounds(1000, 100);
    let counter = Instructions::open();
    let samples =
        in_turn(&bench.subjects, rounds, |subject| once(bench, place, subject, counter.as_ref().ok()));
    let mut rows: Vec<Row> = bench
        .subjects
        .iter()
        .zip(samples)
        .map(|(subject, samples)| Row {
            name: subject.name,
            role: subject.role,
            cells: samples.map(|samples| cells(&samples, counter.is_ok())),
        })
        .collect();
    subtract_baseline(&mut rows);
    let instructions = match &counter {
        Ok(_) => String::new(),
        Err(why) => format!(" Instructions: not supported here ({why})."),
    };
    let note = format!(
        "{rounds} runs each, in turn, of a program that ends at once. What the program alone costs (last row) is \
         subtracted. Medians. All on one CPU: until the program runs, nobody waits, and the time is CPU time; that of the \
         whole run is init's and program's.{instructions}"
    );
    Report { title: title.to_owned(), note, columns: columns(counter.is_ok()), rows }
}

fn columns(instructions: bool) -> Vec<Column> {
    let time = |title| Column::new(title, Unit::Nanoseconds);
    let mut columns = vec![
        time("until the program runs").goal(Goal::BestPeer),
        time("minimum"),
        time("whole run").goal(Goal::BestPeer),
        time("minimum"),
        time("CPU time").goal(Goal::BestPeer),
        time("minimum"),
        Column::new("page faults", Unit::Count),
    ];
    if instructions {
        columns.push(Column::new("instructions", Unit::Count));
    }
    columns
}

fn cells(samples: &[Sample], instructions: bool) -> Vec<Number> {
    let each = |number: fn(&Sample) -> f64| samples.iter().map(number).collect::<Vec<_>>();
    let until_program = each(|sample| sample.until_program_ns);
    let whole = each(|sample| sample.whole_ns);
    let cpu = each(|sample| sample.cpu_ns);
    let mut cells = vec![
        median(&until_program),
        minimum(&until_program),
        median(&whole),
        minimum(&whole),
        median(&cpu),
        minimum(&cpu),
        median(&each(|sample| sample.faults)),
    ];
    if instructions {
        cells.push(median(&each(|sample| sample.instructions)));
    }
    cells
}

/// Leaves in every row what the init has added.
fn subtract_baseline(rows: &mut [Row]) {
    let Some(Ok(alone)) = rows.iter().find(|row| row.role == Role::Baseline).map(|row| row.cells.clone())
    else {
        return;
    };
    for row in rows.iter_mut().filter(|row| row.role != Role::Baseline) {
        let Ok(cells) = &mut row.cells else { continue };
        cells.iter_mut().zip(&alone).for_each(|(cell, alone)| *cell = cell.above(alone.value));
    }
}

fn once(bench: &Bench, place: Place, subject: &Subject, counter: Option<&Instructions>) -> Result<Sample> {
    let count = || counter.map_or(Ok(0), Instructions::read).while_doing("counting instructions");
    let command = subject.command(place, &[OsString::from(&bench.tiny.ends)]);
    let before = count()?;
    let mut running = launch(bench, place, &command)?;
    let ended = running.wait()?;
    let end = proc::monotonic_ns()?;
    let instructions = count()? - before;
    running.read_start()?;
    let program = running.stamp()?;
    if ended.status != 0 {
        return Err(running.with_stderr(&format!("it ended with wait status {:#x}", ended.status)));
    }
    Ok(Sample {
        until_program_ns: float(program - running.started_ns),
        whole_ns: float(end - running.started_ns),
        cpu_ns: float(ended.cpu_ns.saturating_sub(running.cpu_before_ns)),
        faults: float(ended.minor_faults),
        instructions: float(instructions),
    })
}
