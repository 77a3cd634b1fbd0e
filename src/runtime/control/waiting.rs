//! What somebody waits for, and whether it has come true.

use crate::control::protocol::{self, Message};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::plan::{self, ProgramId};
use crate::core::program::{Fate, Hold, Program, Readiness, State};
use std::collections::BTreeSet;

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// This program to have stopped, and all of these.
    Stopped(ProgramId, String, Vec<ProgramId>),
    /// This program to be ready, after a start since then.
    Started(ProgramId, String, Moment),
    /// This program, which is to be forgotten, to be gone.
    Gone(ProgramId, String),
    /// What was said about a reload: everything that has changed to be stopped, and these to be ready, after a start since then.
    Reloaded(String, Vec<(ProgramId, String)>, Moment),
}

/// What it has come to, for people.
pub(super) type Outcome = Result<String, String>;

/// The answer.
pub(super) fn line(outcome: &Outcome) -> String {
    match outcome {
        Ok(message) => protocol::answer(&Message { message: message.clone() }),
        Err(why) => protocol::refusal(why),
    }
}

impl Wait {
    /// For a reload that has just been; of these it was so before it already.
    pub(super) fn reloaded(core: &Core, told: String, before: &[Beginner], now: Moment) -> Self {
        let new = beginners(core).into_iter().filter(|beginner| !before.contains(beginner));
        Self::Reloaded(told, new.map(|beginner| (beginner.id, beginner.spec.name)).collect(), now)
    }

    /// `None`: it has to be waited for.
    pub(super) fn outcome(&self, core: &Core) -> Option<Outcome> {
        match self {
            Self::Reloaded(text, new, since) => reloaded(core, text, new, *since),
            Self::Gone(id, name) => match find(core, *id, name) {
                Some((_, Program { state: State::Survived { .. }, .. })) => Some(Err(survived(name))),
                // The record of a shutdown still has it.
                Some((_, Program { fate: Fate::Removed, state: State::Ended, .. })) | None => {
                    Some(Ok(format!("{name}: removed")))
                }
                Some((_, Program { fate: Fate::Removed, .. })) => None,
                Some(_) => Some(Err(format!("{name}: somebody has brought it back"))),
            },
            Self::Stopped(_, _, all) if all.iter().any(|id| is_being_stopped(core, *id)) => None,
            Self::Stopped(id, name, _) => match find(core, *id, name) {
                Some((_, program)) => stopped(name, program),
                None => Some(Ok(format!("{name}: stopped, and no longer there"))),
            },
            Self::Started(id, name, since) => begun(core, *id, name, *since),
        }
    }
}

/// One that is to start as this, or has not come further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginner {
    id: ProgramId,
    spec: plan::Program,
    is_given_up: bool,
}

/// Nobody waits for a server but those who live in it.
pub(super) fn beginners(core: &Core) -> Vec<Beginner> {
    let beginner = |(id, spec, program): (ProgramId, &plan::Program, &Program)| {
        let is_given_up = program.state == State::Ended && program.started_at.is_none();
        let next = program.successor();
        let is_to_start =
            next.is_some() || matches!(program.state, State::Waiting { .. } | State::Starting { .. });
        let is_one = !spec.is_server() && program.fate != Fate::Removed && (is_to_start || is_given_up);
        is_one.then(|| Beginner { id, spec: next.unwrap_or(spec).clone(), is_given_up })
    };
    core.programs().filter_map(beginner).collect()
}

/// The place may be another program's by now.
fn find<'a>(core: &'a Core, id: ProgramId, name: &str) -> Option<(&'a plan::Program, &'a Program)> {
    let mut programs = core.programs();
    let (_, spec, program) = programs.find(|(known, spec, _)| *known == id && spec.name == name)?;
    Some((spec, program))
}

fn is_being_stopped(core: &Core, id: ProgramId) -> bool {
    let is_going = |program: &Program| program.hold == Hold::Stopped && !program.is_over();
    core.program(id).is_some_and(is_going)
}

fn survived(name: &str) -> String {
    format!("{name}: it is still there after SIGKILL")
}

fn begun(core: &Core, id: ProgramId, name: &str, since: Moment) -> Option<Outcome> {
    match find(core, id, name) {
        Some((spec, program)) => started(core, spec, program, since),
        None => Some(Err(format!("{name}: it is no longer there"))),
    }
}

fn reloaded(core: &Core, text: &str, new: &[(ProgramId, String)], since: Moment) -> Option<Outcome> {
    let leaving = core.programs().filter(|(_, _, program)| program.fate != Fate::Stays);
    let (survivors, others): (Vec<_>, Vec<_>) =
        leaving.partition(|(_, _, program)| matches!(program.state, State::Survived { .. }));
    if !others.is_empty() && core.shutdown().is_none() {
        return None;
    }
    let mut wrong: Vec<String> = survivors.iter().map(|(_, spec, _)| survived(&spec.name)).collect();
    // Nobody waits for those who wait for somebody's hand.
    let is_held = |id: ProgramId| {
        let is_stopped = core.program(id).is_some_and(|program| program.hold == Hold::Stopped);
        is_stopped || stopped_before(core, &core.plan().programs[id]).is_some()
    };
    let awaited = new.iter().filter(|(id, _)| !is_held(*id));
    for (id, name) in awaited {
        match begun(core, *id, name, since) {
            None => return None,
            Some(Err(why)) if !wrong.contains(&why) => wrong.push(why),
            _ => {}
        }
    }
    if wrong.is_empty() {
        Some(Ok(text.to_owned()))
    } else {
        Some(Err(format!("{text}\n{}", wrong.join("\n"))))
    }
}

fn stopped(name: &str, program: &Program) -> Option<Outcome> {
    match (&program.state, program.hold) {
        (State::Ended, _) => Some(Ok(match program.how_it_stopped() {
            Some((_, how)) => format!("{name}: stopped: {how}"),
            None => format!("{name}: stopped"),
        })),
        (State::Survived { .. }, _) => Some(Err(survived(name))),
        (State::Waiting { .. } | State::Running { .. }, Hold::Free) if program.fate != Fate::Removed => {
            Some(Err(format!("{name}: somebody has started it again")))
        }
        _ => None,
    }
}

fn started(core: &Core, spec: &plan::Program, program: &Program, since: Moment) -> Option<Outcome> {
    let name = &spec.name;
    let is_new = program.started_at.is_some_and(|at| at >= since) && program.hold == Hold::Free;
    let why = match (&program.state, program.readiness) {
        (State::Running { leader, .. }, Readiness::Ready) if is_new => {
            let ready = if spec.ready.is_some() { " and ready" } else { "" };
            return Some(Ok(format!("{name}: started{ready}, pid {leader}")));
        }
        (State::Ended | State::Leaderless { pgid: None }, Readiness::Ready) if is_new => {
            return Some(Ok(format!("{name}: done")));
        }
        (State::Ended, _) => super::status::problem(core, spec, program),
        // Its daemons go on, and it will not.
        (State::Leaderless { pgid: None }, _) if is_new && !program.restarting.planned => {
            super::status::problem(core, spec, program)
        }
        (State::Waiting { .. }, _) if program.restarting.is_due => {
            super::status::problem(core, spec, program)
        }
        (State::Stopping { .. }, _)
            if is_new && (program.fault.is_some() || program.restarting.is_used_up) =>
        {
            super::status::problem(core, spec, program)
        }
        (State::Survived { .. }, _) => return Some(Err(survived(name))),
        _ if core.shutdown().is_some() => Some("runinit is stopping".to_owned()),
        (State::Waiting { .. }, _) => {
            let survivor = survivor_before(core, spec)
                .map(|name| format!("it waits for {name}, which is still there after SIGKILL"));
            let stopped =
                || Some(format!("it waits for {}, which somebody has stopped", stopped_before(core, spec)?));
            Some(survivor.or_else(stopped)?)
        }
        _ => return None,
    };
    Some(Err(format!("{name}: {}", why.unwrap_or_else(|| "it was not started".to_owned()))))
}

/// One that it waits for, directly or not, and that even SIGKILL has not ended: nobody can tell whether it ever comes back.
fn survivor_before<'a>(core: &'a Core, spec: &plan::Program) -> Option<&'a str> {
    let is_survivor =
        |program: &Program| matches!(program.state, State::Survived { .. }) && !program.is_ready_for_others();
    one_before(core, spec, is_survivor)
}

/// One that it waits for, directly or not, and that somebody has stopped: nobody can tell when that is started.
fn stopped_before<'a>(core: &'a Core, spec: &plan::Program) -> Option<&'a str> {
    one_before(core, spec, |program| program.hold == Hold::Stopped)
}

/// One of this kind that it waits for, directly or not.
fn one_before<'a>(
    core: &'a Core,
    spec: &plan::Program,
    is_such: impl Fn(&Program) -> bool,
) -> Option<&'a str> {
    let (mut open, mut seen) = (spec.after.clone(), BTreeSet::new());
    while let Some(id) = open.pop() {
        let Some(program) = core.program(id).filter(|_| seen.insert(id)) else { continue };
        let spec = &core.plan().programs[id];
        if is_such(program) {
            return Some(&spec.name);
        }
        if matches!(program.state, State::Waiting { .. }) {
            open.extend(&spec.after);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::commanding::Command;
    use crate::core::event::{Event, GroupState, Reaped, SpawnFailure, SpawnFailureKind};
    use crate::core::plan::{Launch, Plan, Step};
    use crate::core::policy::Restart;
    use crate::core::process::{Exit, Pid};
    use crate::core::signal::Signal;
    use std::time::Duration;

    const FIRST: ProgramId = ProgramId(0);

    fn plan(names: &[&str]) -> Plan {
        let program = |name: &&str| {
            let stop = vec![Step::signal(Signal::KILL, Duration::from_secs(1))];
            plan::Program { stop, ..plan::Program::new(name, Launch::default()) }
        };
        Plan::new(names.iter().map(program).collect(), Budget::Within(Duration::from_secs(9)))
    }

    /// Two programs that run when this happens, and what somebody hears of it who waits for this, before SIGKILL was waited
    /// for in vain and after.
    fn outcomes(events: impl IntoIterator<Item = Event>, wait: &Wait) -> [Option<Outcome>; 2] {
        let mut core = Core::new(plan(&["web", "db"]));
        let mut out = Vec::new();
        core.step(Event::Tick, Moment::ZERO, &mut out);
        for (id, pid) in [(0, 100), (1, 101)] {
            let spawned = Event::Spawned(ProgramId(id), Ok(Pid::new(pid).unwrap()));
            core.step(spawned, Moment::ZERO, &mut out);
        }
        for event in events {
            core.step(event, Moment::ZERO, &mut out);
        }
        [0, 2].map(|seconds| {
            core.step(Event::Tick, Duration::from_secs(seconds), &mut out);
            wait.outcome(&core)
        })
    }

    #[test]
    fn nobody_waits_for_what_has_survived() {
        let why = || "web: it is still there after SIGKILL".to_owned();
        let started = Wait::Started(FIRST, "web".to_owned(), Moment::ZERO);
        let asked = Event::Asked(Command::Restart(FIRST));
        assert_eq!(outcomes([asked], &started), [None, Some(Err(why()))]);

        let reloaded = Wait::Reloaded("read again".to_owned(), Vec::new(), Moment::ZERO);
        let changed = Event::Reloaded(Box::new(plan(&["db"])));
        assert_eq!(outcomes([changed], &reloaded), [None, Some(Err("read again\n".to_owned() + &why()))]);
    }

    #[test]
    fn a_failure_is_told_before_the_policy_tries_again() {
        let mut again = plan(&["web"]);
        again.programs[0].restart = Restart::Always;
        let mut core = Core::new(again);
        let mut out = Vec::new();
        core.step(Event::Tick, Moment::ZERO, &mut out);
        let started = Wait::Started(FIRST, "web".to_owned(), Moment::ZERO);
        assert_eq!(started.outcome(&core), None);
        let pid = Pid::new(100).unwrap();
        core.step(Event::Spawned(FIRST, Ok(pid)), Moment::ZERO, &mut out);
        core.step(Event::Reaped(vec![Reaped { pid, exit: Exit::Code(3) }]), Moment::ZERO, &mut out);
        core.step(Event::Group(FIRST, GroupState::Empty), Moment::ZERO, &mut out);
        assert_eq!(
            started.outcome(&core),
            Some(Err("web: exited with code 3; it is started again".to_owned()))
        );
    }

    #[test]
    fn a_reload_is_done_when_what_is_new_is_ready() {
        let mut core = Core::new(plan(&["web"]));
        let mut out = Vec::new();
        let mut step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut out);
        let spawned = |id, pid| Event::Spawned(ProgramId(id), Ok(Pid::new(pid).unwrap()));
        step(&mut core, Event::Tick);
        step(&mut core, spawned(0, 100));
        step(&mut core, Event::Reloaded(Box::new(plan(&["web", "good", "bad"]))));
        let reloaded = Wait::reloaded(&core, "read again".to_owned(), &[], Moment::ZERO);
        assert_eq!(reloaded.outcome(&core), None);
        step(&mut core, Event::Tick);
        step(&mut core, spawned(1, 101));
        assert_eq!(reloaded.outcome(&core), None);
        let message = "cannot run bad".to_owned();
        let failure = SpawnFailure { kind: SpawnFailureKind::NotFound, errno: 2, message };
        step(&mut core, Event::Spawned(ProgramId(2), Err(failure)));
        assert_eq!(reloaded.outcome(&core), Some(Err("read again\nbad: cannot run bad".to_owned())));
    }

    #[test]
    fn a_stop_is_done_when_all_that_come_after_it_have_stopped() {
        let mut plan = plan(&["db", "web"]);
        plan.programs[1].after = vec![FIRST];
        let mut core = Core::new(plan);
        let mut out = Vec::new();
        let mut step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut out);
        let spawned = |id, pid| Event::Spawned(ProgramId(id), Ok(Pid::new(pid).unwrap()));
        let reaped = |pid| {
            let exit = Exit::Code(3);
            Event::Reaped(vec![Reaped { pid: Pid::new(pid).unwrap(), exit }])
        };
        step(&mut core, Event::Tick);
        step(&mut core, spawned(0, 100));
        step(&mut core, spawned(1, 101));
        step(&mut core, reaped(100));
        step(&mut core, Event::Group(FIRST, GroupState::Empty));
        let wait = Wait::Stopped(FIRST, "db".to_owned(), vec![ProgramId(1)]);
        step(&mut core, Event::Asked(Command::Stop(FIRST)));
        step(&mut core, Event::Tick);
        assert_eq!(wait.outcome(&core), None);
        step(&mut core, reaped(101));
        step(&mut core, Event::Group(ProgramId(1), GroupState::Empty));
        assert_eq!(wait.outcome(&core), Some(Ok("db: stopped".to_owned())));
    }

    #[test]
    fn whoever_waits_is_told_what_somebody_else_has_done_meanwhile() {
        let mut core = Core::new(plan(&["db"]));
        let mut out = Vec::new();
        let mut step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut out);
        step(&mut core, Event::Tick);
        step(&mut core, Event::Spawned(FIRST, Ok(Pid::new(100).unwrap())));
        let gone = Wait::Gone(FIRST, "db".to_owned());
        assert_eq!(gone.outcome(&core), Some(Err("db: somebody has brought it back".to_owned())));
        step(&mut core, Event::Asked(Command::Stop(FIRST)));
        let added = plan::Program { after: vec![FIRST], ..plan::Program::new("api", Launch::default()) };
        step(&mut core, Event::Asked(Command::Add(Box::new(added))));
        let started = Wait::Started(ProgramId(1), "api".to_owned(), Moment::ZERO);
        let why = "api: it waits for db, which somebody has stopped";
        assert_eq!(started.outcome(&core), Some(Err(why.to_owned())));
        step(&mut core, Event::Reloaded(Box::new(plan(&["new"]))));
        assert_eq!(Wait::Stopped(FIRST, "db".to_owned(), Vec::new()).outcome(&core), None);
    }

    #[test]
    fn a_reload_does_not_wait_for_what_waits_for_one_that_somebody_has_stopped() {
        let mut later = plan(&["web", "db", "api"]);
        later.programs[2].after = vec![FIRST];
        let reload = || Event::Reloaded(Box::new(later.clone()));
        let new = vec![(ProgramId(2), "api".to_owned())];
        let reloaded = Wait::Reloaded("read again".to_owned(), new, Moment::ZERO);
        let told = Some(Ok("read again".to_owned()));
        assert_eq!(outcomes([Event::Asked(Command::Stop(FIRST)), reload()], &reloaded)[0], told);
        let pid = Pid::new(100).unwrap();
        let ended = Event::Reaped(vec![Reaped { pid, exit: Exit::Code(3) }]);
        let lost = [ended, Event::Group(FIRST, GroupState::Empty), reload()];
        let why = "read again\napi: never started: what it comes after is missing";
        assert_eq!(outcomes(lost, &reloaded)[0], Some(Err(why.to_owned())));
        let restart = Event::Asked(Command::Restart(FIRST));
        assert_eq!(outcomes([restart, reload()], &reloaded)[0], None);
    }

    #[test]
    fn a_fault_of_the_run_before_is_not_the_next_one_s() {
        use crate::core::event::Notice;
        let unwell = Event::Notified(FIRST, Notice::Unwell);
        let started = Wait::Started(FIRST, "web".to_owned(), Moment::ZERO);
        assert!(matches!(outcomes([unwell], &started)[0], Some(Err(_))));
        let unwell = Event::Notified(FIRST, Notice::Unwell);
        assert_eq!(outcomes([unwell, Event::Asked(Command::Restart(FIRST))], &started)[0], None);
    }

    #[test]
    fn a_reload_waits_for_what_it_has_changed_and_for_nobody_that_is_stopped() {
        let failure = || {
            let message = "no room".to_owned();
            Err(SpawnFailure { kind: SpawnFailureKind::NoRoom, errno: 11, message })
        };
        let mut core = Core::new(plan(&["web", "db"]));
        let mut out = Vec::new();
        let mut step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut out);
        step(&mut core, Event::Tick);
        step(&mut core, Event::Spawned(FIRST, failure()));
        step(&mut core, Event::Spawned(ProgramId(1), Ok(Pid::new(101).unwrap())));
        let before = beginners(&core);
        assert_eq!(before.len(), 1, "it is tried again");
        let mut changed = plan(&["web", "db"]);
        changed.programs[0].success_codes = vec![7];
        let reload = |core: &mut Core, step: &mut dyn FnMut(&mut Core, Event), plan: &Plan| {
            let before = beginners(core);
            step(core, Event::Reloaded(Box::new(plan.clone())));
            Wait::reloaded(core, "read again".to_owned(), &before, Moment::ZERO)
        };
        let told = Some(Ok("read again".to_owned()));
        let same = plan(&["web", "db"]);
        assert_eq!(reload(&mut core, &mut step, &same).outcome(&core), told);
        let wait = reload(&mut core, &mut step, &changed);
        assert_eq!(wait.outcome(&core), None);
        step(&mut core, Event::Asked(Command::Stop(FIRST)));
        assert_eq!(wait.outcome(&core), told);
        assert_eq!(reload(&mut core, &mut step, &same).outcome(&core), told);
    }

    #[test]
    fn whoever_is_gone_is_so_in_a_shutdown_too() {
        use crate::core::event::Received;
        let mut core = Core::new(plan(&["web"]));
        let mut out = Vec::new();
        let mut step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut out);
        step(&mut core, Event::Tick);
        step(&mut core, Event::Spawned(FIRST, Ok(Pid::new(100).unwrap())));
        step(&mut core, Event::Asked(Command::Add(Box::new(plan(&["x"]).programs.remove(0)))));
        step(&mut core, Event::Tick);
        let pid = Pid::new(101).unwrap();
        step(&mut core, Event::Spawned(ProgramId(1), Ok(pid)));
        step(&mut core, Event::Asked(Command::Remove(ProgramId(1))));
        let gone = Wait::Gone(ProgramId(1), "x".to_owned());
        step(&mut core, Event::Signal(Received::from_kernel(Signal::TERM)));
        assert_eq!(gone.outcome(&core), None);
        step(&mut core, Event::Reaped(vec![Reaped { pid, exit: Exit::Code(0) }]));
        step(&mut core, Event::Group(ProgramId(1), GroupState::Empty));
        assert_eq!(gone.outcome(&core), Some(Ok("x: removed".to_owned())));
    }

    #[test]
    fn a_ladder_is_looked_through_once() {
        // Two at each height, each after both below: as many ways down as 2 to the 40th.
        let names: Vec<String> = (0..80).map(|n| format!("p{n}")).collect();
        let mut plan = plan(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for (index, program) in plan.programs.iter_mut().enumerate().skip(2) {
            let below = index / 2 * 2 - 2;
            program.after = vec![ProgramId(below), ProgramId(below + 1)];
        }
        let core = Core::new(plan);
        assert_eq!(survivor_before(&core, &core.plan().programs[79]), None);
    }

    #[test]
    fn nor_for_what_comes_after_it() {
        let added = |name, after| {
            let program = plan::Program::new(name, Launch::default());
            Event::Asked(Command::Add(Box::new(plan::Program { after: vec![ProgramId(after)], ..program })))
        };
        for (id, name) in [(2, "api"), (3, "page")] {
            let stop = Event::Asked(Command::Stop(FIRST));
            let started = Wait::Started(ProgramId(id), name.to_owned(), Moment::ZERO);
            let why = format!("{name}: it waits for web, which is still there after SIGKILL");
            let events = [stop, added("api", 0), added("page", 2)];
            let held = format!("{name}: it waits for web, which somebody has stopped");
            assert_eq!(outcomes(events, &started), [Some(Err(held)), Some(Err(why))]);
        }
    }
}
