//! What to do. Pure: a state, an event and the time in, actions out.
//!
//! [`Core::step`] is the only way in, as long as no bug is met. It never looks at a clock, a file or a process; the
//! runtime turns what happened into [`Event`]s and does what the [`Action`]s say. The next deadline is read off the state
//! ([`Core::deadline`]), never kept beside it.
//!
//! | rule                                              | file          |
//! |---------------------------------------------------|---------------|
//! | a program's states                                | `program`     |
//! | who comes after whom                              | `order`       |
//! | who starts when, what a failed start means        | `starting`    |
//! | when it is ready and well                         | `checking`    |
//! | what it promises to say again and again           | `watchdog`    |
//! | what an exit means                                | `ending`      |
//! | what a child was started for                      | `children`    |
//! | whether and when it is started again              | `restarting`  |
//! | another plan in the middle of a run               | `reloading`   |
//! | what people ask for while it runs                 | `commanding`  |
//! | where a signal goes                               | `forwarding`  |
//! | a cascade, step by step                           | `stopping`    |
//! | what a late program does with signals             | `masks`       |
//! | what a leader leaves behind                       | `leaving`     |
//! | whose turn it is to stop                          | `turn`        |
//! | when a shutdown begins, and when it is over       | `shutdown`    |
//! | what tmux is asked                                | `calling`     |
//! | processes that nobody manages                     | `sweep`       |
//! | who had left all groups and had to be stopped     | `strays`      |
//! | who is still there at half time                   | `half_time`   |
//! | how the budget is shared                          | `share`       |
//! | what is still written down after a bug            | `abandoned`   |
//! | the whole shutdown in one line                    | `last_words`  |
//! | when it is cleaned up behind agents               | `cleaning`    |

mod abandoned;
pub mod action;
#[cfg(test)]
mod bench;
pub mod budget;
pub mod calling;
mod checking;
mod children;
mod cleaning;
pub mod commanding;
pub mod confinement;
pub mod duration;
mod ending;
pub mod event;
pub mod forwarding;
pub mod half_time;
pub mod hygiene;
mod last_words;
mod leaving;
pub mod masks;
pub mod order;
pub mod plan;
pub mod policy;
pub mod process;
pub mod program;
mod reloading;
mod restarting;
pub mod share;
pub mod shutdown;
pub mod signal;
#[cfg(test)]
mod simulation;
mod starting;
mod stopping;
pub mod strays;
pub mod sweep;
pub mod timeline;
mod turn;
pub mod watchdog;

use action::Action;
use budget::Moment;
use children::{Child, Children};
use cleaning::Cleaning;
use event::Event;
use log::Level;
use order::Order;
use plan::{Plan, ProgramId};
use program::{Fate, Program, State};
use shutdown::Shutdown;
use std::fmt::Display;
use std::time::Duration;
use timeline::Timeline;

/// The record is written at most this often while programs end: a fleet of a thousand must not write it a thousand
/// times.
const RECORD_EVERY: Duration = Duration::from_millis(100);

/// The state of everything, and every decision.
#[derive(Debug)]
pub struct Core {
    plan: Plan,
    order: Order,
    /// `None`: the same.
    stop_order: Option<Order>,
    programs: Vec<Program>,
    children: Children,
    shutdown: Option<Shutdown>,
    cleaning: Cleaning,
    reaped: ReapCount,
    /// The state of the jitter.
    random: u64,
    timeline: Timeline,
    /// The record says less than is known since then.
    record_due: Option<Moment>,
    /// Nobody who has left a group is looked for before.
    seek_from: Moment,
    /// How many more programs this round of the loop may start.
    starts_left: usize,
    finished: bool,
    /// Nothing has happened since the last tick but signals that were only handed on.
    is_settled: bool,
}

/// How many children were reaped in the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReapCount {
    /// Those that runinit had started.
    pub programs: u64,
    /// Those that it had inherited.
    pub orphans: u64,
}

impl Core {
    /// A core that has not started anything yet.
    pub fn new(mut plan: Plan) -> Self {
        let count = plan.programs.len();
        plan.programs.append(&mut plan.left);
        let mut core = Self {
            order: Order::new(&plan.programs),
            stop_order: None,
            programs: plan.programs.iter().map(|_| Program::new()).collect(),
            children: Children::default(),
            shutdown: None,
            cleaning: Cleaning::new(plan.hygiene.is_some()),
            reaped: ReapCount::default(),
            random: plan.seed,
            plan,
            timeline: Timeline::default(),
            record_due: None,
            seek_from: Moment::ZERO,
            starts_left: 0,
            finished: false,
            is_settled: false,
        };
        core.programs[count..].iter_mut().for_each(|left| left.fate = Fate::Removed);
        core
    }

    /// Takes in one event and adds what is to be done about it to `out`.
    pub fn step(&mut self, event: Event, now: Moment, out: &mut Vec<Action>) {
        if self.finished {
            // Whoever is left is left to themselves; answers still come to what was asked before.
            return;
        }
        let is_tick = matches!(event, Event::Tick);
        self.is_settled = is_tick || (self.is_settled && matches!(event, Event::Signal(_)));
        match event {
            Event::Tick => {}
            Event::Reaped(reaped) => self.on_reaped(&reaped, now, out),
            Event::Stopped(pid, signal) => self.on_stopped(pid, signal, now, out),
            Event::CouldNotStop(id, signal) => self.on_could_not_stop(id, signal, out),
            Event::HasTerminal(id) => self.on_terminal(id, out),
            Event::Resumed(id) => self.programs[id].is_stopped = true,
            Event::Reloaded(plan) => self.on_reload(*plan, now, out),
            Event::Asked(command) => self.on_asked(command, now, out),
            Event::Signal(received) => self.on_signal(received, now, out),
            Event::Spawned(id, result) => {
                self.on_spawned(id, result, now, out);
                self.start_next(now, out);
            }
            Event::StepSpawned(id, pid) => self.on_step_spawned(id, pid, now, out),
            Event::StdinWritten(id, written) => self.on_stdin_written(id, written, now, out),
            Event::Notified(id, notice) => self.on_notice(id, &notice, now, out),
            Event::CheckSpawned(id, pid) => self.on_check_spawned(id, pid, now, out),
            Event::Checked(id, answer) => self.on_answer(id, answer, now, out),
            Event::Called(id, pid) => {
                self.on_called(id, pid, now, out);
                self.start_next(now, out);
            }
            Event::PaneEnded(id) => self.on_pane_ended(id, now, out),
            Event::EndTold(id, ended) => self.on_end_told(id, ended, now, out),
            Event::Closed(id, is_closed) => self.on_closed(id, is_closed, now, out),
            Event::Group(id, state) => self.on_group(id, state, now, out),
            Event::Inspected(id, masks) => self.programs[id].masks = Some(masks),
            Event::Sought(found) => self.on_sought(found, now, out),
            Event::Looked(look) => self.on_looked(look, now, out),
            Event::Remaining(remaining) => self.on_remaining(&remaining, now, out),
            Event::PassSpawned(pid) => self.on_pass_spawned(pid, out),
        }
        if is_tick {
            self.on_tick(now, out);
        } else if self.shutdown.is_some() {
            self.advance_shutdown(now, out);
        }
    }

    /// Deadlines are looked at when everything that has happened is known: a group whose last member has just been
    /// reaped is not killed for being late.
    fn on_tick(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.is_time_up(now) {
            self.kill_all(now, out);
            self.stop_cleaning(out);
        } else {
            self.end_overdue_steps(now, out);
            self.end_overdue_pass(now, out);
            self.probe_if_due(now, out);
        }
        self.call_again_or_give_up(now, out);
        self.starts_left = starting::STARTS_PER_ROUND;
        if self.shutdown.is_some() {
            self.start_next(now, out);
            self.end_doubt(now, out);
            self.end_overdue_sweep(now, out);
            self.advance_shutdown(now, out);
            self.look_at_half_time(now, out);
        } else {
            // First: nobody is asked any more how somebody is who is to stop.
            self.stop_going(now, out);
            self.ask_and_give_up(now, out);
            self.stop_without_terminal(now, out);
            self.start_next(now, out);
            self.clean_if_due(now, out);
        }
        self.seek_if_wanted(now, out);
        // At the end of a round, when it is known whether anything is left to tell before the last record.
        if !self.finished && self.record_due.is_some_and(|due| due <= now) {
            self.record_due = None;
            out.push(Action::Record);
        }
    }

    /// True if the next tick changes nothing before [`deadline`](Self::deadline): a signal on its way costs none.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// When something is to be done if nothing happens; `None`: never.
    pub fn deadline(&self) -> Option<Moment> {
        if self.finished {
            return None;
        }
        let programs = self.programs.iter().enumerate().filter_map(|(index, program)| match program.state {
            State::Waiting { not_before, .. } if self.may_start(ProgramId(index)) => Some(not_before),
            State::Stopping { cascade, .. } => cascade.deadline(),
            // The one that it has waited for has gone since the last tick.
            State::Running { .. } | State::Leaderless { .. } if self.may_go(ProgramId(index)) => {
                Some(Moment::ZERO)
            }
            _ => None,
        });
        let checks =
            self.programs.iter().filter(|_| self.shutdown.is_none()).filter_map(Program::check_deadline);
        let calls = self.programs.iter().filter_map(Program::call_deadline);
        programs
            .chain(checks)
            .chain(calls)
            .chain(self.shutdown.as_ref().and_then(Shutdown::deadline))
            .chain(self.cleaning.deadline(self.shutdown.is_some()))
            .chain(self.record_due)
            .chain(self.programs.iter().any(|program| program.is_sought).then_some(self.seek_from))
            .min()
    }

    /// What it was made from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every program that is in the plan, or was and is still there.
    pub fn programs(&self) -> impl Iterator<Item = (ProgramId, &plan::Program, &Program)> {
        let all = self.plan.programs.iter().zip(&self.programs).enumerate();
        let listed = all.filter(|(_, (_, program))| program.is_listed());
        listed.map(|(index, (spec, program))| (ProgramId(index), spec, program))
    }

    /// One program.
    pub fn program(&self, id: ProgramId) -> Option<&Program> {
        self.programs.get(id.0)
    }

    /// The commands about programs that have not been reaped yet: stop commands and checks.
    pub fn commands(&self) -> impl Iterator<Item = (ProgramId, process::Pid)> {
        self.children.iter().filter_map(|(pid, child)| match child {
            Child::Leader(_) | Child::Pass => None,
            Child::StopCommand(id) | Child::CheckCommand(id) | Child::TmuxClient(id) => Some((id, pid)),
        })
    }

    /// True for a child that was started and has not been reaped.
    pub fn is_child(&self, pid: process::Pid) -> bool {
        self.children.get(pid).is_some()
    }

    /// The shutdown, once it has begun.
    pub fn shutdown(&self) -> Option<&Shutdown> {
        self.shutdown.as_ref()
    }

    /// True once [`Action::Finish`] has been given.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// How many children were reaped.
    pub fn reaped(&self) -> ReapCount {
        self.reaped
    }

    /// What happened so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn ids(&self) -> impl ExactSizeIterator<Item = ProgramId> + use<> {
        (0..self.programs.len()).map(ProgramId)
    }

    fn name(&self, id: ProgramId) -> &str {
        &self.plan.programs[id].name
    }

    fn note(&mut self, now: Moment, id: Option<ProgramId>, event: impl Into<String>) {
        self.timeline.add(now, id, event.into());
    }

    fn say(&self, level: Level, id: ProgramId, text: impl Display, out: &mut Vec<Action>) {
        self.tell(level, format_args!("{}: {text}", self.name(id)), out);
    }

    /// What nobody hears is not put into words.
    fn tell(&self, level: Level, text: impl Display, out: &mut Vec<Action>) {
        if self.hears(level) {
            out.push(Action::Say(level, text.to_string()));
        }
    }

    fn hears(&self, level: Level) -> bool {
        level <= self.plan.heard
    }

    fn record_soon(&mut self, now: Moment) {
        if self.plan.keeps_record {
            self.record_due.get_or_insert(now + RECORD_EVERY);
        }
    }

    fn record_by(&mut self, at: Moment) {
        if self.plan.keeps_record {
            self.record_due = Some(self.record_due.map_or(at, |due| due.min(at)));
        }
    }
}
