//! Idling: how often an init wakes up although nothing happens.

use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use crate::bench::Bench;
use crate::context::Result;
use crate::goal::Goal;
use crate::launch::{Place, Running, launch};
use crate::proc;
use crate::report::{Column, Report, Row, Unit};
use crate::stats::float;
use crate::subject::{Role, Subject};

/// Long enough for whatever an init does after it has started its program.
const SETTLED: Duration = Duration::from_millis(500);

/// All stand side by side and are left alone.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Report>> {
    let window = Duration::from_secs(if bench.options.quick { 3 } else { 10 });
    let inits: Vec<&Subject> =
        bench.subjects.iter().filter(|subject| subject.role != Role::Baseline).collect();
    let running: Vec<Result<Running>> = inits.iter().map(|subject| start(bench, subject)).collect();
    sleep(SETTLED);
    let look = |running: &Result<Running>| match running {
        Ok(running) => Ok((proc::context_switches(running.pid)?, proc::cpu_ns(running.pid)?)),
        Err(why) => Err(why.clone()),
    };
    let before: Vec<Result<(u64, u64)>> = running.iter().map(look).collect();
    sleep(window);
    let after: Vec<Result<(u64, u64)>> = running.iter().map(look).collect();
    for running in running.into_iter().flatten() {
        running.stop()?;
    }
    let rows = inits.iter().zip(before.into_iter().zip(after)).map(|(subject, (before, after))| Row {
        name: subject.name,
        role: subject.role,
        cells: before.and_then(|before| Ok((before, after?))).map(|((wakeups, cpu), after)| {
            vec![float(after.0 - wakeups).into(), float(after.1 - cpu).into()]
        }),
    });
    Ok(vec![Report {
        title: "Idling".to_owned(),
        note: format!("In {} seconds, while the program sleeps.", window.as_secs()),
        columns: vec![
            Column::new("wakeups", Unit::Count).goal(Goal::Value(0.0)),
            Column::new("CPU time", Unit::Nanoseconds).goal(Goal::Value(0.0)),
        ],
        rows: rows.collect(),
    }])
}

fn start(bench: &Bench, subject: &Subject) -> Result<Running> {
    let mut running =
        launch(bench, Place::Below, &subject.command(Place::Below, &[OsString::from(&bench.tiny.stays)]))?;
    running.read_start()?;
    running.stamp()?;
    Ok(running)
}
