//! The end: what was printed before it is brought home, and nobody is waited for who may print for ever.

use super::outgoing::Outgoing;
use super::rotating_file::RotatingFile;
use super::{Found, Outputs};
use crate::os::poller::Poller;

/// The most that is read from a pipe at the end: more than any pipe holds that nobody fills any more
/// (`/proc/sys/fs/pipe-max-size`).
const LAST_WORDS: usize = 1 << 20;

/// What is left at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// All is read and handed on.
    Nothing,
    /// There is something, but nobody takes it now.
    NoRoom,
    /// There is more to be read.
    More,
}

impl Outputs {
    /// The end has come: only what is in the pipes now is still read, and by [`Self::drain`] alone. The poller lets go of
    /// everything, also of what is others': nobody serves it any more, and it would be told of again and again.
    pub fn begin_end(&mut self, poller: &mut Poller) {
        *poller = Poller::default();
        self.own.iter_mut().for_each(Outgoing::stop_waiting);
        for pipe in self.pipes.iter_mut().flatten() {
            pipe.last_words = 0;
        }
    }

    /// A step of the end: one reading of each pipe, as far as there is room for it. Nobody who still holds a pipe is
    /// waited for.
    pub fn drain(&mut self, poller: &mut Poller) -> Rest {
        for place in 0..self.pipes.len() {
            let is_held = self.goes_to(place).is_some_and(|index| self.is_full(index, poller));
            if is_held || self.pipes[place].is_none() {
                continue;
            }
            let found = self.read(place);
            let is_endless = self.pipes[place].as_ref().is_some_and(|pipe| pipe.last_words >= LAST_WORDS);
            if found != Found::Some || is_endless {
                self.close(place, poller);
            }
        }
        self.own.iter_mut().for_each(|own| own.flush(poller));
        let on_its_way = self.own.iter().filter(|own| !own.is_empty()).map(|_| Rest::NoRoom);
        // Only now: room that was found since is to be used.
        let unread = (0..self.pipes.len()).filter(|place| self.pipes[*place].is_some()).map(|place| {
            let is_full = self.goes_to(place).is_some_and(|index| self.own[index].is_full());
            if is_full { Rest::NoRoom } else { Rest::More }
        });
        on_its_way.chain(unread).max().unwrap_or(Rest::Nothing)
    }

    /// From now on nobody waits for those who read what runinit hands on.
    pub fn give_up(&mut self) {
        self.own.iter_mut().for_each(Outgoing::give_up);
    }

    /// How much those who read it have taken in the whole run.
    pub fn taken_bytes(&self) -> u64 {
        self.own.iter().map(|own| own.taken_bytes).sum()
    }

    /// Lines that nobody took, or that found no room on a disk.
    pub fn lost_lines(&self) -> u64 {
        let own = self.own.iter().map(Outgoing::lost_lines);
        own.chain(self.files.values().map(RotatingFile::lost_lines)).sum()
    }
}
