//! fork, exit, who becomes whose parent, wait.

use super::fake_kernel::{Condition, FakeKernel, OUTSIDE, Origin, Story};
use super::life::{Life, Place};
use crate::core::event::Reaped;
use crate::core::plan::ProgramId;
use crate::core::process::{Exit, Pid};
use std::rc::Rc;

impl FakeKernel {
    /// runinit starts a program or a stop command, as the leader of a group.
    pub(super) fn spawn(&mut self, origin: Origin, life: &Rc<Life>) -> Option<Pid> {
        let pid = self.birth(self.own, Place::OwnGroup, origin, life)?;
        self.processes.get_mut(&pid)?.is_started = true;
        if let Origin::Program(id, start) = origin {
            let story = Story {
                start,
                pgid: pid,
                last_death: self.now,
                emptied: None,
                is_unseen: false,
                is_left: false,
            };
            self.stories.insert(id, story);
        }
        self.do_what_is_due();
        Pid::new(pid)
    }

    /// runinit starts a tmux client, of which nothing is heard before the next round: it comes between a look and its
    /// signals, too.
    pub(super) fn spawn_client(&mut self, id: ProgramId, life: &Rc<Life>) -> Option<Pid> {
        let pid = self.birth(self.own, Place::OwnGroup, Origin::TmuxClient(id), life)?;
        self.processes.get_mut(&pid)?.is_started = true;
        Pid::new(pid)
    }

    /// Somebody comes in from outside: a `docker exec` where runinit is PID 1, a neighbour where it is not.
    pub(super) fn join(&mut self, life: &Rc<Life>) {
        self.birth(OUTSIDE, Place::OwnSession, Origin::Outside, life);
    }

    /// What is to be done at once is done before runinit does anything else: a program may end before its init knows
    /// that it has started.
    fn do_what_is_due(&mut self) {
        self.run(self.now);
    }

    pub(super) fn fork(&mut self, pid: i32, life: &Rc<Life>, place: Place) {
        let Some(origin) = self.processes.get(&pid).map(|process| process.origin) else { return };
        if let Some(child) = self.birth(pid, place, origin, life) {
            self.tell(|| format!("{pid} forks {child} ({place:?})"));
        }
    }

    pub(super) fn leave_group(&mut self, pid: i32) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| process.pgid != pid) else {
            return;
        };
        let left = process.pgid;
        process.pgid = pid;
        process.session = pid;
        process.stray_since = self.now;
        self.tell(|| format!("{pid} leaves group {left}"));
        self.end_story(left, true);
    }

    pub(super) fn exit(&mut self, pid: i32, exit: Exit) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.condition = Condition::Zombie(exit);
        let (pgid, origin, now) = (process.pgid, process.origin, self.now);
        for (id, story) in &mut self.stories {
            let is_member = story.pgid == pgid && story.emptied.is_none();
            let is_of = match origin {
                Origin::Program(of, start) => of == *id && start == story.start,
                Origin::StopCommand(of) | Origin::CheckCommand(of) => of == *id,
                Origin::TmuxClient(_) | Origin::Pass | Origin::Outside => false,
            };
            let is_escapee = !is_member && is_of;
            story.is_left |= is_escapee;
            if is_member || is_escapee {
                story.last_death = now;
            }
        }
        self.tell(|| format!("{pid} {exit}"));
        let children: Vec<i32> = self.processes.values().filter(|p| p.parent == pid).map(|p| p.pid).collect();
        for child in children {
            self.adopt(child);
        }
        self.await_by_parent(pid);
    }

    /// The parent is gone. runinit inherits everybody below it; for others their own init does.
    fn adopt(&mut self, pid: i32) {
        let own = self.own;
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.parent = if process.origin == Origin::Outside { OUTSIDE } else { own };
        if process.is_zombie() {
            self.await_by_parent(pid);
        }
    }

    /// A zombie goes when its parent looks after it.
    fn await_by_parent(&mut self, pid: i32) {
        let Some(parent) = self.processes.get(&pid).map(|process| process.parent) else { return };
        if parent == self.own {
            self.has_news = true;
        } else if self.processes.get(&parent).is_none_or(|parent| !parent.life.neglects_children) {
            self.bury(pid, true);
        }
    }

    fn bury(&mut self, pid: i32, is_unseen: bool) {
        if let Some(process) = self.processes.remove(&pid) {
            self.end_story(process.pgid, is_unseen);
        }
    }

    /// Somebody is gone from a group, perhaps the last.
    fn end_story(&mut self, pgid: i32, is_unseen: bool) {
        if self.members(pgid).next().is_some() {
            return;
        }
        let now = self.now;
        for story in self.stories.values_mut().filter(|story| story.pgid == pgid && story.emptied.is_none()) {
            story.emptied = Some(now);
            story.is_unseen = is_unseen;
        }
    }

    /// Reaps children that have ended, in any order, at most so many.
    pub(super) fn reap(&mut self, most: usize) -> Vec<Reaped> {
        let mut reaped = Vec::new();
        while reaped.len() < most {
            let own = self.own;
            let zombies: Vec<(i32, Exit)> = self
                .processes
                .values()
                .filter(|process| process.parent == own)
                .filter_map(|process| match process.condition {
                    Condition::Zombie(exit) => Some((process.pid, exit)),
                    Condition::Running | Condition::Stopped => None,
                })
                .collect();
            if zombies.is_empty() {
                break;
            }
            let (pid, exit) = self.random.pick(&zombies);
            if self.processes.get(&pid).is_some_and(|process| process.is_started) {
                self.reaped.programs += 1;
            } else {
                self.reaped.orphans += 1;
            }
            self.bury(pid, false);
            reaped.extend(Pid::new(pid).map(|pid| Reaped { pid, exit }));
        }
        reaped
    }

    /// True if something of a program's group is left, zombies included.
    pub(super) fn is_group_there(&self, id: ProgramId) -> bool {
        self.stories.get(&id).is_some_and(|story| story.emptied.is_none())
    }

    /// Everybody who is runinit's to end: as PID 1 the whole namespace, below it its descendants. Zombies too.
    pub(super) fn ours(&self) -> impl Iterator<Item = &super::fake_kernel::Process> {
        let is_init = self.machine.is_init;
        self.processes.values().filter(move |process| is_init || process.origin != Origin::Outside)
    }
}
