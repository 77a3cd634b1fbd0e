//! The runtime's loop over a fake kernel, with a clock that jumps to whatever happens next.
//!
//! The order is that of `runtime`: exits of a round first, then what was stopped, then its signals, then the tick; what
//! came of an action is stepped before anything else.

use super::fake_kernel::FakeKernel;
use super::invariants::{Checker, Verdict};
use super::random::Random;
use super::scenario::{Outside, Scenario};
use super::trace::Trace;
use crate::core::Core;
use crate::core::action::{Action, Question};
use crate::core::budget::Moment;
use crate::core::calling::unanswered;
use crate::core::commanding::Command;
use crate::core::event::{Event, Received, Sender, SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Plan, ProgramId};
use crate::core::process::Exit;
use crate::core::program::{Call, State};
use crate::core::signal::Signal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A world that is not over after so many rounds never will be.
const MOST_ROUNDS: usize = 20_000;

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) core: Core,
    pub(super) kernel: FakeKernel,
    pub(super) scenario: Scenario,
    pub(super) checker: Checker,
    pub(super) trace: Trace,
    pub(super) random: Random,
    /// Questions that will be answered, and how.
    pub(super) questions: BTreeMap<ProgramId, (Moment, bool)>,
    /// What the tmux client of each program asks.
    pub(super) clients: BTreeMap<ProgramId, Question>,
    /// How often each program was started, and was asked about.
    pub(super) starts: BTreeMap<ProgramId, u32>,
    pub(super) asked: BTreeMap<ProgramId, usize>,
    /// How many passes of hygiene there were.
    pub(super) passes: usize,
    /// What is still to come from outside.
    pub(super) outside: VecDeque<(Moment, Outside)>,
    /// Signals that the next round reads.
    arrived: Vec<Signal>,
    /// What the next round reads of the configuration.
    changes: Vec<Plan>,
    /// What the next round is asked for.
    commands: Vec<Command>,
    /// The last round may have left children to reap.
    is_more: bool,
    /// How often each start has found no room.
    tries: BTreeMap<ProgramId, usize>,
    rounds: usize,
}

/// How a world ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code.
    Finished(u8),
    /// Nobody could ask it to end, and it did not.
    Endless,
}

impl World {
    pub(super) fn new(scenario: Scenario, seed: u64, trace: Trace) -> Self {
        let mut random = Random::new(!seed);
        let mut kernel = FakeKernel::new(scenario.machine.clone(), random.branch());
        kernel.has_marks = scenario.plan.marks_programs;
        kernel.log = trace.is_on().then(Vec::new);
        Self {
            core: Core::new(scenario.plan.clone()),
            kernel,
            checker: Checker::new(&scenario),
            trace,
            random,
            questions: BTreeMap::new(),
            clients: BTreeMap::new(),
            starts: BTreeMap::new(),
            asked: BTreeMap::new(),
            passes: 0,
            outside: scenario.outside.iter().cloned().collect(),
            scenario,
            arrived: Vec::new(),
            changes: Vec::new(),
            commands: Vec::new(),
            is_more: true,
            tries: BTreeMap::new(),
            rounds: 0,
        }
    }

    /// From the beginning to the end.
    pub(super) fn run(&mut self) -> Verdict<End> {
        self.begin()?;
        self.run_on()
    }

    /// The first starts.
    pub(super) fn begin(&mut self) -> Verdict {
        self.trace.plan(&self.scenario);
        self.handle(Event::Tick, Moment::ZERO)
    }

    /// To the end.
    pub(super) fn run_on(&mut self) -> Verdict<End> {
        let last = self.outside.back().map_or(self.kernel.now, |(at, _)| *at);
        let mut insist_at = last.max(self.kernel.now) + self.scenario.patience;
        loop {
            if let Some(code) = self.checker.finished() {
                self.checker.at_end(&self.core, &self.kernel)?;
                return Ok(End::Finished(code));
            }
            if self.kernel.now >= insist_at {
                let Some(signal) = self.scenario.stop_signal() else { return Ok(End::Endless) };
                self.signal(signal);
                // Whoever has a budget needs no second signal.
                insist_at = self.kernel.now + self.budget() + self.scenario.patience;
            }
            self.wait(insist_at)?;
            self.round()?;
        }
    }

    fn budget(&self) -> Duration {
        self.core.plan().budget.length().unwrap_or_default()
    }

    /// Sleeps as the loop would: until a signal, the end of a child, an answer, or the deadline.
    fn wait(&mut self, longest: Moment) -> Verdict {
        let is_more = self.is_more || !self.arrived.is_empty() || !self.commands.is_empty();
        self.checker.before_wait(&self.core, &self.kernel, is_more)?;
        if is_more {
            return Ok(());
        }
        let outside = self.outside.front().map(|(at, _)| *at);
        let answer = self.questions.values().map(|(at, _)| *at).min();
        let wake = [self.core.deadline(), outside, answer].into_iter().flatten().min();
        self.kernel.run_until_news(wake.unwrap_or(longest).min(longest).max(self.kernel.now));
        if self.random.chance(self.scenario.pace.late_percent) {
            let late = self.random.time(self.scenario.pace.latest);
            self.sleep(late);
        }
        Ok(())
    }

    /// The loop does not run, whatever happens.
    pub(super) fn sleep(&mut self, length: Duration) {
        self.checker.is_late_by(length);
        self.kernel.run(self.kernel.now + length);
    }

    /// Puts a signal where the next round reads it.
    pub(super) fn signal(&mut self, signal: Signal) {
        // A standard signal that is pending already is not pending twice.
        if signal.number() >= 32 || !self.arrived.contains(&signal) {
            self.arrived.push(signal);
        }
    }

    fn let_in(&mut self) {
        while self.outside.front().is_some_and(|(at, _)| *at <= self.kernel.now) {
            match self.outside.pop_front() {
                Some((_, Outside::Signal(signal))) => self.signal(signal),
                Some((_, Outside::Asks(command))) => self.commands.push(command),
                Some((_, Outside::Stall(length))) => {
                    self.trace.line(|| format!("             (a stall of {length:?})"));
                    self.sleep(length);
                }
                Some((_, Outside::Joins(life))) => self.kernel.join(&life),
                Some((_, Outside::Reload(plan))) => self.changes.push(*plan),
                None => {}
            }
        }
    }

    /// As `Runtime::round`.
    pub(super) fn round(&mut self) -> Verdict {
        self.rounds += 1;
        if self.rounds > MOST_ROUNDS {
            return Err(format!("no end after {MOST_ROUNDS} rounds"));
        }
        self.let_in();
        let now = self.kernel.now;
        let arrived = std::mem::take(&mut self.arrived);
        self.kernel.has_news = false;
        // Whoever asks is heard before it is known who has ended.
        for command in std::mem::take(&mut self.commands) {
            self.handle(Event::Asked(command), now)?;
        }
        for id in self.panes_that_ended() {
            self.handle(Event::PaneEnded(id), now)?;
        }
        let reaped = self.kernel.reap(self.scenario.pace.batch);
        self.is_more = reaped.len() == self.scenario.pace.batch;
        if !reaped.is_empty() {
            self.handle(Event::Reaped(reaped), now)?;
        }
        for (pid, signal) in std::mem::take(&mut self.kernel.stopped) {
            self.handle(Event::Stopped(pid, signal), now)?;
        }
        self.hear(now)?;
        for signal in arrived {
            self.go_on_meanwhile();
            let sender = Some(Sender { pid: 0, uid: 0, command: None });
            let is_ignored = self.scenario.ignores(signal);
            self.handle(Event::Signal(Received { signal, sender, is_ignored, is_neighbours: false }), now)?;
        }
        for plan in std::mem::take(&mut self.changes) {
            self.handle(Event::Reloaded(Box::new(plan)), now)?;
        }
        self.go_on_meanwhile();
        let is_due = self.core.deadline().is_some_and(|at| at <= now);
        if is_due || !self.core.is_settled() { self.handle(Event::Tick, now) } else { Ok(()) }
    }

    /// What programs say, and answers to questions.
    fn hear(&mut self, now: Moment) -> Verdict {
        for (id, notice) in std::mem::take(&mut self.kernel.said) {
            self.handle(Event::Notified(id, notice), now)?;
        }
        while let Some((&id, &(_, yes))) = self.questions.iter().find(|(_, (at, _))| *at <= now) {
            self.questions.remove(&id);
            self.handle(Event::Checked(id, yes), now)?;
        }
        Ok(())
    }

    /// The kernel does not wait for a round to be over. It does not come between an exit and its probe, or between a
    /// look and its signals, though: an init that is outrun there cannot know.
    fn go_on_meanwhile(&mut self) {
        if self.scenario.pace.is_restless && self.random.chance(30) {
            let time = self.random.time(Duration::from_micros(50));
            self.sleep(time);
        }
    }

    /// As `Runtime::handle`.
    fn handle(&mut self, event: Event, now: Moment) -> Verdict {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            self.trace.event(now, &event, &mut self.kernel);
            self.step(&event, now, &mut actions)?;
            for action in actions.drain(..) {
                self.trace.action(&action);
                self.checker.before_action(&action, &self.core, &self.kernel)?;
                events.extend(self.perform(&action));
            }
        }
        self.checker.when_settled(&self.core, &self.kernel)
    }

    fn step(&mut self, event: &Event, now: Moment, actions: &mut Vec<Action>) -> Verdict {
        let mut tries = 0;
        match event {
            Event::Spawned(
                id,
                Err(SpawnFailure { kind: SpawnFailureKind::Busy | SpawnFailureKind::NoRoom, .. }),
            ) => {
                let so_far = self.tries.entry(*id).or_default();
                *so_far += 1;
                tries = *so_far;
            }
            Event::Spawned(id, Ok(_)) => {
                self.tries.remove(id);
            }
            _ => {}
        }
        self.give_up_starts(event, now);
        self.checker.before_step(event, &self.core, now, tries);
        let short_way = match event {
            Event::Signal(received) => {
                let way = self.core.short_way().filter(|way| way.signals.contains(received.signal));
                way.map(|way| (way.target, received.signal))
            }
            _ => None,
        };
        self.core.step(event.clone(), now, actions);
        if let Some((target, signal)) = short_way {
            self.checker.see("a signal that was only handed on", true);
            if *actions != [Action::Signal(ProgramId(0), target, signal)] || !self.core.is_settled() {
                return Err(format!("{signal} is more than handed on: {actions:?}"));
            }
        }
        if let Event::Asked(_) = event {
            // Whoever is started by hand has not been tried yet.
            let is_new = |id: &ProgramId| {
                let state = self.core.program(*id).map(|program| &program.state);
                matches!(state, Some(State::Waiting { tries: 0, .. }))
            };
            self.tries.retain(|id, _| !is_new(id));
        }
        self.checker.after_step(event, &self.core, &self.kernel, now, actions)
    }

    /// To the model, tmux that has not answered in time, or could not be asked, is a start without room.
    fn give_up_starts(&mut self, event: &Event, now: Moment) {
        let is_given_up = |id: ProgramId, call: &Call| {
            let is_over = match event {
                Event::Tick => call.until <= now,
                Event::Called(called, command) => *called == id && command.is_none(),
                _ => false,
            };
            is_over && call.question == Question::TakeBack
        };
        let starts = self.core.programs().filter_map(|(id, _, program)| Some((id, program.call.as_ref()?)));
        let given_up: Vec<ProgramId> =
            starts.filter(|(id, call)| is_given_up(*id, call)).map(|(id, _)| id).collect();
        for id in given_up {
            let so_far = self.tries.entry(id).or_default();
            *so_far += 1;
            self.checker.before_step(&Event::Spawned(id, Err(unanswered())), &self.core, now, *so_far);
        }
    }

    /// A program's leader ends now; false if there is none.
    pub(super) fn end_leader(&mut self, id: ProgramId, exit: Exit) -> bool {
        let leader = self.kernel.leader(id).filter(|leader| !leader.is_zombie());
        let Some(pid) = leader.map(|leader| leader.pid) else { return false };
        self.kernel.exit(pid, exit);
        true
    }

    /// Nothing happens until the core's deadline; false if there is none.
    pub(super) fn pass_deadline(&mut self) -> bool {
        let Some(deadline) = self.core.deadline() else { return false };
        self.kernel.run(deadline);
        true
    }

    /// What was worth seeing.
    pub(super) fn sights(&self) -> &BTreeSet<&'static str> {
        &self.checker.sights
    }
}
