//! What the programs are to each other: names that must differ, and `after`, which must not go round in a circle.

use super::nearest::hint;
use super::program::Draft;
use super::report::Report;
use crate::core::plan::ProgramId;
use std::collections::BTreeMap;

/// The loop reads a configuration too, and comparing a name with those of a large fleet takes time. Whoever has more names
/// wrong than this has made one mistake, and not so many.
const MOST_HINTS: usize = 20;

/// Turns the names in `after` into the programs that have them.
pub(super) fn connect(report: &Report<'_>, drafts: &mut [Draft<'_>]) {
    let ids = names(report, drafts);
    let mut hints = Hints { known: ids.keys().map(String::as_str).collect(), made: BTreeMap::new() };
    for (index, draft) in drafts.iter_mut().enumerate() {
        for (place, name) in &draft.after {
            match ids.get(*name).copied() {
                None => place.complain(format!("there is no program {name:?}{}", hints.about(name))),
                Some(ProgramId(id)) if id == index => place.complain(itself(name, draft.after_is_default)),
                Some(id) if draft.program.after.contains(&id) => {}
                Some(id) => draft.program.after.push(id),
            }
        }
    }
    for circle in circles(drafts) {
        report_circle(report, drafts, &circle);
    }
}

/// What wrong names are told to be like, each made once: programs share their defaults.
struct Hints<'a> {
    known: Vec<&'a str>,
    made: BTreeMap<&'a str, String>,
}

impl<'a> Hints<'a> {
    fn about(&mut self, name: &'a str) -> &str {
        if self.made.len() < MOST_HINTS {
            self.made.entry(name).or_insert_with(|| hint(name, &self.known));
        }
        self.made.get(name).map_or("", String::as_str)
    }
}

fn names(report: &Report<'_>, drafts: &[Draft<'_>]) -> BTreeMap<String, ProgramId> {
    let mut ids: BTreeMap<String, ProgramId> = BTreeMap::new();
    // A program without a name has been reported already.
    for (index, draft) in drafts.iter().enumerate().filter(|(_, d)| !d.program.name.is_empty()) {
        let name = &draft.program.name;
        let first = *ids.entry(name.clone()).or_insert(ProgramId(index));
        if first.0 != index {
            let line = report.line(drafts[first.0].name_offset);
            report.add(
                draft.name_offset,
                format!("there are two programs {name:?}; the first is on line {line}"),
            );
        }
    }
    ids
}

fn itself(name: &str, is_default: bool) -> String {
    if is_default {
        return format!(
            "by this default, {name:?} would start after itself; give it an \"after\" of its own"
        );
    }
    format!("{name:?} cannot start after itself")
}

/// Circles of programs that wait for each other, each once and from its first program.
fn circles(drafts: &[Draft<'_>]) -> Vec<Vec<usize>> {
    let stuck = stuck(drafts);
    let mut circles = Vec::new();
    let mut walked_from: Vec<Option<usize>> = vec![None; drafts.len()];
    for start in (0..drafts.len()).filter(|&i| stuck[i]) {
        let mut path = Vec::new();
        let mut at = start;
        while walked_from[at].is_none() {
            walked_from[at] = Some(start);
            path.push(at);
            // A stuck program is after at least one that is stuck too.
            let Some(next) = drafts[at].program.after.iter().find(|id| stuck[id.0]) else { break };
            at = next.0;
        }
        if walked_from[at] == Some(start)
            && let Some(begin) = path.iter().position(|&i| i == at)
        {
            let mut circle = path.split_off(begin);
            let first = circle.iter().enumerate().min_by_key(|(_, program)| **program).map_or(0, |(i, _)| i);
            circle.rotate_left(first);
            circles.push(circle);
        }
    }
    circles
}

/// The programs that could never start: those of a circle, and those after them.
fn stuck(drafts: &[Draft<'_>]) -> Vec<bool> {
    let mut dependents = vec![Vec::new(); drafts.len()];
    let mut missing: Vec<usize> = drafts.iter().map(|d| d.program.after.len()).collect();
    for (index, draft) in drafts.iter().enumerate() {
        for dependency in &draft.program.after {
            dependents[dependency.0].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..drafts.len()).filter(|&i| missing[i] == 0).collect();
    while let Some(started) = ready.pop() {
        for &dependent in &dependents[started] {
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    missing.into_iter().map(|m| m > 0).collect()
}

fn report_circle(report: &Report<'_>, drafts: &[Draft<'_>], circle: &[usize]) {
    let name = |index: usize| drafts[index].program.name.as_str();
    let round: Vec<&str> = circle.iter().chain(circle.first()).map(|&i| name(i)).collect();
    let next = name(circle[1 % circle.len()]);
    let first = &drafts[circle[0]];
    let offset = first.after.iter().find(|(_, n)| *n == next).map_or(first.name_offset, |(v, _)| v.offset());
    report.add(offset, format!("\"after\" goes round in a circle: {}", round.join(" -> ")));
}
