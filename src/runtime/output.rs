//! What programs print: which pipes they get, and how the last words are brought home.

use super::Runtime;
use crate::core::budget::Moment;
use crate::core::event::SpawnFailure;
use crate::core::plan::{Output, ProgramId};
use crate::core::signal::Signal;
use crate::os::output::{Rest, Writers};
use std::time::Duration;

/// Somebody who reads runinit's output, but takes nothing for this long, is not waited for at the end.
const READER_PATIENCE: Duration = Duration::from_secs(1);

impl Runtime {
    /// What a program, or a command about it, is to write to.
    pub(super) fn open_output(&mut self, id: ProgramId) -> Result<Option<Writers>, SpawnFailure> {
        let programs = &self.core.plan().programs;
        let prefixed = programs.iter().filter(|program| program.launch.output == Output::Prefix);
        let width = prefixed.map(|program| program.name.len()).max().unwrap_or(0);
        self.outputs.open(id, &programs[id], width, &mut self.poller)
    }

    /// The last lines of programs that are over do not wait for others who still hold their pipes.
    pub(super) fn end_outputs(&mut self) {
        let heard = self.outputs.heard();
        if heard.is_empty() {
            return;
        }
        for id in heard {
            if self.core.program(id).is_none_or(|program| program.group().is_none()) {
                self.outputs.end(id, &mut self.poller);
            }
        }
    }

    /// Writes the record as it stands.
    pub(super) fn record(&mut self, is_last: bool) {
        let now = self.now();
        let last_lines = |id| self.tmux.screen(id).unwrap_or_else(|| self.outputs.last_lines(id));
        self.recorder.write(&self.core, &last_lines, now, is_last);
    }

    /// Brings home what was printed before the end. Whoever reads it may take until shortly before the end of the budget,
    /// but has to take something; a signal that asks for the end once more ends that too.
    pub(super) fn drain_outputs(&mut self) {
        let shutdown = self.core.shutdown();
        let record_takes = self.core.plan().budget.reserve() / 2;
        let ends_at = shutdown.and_then(|shutdown| shutdown.ends_at).unwrap_or(Moment::MAX);
        let ends_at = ends_at.saturating_sub(record_takes);
        let is_now = shutdown.is_some_and(|shutdown| shutdown.now);
        let patience = if is_now { Duration::ZERO } else { READER_PATIENCE };
        let mut taken = (self.outputs.taken_bytes(), self.now());
        let mut ready = Vec::new();
        self.outputs.begin_end(&mut self.poller);
        loop {
            let rest = self.outputs.drain(&mut self.poller);
            if rest == Rest::Nothing {
                break;
            }
            let now = self.now();
            if self.outputs.taken_bytes() > taken.0 {
                taken = (self.outputs.taken_bytes(), now);
            }
            let until = if rest == Rest::More { ends_at } else { ends_at.min(taken.1 + patience) };
            if now >= until || self.is_asked_again() {
                self.outputs.give_up();
                continue;
            }
            let wait = if rest == Rest::More { Moment::ZERO } else { until.saturating_sub(now) };
            self.poller.wait(self.signals.as_fd(), Some(wait), &mut ready);
            ready.clear();
        }
        let lost = self.outputs.lost_lines();
        if lost > 0 {
            log::warn!("{lost} lines of programs were lost");
        }
    }

    fn is_asked_again(&self) -> bool {
        let mut arrived = Vec::new();
        while self.signals.read(&mut arrived) {}
        let asks = |signal| [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal);
        arrived.iter().any(|arrived| asks(arrived.signal))
    }
}
