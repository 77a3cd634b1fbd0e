//! Doing what the core wants done.

use super::Runtime;
use crate::core::action::{Action, Purpose, Target};
use crate::core::event::{Event, GroupState};
use crate::core::plan::{Launch, Leads, Plan, ProgramId, Stdin, StepAction};
use crate::core::policy::{Check, Ready, ReadyBy};
use crate::core::process::Pid;
use crate::core::program::{Fate, Program};
use crate::core::signal::Signal;
use crate::os::output::Writers;
use crate::os::spawn::Surroundings;
use crate::os::{kill, pipe, processes, signals, spawn};
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::fd::AsFd;

impl Runtime {
    /// Does it, and says what came of it where the core wants to know.
    pub(super) fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(id) => {
                self.make_room();
                self.hearing.forget_trouble(id);
                Some(self.begin_start(id))
            }
            Action::Call(id, question) => Some(self.call(id, question)),
            Action::Hear(id, exit) => self.hear(id, exit),
            Action::RunStep(id, step) => Some(Event::StepSpawned(id, self.spawn_step(id, step))),
            Action::Ask(id, purpose) => self.ask(id, purpose),
            Action::StopAsking(id) => {
                self.stop_connecting(id);
                None
            }
            Action::WriteStdin(id, step) => Some(Event::StdinWritten(id, self.write_stdin(id, step))),
            Action::Forget(id) => {
                self.forget(id);
                None
            }
            Action::Signal(id, target, signal) => self.signal(id, target, signal),
            Action::HangUp(id, pgid) => {
                self.kernel_session(id, pgid).hang_up();
                None
            }
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
                if self.realm.own().number() == 1 {
                    kill::everybody(signal);
                }
                None
            }
            Action::Probe(id, pgid) => Some(Event::Group(id, self.probe(id, pgid))),
            Action::Inspect(id, pid) => {
                processes::masks(self.realm.own(), pid).map(|masks| Event::Inspected(id, masks))
            }
            Action::Look => Some(Event::Looked(self.look())),
            Action::AskWhetherAlone => self.look_whether_alone().map(Event::Looked),
            Action::Clean(occasion, lasts) => Some(Event::PassSpawned(self.start_pass(occasion, lasts))),
            Action::LookForLate => {
                let groups: Vec<_> = self.core.programs().filter_map(|(_, _, p)| p.group()).collect();
                Some(Event::Remaining(processes::remaining(&self.realm, &groups)))
            }
            Action::Seek(programs) => Some(Event::Sought(self.seek(&programs))),
            Action::StopSelf => {
                signals::stop_self();
                None
            }
            Action::StopWith(id, signal, stops) => self.stop_with(id, signal, stops),
            Action::HeedStop(id, signal) => self.heed_stop(id, signal),
            Action::PassOn(id, signal) => {
                self.pass_on(id, signal);
                None
            }
            Action::GiveTerminal => {
                self.give_terminal();
                None
            }
            Action::TakeTerminal => {
                self.take_terminal();
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
                self.hear_rest_of_pass();
                self.drain_outputs();
                self.end_left_servers();
                self.record(true);
                self.write_last_words();
                self.remove_sockets();
                self.exit_code = Some(code);
                None
            }
        }
    }

    /// Another program has this place, or will have it.
    #[inline(never)]
    fn forget(&mut self, id: ProgramId) {
        self.inputs.remove(&id);
        self.hearing.forget(id);
        self.tmux.forget(id);
        let is_taken = self.core.program(id).is_some_and(|program| program.fate != Fate::Removed);
        let successor = is_taken.then(|| self.core.plan().programs[id].name.as_str());
        self.outputs.forget(id, successor);
    }

    /// The configuration as it is now, or why it cannot be taken over.
    pub(super) fn read_again(&mut self) -> Result<Plan, Vec<String>> {
        let plan = (self.load)()?;
        self.core.objection_to_plan(&plan).map_or(Ok(plan), |why| Err(vec![why]))
    }

    /// Reads the configuration again; a bad one changes nothing and says why.
    #[inline(never)]
    fn reload(&mut self) -> Option<Event> {
        match self.read_again() {
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

    /// A stop command runs where its program does, with its environment.
    fn spawn_step(&mut self, id: ProgramId, step: usize) -> Option<Pid> {
        let program = &self.core.plan().programs[id];
        match &program.stop.get(step)?.action {
            StepAction::Run(argv) => self.spawn_command(id, argv.clone(), "stop command"),
            StepAction::Keys(keys) => self.press(id, &keys.clone()),
            StepAction::Stdin(_) | StepAction::Signal(_) | StepAction::Received => None,
        }
    }

    /// A command that stops a program; what it prints goes the same way as what that prints.
    pub(super) fn spawn_command(&mut self, id: ProgramId, argv: Vec<OsString>, what: &str) -> Option<Pid> {
        // A stop command is worth more than its output.
        let output = self.open_output(id).ok().flatten();
        let spawned = self.spawn_beside(id, argv, what, output.as_ref());
        spawned.map_err(|why| log::warn!("{why}")).ok()
    }

    /// A command about a program runs where that does, with its environment. If it cannot be run: why, for people.
    fn spawn_beside(
        &mut self,
        id: ProgramId,
        argv: Vec<OsString>,
        what: &str,
        output: Option<&Writers>,
    ) -> Result<Pid, String> {
        let program = &self.core.plan().programs[id];
        let launch = Launch {
            argv,
            stdin: Stdin::Null,
            foreground: false,
            leads: Leads::Group,
            ..program.launch.clone()
        };
        let variables: Vec<_> = self.mark(id).into_iter().collect();
        let cgroup = self.entrance(id);
        let nothing = pipe::nothing_to_read();
        let stdin = nothing.as_ref().ok().map(AsFd::as_fd);
        let surroundings = Surroundings {
            inherited: self.inherited,
            variables: &variables,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
            standard: [stdin, output.map(Writers::stdout), output.map(Writers::stderr)],
            descriptor: None,
            terminal: None,
        };
        spawn::spawn(&launch, surroundings)
            .map_err(|failure| format!("{}: its {what}: {}", program.name, failure.message))
    }

    #[inline(never)]
    fn ask(&mut self, id: ProgramId, purpose: Purpose) -> Option<Event> {
        let program = &self.core.plan().programs[id];
        let check = match (purpose, &program.ready, &program.health) {
            (Purpose::Ready, Some(Ready { by: ReadyBy::Check(check), .. }), _) => check.clone(),
            (Purpose::Health, _, Some(health)) => health.check.clone(),
            _ => return Some(Event::Checked(id, false)),
        };
        if program.is_server() {
            return Some(Event::CheckSpawned(id, self.ask_server(id)));
        }
        match check {
            Check::Exec(argv) => {
                // Its exit is the answer. A page that it fetches every few seconds is nothing that the program has printed.
                let nowhere = Writers::nowhere();
                let spawned = self.spawn_beside(id, argv, "check", nowhere.as_ref());
                let tell = |why: String| {
                    if self.hearing.is_new_trouble(id, &why) {
                        log::warn!("{why}");
                    }
                };
                Some(Event::CheckSpawned(id, spawned.map_err(tell).ok()))
            }
            Check::File(path) => Some(Event::Checked(id, path.exists())),
            Check::Tcp(address) => self.ask_by_connecting(id, address),
        }
    }

    fn write_stdin(&self, id: ProgramId, step: usize) -> bool {
        let Some(StepAction::Stdin(text)) =
            self.core.plan().programs[id].stop.get(step).map(|step| &step.action)
        else {
            return false;
        };
        self.inputs.get(&id).is_some_and(|input| pipe::write_without_waiting(input, text.as_bytes()))
    }

    /// Its group is there until it is reaped, unless it has joined another one (setpgid(2)).
    fn unreaped_leader(&self, id: ProgramId) -> Option<Pid> {
        self.core.program(id).and_then(Program::leader).filter(|leader| self.core.is_child(*leader))
    }

    pub(super) fn signal(&self, id: ProgramId, target: Target, signal: Signal) -> Option<Event> {
        match (self.send(id, target, signal), target) {
            (Err(Errno::ESRCH), Target::Group(_)) => match self.unreaped_leader(id) {
                Some(leader) => self.signal(id, Target::Leader(leader), signal),
                None => Some(Event::Group(id, GroupState::Empty)),
            },
            // A leader that is gone has not been reaped yet, or its group is probed when it is; the next look tells who
            // else is.
            (Ok(()), _) | (Err(Errno::ESRCH), Target::Leader(_) | Target::Escapee(_)) => None,
            (Err(errno), _) => {
                let name = &self.core.plan().programs[id].name;
                log::warn!("{name}: cannot send {signal}: {}", errno.desc());
                None
            }
        }
    }
}
