//! Programs become ready, are asked about and fail for a reason, and only while they run.

use super::{Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::event::{Event, Notice};
use crate::core::plan::{Program, ProgramId};
use crate::core::policy::{Ready, ReadyBy};
use crate::core::program::{self, Fault, Readiness, State};

impl Rules {
    /// A program asks for more time.
    pub(super) fn note_extension(&mut self, event: &Event, now: Moment) {
        if let Event::Notified(id, Notice::Extend(time)) = event {
            let until = now.saturating_add(*time);
            let latest = self.extended.entry(*id).or_default();
            *latest = until.max(*latest);
        }
    }

    pub(super) fn check_checks(
        &self,
        event: &Event,
        core: &Core,
        now: Moment,
        actions: &[Action],
    ) -> Verdict {
        if let Event::CheckSpawned(_, Some(pid)) = event {
            ensure!(core.is_child(*pid), "nobody knows of check {pid}");
        }
        for (id, spec, before, after) in self.changes(core) {
            let asked = actions.iter().filter(|action| matches!(action, Action::Ask(of, _) if *of == id));
            let is_asked = before.asking.asked.is_some() && is_running(before);
            ensure!(asked.count() <= 1, "{} is asked twice", spec.name);
            ensure!(
                after.asking.asked.is_none() || is_running(after),
                "{} is asked about, and does not run",
                spec.name
            );
            let is_answered = after.asking.asked.is_none() || after.asking.asked == before.asking.asked;
            ensure!(!is_asked || is_answered || is_command(before, after), "{} is asked again", spec.name);
            check_readiness(event, id, spec, (before, after), now)?;
            self.check_fault(event, id, spec, after, now)?;
        }
        Ok(())
    }

    fn check_fault(
        &self,
        event: &Event,
        id: ProgramId,
        spec: &Program,
        after: &program::Program,
        now: Moment,
    ) -> Verdict {
        let before = &self.before[id.0];
        if before.fault == after.fault || after.fault.is_none() {
            return Ok(());
        }
        let is_told = matches!(event, Event::Notified(of, Notice::Unwell) if *of == id);
        let is_right = match after.fault {
            Some(Fault::NotReady) => spec.ready.as_ref().is_some_and(|ready| {
                before.readiness != Readiness::Ready
                    && before.started_at.is_some_and(|at| now >= at + ready.timeout)
            }),
            Some(Fault::Unhealthy) => {
                let failures = spec.health.as_ref().map(|health| health.failures);
                is_told || failures.is_some_and(|failures| after.asking.noes >= failures)
            }
            Some(Fault::Silent) => before.watchdog.is_some_and(|watchdog| watchdog.until <= now),
            Some(Fault::NoTerminal) => spec.is_agent(),
            None => true,
        };
        ensure!(is_right, "{} has failed without a reason: {:?}", spec.name, after.fault);
        Ok(())
    }
}

fn is_running(program: &program::Program) -> bool {
    matches!(program.state, State::Running { .. })
}

/// The command that is to answer has become known.
fn is_command(before: &program::Program, after: &program::Program) -> bool {
    let (Some(before), Some(after)) = (before.asking.asked, after.asking.asked) else { return false };
    before.until == after.until && before.command.is_none()
}

/// Nobody is ready without having said so, and who has said so is ready.
fn check_readiness(
    event: &Event,
    id: ProgramId,
    spec: &Program,
    (before, after): (&program::Program, &program::Program),
    now: Moment,
) -> Verdict {
    let is_start = matches!(event, Event::Spawned(of, Ok(_)) if *of == id);
    if is_start && after.fate != program::Fate::Stays {
        // Another plan came while it started: it is stopped at once.
        return Ok(());
    }
    if is_start && matches!(before.state, State::Starting { .. }) {
        let is_ready = spec.ready.is_none() && !spec.oneshot;
        let is_told = (after.readiness == Readiness::Ready) == is_ready;
        ensure!(
            is_told || is_delay_over(spec, after, now),
            "{} is {:?} when it has started",
            spec.name,
            after.readiness
        );
        return Ok(());
    }
    if before.readiness == Readiness::Ready || after.readiness != Readiness::Ready {
        return Ok(());
    }
    let is_reaped = matches!(event, Event::Reaped(_) | Event::EndTold(..));
    let is_right = match &spec.ready {
        _ if spec.oneshot && is_reaped && after.exit.is_some() => true,
        Some(Ready { by: ReadyBy::Notify | ReadyBy::Descriptor(_), .. }) => {
            matches!(event, Event::Notified(of, Notice::Ready) if *of == id)
        }
        Some(Ready { by: ReadyBy::Check(_), .. }) => {
            matches!(event, Event::Checked(of, true) if *of == id) || is_reaped
        }
        Some(Ready { by: ReadyBy::Delay(_), .. }) => is_delay_over(spec, after, now),
        None => false,
    };
    ensure!(is_right, "{} is ready without a reason", spec.name);
    Ok(())
}

fn is_delay_over(spec: &Program, program: &program::Program, now: Moment) -> bool {
    let Some(Ready { by: ReadyBy::Delay(delay), .. }) = spec.ready else { return false };
    program.started_at.is_some_and(|at| now >= at + delay)
}
