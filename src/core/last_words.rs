//! A whole shutdown in one line, for somebody who asks why a container ended: why, who was to blame, how long.

use super::Core;
use super::budget::Moment;
use super::masks::Masks;
use super::plan::{self, ProgramId};
use super::program::{Program, StoppedBy};
use super::shutdown::{Reason, Shutdown, format_ms};
use super::strays::Stray;

/// So many programs are named; the others are counted.
const NAMED: usize = 5;

impl Core {
    /// `stopped in 5s 200ms: SIGTERM from pid 7 (sh); web was killed 5s after SIGTERM, which it ignored; exit code 143`.
    /// `None` before any shutdown.
    #[inline(never)]
    pub fn last_words(&self, now: Moment) -> Option<String> {
        let shutdown = self.shutdown()?;
        let took = format_ms(shutdown.over_at.unwrap_or(now).saturating_sub(shutdown.began));
        let mut parts = vec![format!("stopped in {took}: {}{}", self.cause(shutdown), self.blamed(shutdown))];
        parts.extend(self.failed(shutdown));
        let mut killed =
            self.programs().filter(|(_, _, program)| program.stopped_by == Some(StoppedBy::KILL));
        parts.extend(killed.by_ref().take(NAMED).map(|(id, _, program)| self.how_killed(id, program)));
        parts.extend(counted(killed.count(), "more program was killed", "more programs were killed"));
        if let Some(sweep) = &shutdown.sweep {
            let is_nobodys = |stray: &Stray| stray.program.is_none() && stray.stopped_by() == StoppedBy::KILL;
            let strays = shutdown.strays.iter().filter(|(_, stray)| is_nobodys(stray)).count();
            parts.extend(counted(strays, "stray process was killed", "stray processes were killed"));
            parts.extend(counted(
                sweep.others.len(),
                "process survived SIGKILL",
                "processes survived SIGKILL",
            ));
        }
        parts.push(format!("exit code {}", self.exit_code()));
        Some(parts.join("; "))
    }

    /// How the program ended that is the reason for the shutdown.
    fn blamed(&self, shutdown: &Shutdown) -> String {
        let blamed = match shutdown.reason {
            Reason::MainExited => self.main(),
            Reason::ProgramFailed(id) => Some(id),
            Reason::Asked | Reason::AllExited | Reason::InternalError => None,
        };
        let Some(id) = blamed else { return String::new() };
        let (spec, program) = (&self.plan.programs[id], &self.programs[id]);
        let how = program.why_failed(spec).or_else(|| program.exit.map(|exit| exit.to_string()));
        how.map_or_else(String::new, |how| format!(" ({how})"))
    }

    /// Those whose failures make the exit code of a fleet without a main program.
    fn failed(&self, shutdown: &Shutdown) -> Vec<String> {
        if shutdown.reason != Reason::AllExited {
            return Vec::new();
        }
        let of_people = self.programs().filter(|(_, spec, _)| !spec.is_server());
        let mut failed = of_people.filter(|(id, ..)| self.is_failure(*id));
        let how = |(id, spec, program): (ProgramId, &plan::Program, &Program)| {
            let why = program.why_failed(spec).unwrap_or_else(|| "never started".to_owned());
            format!("{} failed ({why})", self.name(id))
        };
        let mut parts: Vec<String> = failed.by_ref().take(NAMED).map(how).collect();
        parts.extend(counted(failed.count(), "more program failed", "more programs failed"));
        parts
    }

    fn how_killed(&self, id: ProgramId, program: &Program) -> String {
        let name = self.name(id);
        let kill = program.taken.iter().find(|taken| taken.what == StoppedBy::KILL);
        let first =
            program.taken.iter().find_map(|taken| taken.what.polite().map(|signal| (signal, taken.at)));
        let Some(((signal, asked_at), kill)) = first.zip(kill) else {
            return format!("{name} was killed");
        };
        let after = format_ms(kill.at.saturating_sub(asked_at));
        let refused = match program.masks.and_then(|masks: Masks| masks.refusal(signal)) {
            Some("ignores") => ", which it ignored",
            Some(_) => ", which it blocked",
            None => "",
        };
        format!("{name} was killed {after} after {signal}{refused}")
    }
}

fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {many}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::event::{Event, GroupState, Notice, Reaped};
    use crate::core::masks::SignalSet;
    use crate::core::plan::Program;
    use crate::core::process::Exit;
    use crate::core::signal::Signal;
    use std::time::Duration;

    fn words(bench: &Bench) -> String {
        bench.core.last_words(bench.now).unwrap()
    }

    #[test]
    fn nothing_is_said_while_it_runs() {
        assert_eq!(Bench::new(vec![program("p")]).core.last_words(Moment::ZERO), None);
    }

    #[test]
    fn who_had_to_be_killed_is_named() {
        let mut bench = Bench::new(vec![program("web"), program("good")]);
        bench.masks.ignored = SignalSet::from_bits(1 << 14);
        bench.signal(Signal::TERM);
        bench.ends(1, 0, GroupState::Empty);
        bench.at(5_000);
        let pid = bench.program(0).leader().unwrap();
        bench.step(Event::Group(ProgramId(0), GroupState::Alive));
        bench.step(Event::Reaped(vec![Reaped { pid, exit: Exit::Signal(Signal::KILL) }]));
        bench.step(Event::Group(ProgramId(0), GroupState::Empty));
        assert!(bench.core.is_finished());
        // To write it down takes time, too.
        bench.now += Duration::from_millis(60);
        assert_eq!(
            words(&bench),
            "stopped in 5s: SIGTERM from the kernel; web was killed 5s after SIGTERM, which it ignored; exit code 0"
        );
    }

    #[test]
    fn a_main_program_that_ended_is_the_reason() {
        let mut bench = Bench::new(vec![Program { main: true, ..program("main") }]);
        bench.ends(0, 3, GroupState::Empty);
        assert_eq!(
            words(&bench),
            "stopped in 0s: the main program has ended (exited with code 3); exit code 3"
        );
    }

    #[test]
    fn whose_failure_makes_the_exit_code_is_named() {
        let after = Program { after: vec![ProgramId(1)], ..program("late") };
        let mut bench = Bench::new(vec![program("good"), program("web"), after]);
        bench.step(Event::Notified(ProgramId(1), Notice::Unwell));
        bench.ends(1, 3, GroupState::Empty);
        bench.ends(2, 4, GroupState::Empty);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(
            words(&bench),
            "stopped in 0s: every program has ended; web failed (unhealthy); late failed (exited with code 4); exit code 1"
        );
    }

    #[test]
    fn after_a_bug_it_is_said_to_be_one() {
        let mut bench = Bench::new(vec![program("p")]);
        bench.core.end_abandoned(Vec::new(), bench.now);
        assert_eq!(words(&bench), "stopped in 0s: a bug in runinit; exit code 70");
    }
}
