//! A pass of hygiene, as a child: what it is told, and what it tells.

use super::Runtime;
use crate::core::Core;
use crate::core::action::Occasion;
use crate::core::event::{SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Launch, Program, Stdin};
use crate::core::process::Pid;
use crate::core::program::{State, StoppedBy};
use crate::hygiene::{Errand, Line};
use crate::os::pipe;
use crate::os::poller::{Interest, Token};
use crate::os::reading::{self, Heard};
use crate::os::signals::Inherited;
use crate::os::spawn::{self, Surroundings};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Read in one round, at most.
const READING: usize = 16 * 1024;
/// Pipes hold 64 KiB (pipe(7)); a reading may end early.
const LAST_READINGS: usize = 16;
/// Longer lines are not understood.
const LONGEST_LINE: usize = 256 * 1024;
/// When so much has been told once, it may be told again.
const MOST_TOLD: usize = 1000;

/// Hears what passes tell.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Of the pass that is under way, or of one whose end was not read yet.
    pipe: Option<OwnedFd>,
    /// The beginning of a line.
    heard: Vec<u8>,
    /// What is not to be told again.
    told: BTreeSet<String>,
}

impl Runtime {
    /// Starts a pass; `None` if that cannot be.
    #[inline(never)]
    pub(super) fn start_pass(&mut self, occasion: Occasion, lasts: Duration) -> Option<Pid> {
        let spawned = self.spawn_pass(occasion, lasts);
        if let Err(why) = &spawned {
            self.start_log();
            log::warn!("hygiene: {why}");
        }
        spawned.ok()
    }

    fn spawn_pass(&mut self, occasion: Occasion, lasts: Duration) -> Result<Pid, String> {
        let errand = serde_json::to_vec(&self.errand(occasion, lasts)?).map_err(|e| e.to_string())?;
        let stdin = pipe::to_read_at_once(&errand).map_err(|error| error.to_string())?;
        let (reading, writing) = pipe::to_read_without_waiting().map_err(Errno::desc)?;
        let surroundings = Surroundings {
            // It is no program that somebody set up, and it waits for children of its own.
            inherited: Inherited { mask: 0, ignore_sigchld: false, ..self.inherited },
            variables: &[],
            cgroup: None,
            standard: [Some(stdin.as_fd()), Some(writing.as_fd()), None],
            descriptor: None,
            terminal: None,
        };
        let pid = spawn_self(surroundings).map_err(|failure| failure.message)?;
        self.listen(reading);
        Ok(pid)
    }

    fn errand(&self, occasion: Occasion, lasts: Duration) -> Result<Errand, String> {
        let hygiene = self.core.plan().hygiene.clone().ok_or("it is not wanted any more")?;
        Ok(Errand {
            hygiene,
            lasts,
            init: self.realm.own().number(),
            is_last: occasion == Occasion::End,
            own_sessions: names(self.core.programs().map(|(_, spec, _)| spec)),
            ended_sessions: ended_sessions(&self.core),
            told: self.cleaning.told.clone(),
        })
    }

    fn listen(&mut self, reading: OwnedFd) {
        self.cleaning.heard.clear();
        if let Err(errno) = self.poller.set(reading.as_fd(), Token::Pass, Interest::Read) {
            log::warn!("hygiene: cannot hear what it does: {}", errno.desc());
        }
        self.cleaning.pipe = Some(reading);
    }

    /// Reads what there is, and says it. True if there may be more.
    pub(super) fn hear_pass(&mut self) -> bool {
        let Some(pipe) = &self.cleaning.pipe else { return false };
        // On the heap: inlined, it would lie in the loop's frame for ever.
        let mut bytes = vec![0; READING];
        match reading::read(pipe, &mut bytes) {
            Heard::Bytes(length) => {
                self.cleaning.hear(&bytes[..length]);
                return true;
            }
            Heard::Nothing => {}
            Heard::End | Heard::Broken => self.cleaning.pipe = None,
        }
        false
    }

    /// The last words of a pass: at most what a pipe holds.
    pub(super) fn hear_rest_of_pass(&mut self) {
        for _ in 0..LAST_READINGS {
            if !self.hear_pass() {
                return;
            }
        }
    }
}

/// Sessions of programs that were there when the shutdown began, and were ended by their cascade. What is left of one
/// that has lost its leader ends with it, or survives.
fn ended_sessions(core: &Core) -> BTreeSet<String> {
    let Some(shutdown) = core.shutdown() else { return BTreeSet::new() };
    let ended = core.programs().filter(|(id, _, program)| {
        let by_itself = program.taken.is_empty() || program.stopped_by == Some(StoppedBy::Itself);
        let survives = matches!(program.state, State::Survived { .. });
        shutdown.active.contains(id) && program.leader().is_none() && !by_itself && !survives
    });
    names(ended.map(|(_, spec, _)| spec))
}

/// Of the sessions that programs live in.
fn names<'a>(programs: impl Iterator<Item = &'a Program>) -> BTreeSet<String> {
    programs.filter_map(Program::session).map(|session| session.name.clone()).collect()
}

/// This program once more. /proc/self/exe is it even where its file has been replaced; without /proc its name has to do.
fn spawn_self(surroundings: Surroundings<'_>) -> Result<Pid, SpawnFailure> {
    let launch = |program: OsString| Launch {
        argv: vec![program, "hygiene".into(), "--errand".into()],
        stdin: Stdin::Null,
        ..Launch::default()
    };
    let by_name = |failure: SpawnFailure| match (failure.kind, std::env::args_os().next()) {
        (SpawnFailureKind::NotFound, Some(name)) => spawn::spawn(&launch(name), surroundings),
        _ => Err(failure),
    };
    spawn::spawn(&launch("/proc/self/exe".into()), surroundings).or_else(by_name)
}

impl Listener {
    #[inline(never)]
    fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        while let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            self.say(&line);
        }
        if self.heard.len() > LONGEST_LINE {
            self.heard.clear();
        }
    }

    fn say(&mut self, line: &[u8]) {
        let Ok(Line { is_warning, text, told }) = serde_json::from_slice(line) else { return };
        let level = if is_warning { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "hygiene: {text}");
        if self.told.len() + told.len() > MOST_TOLD {
            self.told.clear();
        }
        self.told.extend(told.into_iter().take(MOST_TOLD));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(told: &str) -> Vec<u8> {
        let line = Line { is_warning: true, text: "text".to_owned(), told: vec![told.to_owned()] };
        [serde_json::to_vec(&line).unwrap(), b"\n".to_vec()].concat()
    }

    #[test]
    fn lines_come_in_parts_and_what_was_told_is_kept() {
        let mut listener = Listener::default();
        let (one, two) = (line("one"), line("two"));
        listener.hear(&one[..5]);
        assert!(listener.told.is_empty());
        listener.hear(&[&one[5..], &two[..7]].concat());
        assert_eq!(listener.told, BTreeSet::from(["one".to_owned()]));
        listener.hear(&two[7..]);
        assert_eq!(listener.told.len(), 2);
        listener.hear(b"nonsense\n");
        assert_eq!((listener.told.len(), listener.heard.len()), (2, 0));
    }

    #[test]
    fn neither_a_long_line_nor_many_grow_without_end() {
        let mut listener = Listener::default();
        listener.hear(&vec![b'x'; LONGEST_LINE + 1]);
        assert!(listener.heard.is_empty());
        for n in 0..=MOST_TOLD {
            listener.hear(&line(&n.to_string()));
        }
        assert_eq!(listener.told.len(), 1);
    }
}
