//! After a bug nothing is decided any more: the runtime ends everything by itself, and what it does and sees is written
//! down here for the record, as far as that is possible.

use super::budget::Moment;
use super::children::Child;
use super::event::{Other, Reaped};
use super::program::{State, StoppedBy, Taken};
use super::shutdown::{Reason, Shutdown};
use super::signal::Signal;
use super::sweep::Sweep;
use super::{Core, timeline};

impl Core {
    /// Gives up deciding: a bug was met.
    pub fn abandon(&mut self, now: Moment) {
        let reason = Reason::InternalError;
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.reason = reason;
            return;
        }
        let active = self.active();
        self.shutdown = Some(Shutdown { active, ..Shutdown::new(reason, None, self.plan.budget, now) });
        self.note(now, None, timeline::SHUTDOWN);
    }

    /// Everybody gets this signal.
    pub fn all_are_told(&mut self, signal: Signal, now: Moment) {
        let what = StoppedBy::Signal(signal);
        for program in self.programs.iter_mut().filter(|program| program.is_there()) {
            program.close_last_step(now);
            program.taken.push(Taken { what, at: now, until: None });
        }
    }

    /// Children have ended, which means nothing any more.
    pub fn have_ended(&mut self, reaped: &[Reaped], now: Moment) {
        for child in reaped {
            let Some(known) = self.children.remove(child.pid) else {
                self.reaped.orphans += 1;
                continue;
            };
            self.reaped.programs += 1;
            let Child::Leader(id) = known else { continue };
            self.note(now, Some(id), child.exit.to_string());
            let program = &mut self.programs[id];
            program.exit = Some(child.exit);
            program.stopped_by = Some(program.last_taken().unwrap_or(StoppedBy::Itself));
            program.close_last_step(now);
            program.state = State::Ended;
        }
    }

    /// It is over, and these are left.
    pub fn end_abandoned(&mut self, left: Vec<Other>, now: Moment) {
        self.finished = true;
        self.abandon(now);
        self.note(now, None, timeline::STOPPED);
        for program in self.programs.iter_mut().filter(|program| program.is_there()) {
            let (leader, group) = (program.leader(), program.group());
            let is_its = |other: &Other| Some(other.pid) == leader || group.is_some() && other.pgid == group;
            program.stopped_by =
                if left.iter().any(is_its) { Some(StoppedBy::Nothing) } else { program.last_taken() };
            program.close_last_step(now);
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.sweep.get_or_insert_with(|| Sweep::new(now)).others = left;
            shutdown.over_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::process::Exit;
    use std::time::Duration;

    #[test]
    fn what_is_seen_after_a_bug_is_written_down() {
        let mut bench = Bench::new(vec![program("good"), program("bad")]);
        let [good, bad] = [0, 1].map(|id| bench.program(id).leader().unwrap());
        let at = Duration::from_secs;
        bench.core.abandon(at(1));
        bench.core.all_are_told(Signal::TERM, at(1));
        bench.core.have_ended(&[Reaped { pid: good, exit: Exit::Code(3) }], at(2));
        bench.core.all_are_told(Signal::KILL, at(3));
        let survivor =
            Other { pid: bad, pgid: bad.group(), program: None, command: "bad".to_owned(), state: 'D' };
        bench.core.end_abandoned(vec![survivor], at(4));
        assert!(bench.core.is_finished());
        assert_eq!(bench.core.shutdown().unwrap().began, at(1));
        assert_eq!(bench.core.reaped().programs, 1);
        assert_eq!(bench.program(0).exit, Some(Exit::Code(3)));
        assert_eq!(bench.program(0).stopped_by, Some(StoppedBy::Signal(Signal::TERM)));
        assert_eq!(bench.program(1).stopped_by, Some(StoppedBy::Nothing));
        let taken: Vec<_> = bench.program(1).taken.iter().map(|taken| (taken.at, taken.until)).collect();
        assert_eq!(taken, [(at(1), Some(at(3))), (at(3), Some(at(4)))]);
        assert_eq!(bench.core.shutdown().unwrap().sweep.as_ref().unwrap().others.len(), 1);
    }
}
