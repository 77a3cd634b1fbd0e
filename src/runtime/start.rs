//! Starting a program, with all that it is given.

use super::Runtime;
use crate::core::event::SpawnFailure;
use crate::core::plan::{Launch, Leads, ProgramId, Stdin};
use crate::core::process::Pid;
use crate::os::output::Writers;
use crate::os::spawn::Surroundings;
use crate::os::terminal::{self, Terminal};
use crate::os::{descriptors, pipe, spawn};
use std::os::fd::{AsFd, OwnedFd};

impl Runtime {
    /// For as many programs as there are by now. They all get the limits that runinit was given.
    pub(super) fn make_room(&mut self) {
        let came_in = descriptors::make_room_for(self.core.plan().programs.len());
        self.inherited.descriptors = self.inherited.descriptors.or(came_in);
    }

    /// Reading /proc takes a descriptor or two (EMFILE). False: there was no room to be made.
    pub(super) fn make_room_to_look(&mut self) -> bool {
        let came_in = descriptors::make_all_room();
        self.inherited.descriptors = self.inherited.descriptors.or(came_in);
        came_in.is_some()
    }

    pub(super) fn spawn(&mut self, id: ProgramId) -> Result<Pid, SpawnFailure> {
        let output = self.open_output(id)?;
        let voice = self
            .give_voice(id)
            .map_err(|errno| spawn::refused("cannot open what it says that it is ready by", errno))?;
        let launch = &self.core.plan().programs[id].launch;
        let variables: Vec<_> = voice.environment.into_iter().chain(self.mark(id)).collect();
        let cgroup = self.entrance(id);
        let stdin =
            open_stdin(launch).map_err(|errno| spawn::refused("cannot open its standard input", errno))?;
        let is_own = self.core.plan().programs[id].is_server();
        let surroundings = Surroundings {
            inherited: if is_own { self.inherited.without_signals() } else { self.inherited },
            variables: &variables,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
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
        let is_in_front = launch.foreground;
        let spawned = spawn::spawn(launch, surroundings);
        if spawned.is_err() {
            self.remove_cgroup(id);
            if is_in_front {
                // It may have ended there.
                self.take_terminal();
            }
        }
        let pid = self.watch_start(spawned)?;
        if let Some((_, Some(writing))) = stdin {
            self.inputs.insert(id, writing);
        }
        self.let_go();
        Ok(pid)
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
