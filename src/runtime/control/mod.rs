//! The control socket's answering side: who is connected, and what becomes of what they ask.
//!
//! Nothing here waits and nothing grows without a limit: so many clients, a request of so many bytes, an answer that is
//! made once, and a deadline for everybody who has not asked yet or does not read. Without clients there is no deadline,
//! and so no wakeup.

mod client;
mod health;
mod logs;
mod obey;
mod status;
mod waiting;

use super::Runtime;
use crate::control::address::Address;
use crate::control::protocol;
use crate::core::budget::Moment;
use crate::os::control_socket::{self, ControlSocket};
use crate::os::poller::{Interest, Token};
use client::{Client, Dialogue, Served};
use log::Level;
use nix::errno::Errno;
use status::LastLook;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Whoever comes while so many are connected is turned away.
const MOST_CLIENTS: usize = 32;
/// Of these so many may follow what programs print, or wait for what they have asked for, for as long as they like: there is
/// always a place for a short question.
const MOST_LASTING: usize = 24;
/// Connections that are taken in one round, so that a flood of them leaves signals waiting no longer than this.
const ACCEPTS_PER_ROUND: usize = 8;
/// Until the next try where there was no room for a connection.
const RETRY: Duration = Duration::from_millis(500);

/// The socket and those who are connected.
#[derive(Debug)]
pub(super) struct Control {
    socket: ControlSocket,
    clients: Vec<Option<Client>>,
    /// There was no room for a connection; until then nobody is taken.
    deaf_until: Option<Moment>,
    /// What the last status knew of all processes.
    last_look: Option<LastLook>,
}

impl Runtime {
    /// Opens the socket, if there is to be one. What is wrong is said, and changes nothing else.
    pub(super) fn open_control(&mut self) {
        let Some(address) = self.control_address.take() else { return };
        let Some(socket) = open(&address) else { return };
        if let Err(errno) = self.poller.set(socket.as_fd(), Token::Control, Interest::Read) {
            log::warn!("{}: no control socket: {}", socket.path().display(), errno.desc());
            return;
        }
        log::debug!("listening at {}", socket.path().display());
        self.control = Some(Control { socket, clients: Vec::new(), deaf_until: None, last_look: None });
    }

    /// When somebody is not waited for any longer.
    pub(super) fn control_deadline(&self) -> Option<Moment> {
        let control = self.control.as_ref()?;
        let clients = control.clients.iter().flatten().filter_map(|client| client.until);
        clients.chain(control.deaf_until).min()
    }

    /// Takes those who have connected.
    pub(super) fn accept_clients(&mut self, now: Moment) {
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some(control) = &mut self.control else { return };
            match control.socket.accept() {
                Ok(socket) if !control_socket::is_trusted(socket.as_fd()) => {}
                Ok(socket) => {
                    let mut client = Client::new(socket, now);
                    let free =
                        control.clients.iter().position(Option::is_none).unwrap_or(control.clients.len());
                    if free == MOST_CLIENTS {
                        let why = format!("{MOST_CLIENTS} others are connected; try again");
                        client.answer(&protocol::refusal(&why), now);
                        continue;
                    }
                    if client.register(free, &mut self.poller).is_ok() {
                        control.clients.resize_with(control.clients.len().max(free + 1), || None);
                        control.clients[free] = Some(client);
                    }
                }
                Err(Errno::EAGAIN) => return,
                // It has gone already.
                Err(Errno::ECONNABORTED | Errno::EINTR) => {}
                Err(_) => {
                    // The poller would tell of it again and again.
                    control.deaf_until = Some(now + RETRY);
                    let _ = self.poller.set(control.socket.as_fd(), Token::Control, Interest::Nothing);
                    return;
                }
            }
        }
    }

    /// The poller has told of somebody.
    pub(super) fn serve_client(&mut self, index: usize, now: Moment) {
        let Some(client) = self.client(index) else { return };
        match client.serve(now) {
            Served::Request(line) => {
                let served = match client::understand(&line) {
                    Ok(request) => self.obey(index, request, now),
                    Err(why) => self.reply(index, &protocol::refusal(&why), now),
                };
                self.after_serving(index, &served);
            }
            served => self.after_serving(index, &served),
        }
    }

    /// At the end of a round: what somebody has waited for may have come true, and time may be over.
    pub(super) fn attend_clients(&mut self, now: Moment) {
        if self
            .control
            .as_ref()
            .is_none_or(|control| control.clients.is_empty() && control.deaf_until.is_none())
        {
            return;
        }
        self.tell_followers(now);
        let Some(control) = &mut self.control else { return };
        if control.deaf_until.is_some_and(|until| until <= now) {
            let heard = self.poller.set(control.socket.as_fd(), Token::Control, Interest::Read);
            control.deaf_until = heard.is_err().then_some(now + RETRY);
        }
        for index in 0..control.clients.len() {
            self.attend(index, now);
        }
        // Nothing is kept for those who were let go of.
        self.note_followers();
        if let Some(control) = &mut self.control {
            while control.clients.last().is_some_and(Option::is_none) {
                control.clients.pop();
            }
        }
    }

    #[inline(never)]
    fn attend(&mut self, index: usize, now: Moment) {
        let Some(client) = self.client(index) else { return };
        if client.until.is_some_and(|until| until <= now) {
            return self.after_serving(index, &Served::Over);
        }
        let served = match &client.dialogue {
            Dialogue::Waiting(wait) => {
                let wait = wait.clone();
                let Some(outcome) = wait.outcome(&self.core) else { return };
                self.reply(index, &waiting::line(&outcome), now)
            }
            &Dialogue::Following(id, _) => {
                // It was removed, and nobody prints any more.
                let is_gone = self.core.programs().all(|(known, ..)| known != id);
                if is_gone { Served::Over } else { return }
            }
            Dialogue::Asking(_) | Dialogue::Answered => return,
        };
        self.after_serving(index, &served);
    }

    fn client(&mut self, index: usize) -> Option<&mut Client> {
        self.control.as_mut()?.clients.get_mut(index)?.as_mut()
    }

    fn reply(&mut self, index: usize, line: &str, now: Moment) -> Served {
        self.client(index).map_or(Served::Over, |client| client.answer(line, now))
    }

    /// Closes what is over, and has the poller wait for the rest.
    fn after_serving(&mut self, index: usize, served: &Served) {
        let Some(control) = &mut self.control else { return };
        let Some(place) = control.clients.get_mut(index) else { return };
        let goes_on = *served != Served::Over
            && place.as_ref().is_some_and(|client| client.register(index, &mut self.poller).is_ok());
        if !goes_on {
            *place = None;
        }
    }
}

/// A place that somebody asked for is worth a warning, a default one is not; who is there already always is.
#[inline(never)]
fn open(address: &Address) -> Option<ControlSocket> {
    let level = if address.is_default() { Level::Debug } else { Level::Warn };
    for place in address.places() {
        if address.is_default() {
            // If it cannot be made, the lock says so.
            let _ = Address::directory(place).map(std::fs::create_dir_all);
        }
        match ControlSocket::open(place) {
            Ok(socket) => return Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                log::warn!(
                    "{}: another runinit listens there; going on without a control socket",
                    place.display()
                );
                return None;
            }
            Err(error) => log::log!(level, "{}: no control socket: {error}", place.display()),
        }
    }
    None
}
