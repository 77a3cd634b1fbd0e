//! What each child was started for that has not been reaped.

use super::plan::ProgramId;
use super::process::Pid;

/// What a child was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Leader(ProgramId),
    StopCommand(ProgramId),
    CheckCommand(ProgramId),
    TmuxClient(ProgramId),
    /// A pass of hygiene.
    Pass,
}

/// In the order of their numbers. In a storm each orphan is looked up here, in vain: of one program that has to be one
/// comparison. That a new child may have to be moved between others is nothing beside its start.
#[derive(Debug, Default)]
pub(super) struct Children(Vec<(Pid, Child)>);

impl Children {
    pub(super) fn insert(&mut self, pid: Pid, child: Child) {
        match self.find(pid) {
            Ok(place) => self.0[place].1 = child,
            Err(place) => self.0.insert(place, (pid, child)),
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, pid: Pid) -> Option<Child> {
        let place = self.find(pid).ok()?;
        Some(self.0.remove(place).1)
    }

    pub(super) fn get(&self, pid: Pid) -> Option<Child> {
        let place = self.find(pid).ok()?;
        Some(self.0[place].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Pid, Child)> {
        self.0.iter().copied()
    }

    fn find(&self, pid: Pid) -> Result<usize, usize> {
        self.0.binary_search_by_key(&pid, |(pid, _)| *pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn what_was_put_in_is_found_until_it_is_taken_out(
            steps in prop::collection::vec((1..20i32, prop::option::of(0..9usize)), 0..99),
        ) {
            let (mut children, mut model) = (Children::default(), BTreeMap::new());
            for (number, put) in steps {
                let pid = Pid::new(number).unwrap();
                if let Some(place) = put {
                    let child = Child::Leader(ProgramId(place));
                    children.insert(pid, child);
                    model.insert(pid, child);
                } else {
                    prop_assert_eq!(children.remove(pid), model.remove(&pid));
                }
                prop_assert_eq!(children.get(pid), model.get(&pid).copied());
                prop_assert!(children.iter().eq(model.iter().map(|(pid, child)| (*pid, *child))));
            }
        }
    }
}
