//! Random plans: one wrapped program, a fleet, or another init's way.

use super::lives::Mood;
use super::random::Random;
use crate::core::budget::Budget;
use crate::core::hygiene::Hygiene;
use crate::core::plan::{
    End, Kind, Launch, OnFailure, Plan, Program, ProgramId, Rewrite, Step, StepAction, TerminalStops,
};
use crate::core::policy::{Backoff, Check, Health, Ready, ReadyBy, Restart};
use crate::core::signal::Signal;
use crate::tmux::{Session, Socket};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The waits of steps, in milliseconds.
const WAITS_MS: [u64; 8] = [0, 1, 50, 200, 500, 1000, 5000, 60_000];
/// Budgets that are not for ever, in milliseconds.
const BUDGETS_MS: [u64; 8] = [0, 1, 100, 500, 2000, 9000, 9000, 60_000];
/// Signals of steps and rewrites.
const SIGNALS: [i32; 6] = [1, 2, 3, 10, 15, 37];

pub(super) struct Plans<'a> {
    pub(super) random: &'a mut Random,
    pub(super) mood: Mood,
}

impl Plans<'_> {
    pub(super) fn plan(&mut self) -> Plan {
        let budget = if self.random.chance(15) { Budget::Forever } else { self.budget() };
        let mut plan = match self.random.below(20) {
            0 => return self.other_init(),
            1..=4 => Plan::new(vec![self.wrapped(budget)], budget),
            _ => Plan { marks_programs: self.random.chance(70), ..Plan::new(self.fleet(), budget) },
        };
        plan.rewrite = self.rewrite(15);
        plan.hygiene = self.random.chance(20).then(|| self.hygiene());
        plan.single_child = self.random.chance(20);
        plan.seed = self.random.next();
        if self.random.chance(30) {
            plan.stops_on = vec![Signal::TERM];
        }
        plan
    }

    fn hygiene(&mut self) -> Hygiene {
        let every = self.time(&[100, 1000, 5000, 60_000]);
        Hygiene { every, sessions: None, workspaces: None, dry_run: false }
    }

    fn budget(&mut self) -> Budget {
        Budget::Within(self.time(&BUDGETS_MS))
    }

    fn time(&mut self, of_ms: &[u64]) -> Duration {
        Duration::from_millis(self.random.pick(of_ms))
    }

    fn wait(&mut self) -> Duration {
        self.time(&WAITS_MS)
    }

    fn signal(&mut self) -> Signal {
        let signals: Vec<Signal> = SIGNALS.into_iter().filter_map(Signal::new).collect();
        self.random.pick(&signals)
    }

    fn wrapped(&mut self, budget: Budget) -> Program {
        let wait = budget.time_to_kill().unwrap_or(Duration::ZERO);
        let action =
            if self.random.chance(80) { StepAction::Received } else { StepAction::Signal(Signal::QUIT) };
        let launch = Launch { foreground: self.random.chance(50), ..Launch::default() };
        Program { main: true, stop: vec![Step { action, wait }], ..Program::new("main", launch) }
    }

    /// Nothing begins a shutdown but the program's end, nobody is killed, and nobody is waited for.
    fn other_init(&mut self) -> Plan {
        let parting = self.random.chance(50).then_some(Signal::TERM);
        Plan {
            stops_on: Vec::new(),
            end: End::Leave(parting),
            terminal_stops: self.random.pick(&[
                TerminalStops::Keep,
                TerminalStops::Forward,
                TerminalStops::ForwardAndStop,
            ]),
            zero_codes: self.random.pick(&[vec![], vec![143, 1]]),
            single_child: self.random.chance(50),
            rewrite: self.rewrite(30),
            ..Plan::new(vec![self.wrapped(Budget::Forever)], Budget::Forever)
        }
    }

    /// What a configuration says after somebody has changed it: another fleet, of which some programs bear the names of
    /// these, or the same with some of them changed, gone or new.
    pub(super) fn another(&mut self, plan: &Plan) -> Plan {
        if self.random.chance(30) {
            return Plan { programs: self.fleet(), ..plan.clone() };
        }
        let kept: Vec<usize> = (0..plan.programs.len()).filter(|_| self.random.chance(80)).collect();
        let place = |id: &ProgramId| kept.iter().position(|kept| *kept == id.0).map(ProgramId);
        let mut programs = Vec::new();
        for index in &kept {
            let mut program = plan.programs[*index].clone();
            program.after = program.after.iter().filter_map(place).collect();
            if self.random.chance(40) {
                program.stop = self.cascade();
            }
            programs.push(program);
        }
        for number in 0..self.random.below(3) {
            let after = (0..programs.len()).filter(|_| self.random.chance(20)).map(ProgramId).collect();
            let new = Program::new(&format!("new{number}"), Launch::default());
            let program = Program { after, stop: self.cascade(), ..new };
            programs.push(self.supervised(program, 30));
        }
        Plan { programs, ..plan.clone() }
    }

    fn fleet(&mut self) -> Vec<Program> {
        // Now and then more than start in one round.
        let count =
            if self.random.chance(2) { self.random.between(17, 36) } else { self.random.between(1, 8) };
        let main = self.random.chance(60).then(|| self.random.below(count));
        // Dependencies go from a random rank to a lower one, so the order of the file says nothing.
        let mut rank: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            rank.swap(place, self.random.below(place + 1));
        }
        let density = self.random.pick(&[0, 20, 50]);
        let supervised = self.random.pick(&[0, 0, 40]);
        let agents = self.random.pick(&[0, 0, 50]);
        let mut programs = Vec::new();
        for index in 0..count {
            let below = (0..count).filter(|&other| rank[other] < rank[index]).map(ProgramId);
            let after = below.filter(|_| self.random.chance(density)).collect();
            let program = Program {
                main: main == Some(index),
                after,
                stop: self.cascade(),
                signals: self.rewrite(10),
                success_codes: self.random.pick(&[vec![0], vec![0, 143], vec![1, 2], vec![0, 137, 165]]),
                on_failure: self.random.pick(&[OnFailure::Ignore, OnFailure::Ignore, OnFailure::Shutdown]),
                ..Program::new(&format!("p{index}"), Launch::default())
            };
            let mut program = self.supervised(program, supervised);
            if self.random.chance(agents) {
                program.kind = Kind::Agent(session(rank[index]));
            }
            programs.push(program);
        }
        programs
    }

    /// With readiness, health and restarts, each with this chance.
    fn supervised(&mut self, mut program: Program, percent: u64) -> Program {
        program.oneshot = self.random.chance(percent / 2);
        if self.random.chance(percent) {
            let timeout = self.time(&[1, 200, 3000, 30_000]);
            program.ready = Some(Ready { by: self.ready_by(), timeout });
        }
        if self.random.chance(percent) {
            program.health = Some(Health {
                check: self.check(),
                every: self.time(&[500, 1000, 5000]),
                timeout: self.time(&[1, 200, 1000]),
                failures: u32::try_from(self.random.between(1, 3)).unwrap_or(1),
            });
        }
        if self.random.chance(percent) {
            program.restart = self.random.pick(&[Restart::OnFailure, Restart::Always]);
            program.backoff = Backoff {
                first: self.time(&[0, 50, 500]),
                max: self.time(&[500, 2000]),
                burst: u32::try_from(self.random.between(1, 5)).unwrap_or(1),
                within: self.time(&[1000, 10_000, 60_000]),
            };
        }
        program
    }

    fn ready_by(&mut self) -> ReadyBy {
        match self.random.below(4) {
            0 => ReadyBy::Notify,
            1 => ReadyBy::Descriptor(3),
            2 => ReadyBy::Delay(self.time(&[0, 100, 2000])),
            _ => ReadyBy::Check(self.check()),
        }
    }

    fn check(&mut self) -> Check {
        match self.random.below(4) {
            0 => Check::File("/ready".into()),
            1 => Check::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))),
            _ => Check::Exec(vec!["check".into()]),
        }
    }

    fn cascade(&mut self) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..self.random.below(4)).map(|_| self.step()).collect();
        if steps.is_empty() || self.random.chance(50) {
            steps.push(Step::signal(Signal::TERM, self.wait()));
        }
        if self.random.chance(60) {
            steps.push(Step::signal(Signal::KILL, self.wait()));
        }
        if self.random.chance(2) {
            steps.insert(self.random.below(steps.len()), Step::signal(Signal::KILL, self.wait()));
        }
        steps
    }

    fn step(&mut self) -> Step {
        let kinds = if self.mood == Mood::Cooperative { 5 } else { 8 };
        let action = match self.random.below(kinds) {
            0..=2 => StepAction::Signal(self.signal()),
            3 | 4 => StepAction::Received,
            5 | 6 => StepAction::Run(vec!["stop".into()]),
            _ => StepAction::Stdin("quit\n".to_owned()),
        };
        Step { action, wait: self.wait() }
    }

    fn rewrite(&mut self, percent: u64) -> Rewrite {
        let mut rewrite = Rewrite::new();
        if !self.random.chance(percent) {
            return rewrite;
        }
        for _ in 0..self.random.between(1, 2) {
            let to = self.random.chance(70).then(|| self.signal());
            rewrite.insert(self.signal(), to);
        }
        rewrite
    }
}

/// In a server that was there before.
pub(super) fn session(number: usize) -> Session {
    let name = format!("s{number}");
    Session { socket: Socket::parse(Socket::DEFAULT), name, size: Session::SIZE, history: 0 }
}

/// True if the first thing that each cascade does reaches everybody.
pub(super) fn is_polite(plan: &Plan) -> bool {
    let is_signal =
        |step: &Step| matches!(step.action, StepAction::Signal(_) | StepAction::Received) && !step.is_kill();
    plan.programs.iter().all(|program| program.stop.first().is_some_and(is_signal))
}
