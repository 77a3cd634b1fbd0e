//! Whom the end waited for: from the end backwards, each time the last of those that had to end first.

use super::course::{Course, strays_got};
use super::times::signed;
use crate::record::Record;
use std::collections::BTreeMap;

/// Somebody whom the end waited for, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) who: Who,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A program, by its place in the record.
    Program(usize),
    /// Those whom nobody managed.
    Strays,
}

impl Leg {
    pub(super) fn took_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }
}

/// The legs of the way to the end, the first one first.
pub(super) fn path(record: &Record, courses: &[Course<'_>], last_waited_for: &[Option<usize>]) -> Vec<Leg> {
    let end = signed(record.elapsed_ms);
    let mut legs = Vec::new();
    if let Some((_, from_ms)) = strays_got(record).first() {
        legs.push(Leg { who: Who::Strays, from_ms: *from_ms, to_ms: end });
    }
    let there = courses.iter().enumerate().filter(|(_, course)| course.was_alive);
    let mut next = there.max_by_key(|(_, course)| ends(course, end)).map(|(index, _)| index);
    while let Some(index) = next {
        let course = &courses[index];
        let to_ms = ends(course, end);
        legs.push(Leg { who: Who::Program(index), from_ms: course.began_ms().unwrap_or(to_ms), to_ms });
        // Each is among those that stop before the one before it, and there are no cycles; a record may still be odd.
        next = last_waited_for[index].filter(|_| legs.len() <= courses.len());
    }
    legs.reverse();
    legs
}

/// For each program the one that its turn waited for: the last to end of those that come after it.
pub(super) fn last_waited_for(courses: &[Course<'_>], end: i64) -> Vec<Option<usize>> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, course) in courses.iter().enumerate().filter(|(_, course)| course.was_alive) {
        for name in &course.program.after {
            let known = last.entry(name).or_insert(index);
            if ends(course, end) >= ends(&courses[*known], end) {
                *known = index;
            }
        }
    }
    courses.iter().map(|course| last.get(course.program.name.as_str()).copied()).collect()
}

/// When it ended; one that has not is still waited for.
fn ends(course: &Course<'_>, end: i64) -> i64 {
    course.ended_ms.unwrap_or(end).max(0)
}
