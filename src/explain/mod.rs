//! `runinit explain`: a record as a picture, with whom the end waited for and what to do about it; and exit codes.
//!
//! [`Picture`] is what there is to draw, read off the record alone; `terminal` and `svg` draw the same one.

mod advice;
mod codes;
mod course;
mod cut;
mod deaf;
mod headline;
mod path;
mod picture;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod times;

pub use advice::Advice;
pub(crate) use course::is_kill;
pub use picture::{Bar, Kind, Picture, Row};
pub use terminal::Screen;

use crate::cli::Explain;
use crate::core::duration::{LONGEST, ms};
use crate::os::{oom, record_file};
use crate::readable::readable;
use crate::record::{self, Phase, Record, Signals};
use std::path::Path;
use std::time::SystemTime;

/// As for every duration that is configured.
const LONGEST_MS: u64 = LONGEST.as_secs() * 1000;

/// As many as there are (signal(7)).
const SIGNALS: usize = 64;

/// A record that was read.
#[derive(Debug)]
pub struct Told {
    record: Record,
    /// Its run is still there.
    is_written: bool,
}

impl Told {
    /// Reads the record.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let json = record_file::read_named(path).map_err(|error| named(&error))?;
        let record = record::read(&json).map_err(|why| named(&why))?;
        let is_written = record.phase != Phase::Stopped && record_file::is_locked(path);
        let record = if is_written { up_to(record, SystemTime::now()) } else { record };
        Ok(Self { record: bounded(record), is_written })
    }

    /// The record itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// As text.
    pub fn draw(&self, screen: Screen) -> String {
        terminal::draw(&picture::picture(&self.record, self.is_written), screen)
    }

    /// Writes the picture into a file, as SVG.
    ///
    /// # Errors
    /// The file cannot be written, for people.
    pub fn write_svg(&self, path: &Path) -> Result<(), String> {
        let svg = svg::draw(&picture::picture(&self.record, self.is_written));
        std::fs::write(path, svg).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The record of a run that goes on: it was written when something happened last.
fn up_to(mut record: Record, now: SystemTime) -> Record {
    let began = record.shutdown_time.as_deref().and_then(|time| humantime::parse_rfc3339(time).ok());
    if let Some(elapsed) = began.and_then(|began| now.duration_since(began).ok()) {
        record.elapsed_ms = record.elapsed_ms.max(ms(elapsed));
        let elapsed_ms = times::signed(record.elapsed_ms);
        for program in record.programs.iter_mut().filter(|program| program.stopped_by.is_none()) {
            if let Some(step) = program.steps.last_mut() {
                let waited_ms = elapsed_ms.saturating_sub(step.at_ms);
                step.waited_ms = step.waited_ms.max(u64::try_from(waited_ms).unwrap_or_default());
            }
        }
    }
    record
}

/// The record without times and lists that no run has, so that nobody has to think of them again: a file may say anything.
fn bounded(mut record: Record) -> Record {
    let unsigned = |ms: &mut u64| *ms = (*ms).min(LONGEST_MS);
    let longest = times::signed(LONGEST_MS);
    let signed = |ms: &mut i64| *ms = (*ms).clamp(-longest, longest);
    unsigned(&mut record.elapsed_ms);
    record.budget_ms.iter_mut().for_each(unsigned);
    record.timeline.iter_mut().for_each(|entry| signed(&mut entry.at_ms));
    for program in &mut record.programs {
        for step in &mut program.steps {
            signed(&mut step.at_ms);
            unsigned(&mut step.waited_ms);
        }
        if let Some(Signals { ignored, caught, blocked }) = &mut program.signals {
            for list in [ignored, caught, blocked] {
                list.truncate(SIGNALS);
            }
        }
    }
    record
}

/// Answers what was asked, and writes the picture where it is to go.
///
/// # Errors
/// A file cannot be read or written, for people.
pub fn answer(asked: &Explain, path: &Path, screen: Screen) -> Result<String, String> {
    let told = Told::read(path);
    if let Some(svg) = &asked.svg {
        told.as_ref().map_err(Clone::clone)?.write_svg(svg)?;
    }
    match asked.code {
        // What a code means can be said without a record, if nobody has named one.
        Some(code) if asked.file.is_none() => Ok(explain_code(code, told.ok().as_ref())),
        Some(code) => Ok(explain_code(code, Some(&told?))),
        None => Ok(told?.draw(screen)),
    }
}

/// What an exit code means, with the record of its run if there is one.
fn explain_code(code: u8, told: Option<&Told>) -> String {
    let is_written = told.is_some_and(|told| told.is_written);
    let lines = codes::explain(code, told.map(Told::record), is_written, oom::kills());
    // Names are other people's: nothing in them may steer a terminal, or begin a line.
    lines.iter().fold(String::new(), |text, line| text + &readable(line) + "\n")
}
