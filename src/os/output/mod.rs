//! What programs print, where runinit hears it: read from pipes, made into lines, handed on.
//!
//! Nothing here waits. Each report of the poller is one reading of bounded size, so a program that prints without end takes
//! no more than its turns. When runinit's own reader is slow, `Outgoing` fills up and the pipes for it are not read any
//! more: they fill up too, and the programs wait, as they would without runinit. They go on in the order in which they
//! were stopped.
//!
//! | output   | pipes                 | a line                                             | after 64 KiB of a line |
//! |----------|-----------------------|----------------------------------------------------|------------------------|
//! | `prefix` | two                   | a label and the line, to the same of runinit's own | another line           |
//! | `json`   | two                   | an object, to standard output                      | another object         |
//! | `file`   | one                   | as it is, both streams in the order of writing     | the part so far        |
//! | `null`   | one without /dev/null | nothing                                            | nothing                |
//!
//! A last line without a newline gets one when the pipe is at its end or the program is over. A background process that
//! has kept the pipe is read as long as it lives.

mod end;
mod following;
mod format;
mod lines;
mod opening;
mod outgoing;
mod rotating_file;
mod tail;
#[cfg(test)]
mod tests;
mod voice;

use super::poller::{Interest, Poller, Token};
use super::reading::{self, Heard};
use crate::core::plan::ProgramId;
use lines::{Line, Lines};
use outgoing::Outgoing;
use rotating_file::RotatingFile;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use voice::{From, Kind, Voice};

pub use end::Rest;
pub use following::{News, last_lines_of};
pub use opening::{Writers, refusals};

/// The most that is read in one go.
const READING: usize = 16 * 1024;
/// Until the poller is asked again, when it could not take a pipe back.
const RETRY: Duration = Duration::from_millis(100);

/// The output of every program that is heard.
#[derive(Debug)]
pub struct Outputs {
    /// Standard output and standard error are terminals, and colours are wanted.
    coloured: Option<[bool; 2]>,
    own: [Outgoing; 2],
    files: BTreeMap<PathBuf, RotatingFile>,
    voices: BTreeMap<ProgramId, Voice>,
    /// What somebody outside follows.
    followed: BTreeMap<ProgramId, News>,
    /// The place of a pipe is its token's index.
    pipes: Vec<Option<Pipe>>,
    opened: u64,
    /// Pipes that are not read because there is no room in one of `own`.
    held: [VecDeque<usize>; 2],
    /// The poller cannot take one of them back now.
    is_stuck: bool,
    buffer: Vec<u8>,
}

/// The reading end of a pipe.
#[derive(Debug)]
struct Pipe {
    id: ProgramId,
    from: From,
    reading: OwnedFd,
    lines: Lines,
    /// The program is over: a line without an end is not waited for.
    is_over: bool,
    /// It waits for room in what its lines go to.
    is_held: bool,
    /// The smaller, the older.
    opened: u64,
    /// How much was read since the end began.
    last_words: usize,
}

/// What a reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// There may be more.
    Some,
    /// There is nothing more for now.
    Empty,
    /// It is at its end.
    End,
}

impl Default for Outputs {
    /// Nothing is heard yet.
    fn default() -> Self {
        Self {
            coloured: None,
            own: [Outgoing::new(0), Outgoing::new(1)],
            files: BTreeMap::new(),
            voices: BTreeMap::new(),
            followed: BTreeMap::new(),
            pipes: Vec::new(),
            opened: 0,
            held: [VecDeque::new(), VecDeque::new()],
            is_stuck: false,
            buffer: Vec::new(),
        }
    }
}

impl Outputs {
    /// Serves a report of the poller; [`Self::end_round`] has to follow before the next wait.
    pub fn serve(&mut self, place: usize, poller: &mut Poller) {
        // A report may have been for one that was closed since, and then reads nothing.
        if let Some(index) = self.goes_to(place)
            && self.is_full(index, poller)
        {
            self.hold(index, place, poller);
        } else if self.read(place) == Found::End {
            self.close(place, poller);
        }
    }

    /// Does not read it before there is room in runinit's own of this index.
    fn hold(&mut self, index: usize, place: usize, poller: &mut Poller) {
        let Some(Some(pipe)) = self.pipes.get_mut(place) else { return };
        // Every end of a child has those of programs that are over served again.
        if !pipe.is_held {
            pipe.is_held = true;
            self.held[index].push_back(place);
            self.leave_unread(place, poller);
        }
    }

    fn leave_unread(&self, place: usize, poller: &mut Poller) {
        if let Some(Some(pipe)) = self.pipes.get(place) {
            let _ = poller.set(pipe.reading.as_fd(), Token::Output(place), Interest::Nothing);
        }
    }

    /// Which of runinit's own the lines of a pipe go to, if to one of them.
    fn goes_to(&self, place: usize) -> Option<usize> {
        let pipe = self.pipes.get(place)?.as_ref()?;
        self.voices.get(&pipe.id)?.goes_to(pipe.from)
    }

    /// Hands on what has gathered, and reads those on that have waited for room. Afterwards somebody waits for room only
    /// if the poller does too.
    pub fn end_round(&mut self, poller: &mut Poller) {
        self.is_stuck = false;
        for index in 0..self.own.len() {
            // ENOMEM, or ENOSPC: a limit on what a user's poller may wait for (epoll_ctl(2)).
            self.is_stuck |= self.hand_over(index, poller).is_err();
        }
    }

    /// When another round has to come even if nothing happens.
    pub fn retry_after(&self) -> Option<Duration> {
        self.is_stuck.then_some(RETRY)
    }

    fn hand_over(&mut self, index: usize, poller: &mut Poller) -> nix::Result<()> {
        while let Some(&place) = self.held[index].front() {
            // The last look while anybody waits: after another one there might be room, and nobody would be told.
            if self.is_full(index, poller) {
                return Ok(());
            }
            if let Some(Some(pipe)) = self.pipes.get_mut(place) {
                poller.set(pipe.reading.as_fd(), Token::Output(place), Interest::Read)?;
                pipe.is_held = false;
            }
            self.held[index].pop_front();
            if self.read(place) == Found::End {
                self.close(place, poller);
            }
        }
        self.own[index].flush(poller);
        Ok(())
    }

    fn is_full(&mut self, index: usize, poller: &mut Poller) -> bool {
        let own = &mut self.own[index];
        if own.is_full() {
            own.flush(poller);
        }
        own.is_full()
    }

    fn read(&mut self, place: usize) -> Found {
        let Some(Some(pipe)) = self.pipes.get_mut(place) else { return Found::Empty };
        self.buffer.resize(READING, 0);
        let (count, found) = match reading::read(&pipe.reading, &mut self.buffer) {
            Heard::Bytes(count) if count < READING => (count, Found::Empty),
            Heard::Bytes(count) => (count, Found::Some),
            Heard::Nothing => (0, Found::Empty),
            Heard::End | Heard::Broken => (0, Found::End),
        };
        pipe.last_words += count;
        let is_last = match found {
            Found::Some => false,
            Found::Empty => std::mem::take(&mut pipe.is_over),
            Found::End => true,
        };
        self.hand_on(place, count, is_last);
        found
    }

    /// Hands on the lines that the first bytes of the buffer complete, and with the last words also an unfinished one.
    fn hand_on(&mut self, place: usize, count: usize, is_last: bool) {
        let Some(Some(pipe)) = self.pipes.get_mut(place) else { return };
        let Some(voice) = self.voices.get_mut(&pipe.id) else { return };
        voice.listen(pipe.from);
        let mut for_file = Vec::new();
        let out = match voice.goes_to(pipe.from) {
            Some(index) => self.own[index].lines(),
            None => &mut for_file,
        };
        let from = pipe.from;
        let mut news = self.followed.get_mut(&pipe.id);
        let mut say = |line: Line<'_>| {
            if let Some(news) = &mut news {
                news.push(&line);
            }
            voice.say(from, line, out);
        };
        pipe.lines.push(&self.buffer[..count], &mut say);
        if is_last {
            pipe.lines.finish(&mut say);
        }
        if let Kind::File(path) = &voice.kind
            && let Some(file) = self.files.get_mut(path)
        {
            file.write(&for_file);
        }
    }

    fn close(&mut self, place: usize, poller: &mut Poller) {
        self.hand_on(place, 0, true);
        self.leave_unread(place, poller);
        if let Some(pipe) = self.pipes.get_mut(place).and_then(Option::take) {
            self.leave_if_silent(pipe.id);
        }
    }

    /// A program is gone from its place; a successor of the same name goes on with its last lines. Its last words may still
    /// be on their way.
    pub fn forget(&mut self, id: ProgramId, successor: Option<&str>) {
        if let Some(voice) = self.voices.get_mut(&id).filter(|voice| successor != Some(&voice.name)) {
            voice.is_forgotten = true;
            self.leave_if_silent(id);
        }
    }

    fn leave_if_silent(&mut self, id: ProgramId) {
        let is_silent = || self.pipes.iter().flatten().all(|pipe| pipe.id != id);
        if self.voices.get(&id).is_some_and(|voice| voice.is_forgotten)
            && is_silent()
            && let Some(voice) = self.voices.remove(&id)
        {
            self.close_file_of(&voice);
        }
    }

    /// Unless somebody else writes to it.
    fn close_file_of(&mut self, voice: &Voice) {
        if let Kind::File(path) = &voice.kind
            && self.voices.values().all(|other| other.kind != voice.kind)
        {
            self.files.remove(path);
        }
    }

    /// The programs that are heard now.
    pub fn heard(&self) -> Vec<ProgramId> {
        let mut ids: Vec<ProgramId> = self.pipes.iter().flatten().map(|pipe| pipe.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Nothing of this program is left: if others hold its pipes, its last line does not wait for them.
    /// [`Self::end_round`] has to follow.
    pub fn end(&mut self, id: ProgramId, poller: &mut Poller) {
        for place in 0..self.pipes.len() {
            if let Some(Some(pipe)) = self.pipes.get_mut(place)
                && pipe.id == id
            {
                pipe.is_over = true;
                self.serve(place, poller);
            }
        }
    }

    /// The newest lines of a program.
    pub fn last_lines(&self, id: ProgramId) -> Vec<String> {
        let voice = self.voices.get(&id).filter(|voice| !voice.is_forgotten);
        voice.map_or(Vec::new(), |voice| voice.tail.lines())
    }
}
