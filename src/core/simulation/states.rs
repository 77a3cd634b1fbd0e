//! Every event in every state that a small plan can be in, those too that no system would send there.
//!
//! States are found by trying: from the beginning on, every event is tried in every new state, now, at the next deadline
//! and long after. What counts as the same state leaves out times and numbers.

use super::invariants::{Rules, Verdict};
use super::small;
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::event::{
    Event, GroupState, Look, Notice, Other, Reaped, Received, SpawnFailure, SpawnFailureKind,
};
use crate::core::plan::{Plan, ProgramId};
use crate::core::process::{Exit, Pid};
use crate::core::program::{Program, State};
use crate::core::signal::Signal;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;
use std::time::Duration;

/// When an event comes.
#[derive(Clone, Copy, Debug)]
enum When {
    Now,
    AtDeadline,
    LongAfter,
}

/// More states of a plan than this are not looked for; `RUNINIT_SIM_STATES` sets another number.
const MOST_STATES: u64 = 100;

/// How a state is reached, and what must hold from there on.
#[derive(Clone)]
struct Path {
    events: Vec<(Moment, Event)>,
    now: Moment,
    rules: Rules,
}

impl Path {
    /// The core at the end of it.
    fn walk(&self, plan: &Plan) -> Core {
        let mut core = Core::new(plan.clone());
        let mut actions = Vec::new();
        for (now, event) in &self.events {
            core.step(event.clone(), *now, &mut actions);
            actions.clear();
        }
        core
    }

    /// One step further.
    fn step(&mut self, core: &mut Core, when: When, event: &Event) -> Verdict {
        self.now = match when {
            When::Now => self.now,
            When::AtDeadline => core.deadline().unwrap_or(self.now).max(self.now),
            When::LongAfter => self.now + Duration::from_hours(1),
        };
        let mut actions: Vec<Action> = Vec::new();
        self.rules.before_step(core);
        core.step(event.clone(), self.now, &mut actions);
        self.events.push((self.now, event.clone()));
        self.rules.after_step(event, core, self.now, &actions)
    }
}

fn pid(number: i32) -> Option<Pid> {
    Pid::new(number)
}

/// The numbers of a program's leader, its stop command and its check.
fn numbers(program: usize) -> [Option<Pid>; 3] {
    let program = i32::try_from(program).unwrap_or_default();
    [pid(10 + program), pid(20 + program), pid(30 + program)]
}

fn events(plan: &Plan) -> Vec<Event> {
    let signal = |signal| Event::Signal(Received { signal, sender: None });
    let stranger =
        Other { pid: Pid::new(99).expect("a pid"), pgid: None, command: String::new(), state: 'S' };
    let mut events = vec![
        Event::Tick,
        Event::Reaped(Vec::new()),
        Event::Looked(Look { alone: true, ..Look::default() }),
        Event::Looked(Look { blind: true, ..Look::default() }),
        Event::Looked(Look { others: vec![stranger], ..Look::default() }),
    ];
    events.extend([1, 2, 15, 17, 18, 20, 64].into_iter().filter_map(Signal::new).map(signal));
    let mut all = Vec::new();
    for program in 0..plan.programs.len() {
        events.extend(events_of(ProgramId(program)));
        all.extend(numbers(program).into_iter().flatten().map(|pid| Reaped { pid, exit: Exit::Code(1) }));
    }
    all.extend(pid(99).map(|pid| Reaped { pid, exit: Exit::Code(0) }));
    events.push(Event::Reaped(all));
    events
}

/// Those that are about one program.
fn events_of(id: ProgramId) -> Vec<Event> {
    let [leader, stop, check] = numbers(id.0);
    let failure = |kind| SpawnFailure { kind, errno: 0, message: String::new() };
    let kinds = [SpawnFailureKind::NotFound, SpawnFailureKind::NoRoom];
    let ends = [Exit::Code(0), Exit::Code(1)];
    let notices = [
        Notice::Ready,
        Notice::Stopping,
        Notice::Status(String::new()),
        Notice::Extend(Duration::from_secs(1)),
        Notice::Unwell,
    ];
    let mut events: Vec<Event> = kinds.map(|kind| Event::Spawned(id, Err(failure(kind)))).to_vec();
    for number in [leader, stop, check].into_iter().flatten() {
        events.extend(ends.map(|exit| Event::Reaped(vec![Reaped { pid: number, exit }])));
        events.push(Event::Stopped(number, Signal::TSTP));
    }
    events.extend(leader.map(|pid| Event::Spawned(id, Ok(pid))));
    events.extend([stop, None].map(|pid| Event::StepSpawned(id, pid)));
    events.extend([check, None].map(|pid| Event::CheckSpawned(id, pid)));
    events.extend([true, false].map(|yes| Event::StdinWritten(id, yes)));
    events.extend([true, false].map(|yes| Event::Checked(id, yes)));
    events.extend([GroupState::Alive, GroupState::Empty].map(|state| Event::Group(id, state)));
    events.extend(notices.map(|notice| Event::Notified(id, notice)));
    events.push(Event::CouldNotStop(id, Signal::TTIN));
    events
}

/// What a state is, without times and numbers.
fn shape(core: &Core) -> String {
    let mut shape = String::new();
    for (_, _, program) in core.programs() {
        // Writing to a string does not fail.
        let _ = write!(shape, "{}; ", shape_of(program));
    }
    if let Some(shutdown) = core.shutdown() {
        let sweep = shutdown.sweep.as_ref().map(|sweep| (sweep.others.len(), sweep.strays.len()));
        let _ = write!(shape, "{} {sweep:?} {}", shutdown.now, core.is_finished());
    }
    shape
}

fn shape_of(program: &Program) -> String {
    let state = match &program.state {
        State::Waiting { tries, .. } => format!("Waiting {}", *tries > 0),
        State::Starting { .. } => "Starting".to_owned(),
        State::Running { .. } => "Running".to_owned(),
        State::Leaderless { .. } => "Leaderless".to_owned(),
        State::Stopping { leader, cascade, .. } => {
            let (until, command) = (cascade.until.is_some(), cascade.command.is_some());
            format!("Stopping {} {} {until} {command} {}", leader.is_some(), cascade.step, cascade.for_leader)
        }
        State::Survived { leader, .. } => format!("Survived {}", leader.is_some()),
        State::Ended => format!("Ended {}", program.exit.is_some()),
    };
    let asked = program.asking.asked.map(|asked| asked.command.is_some());
    let is_ready = matches!(program.readiness, crate::core::program::Readiness::Ready);
    format!("{state} {asked:?} {is_ready} {} {:?}", program.restarting.planned, program.fault)
}

/// Tries every event in every state that is found; returns how many states and steps that was.
fn explore(plan: &Plan, most: usize) -> Verdict<(usize, usize)> {
    let events = events(plan);
    let mut known = BTreeSet::from([shape(&Core::new(plan.clone()))]);
    let start = Path { events: Vec::new(), now: Moment::ZERO, rules: Rules::new(false) };
    let mut paths = VecDeque::from([start]);
    let mut steps = 0;
    while let Some(path) = paths.pop_front() {
        for when in [When::Now, When::AtDeadline, When::LongAfter] {
            for event in &events {
                let mut core = path.walk(plan);
                let mut longer = path.clone();
                let verdict = longer.step(&mut core, when, event);
                verdict.map_err(|wrong| format!("{:#?}: {wrong}", longer.events))?;
                steps += 1;
                if known.len() < most && known.insert(shape(&core)) {
                    paths.push_back(longer);
                }
            }
        }
    }
    Ok((known.len(), steps))
}

#[test]
fn every_event_in_every_state_keeps_the_rules() {
    let most = super::setting("RUNINIT_SIM_STATES").unwrap_or(MOST_STATES);
    for (name, plan) in small::plans() {
        match explore(&plan, usize::try_from(most).unwrap_or(usize::MAX)) {
            Ok((states, steps)) => println!("{name}: {states} states, {steps} steps"),
            Err(wrong) => panic!("{name}: {wrong}"),
        }
    }
}
