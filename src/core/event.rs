//! What happened: the core's only input besides the time.

use super::commanding::Command;
use super::half_time::Remaining;
use super::masks::Masks;
use super::plan::{Plan, ProgramId};
use super::process::{Exit, Pgid, Pid};
use super::signal::Signal;
use crate::tmux::Ended;
use std::time::Duration;

/// Something that happened outside the core.
#[derive(Clone, Debug)]
pub enum Event {
    /// The loop has come round; deadlines are looked at and programs are started.
    Tick,
    /// These children have ended and were reaped. It comes before the signals that arrived with them.
    Reaped(Vec<Reaped>),
    /// A child was stopped by a signal.
    Stopped(Pid, Signal),
    /// The answer to [`Action::StopWith`](super::action::Action::StopWith) where nobody could continue runinit.
    CouldNotStop(ProgramId, Signal),
    /// The answer to [`Action::StopWith`](super::action::Action::StopWith) where runinit's group had the terminal that the
    /// program missed: it has it now.
    HasTerminal(ProgramId),
    /// The answer to [`Action::StopWith`](super::action::Action::StopWith) when somebody has continued runinit; the SIGCONT
    /// is about to be heard.
    Resumed(ProgramId),
    /// The answer to [`Action::Reload`](super::action::Action::Reload), if there was nothing wrong with the file.
    Reloaded(Box<Plan>),
    /// Somebody asks for something, to which there is no [objection](super::Core::objection).
    Asked(Command),
    /// A signal came to runinit.
    Signal(Received),
    /// The answer to [`Action::Spawn`](super::action::Action::Spawn).
    Spawned(ProgramId, Result<Pid, SpawnFailure>),
    /// The answer to [`Action::RunStep`](super::action::Action::RunStep); `None` if the command could not start.
    StepSpawned(ProgramId, Option<Pid>),
    /// The answer to [`Action::WriteStdin`](super::action::Action::WriteStdin).
    StdinWritten(ProgramId, bool),
    /// The answer to [`Action::Call`](super::action::Action::Call), and to
    /// [`Action::Spawn`](super::action::Action::Spawn) where tmux has a part in the start: the client that was started, or
    /// `None` if it could not be.
    Called(ProgramId, Option<Pid>),
    /// The process in a program's pane has ended; tmux knows how.
    PaneEnded(ProgramId),
    /// What tmux says to [`Question::End`](super::action::Question::End).
    EndTold(ProgramId, Ended),
    /// What tmux says to [`Question::Close`](super::action::Question::Close): false if the session has to stay a moment
    /// longer.
    Closed(ProgramId, bool),
    /// A program says something about itself.
    Notified(ProgramId, Notice),
    /// The answer to [`Action::Ask`](super::action::Action::Ask) if a command is to answer; `None` if it could not
    /// start.
    CheckSpawned(ProgramId, Option<Pid>),
    /// The answer to [`Action::Ask`](super::action::Action::Ask) if no command is to: yes or no.
    Checked(ProgramId, bool),
    /// The answer to [`Action::Probe`](super::action::Action::Probe), or a signal that found no group (ESRCH).
    Group(ProgramId, GroupState),
    /// The answer to [`Action::Inspect`](super::action::Action::Inspect).
    Inspected(ProgramId, Masks),
    /// The answer to [`Action::Seek`](super::action::Action::Seek), for each program that was asked about: who lives and
    /// has left its group, as far as anybody can tell.
    Sought(Vec<(ProgramId, Vec<Other>)>),
    /// The answer to [`Action::Look`](super::action::Action::Look), and to
    /// [`Action::AskWhetherAlone`](super::action::Action::AskWhetherAlone) where nobody is left.
    Looked(Look),
    /// The answer to [`Action::LookForLate`](super::action::Action::LookForLate).
    Remaining(Remaining),
    /// The answer to [`Action::Clean`](super::action::Action::Clean); `None` if the pass could not start.
    PassSpawned(Option<Pid>),
}

/// What a program says about itself (`sd_notify(3)`, or s6's newline).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is ready.
    Ready,
    /// It stops, by itself.
    Stopping,
    /// In its own words.
    Status(String),
    /// It needs this much longer, from now.
    Extend(Duration),
    /// It sees itself that it is not well (`WATCHDOG=trigger`).
    Unwell,
    /// From now on it will say that it is alive at least as often (`WATCHDOG_USEC`).
    Watchdog(Duration),
    /// It is alive (`WATCHDOG=1`).
    Alive,
}

/// A child that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Whom it was.
    pub pid: Pid,
    /// How it ended.
    pub exit: Exit,
}

/// A signal, and who sent it as far as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// The sender; `None` if it was the kernel itself (Ctrl-C).
    pub sender: Option<Sender>,
    /// It came in ignored: whoever has started runinit does not want it to end of that.
    pub is_ignored: bool,
    /// A process of runinit's own group has sent it.
    pub is_neighbours: bool,
}

#[cfg(test)]
impl Received {
    /// As Ctrl-C sends it.
    pub(crate) fn from_kernel(signal: Signal) -> Self {
        Self { signal, sender: None, is_ignored: false, is_neighbours: false }
    }
}

/// The process that sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// 0 if it lives in a PID namespace that runinit cannot see.
    pub pid: i32,
    /// Its real user id.
    pub uid: u32,
    /// Its command line, if it could still be read.
    pub command: Option<String>,
}

/// Why a program did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnFailure {
    /// What that means.
    pub kind: SpawnFailureKind,
    /// The system's own number for it; 0 if the system was not asked.
    pub errno: i32,
    /// For people: what was tried, and the system's own words.
    pub message: String,
}

/// What kind of failure a start met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnFailureKind {
    /// The command does not exist: 127.
    NotFound,
    /// The command exists but cannot be run: 126.
    NotExecutable,
    /// The command is just being written (ETXTBSY, execve(2)): 126.
    Busy,
    /// The system has no room for a process now (EAGAIN, ENOMEM, EMFILE).
    NoRoom,
}

impl SpawnFailureKind {
    /// True for what may pass: worth another try.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Busy | Self::NoRoom)
    }
}

/// Whether anything of a process group is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Somebody is.
    Alive,
    /// Nobody is: the number may be given to others from now on.
    Empty,
}

/// Who is left besides runinit.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Nobody at all: no child, and as PID 1 nobody else in the namespace.
    pub alone: bool,
    /// Somebody is, but /proc is missing or shows another namespace: `others` is empty.
    pub blind: bool,
    /// Who they are, zombies left out, as far as /proc tells. Members of managed groups are among them.
    pub others: Vec<Other>,
}

/// A process that [`Look`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its id.
    pub pid: Pid,
    /// Its process group, if that can be signalled.
    pub pgid: Option<Pgid>,
    /// The program whose group it has left, if one is known.
    pub program: Option<ProgramId>,
    /// Its command line, cut short.
    pub command: String,
    /// Its state as a letter: R, S, D, T (proc(5)).
    pub state: char,
}
