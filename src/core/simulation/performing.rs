//! Doing in the fake kernel what the core wants done: `runtime::perform` without a system.

use super::fake_kernel::Origin;
use super::killing::Answer;
use super::scenario::{Outside, Script};
use super::world::World;
use crate::core::action::{Action, Purpose, Target};
use crate::core::event::{Event, GroupState, SpawnFailure, SpawnFailureKind};
use crate::core::plan::ProgramId;
use crate::core::policy::{Check, Ready, ReadyBy};
use crate::core::process::Pid;
use crate::core::signal::Signal;
use std::rc::Rc;
use std::time::Duration;

impl World {
    /// Does it, and says what came of it where the core wants to know.
    pub(super) fn perform(&mut self, action: &Action) -> Option<Event> {
        match *action {
            Action::Spawn(id) => Some(self.start(id)),
            Action::Call(id, question) => Some(Event::Called(id, self.spawn_client(id, question))),
            Action::Hear(id, exit) => self.hear_client(id, exit),
            Action::RunStep(id, step) => Some(Event::StepSpawned(id, self.spawn_step(id, step))),
            Action::WriteStdin(id, _) => Some(Event::StdinWritten(id, self.write_stdin(id))),
            Action::Ask(id, purpose) => self.ask(id, purpose),
            Action::StopAsking(id) => {
                self.questions.remove(&id);
                None
            }
            Action::Signal(id, Target::Group(pgid), signal) => {
                let answer = self.kernel.kill_group(pgid, signal);
                (answer == Answer::Nobody).then_some(Event::Group(id, GroupState::Empty))
            }
            Action::Signal(_, Target::Leader(pid) | Target::Escapee(pid), signal)
            | Action::SignalStray(pid, signal) => {
                self.kernel.kill_process(pid, signal);
                None
            }
            Action::KillCommand(pgid) => {
                self.kernel.kill_group(pgid, Signal::KILL);
                None
            }
            Action::SignalEverybody(signal) => {
                if self.kernel.machine.is_init {
                    self.kernel.kill_everybody(signal);
                }
                None
            }
            Action::Probe(id, pgid) => Some(Event::Group(id, self.kernel.probe(pgid))),
            Action::Inspect(id, pid) => self.kernel.masks(pid).map(|masks| Event::Inspected(id, masks)),
            Action::Seek(ref programs) => Some(Event::Sought(self.kernel.seek(programs))),
            Action::Clean(..) => Some(Event::PassSpawned(self.spawn_pass())),
            Action::Look => Some(Event::Looked(self.kernel.look())),
            Action::AskWhetherAlone => self.kernel.look_whether_alone().map(Event::Looked),
            Action::LookForLate => Some(Event::Remaining(self.kernel.remaining())),
            Action::StopSelf => {
                self.stop_self();
                None
            }
            Action::StopWith(id, signal, _) => {
                if self.random.chance(50) {
                    return Some(Event::CouldNotStop(id, signal));
                }
                if self.random.chance(20) {
                    return Some(Event::HasTerminal(id));
                }
                self.stop_self();
                Some(Event::Resumed(id))
            }
            // Nobody ignores SIGTERM alone, so that a hang-up makes no difference.
            Action::HangUp(..)
            | Action::Reload
            | Action::HeedStop(..)
            | Action::PassOn(..)
            | Action::GiveTerminal
            | Action::TakeTerminal
            | Action::Forget(_)
            | Action::Record
            | Action::Say(..)
            | Action::Finish(_) => None,
        }
    }

    /// runinit stops, and somebody continues it.
    fn stop_self(&mut self) {
        let length = self.random.time(Duration::from_secs(3));
        let now = self.kernel.now;
        self.outside.push_front((now, Outside::Signal(Signal::CONT)));
        self.outside.push_front((now, Outside::Stall(length)));
    }

    pub(super) fn has_room(&self) -> bool {
        let now = self.kernel.now;
        self.scenario.no_room.iter().all(|(from, to)| now < *from || *to <= now)
    }

    /// What a program turns out to be; those that come later are like others before them.
    fn script(&self, id: ProgramId) -> &Script {
        &self.scenario.programs[id.0 % self.scenario.programs.len()]
    }

    pub(super) fn spawn(&mut self, id: ProgramId) -> Result<Pid, SpawnFailure> {
        let failure = |kind| SpawnFailure { kind, errno: 0, message: format!("{kind:?}") };
        if !self.has_room() {
            return Err(failure(SpawnFailureKind::NoRoom));
        }
        let start = self.starts.get(&id).copied().unwrap_or_default();
        let script = self.script(id);
        if let Some((_, kind)) = script.failure.filter(|(from, _)| *from <= start) {
            return Err(failure(kind));
        }
        let turn = usize::try_from(start).unwrap_or_default() % script.lives.len();
        let life = Rc::clone(&script.lives[turn]);
        let pid = self.kernel.spawn(Origin::Program(id, start), &life);
        self.starts.insert(id, start + 1);
        pid.ok_or_else(|| failure(SpawnFailureKind::NoRoom))
    }

    fn spawn_step(&mut self, id: ProgramId, step: usize) -> Option<Pid> {
        let life = self.script(id).stop_commands.get(&step).filter(|_| self.has_room());
        let life = life.map(Rc::clone)?;
        self.kernel.spawn(Origin::StopCommand(id), &life)
    }

    fn spawn_pass(&mut self) -> Option<Pid> {
        self.passes += 1;
        let life = self.scenario.passes.get(self.passes % self.scenario.passes.len().max(1))?;
        let life = life.as_ref().filter(|_| self.has_room()).map(Rc::clone)?;
        self.kernel.spawn(Origin::Pass, &life)
    }

    fn write_stdin(&mut self, id: ProgramId) -> bool {
        let reads = self.kernel.leader(id).is_some_and(|leader| !leader.is_zombie() && leader.life.reads);
        if reads {
            self.kernel.ask(id);
        }
        reads
    }

    fn ask(&mut self, id: ProgramId, purpose: Purpose) -> Option<Event> {
        let asked = self.asked.entry(id).or_default();
        *asked += 1;
        let asked = *asked;
        let script = self.script(id);
        let (after, yes) = script.answers[asked % script.answers.len()];
        let command = script.check_commands[asked % script.check_commands.len()].clone();
        let spec = &self.core.plan().programs[id.0];
        let check = match (purpose, &spec.ready, &spec.health) {
            (Purpose::Ready, Some(Ready { by: ReadyBy::Check(check), .. }), _) => check,
            (Purpose::Health, _, Some(health)) => &health.check,
            _ => return Some(Event::Checked(id, false)),
        };
        match check {
            Check::Exec(_) => {
                let life = command.filter(|_| self.has_room());
                let pid = life.and_then(|life| self.kernel.spawn(Origin::CheckCommand(id), &life));
                Some(Event::CheckSpawned(id, pid))
            }
            Check::File(_) => Some(Event::Checked(id, yes)),
            Check::Tcp(_) => {
                self.questions.insert(id, (self.kernel.now + after, yes));
                None
            }
        }
    }
}
