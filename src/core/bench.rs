//! A core on a bench, for the tests beside each rule: programs start with pids of their own, and time is what the test
//! says it is.

use super::Core;
use super::action::{Action, Target};
use super::budget::{Budget, Moment};
use super::commanding::Command;
use super::event::{Event, GroupState, Look, Reaped, Received};
use super::masks::Masks;
use super::plan::{Kind, Launch, Plan, Program, ProgramId};
use super::process::{Exit, Pid};
use super::signal::Signal;
use crate::tmux::{Session, Socket};
use std::collections::BTreeMap;
use std::time::Duration;

/// The core, and what it has asked for that the bench does not answer by itself.
pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: Moment,
    pub(super) asked: Vec<Action>,
    /// Nobody is left whenever it is looked; else the test itself tells who is.
    pub(super) is_alone: bool,
    /// How often it was looked who is left.
    pub(super) looks: usize,
    /// Who was inspected, and what all of them do with signals.
    pub(super) inspected: Vec<(ProgramId, Pid)>,
    pub(super) masks: Masks,
    /// What a probe of each group finds, once its leader has ended.
    groups: BTreeMap<ProgramId, GroupState>,
    next_pid: i32,
}

/// A program that does nothing special.
pub(super) fn program(name: &str) -> Program {
    Program::new(name, Launch::default())
}

/// One in a tmux session.
pub(super) fn agent(name: &str, session: &str, socket: &str) -> Program {
    let (socket, session) = (Socket::parse(socket), session.to_owned());
    let session = Session { socket, name: session, size: Session::SIZE, history: 0 };
    Program { kind: Kind::Agent(session), ..program(name) }
}

impl Bench {
    pub(super) fn new(programs: Vec<Program>) -> Self {
        Self::of(Plan::new(programs, Budget::Within(Duration::from_secs(9))))
    }

    pub(super) fn of(plan: Plan) -> Self {
        let mut bench = Self {
            core: Core::new(plan),
            now: Moment::ZERO,
            asked: Vec::new(),
            is_alone: true,
            looks: 0,
            inspected: Vec::new(),
            masks: Masks::default(),
            groups: BTreeMap::new(),
            next_pid: 100,
        };
        bench.at(0);
        bench
    }

    /// Goes on to this time, stopping at every deadline on the way.
    pub(super) fn at(&mut self, ms: u64) {
        let end = Duration::from_millis(ms);
        while let Some(deadline) = self.core.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.step(Event::Tick);
        }
        self.now = end;
        self.step(Event::Tick);
    }

    pub(super) fn step(&mut self, event: Event) {
        let mut out = Vec::new();
        self.core.step(event, self.now, &mut out);
        for action in out {
            self.looks += usize::from(action == Action::Look);
            match action {
                Action::Spawn(id) => {
                    self.next_pid += 1;
                    self.asked.push(action);
                    self.step(Event::Spawned(id, Ok(Pid::new(self.next_pid).unwrap())));
                }
                Action::Look if self.is_alone => {
                    self.step(Event::Looked(Look { alone: true, ..Look::default() }));
                }
                Action::Probe(id, _) => {
                    if let Some(state) = self.groups.get(&id).copied() {
                        self.step(Event::Group(id, state));
                    }
                }
                Action::Inspect(id, pid) => {
                    self.inspected.push((id, pid));
                    self.step(Event::Inspected(id, self.masks));
                }
                Action::Say(..) | Action::Record | Action::Look | Action::Forget(_) => {}
                _ => self.asked.push(action),
            }
        }
    }

    pub(super) fn program(&self, id: usize) -> &super::program::Program {
        &self.core.programs[id]
    }

    /// The leader ends; its group is what it is afterwards.
    pub(super) fn ends(&mut self, id: usize, code: u8, group: GroupState) {
        let pid = self.program(id).leader().expect("a leader that can end");
        self.groups.insert(ProgramId(id), group);
        self.step(Event::Reaped(vec![Reaped { pid, exit: Exit::Code(code) }]));
        self.step(Event::Tick);
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.step(Event::Signal(Received::from_kernel(signal)));
        self.step(Event::Tick);
    }

    /// Another plan comes. Forgets what was asked for before.
    pub(super) fn reload(&mut self, programs: Vec<Program>) {
        self.asked();
        let plan = Plan::new(programs, Budget::Within(Duration::from_secs(9)));
        self.step(Event::Reloaded(Box::new(plan)));
        self.step(Event::Tick);
    }

    /// Somebody asks for something that can be done. Forgets what was asked for before.
    pub(super) fn ask(&mut self, command: Command) {
        assert_eq!(self.core.objection(&command), None);
        self.asked();
        self.step(Event::Asked(command));
        self.step(Event::Tick);
    }

    /// What was asked for since the last time.
    pub(super) fn asked(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.asked)
    }

    /// Whose groups have got SIGTERM since the last time.
    pub(super) fn told_to_stop(&mut self) -> Vec<usize> {
        let term = |action: Action| match action {
            Action::Signal(id, Target::Group(_), Signal::TERM) => Some(id.0),
            _ => None,
        };
        self.asked().into_iter().filter_map(term).collect()
    }

    pub(super) fn starts(&mut self, id: usize) -> usize {
        self.asked().into_iter().filter(|action| *action == Action::Spawn(ProgramId(id))).count()
    }
}
