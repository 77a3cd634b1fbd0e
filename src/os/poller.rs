//! The one place where runinit waits.
//!
//! Signals come by a descriptor of their own, asked for with poll(2). Everything else is held by an epoll instance, made with
//! the first of them, whose own descriptor is polled beside the signals'. So signals are seen in every round, however many
//! others are ready. A wrapper has no others, and waits for signals by name ([`Signals::wait`](super::signals::Signals::wait)).
//!
//! All is level-triggered: what was not read is told again. A report is a hint and no promise, so whoever gets it reads or
//! writes without waiting.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Descriptors that are told of in one round, so that a round is short. The kernel puts those it has told of behind the
/// others, so each has its turn.
const BATCH: usize = 4;
/// The bits of a word that hold a token's index; its kind is above them.
const INDEX_BITS: u32 = 56;

/// Whose descriptor it is. For another kind of descriptor add a variant, and its two lines below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A pipe that a program writes to.
    Output(usize),
    /// runinit's own standard output or standard error.
    Standard(usize),
    /// A program's `NOTIFY_SOCKET`.
    Notify(usize),
    /// The pipe on which a program says that it is ready.
    ReadyPipe(usize),
    /// A connection to a program.
    Connection(usize),
    /// The control socket.
    Control,
    /// Somebody who asks there.
    Client(usize),
    /// The end of the process in a program's pane.
    Pane(usize),
    /// What a pass of hygiene tells.
    Pass,
}

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write, or nobody who would read it.
    Write,
    /// The other end's end, and nothing else.
    End,
    /// Nothing: it is let go of.
    Nothing,
}

/// Everything that is waited for, but for signals.
#[derive(Debug, Default)]
pub struct Poller {
    epoll: Option<Epoll>,
}

impl Poller {
    /// From now on, waits for this. A descriptor that is closed is forgotten by itself.
    ///
    /// # Errors
    /// No room (EMFILE, ENFILE, ENOMEM, ENOSPC), or a kind of file that is always ready (EPERM).
    pub fn set(&mut self, descriptor: BorrowedFd<'_>, token: Token, interest: Interest) -> nix::Result<()> {
        let flags = match interest {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::Write => EpollFlags::EPOLLOUT,
            // EPOLLHUP and EPOLLERR are told of unasked (epoll_ctl(2)).
            Interest::End => EpollFlags::empty(),
            Interest::Nothing => return self.forget(descriptor),
        };
        let epoll = match &mut self.epoll {
            Some(epoll) => epoll,
            none => none.insert(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?),
        };
        let mut event = EpollEvent::new(flags, token.word());
        match epoll.add(descriptor, event) {
            Err(Errno::EEXIST) => epoll.modify(descriptor, &mut event),
            added => added,
        }
    }

    /// A descriptor without flags would not be enough: its end would still be told.
    fn forget(&self, descriptor: BorrowedFd<'_>) -> nix::Result<()> {
        match self.epoll.as_ref().map(|epoll| epoll.delete(descriptor)) {
            Some(Err(Errno::ENOENT)) | None => Ok(()),
            Some(deleted) => deleted,
        }
    }

    /// True if nothing but signals is waited for.
    pub fn is_empty(&self) -> bool {
        self.epoll.is_none()
    }

    /// Waits until something is ready or the time is over; without a time, until something is. True if signals may have
    /// come; the others, at most a batch, are added to `ready`.
    pub fn wait(&self, signals: BorrowedFd<'_>, time: Option<Duration>, ready: &mut Vec<Token>) -> bool {
        let timeout = time.map_or(PollTimeout::NONE, timeout);
        let signals = PollFd::new(signals, PollFlags::POLLIN);
        let Some(epoll) = &self.epoll else {
            let mut descriptors = [signals];
            // ENOMEM: a look in vain. EINTR cannot come, as all signals are blocked.
            return poll(&mut descriptors, timeout).is_err() || is_ready(&descriptors[0]);
        };
        let mut descriptors = [signals, PollFd::new(epoll.0.as_fd(), PollFlags::POLLIN)];
        if poll(&mut descriptors, timeout).is_err() {
            return true;
        }
        if is_ready(&descriptors[1]) {
            let mut events = [EpollEvent::empty(); BATCH];
            let count = epoll.wait(&mut events, PollTimeout::ZERO).unwrap_or(0);
            ready.extend(events[..count].iter().filter_map(|event| Token::of(event.data())));
        }
        is_ready(&descriptors[0])
    }
}

impl Token {
    fn word(self) -> u64 {
        let (kind, index) = match self {
            Self::Output(index) => (0u64, index),
            Self::Standard(index) => (1, index),
            Self::Notify(index) => (2, index),
            Self::ReadyPipe(index) => (3, index),
            Self::Connection(index) => (4, index),
            Self::Control => (5, 0),
            Self::Client(index) => (6, index),
            Self::Pane(index) => (7, index),
            Self::Pass => (8, 0),
        };
        kind << INDEX_BITS | index as u64
    }

    fn of(word: u64) -> Option<Self> {
        let index = usize::try_from(word & ((1 << INDEX_BITS) - 1)).ok()?;
        match word >> INDEX_BITS {
            0 => Some(Self::Output(index)),
            1 => Some(Self::Standard(index)),
            2 => Some(Self::Notify(index)),
            3 => Some(Self::ReadyPipe(index)),
            4 => Some(Self::Connection(index)),
            5 => Some(Self::Control),
            6 => Some(Self::Client(index)),
            7 => Some(Self::Pane(index)),
            8 => Some(Self::Pass),
            _ => None,
        }
    }
}

fn is_ready(descriptor: &PollFd<'_>) -> bool {
    descriptor.any().unwrap_or(true)
}

/// Whole milliseconds, rounded up: a deadline that has not quite come would be met by a spin.
fn timeout(time: Duration) -> PollTimeout {
    let ms = time.as_micros().div_ceil(1000);
    i32::try_from(ms).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{pipe, read, write};
    use std::os::fd::OwnedFd;

    fn look(poller: &Poller, signals: &OwnedFd) -> (bool, Vec<Token>) {
        let mut ready = Vec::new();
        let signalled = poller.wait(signals.as_fd(), Some(Duration::ZERO), &mut ready);
        (signalled, ready)
    }

    #[test]
    fn signals_alone_need_no_epoll() {
        let (signals, sender) = pipe().unwrap();
        let poller = Poller::default();
        assert_eq!(look(&poller, &signals), (false, vec![]));
        write(&sender, b"x").unwrap();
        assert_eq!(look(&poller, &signals), (true, vec![]));
        assert!(poller.epoll.is_none());
    }

    #[test]
    fn what_is_ready_is_told_until_it_is_read_or_let_go_of() {
        let (signals, _sender) = pipe().unwrap();
        let (reading, writing) = pipe().unwrap();
        let mut poller = Poller::default();
        poller.set(reading.as_fd(), Token::Output(7), Interest::Read).unwrap();
        poller.set(writing.as_fd(), Token::Standard(1), Interest::Write).unwrap();
        assert_eq!(look(&poller, &signals), (false, vec![Token::Standard(1)]));
        poller.set(writing.as_fd(), Token::Standard(1), Interest::Nothing).unwrap();
        poller.set(writing.as_fd(), Token::Standard(1), Interest::Nothing).unwrap();
        write(&writing, b"x").unwrap();
        assert_eq!(look(&poller, &signals), (false, vec![Token::Output(7)]));
        assert_eq!(look(&poller, &signals), (false, vec![Token::Output(7)]));
        read(&reading, &mut [0; 8]).unwrap();
        assert_eq!(look(&poller, &signals), (false, vec![]));
        drop(writing);
        assert_eq!(look(&poller, &signals), (false, vec![Token::Output(7)]), "the end is told too");
        poller.set(reading.as_fd(), Token::Output(7), Interest::Nothing).unwrap();
        assert_eq!(look(&poller, &signals), (false, vec![]), "but not to somebody who does not listen");
    }

    #[test]
    fn each_of_many_has_its_turn() {
        let (signals, sender) = pipe().unwrap();
        write(&sender, b"x").unwrap();
        let mut poller = Poller::default();
        let pipes: Vec<_> = (0..5 * BATCH).map(|_| pipe().unwrap()).collect();
        for (index, (reading, writing)) in pipes.iter().enumerate() {
            write(writing, b"x").unwrap();
            poller.set(reading.as_fd(), Token::Output(index), Interest::Read).unwrap();
        }
        let mut told = Vec::new();
        for _ in 0..5 {
            assert!(poller.wait(signals.as_fd(), None, &mut told), "signals are told in every round");
        }
        let all: Vec<Token> = (0..pipes.len()).map(Token::Output).collect();
        assert_eq!(told, all);
    }

    #[test]
    fn a_word_holds_a_token() {
        for index in [0, 1, (1 << INDEX_BITS) - 1] {
            for token in [Token::Output(index), Token::Standard(index)] {
                assert_eq!(Token::of(token.word()), Some(token));
            }
        }
        assert_eq!(Token::of(u64::MAX), None);
    }

    #[test]
    fn a_part_of_a_millisecond_is_a_whole_one() {
        assert_eq!(timeout(Duration::from_micros(1)), PollTimeout::try_from(1).unwrap());
        assert_eq!(timeout(Duration::from_millis(2)), PollTimeout::try_from(2).unwrap());
        assert_eq!(timeout(Duration::MAX), PollTimeout::MAX);
    }
}
