//! The core against a fake kernel, with a fake clock: thousands of random worlds, and every small one.
//!
//! | part                                           | file                                                        |
//! |------------------------------------------------|-------------------------------------------------------------|
//! | processes, groups, numbers, signals, /proc     | `fake_kernel`, `family`, `life`, `killing`, `looking`, `numbers` |
//! | the loop of `runtime`, with a clock that jumps | `world`, `performing`                                       |
//! | tmux                                           | `calling`                                                   |
//! | a seed becomes a world                         | `generate`, `plans`, `lives`, `scenario`, `random`          |
//! | what must hold                                 | `invariants`                                                |
//! | reasons, restarts and exit codes, told again   | `model`                                                     |
//! | every short history of small plans             | `histories`, `small`                                        |
//! | every event in every state of small plans      | `states`, `small`                                           |
//!
//! A failure prints its world's seed, what happened there, and the command that repeats it. `RUNINIT_SIM_SEED` sets the
//! first seed and `RUNINIT_SIM_RUNS` the number of random worlds, `RUNINIT_SIM_MOVES` the length of histories and
//! `RUNINIT_SIM_STATES` the number of states.
#![allow(clippy::similar_names)] // pid and pgid are called so everywhere

mod calling;
mod fake_kernel;
mod family;
mod generate;
mod histories;
mod invariants;
mod killing;
mod life;
mod lives;
mod looking;
mod model;
mod numbers;
mod performing;
mod plans;
mod random;
mod scenario;
mod small;
mod states;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};
use trace::Trace;
use world::{End, World};

/// Worlds of one run, if nobody says otherwise.
const WORLDS: u64 = 3000;
/// Situations that so many worlds must have met, or they are not worth much.
const SIGHTS: [&str; 40] = [
    "a blind look",
    "a check that cannot start",
    "a command that was cut",
    "a cooperative fleet",
    "a failed program ends all",
    "a group that outlives its leader",
    "a leader that was late",
    "a last pass",
    "a pass that cannot start",
    "a pass that was cut",
    "a program given up",
    "a program that stays stopped",
    "a restart by hand",
    "a stop by hand",
    "a program killed",
    "a program that ended too often",
    "a program that is not ready in time",
    "a reload in the middle of a shutdown",
    "a reload in the middle of a stop",
    "a reload with daemons",
    "a run that stops in its own order",
    "a restart",
    "a second signal",
    "a signal that was only handed on",
    "a standard input that takes nothing",
    "a start in tmux that is taken back",
    "a stop command that cannot start",
    "a stray killed",
    "a stray told",
    "a survivor",
    "a tmux that does not answer",
    "an agent",
    "an early signal",
    "an escapee killed",
    "an escapee told",
    "an end at the last moment",
    "an unhealthy program",
    "a silent program",
    "no room for a process",
    "somebody at half time",
];

/// What a world came to.
struct Outcome {
    verdict: Result<End, String>,
    sights: Vec<&'static str>,
    trace: String,
}

fn run(seed: u64, trace: Trace) -> Outcome {
    let mut world = World::new(generate::scenario(seed), seed, trace);
    let verdict = catch_unwind(AssertUnwindSafe(|| world.run()));
    let verdict = verdict.unwrap_or_else(|_| Err("a panic".to_owned()));
    Outcome {
        verdict,
        sights: world.sights().iter().copied().collect(),
        trace: world.trace.text().to_owned(),
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seed_of_today() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    random::Random::new(now.map_or(0, |now| now.subsec_nanos().into())).next() >> 16
}

#[test]
fn random_worlds_keep_every_promise() {
    let first = setting("RUNINIT_SIM_SEED").unwrap_or_else(seed_of_today);
    let count = setting("RUNINIT_SIM_RUNS").unwrap_or(WORLDS);
    println!("RUNINIT_SIM_SEED={first} RUNINIT_SIM_RUNS={count}");
    let began = Instant::now();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failures: Vec<(u64, String)> = Vec::new();
    for seed in first..first + count {
        let outcome = run(seed, Trace::default());
        for sight in outcome.sights {
            *seen.entry(sight).or_default() += 1;
        }
        failures.extend(outcome.verdict.err().map(|wrong| (seed, wrong)));
    }
    report(&failures, count, began.elapsed());
    println!("{count} worlds in {:?}: {seen:#?}", began.elapsed());
    if count >= WORLDS {
        let missing: Vec<_> = SIGHTS.iter().filter(|sight| !seen.contains_key(**sight)).collect();
        assert!(missing.is_empty(), "never seen in {count} worlds: {missing:?}");
    }
}

/// Of the worlds that failed, names one of each kind and shows the one with the shortest story.
fn report(failures: &[(u64, String)], count: u64, took: Duration) {
    let mut kinds: BTreeMap<String, (usize, u64, usize)> = BTreeMap::new();
    let mut shortest: Option<(usize, String)> = None;
    for (seed, wrong) in failures {
        let kind: String =
            wrong.replace(|letter: char| letter.is_ascii_digit(), "").chars().take(60).collect();
        let trace = run(*seed, Trace::on()).trace;
        let length = trace.lines().count();
        let (times, example, best) = kinds.entry(kind).or_insert((0, *seed, length));
        *times += 1;
        if length < *best {
            (*example, *best) = (*seed, length);
        }
        if shortest.as_ref().is_none_or(|(best, _)| length < *best) {
            let command =
                format!("RUNINIT_SIM_SEED={seed} RUNINIT_SIM_RUNS=1 cargo test --lib simulation::random");
            shortest = Some((length, format!("{trace}\n{wrong}\n\nto repeat it: {command}")));
        }
    }
    let Some((_, story)) = shortest else { return };
    for (kind, (times, example, _)) in kinds {
        println!("{times:>6} times, as with seed {example}: {kind}");
    }
    panic!("{} of {count} worlds failed in {took:?}\n\n{story}", failures.len());
}
