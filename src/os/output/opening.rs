//! What a program is given to write to, and the reading ends of it.

use super::lines::Lines;
use super::rotating_file::RotatingFile;
use super::voice::{From, Kind, Voice};
use super::{Outputs, Pipe};
use crate::core::event::SpawnFailure;
use crate::core::plan::{Output, OutputFile, Program, ProgramId};
use crate::os::poller::{Interest, Poller, Token};
use crate::os::{pipe, raw, spawn};
use nix::errno::Errno;
use nix::unistd::{Uid, fchown, isatty};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Pipes of one program that are read. Each run may leave a process behind that holds the pipe of its own.
pub(super) const PIPES_PER_PROGRAM: usize = 16;

/// Somebody else could lead it anywhere, and a file is put aside by its name.
const NO_LINK: &str = "it is a symbolic link, which is not followed; name the file itself, \
                       or leave \"output\" out for runinit's own output";

/// What a program is given to write to.
#[derive(Debug)]
pub struct Writers {
    stdout: OwnedFd,
    /// `None`: the same.
    stderr: Option<OwnedFd>,
}

impl Writers {
    /// For what nobody is to see; `None` where there is no /dev/null.
    pub fn nowhere() -> Option<Self> {
        pipe::nowhere_to_write().ok().map(|stdout| Self { stdout, stderr: None })
    }

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
        if program.launch.output == Output::Inherit {
            self.forget(id, None);
            return Ok(None);
        }
        self.open_own(id, program, width, poller)
    }

    /// For a program that has not runinit's own output.
    #[inline(never)]
    fn open_own(
        &mut self,
        id: ProgramId,
        program: &Program,
        width: usize,
        poller: &mut Poller,
    ) -> Result<Option<Writers>, SpawnFailure> {
        let output = &program.launch.output;
        match output {
            Output::Null => {
                if let Some(nowhere) = Writers::nowhere() {
                    self.forget(id, None);
                    return Ok(Some(nowhere));
                }
            }
            Output::File(file) => self.open_file(file)?,
            Output::Inherit | Output::Prefix | Output::Json => {}
        }
        let coloured = *self.coloured.get_or_insert_with(coloured);
        let voice = Voice::new(id, &program.name, output, width, coloured);
        let is_one = matches!(voice.kind, Kind::File(_) | Kind::Discard);
        if let Some(mut before) = self.voices.insert(id, voice) {
            self.take_over(id, &mut before);
        }
        let refused = |errno| spawn::refused("cannot open a pipe for its output", errno);
        let mut open = |from| self.open_pipe(id, from, poller).map_err(refused);
        let stdout = open(From::Stdout)?;
        let stderr = if is_one { None } else { Some(open(From::Stderr)?) };
        let writers = Writers { stdout, stderr };
        let identity = program.launch.confinement.identity.as_ref();
        if let Some(user) = identity.and_then(|identity| identity.user.as_ref()) {
            writers.give_to(user.uid);
        }
        Ok(Some(writers))
    }

    /// A program's last lines outlive a restart; what it wrote to before may be somebody else's.
    fn take_over(&mut self, id: ProgramId, before: &mut Voice) {
        if let Some(voice) = self.voices.get_mut(&id).filter(|_| !before.is_forgotten) {
            voice.tail = std::mem::take(&mut before.tail);
        }
        self.close_file_of(before);
    }

    #[inline(never)]
    fn open_file(&mut self, spec: &OutputFile) -> Result<(), SpawnFailure> {
        if let Some(file) = self.files.get_mut(&spec.path) {
            file.set_limits(spec.max, spec.keep);
            return Ok(());
        }
        let file = RotatingFile::open(&spec.path, spec.max, spec.keep)
            .map_err(|error| cannot_open(&spec.path, &error))?;
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
        let pipe = Pipe {
            id,
            from,
            reading,
            lines,
            is_over: false,
            is_held: false,
            opened: self.opened,
            last_words: 0,
        };
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
}

/// Whether standard output and standard error want colours (<https://no-color.org>).
fn coloured() -> [bool; 2] {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    [1, 2].map(|number| !is_refused && isatty(raw::standard(number)) == Ok(true))
}

/// Files that programs could not write to if they were started now, for people: links, which are the slip that a file system
/// shows without being written to.
pub fn refusals(programs: &[Program]) -> Vec<String> {
    let of_one = |program: &Program| match &program.launch.output {
        Output::File(OutputFile { path, .. }) if path.is_symlink() => {
            Some(format!("{}: cannot write its output to {}: {NO_LINK}", program.name, path.display()))
        }
        _ => None,
    };
    programs.iter().filter_map(of_one).collect()
}

/// The disk may have room again soon; what is open already goes on without.
fn cannot_open(path: &Path, error: &io::Error) -> SpawnFailure {
    let errno = error.raw_os_error().unwrap_or_default();
    let kind = spawn::kind_of(Errno::from_raw(errno));
    // ELOOP: by O_NOFOLLOW (open(2)), or links before the last part of the path go round in a circle.
    let is_link = errno == libc::ELOOP && path.is_symlink();
    let why = if is_link { NO_LINK.to_owned() } else { error.to_string() };
    SpawnFailure { kind, errno, message: format!("cannot write its output to {}: {why}", path.display()) }
}
