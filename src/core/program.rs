//! One program's life.
//!
//! | state        | leader | group    | what ends it                                                              |
//! |--------------|--------|----------|---------------------------------------------------------------------------|
//! | `Waiting`    | none   | none     | its turn: `Starting`; a shutdown: `Ended`, if it cannot be there already   |
//! | `Starting`   | asked  | asked    | the answer: `Running`, `Ended`, or `Waiting` again if there was no room    |
//! | `Running`    | alive  | alive    | its leader's end: `Leaderless`; its turn in a shutdown: `Stopping`         |
//! | `Leaderless` | ended  | unknown  | the probe: `Stopping` if anything of the group is left                     |
//! | `Leaderless` | ended  | empty    | nobody has left it: `Ended`; somebody has, and its turn comes: `Stopping`  |
//! | `Stopping`   | either | either   | nothing is left: `Ended`; the wait after SIGKILL is over: `Survived`       |
//! | `Survived`   | either | either   | nothing is left, however late: `Ended`                                     |
//! | `Closing`    | none   | none     | tmux has closed its session, or is not waited for any longer: `Ended`      |
//! | `Ended`      | none   | none     | nothing; a restart, or a shutdown if it may be there already: `Waiting`    |
//!
//! Stopped means empty: a program has ended when its whole group is gone and all that has left it, not when its leader
//! exits. One that ends well leaves its daemons alone, though, until its turn in a shutdown comes.
//!
//! For one in a tmux session, its group is all of the kernel session that its leader leads, and `Closing` comes before
//! `Ended`. `Starting` and `Closing` last as long as tmux takes, and its leader's end is known when tmux has told it.

use super::action::Question;
use super::budget::Moment;
use super::event::SpawnFailure;
use super::masks::Masks;
use super::plan::{self, ProgramId};
use super::process::{Exit, Pgid, Pid};
use super::signal::Signal;
use super::watchdog::Watchdog;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Most groups are empty before, and a look at each process costs something.
const ZOMBIES_AFTER: Duration = Duration::from_millis(80);

/// Where a program is in its life. The table is in the [module's](self) text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not been started yet.
    Waiting {
        /// Not before this; a start that found no room in the system is tried again.
        not_before: Moment,
        /// How many starts have found no room.
        tries: u32,
    },
    /// Its start has been asked for; the answer comes before anything else does, unless tmux has to give it.
    Starting {
        /// How many starts have found no room before.
        tries: u32,
    },
    /// It runs.
    Running {
        /// Its leader.
        leader: Pid,
        /// Its group.
        pgid: Pgid,
    },
    /// Its leader has ended; a probe of the group is under way, or what has left that goes on.
    Leaderless {
        /// Its group; `None`: nobody is in it any more.
        pgid: Option<Pgid>,
    },
    /// Its cascade is under way.
    Stopping {
        /// Its leader, while that lives.
        leader: Option<Pid>,
        /// Its group; `None`: nobody is in it any more.
        pgid: Option<Pgid>,
        /// How far the cascade is.
        cascade: Cascade,
    },
    /// Even SIGKILL has not ended it in time.
    Survived {
        /// Its leader, while that lives.
        leader: Option<Pid>,
        /// Its group; `None`: nobody is in it any more.
        pgid: Option<Pgid>,
    },
    /// Nothing of it is left but its tmux session, which is about to be closed.
    Closing,
    /// Nothing of it is left, or it never was.
    Ended,
}

/// How far a cascade is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cascade {
    /// The step that was taken last.
    pub step: usize,
    /// When the next one is due; `None` waits for ever.
    pub until: Option<Moment>,
    /// The stop command of a `run` step, while it runs.
    pub command: Option<Pid>,
    /// The step was for the leader; the others of its group have not heard of it.
    pub for_leader: bool,
    /// The next probe of a group that has lost its leader.
    pub probe: Option<NextProbe>,
}

impl Cascade {
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.until.into_iter().chain(self.probe.map(|probe| probe.at)).min()
    }
}

/// When a group is probed although nobody has told of an end: its last member may be somebody else's child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextProbe {
    /// When.
    pub at: Moment,
    /// How long that was waited for; the next wait is twice as long.
    pub waited: Duration,
}

/// What it took to end a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBy {
    /// It ended before anything was done about it.
    Itself,
    /// A stop command.
    Run,
    /// A text on its standard input.
    Stdin,
    /// Keys in its terminal.
    Keys,
    /// A signal.
    Signal(Signal),
    /// The last sweep.
    Sweep,
    /// Nothing: it survived.
    Nothing,
}

impl StoppedBy {
    /// What nothing can refuse.
    pub(super) const KILL: Self = Self::Signal(Signal::KILL);

    /// The signal, if it is one that a process can refuse.
    pub(super) fn polite(self) -> Option<Signal> {
        match self {
            Self::Signal(signal) if signal != Signal::KILL => Some(signal),
            _ => None,
        }
    }

    /// True for a command, a text or keys: what a leader has left behind does not understand them.
    pub(super) fn is_for_leader(self) -> bool {
        matches!(self, Self::Run | Self::Stdin | Self::Keys)
    }
}

impl fmt::Display for StoppedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("itself"),
            Self::Run => f.write_str("run"),
            Self::Stdin => f.write_str("stdin"),
            Self::Keys => f.write_str("keys"),
            Self::Signal(signal) => signal.fmt(f),
            Self::Sweep => f.write_str("sweep"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What was done.
    pub what: StoppedBy,
    /// When.
    pub at: Moment,
    /// When the next was taken, or the program had ended.
    pub until: Option<Moment>,
}

/// One program, as the core knows it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each says something of its own
pub struct Program {
    /// Where it is in its life.
    pub state: State,
    /// Its leader's pid, also after its end.
    pub pid: Option<Pid>,
    /// When it was started.
    pub started_at: Option<Moment>,
    /// How its leader ended.
    pub exit: Option<Exit>,
    /// Why it never ran.
    pub failure: Option<SpawnFailure>,
    /// What it took to end it, once it has ended.
    pub stopped_by: Option<StoppedBy>,
    /// The steps of its cascade so far. At most as many as its cascade has.
    pub taken: Vec<Taken>,
    /// What its leader did with signals when it had outlived its first stop signal; `None` if it never did.
    pub masks: Option<Masks>,
    /// Whether those that come after it may start.
    pub readiness: Readiness,
    /// The question that is asked about it, or will be.
    pub asking: Asking,
    /// What it has promised to say, and when at the latest.
    pub watchdog: Option<Watchdog>,
    /// Why it has failed, whatever its exit says.
    pub fault: Option<Fault>,
    /// How its restarts have gone.
    pub restarting: Restarting,
    /// What another plan has made of it.
    pub fate: Fate,
    /// What its run was started after, where the plan says something else by now.
    pub(super) ran_after: Option<Vec<ProgramId>>,
    /// What somebody has asked of it.
    pub hold: Hold,
    /// It was added while everything ran, and is in no file.
    pub added: bool,
    /// It was alive when the shutdown began: the record has it to the end, whatever the plan says.
    pub(super) is_in_shutdown: bool,
    /// Signals that came before it was known to be there; each is kept once.
    pub early: BTreeSet<Signal>,
    /// What tmux is asked about it, while the answer is awaited.
    pub call: Option<Call>,
    /// What it says about itself, in its own words; bounded by whoever hears it.
    pub status: Option<String>,
    /// Who had left its group when it was looked for last, and what they were sent in this step. At most as many as there
    /// are processes.
    pub escapees: BTreeMap<Pid, Option<Signal>>,
    /// It was given up since somebody whom it comes after was lost, and waits again when that one comes back.
    pub(super) was_given_up_without: bool,
    /// They are to be looked for at the end of this round.
    pub(super) is_sought: bool,
    /// Ctrl-Z has stopped all of its group, and runinit with it; what continues runinit is for all of it.
    pub(super) is_stopped: bool,
    /// runinit has sent it SIGINT or SIGQUIT: if it dies of that, it is not the terminal's doing.
    pub(super) was_interrupted: bool,
    /// It was handed a Ctrl-Z that the terminal had sent to all of runinit's group.
    pub(super) stops_with_neighbours: bool,
}

/// A question to tmux. Never two at a time about one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub question: Question,
    /// The client that asks, while it runs.
    pub command: Option<Pid>,
    /// No answer by then is none.
    pub until: Moment,
    /// When it is asked again, since tmux did not know yet.
    pub again: Option<Moment>,
    /// How long was waited for that; the next wait is twice as long.
    pub waited: Duration,
}

/// What another plan has made of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it is what it was.
    #[default]
    Stays,
    /// Another one takes its place when nothing of it is left.
    Replaced(Box<plan::Program>),
    /// It is no longer in the plan.
    Removed,
}

/// What somebody has asked of a program. Its policy does not count meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    #[default]
    Free,
    /// It is to be stopped, and to stay so.
    Stopped,
    /// It is to be stopped and started again.
    Again,
}

/// Whether a program is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is not; by then it has to be.
    NotYet {
        /// `None`: it has not been started, or may take as long as it likes.
        until: Option<Moment>,
    },
    /// It is.
    Ready,
}

/// Why a program was stopped by runinit itself, and so has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was not ready in time.
    NotReady,
    /// Its health checks failed.
    Unhealthy,
    /// It has promised to say that it is alive, and did not.
    Silent,
    /// Its tmux server is gone.
    NoTerminal,
}

impl Fault {
    const ALL: [Self; 4] = [Self::NotReady, Self::Unhealthy, Self::Silent, Self::NoTerminal];

    /// The one that an entry of the timeline tells of, if it tells of one.
    pub fn told_by(event: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.to_string() == event)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "not ready in time",
            Self::Unhealthy => "unhealthy",
            Self::Silent => "silent for longer than its WATCHDOG_USEC",
            Self::NoTerminal => "its tmux server is gone",
        })
    }
}

/// The questions about a program: never two at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    /// When the next is asked; `None`: none is, or one is under way.
    pub next: Option<Moment>,
    /// The one that is under way, and when it counts as answered with no.
    pub asked: Option<Asked>,
    /// Noes in a row.
    pub noes: u32,
}

/// A question that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// No answer by then is a no.
    pub until: Option<Moment>,
    /// The command that is to answer it, if one is.
    pub command: Option<Pid>,
}

/// How the restarts of a program have gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarting {
    /// It is started again as soon as nothing of it is left.
    pub planned: bool,
    /// It waits to be started again.
    pub is_due: bool,
    /// How often it was, in the whole run.
    pub count: u32,
    /// When it ended within the time that counts; at most [`Backoff::burst`](super::policy::Backoff::burst).
    pub recent: Vec<Moment>,
    /// How often the wait was doubled.
    pub doubled: u32,
    /// It ended more often than it may: it has failed for good, however it ended last.
    pub is_used_up: bool,
}

impl Program {
    pub(super) fn new() -> Self {
        Self {
            state: State::Waiting { not_before: Moment::ZERO, tries: 0 },
            pid: None,
            started_at: None,
            exit: None,
            failure: None,
            stopped_by: None,
            taken: Vec::new(),
            masks: None,
            readiness: Readiness::NotYet { until: None },
            asking: Asking::default(),
            watchdog: None,
            fault: None,
            restarting: Restarting::default(),
            fate: Fate::Stays,
            ran_after: None,
            hold: Hold::Free,
            added: false,
            is_in_shutdown: false,
            early: BTreeSet::new(),
            call: None,
            status: None,
            escapees: BTreeMap::new(),
            was_given_up_without: false,
            is_sought: false,
            is_stopped: false,
            was_interrupted: false,
            stops_with_neighbours: false,
        }
    }

    /// Its leader, while that lives.
    pub fn leader(&self) -> Option<Pid> {
        match self.state {
            State::Running { leader, .. } => Some(leader),
            State::Stopping { leader, .. } | State::Survived { leader, .. } => leader,
            State::Waiting { .. }
            | State::Starting { .. }
            | State::Leaderless { .. }
            | State::Closing
            | State::Ended => None,
        }
    }

    /// Its group, while that may have members.
    pub fn group(&self) -> Option<Pgid> {
        match self.state {
            State::Running { pgid, .. } => Some(pgid),
            State::Leaderless { pgid } | State::Stopping { pgid, .. } | State::Survived { pgid, .. } => pgid,
            State::Waiting { .. } | State::Starting { .. } | State::Closing | State::Ended => None,
        }
    }

    /// True while something of it may be left, in its group or outside.
    pub fn is_there(&self) -> bool {
        match self.state {
            State::Running { .. }
            | State::Leaderless { .. }
            | State::Stopping { .. }
            | State::Survived { .. } => true,
            State::Waiting { .. } | State::Starting { .. } | State::Closing | State::Ended => false,
        }
    }

    /// True while something of it is there or may come, so that nothing else can take its place.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_there() || matches!(self.state, State::Starting { .. } | State::Closing)
    }

    /// True for one whose group has been there without its leader for so long that all of it may be zombies that somebody
    /// else does not reap.
    pub fn may_be_zombies(&self) -> bool {
        let State::Stopping { leader: None, cascade, .. } = self.state else { return false };
        cascade.probe.is_some_and(|probe| probe.waited >= ZOMBIES_AFTER)
    }

    /// True while it runs, or its daemons do, and nobody has told them to stop.
    pub(super) fn is_untold(&self) -> bool {
        match self.state {
            State::Running { .. } => true,
            State::Leaderless { pgid: None } => !self.is_sought,
            _ => false,
        }
    }

    /// True once nobody has to wait for it any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended | State::Survived { .. })
    }

    /// What takes its place when nothing of it is left, if it has changed.
    pub fn successor(&self) -> Option<&plan::Program> {
        match &self.fate {
            Fate::Replaced(spec) => Some(spec),
            Fate::Stays | Fate::Removed => None,
        }
    }

    /// True if those that come after it may start. One that leaves is not for them any more.
    pub fn is_ready_for_others(&self) -> bool {
        self.readiness == Readiness::Ready && self.hold == Hold::Free && self.fate == Fate::Stays
    }

    /// Why it has failed, in a few words; `None` if nothing is known against it.
    pub fn why_failed(&self, spec: &plan::Program) -> Option<String> {
        let is_used_up = self.restarting.is_used_up;
        let exit = self.exit.filter(|exit| is_used_up || !spec.success_codes.contains(&exit.code()));
        let failure = self.failure.as_ref().map(|failure| failure.message.clone());
        let why = failure
            .or_else(|| self.fault.map(|fault| fault.to_string()))
            .or_else(|| exit.map(|exit| exit.to_string()));
        let used_up = is_used_up.then(|| "its restarts are used up".to_owned());
        let parts: Vec<String> = why.into_iter().chain(used_up).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// True when its leader has ended and none will follow.
    pub(super) fn has_no_future(&self) -> bool {
        let is_to_start = matches!(self.state, State::Waiting { .. } | State::Starting { .. });
        let is_to_follow = self.restarting.planned || matches!(self.fate, Fate::Replaced(_));
        self.leader().is_none() && !is_to_start && !is_to_follow
    }

    /// True for one that starts, is not ready yet, or is to be started when it has ended.
    pub(super) fn is_coming(&self) -> bool {
        let has_future = self.hold == Hold::Again || !self.has_no_future();
        has_future && self.hold != Hold::Stopped && !matches!(self.state, State::Survived { .. })
    }

    /// True when it will not come back and was not ready, so that nobody can come after it. What it has left behind may still
    /// be there.
    pub(super) fn is_lost(&self) -> bool {
        self.has_no_future() && self.hold == Hold::Free && self.readiness != Readiness::Ready
    }

    /// False for one that is neither in the plan nor there any more, nor was when the shutdown began.
    pub(super) fn is_listed(&self) -> bool {
        self.fate != Fate::Removed || self.state != State::Ended || self.is_in_shutdown
    }

    /// What was done about it last.
    pub(super) fn last_taken(&self) -> Option<StoppedBy> {
        self.taken.last().map(|taken| taken.what)
    }

    pub(super) fn close_last_step(&mut self, now: Moment) {
        if let Some(last) = self.taken.last_mut() {
            last.until.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_by_what_is_told_of_it() {
        for fault in Fault::ALL {
            assert_eq!(Fault::told_by(&fault.to_string()), Some(fault));
        }
        assert_eq!(Fault::told_by("ready"), None);
    }
}
