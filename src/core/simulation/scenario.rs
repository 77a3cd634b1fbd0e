//! All that is decided about a world before it begins.

use super::fake_kernel::Machine;
use super::life::Life;
use crate::core::budget::Moment;
use crate::core::commanding::Command;
use crate::core::event::SpawnFailureKind;
use crate::core::plan::{Plan, Step};
use crate::core::signal::Signal;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A world that has not begun.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) plan: Plan,
    /// One for each of the plan's programs.
    pub(super) programs: Vec<Script>,
    /// Passes of hygiene, in turn; one that is missing cannot start.
    pub(super) passes: Vec<Option<Rc<Life>>>,
    /// What comes from outside, in order.
    pub(super) outside: Vec<(Moment, Outside)>,
    pub(super) machine: Machine,
    pub(super) pace: Pace,
    /// The system has no room for a process from each first moment to the second.
    pub(super) no_room: Vec<(Moment, Moment)>,
    /// SIGINT and SIGQUIT came in ignored, as in the background of a script.
    pub(super) ignores_ctrl_c: bool,
    /// So long after the last event from outside, everything is asked to end; nothing else would end some worlds.
    pub(super) patience: Duration,
    /// Everybody ends soon when asked by the first step of its program.
    pub(super) is_cooperative: bool,
}

/// What a program turns out to be.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// From which start on it cannot start, and why; the first is 0.
    pub(super) failure: Option<(u32, SpawnFailureKind)>,
    /// One start after the other, and from the beginning again.
    pub(super) lives: Vec<Rc<Life>>,
    /// Stop commands by step; one that is missing cannot start.
    pub(super) stop_commands: BTreeMap<usize, Rc<Life>>,
    /// Commands that answer questions, in turn; one that is missing cannot start.
    pub(super) check_commands: Vec<Option<Rc<Life>>>,
    /// Other answers to questions, in turn, and after how long they come.
    pub(super) answers: Vec<(Duration, bool)>,
}

/// What comes from outside.
#[derive(Clone, Debug)]
pub(super) enum Outside {
    Signal(Signal),
    /// Somebody asks for something by hand.
    Asks(Command),
    /// The machine stands still, or the host is so busy that runinit does not run.
    Stall(Duration),
    /// Somebody joins the namespace.
    Joins(Rc<Life>),
    /// The configuration is read again, and has changed.
    Reload(Box<Plan>),
}

/// How fast runinit runs.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// How many wakeups in a hundred come late.
    pub(super) late_percent: u64,
    /// How late at most.
    pub(super) latest: Duration,
    /// Things go on happening while a round is under way.
    pub(super) is_restless: bool,
    /// Children that one round reaps.
    pub(super) batch: usize,
}

impl Scenario {
    /// A signal that begins a shutdown of this plan, if one is left.
    pub(super) fn stop_signal(&self) -> Option<Signal> {
        let plan = &self.plan;
        let is_heard = |signal: &Signal| plan.rewrite.get(signal) != Some(&None) && !self.ignores(*signal);
        plan.stops_on.iter().copied().find(is_heard)
    }

    /// True for a signal that came in ignored.
    pub(super) fn ignores(&self, signal: Signal) -> bool {
        self.ignores_ctrl_c && [Signal::INT, Signal::QUIT].contains(&signal)
    }

    /// The waits of all steps of all programs: no shutdown needs more.
    pub(super) fn longest_shutdown(&self) -> Duration {
        let steps = self.plan.programs.iter().flat_map(|program| &program.stop);
        // A SIGKILL that nobody wrote down is waited for as well.
        let implied = Duration::from_secs(2).saturating_mul(u32::try_from(self.programs.len()).unwrap_or(0));
        steps.fold(implied, |sum, step| sum.saturating_add(step.wait))
    }
}

/// True for a step that is for the leader and not for its whole group.
pub(super) fn is_for_leader(step: &Step) -> bool {
    step.is_for_leader()
}
