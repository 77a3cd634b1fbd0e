//! What a leader leaves behind.
//!
//! Some stay in its group. Others have left that (setsid, a double fork) and are looked for, one look a round for all
//! programs, when the leader has ended and whenever a signal is for them: between two looks numbers may become others'.
//! Daemons of a program that ended by itself and will not come back are left alone until its turn to stop comes.
//!
//! What is left understands signals alone: steps for the leader are passed over, and where a cascade has no signal but SIGKILL it is
//! asked by SIGTERM, with all the time that those steps had. Nobody is killed who was not asked.

use super::action::{Action, Target};
use super::budget::Moment;
use super::event::{Other, Reaped};
use super::plan::{ProgramId, Step};
use super::program::{Program, State, StoppedBy};
use super::signal::Signal;
use super::{Core, sweep};
use log::Level;
use std::collections::BTreeMap;
use std::time::Duration;

/// Ends that come together are asked about together: a fleet that stops must not be listed for each of its programs, nor
/// thousands of daemons for each that ends.
const SEEK_EVERY: Duration = Duration::from_millis(2);

impl Core {
    /// Has those looked for who have left the group of a program, where they can be known.
    pub(super) fn seek(&mut self, id: ProgramId) {
        self.programs[id].is_sought = self.plan.marks_programs;
    }

    /// At the end of a round: all that have ended are asked about at once.
    pub(super) fn seek_if_wanted(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.seek_from > now && !out.contains(&Action::Look) {
            return;
        }
        let wanted = |id: &ProgramId| self.programs[*id].is_sought;
        let sought: Vec<ProgramId> = self.ids().filter(wanted).collect();
        for id in &sought {
            self.programs[*id].is_sought = false;
        }
        // A look that is under way tells it as well.
        if !sought.is_empty() && !self.finished && !out.contains(&Action::Look) {
            self.seek_from = now + SEEK_EVERY;
            out.push(Action::Seek(sought));
        }
    }

    #[inline(never)]
    pub(super) fn on_sought(
        &mut self,
        found: Vec<(ProgramId, Vec<Other>)>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let count = found.iter().map(|(_, others)| others.len()).sum();
        self.seek_from = self.seek_from.max(now + sweep::look_costs(count));
        for (id, others) in found {
            self.escapees_are(id, &others, now, out);
        }
    }

    /// The last look of all tells it too.
    #[inline(never)]
    pub(super) fn see_escapees(&mut self, now: Moment, out: &mut Vec<Action>) {
        if !self.plan.marks_programs {
            return;
        }
        let mut found: BTreeMap<ProgramId, Vec<Other>> = BTreeMap::new();
        let sweep = self.shutdown.as_ref().and_then(|shutdown| shutdown.sweep.as_ref());
        for other in sweep.iter().flat_map(|sweep| &sweep.others) {
            if let Some(id) = other.program {
                found.entry(id).or_default().push(other.clone());
            }
        }
        for id in self.ids() {
            self.escapees_are(id, found.get(&id).map_or(&[], Vec::as_slice), now, out);
        }
    }

    fn escapees_are(&mut self, id: ProgramId, others: &[Other], now: Moment, out: &mut Vec<Action>) {
        let Some(program) = self.programs.get_mut(id.0) else { return };
        let told = std::mem::take(&mut program.escapees);
        program.escapees =
            others.iter().map(|other| (other.pid, told.get(&other.pid).copied().flatten())).collect();
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.strays.see_of(id, others);
        }
        let is_empty = others.is_empty();
        match self.programs[id].state {
            State::Leaderless { pgid: None }
            | State::Stopping { leader: None, pgid: None, .. }
            | State::Survived { leader: None, pgid: None }
                if is_empty =>
            {
                self.nothing_is_left(id, now, out);
            }
            State::Leaderless { pgid: None } | State::Stopping { leader: None, pgid: None, .. }
                if self.is_now() || self.is_time_up(now) =>
            {
                self.kill_escapees(id, others, now, out);
            }
            State::Leaderless { pgid: None } if self.is_to_stop(id) => {
                self.begin_cascade(id, now, out);
                self.tell_escapees(id, others, now, out);
            }
            State::Leaderless { pgid: None } if told.is_empty() => {
                let many = if others.len() == 1 { "process goes" } else { "processes go" };
                self.say(Level::Info, id, format_args!("{} {many} on outside its group", others.len()), out);
            }
            State::Stopping { leader: None, .. } if !is_empty => {
                self.go_on_without_leader(id, now, out);
                self.tell_escapees(id, others, now, out);
            }
            State::Stopping { leader: Some(_), .. } if !is_empty => self.tell_escapees(id, others, now, out),
            State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaderless { .. }
            | State::Stopping { .. }
            | State::Survived { .. }
            | State::Closing
            | State::Ended => {}
        }
    }

    /// Nobody is in its group any more; what has left it may be there.
    pub(super) fn group_is_empty(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        if !self.plan.marks_programs {
            return self.nothing_is_left(id, now, out);
        }
        if let State::Leaderless { pgid } | State::Stopping { pgid, .. } | State::Survived { pgid, .. } =
            &mut self.programs[id].state
        {
            *pgid = None;
        }
        self.seek(id);
    }

    /// True for a program that will start again, or is to be there no more: its daemons go with it.
    fn is_to_stop(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        let is_in_turn = self.shutdown.is_some() && self.is_its_turn(id);
        program.restarting.planned || is_in_turn || self.is_its_turn_to_go(id)
    }

    /// A new step has begun: they hear of it when it is known who they are. While the leader lives it sees to them itself,
    /// unless there is no time for that.
    pub(super) fn tell_escapees_later(&mut self, id: ProgramId, what: StoppedBy) {
        let program = &mut self.programs[id];
        program.escapees.values_mut().for_each(|told| *told = None);
        if matches!(what, StoppedBy::Signal(signal) if program.leader().is_none() || signal == Signal::KILL) {
            self.seek(id);
            self.seek_from = Moment::ZERO;
        }
    }

    /// Those who have not heard of this step hear of it now: it has just been seen who they are.
    fn tell_escapees(&mut self, id: ProgramId, others: &[Other], now: Moment, out: &mut Vec<Action>) {
        if self.programs[id].leader().is_none() {
            self.probe_later(id, now);
        }
        let program = &mut self.programs[id];
        program.is_sought = false;
        let Some(StoppedBy::Signal(signal)) = program.last_taken() else { return };
        if program.leader().is_some() && signal != Signal::KILL {
            return;
        }
        let mut count = 0;
        for other in others {
            let pid = other.pid;
            if program.escapees.insert(pid, Some(signal)) == Some(Some(signal)) {
                continue;
            }
            count += 1;
            if let Some(shutdown) = &mut self.shutdown {
                shutdown.strays.told(other, Some(id), signal);
            }
            out.push(Action::Signal(id, Target::Escapee(pid), signal));
            if ![Signal::CONT, Signal::KILL].contains(&signal) {
                out.push(Action::Signal(id, Target::Escapee(pid), Signal::CONT));
            }
        }
        if count > 0 {
            self.note(now, Some(id), format!("{signal} to {count} outside its group"));
        }
    }

    fn kill_escapees(&mut self, id: ProgramId, others: &[Other], now: Moment, out: &mut Vec<Action>) {
        if self.programs[id].last_taken() != Some(StoppedBy::KILL) {
            self.kill(id, None, None, now, out);
        }
        self.tell_escapees(id, others, now, out);
    }

    /// Some of them have ended. If nobody else is known, it is time to look again.
    pub(super) fn forget_escapees(&mut self, reaped: &[Reaped]) {
        let is_known = |program: &Program| !program.escapees.is_empty();
        for id in self.ids().filter(|id| is_known(&self.programs[*id])).collect::<Vec<_>>() {
            let escapees = &mut self.programs[id].escapees;
            for child in reaped {
                escapees.remove(&child.pid);
            }
            if escapees.is_empty() {
                self.seek(id);
            }
        }
    }

    /// It hears what was for the leader alone: the same signal, or what comes after a command or a text.
    pub(super) fn go_on_without_leader(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let State::Stopping { cascade, .. } = &mut self.programs[id].state else { return };
        if !std::mem::take(&mut cascade.for_leader) {
            return;
        }
        let (step, until) = (cascade.step, cascade.until);
        if let Some(StoppedBy::Signal(signal)) = self.programs[id].last_taken() {
            return self.signal_to_stop(id, signal, out);
        }
        let rest = until.map_or(Duration::ZERO, |until| until.saturating_sub(now));
        self.cut_stop_command(id, out);
        self.programs[id].close_last_step(now);
        self.pass_over(id, step + 1, rest, now, out);
    }

    /// Passes over the steps from here on that are for a leader; `rest` is what is left of the wait of the one before.
    pub(super) fn pass_over(
        &mut self,
        id: ProgramId,
        step: usize,
        rest: Duration,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let steps = &self.plan.programs[id].stop;
        let passed = steps[step.min(steps.len())..].iter().take_while(|step| step.is_for_leader());
        let (count, wait) =
            passed.fold((0, rest), |(count, wait), step| (count + 1, wait.saturating_add(step.wait)));
        let next = step + count;
        let is_to_ask = steps.get(next).is_none_or(Step::is_kill) && !self.is_now();
        let is_signal = |what| matches!(what, StoppedBy::Signal(_));
        let was_asked = self.programs[id].taken.iter().any(|taken| is_signal(taken.what));
        if is_to_ask && !was_asked {
            let ask = StoppedBy::Signal(Signal::TERM);
            self.take_step(id, next.saturating_sub(1), ask, wait, now, out);
        } else {
            self.enter_step(id, next, now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::event::GroupState::Empty;
    use crate::core::event::{Event, Look};
    use crate::core::plan::{self, Plan};
    use crate::core::policy::{Backoff, Restart};
    use crate::core::process::{Exit, Pid};

    const FIRST: ProgramId = ProgramId(0);

    fn pid(number: i32) -> Pid {
        Pid::new(number).unwrap()
    }

    fn bench(programs: Vec<plan::Program>) -> Bench {
        let plan = Plan::new(programs, Budget::Within(Duration::from_secs(9)));
        let mut bench = Bench::of(Plan { marks_programs: true, ..plan });
        bench.is_alone = false;
        bench.asked();
        bench
    }

    /// A oneshot that has left a daemon, and somebody who comes after it.
    fn bench_with_daemon() -> Bench {
        let once = plan::Program { oneshot: true, ..program("db") };
        let mut bench = bench(vec![once, plan::Program { after: vec![FIRST], ..program("api") }]);
        bench.ends(0, 0, Empty);
        assert_eq!(bench.asked(), [Action::Spawn(ProgramId(1)), Action::Seek(vec![FIRST])]);
        found(&mut bench, 0, &[7]);
        bench
    }

    fn other(number: i32, program: Option<ProgramId>) -> Other {
        Other { pid: pid(number), pgid: None, program, command: format!("daemon {number}"), state: 'S' }
    }

    /// Who is in the record's list, and what it took.
    fn strays(bench: &Bench) -> Vec<(i32, Option<ProgramId>, String, StoppedBy)> {
        let strays = bench.core.shutdown().unwrap().strays.iter();
        strays.map(|(pid, s)| (pid.number(), s.program, s.command.clone(), s.stopped_by())).collect()
    }

    fn found(bench: &mut Bench, id: usize, pids: &[i32]) {
        let others = pids.iter().map(|number| other(*number, Some(ProgramId(id)))).collect();
        bench.step(Event::Sought(vec![(ProgramId(id), others)]));
        bench.step(Event::Tick);
    }

    /// What is asked for in the next two milliseconds.
    fn asked_soon(bench: &mut Bench) -> Vec<Action> {
        bench.at(u64::try_from(bench.now.as_millis()).unwrap() + 2);
        bench.asked()
    }

    fn told(id: usize, number: i32, signal: Signal) -> Vec<Action> {
        let signals = if signal == Signal::KILL { vec![signal] } else { vec![signal, Signal::CONT] };
        signals.into_iter().map(|s| Action::Signal(ProgramId(id), Target::Escapee(pid(number)), s)).collect()
    }

    #[test]
    fn a_daemon_is_left_alone_until_its_turn() {
        let mut bench = bench_with_daemon();
        assert_eq!(bench.asked(), []);
        bench.signal(Signal::TERM);
        let api = bench.program(1).group().unwrap();
        let term = [Signal::TERM, Signal::CONT].map(|s| Action::Signal(ProgramId(1), Target::Group(api), s));
        assert_eq!(bench.asked(), term);
        bench.ends(1, 0, Empty);
        assert_eq!(asked_soon(&mut bench), [Action::Seek(vec![ProgramId(1)])]);
        found(&mut bench, 1, &[]);
        assert_eq!(asked_soon(&mut bench), [Action::Seek(vec![FIRST])]);
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked(), told(0, 7, Signal::TERM));
        bench.step(Event::Reaped(vec![Reaped { pid: pid(7), exit: Exit::Code(0) }]));
        assert_eq!(asked_soon(&mut bench), [Action::Seek(vec![FIRST])]);
        found(&mut bench, 0, &[]);
        assert_eq!(bench.program(0).state, State::Ended);
        assert_eq!(bench.program(0).stopped_by, Some(StoppedBy::Itself));
    }

    #[test]
    fn a_daemon_that_has_changed_or_is_gone_from_the_plan_stops() {
        for programs in [vec![], vec![plan::Program { success_codes: vec![7], ..program("db") }]] {
            let mut bench = bench_with_daemon();
            let plan = Plan::new(
                programs.into_iter().chain([program("api")]).collect(),
                Budget::Within(Duration::from_secs(9)),
            );
            bench.step(Event::Reloaded(Box::new(plan)));
            // It came after that one, and has changed.
            assert_eq!(bench.told_to_stop(), [1]);
            bench.ends(1, 0, Empty);
            assert_eq!(asked_soon(&mut bench).last(), Some(&Action::Seek(vec![ProgramId(1)])));
            found(&mut bench, 1, &[]);
            assert_eq!(asked_soon(&mut bench).last(), Some(&Action::Seek(vec![FIRST])));
            found(&mut bench, 0, &[7]);
            assert_eq!(bench.asked(), told(0, 7, Signal::TERM));
        }
    }

    #[test]
    fn a_restart_waits_for_those_who_have_left() {
        let backoff = Backoff { first: Duration::ZERO, ..Backoff::default() };
        let restarted = plan::Program { restart: Restart::Always, backoff, ..program("p") };
        let mut bench = bench(vec![restarted]);
        bench.ends(0, 0, Empty);
        assert_eq!(bench.asked(), [Action::Seek(vec![FIRST])]);
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked(), told(0, 7, Signal::TERM));
        // Nobody tells of the end of somebody else's child.
        bench.at(10);
        assert_eq!(bench.asked(), [Action::Seek(vec![FIRST])]);
        found(&mut bench, 0, &[7, 8]);
        assert_eq!(bench.asked(), told(0, 8, Signal::TERM), "once is enough for the first");
        bench.at(30);
        bench.asked();
        found(&mut bench, 0, &[]);
        assert_eq!(bench.starts(0), 1);
    }

    #[test]
    fn those_who_do_not_listen_are_killed_with_the_program_and_tell_what_it_took() {
        let term = Step::signal(Signal::TERM, Duration::from_millis(100));
        // Somebody else lives, or the last look of all would tell.
        let mut bench = bench(vec![plan::Program { stop: vec![term], ..program("p") }, program("other")]);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, Empty);
        bench.asked();
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked(), told(0, 7, Signal::TERM));
        bench.now = Duration::from_millis(100);
        bench.step(Event::Tick);
        assert_eq!(bench.asked(), [Action::Seek(vec![FIRST])], "the number may be another's by now");
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked(), told(0, 7, Signal::KILL));
        found(&mut bench, 0, &[]);
        assert_eq!(bench.program(0).stopped_by, Some(StoppedBy::Signal(Signal::KILL)));
        assert_eq!(strays(&bench), [(7, Some(FIRST), "daemon 7".to_owned(), StoppedBy::KILL)]);
    }

    #[test]
    fn only_those_whom_a_shutdown_met_are_told_of() {
        let backoff = Backoff { first: Duration::ZERO, ..Backoff::default() };
        let restarted = plan::Program { restart: Restart::Always, backoff, ..program("p") };
        let mut bench = bench(vec![restarted, program("other")]);
        bench.ends(0, 0, Empty);
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked().split_off(1), told(0, 7, Signal::TERM));
        found(&mut bench, 0, &[]);
        bench.at(10);
        bench.signal(Signal::TERM);
        assert_eq!(strays(&bench), []);
        bench.ends(0, 0, Empty);
        found(&mut bench, 0, &[8, 9]);
        let term = StoppedBy::Signal(Signal::TERM);
        found(&mut bench, 0, &[9]);
        let one = |number, by| (number, Some(FIRST), format!("daemon {number}"), by);
        assert_eq!(strays(&bench), [one(8, term), one(9, StoppedBy::Nothing)]);
    }

    #[test]
    fn while_the_leader_lives_only_sigkill_is_for_those_who_have_left() {
        let mut bench = bench(vec![program("p")]);
        bench.signal(Signal::TERM);
        assert!(!bench.asked().iter().any(|action| matches!(action, Action::Seek(_))));
        bench.signal(Signal::TERM);
        let asked = bench.asked();
        assert_eq!(asked.last(), Some(&Action::Seek(vec![FIRST])), "{asked:?}");
        found(&mut bench, 0, &[7]);
        assert_eq!(bench.asked(), told(0, 7, Signal::KILL));
    }

    #[test]
    fn all_that_end_in_one_round_are_asked_about_at_once() {
        let mut bench = bench(vec![program("a"), program("b"), program("c")]);
        bench.signal(Signal::TERM);
        bench.asked();
        let ends = [0, 2].map(|id| {
            let pid = bench.program(id).leader().unwrap();
            Reaped { pid, exit: Exit::Code(0) }
        });
        bench.step(Event::Reaped(ends.to_vec()));
        for id in [0, 2] {
            bench.step(Event::Group(ProgramId(id), Empty));
        }
        bench.step(Event::Tick);
        assert_eq!(bench.asked(), [Action::Seek(vec![FIRST, ProgramId(2)])]);
    }

    #[test]
    fn the_last_sweep_leaves_those_who_belong_to_a_program_to_its_cascade() {
        let mut bench = bench(vec![program("p")]);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, Empty);
        bench.asked();
        let others = vec![other(7, Some(FIRST)), other(8, None)];
        bench.step(Event::Looked(Look { others, ..Look::default() }));
        let stray = [Signal::TERM, Signal::CONT].map(|signal| Action::SignalStray(pid(8), signal));
        assert_eq!(bench.asked(), [told(0, 7, Signal::TERM), stray.to_vec()].concat());
        let strays: Vec<_> =
            strays(&bench).into_iter().map(|(number, program, ..)| (number, program)).collect();
        assert_eq!(strays, [(7, Some(FIRST)), (8, None)]);
    }

    #[test]
    fn a_plan_without_marks_asks_about_nobody() {
        let mut bench = Bench::new(vec![program("p")]);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, Empty);
        assert!(!bench.asked().iter().any(|action| matches!(action, Action::Seek(_))));
        assert_eq!(bench.program(0).state, State::Ended);
    }
}
