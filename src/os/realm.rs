//! Whom runinit has to see ended: as PID 1 the whole namespace, below it what has come of its programs.
//!
//! Below PID 1 a process may have children when it becomes runinit by exec: `sleep 1000 & exec runinit -- true` in a
//! shell, or `exec > >(tee log)` before it, where `tee` ends when runinit has. They and those below them are none of
//! runinit's: nobody signals them, counts them as strays or waits for them. They are reaped when they end.

use super::processes::{self, Process};
use super::reap;
use crate::core::process::Pid;
use std::collections::BTreeMap;

/// The most that are remembered of those who were there before; who is below the others only belongs to runinit.
const LIMIT: usize = 1000;

/// This process, and who of its descendants is none of its business.
#[derive(Clone, Debug)]
pub struct Realm {
    own: Pid,
    /// When each of those started who were there before, which tells them from others that get their numbers.
    ///
    /// Those below a child that was there are remembered too: when it ends they become runinit's children, as what a
    /// program leaves behind does. Nothing tells the two apart but having been there, so whoever such a child starts
    /// later is left alone while its parents lead to one of these, and is a stray after that.
    earlier: BTreeMap<Pid, u64>,
}

impl Realm {
    /// That of this process, which has not started anybody yet. It costs one system call where there are no children.
    pub fn new(own: Pid) -> Self {
        let is_everybody_ours = own.number() == 1 || reap::has_no_children();
        Self { own, earlier: if is_everybody_ours { BTreeMap::new() } else { descendants(own) } }
    }

    /// This process.
    pub fn own(&self) -> Pid {
        self.own
    }

    /// Whether a process was there before.
    pub(super) fn was_there(&self, process: &Process) -> bool {
        self.earlier.get(&process.pid) == Some(&process.started)
    }

    /// True if there is no child, dead or alive, but those that were there before.
    pub(super) fn has_no_children(&self) -> bool {
        reap::has_no_children() || !self.earlier.is_empty() && self.has_only_earlier_children()
    }

    /// A child that nobody has reaped can be read, so one that cannot is a reason to doubt it all.
    #[inline(never)]
    fn has_only_earlier_children(&self) -> bool {
        let was_there = |number| processes::read(number).is_some_and(|child| self.was_there(&child));
        processes::children(self.own).is_some_and(|children| children.into_iter().all(was_there))
    }
}

/// Nobody where the kernel does not list children: then nothing would tell that those are the only ones left.
#[inline(never)]
fn descendants(own: Pid) -> BTreeMap<Pid, u64> {
    let found = processes::children(own).and_then(|_| processes::descendants_of(own)).unwrap_or_default();
    found.into_iter().take(LIMIT).map(|process| (process.pid, process.started)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::process;
    use super::*;

    #[test]
    fn another_that_has_got_the_number_was_not_there() {
        let earlier = process(9, 5, 5);
        let realm =
            Realm { own: Pid::new(5).unwrap(), earlier: BTreeMap::from([(earlier.pid, earlier.started)]) };
        assert!(realm.was_there(&Process { parent: 1, ..earlier.clone() }));
        assert!(!realm.was_there(&Process { started: earlier.started + 1, ..earlier }));
        assert!(!realm.was_there(&process(8, 5, 5)));
    }

    #[test]
    fn everybody_is_pid_1s() {
        assert_eq!(Realm::new(Pid::new(1).unwrap()).earlier, BTreeMap::new());
    }
}
