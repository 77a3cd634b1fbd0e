//! Whom the end waited for: from the end backwards, each time the last of those that had to end first.

use super::course::{Course, strays_got};
use super::times::signed;
use crate::record::Record;

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
pub(super) fn path(record: &Record, courses: &[Course<'_>]) -> Vec<Leg> {
    let end = signed(record.elapsed_ms);
    let mut legs = Vec::new();
    if let Some((_, from_ms)) = strays_got(record).first() {
        legs.push(Leg { who: Who::Strays, from_ms: *from_ms, to_ms: end });
    }
    let mut next = last_of(courses, |_| true, end);
    while let Some(index) = next {
        let course = &courses[index];
        let to_ms = ends(course, end);
        legs.push(Leg { who: Who::Program(index), from_ms: course.began_ms().unwrap_or(to_ms), to_ms });
        // Each is among those that stop before the one before it, and there are no cycles; a record may still be odd.
        next = last_waited_for(courses, index, end).filter(|_| legs.len() <= courses.len());
    }
    legs.reverse();
    legs
}

/// The one that a program's turn waited for: the last to end of those that come after it.
pub(super) fn last_waited_for(courses: &[Course<'_>], index: usize, end: i64) -> Option<usize> {
    let name = &courses[index].program.name;
    last_of(courses, |course| course.program.after.contains(name), end)
}

fn last_of(courses: &[Course<'_>], is_asked_for: impl Fn(&Course<'_>) -> bool, end: i64) -> Option<usize> {
    let there = courses.iter().enumerate().filter(|(_, course)| course.was_alive && is_asked_for(course));
    there.max_by_key(|(_, course)| ends(course, end)).map(|(index, _)| index)
}

/// When it ended; one that has not is still waited for.
fn ends(course: &Course<'_>, end: i64) -> i64 {
    course.ended_ms.unwrap_or(end).max(0)
}
