//! Random scenarios: a seed in, a world out.

use super::fake_kernel::Machine;
use super::life::Life;
use super::lives::{Lives, Mood};
use super::numbers::Numbers;
use super::plans::{Plans, is_polite};
use super::random::Random;
use super::scenario::{Outside, Pace, Scenario, Script};
use crate::core::budget::Moment;
use crate::core::commanding::Command;
use crate::core::event::SpawnFailureKind;
use crate::core::plan::{End, Plan, Program, ProgramId, StepAction};
use crate::core::policy::Restart;
use crate::core::signal::Signal;
use std::rc::Rc;
use std::time::Duration;

/// Nothing comes from outside after this but what ends the world.
const LAST_EVENT: Duration = Duration::from_secs(25);
/// Signals from outside, besides those that ask for the end.
const SIGNALS: [i32; 15] = [1, 2, 3, 10, 12, 13, 15, 17, 17, 18, 20, 28, 34, 37, 64];

/// The world of a seed.
pub(super) fn scenario(seed: u64) -> Scenario {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mood = random.pick(&[Mood::Cooperative, Mood::Mixed, Mood::Mixed, Mood::Hostile]);
    let plan = Plans { random, mood }.plan();
    let programs = scripts(random, &plan, mood);
    let outside = outside(random, mood, &plan);
    // tmux takes its own time, and so does hygiene.
    let takes_time = plan.programs.iter().any(Program::is_agent) || plan.hygiene.is_some();
    let is_cooperative =
        mood == Mood::Cooperative && is_polite(&plan) && plan.end == End::Sweep && !takes_time;
    let passes = passes(random, &plan, mood);
    Scenario {
        plan,
        programs,
        passes,
        outside,
        machine: machine(random),
        pace: pace(random),
        no_room: no_room(random),
        ignores_ctrl_c: random.chance(15),
        patience: Duration::from_secs(40),
        is_cooperative,
    }
}

fn machine(random: &mut Random) -> Machine {
    Machine {
        is_init: random.chance(50),
        is_blind: random.chance(10),
        latency: Duration::from_micros(random.pick(&[0, 20, 500])),
        numbers: random.pick(&[Numbers::Lowest, Numbers::Next { last: 1 }]),
    }
}

fn pace(random: &mut Random) -> Pace {
    Pace {
        late_percent: random.pick(&[0, 0, 20, 50]),
        latest: Duration::from_micros(random.pick(&[100, 1000, 30_000])),
        is_restless: random.chance(30),
        batch: random.pick(&[1, 2, 256]),
    }
}

fn no_room(random: &mut Random) -> Vec<(Moment, Moment)> {
    let mut windows = Vec::new();
    if random.chance(15) {
        windows.push((Moment::ZERO, random.time(Duration::from_secs(12))));
    }
    if random.chance(10) {
        let from = random.time(LAST_EVENT);
        windows.push((from, from + random.time(Duration::from_secs(10))));
    }
    windows
}

fn scripts(random: &mut Random, plan: &Plan, mood: Mood) -> Vec<Script> {
    let mut scripts = Vec::new();
    for (index, program) in plan.programs.iter().enumerate() {
        scripts.push(script(random, program, ProgramId(index), mood));
    }
    scripts
}

fn passes(random: &mut Random, plan: &Plan, mood: Mood) -> Vec<Option<Rc<Life>>> {
    let count = if plan.hygiene.is_some() { 5 } else { 0 };
    let mut lives = Lives::new(random, mood);
    (0..count).map(|_| lives.pass()).collect()
}

fn script(random: &mut Random, program: &Program, id: ProgramId, mood: Mood) -> Script {
    let kinds = [
        SpawnFailureKind::NotFound,
        SpawnFailureKind::NotExecutable,
        SpawnFailureKind::Busy,
        SpawnFailureKind::NoRoom,
    ];
    let failure = random.chance(6).then(|| (random.pick(&[0, 0, 1, 2]), random.pick(&kinds)));
    let mut lives = Lives::new(random, mood);
    let mut stop_commands = std::collections::BTreeMap::new();
    for (step, _) in
        program.stop.iter().enumerate().filter(|(_, step)| matches!(step.action, StepAction::Run(_)))
    {
        if lives.random.chance(85) {
            stop_commands.insert(step, lives.stop_command(id));
        }
    }
    let is_healthy = lives.random.chance(50);
    Script {
        failure,
        lives: (0..if program.restart == Restart::Never { 1 } else { 3 }).map(|_| lives.leader()).collect(),
        stop_commands,
        check_commands: (0..5).map(|_| lives.check_command(is_healthy)).collect(),
        answers: (0..5).map(|_| lives.answer(is_healthy)).collect(),
    }
}

fn outside(random: &mut Random, mood: Mood, plan: &Plan) -> Vec<(Moment, Outside)> {
    let mut events = Vec::new();
    let mut lives = Lives::new(random, mood);
    let begins = lives.time(LAST_EVENT);
    if lives.random.chance(85) && !plan.stops_on.is_empty() {
        events.push((begins, Outside::Signal(lives.random.pick(&plan.stops_on))));
        if lives.random.chance(25) {
            let later = begins + lives.time(Duration::from_secs(10));
            events.push((later, Outside::Signal(Signal::TERM)));
        }
    }
    for _ in 0..lives.random.below(5) {
        let at = lives.time(LAST_EVENT);
        let number = lives.random.pick(&SIGNALS);
        events.extend(Signal::new(number).map(|signal| (at, Outside::Signal(signal))));
    }
    // Nobody can ask those who go by another name.
    if lives.random.chance(40) && plan.end == End::Sweep && !plan.programs.is_empty() {
        for _ in 0..=lives.random.below(5) {
            let at = lives.time(LAST_EVENT);
            events.push((at, Outside::Asks(command(lives.random, plan))));
        }
    }
    if lives.random.chance(6) {
        let at = lives.time(LAST_EVENT);
        let length = lives.time(Duration::from_secs(12));
        events.push((at, Outside::Stall(length)));
    }
    if lives.random.chance(15) {
        let at = lives.time(LAST_EVENT);
        let life = lives.neighbour();
        events.push((at, Outside::Joins(life)));
    }
    if plan.end == End::Sweep && !plan.stops_on.is_empty() && lives.random.chance(15) {
        for _ in 0..lives.random.between(1, 4) {
            // Often while something is being stopped.
            let at = if lives.random.chance(30) { begins } else { lives.time(LAST_EVENT) };
            let plan = Plans { random: lives.random, mood }.another(plan);
            events.push((at, Outside::Reload(Box::new(plan))));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn command(random: &mut Random, plan: &Plan) -> Command {
    let ids: Vec<ProgramId> = (0..plan.programs.len()).map(ProgramId).collect();
    let id = random.pick(&ids);
    let number = random.pick(&[1, 2, 15, 18, 34]);
    match (random.below(4), Signal::new(number)) {
        (0, _) => Command::Stop(id),
        (1, _) => Command::Start(id),
        (2, Some(signal)) => Command::Signal(id, signal),
        _ => Command::Restart(id),
    }
}
