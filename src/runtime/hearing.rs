//! What programs say about themselves, and connections that tell whether they listen.

use super::Runtime;
use crate::core::budget::Moment;
use crate::core::event::{Event, Notice, Reaped};
use crate::core::plan::ProgramId;
use crate::core::policy::{Ready, ReadyBy};
use crate::core::process::Pid;
use crate::core::program::Program;
use crate::os::connect::{self, Attempt};
use crate::os::notify::NotifySocket;
use crate::os::poller::{Interest, Token};
use crate::os::reading::{self, Heard};
use crate::os::{kill, pipe, processes};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

/// Messages of one program that are read in one round.
const BATCH: usize = 16;

/// Everything that is listened to.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// One for each program that says so itself, another in each run.
    sockets: BTreeMap<ProgramId, NotifySocket>,
    /// s6's way, until the newline.
    pipes: BTreeMap<ProgramId, OwnedFd>,
    connections: BTreeMap<ProgramId, OwnedFd>,
    /// Why the last check of a program could not be run, since its start: it is tried ten times a second.
    troubles: BTreeMap<ProgramId, String>,
}

impl Hearing {
    fn is_silent(&self) -> bool {
        self.sockets.is_empty() && self.pipes.is_empty()
    }

    /// The programs that can say something themselves.
    fn heard(&self) -> BTreeSet<ProgramId> {
        self.sockets.keys().chain(self.pipes.keys()).copied().collect()
    }

    /// True if something else was the trouble before.
    pub(super) fn is_new_trouble(&mut self, id: ProgramId, why: &str) -> bool {
        self.troubles.insert(id, why.to_owned()).as_deref() != Some(why)
    }

    /// It is started once more.
    pub(super) fn forget_trouble(&mut self, id: ProgramId) {
        self.troubles.remove(&id);
    }

    /// Another program may have its place.
    pub(super) fn forget(&mut self, id: ProgramId) {
        self.forget_trouble(id);
        self.sockets.remove(&id);
        self.pipes.remove(&id);
        self.connections.remove(&id);
    }
}

/// What a program is given to say that it is ready.
#[derive(Debug, Default)]
pub(super) struct Voice {
    /// `NOTIFY_SOCKET`.
    pub(super) environment: Option<(OsString, OsString)>,
    /// A pipe, and the number it is to have in the program.
    pub(super) descriptor: Option<(OwnedFd, i32)>,
}

impl Runtime {
    /// Prepares to hear a program that is about to start.
    pub(super) fn give_voice(&mut self, id: ProgramId) -> nix::Result<Voice> {
        match self.core.plan().programs[id].ready {
            Some(Ready { by: ReadyBy::Notify, .. }) => self.give_socket(id),
            Some(Ready { by: ReadyBy::Descriptor(number), .. }) => self.give_pipe(id, number),
            _ => Ok(Voice::default()),
        }
    }

    fn give_socket(&mut self, id: ProgramId) -> nix::Result<Voice> {
        let socket = NotifySocket::open()?;
        self.poller.set(socket.as_fd(), Token::Notify(id.0), Interest::Read)?;
        let address = socket.address.clone();
        // With the one before it goes what nobody has read there: it was about another run.
        self.hearing.sockets.insert(id, socket);
        Ok(Voice { environment: Some(("NOTIFY_SOCKET".into(), address)), descriptor: None })
    }

    fn give_pipe(&mut self, id: ProgramId, number: i32) -> nix::Result<Voice> {
        let (reading, writing) = pipe::to_read_without_waiting()?;
        self.poller.set(reading.as_fd(), Token::ReadyPipe(id.0), Interest::Read)?;
        self.hearing.pipes.insert(id, reading);
        Ok(Voice { environment: None, descriptor: Some((writing, number)) })
    }

    /// Asks whether somebody listens; the answer may come later.
    pub(super) fn ask_by_connecting(&mut self, id: ProgramId, address: SocketAddr) -> Option<Event> {
        match connect::begin(address) {
            Attempt::Answered(answer) => Some(Event::Checked(id, answer)),
            Attempt::UnderWay(socket) => {
                if self.poller.set(socket.as_fd(), Token::Connection(id.0), Interest::Write).is_err() {
                    return Some(Event::Checked(id, false));
                }
                self.hearing.connections.insert(id, socket);
                None
            }
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn stop_connecting(&mut self, id: ProgramId) {
        self.hearing.connections.remove(&id);
    }

    pub(super) fn hear_connection(&mut self, id: ProgramId, now: Moment) {
        if let Some(socket) = self.hearing.connections.remove(&id) {
            self.handle(Event::Checked(id, connect::is_connected(&socket)), now);
        }
    }

    pub(super) fn hear_pipe(&mut self, id: ProgramId, now: Moment) {
        let mut bytes = [0; 512];
        let Some(pipe) = self.hearing.pipes.get(&id) else { return };
        match reading::read(pipe, &mut bytes) {
            Heard::Bytes(length) if bytes[..length].contains(&b'\n') => {
                self.hearing.pipes.remove(&id);
                self.handle(Event::Notified(id, Notice::Ready), now);
            }
            // Words before the newline mean nothing.
            Heard::Bytes(_) | Heard::Nothing => {}
            // It was closed without a newline: the time to be ready in tells.
            Heard::End | Heard::Broken => drop(self.hearing.pipes.remove(&id)),
        }
    }

    pub(super) fn hear_messages(&mut self, id: ProgramId, now: Moment) {
        self.hear_some_messages(id, now, |_| true);
    }

    fn hear_some_messages(&mut self, id: ProgramId, now: Moment, is_heard: fn(&Notice) -> bool) {
        for _ in 0..BATCH {
            let Some(message) = self.hearing.sockets.get(&id).and_then(NotifySocket::read) else { return };
            if !self.is_from(id, message.sender, message.uid) {
                log::warn!(
                    "a message for another program came from process {}; it is ignored",
                    message.sender
                );
                continue;
            }
            for notice in message.notices.into_iter().filter(is_heard) {
                self.handle(Event::Notified(id, notice), now);
            }
        }
    }

    /// What programs have said before they ended: it is not read yet where many have something to say.
    pub(super) fn hear_last_words(&mut self, reaped: &[Reaped], now: Moment) {
        if self.hearing.is_silent() {
            return;
        }
        for id in self.hearing.heard() {
            let leader = self.core.program(id).and_then(Program::leader);
            if reaped.iter().any(|child| Some(child.pid) == leader) {
                self.hear_pipe(id, now);
                // Nobody is there any more who could be stopped for it: its number is free.
                self.hear_some_messages(id, now, |notice| *notice != Notice::Unwell);
            }
        }
    }

    /// Before it is held against a program that it has not said something in time, it is looked whether it has.
    pub(super) fn hear_those_who_are_late(&mut self, now: Moment) {
        if self.hearing.is_silent() {
            return;
        }
        for id in self.hearing.heard() {
            let due = self.core.program(id).and_then(Program::check_deadline);
            if due.is_some_and(|due| due <= now) {
                self.hear_pipe(id, now);
                self.hear_messages(id, now);
            }
        }
    }

    /// Only a program's own processes speak for it: members of its group, descendants of its leader, and daemons that have left
    /// both, which its mark or its cgroup tells. One that has ended since (`systemd-notify`) cannot be looked at; it is
    /// believed if it could have ended the program anyway.
    fn is_from(&self, id: ProgramId, sender: Pid, uid: u32) -> bool {
        let Some(leader) = self.core.program(id).and_then(Program::leader) else { return false };
        if sender == leader {
            return true;
        }
        let spec = &self.core.plan().programs[id];
        let is_daemon = || self.marks.program_of(sender).is_some_and(|program| program == spec.name);
        if let Some(is_near) = processes::belongs_to(self.realm.own(), sender, leader) {
            return is_near || is_daemon();
        }
        let user = spec.launch.confinement.identity.as_ref().and_then(|identity| identity.user.as_ref());
        kill::may_end_others(uid) || user.is_some_and(|user| user.uid == uid)
    }
}
