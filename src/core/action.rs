//! What is to be done: the core's only output.

use super::plan::ProgramId;
use super::process::{Pgid, Pid};
use super::signal::Signal;

/// Something for the runtime to do now. None of them may block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a program; answered by [`Event::Spawned`](super::event::Event::Spawned).
    Spawn(ProgramId),
    /// Start the command of a `run` step; answered by [`Event::StepSpawned`](super::event::Event::StepSpawned).
    RunStep(ProgramId, usize),
    /// Write the text of a `stdin` step; answered by [`Event::StdinWritten`](super::event::Event::StdinWritten).
    WriteStdin(ProgramId, usize),
    /// Signal a program. A group that is not there (ESRCH) is answered by
    /// [`Event::Group`](super::event::Event::Group).
    Signal(ProgramId, Target, Signal),
    /// End a stop command or a check that took too long, with all its children.
    KillCommand(Pgid),
    /// Ask whether a program is ready or well; answered by
    /// [`Event::CheckSpawned`](super::event::Event::CheckSpawned) or [`Event::Checked`](super::event::Event::Checked).
    Ask(ProgramId, Purpose),
    /// Nobody waits for the answer any more.
    StopAsking(ProgramId),
    /// Signal somebody whom nobody manages.
    SignalStray(Pid, Signal),
    /// Signal everybody else in the PID namespace, in one system call that nobody can outrun. Only PID 1 may do so;
    /// for others it does nothing.
    SignalEverybody(Signal),
    /// Is anything of this group left? Answered by [`Event::Group`](super::event::Event::Group).
    Probe(ProgramId, Pgid),
    /// Who is left? Answered by [`Event::Looked`](super::event::Event::Looked).
    Look,
    /// Stop runinit itself, until it is continued.
    StopSelf,
    /// Stop runinit and its group as Ctrl-Z would, since this program was stopped so; answered by
    /// [`Event::CouldNotStop`](super::event::Event::CouldNotStop) where nobody could continue it.
    StopWith(ProgramId, Signal),
    /// Give the terminal to the program that is to have it, if runinit's group has it now.
    GiveTerminal,
    /// Read the configuration again; answered by [`Event::Reloaded`](super::event::Event::Reloaded).
    Reload,
    /// Write the record as it stands.
    Record,
    /// Tell people.
    Say(log::Level, String),
    /// Everything is over: write the last record, fsynced, and exit with this code.
    Finish(u8),
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Is it ready?
    Ready,
    /// Is it well?
    Health,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The whole group.
    Group(Pgid),
    /// Its leader alone (`--single-child`).
    Leader(Pid),
}
