//! A cascade, step by step.

use super::action::{Action, Target};
use super::budget::{Budget, Moment};
use super::children::Child;
use super::plan::{KILL_WAIT, ProgramId, StepAction};
use super::process::{Exit, Pgid, Pid};
use super::program::{Cascade, NextProbe, State, StoppedBy, Taken};
use super::signal::Signal;
use super::timeline::STOP_COMMAND;
use super::{Core, share};
use log::Level;
use std::time::Duration;

/// However short somebody's wait after SIGKILL: the kernel needs a moment too.
const SHORTEST_KILL_WAIT: Duration = Duration::from_millis(100);

/// A group without a leader is probed after this long, and then after twice as long each time.
const FIRST_PROBE: Duration = Duration::from_millis(10);
/// No probe is later than this after the one before.
const LONGEST_PROBE: Duration = Duration::from_secs(1);

impl Core {
    /// Takes the first step against a program of which something is alive.
    pub(super) fn begin_cascade(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.stop_asking(id, out);
        let program = &mut self.programs[id];
        if !program.is_there() {
            return;
        }
        let (leader, pgid) = (program.leader(), program.group());
        program.taken.clear();
        let cascade = Cascade { step: 0, ..Cascade::default() };
        program.state = State::Stopping { leader, pgid, cascade };
        self.enter_step(id, 0, now, out);
    }

    /// Goes on to the next step, or gives the program up if SIGKILL was the last.
    pub(super) fn next_step(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let State::Stopping { leader, cascade, .. } = self.programs[id].state else { return };
        let was_for_leader = self.programs[id].last_taken().is_some_and(StoppedBy::is_for_leader);
        if leader.is_none() && was_for_leader {
            self.go_on_without_leader(id, now, out);
        } else {
            self.enter_step(id, cascade.step + 1, now, out);
        }
    }

    /// Goes to the SIGKILL at once.
    pub(super) fn kill_now(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let kill = self.plan.programs[id].kill_step();
        match self.programs[id].state {
            State::Stopping { cascade, .. } if cascade.step >= kill => {}
            State::Stopping { leader: None, pgid: None, .. } | State::Leaderless { pgid: None } => {
                // They are killed when it is known who they are, if anybody is.
                self.seek(id);
                self.seek_from = Moment::ZERO;
            }
            State::Stopping { .. } => self.enter_step(id, kill, now, out),
            State::Running { leader, pgid } => self.kill(id, Some(leader), Some(pgid), now, out),
            State::Leaderless { pgid: Some(pgid) } => self.kill(id, None, Some(pgid), now, out),
            State::Waiting { .. }
            | State::Starting { .. }
            | State::Survived { .. }
            | State::Closing
            | State::Ended => {}
        }
    }

    /// Begins its cascade with the SIGKILL.
    pub(super) fn kill(
        &mut self,
        id: ProgramId,
        leader: Option<Pid>,
        pgid: Option<Pgid>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        self.stop_asking(id, out);
        self.cut_stop_command(id, out);
        let kill = self.plan.programs[id].kill_step();
        let cascade = Cascade { step: kill, ..Cascade::default() };
        self.programs[id].state = State::Stopping { leader, pgid, cascade };
        self.enter_step(id, kill, now, out);
    }

    pub(super) fn end_overdue_steps(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            // A step may be due the moment it begins: a budget that is used up leaves no waits. What is asked of others
            // is answered first, though.
            while let State::Stopping { cascade: Cascade { until: Some(until), .. }, .. } =
                self.programs[id].state
                && until <= now
            {
                if self.programs[id].is_sought {
                    // Perhaps nothing is left that would be late.
                    self.seek_from = Moment::ZERO;
                    break;
                }
                self.next_step(id, now, out);
                if self.programs[id].last_taken().is_some_and(StoppedBy::is_for_leader) {
                    break;
                }
            }
        }
    }

    pub(super) fn enter_step(&mut self, id: ProgramId, step: usize, now: Moment, out: &mut Vec<Action>) {
        self.cut_stop_command(id, out);
        self.programs[id].close_last_step(now);
        let State::Stopping { leader, .. } = self.programs[id].state else { return };
        self.inspect_if_late(id, leader, out);
        let killed = self.programs[id].last_taken() == Some(StoppedBy::KILL);
        let written = self.plan.programs[id].stop.get(step).map(|step| step.action.clone());
        let what = match written {
            _ if killed => return self.survived(id, now, out),
            Some(StepAction::Run(_) | StepAction::Stdin(_) | StepAction::Keys(_)) if leader.is_none() => {
                return self.pass_over(id, step, Duration::ZERO, now, out);
            }
            Some(StepAction::Run(_)) => StoppedBy::Run,
            Some(StepAction::Stdin(_)) => StoppedBy::Stdin,
            Some(StepAction::Keys(_)) => StoppedBy::Keys,
            Some(StepAction::Signal(signal)) => StoppedBy::Signal(signal),
            Some(StepAction::Received) => StoppedBy::Signal(self.received_signal()),
            None if self.kills_in_the_end() => StoppedBy::KILL,
            None => return self.wait_for_ever(id),
        };
        let wait = self.plan.programs[id].stop.get(step).map_or(KILL_WAIT, |step| step.wait);
        self.take_step(id, step, what, wait, now, out);
    }

    /// Takes a step that waits this long, if the budget lets it.
    pub(super) fn take_step(
        &mut self,
        id: ProgramId,
        step: usize,
        what: StoppedBy,
        wait: Duration,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let State::Stopping { leader, pgid, cascade: Cascade { probe, .. } } = self.programs[id].state else {
            return;
        };
        let until = self.step_ends(id, step, what, wait, now);
        let is_alone = || matches!(self.target(id), Some(Target::Leader(_)));
        let for_leader = what.is_for_leader() || (what != StoppedBy::KILL && is_alone());
        let cascade = Cascade { step, until, command: None, for_leader, probe };
        self.programs[id].state = State::Stopping { leader, pgid, cascade };
        self.programs[id].taken.push(Taken { what, at: now, until: None });
        self.note(now, Some(id), what.to_string());
        match what {
            StoppedBy::Run | StoppedBy::Keys => out.push(Action::RunStep(id, step)),
            StoppedBy::Stdin => out.push(Action::WriteStdin(id, step)),
            StoppedBy::KILL => {
                out.extend(pgid.map(|pgid| Action::Signal(id, Target::Group(pgid), Signal::KILL)));
            }
            StoppedBy::Signal(signal) => self.signal_to_stop(id, signal, out),
            StoppedBy::Itself | StoppedBy::Sweep | StoppedBy::Nothing => {}
        }
        self.tell_escapees_later(id, what);
    }

    /// A leader that has outlived the first signal it was to end on is looked at before it is too late: what it did
    /// with that signal, and on which others it would have ended by itself, explains the shutdown.
    fn inspect_if_late(&self, id: ProgramId, leader: Option<Pid>, out: &mut Vec<Action>) {
        let is_polite = |taken: &Taken| taken.what.polite().is_some();
        let taken = &self.programs[id].taken;
        let is_first = taken.iter().position(is_polite).is_some_and(|place| place + 1 == taken.len());
        if is_first && let Some(pid) = leader {
            out.push(Action::Inspect(id, pid));
        }
    }

    /// A stopped process hears nothing but SIGKILL and SIGCONT (signal(7)), so SIGCONT follows.
    pub(super) fn signal_to_stop(&self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        if let Some(target) = self.target(id) {
            out.push(Action::Signal(id, target, signal));
            if let Target::Group(pgid) = target
                && signal == Signal::TERM
                && self.plan.programs[id].is_agent()
            {
                out.push(Action::HangUp(id, pgid));
            }
            if signal != Signal::CONT {
                out.push(Action::Signal(id, target, Signal::CONT));
            }
        }
    }

    fn received_signal(&self) -> Signal {
        let received = self.shutdown.as_ref().and_then(|s| s.received.as_ref()).map(|r| r.signal);
        received.and_then(|signal| self.rewritten(signal)).unwrap_or(Signal::TERM)
    }

    /// When the step that begins now is over. The budget cuts waits short, never the SIGKILL.
    fn step_ends(
        &self,
        id: ProgramId,
        step: usize,
        what: StoppedBy,
        own: Duration,
        now: Moment,
    ) -> Option<Moment> {
        if what == StoppedBy::KILL {
            // Survivors must not use up the time of those that come after them.
            let left = self.shutdown.as_ref().and_then(|s| s.ends_at).map(|end| end.saturating_sub(now) / 4);
            let own = own.max(SHORTEST_KILL_WAIT);
            return Some(now + left.map_or(own, |left| own.min(left)));
        }
        if step + 1 == self.plan.programs[id].stop.len() && !self.kills_in_the_end() {
            return None;
        }
        now.checked_add(share::wait(own, self.need_after(id, step), self.time_to_kill(now)))
    }

    /// True if a cascade ends with a SIGKILL, though none is written there.
    fn kills_in_the_end(&self) -> bool {
        self.plan.budget != Budget::Forever || self.is_now()
    }

    /// Another budget may have come: where it is not for ever, the steps that are under way end like all others.
    pub(super) fn end_waits_for_ever(&mut self, now: Moment) {
        if self.plan.budget == Budget::Forever {
            return;
        }
        for id in self.ids() {
            let State::Stopping { cascade: Cascade { step, until: None, .. }, .. } = self.programs[id].state
            else {
                continue;
            };
            let wait = self.plan.programs[id].stop.get(step).map(|step| step.wait);
            let (Some(wait), Some(what)) = (wait, self.programs[id].last_taken()) else { continue };
            let until = self.step_ends(id, step, what, wait, now);
            if let State::Stopping { cascade, .. } = &mut self.programs[id].state {
                cascade.until = until;
            }
        }
    }

    /// What the steps after this one, and the programs after this one, need until their SIGKILLs.
    pub(super) fn need_after(&self, id: ProgramId, step: usize) -> Duration {
        let others = self.shutdown.as_ref().map_or(Duration::ZERO, |s| s.time_after[id]);
        self.plan.programs[id].patience_from(step + 1).saturating_add(others)
    }

    /// Cuts the waits of cascades that began before the shutdown did.
    pub(super) fn squeeze_running_cascades(&mut self, now: Moment) {
        for id in self.ids() {
            let State::Stopping { cascade, .. } = self.programs[id].state else { continue };
            let Some(until) = cascade.until else { continue };
            let need_after = self.need_after(id, cascade.step);
            let wait = share::wait(until.saturating_sub(now), need_after, self.time_to_kill(now));
            if let State::Stopping { cascade, .. } = &mut self.programs[id].state {
                cascade.until = Some(now + wait);
            }
        }
    }

    pub(super) fn on_step_spawned(
        &mut self,
        id: ProgramId,
        pid: Option<Pid>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let State::Stopping { cascade, .. } = &mut self.programs[id].state else { return };
        if let Some(pid) = pid {
            cascade.command = Some(pid);
            self.children.insert(pid, Child::StopCommand(id));
        } else {
            self.next_step(id, now, out);
        }
    }

    /// True if its step was still under way.
    pub(super) fn forget_stop_command(&mut self, id: ProgramId, pid: Pid) -> bool {
        let State::Stopping { cascade, .. } = &mut self.programs[id].state else { return false };
        cascade.command.take_if(|command| *command == pid).is_some()
    }

    pub(super) fn stop_command_ended(
        &mut self,
        id: ProgramId,
        exit: Exit,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        if exit == Exit::Code(0) {
            return;
        }
        self.note(now, Some(id), format!("{STOP_COMMAND}{exit}"));
        self.say(Level::Warn, id, format_args!("its stop command {exit}"), out);
        // Without a leader there may be nothing left to stop; the probe will tell.
        if self.programs[id].leader().is_some() {
            self.next_step(id, now, out);
        }
    }

    pub(super) fn on_stdin_written(
        &mut self,
        id: ProgramId,
        written: bool,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let asked = self.programs[id].last_taken() == Some(StoppedBy::Stdin);
        if asked && !written {
            self.say(Level::Warn, id, "its standard input takes nothing", out);
            self.next_step(id, now, out);
        }
    }

    /// Those whom a leader has left may end without anybody telling: their parent may be somebody else.
    pub(super) fn probe_later(&mut self, id: ProgramId, now: Moment) {
        if let State::Stopping { cascade, .. } = &mut self.programs[id].state {
            cascade.probe.get_or_insert(NextProbe { at: now + FIRST_PROBE, waited: FIRST_PROBE });
        }
    }

    pub(super) fn probe_if_due(&mut self, now: Moment, out: &mut Vec<Action>) {
        for (index, program) in self.programs.iter_mut().enumerate() {
            if let State::Stopping { leader: None, pgid, cascade } = &mut program.state
                && let Some(probe) = cascade.probe.as_mut().filter(|probe| probe.at <= now)
            {
                let waited = (probe.waited * 2).min(LONGEST_PROBE);
                *probe = NextProbe { at: now + waited, waited };
                out.extend(pgid.map(|pgid| Action::Probe(ProgramId(index), pgid)));
                program.is_sought |= !program.escapees.is_empty();
            }
        }
    }

    pub(super) fn cut_stop_command(&mut self, id: ProgramId, out: &mut Vec<Action>) {
        if let State::Stopping { cascade, .. } = &mut self.programs[id].state
            && let Some(pgid) = cascade.command.take().and_then(Pid::group)
        {
            out.push(Action::KillCommand(pgid));
        }
    }

    fn wait_for_ever(&mut self, id: ProgramId) {
        if let State::Stopping { cascade, .. } = &mut self.programs[id].state {
            cascade.until = None;
        }
    }

    fn survived(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let State::Stopping { leader, pgid, .. } = self.programs[id].state else { return };
        self.programs[id].state = State::Survived { leader, pgid };
        self.programs[id].stopped_by = Some(StoppedBy::Nothing);
        self.note(now, Some(id), "survived SIGKILL");
        self.say(Level::Error, id, "is still there after SIGKILL", out);
        self.record_soon(now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::event::GroupState::{Alive, Empty};
    use crate::core::event::{Event, Reaped};
    use crate::core::masks::SignalSet;
    use crate::core::plan::{Plan, Program, Step};

    const FIRST: ProgramId = ProgramId(0);

    fn run(wait_ms: u64) -> Step {
        let action = StepAction::Run(vec!["stop".into()]);
        Step { action, wait: Duration::from_millis(wait_ms) }
    }

    fn text(wait_ms: u64) -> Step {
        Step { action: StepAction::Stdin("quit".to_owned()), wait: Duration::from_millis(wait_ms) }
    }

    fn term(wait_ms: u64) -> Step {
        Step::signal(Signal::TERM, Duration::from_millis(wait_ms))
    }

    /// A program that has been told to stop.
    fn stopping(stop: Vec<Step>) -> Bench {
        let mut bench = Bench::new(vec![Program { stop, ..program("p") }]);
        bench.is_alone = false;
        bench.asked();
        bench.step(Event::Signal(crate::core::event::Received::from_kernel(Signal::TERM)));
        bench
    }

    fn pid(number: i32) -> Pid {
        Pid::new(number).unwrap()
    }

    fn killed(number: i32) -> Event {
        Event::Reaped(vec![Reaped { pid: pid(number), exit: Exit::Signal(Signal::KILL) }])
    }

    #[test]
    fn one_that_has_just_ended_is_not_killed_for_being_late() {
        let mut bench = stopping(vec![term(100)]);
        bench.is_alone = true;
        bench.asked();
        let pid = bench.program(0).leader().unwrap();
        bench.now = Duration::from_millis(150);
        bench.step(Event::Reaped(vec![Reaped { pid, exit: Exit::Code(0) }]));
        bench.step(Event::Group(FIRST, Empty));
        assert_eq!(bench.asked(), [Action::Finish(0)]);
        assert_eq!(bench.program(0).stopped_by, Some(StoppedBy::Signal(Signal::TERM)));
    }

    #[test]
    fn whoever_is_killed_has_a_moment_to_end_however_short_the_wait() {
        let mut bench = stopping(vec![Step::signal(Signal::KILL, Duration::ZERO)]);
        bench.at(0);
        assert!(matches!(bench.program(0).state, State::Stopping { .. }), "{:?}", bench.program(0).state);
        let leader = bench.program(0).leader().unwrap();
        bench.step(killed(leader.number()));
        bench.step(Event::Group(FIRST, Empty));
        assert_eq!(bench.program(0).stopped_by, Some(StoppedBy::Signal(Signal::KILL)));
    }

    #[test]
    fn a_command_that_was_cut_says_nothing_about_the_next() {
        let mut bench = stopping(vec![run(100), run(1000), term(1000)]);
        bench.step(Event::StepSpawned(FIRST, Some(pid(7))));
        bench.at(100);
        bench.step(Event::StepSpawned(FIRST, Some(pid(8))));
        let cut = Action::KillCommand(pid(7).group().unwrap());
        assert_eq!(bench.asked(), [Action::RunStep(FIRST, 0), cut, Action::RunStep(FIRST, 1)]);
        bench.step(killed(7));
        assert_eq!(bench.asked(), []);
        bench.step(killed(8));
        assert_eq!(bench.program(0).taken.last().unwrap().what, StoppedBy::Signal(Signal::TERM));
    }

    #[test]
    fn steps_without_a_wait_still_hear_what_became_of_their_commands() {
        let mut bench = stopping(vec![run(0), run(0), term(1000)]);
        for (step, number) in [(0, 7), (1, 8)] {
            assert_eq!(bench.asked(), [Action::RunStep(FIRST, step)]);
            bench.step(Event::StepSpawned(FIRST, Some(pid(number))));
            bench.step(Event::Tick);
            assert_eq!(bench.asked.remove(0), Action::KillCommand(pid(number).group().unwrap()));
        }
    }

    #[test]
    fn a_command_and_its_leader_that_end_together_leave_the_next_step_to_the_probe() {
        let mut bench = stopping(vec![run(1000), term(1000)]);
        bench.step(Event::StepSpawned(FIRST, Some(pid(7))));
        bench.asked();
        let leader = bench.program(0).leader().unwrap();
        let exits = [(leader, Exit::Code(0)), (pid(7), Exit::Code(1))];
        bench.step(Event::Reaped(exits.map(|(pid, exit)| Reaped { pid, exit }).to_vec()));
        assert_eq!(bench.asked(), []);
        bench.step(Event::Group(FIRST, Alive));
        assert!(matches!(bench.asked()[..], [Action::Signal(_, _, Signal::TERM), _]));
    }

    #[test]
    fn a_leader_is_looked_at_when_it_outlives_its_first_signal_and_only_then() {
        let quit = Step::signal(Signal::QUIT, Duration::from_millis(100));
        let mut bench = stopping(vec![run(100), term(100), quit]);
        let leader = bench.program(0).leader().unwrap();
        bench.masks.ignored = SignalSet::from_bits(1 << 14);
        bench.at(199);
        assert_eq!(bench.inspected, []);
        assert_eq!(bench.program(0).masks, None);
        bench.at(2000);
        assert_eq!(bench.inspected, [(FIRST, leader)]);
        assert!(bench.program(0).masks.unwrap().ignored.contains(Signal::TERM));
    }

    #[test]
    fn one_that_ends_in_time_is_not_looked_at_nor_what_it_leaves() {
        let mut bench = stopping(vec![term(100)]);
        bench.ends(0, 0, Alive);
        bench.at(200);
        assert_eq!(bench.inspected, []);
    }

    #[test]
    fn what_a_leader_leaves_behind_hears_what_the_leader_heard_alone() {
        let programs = vec![Program { stop: vec![term(1000)], ..program("p") }];
        let plan = Plan::new(programs, Budget::Within(Duration::from_secs(9)));
        let mut bench = Bench::of(Plan { single_child: true, ..plan });
        bench.is_alone = false;
        bench.asked();
        bench.signal(Signal::TERM);
        let leader = bench.program(0).leader().unwrap();
        let told = |target| [Signal::TERM, Signal::CONT].map(|signal| Action::Signal(FIRST, target, signal));
        assert_eq!(bench.asked(), told(Target::Leader(leader)));
        bench.ends(0, 0, Alive);
        assert_eq!(bench.asked(), told(Target::Group(leader.group().unwrap())));
        bench.step(Event::Group(FIRST, Alive));
        assert_eq!(bench.asked(), [], "once is enough");
    }

    /// Everything that was sent since, and when.
    fn sent(bench: &mut Bench) -> Vec<Signal> {
        let signal = |action| match action {
            Action::Signal(_, _, signal) if signal != Signal::CONT => Some(signal),
            _ => None,
        };
        bench.asked().into_iter().filter_map(signal).collect()
    }

    #[test]
    fn what_a_leader_leaves_behind_is_asked_before_it_is_killed_though_no_step_would() {
        let mut bench = stopping(vec![run(1000), text(500)]);
        bench.step(Event::StepSpawned(FIRST, Some(pid(7))));
        bench.at(300);
        bench.ends(0, 0, Alive);
        assert_eq!(sent(&mut bench), [Signal::TERM]);
        bench.at(1499);
        assert_eq!(sent(&mut bench), []);
        bench.at(1500);
        assert_eq!(sent(&mut bench), [Signal::KILL]);
        let told = [StoppedBy::Run, StoppedBy::Signal(Signal::TERM), StoppedBy::Signal(Signal::KILL)];
        assert_eq!(bench.program(0).taken.iter().map(|taken| taken.what).collect::<Vec<_>>(), told);
    }

    #[test]
    fn what_is_left_by_a_leader_that_ended_by_itself_is_asked_as_well() {
        let mut bench =
            Bench::new(vec![Program { stop: vec![text(200), run(300)], ..program("p") }, program("other")]);
        bench.asked();
        bench.ends(0, 0, Alive);
        assert_eq!(sent(&mut bench), [Signal::TERM]);
        bench.at(499);
        assert_eq!(sent(&mut bench), []);
        bench.at(500);
        assert_eq!(sent(&mut bench), [Signal::KILL]);
    }

    #[test]
    fn what_has_been_asked_is_not_asked_again_for_want_of_a_leader() {
        let mut bench = stopping(vec![term(100), run(100)]);
        assert_eq!(sent(&mut bench), [Signal::TERM]);
        bench.ends(0, 0, Alive);
        bench.at(100);
        assert_eq!(sent(&mut bench), [Signal::KILL]);
    }

    #[test]
    fn a_group_without_a_leader_is_probed_although_nobody_tells_of_an_end() {
        let mut bench = stopping(vec![term(5000)]);
        bench.ends(0, 0, Alive);
        let mut out = Vec::new();
        bench.core.step(Event::Tick, Duration::from_millis(10), &mut out);
        assert!(out.iter().any(|action| matches!(action, Action::Probe(FIRST, _))), "{out:?}");
        assert!(bench.core.deadline() <= Some(Duration::from_millis(30)));
    }
}
