//! What must hold, whatever happens.
//!
//! | when                       | what                                                                     | file          |
//! |----------------------------|--------------------------------------------------------------------------|---------------|
//! | after a step               | programs change only as the state table says                             | `transitions` |
//! |                            | cascades only escalate, in order, and wait as long as they should        | `cascade`     |
//! |                            | who is late is looked at before it is killed                             | `cascade`     |
//! |                            | who stops before whom is what the starts have made it                    | `turn`        |
//! |                            | every signal to a program has a reason, and every reason gives one       | `signals`     |
//! |                            | programs are ready, asked about and restarted for a reason               | `checking`    |
//! |                            | the record has every program once and can be written                     | `telling`     |
//! |                            | who is late is looked for once, not before half of the budget            | `half_time`   |
//! | before an action           | it meets those it is meant for, and nobody else                          | `targets`     |
//! | when all answers are in    | what the core believes is so                                             | `truth`       |
//! | before the loop sleeps     | there is something to wait for, and it will be noticed in time           | `waiting`     |
//! | at the end                 | nobody is left, it was in time, and what is told about it is true        | `ending`      |
//!
//! The first seven need no kernel ([`Rules`]): they hold for events too that no system would send.

mod cascade;
mod checking;
mod ending;
mod half_time;
mod signals;
mod targets;
mod telling;
mod transitions;
mod truth;
mod turn;
mod waiting;

use super::fake_kernel::FakeKernel;
use super::model::{Circumstances, Model};
use super::scenario::Scenario;
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::{Budget, Moment};
use crate::core::commanding::Command;
use crate::core::event::Event;
use crate::core::plan::{self, End, ProgramId};
use crate::core::program::{Fault, Hold, Program, Readiness, State};
use crate::core::shutdown::Shutdown;
use crate::core::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use turn::{all_after, is_to_go};

/// Later than this is no wakeup that is late, but a machine that stands still.
const LATE: Duration = Duration::from_millis(100);

/// What is wrong, if something is.
pub(super) type Verdict<T = ()> = Result<T, String>;

/// Says what is wrong unless it is right.
macro_rules! ensure {
    ($right:expr, $($wrong:tt)+) => {
        if !$right {
            return Err(format!($($wrong)+));
        }
    };
}
use ensure;

/// What must hold after every step, even after one that no system would cause.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The programs before the step.
    before: Vec<Program>,
    was_stopping: bool,
    /// Signals that came while a start was under way, or before the main program's first.
    early: BTreeMap<ProgramId, BTreeSet<Signal>>,
    /// Programs whose last signal went to their leader alone.
    told_alone: BTreeSet<ProgramId>,
    /// They have been sent SIGINT or SIGQUIT in this run.
    interrupted: BTreeSet<ProgramId>,
    /// What each run was started after.
    ran_after: BTreeMap<ProgramId, Vec<ProgramId>>,
    /// How long each program's step may last, since it asked for more time.
    extended: BTreeMap<ProgramId, Moment>,
    /// The code of the end, once it was given.
    finished: Option<u8>,
    /// Those who are late have been looked for.
    is_past_half: bool,
    /// What the record that was looked at last could know.
    recorded: Option<(usize, bool, bool)>,
    /// No wait has to be cut short: the budget is longer than all waits together.
    has_time: bool,
}

/// [`Rules`], and what must hold between the core and the kernel.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each says something of its own
pub(super) struct Checker {
    pub(super) rules: Rules,
    model: Model,
    is_cooperative: bool,
    /// Another plan was taken over: the model knows nothing about it.
    has_reloaded: bool,
    /// Programs whose leader ended before anything was done about it.
    by_itself: BTreeSet<ProgramId>,
    /// Programs that were there after SIGKILL.
    late_ends: BTreeSet<ProgramId>,
    /// The shutdown's beginning.
    began: Option<Beginning>,
    /// How many processes there had been when the first of them was told to end.
    births: Option<u64>,
    /// When a second signal asked.
    now_since: Option<Moment>,
    looks: Vec<Moment>,
    finished_at: Moment,
    /// What the record does not tell yet, since when.
    unrecorded_since: Option<Moment>,
    /// The record does not say `stopping` yet.
    owes_record: bool,
    /// How late the loop was woken since it went to sleep last, and in the whole shutdown.
    late: Duration,
    late_in_all: Duration,
    /// It was not woken for so long that nothing can be said about times.
    has_stalled: bool,
    zero_waits: usize,
    /// Situations that a good run of worlds has met.
    pub(super) sights: BTreeSet<&'static str>,
}

/// What was so when the shutdown began.
#[derive(Debug)]
struct Beginning {
    at: Moment,
    /// Programs whose leader lived, as far as runinit could know.
    alive: Vec<ProgramId>,
}

impl Rules {
    pub(super) fn new(has_time: bool) -> Self {
        Self {
            before: Vec::new(),
            was_stopping: false,
            early: BTreeMap::new(),
            told_alone: BTreeSet::new(),
            interrupted: BTreeSet::new(),
            ran_after: BTreeMap::new(),
            extended: BTreeMap::new(),
            finished: None,
            is_past_half: false,
            recorded: None,
            has_time,
        }
    }

    pub(super) fn before_step(&mut self, core: &Core) {
        self.before.clear();
        self.before.extend((0..).map_while(|place| core.program(ProgramId(place)).cloned()));
        self.was_stopping = core.shutdown().is_some();
    }

    /// Every program as it is, and as it was before the step.
    fn changes<'a>(
        &'a self,
        core: &'a Core,
    ) -> impl Iterator<Item = (ProgramId, &'a plan::Program, &'a Program, &'a Program)> {
        core.programs()
            .filter_map(|(id, spec, after)| self.before.get(id.0).map(|before| (id, spec, before, after)))
    }

    pub(super) fn after_step(
        &mut self,
        event: &Event,
        core: &Core,
        now: Moment,
        actions: &[Action],
    ) -> Verdict {
        if self.finished.is_some() {
            ensure!(actions.is_empty(), "after the end: {actions:?}");
            return Ok(());
        }
        self.note_extension(event, now);
        self.check_finish(core, actions)?;
        self.check_starts(core, actions)?;
        self.check_order(core, actions)?;
        self.check_transitions(event, core)?;
        self.check_cascades(core, now)?;
        self.check_inspections(core, actions)?;
        self.check_half_time(core, now, actions)?;
        self.check_signals(event, core, actions)?;
        self.check_ctrl_c(event, core, actions)?;
        self.check_checks(event, core, now, actions)?;
        self.check_record(core, now, actions)
    }

    fn check_finish(&mut self, core: &Core, actions: &[Action]) -> Verdict {
        for action in actions {
            ensure!(self.finished.is_none(), "{action:?} after the end");
            if let Action::Finish(code) = action {
                self.finished = Some(*code);
            }
        }
        ensure!(self.finished.is_some() == core.is_finished(), "the core is finished without saying so");
        Ok(())
    }

    fn check_starts(&self, core: &Core, actions: &[Action]) -> Verdict {
        let stopping = self.was_stopping || core.shutdown().is_some();
        let start = actions.iter().find(|action| matches!(action, Action::Spawn(_)));
        ensure!(!stopping || start.is_none(), "{start:?} after the shutdown began");
        for (id, spec, _) in core.programs() {
            let is_started = actions.contains(&Action::Spawn(id));
            let is_ready = |id: &ProgramId| {
                core.program(*id).is_some_and(|program| program.readiness == Readiness::Ready)
            };
            let is_free = |id: &ProgramId| core.program(*id).is_some_and(|p| p.hold == Hold::Free);
            ensure!(
                !is_started || is_free(&id) && spec.after.iter().all(is_free),
                "{} is started, and somebody has stopped it or what it comes after",
                spec.name
            );
            let is_ready = spec.after.iter().all(is_ready);
            ensure!(!is_started || is_ready, "{} is started before what it comes after", spec.name);
        }
        Ok(())
    }
}

impl Checker {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let time = scenario.plan.budget.time_to_kill();
        // A minute for deaths and late wakeups: a longer stall is no reason to cut waits either.
        let needed = scenario.longest_shutdown() + Duration::from_mins(1);
        Self {
            rules: Rules::new(time.is_none_or(|time| time > needed)),
            model: Model::new(&scenario.plan),
            is_cooperative: scenario.is_cooperative,
            has_reloaded: false,
            by_itself: BTreeSet::new(),
            late_ends: BTreeSet::new(),
            began: None,
            births: None,
            now_since: None,
            looks: Vec::new(),
            finished_at: Moment::ZERO,
            unrecorded_since: None,
            owes_record: false,
            late: Duration::ZERO,
            late_in_all: Duration::ZERO,
            has_stalled: false,
            zero_waits: 0,
            sights: BTreeSet::new(),
        }
    }

    pub(super) fn finished(&self) -> Option<u8> {
        self.rules.finished
    }

    pub(super) fn is_late_by(&mut self, late: Duration) {
        self.late += late;
        self.has_stalled |= late > LATE;
        if self.began.is_some() {
            self.late_in_all += late;
        }
    }

    pub(in crate::core::simulation) fn see(&mut self, what: &'static str, is_seen: bool) {
        if is_seen {
            self.sights.insert(what);
        }
    }

    pub(super) fn before_step(&mut self, event: &Event, core: &Core, now: Moment, tries: usize) {
        self.rules.before_step(core);
        let around = Circumstances { plan: core.plan(), now, before: &self.rules.before, tries };
        if self.has_reloaded {
            // The model does not follow what a reload has replaced; that everything stops for it, it has to be told.
            self.model.hear_of_shutdown(core.shutdown().map(|shutdown| shutdown.reason));
        }
        if !self.has_reloaded || matches!(event, Event::Signal(_)) {
            self.model.observe(event, around);
        }
        if matches!(event, Event::Reloaded(_)) {
            self.see_reload(core);
        }
        self.see("no room for a process", tries > 0);
        if let Event::Spawned(id, Ok(_)) = event {
            self.see("an agent", core.plan().programs[id.0].is_agent());
            self.see("a restart", self.rules.before[id.0].started_at.is_some());
            self.by_itself.remove(id);
            self.late_ends.remove(id);
        }
        if let Event::Reaped(reaped) = event {
            for (id, _, program) in core.programs() {
                let State::Running { leader, .. } = program.state else { continue };
                if reaped.iter().any(|child| child.pid == leader) {
                    self.by_itself.insert(id);
                }
            }
        }
    }

    pub(super) fn after_step(
        &mut self,
        event: &Event,
        core: &Core,
        kernel: &FakeKernel,
        now: Moment,
        actions: &[Action],
    ) -> Verdict {
        self.rules.after_step(event, core, now, actions)?;
        if let Event::Spawned(id, Ok(_)) = event {
            self.check_late_start(core, *id)?;
        }
        let reason = core.shutdown().map(|shutdown| shutdown.reason);
        ensure!(
            self.has_reloaded || reason == self.model.reason,
            "reason {reason:?}, not {:?}",
            self.model.reason
        );
        self.note_beginning(core, kernel, now);
        if self.model.is_now() && core.shutdown().is_some() {
            self.now_since.get_or_insert(now);
        }
        for (id, _, program) in core.programs() {
            if matches!(program.state, State::Survived { .. }) {
                self.late_ends.insert(id);
            }
        }
        self.watch_record(core, now, actions);
        self.see_events(event, core);
        Ok(())
    }

    /// A start may be told of when the shutdown has begun: tmux cannot be asked to leave it, and of several answers that tmux
    /// gives at once the first may let somebody start and the next one end everything. Whoever it was is stopped in turn.
    fn check_late_start(&self, core: &Core, id: ProgramId) -> Verdict {
        let spec = &core.plan().programs[id.0];
        let has_agents = core.plan().programs.iter().any(plan::Program::is_agent);
        ensure!(!self.rules.was_stopping || has_agents, "{} was started in a shutdown", spec.name);
        let is_left_running =
            core.program(id).is_some_and(|program| matches!(program.state, State::Running { .. }));
        let is_needed = all_after(core, id).any(|(_, _, program)| !program.is_over());
        ensure!(
            core.shutdown().is_none() || !is_left_running || is_needed,
            "{} was started in a shutdown and is not stopped",
            spec.name
        );
        Ok(())
    }

    fn note_beginning(&mut self, core: &Core, kernel: &FakeKernel, now: Moment) {
        if core.shutdown().is_some() || core.programs().any(|(_, _, program)| !program.taken.is_empty()) {
            self.births.get_or_insert(kernel.births);
        }
        if self.began.is_some() || core.shutdown().is_none() {
            return;
        }
        let alive = self.rules.before.iter().enumerate().filter(|(index, program)| {
            matches!(program.state, State::Running { .. }) && !self.by_itself.contains(&ProgramId(*index))
        });
        let alive = alive.map(|(index, _)| ProgramId(index)).collect();
        self.began = Some(Beginning { at: now, alive });
        self.owes_record = true;
    }

    /// Nothing is known any more about how long everything takes, and what becomes of whom.
    fn see_reload(&mut self, core: &Core) {
        let is_any = |is_so: fn(&State) -> bool| core.programs().any(|(_, _, program)| is_so(&program.state));
        let is_stopping = is_any(|state| matches!(state, State::Stopping { .. }));
        self.see("a reload in the middle of a shutdown", core.shutdown().is_some());
        self.see("a reload in the middle of a stop", core.shutdown().is_none() && is_stopping);
        self.see("a reload with daemons", is_any(|state| matches!(state, State::Leaderless { .. })));
        if core.shutdown().is_none() {
            self.has_reloaded = true;
            self.is_cooperative = false;
            self.rules.has_time = false;
        }
    }

    fn see_events(&mut self, event: &Event, core: &Core) {
        let is_own = |(id, spec, program): (ProgramId, &plan::Program, &Program)| {
            program.leader().is_some() && core.stops_before(id) != spec.after
        };
        self.see("a run that stops in its own order", core.programs().any(is_own));
        match event {
            Event::StepSpawned(_, None) => self.see("a stop command that cannot start", true),
            Event::StdinWritten(_, false) => self.see("a standard input that takes nothing", true),
            Event::Looked(look) => self.see("a blind look", look.blind),
            Event::Signal(_) => {
                self.see("a second signal", self.model.is_now());
                self.see("an early signal", !self.rules.early.is_empty());
            }
            Event::Reaped(_) => self.see("a failed program ends all", is_program_failed(core.shutdown())),
            Event::PassSpawned(None) => self.see("a pass that cannot start", true),
            Event::CheckSpawned(_, None) => self.see("a check that cannot start", true),
            Event::Remaining(remaining) => self.see("somebody at half time", !remaining.named.is_empty()),
            Event::Inspected(..) => self.see("a leader that was late", true),
            Event::Asked(Command::Stop(_)) => self.see("a stop by hand", true),
            Event::Asked(Command::Restart(_)) => self.see("a restart by hand", true),
            Event::CouldNotStop(..) => self.see("a stop that nobody would continue", true),
            Event::HasTerminal(_) => self.see("a program that missed the terminal", true),
            Event::Resumed(_) => self.see("a stop that somebody continued", true),
            _ => {}
        }
        for (_, _, program) in core.programs() {
            match program.fault {
                Some(Fault::NotReady) => self.see("a program that is not ready in time", true),
                Some(Fault::Unhealthy) => self.see("an unhealthy program", true),
                Some(Fault::Silent) => self.see("a silent program", true),
                Some(Fault::NoTerminal) => self.see("a program without its terminal", true),
                None => {}
            }
            self.see("a program that ended too often", program.restarting.is_used_up);
            self.see(
                "an unhealthy program that ended too often",
                program.restarting.is_used_up && program.fault == Some(Fault::Unhealthy),
            );
            let is_over = program.state == State::Ended;
            self.see("a program that stays stopped", is_over && program.hold == Hold::Stopped);
        }
    }

    /// When everything has to be over.
    fn ends_at(&self, core: &Core) -> Option<Moment> {
        let began = self.began.as_ref()?.at;
        let end = core.plan().budget.time_to_record().map(|length| began + length);
        let end_now = self.now_since.map(|since| since + Duration::from_secs(2));
        [end, end_now].into_iter().flatten().min()
    }

    /// When the waiting for anybody has to be over.
    fn kill_at(&self, core: &Core) -> Option<Moment> {
        let began = self.began.as_ref()?.at;
        self.now_since.or(core.plan().budget.time_to_kill().map(|time| began + time))
    }
}

fn is_program_failed(shutdown: Option<&Shutdown>) -> bool {
    use crate::core::shutdown::Reason;
    shutdown.is_some_and(|shutdown| matches!(shutdown.reason, Reason::ProgramFailed(_)))
}

fn is_forever(core: &Core) -> bool {
    core.plan().budget == Budget::Forever
}

/// Nobody waits for those who are left (the way of other inits).
fn leaves(core: &Core) -> bool {
    core.plan().end != End::Sweep
}
