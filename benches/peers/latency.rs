//! Forwarding: from the moment a signal is sent to an init to the moment its program has it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::goal::Goal;
use crate::helper;
use crate::launch::{Place, Running, launch};
use crate::proc;
use crate::report::{Column, Report, Row, Unit};
use crate::stats::{float, median, minimum, quantile};
use crate::subject::Subject;
use crate::turns::{Samples, in_turn, uninterrupted};

/// Long enough for init and program to be asleep again.
const PAUSE: Duration = Duration::from_micros(200);

/// All inits stand side by side and get one signal each in turn.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Report>> {
    bench.on_one_cpu()?;
    let rounds = bench.options.rounds(5000, 300);
    let (samples, order) = uninterrupted(|| signal_in_turn(bench, rounds))?;
    let samples = samples?;
    bench.on_all_cpus()?;
    let row = |(subject, samples): (&Subject, Result<Vec<f64>>)| Row {
        name: subject.name,
        role: subject.role,
        cells: samples.map(|ns| vec![median(&ns), minimum(&ns), quantile(&ns, 0.99).into()]),
    };
    let time = |title| Column::new(title, Unit::Nanoseconds);
    Ok(vec![Report {
        title: "Forwarding".to_owned(),
        note: format!(
            "From kill(init, SIGUSR1) until the program, in sigwait, has it; {rounds} signals each, in turn. All on one \
             CPU: this is work, not the waking of CPUs. {order} The last row is a signal sent to the program itself."
        ),
        columns: vec![time("median").goal(Goal::BestPeer), time("minimum"), time("99th percentile")],
        rows: bench.subjects.iter().zip(samples).map(row).collect(),
    }])
}

fn signal_in_turn(bench: &Bench, rounds: usize) -> Result<Vec<Samples<f64>>> {
    let running: Vec<_> = bench.subjects.iter().map(|subject| RefCell::new(start(bench, subject))).collect();
    let samples = in_turn(&running, rounds, |running| match &mut *running.borrow_mut() {
        Ok(running) => once(running),
        Err(why) => Err(why.clone()),
    });
    for running in running {
        if let Ok(running) = running.into_inner() {
            running.stop()?;
        }
    }
    Ok(samples)
}

fn start(bench: &Bench, subject: &Subject) -> Result<Running> {
    let program = [bench.me.as_os_str(), helper::WORD.as_ref(), helper::LISTEN.as_ref()].map(OsString::from);
    let mut running = launch(bench, Place::Below, &subject.command(Place::Below, &program))?;
    running.read_start()?;
    running.stamp()?; // it listens
    Ok(running)
}

fn once(running: &mut Running) -> Result<f64> {
    sleep(PAUSE);
    let sent = proc::monotonic_ns()?;
    kill(running.pid, Signal::SIGUSR1).while_doing("sending SIGUSR1")?;
    let seen = running.stamp()?;
    Ok(float(seen - sent))
}
