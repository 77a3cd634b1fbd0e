//! Small plans, and processes that are easy to know: what is tried exhaustively.

use super::life::{Deed, Life, Place};
use super::scenario::{Pace, Scenario, Script};
use super::{fake_kernel::Machine, numbers::Numbers};
use crate::core::budget::Budget;
use crate::core::hygiene::Hygiene;
use crate::core::plan::{End, Kind, Launch, OnFailure, Plan, Program, ProgramId, Step, StepAction};
use crate::core::policy::{Backoff, Check, Health, Ready, ReadyBy, Restart};
use crate::core::signal::Signal;
use crate::tmux::Socket;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn program(name: &str, stop: Vec<Step>) -> Program {
    Program { stop, ..Program::new(name, Launch::default()) }
}

fn term(wait: u64) -> Step {
    Step::signal(Signal::TERM, ms(wait))
}

fn kill(wait: u64) -> Step {
    Step::signal(Signal::KILL, ms(wait))
}

fn run(wait: u64) -> Step {
    Step { action: StepAction::Run(vec!["stop".into()]), wait: ms(wait) }
}

fn text(wait: u64) -> Step {
    Step { action: StepAction::Stdin("quit".to_owned()), wait: ms(wait) }
}

fn keys(wait: u64) -> Step {
    Step { action: StepAction::Keys(vec!["Enter".to_owned()]), wait: ms(wait) }
}

fn received(wait: u64) -> Step {
    Step { action: StepAction::Received, wait: ms(wait) }
}

fn after(mut program: Program, ids: &[usize]) -> Program {
    program.after = ids.iter().copied().map(ProgramId).collect();
    program
}

fn within(budget: u64, programs: Vec<Program>) -> Plan {
    Plan::new(programs, Budget::Within(ms(budget)))
}

/// Each has something that the others have not.
pub(super) fn plans() -> Vec<(&'static str, Plan)> {
    let backoff = Backoff { first: ms(100), max: ms(200), burst: 2, within: ms(10_000) };
    let health = Health { check: exec(), every: ms(100), timeout: ms(50), failures: 1 };
    let wrapped = Program { main: true, ..program("main", vec![received(900)]) };
    let supervised = Program {
        ready: Some(Ready { by: ReadyBy::Check(exec()), timeout: ms(500) }),
        health: Some(health),
        restart: Restart::OnFailure,
        backoff,
        ..program("p", vec![term(100), kill(100)])
    };
    let oneshot =
        Program { oneshot: true, on_failure: OnFailure::Shutdown, ..program("once", vec![term(100)]) };
    let hygiene = Hygiene { every: ms(200), sessions: None, workspaces: None, dry_run: false };
    vec![
        ("wrapper", within(1000, vec![wrapped.clone()])),
        ("wrapper of one child", Plan { single_child: true, ..within(1000, vec![wrapped.clone()]) }),
        (
            "another init",
            Plan {
                stops_on: Vec::new(),
                end: End::Leave(Some(Signal::TERM)),
                ..Plan::new(vec![Program { stop: vec![received(0)], ..wrapped.clone() }], Budget::Forever)
            },
        ),
        ("for ever", Plan::new(vec![program("p", vec![term(100)])], Budget::Forever)),
        ("no time", within(0, vec![program("p", vec![run(0), text(0), run(0), term(0)])])),
        (
            "every kind of step",
            within(2000, vec![program("p", vec![run(100), text(100), term(100), kill(100)])]),
        ),
        (
            "a chain",
            within(
                500,
                vec![program("first", vec![term(300)]), after(program("second", vec![term(300)]), &[0])],
            ),
        ),
        (
            "a main program and a helper",
            within(
                500,
                vec![
                    Program { main: true, ..after(program("main", vec![received(200)]), &[1]) },
                    Program { on_failure: OnFailure::Shutdown, ..program("helper", vec![run(50), kill(50)]) },
                ],
            ),
        ),
        ("one that is supervised", within(500, vec![supervised.clone(), program("other", vec![term(100)])])),
        (
            "once, then another",
            within(500, vec![oneshot.clone(), after(program("p", vec![text(100)]), &[0])]),
        ),
        (
            "a daemon, then another",
            Plan {
                marks_programs: true,
                ..within(500, vec![oneshot, after(program("p", vec![term(100)]), &[0])])
            },
        ),
        (
            "daemons of one that is supervised",
            Plan {
                marks_programs: true,
                ..within(500, vec![supervised.clone(), program("other", vec![term(100)])])
            },
        ),
        (
            "a tmux session and its server",
            within(
                2000,
                vec![
                    Program {
                        kind: Kind::Agent(super::plans::session(0)),
                        restart: Restart::Always,
                        backoff,
                        ..after(program("agent", vec![keys(100), term(100)]), &[1])
                    },
                    Program {
                        kind: Kind::TmuxServer(Socket::parse("s")),
                        ..program("server", vec![term(100)])
                    },
                ],
            ),
        ),
        ("hygiene", Plan { hygiene: Some(hygiene), ..within(500, vec![program("p", vec![term(100)])]) }),
    ]
}

fn exec() -> Check {
    Check::Exec(vec!["check".into()])
}

/// How every process of a small world is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Temper {
    /// It ends when it is told to.
    Good,
    /// Nothing but SIGKILL ends it.
    Stubborn,
    /// As good, but its child is stubborn, and so is the daemon that it has left.
    LeavesOthers,
}

/// A world of this plan in which nothing happens by chance.
pub(super) fn scenario(plan: Plan, temper: Temper, is_init: bool) -> Scenario {
    let stubborn = || Life::endless().ignores(Signal::all().filter(|signal| signal.number() < 32));
    let fork = |place| (Duration::ZERO, Deed::Fork(Rc::new(stubborn()), place));
    let mut life = match temper {
        Temper::Good | Temper::LeavesOthers => Life::endless(),
        Temper::Stubborn => stubborn(),
    };
    if matches!(temper, Temper::LeavesOthers) {
        life.deeds = vec![fork(Place::Group), fork(Place::OwnSession)];
    }
    let life = Rc::new(life);
    let well = Rc::new(Life::endless().ends(ms(10), 0));
    let hanging = Rc::new(stubborn());
    let script = |_: &Program| Script {
        failure: None,
        lives: vec![Rc::clone(&life)],
        stop_commands: (0..4).map(|step| (step, Rc::clone(&hanging))).collect::<BTreeMap<_, _>>(),
        check_commands: vec![Some(Rc::clone(&well))],
        answers: vec![(ms(10), true)],
    };
    Scenario {
        programs: plan.programs.iter().map(script).collect(),
        plan,
        passes: vec![Some(well), Some(hanging)],
        outside: Vec::new(),
        machine: Machine { is_init, is_blind: false, latency: Duration::ZERO, numbers: Numbers::Lowest },
        pace: Pace { late_percent: 0, latest: Duration::ZERO, is_restless: false, batch: 256 },
        no_room: Vec::new(),
        ignores_ctrl_c: false,
        patience: ms(3000),
        is_cooperative: false,
    }
}
