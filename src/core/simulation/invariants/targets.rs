//! An action meets those it is meant for and nobody else: no group that is gone, no number that others have now, nobody
//! who is not ours, and nobody before their time.

use super::{Checker, Verdict, all_after, ensure, is_forever, is_to_go, leaves};
use crate::core::Core;
use crate::core::action::{Action, Target};
use crate::core::plan::ProgramId;
use crate::core::process::{Pgid, Pid};
use crate::core::program::{Program, State};
use crate::core::signal::Signal;
use crate::core::simulation::fake_kernel::{FakeKernel, Origin, Process};

impl Checker {
    pub(in crate::core::simulation) fn before_action(
        &mut self,
        action: &Action,
        core: &Core,
        kernel: &FakeKernel,
    ) -> Verdict {
        match action {
            Action::Signal(id, target, signal) => {
                self.check_kill(*id, *signal, core)?;
                self.check_turn(*id, core, kernel)?;
                match target {
                    Target::Group(pgid) => self.check_group(*id, *pgid, core, kernel),
                    Target::Leader(pid) => check_leader(*id, *pid, kernel),
                    Target::Escapee(pid) => self.check_escapee(*id, *pid, *signal, kernel),
                }
            }
            Action::Inspect(id, pid) => check_leader(*id, *pid, kernel),
            Action::KillCommand(pgid) => check_command(*pgid, kernel),
            Action::SignalStray(pid, signal) => self.check_stray(*pid, *signal, core, kernel),
            Action::SignalEverybody(signal) => self.check_everybody(*signal, core, kernel),
            Action::Look => self.check_look(core, kernel),
            Action::Spawn(id) | Action::Forget(id) => check_nothing_is_left(*id, kernel),
            _ => Ok(()),
        }
    }

    fn check_group(&mut self, id: ProgramId, pgid: Pgid, core: &Core, kernel: &FakeKernel) -> Verdict {
        let Some(story) = kernel.stories.get(&id).filter(|story| story.pgid == pgid.number()) else {
            return Err(format!("program {} never had group {pgid}", id.0));
        };
        if story.emptied.is_some() {
            self.see("a group that ended unseen", story.is_unseen);
            // Other inits do not look before they say goodbye.
            ensure!(story.is_unseen || leaves(core), "a signal to group {pgid}, which is gone");
            return Ok(());
        }
        let origin = Origin::Program(id, story.start);
        let stranger = kernel.members(pgid.number()).find(|member| member.origin != origin);
        ensure!(stranger.is_none(), "group {pgid} is another's now: {stranger:?}");
        Ok(())
    }

    fn check_escapee(&mut self, id: ProgramId, pid: Pid, signal: Signal, kernel: &FakeKernel) -> Verdict {
        let Some(process) = kernel.processes.get(&pid.number()) else {
            return Err(format!("{signal} to process {pid}, which is gone"));
        };
        let is_its = match process.origin {
            Origin::Program(of, _) | Origin::StopCommand(of) | Origin::CheckCommand(of) => of == id,
            Origin::TmuxClient(_) | Origin::Pass | Origin::Outside => false,
        };
        ensure!(is_its && !process.is_started, "{signal} to process {pid}, which is another's: {process:?}");
        let is_in_group = kernel.is_group_there(id) && kernel.stories[&id].pgid == process.pgid;
        ensure!(!is_in_group, "{signal} to process {pid}, which is in its group");
        self.see("an escapee told", signal != Signal::KILL);
        self.see("an escapee killed", signal == Signal::KILL);
        Ok(())
    }

    /// Dependents stop before what they depend on.
    fn check_turn(&self, id: ProgramId, core: &Core, kernel: &FakeKernel) -> Verdict {
        let is_begun = |program: &Program| !program.taken.is_empty();
        let (Some(program), spec) = (core.program(id), &core.plan().programs[id.0]) else { return Ok(()) };
        // Only the first step of one that had to be stopped; what others left behind is not waited for.
        let is_first = program.taken.len() == 1 && !is_begun(&self.rules.before[id.0]);
        // Whoever left by a reload that began the shutdown has not waited for those who stay.
        let is_everybody = core.shutdown().is_some() && (self.rules.was_stopping || !is_to_go(program));
        // For a fault it is stopped alone, whoever is to go.
        let is_faulty = core.shutdown().is_none() && program.fault.is_some();
        let is_alone = !is_everybody && !is_to_go(program) || is_faulty || self.by_itself.contains(&id);
        let is_late = self.ends_at(core).is_some_and(|end| end <= kernel.now);
        if !is_first || self.model.is_now() || is_alone || is_late {
            return Ok(());
        }
        for (other_id, other, dependent) in all_after(core, id) {
            if !is_everybody && !is_to_go(dependent) {
                continue;
            }
            let is_there = kernel.is_group_there(other_id) || kernel.has_escapees(other_id);
            let is_given_up = matches!(dependent.state, State::Survived { .. });
            ensure!(!is_there || is_given_up, "{} is stopped before {}", spec.name, other.name);
        }
        Ok(())
    }

    /// For ever means that nothing is killed that nobody wrote down.
    fn check_kill(&self, id: ProgramId, signal: Signal, core: &Core) -> Verdict {
        let is_written = core.plan().programs[id.0].stop.iter().any(crate::core::plan::Step::is_kill);
        let may_kill = !is_forever(core) || is_written || self.model.is_now();
        ensure!(signal != Signal::KILL || may_kill, "program {} is killed, for ever means never", id.0);
        Ok(())
    }

    fn check_stray(&mut self, pid: Pid, signal: Signal, core: &Core, kernel: &FakeKernel) -> Verdict {
        let Some(process) = kernel.processes.get(&pid.number()) else {
            return Err(format!("{signal} to process {pid}, which is gone"));
        };
        ensure!(pid.number() != kernel.own && pid.number() != 1, "{signal} to itself");
        let is_ours = kernel.ours().any(|ours| ours.pid == process.pid);
        ensure!(is_ours, "{signal} to process {pid}, which is not ours");
        ensure!(!is_managed(process, core, kernel), "{signal} to process {pid}, which is managed");
        ensure!(!process.is_started, "{signal} to process {pid}, which is no stray");
        self.see("a stray told", signal == Signal::TERM);
        self.see("a stray killed", signal == Signal::KILL);
        if signal == Signal::KILL {
            self.check_stray_kill(process, core, kernel)?;
        }
        Ok(())
    }

    fn check_everybody(&mut self, signal: Signal, core: &Core, kernel: &FakeKernel) -> Verdict {
        if signal == Signal::KILL && kernel.machine.is_init {
            // Nobody asks a client of runinit's own first.
            let is_client = |process: &Process| matches!(process.origin, Origin::TmuxClient(_));
            let is_stray = |process: &&Process| !is_managed(process, core, kernel) && !is_client(process);
            for process in kernel.processes.values().filter(is_stray) {
                self.check_stray_kill(process, core, kernel)?;
            }
        }
        Ok(())
    }

    /// Strays get SIGTERM and the rest of the grace before SIGKILL, if they were there to be told.
    fn check_stray_kill(&self, process: &Process, core: &Core, kernel: &FakeKernel) -> Verdict {
        let kill_at = self.kill_at(core);
        let is_due = kill_at.is_some_and(|at| at <= kernel.now);
        ensure!(is_due, "stray {} is killed before its time, {kill_at:?}", process.pid);
        // Without /proc everybody is told once, if they can be.
        let look = match (kernel.machine.is_blind, kernel.machine.is_init) {
            (false, _) => self.looks.iter().rev().find(|at| **at < kernel.now),
            (true, true) => self.looks.first(),
            (true, false) => None,
        };
        let was_seen = look.is_some_and(|look| process.stray_since < *look);
        let is_late = self.ends_at(core).is_some_and(|end| end <= kernel.now);
        let is_told = process.heard.contains(&Signal::TERM) || process.is_zombie() || process.is_anothers;
        // A stop command that was cut is killed at once.
        let is_told = is_told || process.killed_at.is_some();
        ensure!(
            is_told || !was_seen || process.is_double || self.model.is_now() || is_late,
            "stray {} is killed without SIGTERM",
            process.pid
        );
        Ok(())
    }

    /// A daemon may belong to a program that still needs it.
    fn check_look(&mut self, core: &Core, kernel: &FakeKernel) -> Verdict {
        for (id, spec, program) in core.programs() {
            let is_given_up = matches!(program.state, State::Survived { .. });
            let leader = kernel.leader(id);
            let is_late = self.ends_at(core).is_some_and(|end| end <= kernel.now);
            ensure!(
                leader.is_none() || is_given_up || is_late,
                "{} has a leader, and strays are swept",
                spec.name
            );
        }
        self.looks.push(kernel.now);
        Ok(())
    }
}

/// Nothing of a program that can be known is there when it starts again.
fn check_nothing_is_left(id: ProgramId, kernel: &FakeKernel) -> Verdict {
    ensure!(!kernel.has_escapees(id), "program {} starts while something of it is left", id.0);
    Ok(())
}

fn is_managed(process: &Process, core: &Core, kernel: &FakeKernel) -> bool {
    let pgid = Pgid::new(process.pgid);
    if let Some(id) = kernel.escaped_from(process) {
        return core.program(id).is_some_and(|program| !program.is_over());
    }
    core.programs().any(|(_, _, program)| program.group().is_some() && program.group() == pgid)
}

fn check_leader(id: ProgramId, pid: Pid, kernel: &FakeKernel) -> Verdict {
    let leader = kernel.leader(id).map(|leader| leader.pid);
    ensure!(leader == Some(pid.number()), "process {pid} is meant, the leader is {leader:?}");
    Ok(())
}

fn check_command(pgid: Pgid, kernel: &FakeKernel) -> Verdict {
    let command = kernel.processes.get(&pgid.number());
    let is_one =
        command.is_some_and(|process| process.is_started && !matches!(process.origin, Origin::Program(..)));
    ensure!(is_one, "group {pgid} is no command's: {command:?}");
    Ok(())
}
