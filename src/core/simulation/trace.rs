//! What happened in a world, compact enough to read.

use super::fake_kernel::FakeKernel;
use super::scenario::Scenario;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::event::Event;
use std::fmt::Write;

/// The lines so far, if anybody wants to read them. Writing them takes longer than the world itself, so a world that
/// failed is run a second time for its trace.
#[derive(Debug, Default)]
pub(super) struct Trace(Option<String>);

impl Trace {
    pub(super) fn on() -> Self {
        Self(Some(String::new()))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn line(&mut self, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{}", text());
        }
    }

    pub(super) fn plan(&mut self, scenario: &Scenario) {
        let Scenario { plan, machine, pace, no_room, .. } = scenario;
        self.line(|| format!("{machine:?}\n{pace:?}\nno room: {no_room:?}\nbudget {:?}", plan.budget));
        self.line(|| {
            format!(
                "single child: {}, stops on {:?}, rewrite {:?}",
                plan.single_child, plan.stops_on, plan.rewrite
            )
        });
        for (program, script) in plan.programs.iter().zip(&scenario.programs) {
            self.line(|| {
                let after: Vec<usize> = program.after.iter().map(|id| id.0).collect();
                let steps: Vec<String> =
                    program.stop.iter().map(|step| format!("{:?} {:?}", step.action, step.wait)).collect();
                let main = if program.main { " main" } else { "" };
                let ends = (&program.success_codes, program.on_failure, program.restart, program.backoff);
                let checks = (program.oneshot, &program.ready, &program.health);
                format!(
                    "{}{main} after {after:?} stop {steps:?} signals {:?} failure {:?}\n    {ends:?}\n    {checks:?}",
                    program.name, program.signals, script.failure
                )
            });
        }
    }

    pub(super) fn event(&mut self, now: Moment, event: &Event, kernel: &mut FakeKernel) {
        if !self.is_on() {
            return;
        }
        for text in kernel.log.iter_mut().flat_map(std::mem::take) {
            self.line(|| format!("             ({text})"));
        }
        // A tick that does nothing says nothing; what it does follows as actions.
        if !matches!(event, Event::Tick) {
            self.line(|| format!("{:>11.6}  {event:?}", now.as_secs_f64()));
        }
    }

    pub(super) fn action(&mut self, action: &Action) {
        self.line(|| match action {
            Action::Say(level, text) => format!("               {level}: {text}"),
            action => format!("          -> {action:?}"),
        });
    }

    pub(super) fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}
