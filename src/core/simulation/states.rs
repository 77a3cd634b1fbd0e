//! Every event in every state that a small plan can be in, those too that no system would send there.
//!
//! States are found by trying: from the beginning on, every event is tried in every new state, now, at the next deadline
//! and long after. What counts as the same state leaves out times and numbers.

use super::invariants::{Rules, Verdict};
use super::small;
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::commanding::Command;
use crate::core::event::{
    Event, GroupState, Look, Notice, Other, Reaped, Received, SpawnFailure, SpawnFailureKind,
};
use crate::core::half_time::{Late, Remaining};
use crate::core::masks::Masks;
use crate::core::plan::{Plan, ProgramId};
use crate::core::process::{Exit, Pid};
use crate::core::program::{Cascade, Program, State};
use crate::core::signal::Signal;
use crate::tmux::Ended;
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

/// The numbers of a program's leader, its stop command, its check and its tmux client.
fn numbers(program: usize) -> [Option<Pid>; 4] {
    let program = i32::try_from(program).unwrap_or_default();
    [10, 20, 30, 40].map(|first| pid(first + program))
}

fn events(plan: &Plan) -> Vec<Event> {
    let received =
        |signal, is_ignored| Event::Signal(Received { is_ignored, ..Received::from_kernel(signal) });
    let stranger = Other {
        pid: Pid::new(99).expect("a pid"),
        pgid: None,
        program: None,
        command: String::new(),
        state: 'S',
    };
    let mut events = vec![
        Event::Tick,
        Event::Reaped(Vec::new()),
        Event::Looked(Look { alone: true, ..Look::default() }),
        Event::Looked(Look { blind: true, ..Look::default() }),
        Event::Looked(Look { others: vec![stranger.clone()], ..Look::default() }),
        Event::Remaining(Remaining { blind: true, ..Remaining::default() }),
        Event::Remaining(Remaining {
            named: vec![Late { process: stranger, masks: None }],
            ..Remaining::default()
        }),
    ];
    events.extend(
        [1, 2, 15, 17, 18, 20, 64].into_iter().filter_map(Signal::new).map(|signal| received(signal, false)),
    );
    events.push(received(Signal::INT, true));
    let mut all = Vec::new();
    for program in 0..plan.programs.len() {
        events.extend(events_of(ProgramId(program)));
        all.extend(numbers(program).into_iter().flatten().map(|pid| Reaped { pid, exit: Exit::Code(1) }));
    }
    events.extend([pid(40), None].map(Event::PassSpawned));
    all.extend(pid(40).map(|pid| Reaped { pid, exit: Exit::Code(0) }));
    all.extend(pid(99).map(|pid| Reaped { pid, exit: Exit::Code(0) }));
    events.push(Event::Reaped(all));
    events
}

/// Those that are about one program.
fn events_of(id: ProgramId) -> Vec<Event> {
    let [leader, stop, check, client] = numbers(id.0);
    let failure = |kind| SpawnFailure { kind, errno: 0, message: String::new() };
    let kinds = [SpawnFailureKind::NotFound, SpawnFailureKind::NoRoom];
    let ends = [Exit::Code(0), Exit::Code(1)];
    let notices = [
        Notice::Ready,
        Notice::Stopping,
        Notice::Status(String::new()),
        Notice::Extend(Duration::from_secs(1)),
        Notice::Unwell,
        Notice::Watchdog(Duration::from_secs(1)),
        Notice::Alive,
    ];
    let mut events: Vec<Event> = kinds.map(|kind| Event::Spawned(id, Err(failure(kind)))).to_vec();
    for number in [leader, stop, check, client].into_iter().flatten() {
        events.extend(ends.map(|exit| Event::Reaped(vec![Reaped { pid: number, exit }])));
        events.push(Event::Stopped(number, Signal::TSTP));
    }
    events.extend(leader.map(|pid| Event::Spawned(id, Ok(pid))));
    events.extend([stop, None].map(|pid| Event::StepSpawned(id, pid)));
    events.extend([check, None].map(|pid| Event::CheckSpawned(id, pid)));
    events.extend([true, false].map(|yes| Event::StdinWritten(id, yes)));
    events.extend([true, false].map(|yes| Event::Checked(id, yes)));
    events.extend([GroupState::Alive, GroupState::Empty].map(|state| Event::Group(id, state)));
    let escapee = pid(40 + i32::try_from(id.0).unwrap_or_default());
    events.push(Event::Sought(vec![(id, Vec::new())]));
    let escapee =
        escapee.map(|pid| Other { pid, pgid: None, program: Some(id), command: String::new(), state: 'S' });
    events.push(Event::Sought(vec![(id, escapee.into_iter().collect())]));
    events.extend(notices.map(|notice| Event::Notified(id, notice)));
    events.extend([client, None].map(|pid| Event::Called(id, pid)));
    events.push(Event::PaneEnded(id));
    let ended = [Ended::With(Exit::Code(1)), Ended::Unknown, Ended::NotYet];
    events.extend(ended.map(|ended| Event::EndTold(id, ended)));
    events.extend([true, false].map(|is_closed| Event::Closed(id, is_closed)));
    events.extend([Event::CouldNotStop(id, Signal::TTIN), Event::HasTerminal(id), Event::Resumed(id)]);
    events.push(Event::Inspected(id, Masks::default()));
    let commands =
        [Command::Stop(id), Command::Start(id), Command::Restart(id), Command::Signal(id, Signal::HUP)];
    events.extend(commands.map(Event::Asked));
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
        let sweep = shutdown.sweep.as_ref().map(|sweep| (sweep.others.len(), shutdown.strays.iter().count()));
        let _ = write!(shape, "{} {sweep:?} {}", shutdown.now, core.is_finished());
    }
    shape
}

fn shape_of(program: &Program) -> String {
    let state = match &program.state {
        State::Waiting { tries, .. } => format!("Waiting {}", *tries > 0),
        State::Starting { .. } => "Starting".to_owned(),
        State::Running { .. } => "Running".to_owned(),
        State::Leaderless { pgid } => format!("Leaderless {}", pgid.is_some()),
        State::Stopping { leader, pgid, cascade } => {
            let (until, command) = (cascade.until.is_some(), cascade.command.is_some());
            let Cascade { step, for_leader, .. } = cascade;
            let (leader, pgid) = (leader.is_some(), pgid.is_some());
            format!("Stopping {leader} {pgid} {step} {until} {command} {for_leader}")
        }
        State::Survived { leader, pgid } => format!("Survived {} {}", leader.is_some(), pgid.is_some()),
        State::Closing => "Closing".to_owned(),
        State::Ended => format!("Ended {}", program.exit.is_some()),
    };
    let asked = program.asking.asked.map(|asked| asked.command.is_some());
    let is_ready = matches!(program.readiness, crate::core::program::Readiness::Ready);
    let has_left = !program.escapees.is_empty();
    let call = program.call.map(|call| (call.question, call.command.is_some(), call.again.is_some()));
    let will = (program.restarting.planned, program.restarting.is_used_up, program.hold);
    format!("{state} {call:?} {has_left} {asked:?} {is_ready} {will:?} {:?}", program.fault)
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
