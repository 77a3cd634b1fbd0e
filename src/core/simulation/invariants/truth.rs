//! When all answers are in, what the core believes is so.

use super::cascade::KILL;
use super::{Checker, Verdict, ensure, leaves};
use crate::core::Core;
use crate::core::plan::ProgramId;
use crate::core::process::Pid;
use crate::core::program::{Program, State, StoppedBy};
use crate::core::simulation::fake_kernel::{FakeKernel, Origin, Process};

impl Checker {
    pub(in crate::core::simulation) fn when_settled(&mut self, core: &Core, kernel: &FakeKernel) -> Verdict {
        if core.is_finished() {
            return Ok(());
        }
        for (id, spec, program) in core.programs() {
            let wrong = self.what_is_wrong(id, program, core, kernel);
            ensure!(wrong.is_none(), "{} is {:?}, but {}", spec.name, program.state, wrong.unwrap_or(""));
            self.see("a group that outlives its leader", is_leaderless(program));
            if self.now_since.is_some() {
                let is_killed = program.taken.last().is_none_or(|taken| taken.what == KILL);
                let is_tmuxs = matches!(program.state, State::Starting { .. } | State::Closing);
                // Those who have left a group are looked for first, in the same round.
                ensure!(
                    program.is_over() || is_killed || program.is_sought || is_tmuxs,
                    "{} is to be killed now",
                    spec.name
                );
            }
        }
        self.check_commands(core, kernel)?;
        let (core, kernel) = (core.reaped(), kernel.reaped);
        ensure!(core == kernel, "{core:?} counted, {kernel:?} were");
        Ok(())
    }

    fn what_is_wrong(
        &self,
        id: ProgramId,
        program: &Program,
        core: &Core,
        kernel: &FakeKernel,
    ) -> Option<&'static str> {
        let leader = kernel.leader(id).map(|leader| leader.pid);
        let story = kernel.stories.get(&id);
        let is_there = kernel.is_group_there(id);
        let is_unseen = story.is_some_and(|story| story.is_unseen);
        let is_leader_known = program.leader().map(Pid::number) == leader;
        match program.state {
            State::Waiting { .. } if !self.has_reloaded && !self.model.is_waiting(id) => {
                Some("it should not be")
            }
            State::Starting { .. } => {
                program.call.is_none_or(|call| call.command.is_none()).then_some("nobody answers")
            }
            State::Closing if program.call.is_none() => Some("nobody closes its session"),
            State::Leaderless { pgid: Some(_) } => (!leaves(core)).then_some("nobody has probed"),
            State::Waiting { .. }
            | State::Leaderless { pgid: None }
            | State::Stopping { pgid: None, .. }
            | State::Survived { pgid: None, .. } => is_there.then_some("its group is there"),
            _ if !is_leader_known => Some("its leader is another"),
            State::Running { .. } => (!is_there).then_some("its group is gone"),
            State::Stopping { .. } | State::Survived { .. } => {
                (!is_there && !is_unseen).then_some("its group is gone")
            }
            State::Ended if kernel.has_escapees(id) => Some("somebody has left its group and lives"),
            State::Closing | State::Ended => is_there.then_some("its group is there"),
        }
    }

    /// No stop command outlives its step and no check its question, and no program has two of either.
    fn check_commands(&mut self, core: &Core, kernel: &FakeKernel) -> Verdict {
        let mut running = Vec::new();
        let mut passes = 0;
        let commands = kernel.processes.values().filter(|process| process.is_started && !process.is_zombie());
        for process in commands {
            let (id, current) = match process.origin {
                Origin::StopCommand(id) => (id, stop_command(id, core)),
                Origin::CheckCommand(id) => (id, check_command(id, core)),
                Origin::TmuxClient(id) => (id, core.program(id).and_then(|p| p.call?.command)),
                Origin::Pass => {
                    self.check_pass(process, core, &mut passes)?;
                    continue;
                }
                Origin::Program(..) | Origin::Outside => continue,
            };
            self.see("a command that was cut", process.killed_at.is_some());
            if process.killed_at.is_none() {
                let is_current = current.is_some_and(|pid| pid.number() == process.pid);
                ensure!(is_current, "command {} of program {} is left behind", process.pid, id.0);
                ensure!(!running.contains(&process.origin), "program {} has two such commands", id.0);
                running.push(process.origin);
            }
        }
        Ok(())
    }

    /// Never two passes at a time, whatever became of the first, and none beside the sweep.
    fn check_pass(&mut self, process: &Process, core: &Core, passes: &mut usize) -> Verdict {
        *passes += 1;
        ensure!(*passes == 1, "two passes at a time");
        let is_killed = process.killed_at.is_some();
        self.see("a pass that was cut", is_killed);
        let is_swept = core.shutdown().is_some_and(|shutdown| shutdown.sweep.is_some());
        self.see("a last pass", core.shutdown().is_some() && !is_killed);
        ensure!(is_killed || !is_swept, "pass {} is left behind", process.pid);
        Ok(())
    }
}

fn stop_command(id: ProgramId, core: &Core) -> Option<Pid> {
    let program = core.program(id)?;
    let is_run =
        program.taken.last().is_some_and(|taken| matches!(taken.what, StoppedBy::Run | StoppedBy::Keys));
    match program.state {
        State::Stopping { cascade, .. } if is_run => cascade.command,
        _ => None,
    }
}

fn check_command(id: ProgramId, core: &Core) -> Option<Pid> {
    let program = core.program(id)?;
    let is_running = matches!(program.state, State::Running { .. });
    program.asking.asked.filter(|_| is_running).and_then(|asked| asked.command)
}

fn is_leaderless(program: &Program) -> bool {
    matches!(program.state, State::Stopping { leader: None, .. })
}
