//! What /proc shows, and what kill(2) with signal 0 tells.

use super::fake_kernel::{Condition, FakeKernel, Origin, Process};
use super::life::Deeds;
use crate::core::event::{GroupState, Look, Other};
use crate::core::half_time::{Late, NAMED, Remaining};
use crate::core::masks::{Masks, SignalSet};
use crate::core::plan::ProgramId;
use crate::core::process::{Pgid, Pid};

impl FakeKernel {
    /// As `os::processes::look`.
    pub(super) fn look(&mut self) -> Look {
        if let Some(look) = self.look_whether_alone() {
            return look;
        }
        let alone = false;
        if self.machine.is_blind {
            return Look { alone, blind: true, others: Vec::new() };
        }
        let alive = self.ours().filter(|process| !process.is_zombie());
        let others: Vec<Other> =
            alive.filter_map(|process| process.as_other(self.escaped_from(process))).collect();
        self.seen = others.iter().map(|other| other.pid.number()).collect();
        Look { alone, blind: false, others }
    }

    /// As `os::processes::look_whether_alone`.
    pub(super) fn look_whether_alone(&self) -> Option<Look> {
        let has_children = self.processes.values().any(|process| process.parent == self.own);
        let alone = !has_children && (!self.machine.is_init || self.processes.is_empty());
        alone.then(|| Look { alone, ..Look::default() })
    }

    /// As `os::processes::remaining`.
    pub(super) fn remaining(&self) -> Remaining {
        if self.machine.is_blind {
            return Remaining { blind: true, ..Remaining::default() };
        }
        let ours =
            self.ours().filter(|process| !process.is_zombie()).filter_map(|process| process.as_other(None));
        let mut named: Vec<Late> =
            ours.map(|process| Late { masks: self.masks(process.pid), process }).collect();
        let more = named.len().saturating_sub(NAMED);
        named.truncate(NAMED);
        Remaining { named, more, blind: false }
    }

    /// As `os::processes::masks`: of zombies, too.
    pub(super) fn masks(&self, pid: Pid) -> Option<Masks> {
        let process = self.processes.get(&pid.number()).filter(|_| !self.machine.is_blind)?;
        let those = |is_meant: fn(&Deeds) -> bool| {
            let handlers = process.life.handlers.iter().filter(|(_, deeds)| is_meant(deeds));
            SignalSet::from_bits(handlers.map(|(signal, _)| 1 << (signal.number() - 1)).sum())
        };
        Some(Masks {
            ignored: those(Deeds::is_empty),
            caught: those(|deeds| !deeds.is_empty()),
            blocked: SignalSet::default(),
        })
    }

    /// As `os::members::escapees`.
    pub(super) fn seek(&mut self, programs: &[ProgramId]) -> Vec<(ProgramId, Vec<Other>)> {
        let of = |id: &ProgramId| {
            let alive = self.ours().filter(|process| !process.is_zombie());
            let escaped = alive.filter(|process| self.escaped_from(process) == Some(*id));
            (*id, escaped.filter_map(|process| process.as_other(Some(*id))).collect())
        };
        let found: Vec<(ProgramId, Vec<Other>)> = programs.iter().map(of).collect();
        self.seen.extend(found.iter().flat_map(|(_, others)| others).map(|other| other.pid.number()));
        found
    }

    /// True if somebody who has left the group of a program lives and can be found.
    pub(super) fn has_escapees(&self, id: ProgramId) -> bool {
        let mut alive = self.ours().filter(|process| !process.is_zombie());
        alive.any(|process| {
            let is_its = matches!(process.origin, Origin::Program(of, _) if of == id);
            is_its && self.escaped_from(process) == Some(id)
        })
    }

    /// As `os::members::attribute`, for those who have left their group.
    pub(super) fn escaped_from(&self, process: &Process) -> Option<ProgramId> {
        let found = if self.has_marks && !self.machine.is_blind { self.belongs_to(process) } else { None };
        found.filter(|(_, is_outside)| *is_outside).map(|(id, _)| id)
    }

    /// To which program, and whether outside of all groups that are known.
    fn belongs_to(&self, process: &Process) -> Option<(ProgramId, bool)> {
        let led = self.stories.iter().find(|(_, story)| {
            story.emptied.is_none() && [process.pgid, process.session].contains(&story.pgid)
        });
        if let Some((id, _)) = led {
            return Some((*id, false));
        }
        let command = self
            .processes
            .values()
            .find(|command| command.is_started && [process.pgid, process.session].contains(&command.pid));
        match command.map(|command| command.origin) {
            Some(Origin::StopCommand(id) | Origin::CheckCommand(id) | Origin::TmuxClient(id)) => {
                return Some((id, false));
            }
            Some(Origin::Program(..) | Origin::Pass | Origin::Outside) | None => {}
        }
        let parent = self.processes.get(&process.parent).and_then(|parent| {
            let (id, is_outside) = self.belongs_to(parent)?;
            let is_of_program = matches!(parent.origin, Origin::Program(..));
            Some((id, is_outside || is_of_program))
        });
        parent.or(match process.origin {
            _ if process.is_unmarked => None,
            Origin::Program(id, _) | Origin::StopCommand(id) | Origin::CheckCommand(id) => Some((id, true)),
            Origin::TmuxClient(_) | Origin::Pass | Origin::Outside => None,
        })
    }

    /// As `os::kill::probe`.
    pub(super) fn probe(&self, pgid: Pgid) -> GroupState {
        let is_somebody_there = self.members(pgid.number()).next().is_some();
        if is_somebody_there { GroupState::Alive } else { GroupState::Empty }
    }
}

impl Process {
    fn as_other(&self, program: Option<ProgramId>) -> Option<Other> {
        let state = match self.condition {
            _ if self.is_stuck => 'D',
            Condition::Running => 'S',
            Condition::Stopped => 'T',
            Condition::Zombie(_) => return None,
        };
        Some(Other {
            pid: Pid::new(self.pid)?,
            pgid: Pgid::new(self.pgid),
            program,
            command: format!("process {}", self.pid),
            state,
        })
    }
}
