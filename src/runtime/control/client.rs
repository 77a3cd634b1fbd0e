//! One connection on the control socket.

use super::waiting::Wait;
use crate::control::protocol::{self, LONGEST_REQUEST};
use crate::core::budget::Moment;
use crate::core::plan::ProgramId;
use crate::os::control_socket;
use crate::os::poller::{Interest, Poller, Token};
use crate::os::reading::{self, Heard};
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Who has not asked within this, or takes nothing of the answer for so long, is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read in one go.
const READING: usize = 16 * 1024;
/// The most that waits for somebody who follows and reads slowly.
const MOST_WAITING: usize = 256 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    pub(super) dialogue: Dialogue,
    outgoing: Vec<u8>,
    /// It is not waited for any longer.
    pub(super) until: Option<Moment>,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Dialogue {
    /// It has not asked for everything yet.
    Asking(Vec<u8>),
    /// It waits for this.
    Waiting(Wait),
    /// It follows what a program prints, and has missed so many lines.
    Following(ProgramId, u64),
    /// It has got its answer, all but what is still outgoing.
    Answered,
}

/// What has come of serving a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Nothing yet.
    Nothing,
    /// This was asked.
    Request(Vec<u8>),
    /// It is over.
    Over,
}

impl Client {
    /// Who has just connected.
    pub(super) fn new(socket: OwnedFd, now: Moment) -> Self {
        Self {
            socket,
            dialogue: Dialogue::Asking(Vec::new()),
            outgoing: Vec::new(),
            until: Some(now + PATIENCE),
        }
    }

    /// The poller has told of it.
    pub(super) fn serve(&mut self, now: Moment) -> Served {
        match &mut self.dialogue {
            Dialogue::Asking(line) => read(&self.socket, line),
            // There is room, or the other end has gone; writing tells which.
            _ if !self.outgoing.is_empty() => self.flush(now),
            Dialogue::Waiting(_) | Dialogue::Following(..) | Dialogue::Answered => Served::Over,
        }
    }

    /// The answer, and then the end.
    pub(super) fn answer(&mut self, line: &str, now: Moment) -> Served {
        self.dialogue = Dialogue::Answered;
        self.say(line, now)
    }

    /// Something to write before the end.
    pub(super) fn say(&mut self, line: &str, now: Moment) -> Served {
        self.outgoing.extend_from_slice(line.as_bytes());
        self.until.get_or_insert(now + PATIENCE);
        self.flush(now)
    }

    /// Whether somebody who follows takes more.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.len() < MOST_WAITING
    }

    fn flush(&mut self, now: Moment) -> Served {
        while !self.outgoing.is_empty() {
            match control_socket::write(self.socket.as_fd(), &self.outgoing) {
                Ok(count) => {
                    self.outgoing.drain(..count);
                    self.until = Some(now + PATIENCE);
                }
                Err(Errno::EAGAIN) => return Served::Nothing,
                Err(Errno::EINTR) => {}
                Err(_) => return Served::Over,
            }
        }
        self.until = None;
        if matches!(self.dialogue, Dialogue::Answered) { Served::Over } else { Served::Nothing }
    }

    /// Has the poller wait for what it needs next.
    pub(super) fn register(&self, index: usize, poller: &mut Poller) -> nix::Result<()> {
        let interest = match self.dialogue {
            Dialogue::Asking(_) => Interest::Read,
            _ if !self.outgoing.is_empty() => Interest::Write,
            // What it says after its request is nobody's business, and may say as much as the kernel holds.
            Dialogue::Waiting(_) | Dialogue::Following(..) | Dialogue::Answered => Interest::End,
        };
        poller.set(self.socket.as_fd(), Token::Client(index), interest)
    }
}

/// One reading. The end counts as the end of the line: `printf '{..}' | nc -N` needs no newline.
fn read(socket: &OwnedFd, line: &mut Vec<u8>) -> Served {
    // On the heap: inlined, it would lie in the loop's frame for ever.
    let mut bytes = vec![0; READING];
    match reading::read(socket, &mut bytes) {
        Heard::End if line.is_empty() => Served::Over,
        Heard::End => Served::Request(std::mem::take(line)),
        Heard::Bytes(count) => {
            line.extend_from_slice(&bytes[..count]);
            let newline = line.iter().position(|byte| *byte == b'\n');
            match newline {
                Some(end) if end < LONGEST_REQUEST => {
                    line.truncate(end);
                    Served::Request(std::mem::take(line))
                }
                None if line.len() < LONGEST_REQUEST => Served::Nothing,
                // Too long for anybody to read, which the reader of requests says.
                _ => Served::Request(std::mem::take(line)),
            }
        }
        Heard::Nothing => Served::Nothing,
        Heard::Broken => Served::Over,
    }
}

/// Reads a request that may be too long.
pub(super) fn understand(line: &[u8]) -> Result<protocol::Request, String> {
    if line.len() >= LONGEST_REQUEST {
        return Err(format!("a request has to be shorter than {LONGEST_REQUEST} bytes"));
    }
    protocol::Request::from_line(line)
}
