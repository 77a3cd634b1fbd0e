//! What the processes of each program are known by.

use super::Runtime;
use crate::core::event::{Look, Other};
use crate::core::plan::{self, ProgramId};
use crate::core::process::{Pgid, Pid};
use crate::os::members::{self, Family};
use crate::os::processes;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;

impl Runtime {
    /// Who is left besides runinit, and who of them belongs to a program.
    pub(super) fn look(&mut self) -> Look {
        let look = self.look_once();
        if !look.blind || !self.make_room_to_look() {
            return look;
        }
        self.look_once()
    }

    fn look_once(&self) -> Look {
        if !self.core.plan().marks_programs {
            return processes::look(&self.realm);
        }
        let mut look = members::look(&self.realm, &self.families(), &self.marks);
        let known: BTreeSet<Pid> = look.others.iter().map(|other| other.pid).collect();
        if !self.core.is_killing() {
            look.others.retain(|other| !self.is_in_use(other.pid));
        }
        look.others.extend(self.on_shared_servers().into_iter().filter(|other| !known.contains(&other.pid)));
        look.alone &= look.others.is_empty();
        look
    }

    /// The same if nobody is left, else nothing.
    pub(super) fn look_whether_alone(&self) -> Option<Look> {
        processes::look_whether_alone(&self.realm).filter(|_| self.on_shared_servers().is_empty())
    }

    /// Who belongs to an agent, but is below a tmux server that somebody else has started.
    fn on_shared_servers(&self) -> Vec<Other> {
        let is_shared = |spec: &plan::Program| spec.session().is_some_and(|s| !s.socket.is_private());
        let programs = self.core.programs().filter(|(_, spec, _)| is_shared(spec));
        let there: Vec<ProgramId> =
            programs.map(|(id, ..)| id).filter(|id| self.tmux.server_of(*id).is_some()).collect();
        if there.is_empty() {
            Vec::new()
        } else {
            self.seek(&there).into_iter().flat_map(|(_, o)| o).collect()
        }
    }

    /// Who has left the groups of these programs.
    pub(super) fn seek(&self, programs: &[ProgramId]) -> Vec<(ProgramId, Vec<Other>)> {
        let is_known = |pid| self.core.is_child(pid);
        let servers = programs.iter().filter_map(|id| self.tmux.server_of(*id)).collect();
        let found =
            members::escapees(&self.realm, programs, &servers, &self.marks, is_known, || self.families());
        for (id, _) in found.iter().filter(|(_, others)| others.is_empty()) {
            self.remove_cgroup(*id);
        }
        found
    }

    /// What the processes of every listed program are known by.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for (program, spec, state) in self.core.programs() {
            let groups = state.group().map(Pgid::number).into_iter().collect();
            // What another run has left carries none of this run's marks, and may have the name of a program that does.
            let name = if self.core.is_left(program) { String::new() } else { spec.name.clone() };
            let starts_others = spec.is_server();
            families.push(Family { program, name, groups, commands: Vec::new(), starts_others });
        }
        for (program, command) in self.core.commands() {
            // In the order of their places.
            if let Ok(place) = families.binary_search_by_key(&program, |family| family.program) {
                families[place].commands.push(command.number());
            }
        }
        families
    }

    /// The way into a program's cgroup, if it has one.
    pub(super) fn entrance(&self, id: ProgramId) -> Option<File> {
        self.marks.cgroups()?.entrance(&self.core.plan().programs[id].name)
    }

    /// It stays while somebody is in it.
    pub(super) fn remove_cgroup(&self, id: ProgramId) {
        if let Some(cgroups) = self.marks.cgroups() {
            cgroups.remove_of(&self.core.plan().programs[id].name);
        }
    }

    /// What a program's processes carry, if they carry anything.
    pub(super) fn mark(&self, id: ProgramId) -> Option<(OsString, OsString)> {
        let plan = self.core.plan();
        plan.marks_programs.then(|| self.marks.variable(&plan.programs[id].name))
    }
}
