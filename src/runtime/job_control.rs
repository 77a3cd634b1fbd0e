//! Whose the terminal is, and what runinit does when it or its program is stopped there.

use super::Runtime;
use crate::core::action::{Stops, Target};
use crate::core::event::Event;
use crate::core::plan::ProgramId;
use crate::core::process::{Exit, Pgid};
use crate::core::program::Program;
use crate::core::signal::Signal;
use crate::os::signals;

impl Runtime {
    /// The program that is to have the terminal.
    fn in_front(&self) -> Option<&Program> {
        self.core.programs().find(|(_, spec, _)| spec.launch.foreground).map(|(_, _, program)| program)
    }

    pub(super) fn give_terminal(&self) {
        let group = self.in_front().filter(|program| program.leader().is_some()).and_then(Program::group);
        if let (Some(terminal), Some(pgid)) = (&self.terminal, group) {
            terminal.give_again(pgid);
        }
    }

    pub(super) fn take_terminal(&self) {
        let Some(terminal) = &self.terminal else { return };
        let program = self.in_front();
        let was_killed = program.is_some_and(|program| matches!(program.exit, Some(Exit::Signal(_))));
        terminal.take_back(program.and_then(Program::group), was_killed);
    }

    pub(super) fn stop_with(&self, id: ProgramId, signal: Signal, stops: Stops) -> Option<Event> {
        // Without a terminal there is no job control: somebody has stopped it on purpose.
        let terminal = self.terminal.as_ref()?;
        let is_in_want = [Signal::TTIN, Signal::TTOU].contains(&signal);
        if is_in_want {
            terminal.take_from_neighbour();
            // `fg` gives the terminal to runinit's group, and tells nobody if that runs already.
            if self.group(id).is_some_and(|pgid| terminal.give(pgid)) {
                return Some(Event::HasTerminal(id));
            }
        }
        // Whoever misses the terminal tells all of the group: one of them may have it.
        let has_stopped = match stops {
            Stops::Itself if !is_in_want => signals::stop_self_as_terminal_does(Signal::TSTP),
            _ => signals::stop_as_terminal_does(if is_in_want { signal } else { Signal::TSTP }),
        };
        if !has_stopped {
            return Some(Event::CouldNotStop(id, signal));
        }
        terminal.is_the_shells();
        Some(Event::Resumed(id))
    }

    pub(super) fn heed_stop(&self, id: ProgramId, signal: Signal) -> Option<Event> {
        let (terminal, pgid) = (self.terminal.as_ref()?, self.group(id)?);
        if signal != Signal::TSTP {
            terminal.take_back(Some(pgid), false);
            terminal.take_from_neighbour();
            if terminal.is_ours() {
                signals::signal_group(Signal::CONT);
                return None;
            }
        }
        self.signal(id, Target::Group(pgid), Signal::TSTP)
    }

    pub(super) fn pass_on(&self, id: ProgramId, signal: Signal) {
        let (Some(terminal), Some(pgid)) = (&self.terminal, self.group(id)) else { return };
        // runinit's group was in front when that program got the terminal, so that the keyboard speaks to all of it.
        if terminal.is_given_to(pgid) {
            self.take_terminal();
            log::debug!("{signal} goes on to the rest of this job");
            signals::signal_group(signal);
        }
    }

    fn group(&self, id: ProgramId) -> Option<Pgid> {
        self.core.program(id).and_then(Program::group)
    }
}
