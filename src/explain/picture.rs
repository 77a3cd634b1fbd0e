//! The picture of a shutdown, before it is drawn: an axis of time, a bar for each program, marks where steps were taken.

use super::advice::{self, Advice};
use super::course::{Course, SLOW_MS, courses, end_of, hurried_ms, is_kill, nobodys, strays_got};
use super::headline::headline;
use super::path::{Leg, Who, last_waited_for, path};
use super::times::{signed, time};
use crate::record::{Exit, Phase, Record};

/// Rows that are drawn; of more, the ones that ended last.
const MOST_ROWS: usize = 40;

/// What is drawn.
#[derive(Debug)]
pub struct Picture {
    /// How it went, in a line or two.
    pub headline: Vec<String>,
    /// The end of the axis, which begins with the shutdown; 0: there is none.
    pub end_ms: i64,
    /// From the first to stop to the last.
    pub rows: Vec<Row>,
    /// How many rows are left out.
    pub left_out: usize,
    /// The letters of the marks and what they stand for.
    pub legend: Vec<(char, String)>,
    /// Whom the end waited for, and why that took as long.
    pub waited_for: Option<String>,
    /// What to do.
    pub advice: Vec<Advice>,
}

/// One program, or the strays.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it did, in order.
    pub bars: Vec<Bar>,
    /// What was done to it: the letter and the time.
    pub marks: Vec<(char, i64)>,
    /// What ended it, how long that took, and whom it had waited for.
    pub outcome: String,
    /// The stop would have been better without it.
    pub is_to_blame: bool,
}

/// A part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it is.
    pub kind: Kind,
    /// From when.
    pub from_ms: i64,
    /// Until when.
    pub to_ms: i64,
}

/// What somebody did at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It ran on: others had to stop before it.
    Waiting,
    /// Its cascade was under way.
    Stopping,
    /// It had been sent SIGKILL.
    Killed,
}

/// The picture of a record. `is_written` says that its run is still there.
pub(super) fn picture(record: &Record, is_written: bool) -> Picture {
    let courses = courses(record);
    let end_ms = if record.phase == Phase::Running { 0 } else { signed(record.elapsed_ms) };
    let last = last_waited_for(&courses, end_ms);
    let legs = if record.phase == Phase::Running { Vec::new() } else { path(record, &courses, &last) };
    let hurried_ms = hurried_ms(record);
    let mut letters = Letters::default();
    let mut rows: Vec<(i64, Row)> = Vec::new();
    for (index, course) in courses.iter().enumerate() {
        let waited_for = last[index].map(|other| courses[other].program.name.as_str());
        let row = Row {
            name: course.program.name.clone(),
            bars: bars(course, end_ms),
            marks: course.steps.iter().map(|s| (letters.of(&s.step), s.at_ms.max(0))).collect(),
            outcome: outcome(course, record.phase, waited_for),
            is_to_blame: course.is_to_blame(hurried_ms),
        };
        let turn = if course.was_alive { course.began_ms().or(course.ended_ms) } else { None };
        rows.push((turn.unwrap_or(i64::MAX), row));
    }
    rows.sort_by_key(|(turn, _)| *turn);
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    rows.extend(strays(record, end_ms, &mut letters));
    let left_out = leave_out(&mut rows);
    Picture {
        headline: headline(record, is_written),
        end_ms,
        rows,
        left_out,
        legend: letters.0,
        waited_for: waited_for(&legs, &courses),
        advice: advice::advice(record, &courses, &legs, is_written),
    }
}

/// Keeps those that are to blame, and of the others the last to end; of equals the ones that come later.
fn leave_out(rows: &mut Vec<Row>) -> usize {
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    let rank =
        |(place, row): (usize, &Row)| (row.is_to_blame, row.bars.last().map_or(0, |bar| bar.to_ms), place);
    let ranks: Vec<_> = rows.iter().enumerate().map(rank).collect();
    let mut sorted = ranks.clone();
    sorted.sort_unstable();
    let mut ranks = ranks.iter();
    rows.retain(|_| ranks.next() >= sorted.get(left_out));
    left_out
}

/// The letter of all steps for which none is left.
const OTHERS: char = '?';

/// Each step's letter: the first of its name that no other step has.
#[derive(Default)]
struct Letters(Vec<(char, String)>);

impl Letters {
    fn of(&mut self, step: &str) -> char {
        if let Some((letter, _)) = self.0.iter().find(|(_, name)| name == step) {
            return *letter;
        }
        let is_free = |letter: &char| self.0.iter().all(|(taken, _)| taken != letter);
        let name = step.strip_prefix("SIG").unwrap_or(step);
        if let Some(letter) = name.chars().filter(char::is_ascii_alphanumeric).find(is_free) {
            self.0.push((letter, step.to_owned()));
            return letter;
        }
        if is_free(&OTHERS) {
            self.0.push((OTHERS, "others".to_owned()));
        }
        OTHERS
    }
}

fn bars(course: &Course<'_>, end_ms: i64) -> Vec<Bar> {
    if !course.was_alive || end_ms == 0 {
        return Vec::new();
    }
    let mut bars = Vec::new();
    let began_ms = course.began_ms().or(course.ended_ms).unwrap_or(end_ms);
    if began_ms > 0 {
        bars.push(Bar { kind: Kind::Waiting, from_ms: 0, to_ms: began_ms });
    }
    for step in course.steps {
        let kind = if step.step == "SIGKILL" { Kind::Killed } else { Kind::Stopping };
        bars.push(Bar { kind, from_ms: step.at_ms.max(0), to_ms: end_of(step) });
    }
    bars
}

fn strays(record: &Record, end_ms: i64, letters: &mut Letters) -> Option<Row> {
    let (got, count) = (strays_got(record), nobodys(record).count());
    let was_killed = nobodys(record).any(|stray| is_kill(&stray.stopped_by));
    let from_ms = got.first()?.1;
    let killed_ms = got.iter().find(|(signal, _)| signal == "SIGKILL").map(|(_, at_ms)| *at_ms);
    let mut bars = vec![Bar { kind: Kind::Stopping, from_ms, to_ms: killed_ms.unwrap_or(end_ms) }];
    bars.extend(killed_ms.map(|from_ms| Bar { kind: Kind::Killed, from_ms, to_ms: end_ms }));
    let by = if was_killed { "SIGKILL" } else { "SIGTERM" };
    Some(Row {
        name: format!("({count} stray{})", if count == 1 { "" } else { "s" }),
        bars,
        marks: got.iter().map(|(signal, at_ms)| (letters.of(signal), *at_ms)).collect(),
        outcome: format!("{by}, {}", time(end_ms - from_ms)),
        // A second signal kills those, too, whom nobody has asked.
        is_to_blame: was_killed && killed_ms != Some(from_ms),
    })
}

fn outcome(course: &Course<'_>, phase: Phase, waited_for: Option<&str>) -> String {
    let program = course.program;
    if phase == Phase::Running {
        return match (&program.exit, program.pid) {
            (Some(exit), _) => format!("had ended: {}", ended(exit)),
            (None, Some(pid)) => format!("ran, pid {pid}"),
            (None, None) => "had not started".to_owned(),
        };
    }
    if program.pid.is_none() {
        return "never started".to_owned();
    }
    if !course.was_alive {
        return program.exit.as_ref().map_or_else(String::new, |exit| format!("{} before", ended(exit)));
    }
    let took = time(course.took_ms());
    let mut text = match program.stopped_by.as_deref() {
        None if course.steps.is_empty() => return "its turn had not come".to_owned(),
        None => return format!("still there after {took}"),
        Some("itself") if course.steps.is_empty() => {
            let when = course.ended_ms.filter(|ms| *ms > 0).map(|ms| format!(" at {}", time(ms)));
            let how = program.exit.as_ref().map_or_else(|| "ended".to_owned(), ended);
            format!("{how} by itself{}", when.unwrap_or_default())
        }
        Some("itself") => format!("itself; what it left, {took}"),
        Some("nothing") => format!("survived, {took}"),
        Some("sweep") => format!("the last SIGKILL, {took}"),
        Some(by) => format!("{by}, {took}"),
    };
    if let Some(name) = waited_for.filter(|_| course.began_ms().is_some_and(|ms| ms > 0)) {
        text = format!("{text}, after {name}");
    }
    text
}

pub(super) fn ended(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal(signal) => format!("died of {signal}"),
    }
}

/// Said only of a stop that somebody had to wait for.
fn waited_for(legs: &[Leg], courses: &[Course<'_>]) -> Option<String> {
    let total: i64 = legs.iter().map(Leg::took_ms).sum();
    let name = |leg: &Leg| match leg.who {
        Who::Program(index) => format!("{} ({})", courses[index].program.name, time(leg.took_ms())),
        Who::Strays => format!("strays ({})", time(leg.took_ms())),
    };
    let names: Vec<String> = legs.iter().filter(|leg| leg.took_ms() * 100 >= total).map(name).collect();
    (total >= SLOW_MS).then(|| format!("The end waited for {}.", names.join(", then ")))
}
