//! What programs print, where runinit hears it: read from pipes, made into lines, handed on.
//!
//! Nothing here waits. Each report of the poller is one reading of bounded size, so a program that prints without end takes
//! no more than its turns. When runinit's own reader is slow, [`Outgoing`] fills up and the pipes for it are not read any
//! more: they fill up too, and the programs wait, as they would without runinit. They go on in the order in which they
//! were stopped.
//!
//! | output   | pipes | a line                                            | a line without an end        |
//! |----------|-------|---------------------------------------------------|------------------------------|
//! | `prefix` | two   | a label and the line, to the same of runinit's own | after 64 KiB on the next line |
//! | `json`   | two   | an object, to standard output                     | after 64 KiB another object  |
//! | `file`   | one   | as it is, both streams in the order of writing    | after 64 KiB it is handed on |
//! | `null`   | none, or one where there is no /dev/null             | nothing                      |
//!
//! A last line without a newline gets one when the pipe is at its end or the program is over. A background process that
//! has kept the pipe is read as long as it lives.

mod format;
mod lines;
mod outgoing;
mod rotating_file;
mod tail;
#[cfg(test)]
mod tests;
mod voice;

use super::pipe;
use super::poller::{Interest, Poller, Token};
use super::raw;
use crate::core::event::{SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Output, OutputFile, Program, ProgramId};
use lines::Lines;
use nix::errno::Errno;
use nix::unistd::{Uid, fchown, isatty};
use outgoing::Outgoing;
use rotating_file::RotatingFile;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use voice::{From, Kind, Voice};

/// The most that is read in one go.
const READING: usize = 16 * 1024;
/// Pipes of one program that are read. Each run may leave a process behind that holds the pipe of its own.
const PIPES_PER_PROGRAM: usize = 16;
/// The most that is read from a pipe at the end: more than any pipe holds that nobody fills any more
/// (`/proc/sys/fs/pipe-max-size`).
const LAST_WORDS: usize = 1 << 20;

/// The output of every program that is heard.
#[derive(Debug)]
pub struct Outputs {
    /// Standard output and standard error are terminals, and colours are wanted.
    coloured: Option<[bool; 2]>,
    own: [Outgoing; 2],
    files: BTreeMap<PathBuf, RotatingFile>,
    voices: BTreeMap<ProgramId, Voice>,
    /// The place of a pipe is its token's index.
    pipes: Vec<Option<Pipe>>,
    opened: u64,
    /// Pipes that are not read because there is no room in one of `own`.
    held: [VecDeque<usize>; 2],
    buffer: Vec<u8>,
}

/// What a program is given to write to.
#[derive(Debug)]
pub struct Writers {
    stdout: OwnedFd,
    /// `None`: the same.
    stderr: Option<OwnedFd>,
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
    /// The smaller, the older.
    opened: u64,
    /// How much was read since the end began.
    last_words: usize,
}

/// What a reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// There may be more.
    Some,
    /// There is nothing more for now.
    Empty,
    /// It is at its end.
    End,
}

/// What is left at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// All is read and handed on.
    Nothing,
    /// There is something, but nobody takes it now.
    NoRoom,
    /// There is more to be read.
    More,
}

impl Writers {
    /// What becomes descriptor 1.
    pub fn stdout(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// What becomes descriptor 2.
    pub fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_ref().unwrap_or(&self.stdout).as_fd()
    }

    /// To open /dev/stdout is to open the pipe a second time, which only its owner may.
    fn give_to(&self, uid: u32) {
        for writing in [Some(&self.stdout), self.stderr.as_ref()].into_iter().flatten() {
            // EPERM: somebody who is not root has no other user.
            let _ = fchown(writing, Some(Uid::from_raw(uid)), None);
        }
    }
}

impl Default for Outputs {
    /// Nothing is heard yet.
    fn default() -> Self {
        Self {
            coloured: None,
            own: [Outgoing::new(0), Outgoing::new(1)],
            files: BTreeMap::new(),
            voices: BTreeMap::new(),
            pipes: Vec::new(),
            opened: 0,
            held: [VecDeque::new(), VecDeque::new()],
            buffer: Vec::new(),
        }
    }
}

impl Outputs {
    /// Opens what a program, or a command about it, is to write to; `None`: runinit's own. Its label is of this width.
    ///
    /// # Errors
    /// No descriptor is left, or the file cannot be opened.
    pub fn open(
        &mut self,
        id: ProgramId,
        program: &Program,
        width: usize,
        poller: &mut Poller,
    ) -> Result<Option<Writers>, SpawnFailure> {
        let output = &program.launch.output;
        match output {
            Output::Inherit => return Ok(None),
            Output::Null => {
                if let Ok(null) = pipe::nowhere_to_write() {
                    return Ok(Some(Writers { stdout: null, stderr: None }));
                }
            }
            Output::File(file) => self.open_file(file)?,
            Output::Prefix | Output::Json => {}
        }
        let coloured = *self.coloured.get_or_insert_with(coloured);
        let mut voice = Voice::new(id, &program.name, output, width, coloured);
        // After a reload the place may be another program's.
        if let Some(before) = self.voices.remove(&id).filter(|before| before.name == program.name) {
            voice.tail = before.tail;
        }
        let is_one = matches!(voice.kind, Kind::File(_) | Kind::Discard);
        self.voices.insert(id, voice);
        let mut open = |from| self.open_pipe(id, from, poller).map_err(no_room);
        let stdout = open(From::Stdout)?;
        let stderr = if is_one { None } else { Some(open(From::Stderr)?) };
        let writers = Writers { stdout, stderr };
        let identity = program.launch.confinement.identity.as_ref();
        if let Some(user) = identity.and_then(|identity| identity.user.as_ref()) {
            writers.give_to(user.uid);
        }
        Ok(Some(writers))
    }

    fn open_file(&mut self, spec: &OutputFile) -> Result<(), SpawnFailure> {
        if let Some(file) = self.files.get_mut(&spec.path) {
            file.set_limits(spec.max, spec.keep);
            return Ok(());
        }
        let file = RotatingFile::open(&spec.path, spec.max, spec.keep)
            .map_err(|error| cannot_open(&spec.path.display().to_string(), &error))?;
        self.files.insert(spec.path.clone(), file);
        Ok(())
    }

    fn open_pipe(&mut self, id: ProgramId, from: From, poller: &mut Poller) -> nix::Result<OwnedFd> {
        self.make_room_for(id, poller);
        let (reading, writing) = pipe::to_read_without_waiting()?;
        let free = self.pipes.iter().position(Option::is_none).unwrap_or(self.pipes.len());
        poller.set(reading.as_fd(), Token::Output(free), Interest::Read)?;
        self.opened += 1;
        let lines = Lines::default();
        let pipe = Pipe { id, from, reading, lines, is_over: false, opened: self.opened, last_words: 0 };
        if free == self.pipes.len() {
            self.pipes.push(None);
        }
        self.pipes[free] = Some(pipe);
        Ok(writing)
    }

    /// Whoever holds the oldest pipe of a program that has left too many behind writes to nobody from now on.
    fn make_room_for(&mut self, id: ProgramId, poller: &mut Poller) {
        let its_own = self.pipes.iter().flatten().filter(|pipe| pipe.id == id);
        let ages: Vec<u64> = its_own.map(|pipe| pipe.opened).collect();
        if ages.len() < PIPES_PER_PROGRAM {
            return;
        }
        let oldest = ages.into_iter().min();
        let place = self.pipes.iter().position(|pipe| pipe.as_ref().map(|pipe| pipe.opened) == oldest);
        if let Some(place) = place {
            self.close(place, poller);
        }
    }

    /// Serves a report of the poller; [`Self::end_round`] has to follow before the next wait.
    pub fn serve(&mut self, place: usize, poller: &mut Poller) {
        // A report may have been for one that was closed since, and then reads nothing.
        if let Some(index) = self.goes_to(place)
            && self.is_full(index, poller)
        {
            self.hold(place, poller);
            self.held[index].push_back(place);
        } else if self.read(place) == Reading::End {
            self.close(place, poller);
        }
    }

    /// Does not read it until somebody says so.
    fn hold(&self, place: usize, poller: &mut Poller) {
        if let Some(Some(pipe)) = self.pipes.get(place) {
            let _ = poller.set(pipe.reading.as_fd(), Token::Output(place), Interest::Nothing);
        }
    }

    /// Which of runinit's own the lines of a pipe go to, if to one of them.
    fn goes_to(&self, place: usize) -> Option<usize> {
        let pipe = self.pipes.get(place)?.as_ref()?;
        self.voices.get(&pipe.id)?.goes_to(pipe.from)
    }

    /// Hands on what has gathered, and reads those on that have waited for room.
    pub fn end_round(&mut self, poller: &mut Poller) {
        for index in 0..self.own.len() {
            self.own[index].flush(poller);
            while !self.held[index].is_empty() && !self.is_full(index, poller) {
                let Some(place) = self.held[index].pop_front() else { break };
                let Some(pipe) = self.pipes.get(place).and_then(Option::as_ref) else { continue };
                if poller.set(pipe.reading.as_fd(), Token::Output(place), Interest::Read).is_err() {
                    // ENOMEM: tried again in the next round.
                    self.held[index].push_front(place);
                    break;
                }
                if self.read(place) == Reading::End {
                    self.close(place, poller);
                }
            }
            self.own[index].flush(poller);
        }
    }

    fn is_full(&mut self, index: usize, poller: &mut Poller) -> bool {
        let own = &mut self.own[index];
        if own.is_full() {
            own.flush(poller);
        }
        own.is_full()
    }

    fn read(&mut self, place: usize) -> Reading {
        let Some(Some(pipe)) = self.pipes.get_mut(place) else { return Reading::Empty };
        self.buffer.resize(READING, 0);
        let (count, reading) = match nix::unistd::read(&pipe.reading, &mut self.buffer) {
            Ok(0) => (0, Reading::End),
            Ok(count) if count < READING => (count, Reading::Empty),
            Ok(count) => (count, Reading::Some),
            Err(Errno::EAGAIN | Errno::EINTR) => (0, Reading::Empty),
            // Nothing else is known of a pipe.
            Err(_) => (0, Reading::End),
        };
        pipe.last_words += count;
        let is_last = match reading {
            Reading::Some => false,
            Reading::Empty => std::mem::take(&mut pipe.is_over),
            Reading::End => true,
        };
        self.hand_on(place, count, is_last);
        reading
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
        pipe.lines.push(&self.buffer[..count], |line| voice.say(from, line, out));
        if is_last {
            pipe.lines.finish(|line| voice.say(from, line, out));
        }
        if let Kind::File(path) = &voice.kind
            && let Some(file) = self.files.get_mut(path)
        {
            file.write(&for_file);
        }
    }

    fn close(&mut self, place: usize, poller: &mut Poller) {
        self.hand_on(place, 0, true);
        self.hold(place, poller);
        if let Some(pipe) = self.pipes.get_mut(place) {
            *pipe = None;
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
        self.voices.get(&id).map_or(Vec::new(), |voice| voice.tail.lines())
    }

    /// The end has come: only what is in the pipes now is still read, and by [`Self::drain`] alone.
    pub fn begin_end(&mut self, poller: &mut Poller) {
        for place in 0..self.pipes.len() {
            self.hold(place, poller);
            if let Some(pipe) = &mut self.pipes[place] {
                pipe.last_words = 0;
            }
        }
    }

    /// A step of the end: one reading of each pipe, as far as there is room for it. Nobody who still holds a pipe is
    /// waited for.
    pub fn drain(&mut self, poller: &mut Poller) -> Left {
        let mut left = Left::Nothing;
        for place in 0..self.pipes.len() {
            if self.pipes[place].is_none() {
                continue;
            }
            if self.goes_to(place).is_some_and(|index| self.is_full(index, poller)) {
                left = left.max(Left::NoRoom);
                continue;
            }
            let reading = self.read(place);
            let is_endless = self.pipes[place].as_ref().is_some_and(|pipe| pipe.last_words >= LAST_WORDS);
            if reading == Reading::Some && !is_endless {
                left = Left::More;
            } else {
                self.close(place, poller);
            }
        }
        self.own.iter_mut().for_each(|own| own.flush(poller));
        if self.own.iter().all(Outgoing::is_empty) { left } else { left.max(Left::NoRoom) }
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

/// Whether standard output and standard error want colours (<https://no-color.org>).
fn coloured() -> [bool; 2] {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    [1, 2].map(|number| !is_refused && isatty(raw::standard(number)) == Ok(true))
}

fn no_room(errno: Errno) -> SpawnFailure {
    let message = format!("cannot open a pipe for its output: {}", errno.desc());
    SpawnFailure { kind: SpawnFailureKind::NoRoom, errno: 0, message }
}

fn cannot_open(path: &str, error: &io::Error) -> SpawnFailure {
    let kind = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => SpawnFailureKind::NoRoom,
        _ => SpawnFailureKind::NotExecutable,
    };
    SpawnFailure { kind, errno: 0, message: format!("cannot write its output to {path}: {error}") }
}
