//! A kernel without a machine: processes, groups, sessions, numbers and time.
//!
//! | part                                  | file      |
//! |---------------------------------------|-----------|
//! | processes, and what they do when      | here      |
//! | fork, exit, new parents, wait         | `family`  |
//! | kill                                  | `killing` |
//! | /proc                                 | `looking` |
//! | which number is whose                 | `numbers` |
//!
//! One thing is kinder than a real kernel. The number of a program's group is not given out again when the group became
//! empty unseen: its last member was reaped by somebody else, or left it by setsid. No init that reaps its leaders can
//! know of that; only a leader kept as a zombie would hold the number. Everything else is reused at once, even the number
//! of a stray between two looks; such a double cannot be told from the first ([`Process::is_double`]).

use super::life::{Deed, Deeds, Life, Place};
use super::numbers::Numbers;
use super::random::Random;
use crate::core::ReapCount;
use crate::core::budget::Moment;
use crate::core::event::Notice;
use crate::core::plan::ProgramId;
use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// What kind of kernel it is.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// runinit is PID 1; otherwise a subreaper below another init.
    pub(super) is_init: bool,
    /// There is no /proc.
    pub(super) is_blind: bool,
    /// How long a death takes at most.
    pub(super) latency: Duration,
    pub(super) numbers: Numbers,
}

#[derive(Debug)]
pub(super) struct FakeKernel {
    pub(super) machine: Machine,
    /// Programs are started with marks.
    pub(super) has_marks: bool,
    /// runinit's own number.
    pub(super) own: i32,
    pub(super) now: Moment,
    /// By number, zombies too; runinit itself is not among them.
    pub(super) processes: BTreeMap<i32, Process>,
    /// What became of the group of each program that was started.
    pub(super) stories: BTreeMap<ProgramId, Story>,
    /// Who was there at the last look, or was found since.
    pub(super) seen: BTreeSet<i32>,
    /// What was reaped by runinit.
    pub(super) reaped: ReapCount,
    /// How long everybody who was ever there would take to end, one after the other.
    pub(super) slowness: Duration,
    /// Something wakes runinit: SIGCHLD, or a program that says something.
    pub(super) has_news: bool,
    /// Children that were stopped.
    pub(super) stopped: Vec<(Pid, Signal)>,
    /// What programs have said.
    pub(super) said: Vec<(ProgramId, Notice)>,
    /// What happened, for a trace.
    pub(super) log: Option<Vec<String>>,
    pub(super) births: u64,
    pub(super) random: Random,
    agenda: BTreeMap<(Moment, u64), Task>,
    planned: u64,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each says something of its own
pub(super) struct Process {
    pub(super) pid: i32,
    /// [`OUTSIDE`] for somebody who came from another PID namespace.
    pub(super) parent: i32,
    pub(super) pgid: i32,
    pub(super) session: i32,
    pub(super) origin: Origin,
    /// runinit has started it: a leader or a stop command.
    pub(super) is_started: bool,
    pub(super) condition: Condition,
    /// In state D.
    pub(super) is_stuck: bool,
    /// It is another user's.
    pub(super) is_anothers: bool,
    /// What runinit has sent to it.
    pub(super) heard: BTreeSet<Signal>,
    pub(super) killed_at: Option<Moment>,
    /// A signal that it does not catch ends it.
    pub(super) is_dying: bool,
    pub(super) born: Moment,
    /// It has the number of somebody who was there at the last look, or was found since.
    pub(super) is_double: bool,
    /// Since when it has not been in the group of a program that it came from.
    pub(super) stray_since: Moment,
    /// It carries no mark, and nor do those who come of it.
    pub(super) is_unmarked: bool,
    pub(super) life: Rc<Life>,
    /// Numbers are reused, births are not.
    birth: u64,
    /// Due while it could not run.
    held: Vec<Deed>,
    /// Sent while it could not run.
    pub(super) pending: BTreeSet<Signal>,
}

/// The parent of those who were started from outside.
pub(super) const OUTSIDE: i32 = 0;

/// To whom a process and all that come of it belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A program, and which of its starts.
    Program(ProgramId, u32),
    StopCommand(ProgramId),
    CheckCommand(ProgramId),
    TmuxClient(ProgramId),
    /// A pass of hygiene.
    Pass,
    /// Somebody else's; as PID 1 it has to be ended all the same, below it must not be touched.
    Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Running,
    Stopped,
    Zombie(Exit),
}

/// What became of a program's group, since its last start.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// Which of its starts that was.
    pub(super) start: u32,
    pub(super) pgid: i32,
    /// When the last of its members died so far.
    pub(super) last_death: Moment,
    /// When nobody was left of it, zombies included.
    pub(super) emptied: Option<Moment>,
    /// It was not runinit that reaped the last one.
    pub(super) is_unseen: bool,
    /// Somebody has left it.
    pub(super) is_left: bool,
}

#[derive(Debug)]
struct Task {
    pid: i32,
    birth: u64,
    deed: Deed,
}

/// More processes than this are refused, as by a limit on tasks.
const MOST: usize = 200;

impl FakeKernel {
    pub(super) fn new(machine: Machine, random: Random) -> Self {
        Self {
            own: if machine.is_init { 1 } else { 7 },
            machine,
            has_marks: false,
            now: Moment::ZERO,
            processes: BTreeMap::new(),
            stories: BTreeMap::new(),
            seen: BTreeSet::new(),
            reaped: ReapCount::default(),
            slowness: Duration::ZERO,
            has_news: false,
            stopped: Vec::new(),
            said: Vec::new(),
            log: None,
            births: 0,
            random,
            agenda: BTreeMap::new(),
            planned: 0,
        }
    }

    /// Lets time pass until then, or until something wakes runinit if that is sooner.
    pub(super) fn run_until_news(&mut self, until: Moment) {
        while !self.has_news && self.do_next(until) {}
        if !self.has_news {
            self.now = self.now.max(until);
        }
    }

    /// Lets time pass until then, whatever happens.
    pub(super) fn run(&mut self, until: Moment) {
        while self.do_next(until) {}
        self.now = self.now.max(until);
    }

    pub(super) fn schedule(&mut self, pid: i32, deeds: &Deeds) {
        let Some(process) = self.processes.get(&pid) else { return };
        for (after, deed) in deeds {
            self.planned += 1;
            let task = Task { pid, birth: process.birth, deed: deed.clone() };
            self.agenda.insert((self.now + *after, self.planned), task);
        }
    }

    fn do_next(&mut self, until: Moment) -> bool {
        let Some(entry) = self.agenda.first_entry() else { return false };
        let at = entry.key().0;
        if at > until {
            return false;
        }
        let task = entry.remove();
        self.now = self.now.max(at);
        if self.processes.get(&task.pid).is_some_and(|process| process.birth == task.birth) {
            self.do_deed(task.pid, task.deed);
        }
        true
    }

    /// Does it, unless the process cannot run now; then it is done when it can.
    fn do_deed(&mut self, pid: i32, deed: Deed) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let is_kill = matches!(deed, Deed::End(Exit::Signal(Signal::KILL)));
        match process.condition {
            Condition::Zombie(_) => return,
            // A process with a deadly signal never comes back from the kernel: it cannot even fork.
            _ if process.is_dying && !matches!(deed, Deed::End(_) | Deed::Unstick) => return,
            _ if process.is_stuck && !matches!(deed, Deed::Unstick) => return process.held.push(deed),
            Condition::Stopped if !is_kill && !matches!(deed, Deed::Unstick) => {
                return process.held.push(deed);
            }
            Condition::Running | Condition::Stopped => {}
        }
        match deed {
            Deed::End(exit) => self.exit(pid, exit),
            Deed::Fork(life, place) => self.fork(pid, &life, place),
            Deed::LeaveGroup => self.leave_group(pid),
            Deed::Stop => self.stop(pid, Signal::STOP),
            Deed::Stick => process.is_stuck = true,
            Deed::Unstick => {
                process.is_stuck = false;
                self.catch_up(pid);
            }
            Deed::BecomeAnother => process.is_anothers = true,
            Deed::Ask(id) => self.ask(id),
            Deed::Say(notice) => self.say(pid, notice),
        }
    }

    /// It can run again, and does what it could not before.
    pub(super) fn catch_up(&mut self, pid: i32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let (held, pending) = (std::mem::take(&mut process.held), std::mem::take(&mut process.pending));
        for deed in held {
            self.do_deed(pid, deed);
        }
        for signal in pending {
            self.deliver(pid, signal);
        }
    }

    /// Asks the leader of a program to end.
    pub(super) fn ask(&mut self, id: ProgramId) {
        if let Some(leader) = self.leader(id) {
            let (pid, life) = (leader.pid, Rc::clone(&leader.life));
            self.schedule(pid, &life.when_asked);
        }
    }

    pub(super) fn stop(&mut self, pid: i32, signal: Signal) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.condition = Condition::Stopped;
        if process.parent == self.own {
            self.has_news = true;
            self.stopped.extend(Pid::new(pid).map(|pid| (pid, signal)));
        }
    }

    fn say(&mut self, pid: i32, notice: Notice) {
        if let Some(Origin::Program(id, _)) = self.processes.get(&pid).map(|process| process.origin) {
            self.said.push((id, notice));
            self.has_news = true;
        }
    }

    /// The leader of a program, dead or alive, until it is reaped.
    pub(super) fn leader(&self, id: ProgramId) -> Option<&Process> {
        let story = self.stories.get(&id)?;
        let origin = Origin::Program(id, story.start);
        self.processes.get(&story.pgid).filter(|process| process.is_started && process.origin == origin)
    }

    /// Everybody in a group, zombies too.
    pub(super) fn members(&self, pgid: i32) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(move |process| process.pgid == pgid)
    }

    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    pub(super) fn birth(
        &mut self,
        parent: i32,
        place: Place,
        origin: Origin,
        life: &Rc<Life>,
    ) -> Option<i32> {
        if self.processes.len() >= MOST {
            return None;
        }
        let mut numbers = self.machine.numbers;
        let pid = numbers.take(|number| self.is_free(number));
        self.machine.numbers = numbers;
        let (pgid, session) = match (place, self.processes.get(&parent)) {
            (Place::Group, Some(parent)) => (parent.pgid, parent.session),
            (Place::OwnGroup, Some(parent)) => (pid, parent.session),
            (Place::OwnGroup, None) => (pid, self.own),
            (Place::OwnSession, _) | (Place::Group, None) => (pid, pid),
        };
        let is_unmarked =
            life.is_unmarked || self.processes.get(&parent).is_some_and(|parent| parent.is_unmarked);
        let is_anothers = self.processes.get(&parent).is_some_and(|parent| parent.is_anothers);
        self.births += 1;
        self.slowness += life.slowness() + self.machine.latency;
        let process = Process {
            pid,
            parent,
            pgid,
            session,
            origin,
            is_started: false,
            condition: Condition::Running,
            is_stuck: false,
            is_anothers,
            is_unmarked,
            heard: BTreeSet::new(),
            killed_at: None,
            is_dying: false,
            born: self.now,
            stray_since: self.now,
            is_double: self.seen.contains(&pid),
            life: Rc::clone(life),
            birth: self.births,
            held: Vec::new(),
            pending: BTreeSet::new(),
        };
        self.processes.insert(pid, process);
        self.schedule(pid, &life.deeds);
        Some(pid)
    }

    /// A number is free when no process has it as its own, its group's or its session's. See the module's text for the
    /// numbers of groups that ended unseen.
    fn is_free(&self, number: i32) -> bool {
        number != self.own
            && self.processes.values().all(|p| ![p.pid, p.pgid, p.session].contains(&number))
            && self.stories.values().all(|story| !story.is_unseen || story.pgid != number)
    }
}

impl Process {
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.condition, Condition::Zombie(_))
    }

    /// Not even SIGKILL ends it now.
    pub(super) fn is_unkillable(&self) -> bool {
        self.is_stuck || self.is_anothers
    }
}
