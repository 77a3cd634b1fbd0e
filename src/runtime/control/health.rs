//! Whether everything that has to run is ready and well.
//!
//! Every program has to, but for one that somebody has stopped or removed, one that has ended well and is not started again, and a
//! oneshot that has done its work.

use crate::control::protocol::Health;
use crate::core::Core;
use crate::core::plan::{self, ProgramId};
use crate::core::policy::Restart;
use crate::core::program::{Fate, Hold, Program, Readiness, State};

pub(super) fn health(core: &Core) -> Health {
    if core.shutdown().is_some() {
        return Health { healthy: false, message: "runinit is stopping".to_owned() };
    }
    let mut fine = 0;
    for (id, spec, program) in core.programs() {
        match what_is_wrong(core, id, spec, program) {
            None => fine += usize::from(!spec.is_server()),
            Some(wrong) => return Health { healthy: false, message: format!("{}: {wrong}", spec.name) },
        }
    }
    let message = match fine {
        1 => "1 program is as it should be".to_owned(),
        count => format!("{count} programs are as they should be"),
    };
    Health { healthy: true, message }
}

fn what_is_wrong(core: &Core, id: ProgramId, spec: &plan::Program, program: &Program) -> Option<String> {
    if program.hold == Hold::Stopped || program.fate == Fate::Removed {
        return None;
    }
    match (&program.state, program.readiness) {
        (State::Running { .. }, Readiness::Ready) => None,
        (State::Running { .. }, Readiness::NotYet { .. }) if spec.oneshot => Some("not done yet".to_owned()),
        (State::Running { .. }, Readiness::NotYet { .. }) => Some("not ready yet".to_owned()),
        (State::Ended | State::Leaderless { .. } | State::Stopping { .. } | State::Closing, _)
            if spec.restart != Restart::Always && core.has_ended_well(id) =>
        {
            None
        }
        _ => super::status::problem(core, spec, program).or_else(|| Some("it does not run".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::budget::{Budget, Moment};
    use crate::core::event::Event;
    use crate::core::plan::{Launch, Plan};
    use crate::core::process::Pid;

    #[test]
    fn one_that_leaves_is_not_missed() {
        let plan = |names: &[&str]| {
            let programs = names.iter().map(|name| plan::Program::new(name, Launch::default())).collect();
            Plan::new(programs, Budget::Forever)
        };
        let mut core = Core::new(plan(&["a", "b"]));
        let mut step = |event| core.step(event, Moment::ZERO, &mut Vec::new());
        step(Event::Tick);
        for (id, pid) in [(0, 100), (1, 101)] {
            step(Event::Spawned(ProgramId(id), Ok(Pid::new(pid).unwrap())));
        }
        step(Event::Reloaded(Box::new(plan(&["a"]))));
        assert!(health(&core).healthy, "{}", health(&core).message);
    }

    #[test]
    fn one_that_has_ended_well_is_not_missed_while_its_session_closes() {
        use crate::core::event::{GroupState, Reaped};
        use crate::core::plan::Kind;
        use crate::core::process::Exit;
        use crate::tmux::{Session, Socket};
        let socket = Socket::parse(Socket::DEFAULT);
        let session = Session { socket, name: "s".to_owned(), size: Session::SIZE, history: 0 };
        let mut job = plan::Program::new("job", Launch::default());
        job.kind = Kind::Agent(session);
        let programs = vec![job, plan::Program::new("other", Launch::default())];
        let mut core = Core::new(Plan::new(programs, Budget::Forever));
        let step = |core: &mut Core, event| core.step(event, Moment::ZERO, &mut Vec::new());
        step(&mut core, Event::Tick);
        let [pid, other] = [100, 101].map(|pid| Pid::new(pid).unwrap());
        step(&mut core, Event::Spawned(ProgramId(0), Ok(pid)));
        step(&mut core, Event::Tick);
        step(&mut core, Event::Spawned(ProgramId(1), Ok(other)));
        step(&mut core, Event::Reaped(vec![Reaped { pid, exit: Exit::Code(0) }]));
        step(&mut core, Event::Group(ProgramId(0), GroupState::Empty));
        assert_eq!(core.program(ProgramId(0)).map(|program| &program.state), Some(&State::Closing));
        assert!(health(&core).healthy, "{}", health(&core).message);
    }
}
