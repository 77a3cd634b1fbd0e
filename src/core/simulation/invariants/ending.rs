//! At the end nobody is left but whom nothing can end, it was in time, and what is told about it is true.

use super::cascade::KILL;
use super::telling::record;
use super::{Checker, Verdict, ensure, is_forever, leaves};
use crate::core::Core;
use crate::core::budget::Moment;
use crate::core::plan::ProgramId;
use crate::core::program::{Program, State, StoppedBy};
use crate::core::simulation::fake_kernel::{FakeKernel, Origin, Process};
use crate::core::simulation::model::Circumstances;
use std::time::Duration;

/// Somebody who was born since the last look was not seen.
const YOUNG: Duration = Duration::from_millis(100);

impl Checker {
    pub(in crate::core::simulation) fn at_end(&mut self, core: &Core, kernel: &FakeKernel) -> Verdict {
        if !self.has_reloaded {
            self.check_code(core)?;
        }
        if leaves(core) {
            return Ok(());
        }
        self.check_time(core, kernel)?;
        for process in kernel.ours().filter(|process| !process.is_zombie()) {
            self.check_left(process, core, kernel)?;
        }
        if !self.has_stalled {
            self.check_survivors(core, kernel)?;
        }
        for (id, spec, program) in core.programs() {
            self.check_stopped(id, program, core)?;
            let allowed = self.what_it_took(id, program, kernel);
            ensure!(
                allowed.contains(&program.stopped_by),
                "{} was stopped by {:?}, not by {allowed:?}",
                spec.name,
                program.stopped_by
            );
        }
        self.check_cooperation(kernel)
    }

    fn check_code(&self, core: &Core) -> Verdict {
        let finished = self.finished().map(i32::from);
        let before: Vec<Program> = core.programs().map(|(_, _, program)| program.clone()).collect();
        let around = Circumstances { plan: core.plan(), now: self.finished_at, before: &before, tries: 0 };
        let code = self.model.exit_code(around);
        ensure!(finished == Some(code), "exit code {finished:?}, not {code}");
        let recorded = record(core, self.finished_at).exit_code;
        ensure!(recorded == self.finished(), "the record says {recorded:?}, not {code}");
        Ok(())
    }

    /// It ends when the budget does, or as late after it as the loop was woken.
    fn check_time(&mut self, core: &Core, kernel: &FakeKernel) -> Verdict {
        let Some(ends_at) = self.ends_at(core) else { return Ok(()) };
        let end = self.finished_at;
        ensure!(end <= ends_at + self.late, "it ends at {end:?}, not {ends_at:?}");
        self.see("an end at the last moment", end >= ends_at);
        // SIGKILLs are inside the budget as well.
        let killed = kernel.processes.values().filter_map(|process| process.killed_at).max();
        let taken = core.programs().flat_map(|(_, _, program)| &program.taken);
        let killed = taken.filter(|taken| taken.what == KILL).map(|taken| taken.at).max().max(killed);
        let is_inside = killed.is_none_or(|at| at <= ends_at + self.late_in_all);
        ensure!(is_inside, "killed at {killed:?}, after {ends_at:?}");
        Ok(())
    }

    /// Somebody is left: whom nothing can end, or who has been killed and is about to vanish, or whom nobody could know.
    fn check_left(&mut self, process: &Process, core: &Core, kernel: &FakeKernel) -> Verdict {
        let is_young = process.is_double || process.born + YOUNG + self.late >= kernel.now;
        let is_hidden = kernel.machine.is_blind && !kernel.machine.is_init && !is_of_group(process, kernel);
        self.see("a survivor", process.is_unkillable());
        let is_told = process.is_unkillable() || process.killed_at.is_some();
        let is_ended = !is_forever(core) || self.model.is_now();
        ensure!(is_told || is_young || is_hidden, "process {} is left behind: {process:?}", process.pid);
        ensure!(is_ended || is_young, "it ends without being asked twice, and {} is there", process.pid);
        Ok(())
    }

    fn check_survivors(&self, core: &Core, kernel: &FakeKernel) -> Verdict {
        if kernel.machine.is_blind {
            return Ok(());
        }
        let survivors: Vec<i32> =
            record(core, self.finished_at).survivors.iter().map(|survivor| survivor.pid).collect();
        for process in kernel.ours().filter(|process| !process.is_zombie() && process.is_unkillable()) {
            let is_young = process.born + YOUNG + self.late >= kernel.now;
            let is_named = survivors.contains(&process.pid);
            ensure!(is_named || is_young, "survivor {} is not in the record: {survivors:?}", process.pid);
        }
        for pid in survivors {
            let is_there = kernel.processes.get(&pid).is_some_and(|process| !process.is_zombie());
            ensure!(is_there, "survivor {pid} is dead");
        }
        Ok(())
    }

    /// Everybody who was alive got a first step and, if needed, SIGKILL.
    fn check_stopped(&mut self, id: ProgramId, program: &Program, core: &Core) -> Verdict {
        let was_alive = self.began.as_ref().is_some_and(|began| began.alive.contains(&id));
        let is_told = !program.taken.is_empty() || self.by_itself.contains(&id);
        ensure!(!was_alive || is_told, "program {} was never told to stop", id.0);
        let is_killed = program.taken.last().is_some_and(|taken| taken.what == KILL);
        self.see("a program killed", is_killed);
        self.see("a program given up", self.late_ends.contains(&id));
        match program.state {
            State::Ended | State::Survived { .. } | State::Closing => Ok(()),
            State::Stopping { .. } if is_killed => Ok(()),
            ref state => Err(format!("program {} is {state:?} at the end of {:?}", id.0, core.plan().budget)),
        }
    }

    /// What may be told about a program's end.
    fn what_it_took(&self, id: ProgramId, program: &Program, kernel: &FakeKernel) -> Vec<Option<StoppedBy>> {
        let Some(story) = kernel.stories.get(&id).filter(|_| program.pid.is_some()) else {
            return vec![None];
        };
        let is_over = matches!(program.state, State::Closing | State::Ended);
        let Some(emptied) = story.emptied.filter(|_| is_over) else {
            return vec![Some(StoppedBy::Nothing)];
        };
        if self.late_ends.contains(&id) {
            return vec![Some(StoppedBy::Sweep)];
        }
        if self.by_itself.contains(&id) {
            return vec![Some(StoppedBy::Itself)];
        }
        // The steps that were under way between the last death and the moment nobody was left to be seen, zombies
        // included. An end that nobody tells is noticed by a later step.
        let last_seen = if story.is_unseen || story.is_left { Moment::MAX } else { emptied };
        let was_under_way = |(place, taken): (usize, &crate::core::program::Taken)| {
            let next = program.taken.get(place + 1).map_or(Moment::MAX, |next| next.at);
            (taken.at <= last_seen && next >= story.last_death).then_some(Some(taken.what))
        };
        program.taken.iter().enumerate().filter_map(was_under_way).collect()
    }

    /// Those who want to end are not waited for any longer than they need.
    fn check_cooperation(&mut self, kernel: &FakeKernel) -> Verdict {
        let Some(began) = &self.began else { return Ok(()) };
        let is_hidden = kernel.machine.is_blind && !kernel.machine.is_init;
        if !self.is_cooperative || is_hidden || self.births != Some(kernel.births) {
            return Ok(());
        }
        // Strays are looked for now and then.
        let looks = YOUNG * u32::try_from(kernel.births).unwrap_or(u32::MAX);
        // The end of a group that nobody tells is found by a probe, after as long again.
        let unseen = kernel.stories.values().filter(|story| story.is_unseen || story.is_left).count();
        let probes = Duration::from_secs(1) * u32::try_from(unseen).unwrap_or(u32::MAX);
        let limit = kernel.slowness + looks + probes + self.late_in_all + self.late;
        let took = self.finished_at.saturating_sub(began.at);
        self.see("a cooperative fleet", true);
        ensure!(took <= limit, "a cooperative fleet takes {took:?}, not {limit:?}");
        Ok(())
    }
}

fn is_of_group(process: &Process, kernel: &FakeKernel) -> bool {
    let Origin::Program(id, _) = process.origin else { return false };
    kernel.stories.get(&id).is_some_and(|story| story.pgid == process.pgid && story.emptied.is_none())
}
