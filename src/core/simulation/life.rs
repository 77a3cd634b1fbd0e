//! How a fake process lives: what it does by itself, and how it takes what is done to it.

use crate::core::event::Notice;
use crate::core::plan::ProgramId;
use crate::core::process::Exit;
use crate::core::signal::Signal;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Things to do, each so long after the moment that set them off.
pub(super) type Deeds = Vec<(Duration, Deed)>;

/// Written down before the process starts; processes share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// By itself, from its start.
    pub(super) deeds: Deeds,
    /// Its handlers; an empty one ignores. A signal without one has its default effect (signal(7)).
    pub(super) handlers: BTreeMap<Signal, Deeds>,
    /// What a stop command or a text on its standard input makes it do.
    pub(super) when_asked: Deeds,
    /// It has a standard input that takes something.
    pub(super) reads: bool,
    /// It never waits for its children: they stay zombies until it ends.
    pub(super) neglects_children: bool,
    /// It has lost the mark of its program: it has overwritten its environment, or that is closed to runinit.
    pub(super) is_unmarked: bool,
}

/// Something that a process does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// It ends; by a signal only of its own or after a handler.
    End(Exit),
    /// It starts another one.
    Fork(Rc<Life>, Place),
    /// It makes itself the leader of a session; leaders of groups cannot (setsid(2)).
    LeaveGroup,
    /// It stops as if by SIGSTOP.
    Stop,
    /// It waits in the kernel where no signal reaches it (D).
    Stick,
    /// What it waited for has come.
    Unstick,
    /// It becomes another user, whom runinit may not signal (EPERM).
    BecomeAnother,
    /// It asks a program to end: what a good stop command does.
    Ask(ProgramId),
    /// It says something about its program, if it belongs to one.
    Say(Notice),
}

/// Where a new process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With its parent.
    Group,
    /// In a group of its own, as a shell's job.
    OwnGroup,
    /// In a session of its own, as a daemon.
    OwnSession,
}

impl Life {
    /// It runs until a signal ends it.
    pub(super) fn endless() -> Self {
        Self { reads: true, ..Self::default() }
    }

    pub(super) fn does(mut self, after: Duration, deed: Deed) -> Self {
        self.deeds.push((after, deed));
        self
    }

    pub(super) fn on(mut self, signal: Signal, deeds: Deeds) -> Self {
        self.handlers.insert(signal, deeds);
        self
    }

    pub(super) fn ends(self, after: Duration, code: u8) -> Self {
        self.does(after, Deed::End(Exit::Code(code)))
    }

    pub(super) fn ignores(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.handlers.extend(signals.into_iter().map(|signal| (signal, Deeds::new())));
        self
    }

    /// The longest that it takes to end once it has been told to.
    pub(super) fn slowness(&self) -> Duration {
        let handlers = self.handlers.values().chain([&self.when_asked]);
        handlers.flatten().map(|(after, _)| *after).max().unwrap_or_default()
    }
}
