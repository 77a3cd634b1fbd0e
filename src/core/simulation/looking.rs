//! What /proc shows, and what kill(2) with signal 0 tells.

use super::fake_kernel::{Condition, FakeKernel, Process};
use crate::core::event::{GroupState, Look, Other};
use crate::core::process::{Pgid, Pid};

impl FakeKernel {
    /// As `os::processes::look`.
    pub(super) fn look(&mut self) -> Look {
        let has_children = self.processes.values().any(|process| process.parent == self.own);
        let alone = !has_children && (!self.machine.is_init || self.processes.is_empty());
        if alone {
            return Look { alone, ..Look::default() };
        }
        if self.machine.is_blind {
            return Look { alone, blind: true, others: Vec::new() };
        }
        let others: Vec<Other> =
            self.ours().filter(|process| !process.is_zombie()).filter_map(Process::as_other).collect();
        self.seen = others.iter().map(|other| other.pid.number()).collect();
        Look { alone, blind: false, others }
    }

    /// As `os::kill::probe`.
    pub(super) fn probe(&self, pgid: Pgid) -> GroupState {
        let is_somebody_there = self.members(pgid.number()).next().is_some();
        if is_somebody_there { GroupState::Alive } else { GroupState::Empty }
    }
}

impl Process {
    fn as_other(&self) -> Option<Other> {
        let state = match self.condition {
            _ if self.is_stuck => 'D',
            Condition::Running => 'S',
            Condition::Stopped => 'T',
            Condition::Zombie(_) => return None,
        };
        Some(Other {
            pid: Pid::new(self.pid)?,
            pgid: Pgid::new(self.pgid),
            command: format!("process {}", self.pid),
            state,
        })
    }
}
