//! What becomes of a request.

use super::super::Runtime;
use super::MOST_LASTING;
use super::client::{Client, Dialogue, Served};
use super::waiting::{self, Outcome, Wait};
use crate::config;
use crate::config::nearest::hint;
use crate::control::protocol::{self, Request, Target};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::commanding::Command;
use crate::core::event::Event;
use crate::core::plan::{self, Kind, ProgramId, Tmux};
use crate::core::program::{Hold, Program, Readiness, State};
use crate::core::timeline;

/// A request that is done, or under way.
enum Done {
    Now(Outcome),
    When(Wait),
}

impl Runtime {
    /// Does what somebody asks for, and answers, now or later.
    pub(super) fn obey(&mut self, index: usize, request: Request, now: Moment) -> Served {
        if request.waits()
            && let Some(why) = self.why_nobody_may_stay()
        {
            let why = format!("{why}, or do not wait (--no-wait)");
            return self.reply(index, &protocol::refusal(&why), now);
        }
        let done = match request {
            Request::Status => {
                let line = protocol::answer(&self.status(now));
                return self.reply(index, &line, now);
            }
            Request::Health => {
                let line = protocol::answer(&super::health::health(&self.core));
                return self.reply(index, &line, now);
            }
            Request::Logs { program, lines, follow } => {
                return self.show_logs(index, &program, lines, follow, now);
            }
            Request::Attach { program } => return self.attach(index, &program, now),
            Request::Stop(target) => self.stop(&target, now),
            Request::Start(target) => self.start(&target, now),
            Request::Restart(target) => self.restart(&target, now),
            Request::Signal { program, signal } => self.signal_program(&program, &signal, now),
            Request::Add { program, wait } => self.add(&program, wait, now),
            Request::Remove(target) => self.remove(&target, now),
            Request::Reload { wait } => self.reload_as_asked(wait, now),
        };
        match done.unwrap_or_else(|why| Done::Now(Err(why))) {
            Done::Now(outcome) => self.reply(index, &waiting::line(&outcome), now),
            Done::When(wait) => {
                // Looked at when the round is over.
                let Some(client) = self.client(index) else { return Served::Over };
                client.dialogue = Dialogue::Waiting(wait);
                client.until = None;
                Served::Nothing
            }
        }
    }

    /// Why nobody else may wait or follow; `None`: there is room.
    pub(super) fn why_nobody_may_stay(&self) -> Option<String> {
        let clients = self.control.iter().flat_map(|control| control.clients.iter().flatten());
        let stays =
            |client: &&Client| matches!(client.dialogue, Dialogue::Waiting(_) | Dialogue::Following(..));
        let is_full = clients.filter(stays).count() >= MOST_LASTING;
        is_full.then(|| format!("{MOST_LASTING} others wait, or follow what programs print; try again"))
    }

    pub(super) fn find(&self, name: &str) -> Result<ProgramId, String> {
        let found = self.core.programs().find(|(_, spec, _)| spec.name == name);
        found.map(|(id, _, _)| id).ok_or_else(|| {
            let known: Vec<&str> = self.core.programs().map(|(_, spec, _)| spec.name.as_str()).collect();
            format!("there is no program {name:?}{}", hint(name, &known))
        })
    }

    fn command(&mut self, command: Command, now: Moment) -> Result<(), String> {
        if let Some(why) = self.core.objection(&command) {
            return Err(why);
        }
        self.handle(Event::Asked(command), now);
        Ok(())
    }

    fn stop(&mut self, target: &Target, now: Moment) -> Result<Done, String> {
        let Target { program: name, wait } = target;
        let id = self.find(name)?;
        let mut all = self.core.dependents_first(id);
        let is_there = |core: &Core, id: ProgramId| core.program(id).is_some_and(|p| p.state != State::Ended);
        let was_there: Vec<bool> = all.iter().map(|id| is_there(&self.core, *id)).collect();
        self.command(Command::Stop(id), now)?;
        let mut was_there = was_there.into_iter();
        // What the last run has left is looked for from now on.
        all.retain(|id| was_there.next() == Some(true) || is_there(&self.core, *id));
        Ok(match (!all.is_empty(), wait) {
            (false, _) => Done::Now(Ok(format!("{name}: it was not running"))),
            (true, true) => Done::When(Wait::Stopped(id, name.clone(), all)),
            (true, false) => Done::Now(Ok(format!("{name}: it is being stopped"))),
        })
    }

    fn start(&mut self, target: &Target, now: Moment) -> Result<Done, String> {
        let Target { program: name, wait } = target;
        let id = self.find(name)?;
        let before = self.core.program(id).filter(|program| program.hold == Hold::Free);
        let is_there = before.is_some_and(|program| matches!(program.state, State::Running { .. }));
        let is_ready = before.is_some_and(|program| program.readiness == Readiness::Ready);
        let since = before.and_then(|program| program.started_at).filter(|_| is_there).unwrap_or(now);
        self.command(Command::Start(id), now)?;
        if is_there && is_ready {
            return Ok(Done::Now(Ok(format!("{name}: it is running already"))));
        }
        Ok(Self::begun(id, name, *wait, since))
    }

    fn restart(&mut self, target: &Target, now: Moment) -> Result<Done, String> {
        let Target { program: name, wait } = target;
        let id = self.find(name)?;
        self.command(Command::Restart(id), now)?;
        if !wait {
            return Ok(Done::Now(Ok(format!("{name}: it is being restarted"))));
        }
        Ok(Self::begun(id, name, *wait, now))
    }

    fn begun(id: ProgramId, name: &str, wait: bool, since: Moment) -> Done {
        if !wait {
            return Done::Now(Ok(format!("{name}: it is being started")));
        }
        Done::When(Wait::Started(id, name.to_owned(), since))
    }

    fn signal_program(&mut self, name: &str, signal: &str, now: Moment) -> Result<Done, String> {
        let id = self.find(name)?;
        let signal = config::signal_named(signal)?;
        self.command(Command::Signal(id, signal), now)?;
        Ok(Done::Now(Ok(format!("{name}: {signal} sent"))))
    }

    fn add(
        &mut self,
        keys: &serde_json::Map<String, serde_json::Value>,
        wait: bool,
        now: Moment,
    ) -> Result<Done, String> {
        // One that was added and has ended leaves its name to the next.
        let is_in_the_way = |spec: &plan::Program, program: &Program| {
            let is_same = keys.get("name").and_then(|name| name.as_str()) == Some(&spec.name);
            !(is_same && program.added && program.state == State::Ended)
        };
        let listed = self.core.programs().filter(|(_, spec, _)| !spec.is_server());
        let others = listed.filter(|(_, spec, program)| is_in_the_way(spec, program));
        let known: Vec<(ProgramId, String)> = others.map(|(id, spec, _)| (id, spec.name.clone())).collect();
        let names: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
        if let Some(name) =
            keys.get("name").and_then(|name| name.as_str()).filter(|name| names.contains(name))
        {
            return Err(format!("there is a program {name:?} already"));
        }
        let mut spec = (self.read_program)(keys, &names).map_err(|wrong| wrong.join("\n"))?;
        spec.after = spec.after.iter().filter_map(|place| Some(known.get(place.0)?.0)).collect();
        let name = spec.name.clone();
        self.settle_agent(&mut spec, now)?;
        self.command(Command::Add(Box::new(spec)), now)?;
        let id = self.find(&name)?;
        Ok(Self::begun(id, &name, wait, now))
    }

    /// An agent lives where the others do; if it is the first, their server comes with it.
    fn settle_agent(&mut self, spec: &mut plan::Program, now: Moment) -> Result<(), String> {
        let Kind::Agent(session) = &mut spec.kind else { return Ok(()) };
        let Tmux { socket, history, .. } = &self.core.plan().tmux;
        (session.socket, session.history) = (socket.clone(), *history);
        if !session.socket.is_private() {
            return Ok(());
        }
        let server = config::tmux_server(&session.socket);
        let name = server.name.clone();
        if let Some(why) = self.core.objection(&Command::Add(Box::new(spec.clone()))) {
            return Err(why);
        }
        if self.find(&name).is_err() {
            self.command(Command::Add(Box::new(server)), now)?;
        }
        spec.after.push(self.find(&name)?);
        Ok(())
    }

    fn remove(&mut self, target: &Target, now: Moment) -> Result<Done, String> {
        let Target { program: name, wait } = target;
        let id = self.find(name)?;
        self.command(Command::Remove(id), now)?;
        Ok(if *wait {
            Done::When(Wait::Gone(id, name.clone()))
        } else {
            Done::Now(Ok(format!("{name}: it is being removed")))
        })
    }

    fn reload_as_asked(&mut self, wait: bool, now: Moment) -> Result<Done, String> {
        if self.core.shutdown().is_some() {
            return Err("runinit is stopping: nothing is read again".to_owned());
        }
        let plan = self
            .read_again()
            .map_err(|wrong| wrong.join("\n") + "\nnothing was taken over; everything goes on as it was")?;
        let before = waiting::beginners(&self.core);
        self.handle(Event::Reloaded(Box::new(plan)), now);
        // What the core has just noted about it; a shutdown may have begun with it.
        let of_reload = |event: &&str| event.starts_with(timeline::READ_AGAIN);
        let told = self.core.timeline().entries().map(|entry| entry.event.as_str()).filter(of_reload).last();
        let told = told.unwrap_or_default().to_owned();
        if !wait {
            return Ok(Done::Now(Ok(told)));
        }
        Ok(Done::When(Wait::reloaded(&self.core, told, &before, now)))
    }
}
