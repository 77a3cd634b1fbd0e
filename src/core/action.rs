//! What is to be done: the core's only output.

use super::plan::ProgramId;
use super::process::{Exit, Pgid, Pid};
use super::signal::Signal;
use std::time::Duration;

/// Something for the runtime to do now. None of them may block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a program; answered by [`Event::Spawned`](super::event::Event::Spawned), or at first by
    /// [`Event::Called`](super::event::Event::Called) where tmux has a part in it.
    Spawn(ProgramId),
    /// Start a tmux client that asks about a program; answered by [`Event::Called`](super::event::Event::Called).
    Call(ProgramId, Question),
    /// The client has ended like this: what did it say? Answered by what the [`Question`] names.
    Hear(ProgramId, Exit),
    /// Start the command of a `run` step; answered by [`Event::StepSpawned`](super::event::Event::StepSpawned).
    RunStep(ProgramId, usize),
    /// Write the text of a `stdin` step; answered by [`Event::StdinWritten`](super::event::Event::StdinWritten).
    WriteStdin(ProgramId, usize),
    /// Nothing that was kept about a program that had this place is about the next one, if there is one.
    Forget(ProgramId),
    /// Signal a program. A group that is not there (ESRCH) is answered by
    /// [`Event::Group`](super::event::Event::Group).
    Signal(ProgramId, Target, Signal),
    /// SIGHUP for those of a program who ignore SIGTERM: an interactive shell does, and goes when its terminal goes.
    HangUp(ProgramId, Pgid),
    /// End a stop command, a check, a tmux client or a pass of hygiene that took too long, with all its children.
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
    /// What does this leader, which has outlived its first stop signal, do with signals? Answered by
    /// [`Event::Inspected`](super::event::Event::Inspected) if it can be seen.
    Inspect(ProgramId, Pid),
    /// Which processes have left the groups of these programs? Answered by
    /// [`Event::Sought`](super::event::Event::Sought).
    Seek(Vec<ProgramId>),
    /// Start a pass of hygiene, which has this long; answered by [`Event::PassSpawned`](super::event::Event::PassSpawned).
    Clean(Occasion, Duration),
    /// Who is left? Answered by [`Event::Looked`](super::event::Event::Looked).
    Look,
    /// Is nobody left? If so, answered by [`Event::Looked`](super::event::Event::Looked); it lists nobody, and costs nothing.
    AskWhetherAlone,
    /// Who is still there at half time? Answered by [`Event::Remaining`](super::event::Event::Remaining).
    LookForLate,
    /// Stop runinit itself, until it is continued.
    StopSelf,
    /// Stop runinit and its group as Ctrl-Z would, or runinit alone, since this program was stopped so; answered by
    /// [`Event::CouldNotStop`](super::event::Event::CouldNotStop) where nobody could continue it, by
    /// [`Event::HasTerminal`](super::event::Event::HasTerminal) where the program only missed the terminal, and else by
    /// [`Event::Resumed`](super::event::Event::Resumed).
    StopWith(ProgramId, Signal, Stops),
    /// A stop signal of the terminal came to runinit, so to all of its group: its program is to stop as well. If only the
    /// terminal was missed that this program has, the group gets that back instead, and goes on.
    HeedStop(ProgramId, Signal),
    /// This signal has ended this program, and nobody asked runinit for it: if the program had the terminal, somebody at the
    /// keyboard has ended the job, and the rest of runinit's group is to hear it, too.
    PassOn(ProgramId, Signal),
    /// Give the terminal to the program that is to have it, if runinit's group has it now.
    GiveTerminal,
    /// Take it back from the program that had it, and from its group.
    TakeTerminal,
    /// Read the configuration again; answered by [`Event::Reloaded`](super::event::Event::Reloaded).
    Reload,
    /// Write the record as it stands.
    Record,
    /// Tell people.
    Say(log::Level, String),
    /// Everything is over: write the last record, fsynced, and exit with this code.
    Finish(u8),
}

/// Who stops with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// runinit and its neighbours, who know nothing of it yet.
    Group,
    /// runinit alone: the terminal has stopped its neighbours already.
    Itself,
}

/// What tmux is asked about a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// To start it; answered by [`Event::Spawned`](super::event::Event::Spawned).
    Start,
    /// To end what a start that is not waited for any longer may still come to, on a server that lives on; answered by
    /// [`Event::Spawned`](super::event::Event::Spawned), which has failed.
    TakeBack,
    /// How it has ended; answered by [`Event::EndTold`](super::event::Event::EndTold).
    End,
    /// To tell its last screen and close its session; answered by [`Event::Closed`](super::event::Event::Closed).
    Close {
        /// Not before tmux itself has noticed the end.
        waits: bool,
    },
}

/// When a pass of hygiene takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// While programs run.
    Regular,
    /// When they are over, and everybody else is about to be ended.
    End,
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
    /// One that has left its group.
    Escapee(Pid),
}
