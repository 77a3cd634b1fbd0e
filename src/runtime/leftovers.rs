//! tmux sessions of a run before this one, which was killed: they go on without it, and its record names them.

use crate::config;
use crate::core::plan::{Kind, Launch, Leftovers, Plan, Program, ProgramId, default_stop};
use crate::core::process::Pid;
use crate::os::mark::Marks;
use crate::record::{Last, LastProgram, Phase, TmuxServer};
use crate::tmux::{Session, Socket};

/// Puts what a run before this one has left into the plan: taken over by the program of its session, or stopped. An orphan,
/// whose server has died, is in no session any more that could be taken over.
#[inline(never)]
pub(super) fn settle(
    plan: &mut Plan,
    last: Last,
    is_left: impl Fn(Pid, &str) -> bool,
    is_orphan: impl Fn(Pid, &str) -> bool,
) {
    let agents = last.programs.into_iter().filter_map(agent);
    for (program, pid) in agents.chain(last.tmux_servers.iter().filter_map(server)) {
        // Of a run that has stopped there is only what even SIGKILL did not end.
        if last.phase == Phase::Stopped && !is_left(pid, &program.name) {
            continue;
        }
        let is_stopped = program.is_agent() && is_orphan(pid, &program.name);
        let is_adopted = plan.tmux.leftovers == Leftovers::Adopt && !is_stopped;
        let heir = plan.programs.iter_mut().find(|heir| is_adopted && is_heir(heir, &program));
        match heir {
            Some(heir) => heir.runs_as = Some(pid),
            None => plan.left.push(program),
        }
    }
    stop_before_servers(plan);
}

/// Whoever is stopped stops before the server that it lives in.
fn stop_before_servers(plan: &mut Plan) {
    // What is left comes behind the others.
    let all = plan.programs.iter().chain(&plan.left).enumerate();
    let there = all.filter(|(_, program)| program.runs_as.is_some());
    let servers: Vec<(ProgramId, Socket)> = there
        .filter_map(|(place, program)| match &program.kind {
            Kind::TmuxServer(socket) => Some((ProgramId(place), socket.clone())),
            Kind::Agent(_) | Kind::Process => None,
        })
        .collect();
    for agent in &mut plan.left {
        let lives_in = |socket: &Socket| agent.session().is_some_and(|session| session.socket == *socket);
        agent.after = servers.iter().filter(|(_, socket)| lives_in(socket)).map(|(id, _)| *id).collect();
    }
}

/// Names what is still there, for somebody who ends nothing of it: nobody will know of it when the record is another run's.
#[inline(never)]
pub(super) fn tell(last: &Last) {
    let marks = Marks::default();
    let agents = last.programs.iter().cloned().filter_map(agent);
    let all = agents.chain(last.tmux_servers.iter().filter_map(server));
    let there: Vec<String> = all
        .filter(|(program, pid)| marks.is_left(*pid, &program.name))
        .map(|(program, pid)| format!("{} (pid {pid})", program.name))
        .collect();
    if !there.is_empty() {
        log::warn!("still there from the last run, and left alone: {}", there.join(", "));
    }
}

fn is_heir(heir: &Program, left: &Program) -> bool {
    match (&heir.kind, &left.kind) {
        (Kind::Agent(heir), Kind::Agent(left)) => heir.socket == left.socket && heir.name == left.name,
        (Kind::TmuxServer(heir), Kind::TmuxServer(left)) => heir == left,
        _ => false,
    }
}

fn agent(left: LastProgram) -> Option<(Program, Pid)> {
    let LastProgram { name, pid, session, socket } = left;
    let (socket, session) = (Socket::parse(&socket?), session?);
    let session = Session { socket, name: session, size: Session::SIZE, history: Session::HISTORY };
    program(&name, Kind::Agent(session), pid)
}

fn server(left: &TmuxServer) -> Option<(Program, Pid)> {
    let socket = Socket::parse(&left.socket);
    let name = config::tmux_server(&socket).name;
    program(&name, Kind::TmuxServer(socket), left.pid)
}

fn program(name: &str, kind: Kind, pid: Option<i32>) -> Option<(Program, Pid)> {
    let pid = Pid::new(pid?)?;
    let stop = default_stop();
    Some((Program { kind, runs_as: Some(pid), stop, ..Program::new(name, Launch::default()) }, pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::plan::Tmux;

    fn left(name: &str, session: Option<&str>) -> LastProgram {
        let session = session.map(str::to_owned);
        LastProgram { name: name.to_owned(), pid: Some(7), session, socket: Some("runinit".to_owned()) }
    }

    fn plan(leftovers: Leftovers) -> Plan {
        let agent = agent(left("new", Some("a"))).map(|(program, _)| Program { runs_as: None, ..program });
        Plan {
            tmux: Tmux { leftovers, ..Tmux::default() },
            ..Plan::new(agent.into_iter().collect(), Budget::Forever)
        }
    }

    #[test]
    fn a_program_of_the_same_session_takes_over_and_the_others_are_stopped() {
        let all = || Last {
            phase: Phase::Running,
            programs: vec![left("old", Some("a")), left("ab", Some("ab"))],
            tmux_servers: vec![TmuxServer { socket: "runinit".to_owned(), pid: Some(6) }],
        };
        let (yes, no) = (|_: Pid, _: &str| true, |_: Pid, _: &str| false);
        let mut adopts = plan(Leftovers::Adopt);
        settle(&mut adopts, all(), no, no);
        assert_eq!(adopts.programs[0].runs_as, Pid::new(7));
        assert_eq!(
            adopts.left.iter().map(|left| left.name.as_str()).collect::<Vec<_>>(),
            ["ab", "tmux:runinit"]
        );
        assert_eq!(adopts.left[0].after, [ProgramId(2)], "its server");
        let mut stops = plan(Leftovers::Stop);
        settle(&mut stops, all(), no, no);
        assert_eq!((stops.programs[0].runs_as, stops.left.len()), (None, 3));
        let mut finds_orphan = plan(Leftovers::Adopt);
        settle(&mut finds_orphan, all(), no, |_, name| name == "old");
        assert_eq!((finds_orphan.programs[0].runs_as, finds_orphan.left.len()), (None, 3));
        for (is_left, count) in [(yes as fn(Pid, &str) -> bool, 3), (no, 0)] {
            let mut after_stop = plan(Leftovers::Stop);
            settle(&mut after_stop, Last { phase: Phase::Stopped, ..all() }, is_left, no);
            assert_eq!(after_stop.left.len(), count);
        }
    }

    #[test]
    fn what_never_ran_or_is_no_session_is_not_left() {
        let mut plan = plan(Leftovers::Stop);
        let never = LastProgram { pid: None, ..left("never", Some("s")) };
        let process = LastProgram { socket: None, ..left("process", None) };
        let programs = vec![never, process];
        let last = Last { phase: Phase::Running, programs, tmux_servers: Vec::new() };
        settle(&mut plan, last, |_, _| true, |_, _| true);
        assert!(plan.left.is_empty());
    }
}
