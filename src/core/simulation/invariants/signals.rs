//! Every signal to a program has a reason, and every reason gives exactly one: a step of its cascade (SIGCONT follows), a
//! signal that is forwarded, one that waited for the main program's start, or one that a leader got alone and its group
//! gets when the leader has ended.

use super::cascade::KILL;
use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::action::{Action, Target};
use crate::core::commanding::Command;
use crate::core::event::{Event, GroupState, Reaped};
use crate::core::plan::{self, End, ProgramId};
use crate::core::process::{Exit, Pid};
use crate::core::program::{Program, State, StoppedBy};
use crate::core::signal::Signal;
use crate::core::simulation::model::{asks, is_heard};

type Sent = (ProgramId, Target, Signal);

impl Rules {
    pub(super) fn check_signals(&mut self, event: &Event, core: &Core, actions: &[Action]) -> Verdict {
        let mut reasons = Vec::new();
        self.steps(core, actions, &mut reasons)?;
        self.forwards(event, core, &mut reasons);
        self.early(event, core, &mut reasons);
        self.rest_of_group(event, core, &mut reasons);
        self.could_not_stop(event, &mut reasons);
        self.parting(core, &mut reasons);
        self.by_hand(event, core, &mut reasons);
        for action in actions {
            let Action::Signal(id, target, signal) = *action else { continue };
            if let Target::Escapee(pid) = target {
                check_escapee_signal(event, id, signal, core)?;
                // One look may tell of the last end of all too, which comes after what it has led to before.
                if self.was_stopping {
                    check_is_recorded(pid, id, signal, core)?;
                }
                continue;
            }
            let found = reasons.iter().position(|reason| *reason == (id, target, signal));
            let Some(found) = found else { return Err(format!("{action:?} has no reason")) };
            reasons.swap_remove(found);
        }
        ensure!(reasons.is_empty(), "not sent: {reasons:?}");
        Ok(())
    }

    /// What is passed on has ended a program at the terminal, and runinit has not sent it.
    pub(super) fn check_ctrl_c(&mut self, event: &Event, core: &Core, actions: &[Action]) -> Verdict {
        const CTRL_C: [Signal; 2] = [Signal::INT, Signal::QUIT];
        if let Event::Spawned(id, Ok(_)) = event {
            self.interrupted.remove(id);
        }
        for action in actions {
            match *action {
                Action::Signal(id, _, signal) if CTRL_C.contains(&signal) => _ = self.interrupted.insert(id),
                Action::PassOn(id, signal) => {
                    let leader = self.before[id.0].leader();
                    let is_end =
                        |child: &Reaped| Some(child.pid) == leader && child.exit == Exit::Signal(signal);
                    let has_ended = matches!(event, Event::Reaped(reaped) if reaped.iter().any(is_end));
                    let is_in_front = core.plan().programs[id.0].launch.foreground;
                    let is_terminals = CTRL_C.contains(&signal) && !self.interrupted.contains(&id);
                    ensure!(
                        has_ended && is_in_front && is_terminals,
                        "{action:?} is not the terminal's doing"
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Each new step of a cascade gives its action.
    fn steps(&mut self, core: &Core, actions: &[Action], reasons: &mut Vec<Sent>) -> Verdict {
        for (id, spec, after) in core.programs() {
            let Some(before) = self.before.get(id.0) else { continue };
            let is_new = matches!(before.state, State::Starting { .. }) && after.group().is_some();
            let old = if is_new { 0 } else { before.taken.len() };
            let new = after.taken.get(old..).unwrap_or_default();
            let group = after.group().or(before.group());
            for taken in new {
                self.told_alone.remove(&id);
                let asked = |is_it: fn(&Action) -> Option<ProgramId>| {
                    actions.iter().filter(|action| is_it(action) == Some(id)).count()
                };
                match taken.what {
                    KILL => reasons.extend(group.map(|group| (id, Target::Group(group), Signal::KILL))),
                    StoppedBy::Signal(signal) => {
                        let target = target(core.plan(), id, after).or(group.map(Target::Group));
                        reasons.extend(target.map(|target| (id, target, signal)));
                        if signal != Signal::CONT {
                            reasons.extend(target.map(|target| (id, target, Signal::CONT)));
                        }
                        if matches!(target, Some(Target::Leader(_))) {
                            self.told_alone.insert(id);
                        }
                    }
                    StoppedBy::Run | StoppedBy::Keys => ensure!(
                        asked(|action| match action {
                            Action::RunStep(id, _) => Some(*id),
                            _ => None,
                        }) > 0,
                        "{}: its stop command is not run",
                        spec.name
                    ),
                    StoppedBy::Stdin => ensure!(
                        asked(|action| match action {
                            Action::WriteStdin(id, _) => Some(*id),
                            _ => None,
                        }) > 0,
                        "{}: its text is not written",
                        spec.name
                    ),
                    what => return Err(format!("{}: {what} is no step", spec.name)),
                }
            }
        }
        Ok(())
    }

    /// A signal goes on to every program, unless it is runinit's own business.
    fn forwards(&mut self, event: &Event, core: &Core, reasons: &mut Vec<Sent>) {
        let Event::Signal(received) = event else { return };
        let plan = core.plan();
        let signal = received.signal;
        if !is_heard(plan, signal) || asks(plan, received, self.was_stopping) || self.finished.is_some() {
            return;
        }
        for (index, program) in self.before.iter().enumerate() {
            let id = ProgramId(index);
            let is_first = plan.programs[index].main && program.started_at.is_none();
            let is_early = match program.state {
                State::Starting { .. } => true,
                State::Waiting { .. } => is_first && !self.was_stopping,
                _ => false,
            };
            if is_early {
                self.early.entry(id).or_default().insert(signal);
            }
            if !plan.programs[index].is_server() {
                reasons.extend(forward(plan, id, program, signal));
            }
        }
    }

    /// What came too early is told when it has started.
    fn early(&mut self, event: &Event, core: &Core, reasons: &mut Vec<Sent>) {
        let is_begun_anew = |id: ProgramId| {
            let was_over = self.before.get(id.0).is_some_and(|before| before.state == State::Ended);
            was_over && core.program(id).is_some_and(|after| matches!(after.state, State::Waiting { .. }))
        };
        if let Event::Asked(_) = event {
            self.early.retain(|id, _| !is_begun_anew(*id));
        }
        let Event::Spawned(id, Ok(_)) = event else { return };
        let plan = core.plan();
        let Some(after) = core.program(*id) else { return };
        if matches!(self.before[id.0].state, State::Starting { .. }) {
            let early = self.early.remove(id).unwrap_or_default();
            reasons.extend(early.into_iter().filter_map(|signal| forward(plan, *id, after, signal)));
        }
    }

    /// Where nobody could continue runinit, its program cannot stay stopped at the terminal, nor where it has that now.
    fn could_not_stop(&self, event: &Event, reasons: &mut Vec<Sent>) {
        let (id, signals): (_, &[Signal]) = match event {
            Event::HasTerminal(id) | Event::CouldNotStop(id, Signal::TSTP) => (id, &[Signal::CONT]),
            Event::CouldNotStop(id, Signal::TTIN | Signal::TTOU) => (id, &[Signal::HUP, Signal::CONT]),
            _ => return,
        };
        let Some(group) = self.before[id.0].group() else { return };
        reasons.extend(signals.iter().map(|signal| (*id, Target::Group(group), *signal)));
    }

    /// The way of other inits: what the main program has left gets a last signal, and nobody waits.
    fn parting(&self, core: &Core, reasons: &mut Vec<Sent>) {
        let End::Leave(Some(signal)) = core.plan().end else { return };
        if self.was_stopping || core.shutdown().is_none() {
            return;
        }
        for (id, spec, program) in core.programs() {
            let group = program.group().filter(|_| spec.main);
            reasons.extend(group.map(|group| (id, Target::Group(group), signal)));
        }
    }

    /// Somebody sends a signal to one program, as it is.
    fn by_hand(&self, event: &Event, core: &Core, reasons: &mut Vec<Sent>) {
        let Event::Asked(Command::Signal(id, signal)) = event else { return };
        let target = self.before.get(id.0).and_then(|program| target(core.plan(), *id, program));
        reasons.extend(target.filter(|_| self.finished.is_none()).map(|target| (*id, target, *signal)));
    }

    /// A leader that was told alone has ended; those that it left behind have not been told.
    fn rest_of_group(&mut self, event: &Event, core: &Core, reasons: &mut Vec<Sent>) {
        let ids: Vec<ProgramId> = match event {
            Event::Group(id, GroupState::Alive) => vec![*id],
            Event::Sought(found) => {
                found.iter().filter(|(_, pids)| !pids.is_empty()).map(|(id, _)| *id).collect()
            }
            _ => return,
        };
        for id in ids {
            self.rest_of_one(id, core, reasons);
        }
    }

    fn rest_of_one(&mut self, id: ProgramId, core: &Core, reasons: &mut Vec<Sent>) {
        let program = &self.before[id.0];
        let State::Stopping { leader: None, pgid: Some(pgid), .. } = program.state else { return };
        let is_in_the_step = core.program(id).is_some_and(|after| after.taken == program.taken);
        let Some(StoppedBy::Signal(signal)) = program.taken.last().map(|taken| taken.what) else { return };
        if self.told_alone.remove(&id) && is_in_the_step {
            reasons.push((id, Target::Group(pgid), signal));
            if signal != Signal::CONT {
                reasons.push((id, Target::Group(pgid), Signal::CONT));
            }
        }
    }
}

/// Who has left its group hears the step that its program is in, right after a look, and no other signal.
fn check_escapee_signal(event: &Event, id: ProgramId, signal: Signal, core: &Core) -> Verdict {
    let is_seen = matches!(event, Event::Sought(_) | Event::Looked(_));
    ensure!(is_seen, "{signal} to somebody who was not looked for");
    let program = core.program(id);
    let step = program.and_then(|program| program.taken.last()).map(|taken| taken.what);
    let is_step = signal == Signal::CONT || step == Some(StoppedBy::Signal(signal));
    ensure!(is_step, "{signal} outside the group in step {step:?}");
    let is_leader = program.is_some_and(|program| program.leader().is_some());
    ensure!(!is_leader || step == Some(KILL), "{signal} outside the group of a leader that lives");
    Ok(())
}

/// Whoever hears a signal outside a group while everything stops is in the record, with that signal.
fn check_is_recorded(pid: Pid, id: ProgramId, signal: Signal, core: &Core) -> Verdict {
    let Some(shutdown) = core.shutdown().filter(|_| signal != Signal::CONT) else { return Ok(()) };
    let stray = shutdown.strays.iter().find(|(number, _)| *number == pid).map(|(_, stray)| stray);
    let is_told = stray.is_some_and(|stray| stray.program == Some(id) && stray.sent == signal);
    ensure!(is_told, "{signal} to {pid} outside the group is not in the record: {stray:?}");
    Ok(())
}

fn forward(plan: &plan::Plan, id: ProgramId, program: &Program, signal: Signal) -> Option<Sent> {
    // What has stopped with runinit goes on with it, whoever of it hears other signals.
    let is_for_all = signal == Signal::CONT && program.is_stopped;
    let signal = plan.rewrite.get(&signal).copied().unwrap_or(Some(signal))?;
    let signal = plan.programs[id.0].signals.get(&signal).copied().unwrap_or(Some(signal))?;
    let group = program.group().map(Target::Group).filter(|_| is_for_all);
    Some((id, group.or(target(plan, id, program))?, signal))
}

fn target(plan: &plan::Plan, id: ProgramId, program: &Program) -> Option<Target> {
    match program.leader() {
        Some(leader) if plan.single_child && !plan.programs[id.0].is_agent() => Some(Target::Leader(leader)),
        _ => program.group().map(Target::Group),
    }
}
