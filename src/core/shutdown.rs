//! When a shutdown begins, whose turn it is, and when it is over.
//!
//! There is one budget. Programs are killed by `kill_at` at the latest, and everything is over at `ends_at`; what lies
//! between belongs to the last SIGKILLs, the sweep and the record. A program's turn comes when all that depend on it are
//! over, and its waits are its share of the time to `kill_at` along its chain of dependencies.

use super::action::{Action, Target};
use super::budget::{Budget, Moment};
use super::duration::ms;
use super::event::Received;
use super::plan::{End, Program, ProgramId, Step};
use super::process::Pid;
use super::program::{Fate, State, StoppedBy};
use super::signal::Signal;
use super::strays::Strays;
use super::sweep::Sweep;
use super::{Core, timeline};
use log::Level;
use std::time::Duration;

/// How long killed processes may take to vanish once everything is to end now.
const NOW_LASTS: Duration = Duration::from_secs(2);

/// timeout(1) signals its child and then its own group, of which that is a member, and has a SIGCONT follow: two signals for one
/// request. A second one from the same process within this may be such a one.
const MAY_BE_ONE: Duration = Duration::from_millis(50);
/// Without that SIGCONT by then, the second signal is one of its own.
const CONT_FOLLOWS: Duration = Duration::from_millis(25);

/// runinit's own code for a bug of its own.
pub const INTERNAL_ERROR: i32 = 70;

/// A shutdown that has begun.
#[derive(Debug)]
pub struct Shutdown {
    /// When it began.
    pub began: Moment,
    /// Why.
    pub reason: Reason,
    /// The signal that asked for it, if one did.
    pub received: Option<Received>,
    /// When that came.
    pub(super) received_at: Moment,
    /// A second one means now, unless it turns out by then to have been a part of the first.
    pub(super) doubted_until: Option<Moment>,
    /// Everything is to be killed at once: a second signal came.
    pub now: bool,
    /// When those who are still there are named, unless they have been; `None`: nobody is.
    pub(super) half_at: Option<Moment>,
    /// When the last program is killed; `None`: never.
    pub kill_at: Option<Moment>,
    /// When all is over, whatever is left; `None`: when nothing is.
    pub ends_at: Option<Moment>,
    /// When it was over; what is left to do then, writing it down, is no part of it.
    pub(super) over_at: Option<Moment>,
    /// Programs that were alive when it began.
    pub active: Vec<ProgramId>,
    /// For each program, how long those that can only stop after it need at most.
    pub(super) time_after: Vec<Duration>,
    /// Who had left the groups of programs and was sent a signal since it began.
    pub strays: Strays,
    /// The last look for processes that nobody manages.
    pub sweep: Option<Sweep>,
}

/// Why a shutdown began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Asked,
    /// The main program has ended, or could not start.
    MainExited,
    /// No program is left.
    AllExited,
    /// A program failed on which everything depends.
    ProgramFailed(ProgramId),
    /// A bug in runinit.
    InternalError,
}

impl Shutdown {
    pub(super) fn new(reason: Reason, received: Option<Received>, budget: Budget, now: Moment) -> Self {
        Self {
            began: now,
            reason,
            received,
            received_at: now,
            doubted_until: None,
            now: false,
            half_at: budget.length().and_then(|length| now.checked_add(length / 2)),
            kill_at: budget.time_to_kill().and_then(|time| now.checked_add(time)),
            ends_at: budget.time_to_record().and_then(|time| now.checked_add(time)),
            over_at: None,
            active: Vec::new(),
            time_after: Vec::new(),
            strays: Strays::default(),
            sweep: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let sweep = self.sweep.as_ref().map(|sweep| sweep.deadline(self.ends_at));
        sweep.unwrap_or(self.ends_at).into_iter().chain(self.half_at).chain(self.doubted_until).min()
    }

    /// True for a signal that one process may have sent twice when it meant it once. A sender in another namespace has no
    /// number to be known by.
    pub(super) fn may_be_one_request(&self, received: &Received, now: Moment) -> bool {
        let is_same = |first: &Received| {
            first.signal == received.signal && sender(first).is_some() && sender(first) == sender(received)
        };
        self.received.as_ref().is_some_and(is_same)
            && self.doubted_until.is_none()
            && now < self.received_at + MAY_BE_ONE
    }

    pub(super) fn doubt(&mut self, now: Moment) {
        self.doubted_until = Some(now + CONT_FOLLOWS);
    }

    /// The SIGCONT that tells has come, if it is from that process.
    pub(super) fn settle_doubt(&mut self, cont: &Received) {
        if self.received.as_ref().and_then(sender) == sender(cont) {
            self.doubted_until = None;
        }
    }
}

impl Core {
    pub(super) fn begin_shutdown(
        &mut self,
        reason: Reason,
        received: Option<Received>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let shutdown = Shutdown {
            active: self.active(),
            time_after: self.stop_order().time_after(|id| match self.programs[id].state {
                _ if self.may_be_there(id) => self.plan.programs[id].patience_from(0),
                State::Running { .. } | State::Leaderless { pgid: None } => {
                    self.plan.programs[id].patience_from(0)
                }
                _ => Duration::ZERO,
            }),
            ..Shutdown::new(reason, received, self.plan.budget, now)
        };
        self.note(now, None, timeline::SHUTDOWN);
        if self.hears(Level::Info) {
            self.tell(Level::Info, self.why(&shutdown), out);
        }
        self.shutdown = Some(shutdown);
        for id in self.shutdown.as_ref().map_or(Vec::new(), |shutdown| shutdown.active.clone()) {
            self.programs[id].is_in_shutdown = true;
        }
        self.look_for_those_who_may_be_there();
        // How anybody is does not matter any more, and nobody is to be stopped before those that depend on it.
        for id in self.ids() {
            self.stop_asking(id, out);
        }
        self.squeeze_running_cascades(now);
        self.squeeze_calls(now);
        self.record_by(now);
    }

    /// Those that are alive, for the record.
    pub(super) fn active(&self) -> Vec<ProgramId> {
        let alive =
            self.programs().filter(|(_, spec, program)| program.leader().is_some() && !spec.is_server());
        alive.map(|(id, ..)| id).collect()
    }

    /// A signal asks for what is under way already for another reason.
    pub(super) fn join_shutdown(&mut self, received: Received, now: Moment) {
        self.note(now, None, format!("{} received", received.signal));
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.received = Some(received);
            shutdown.received_at = now;
        }
        self.record_soon(now);
    }

    /// A second signal: nobody wants to wait any longer.
    pub(super) fn stop_now(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(shutdown) = &mut self.shutdown else { return };
        if shutdown.now {
            return;
        }
        shutdown.now = true;
        shutdown.doubted_until = None;
        shutdown.half_at = None;
        shutdown.kill_at = Some(now);
        shutdown.ends_at = Some(shutdown.ends_at.map_or(now + NOW_LASTS, |end| end.min(now + NOW_LASTS)));
        self.tell(Level::Warn, "a second signal: killing everything now", out);
        self.note(now, None, timeline::SECOND_SIGNAL);
        self.kill_all(now, out);
    }

    /// No SIGCONT has followed the second signal.
    pub(super) fn end_doubt(&mut self, now: Moment, out: &mut Vec<Action>) {
        let doubted_until = self.shutdown.as_ref().and_then(|shutdown| shutdown.doubted_until);
        if doubted_until.is_some_and(|until| until <= now) {
            self.stop_now(now, out);
        }
    }

    pub(super) fn is_now(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.now)
    }

    pub(super) fn advance_shutdown(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.finished {
            return;
        }
        self.give_up_those_who_wait();
        for id in self.ids() {
            match self.programs[id].state {
                State::Running { .. } if self.is_now() => self.kill_now(id, now, out),
                State::Running { .. } if self.is_its_turn(id) => self.begin_cascade(id, now, out),
                State::Leaderless { pgid: None } if self.is_now() || self.is_its_turn(id) => self.seek(id),
                State::Running { .. }
                | State::Waiting { .. }
                | State::Starting { .. }
                | State::Leaderless { .. }
                | State::Stopping { .. }
                | State::Survived { .. }
                | State::Closing
                | State::Ended => {}
            }
        }
        if self.plan.end != End::Sweep && self.has_nobody_a_future() {
            return self.finish(now, out);
        }
        self.advance_sweep(now, out);
        if self.is_nothing_left() {
            self.finish(now, out);
        }
    }

    /// Before anybody's turn is looked at: they are in nobody's way.
    fn give_up_those_who_wait(&mut self) {
        for id in self.ids() {
            if matches!(self.programs[id].state, State::Waiting { .. }) && !self.may_be_there(id) {
                self.give_up(id);
            }
        }
    }

    /// Nobody is waited for any longer.
    pub(super) fn kill_all(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            self.kill_now(id, now, out);
        }
    }

    /// The way of other inits: nobody waits for what the main program has left.
    pub(super) fn leave(
        &mut self,
        main: ProgramId,
        parting: Option<Signal>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        if let (Some(signal), Some(pgid)) = (parting, self.programs[main].group()) {
            out.push(Action::Signal(main, Target::Group(pgid), signal));
        }
        self.finish(now, out);
    }

    fn is_nothing_left(&self) -> bool {
        let alone = self.shutdown.as_ref().and_then(|s| s.sweep.as_ref()).is_some_and(|sweep| sweep.alone);
        alone && self.programs.iter().all(|program| program.state == State::Ended)
    }

    /// How long until the last program is killed; `None`: never, or no shutdown has begun.
    pub(super) fn time_to_kill(&self, now: Moment) -> Option<Duration> {
        self.shutdown.as_ref().and_then(|s| s.kill_at).map(|kill_at| kill_at.saturating_sub(now))
    }

    pub(super) fn is_time_up(&self, now: Moment) -> bool {
        self.shutdown.as_ref().and_then(|s| s.ends_at).is_some_and(|end| end <= now)
    }

    pub(super) fn finish(&mut self, now: Moment, out: &mut Vec<Action>) {
        let code = self.exit_code();
        let Some(shutdown) = &mut self.shutdown else { return };
        let sweep = shutdown.sweep.get_or_insert_with(|| Sweep::new(now));
        sweep.close(&mut shutdown.strays, now);
        let took = format_ms(now.saturating_sub(shutdown.began));
        let survivors = sweep.others.len();
        let leaves_unseen = sweep.leaves_unseen();
        for id in self.ids() {
            self.cut_call(id, out);
        }
        for program in &mut self.programs {
            program.close_last_step(now);
            if program.is_there() {
                program.stopped_by = Some(StoppedBy::Nothing);
            }
        }
        for id in self.ids().filter(|id| self.may_be_there(*id)) {
            let pid = self.plan.programs[id].runs_as.map_or(0, Pid::number);
            let text = format_args!("is left by the last run, and could not be looked for (pid {pid})");
            self.say(Level::Warn, id, text, out);
        }
        if leaves_unseen {
            self.tell(Level::Warn, timeline::UNSEEN, out);
            self.note(now, None, timeline::UNSEEN);
        }
        let (level, left) = match survivors {
            0 => (Level::Info, String::new()),
            n => (Level::Error, format!("; {n} processes survived SIGKILL")),
        };
        self.tell(level, format_args!("stopped in {took}, exit code {code}{left}"), out);
        self.note(now, None, timeline::STOPPED);
        self.finished = true;
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.over_at = Some(now);
        }
        self.record_due = None;
        out.push(Action::Finish(code));
    }

    /// The main program. Another plan may have made it another, while the one that was it still stops.
    pub fn main(&self) -> Option<ProgramId> {
        let mains = self.programs().filter(|(_, spec, _)| spec.main);
        mains.min_by_key(|(.., program)| program.fate == Fate::Removed).map(|(id, ..)| id)
    }

    /// runinit's own code.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=192: exit codes and 128 + n
    pub fn exit_code(&self) -> u8 {
        let Some(shutdown) = &self.shutdown else { return 0 };
        let code = match (shutdown.reason, self.main()) {
            (Reason::InternalError, _) => INTERNAL_ERROR,
            (Reason::ProgramFailed(id), _) => self.code(id).filter(|code| *code != 0).unwrap_or(1),
            (_, Some(main)) => {
                let code = self.code(main).unwrap_or_else(|| self.code_without_exit(main));
                // However well it took being stopped for that.
                let code = if self.programs[main].fault.is_some() { code.max(1) } else { code };
                if self.plan.zero_codes.contains(&code) { 0 } else { code }
            }
            (Reason::Asked, None) => 0,
            (_, None) => {
                i32::from(self.programs().any(|(id, spec, _)| !spec.is_server() && self.is_failure(id)))
            }
        };
        code as u8
    }

    /// A main program that survived SIGKILL counts as killed; one that was never started, as ended by the signal
    /// that came before its start.
    fn code_without_exit(&self, main: ProgramId) -> i32 {
        let asked = self.shutdown.as_ref().filter(|shutdown| shutdown.reason == Reason::Asked);
        let received = asked.and_then(|shutdown| shutdown.received.as_ref());
        match (self.programs[main].pid, received) {
            (Some(_), _) => 128 + Signal::KILL.number(),
            (None, Some(received)) => 128 + received.signal.number(),
            (None, None) => 1,
        }
    }

    fn why(&self, shutdown: &Shutdown) -> String {
        let why = self.cause(shutdown);
        if let Some(length) = self.plan.budget.length() {
            return format!("stopping: {why}; grace {}", humantime::format_duration(length));
        }
        let kills = |spec: &Program| spec.stop.iter().any(Step::is_kill);
        let is_written = self.programs().any(|(_, spec, _)| kills(spec));
        let but = if is_written { " but by its own \"stop\"" } else { "" };
        format!("stopping: {why}; nothing is killed{but}, however long it takes")
    }

    /// Who asked, or what happened.
    pub(super) fn cause(&self, shutdown: &Shutdown) -> String {
        match (shutdown.reason, &shutdown.received) {
            (Reason::Asked, Some(Received { signal, sender: Some(sender), .. })) => {
                let command = sender.command.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
                match sender.pid {
                    // kill(2) across PID namespaces: the sender has no number here.
                    0 => format!("{signal} from outside the container"),
                    pid => format!("{signal} from pid {pid}{command}"),
                }
            }
            (Reason::Asked, Some(Received { signal, sender: None, .. })) => {
                format!("{signal} from the kernel")
            }
            (Reason::Asked, None) => "asked to".to_owned(),
            (Reason::MainExited, _) => "the main program has ended".to_owned(),
            (Reason::AllExited, _) => "every program has ended".to_owned(),
            (Reason::ProgramFailed(id), _) => format!("{} failed", self.name(id)),
            (Reason::InternalError, _) => "a bug in runinit".to_owned(),
        }
    }
}

/// The process that sent a signal, if it has a number here.
fn sender(received: &Received) -> Option<i32> {
    received.sender.as_ref().map(|sender| sender.pid).filter(|pid| *pid != 0)
}

/// A duration for people, to the millisecond.
pub(super) fn format_ms(duration: Duration) -> String {
    humantime::format_duration(Duration::from_millis(ms(duration))).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::event::GroupState::Alive;
    use crate::core::event::{Event, Sender};
    use crate::core::plan::Plan;

    /// A plan that waits for nobody but its main program, if it has one.
    fn leaving(parting: Option<Signal>, programs: Vec<Program>) -> Bench {
        let plan = Plan::new(programs, crate::core::budget::Budget::Forever);
        let mut bench = Bench::of(Plan { stops_on: vec![Signal::TERM], end: End::Leave(parting), ..plan });
        bench.asked();
        bench
    }

    #[test]
    fn whoever_the_main_program_leaves_gets_the_parting_signal_and_nothing_else() {
        for (parting, signals) in [(None, 0), (Some(Signal::TERM), 1)] {
            let mut bench = leaving(parting, vec![Program { main: true, ..program("p") }]);
            bench.is_alone = false;
            bench.ends(0, 3, Alive);
            let asked = bench.asked();
            assert_eq!(asked.len(), signals + 1, "{asked:?}");
            assert_eq!(asked.last(), Some(&Action::Finish(3)));
            bench.at(60_000);
            assert_eq!(bench.asked(), []);
        }
    }

    fn sent(signal: Signal, pid: i32) -> Event {
        let sender = Some(Sender { pid, uid: 0, command: None });
        Event::Signal(Received { sender, ..Received::from_kernel(signal) })
    }

    #[test]
    fn the_same_signal_at_once_from_one_process_with_a_sigcont_is_one_request() {
        let mut bench = Bench::new(vec![program("p")]);
        for signal in [Signal::TERM, Signal::TERM, Signal::CONT, Signal::CONT] {
            bench.step(sent(signal, 7));
        }
        bench.at(1_000);
        assert!(!bench.core.shutdown().unwrap().now);
        bench.step(sent(Signal::TERM, 7));
        assert!(bench.core.shutdown().unwrap().now, "that one comes much later");
    }

    #[test]
    fn a_second_signal_means_now_soon_even_if_it_might_have_been_a_part_of_the_first() {
        for (signal, pid, cont_from, delay_ms) in [
            (Signal::TERM, 7, None, 25u64),
            (Signal::TERM, 7, Some(8), 25),
            (Signal::TERM, 8, None, 0),
            (Signal::INT, 7, None, 0),
        ] {
            let mut bench = Bench::new(vec![program("p")]);
            bench.step(sent(Signal::TERM, 7));
            bench.step(sent(signal, pid));
            if let Some(pid) = cont_from {
                bench.step(sent(Signal::CONT, pid));
            }
            bench.at(delay_ms.saturating_sub(1));
            assert_eq!(bench.core.shutdown().unwrap().now, delay_ms == 0, "{signal} from {pid}");
            bench.at(delay_ms);
            assert!(bench.core.shutdown().unwrap().now, "{signal} from {pid}");
        }
    }

    #[test]
    fn a_third_signal_leaves_no_doubt() {
        let mut bench = Bench::new(vec![program("p")]);
        for _ in 0..3 {
            bench.step(sent(Signal::TERM, 7));
        }
        assert!(bench.core.shutdown().unwrap().now);
    }

    #[test]
    fn without_a_budget_it_is_told_whether_somebody_is_killed() {
        let step = |signal| Step::signal(signal, Duration::from_secs(1));
        for (stop, expected) in [
            (vec![step(Signal::TERM)], "; nothing is killed,"),
            (vec![step(Signal::TERM), step(Signal::KILL)], "; nothing is killed but by its own \"stop\", "),
        ] {
            let mut bench = Bench::of(Plan::new(vec![Program { stop, ..program("p") }], Budget::Forever));
            let mut out = Vec::new();
            bench.core.step(Event::Signal(Received::from_kernel(Signal::TERM)), bench.now, &mut out);
            let is_told = |action: &Action| matches!(action, Action::Say(_, text) if text.contains(expected));
            assert!(out.iter().any(is_told), "{out:?}");
            bench.at(0);
        }
    }

    #[test]
    fn a_plan_without_programs_waits_to_be_asked() {
        let mut bench = leaving(None, Vec::new());
        bench.signal(Signal::HUP);
        assert_eq!(bench.asked(), []);
        bench.signal(Signal::TERM);
        assert_eq!(bench.asked(), [Action::Finish(0)]);
    }
}
