//! Start-up, memory, latency, storms, idling and fleets: runinit in turn with tini, dumb-init, catatonit, s6 and
//! supervisord.
//!
//! `cargo bench --bench peers` measures everything, `cargo bench --bench peers -- quick` the same with fewer
//! rounds, `-- startup` one measurement, `-- --markdown` prints tables for a page. It asserts nothing about time:
//! it prints numbers and, at the end, which goals they meet. It fails only if something could not be measured.

mod bench;
mod context;
mod fleet;
mod goal;
mod helper;
mod idle;
mod latency;
mod launch;
mod memory;
mod options;
mod panel;
mod plot;
mod proc;
mod release;
mod report;
mod scale;
mod startup;
mod stats;
mod storm;
mod subject;
mod supervisor;
mod svg;
mod sys;
mod table;
mod tiny;
mod turns;

use std::process::ExitCode;

use crate::bench::Bench;
use crate::context::Result;
use crate::options::{Measurement, Options, USAGE};
use crate::report::Report;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == helper::WORD) {
        return helper::main(&words.split_off(1));
    }
    let options = match Options::parse(words) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("peers: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = run(&options);
    launch::end_everything();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("peers: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for. False: something could not be measured, or a peer is missing that has to be there.
fn run(options: &Options) -> Result<bool> {
    let bench = Bench::new(options)?;
    let mut complete = bench.missing.is_empty() || !options.require_peers;
    let mut reports = Vec::new();
    print!("{}", bench.missing_peers());
    for measurement in &options.measurements {
        for report in measure(&bench, *measurement)? {
            println!("{}", report.render(options.markdown));
            complete &= report.complete();
            reports.push(report);
        }
    }
    println!("{}", goal::summary(&reports, options.markdown));
    print!("{}", bench.missing_peers());
    Ok(complete)
}

fn measure(bench: &Bench, measurement: Measurement) -> Result<Vec<Report>> {
    match measurement {
        Measurement::Startup => startup::measure(bench),
        Measurement::Memory => Ok(memory::measure(bench)),
        Measurement::Latency => latency::measure(bench),
        Measurement::Storm => storm::measure(bench),
        Measurement::Idle => idle::measure(bench),
        Measurement::Fleet => fleet::measure(bench),
    }
}
