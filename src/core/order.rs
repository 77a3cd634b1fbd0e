//! Who starts after whom, and so stops before whom.

use super::plan::{Program, ProgramId};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The dependencies of a fleet, in both directions.
#[derive(Debug)]
pub struct Order {
    /// Every program after all that it depends on.
    dependencies_first: Vec<ProgramId>,
    /// For each program, those that depend on it.
    dependents: Vec<Vec<ProgramId>>,
}

impl Order {
    /// The order of programs without cycles; the configuration refuses those with.
    pub fn new(programs: &[Program]) -> Self {
        Self::of(programs.iter().map(|program| &program.after[..]))
    }

    /// For each program, what it comes after. Those in a circle and after one are in no order.
    pub(super) fn of<'a>(after: impl ExactSizeIterator<Item = &'a [ProgramId]>) -> Self {
        let mut dependents = vec![Vec::new(); after.len()];
        let mut missing = vec![0; after.len()];
        for (index, after) in after.enumerate() {
            missing[index] = after.len();
            for dependency in after {
                dependents[dependency.0].push(ProgramId(index));
            }
        }
        let mut dependencies_first: Vec<ProgramId> =
            (0..missing.len()).filter(|&i| missing[i] == 0).map(ProgramId).collect();
        let mut next = 0;
        while let Some(&ProgramId(done)) = dependencies_first.get(next) {
            next += 1;
            for &dependent in &dependents[done] {
                missing[dependent.0] -= 1;
                if missing[dependent.0] == 0 {
                    dependencies_first.push(dependent);
                }
            }
        }
        Self { dependencies_first, dependents }
    }

    /// Every program after all that it depends on.
    pub fn dependencies_first(&self) -> impl DoubleEndedIterator<Item = ProgramId> + use<> {
        self.dependencies_first.clone().into_iter()
    }

    /// Those that depend on a program.
    pub fn dependents(&self, id: ProgramId) -> &[ProgramId] {
        &self.dependents[id.0]
    }

    /// All that come after a program, directly or not, those that do directly first.
    pub fn all_after(&self, id: ProgramId) -> AllAfter<'_> {
        let next = self.dependents(id).iter().copied().collect();
        AllAfter { order: self, next, seen: BTreeSet::new() }
    }

    /// For each program, how long the chain of those that can only stop after it needs at most.
    pub fn time_after(&self, need: impl Fn(ProgramId) -> Duration) -> Vec<Duration> {
        let mut after = vec![Duration::ZERO; self.dependents.len()];
        for &id in &self.dependencies_first {
            let chain = need(id).saturating_add(after[id.0]);
            for dependent in self.dependents(id) {
                after[dependent.0] = after[dependent.0].max(chain);
            }
        }
        after
    }
}

/// See [`Order::all_after`]. Nobody is looked for beyond whom it is asked for: a fleet is asked about each of its programs
/// again and again.
#[derive(Debug)]
pub struct AllAfter<'a> {
    order: &'a Order,
    next: VecDeque<ProgramId>,
    seen: BTreeSet<ProgramId>,
}

impl Iterator for AllAfter<'_> {
    type Item = ProgramId;

    #[inline(never)]
    fn next(&mut self) -> Option<ProgramId> {
        loop {
            let id = self.next.pop_front()?;
            if self.seen.insert(id) {
                self.next.extend(self.order.dependents(id));
                return Some(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::Launch;

    fn fleet(after: &[&[usize]]) -> Vec<Program> {
        let program = |after: &&[usize]| {
            let mut program = Program::new("p", Launch::default());
            program.after = after.iter().copied().map(ProgramId).collect();
            program
        };
        after.iter().map(program).collect()
    }

    #[test]
    fn dependencies_come_first_whatever_the_order_of_the_file() {
        let order = Order::new(&fleet(&[&[2], &[0], &[]]));
        assert_eq!(order.dependencies_first, [ProgramId(2), ProgramId(0), ProgramId(1)]);
        assert_eq!(order.dependents(ProgramId(0)), [ProgramId(1)]);
    }

    #[test]
    fn all_that_come_after_a_program_are_found_once() {
        let order = Order::new(&fleet(&[&[], &[0], &[0], &[1, 2], &[]]));
        assert_eq!(order.all_after(ProgramId(0)).collect::<Vec<_>>(), [1, 2, 3].map(ProgramId));
        assert_eq!(order.all_after(ProgramId(4)).count(), 0);
    }

    #[test]
    fn the_time_after_a_program_is_its_longest_chain() {
        // 0 stops last; 1 and 2 before it; 3 before both.
        let programs = fleet(&[&[], &[0], &[0], &[1, 2]]);
        let needs = [1, 5, 2, 9].map(Duration::from_secs);
        let after = Order::new(&programs).time_after(|id| needs[id.0]);
        assert_eq!(after, [0, 1, 1, 6].map(Duration::from_secs));
    }
}
