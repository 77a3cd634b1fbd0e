//! Doing what the core wants done.

use super::Runtime;
use crate::core::action::{Action, Purpose, Target};
use crate::core::event::{Event, GroupState, SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Launch, Leads, ProgramId, Stdin, StepAction};
use crate::core::policy::{Check, Ready, ReadyBy};
use crate::core::process::Pid;
use crate::core::signal::Signal;
use crate::os::output::Writers;
use crate::os::spawn::Surroundings;
use crate::os::terminal::{self, Terminal};
use crate::os::{kill, pipe, processes, signals, spawn};
use nix::errno::Errno;
use std::borrow::Cow;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

impl Runtime {
    /// Does it, and says what came of it where the core wants to know.
    pub(super) fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(id) => Some(Event::Spawned(id, self.spawn(id))),
            Action::RunStep(id, step) => Some(Event::StepSpawned(id, self.spawn_step(id, step))),
            Action::Ask(id, purpose) => self.ask(id, purpose),
            Action::StopAsking(id) => {
                self.stop_connecting(id);
                None
            }
            Action::WriteStdin(id, step) => Some(Event::StdinWritten(id, self.write_stdin(id, step))),
            Action::Signal(id, target, signal) => self.signal(id, target, signal),
            Action::KillCommand(pgid) => {
                // ESRCH: it has just ended by itself.
                let _ = kill::signal(Target::Group(pgid), Signal::KILL);
                None
            }
            Action::SignalStray(pid, signal) => {
                if let Err(error @ Errno::EPERM) = kill::process(pid, signal) {
                    log::warn!("cannot send {signal} to process {pid}: {}", error.desc());
                }
                None
            }
            Action::SignalEverybody(signal) => {
                if self.own.number() == 1 {
                    kill::everybody(signal);
                }
                None
            }
            Action::Probe(id, pgid) => Some(Event::Group(id, kill::probe(pgid))),
            Action::Look => Some(Event::Looked(processes::look(self.own))),
            Action::StopSelf => {
                signals::stop_self();
                None
            }
            Action::StopWith(id, signal) => {
                // Without a terminal there is no job control: somebody has stopped it on purpose.
                let could_not = self.terminal.is_some() && !signals::stop_as_terminal_does();
                could_not.then_some(Event::CouldNotStop(id, signal))
            }
            Action::GiveTerminal => {
                self.give_terminal();
                None
            }
            Action::Reload => self.reload(),
            Action::Record => {
                self.record(false);
                None
            }
            Action::Say(level, text) => {
                if self.narrator.is_none() {
                    self.start_log();
                    log::log!(level, "{text}");
                }
                None
            }
            Action::Finish(code) => {
                self.drain_outputs();
                self.record(true);
                self.exit_code = Some(code);
                None
            }
        }
    }

    fn spawn(&mut self, id: ProgramId) -> Result<Pid, SpawnFailure> {
        let output = self.open_output(id)?;
        let no_room = |what: &str, errno: Errno| SpawnFailure {
            kind: SpawnFailureKind::NoRoom,
            errno: errno as i32,
            message: format!("cannot open {what}: {}", errno.desc()),
        };
        let voice =
            self.give_voice(id).map_err(|errno| no_room("what it says that it is ready by", errno))?;
        let mut launch = Cow::Borrowed(&self.core.plan().programs[id.0].launch);
        if let Some(variable) = voice.environment {
            launch.to_mut().env.push(variable);
        }
        let stdin = open_stdin(&launch).map_err(|errno| no_room("its standard input", errno))?;
        let surroundings = Surroundings {
            inherited: self.inherited,
            standard: [
                stdin.as_ref().map(|(reading, _)| reading.as_fd()),
                output.as_ref().map(Writers::stdout),
                output.as_ref().map(Writers::stderr),
            ],
            descriptor: voice.descriptor.as_ref().map(|(writing, number)| (writing.as_fd(), *number)),
            terminal: if launch.foreground {
                self.terminal.as_ref().and_then(Terminal::to_give)
            } else {
                None
            },
        };
        if launch.leads == Leads::Session {
            terminal::leave();
        }
        let pid = spawn::spawn(&launch, surroundings)?;
        if let Some((_, Some(writing))) = stdin {
            self.inputs.insert(id, writing);
        }
        self.let_go();
        Ok(pid)
    }

    /// Reads the configuration again; a bad one changes nothing and says why.
    fn reload(&mut self) -> Option<Event> {
        match (self.load)() {
            Ok(plan) => Some(Event::Reloaded(Box::new(plan))),
            Err(refusals) => {
                for why in refusals {
                    log::error!("{why}");
                }
                log::error!("the configuration was not taken over; everything goes on as it was");
                None
            }
        }
    }

    fn give_terminal(&self) {
        let foreground = self.core.programs().find(|(_, spec, _)| spec.launch.foreground);
        let group = foreground.and_then(|(_, _, program)| program.group());
        if let (Some(terminal), Some(pgid)) = (&self.terminal, group) {
            terminal.give(pgid);
        }
    }

    /// A stop command runs where its program does, with its environment.
    fn spawn_step(&mut self, id: ProgramId, step: usize) -> Option<Pid> {
        let program = &self.core.plan().programs[id.0];
        let StepAction::Run(argv) = &program.stop.get(step)?.action else { return None };
        self.spawn_command(id, argv.clone(), "stop command")
    }

    /// A command about a program runs where that does, with its environment, and what it prints goes the same way.
    fn spawn_command(&mut self, id: ProgramId, argv: Vec<OsString>, what: &str) -> Option<Pid> {
        // A stop command is worth more than its output.
        let output = self.open_output(id).ok().flatten();
        let program = &self.core.plan().programs[id.0];
        let launch = Launch {
            argv,
            stdin: Stdin::Null,
            foreground: false,
            leads: Leads::Group,
            ..program.launch.clone()
        };
        let nothing = pipe::nothing_to_read();
        let stdin = nothing.as_ref().ok().map(AsFd::as_fd);
        let standard = [stdin, output.as_ref().map(Writers::stdout), output.as_ref().map(Writers::stderr)];
        let surroundings =
            Surroundings { inherited: self.inherited, standard, descriptor: None, terminal: None };
        match spawn::spawn(&launch, surroundings) {
            Ok(pid) => Some(pid),
            Err(failure) => {
                log::warn!("{}: its {what}: {}", program.name, failure.message);
                None
            }
        }
    }

    fn ask(&mut self, id: ProgramId, purpose: Purpose) -> Option<Event> {
        let program = &self.core.plan().programs[id.0];
        let check = match (purpose, &program.ready, &program.health) {
            (Purpose::Ready, Some(Ready { by: ReadyBy::Check(check), .. }), _) => check.clone(),
            (Purpose::Health, _, Some(health)) => health.check.clone(),
            _ => return Some(Event::Checked(id, false)),
        };
        match check {
            Check::Exec(argv) => Some(Event::CheckSpawned(id, self.spawn_command(id, argv, "check"))),
            Check::File(path) => Some(Event::Checked(id, path.exists())),
            Check::Tcp(address) => self.ask_by_connecting(id, address),
        }
    }

    fn write_stdin(&self, id: ProgramId, step: usize) -> bool {
        let Some(StepAction::Stdin(text)) =
            self.core.plan().programs[id.0].stop.get(step).map(|step| &step.action)
        else {
            return false;
        };
        // Not blocking: a program that never reads its input is met with EAGAIN, one that closed it with EPIPE.
        self.inputs.get(&id).is_some_and(|input| nix::unistd::write(input, text.as_bytes()) == Ok(text.len()))
    }

    fn signal(&self, id: ProgramId, target: Target, signal: Signal) -> Option<Event> {
        match (kill::signal(target, signal), target) {
            (Err(Errno::ESRCH), Target::Group(_)) => Some(Event::Group(id, GroupState::Empty)),
            // A leader that is gone has not been reaped yet, or its group is probed when it is.
            (Ok(()), _) | (Err(Errno::ESRCH), Target::Leader(_)) => None,
            (Err(errno), _) => {
                let name = &self.core.plan().programs[id.0].name;
                log::warn!("{name}: cannot send {signal}: {}", errno.desc());
                None
            }
        }
    }
}

/// The reading end for the program and, for a pipe, the writing end for runinit. `None`: it keeps runinit's own.
fn open_stdin(launch: &Launch) -> nix::Result<Option<(OwnedFd, Option<OwnedFd>)>> {
    match launch.stdin {
        Stdin::Inherit => Ok(None),
        Stdin::Null => pipe::nothing_to_read().map(|reading| Some((reading, None))),
        Stdin::Pipe => {
            pipe::to_write_without_waiting().map(|(reading, writing)| Some((reading, Some(writing))))
        }
    }
}
