//! What became of each program in a shutdown, read off the record.

use super::times::signed;
use crate::core::budget::Budget;
use crate::core::process::Exit;
use crate::core::timeline::{NOT_STARTED, SECOND_SIGNAL, WAITS_AGAIN, got_by_strays, sent_by_hand};
use crate::record::{Entry, Phase, Program, Record, Step, Stray};
use std::collections::BTreeMap;
use std::time::Duration;

/// Whoever takes longer than this to stop makes others wait.
pub(super) const SLOW_MS: i64 = 1000;

/// The course of one program.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) program: &'a Program,
    /// What the timeline tells of it, in order.
    pub(super) entries: Vec<&'a Entry>,
    /// Those that had left its group.
    pub(super) strays: Vec<&'a Stray>,
    /// The steps of its cascade, if the shutdown saw that.
    pub(super) steps: &'a [Step],
    /// When its leader ended, if the timeline still tells.
    pub(super) leader_ended_ms: Option<i64>,
    /// When nothing of it was left, if that is known.
    pub(super) ended_ms: Option<i64>,
    /// It was there when the shutdown began.
    pub(super) was_alive: bool,
}

impl<'a> Course<'a> {
    /// One of which nothing but the program is known.
    fn of(program: &'a Program) -> Self {
        let (entries, strays) = (Vec::new(), Vec::new());
        Self { program, entries, strays, steps: &[], leader_ended_ms: None, ended_ms: None, was_alive: false }
    }

    /// Reads the rest off what is told of it.
    fn read(&mut self, phase: Phase) {
        let program = self.program;
        // An end without an exit is that of a start before this one.
        let mut ends = self.entries.iter().filter(|entry| program.exit.is_some() && is_end(entry));
        self.leader_ended_ms = ends.next_back().map(|entry| entry.at_ms);
        // Its last cascade: the shutdown saw all of it or nothing, whatever the milliseconds of a single step say.
        let is_seen = phase != Phase::Running && program.steps.last().is_some_and(|step| end_of(step) >= 0);
        self.steps = if is_seen { &program.steps } else { &[] };
        if program.stopped_by.is_some() || phase == Phase::Stopped {
            self.ended_ms = program.steps.last().map(end_of).or(self.leader_ended_ms);
        }
        self.was_alive |= is_seen;
    }

    /// When its cascade began.
    pub(super) fn began_ms(&self) -> Option<i64> {
        self.steps.first().map(|step| step.at_ms.max(0))
    }

    /// How long its cascade took, as far as it is known.
    pub(super) fn took_ms(&self) -> i64 {
        let until = self.steps.last().map(end_of);
        until.zip(self.began_ms()).map_or(0, |(until, began)| until - began)
    }

    /// True if it could have ended sooner, or more gently, than it did.
    pub(super) fn is_to_blame(&self, hurried_ms: Option<i64>) -> bool {
        // A second signal kills those, too, whom nobody has asked yet.
        let was_spared = self.began_ms().is_some_and(|ms| Some(ms) == hurried_ms);
        (self.was_killed() && !was_spared) || self.took_ms() >= SLOW_MS
    }

    /// Without what it was not started, if that has not come back.
    pub(super) fn missing(&self) -> Option<&'a str> {
        let entries = self.entries.iter().rev().map(|entry| entry.event.as_str());
        entries.take_while(|event| *event != WAITS_AGAIN).find_map(|event| event.strip_prefix(NOT_STARTED))
    }

    /// True if somebody had this signal sent to it by hand, in its last run.
    pub(super) fn was_asked_for(&self, signal: &str) -> bool {
        let asked = sent_by_hand(signal);
        let before_its_end = self.entries.iter().rev().skip_while(|entry| !is_end(entry)).skip(1);
        before_its_end.take_while(|entry| !is_end(entry)).any(|entry| entry.event == asked)
    }

    /// True if it took SIGKILL, or more.
    pub(super) fn was_killed(&self) -> bool {
        self.program.stopped_by.as_deref().is_some_and(is_kill)
    }
}

/// True for what `stopped_by` says when nothing gentler has helped.
pub(crate) fn is_kill(stopped_by: &str) -> bool {
    matches!(stopped_by, "SIGKILL" | "sweep" | "nothing")
}

/// When a step was over, or the record written.
pub(super) fn end_of(step: &Step) -> i64 {
    step.at_ms.saturating_add(signed(step.waited_ms))
}

/// Every program's course, in the order of the record.
pub(super) fn courses(record: &Record) -> Vec<Course<'_>> {
    // Found by name once for all: a file may have as many as it likes.
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, program) in record.programs.iter().enumerate() {
        places.insert(&program.name, place);
    }
    let place = |name: &str| places.get(name).copied();
    let mut courses: Vec<Course<'_>> = record.programs.iter().map(Course::of).collect();
    for entry in &record.timeline {
        if let Some(place) = entry.program.as_deref().and_then(place) {
            courses[place].entries.push(entry);
        }
    }
    for stray in &record.strays {
        if let Some(place) = stray.program.as_deref().and_then(place) {
            courses[place].strays.push(stray);
        }
    }
    for place in record.active_tasks.iter().filter_map(|name| place(name)) {
        courses[place].was_alive = true;
    }
    for course in &mut courses {
        course.read(record.phase);
    }
    courses
}

fn is_end(entry: &Entry) -> bool {
    Exit::told_by(&entry.event).is_some()
}

/// When somebody asked a second time, if that happened.
pub(super) fn hurried_ms(record: &Record) -> Option<i64> {
    record.timeline.iter().find(|entry| entry.event == SECOND_SIGNAL).map(|entry| entry.at_ms)
}

/// Strays that are no program's as far as is known: what a program's own got is in its steps.
pub(super) fn nobodys(record: &Record) -> impl Iterator<Item = &Stray> {
    record.strays.iter().filter(|stray| stray.program.is_none())
}

/// What strays got, and when, in order.
pub(super) fn strays_got(record: &Record) -> Vec<(String, i64)> {
    let of_all = record.timeline.iter().filter(|entry| entry.program.is_none());
    let mut got: Vec<(String, i64)> = of_all
        .filter_map(|entry| got_by_strays(&entry.event).map(|signal| (signal.to_owned(), entry.at_ms)))
        .collect();
    let is_told = got.iter().any(|(signal, _)| signal == "SIGKILL");
    if let Some((_, first_ms)) = got.first()
        && !is_told
        && nobodys(record).any(|stray| is_kill(&stray.stopped_by))
    {
        // The SIGKILL for everybody is no entry of its own.
        let at_ms = hurried_ms(record).or_else(|| kill_at_ms(record)).unwrap_or_default();
        let at_ms = at_ms.min(signed(record.elapsed_ms)).max(*first_ms);
        got.push(("SIGKILL".to_owned(), at_ms));
    }
    got
}

/// When the budget has everybody killed who is still there.
pub(super) fn kill_at_ms(record: &Record) -> Option<i64> {
    let budget = Budget::Within(Duration::from_millis(record.budget_ms?));
    budget.time_to_kill().and_then(|time| i64::try_from(time.as_millis()).ok())
}
