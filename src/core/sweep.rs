//! Processes that nobody manages: they left their group (setsid, a double fork), nobody knows whose they are, and they are
//! still there when the last leader has ended. Below PID 1 those who were there before runinit are never looked at.
//!
//! They get SIGTERM, the rest of the grace, SIGKILL. One look lists them; another follows an exit and, since not all of
//! them are runinit's children, every now and then. The sweep is over when nobody is left, which every exit has asked.

use super::action::Action;
use super::budget::Moment;
use super::event::{Look, Other};
use super::process::Pid;
use super::program::{Program, State};
use super::shutdown::Shutdown;
use super::signal::Signal;
use super::strays::Strays;
use super::{Core, timeline};
use log::Level;
use std::collections::BTreeSet;
use std::time::Duration;

/// Until the next look, at first and at last: the wait doubles.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

/// A look reads two or three files of each process that it finds, some 30 us. The next one waits in proportion, so that
/// thousands who end one after the other are not listed for each of them.
pub(super) fn look_costs(count: usize) -> Duration {
    Duration::from_micros(100) * u32::try_from(count).unwrap_or(u32::MAX)
}

/// The sweep, once it has begun.
#[derive(Debug)]
pub struct Sweep {
    kill_at: Option<Moment>,
    stage: Stage,
    look_at: Option<Moment>,
    look_wait: Duration,
    /// No exit is a reason to look before.
    look_from: Moment,
    /// The time is up: the next look ends everything.
    is_last: bool,
    /// Nobody is left.
    pub(super) alone: bool,
    /// Somebody is, but /proc does not tell who.
    blind: bool,
    /// Who was there at the last look, managed or not.
    pub others: Vec<Other>,
}

/// What strays get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// SIGTERM, as soon as they are known.
    Listing,
    /// All of them have got SIGTERM without being known, since /proc does not tell who they are.
    ToldBlindly,
    /// SIGKILL.
    Killing,
}

impl Sweep {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            kill_at: None,
            stage: Stage::Listing,
            look_at: Some(now),
            look_wait: LOOK_AGAIN[0],
            look_from: now,
            is_last: false,
            alone: false,
            blind: false,
            others: Vec::new(),
        }
    }

    pub(super) fn deadline(&self, ends_at: Option<Moment>) -> Option<Moment> {
        let kill_at = self.kill_at.filter(|_| self.stage != Stage::Killing);
        [self.look_at, kill_at, ends_at.filter(|_| !self.is_last)].into_iter().flatten().min()
    }

    /// Takes in who is left.
    fn see(&mut self, look: Look, strays: &mut Strays, now: Moment) {
        self.look_from = now + look_costs(look.others.len());
        self.look_at = self.look_at.map(|at| at.max(self.look_from));
        self.alone = look.alone;
        self.blind = look.blind;
        self.others = look.others;
        strays.see(&self.others);
    }

    /// Those who are known may be gone by now, and their numbers others': the next look tells whom to kill.
    fn begin_killing(&mut self, strays: &mut Strays, now: Moment, out: &mut Vec<Action>) {
        self.stage = Stage::Killing;
        strays.killed();
        self.look_at = Some(now);
        self.look_wait = LOOK_AGAIN[0];
        out.push(Action::SignalEverybody(Signal::KILL));
    }

    fn look_if_due(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = now.checked_add(self.look_wait);
            self.look_wait = (self.look_wait * 2).min(LOOK_AGAIN[1]);
            out.push(Action::Look);
        }
    }

    /// Somebody has ended.
    fn look_again(&mut self, now: Moment, out: &mut Vec<Action>) {
        let at = self.look_from.max(now);
        self.look_at = Some(self.look_at.map_or(at, |due| due.min(at)));
        if at > now {
            out.push(Action::AskWhetherAlone);
        }
    }

    /// Somebody is left, and nobody knows who.
    pub(super) fn leaves_unseen(&self) -> bool {
        self.blind && !self.alone
    }

    pub(super) fn close(&mut self, strays: &mut Strays, now: Moment) {
        self.look_at = None;
        if self.alone {
            self.see(Look { alone: true, ..Look::default() }, strays, now);
        }
    }
}

impl Core {
    pub(super) fn advance_sweep(&mut self, now: Moment, out: &mut Vec<Action>) {
        // Once it has begun nobody is waited for.
        let has_begun = self.shutdown.as_ref().is_some_and(|shutdown| shutdown.sweep.is_some());
        if !self.is_time_to_sweep() || !has_begun && !self.is_cleaned(now, out) {
            return;
        }
        let is_now = self.is_now();
        let Some(shutdown) = &mut self.shutdown else { return };
        let sweep = shutdown.sweep.get_or_insert_with(|| Sweep::new(now));
        if sweep.kill_at.is_none()
            && let (Some(kill_at), Some(ends_at)) = (shutdown.kill_at, shutdown.ends_at)
        {
            // Strays that are found late get half of what is left for SIGTERM.
            sweep.kill_at = Some(kill_at.max((now + ends_at) / 2));
        }
        if is_now && sweep.stage != Stage::Killing {
            sweep.begin_killing(&mut shutdown.strays, now, out);
        }
        sweep.look_if_due(now, out);
    }

    /// The grace is used up, or the whole time is: then everybody is killed, and a last look tells who is left.
    pub(super) fn end_overdue_sweep(&mut self, now: Moment, out: &mut Vec<Action>) {
        let is_time_up = self.is_time_up(now);
        let Some(shutdown) = &mut self.shutdown else { return };
        if is_time_up {
            shutdown.sweep.get_or_insert_with(|| Sweep::new(now));
        }
        let Some(sweep) = &mut shutdown.sweep else { return };
        let is_overdue = is_time_up || sweep.kill_at.is_some_and(|at| at <= now);
        if is_overdue && sweep.stage != Stage::Killing {
            sweep.begin_killing(&mut shutdown.strays, now, out);
        }
        if is_time_up && !sweep.is_last {
            sweep.is_last = true;
            sweep.look_at = Some(now);
        }
        sweep.look_if_due(now, out);
    }

    /// Only when the last leader has ended: until then a daemon may belong to a program that still needs it.
    fn is_time_to_sweep(&self) -> bool {
        self.programs.iter().all(|program| match program.state {
            State::Waiting { .. } | State::Starting { .. } | State::Running { .. } => false,
            State::Stopping { leader, .. } => leader.is_none(),
            State::Leaderless { .. } | State::Survived { .. } | State::Closing | State::Ended => true,
        })
    }

    /// Nobody is left at all, so nobody is of any group, whether its end was told or not.
    fn groups_are_empty(&mut self, now: Moment, out: &mut Vec<Action>) {
        for id in self.ids() {
            let program = &self.programs[id];
            if program.leader().is_none() && program.is_there() {
                self.nothing_is_left(id, now, out);
            }
        }
    }

    pub(super) fn look_again(&mut self, now: Moment, out: &mut Vec<Action>) {
        if let Some(sweep) = self.shutdown.as_mut().and_then(|s| s.sweep.as_mut()) {
            sweep.look_again(now, out);
        }
    }

    /// True once whoever is left gets SIGKILL.
    pub fn is_killing(&self) -> bool {
        let sweep = self.shutdown.as_ref().and_then(|shutdown| shutdown.sweep.as_ref());
        sweep.is_some_and(|sweep| sweep.stage == Stage::Killing)
    }

    fn tell_of_strays(&mut self, signal: Signal, count: u32, now: Moment, out: &mut Vec<Action>) {
        if count > 0 {
            self.note(now, None, timeline::sent_to_strays(signal, count));
            let many = if count == 1 { "process" } else { "processes" };
            let text = format!("{signal} to {count} {many} that nobody manages");
            self.tell(Level::Info, text, out);
            self.record_soon(now);
        }
    }

    pub(super) fn on_looked(&mut self, look: Look, now: Moment, out: &mut Vec<Action>) {
        let Some(Shutdown { sweep: Some(sweep), strays, .. }) = &mut self.shutdown else { return };
        sweep.see(look, strays, now);
        // Who got it with everybody else is counted when they are gone: who is left gets one of their own.
        let mut found = strays.ended_with_all();
        if sweep.alone {
            self.tell_of_strays(Signal::KILL, found, now, out);
            let Some(Shutdown { sweep: Some(sweep), .. }) = &self.shutdown else { return };
            let is_last = sweep.is_last;
            self.groups_are_empty(now, out);
            if is_last {
                self.finish(now, out);
            }
            return;
        }
        self.see_escapees(now, out);
        let Some(Shutdown { sweep: Some(sweep), strays, .. }) = &mut self.shutdown else { return };
        let signal = if sweep.stage == Stage::Killing { Signal::KILL } else { Signal::TERM };
        let managed: BTreeSet<_> = self.programs.iter().filter_map(Program::group).collect();
        for other in &sweep.others {
            // Its own commands have been killed, and may not have vanished yet.
            let is_command = other.pgid.is_some_and(|pgid| {
                Pid::new(pgid.number()).is_some_and(|leader| self.children.get(leader).is_some())
            });
            let is_escapee = other.program.is_some_and(|id| !self.programs[id].is_over());
            let is_managed =
                is_command || is_escapee || other.pgid.is_some_and(|pgid| managed.contains(&pgid));
            let was_told = strays.sent(other.pid) == Some(signal);
            // The last look cannot tell whether the number has become another's since then.
            if is_managed || was_told && !sweep.is_last {
                continue;
            }
            found += u32::from(!was_told);
            out.push(Action::SignalStray(other.pid, signal));
            if signal != Signal::KILL {
                out.push(Action::SignalStray(other.pid, Signal::CONT));
            }
            strays.told(other, other.program, signal);
        }
        if sweep.blind && sweep.stage == Stage::Killing {
            // Somebody may have come since the last time.
            out.push(Action::SignalEverybody(Signal::KILL));
        } else if sweep.blind && sweep.stage == Stage::Listing {
            sweep.stage = Stage::ToldBlindly;
            out.push(Action::SignalEverybody(Signal::TERM));
            out.push(Action::SignalEverybody(Signal::CONT));
        }
        self.tell_of_strays(signal, found, now, out);
        if self.shutdown.as_ref().and_then(|s| s.sweep.as_ref()).is_some_and(|sweep| sweep.is_last) {
            self.finish(now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::event::{Event, GroupState, Reaped};
    use crate::core::plan;
    use crate::core::process::Exit;

    fn stray(pid: i32) -> Other {
        Other {
            pid: Pid::new(pid).unwrap(),
            pgid: None,
            program: None,
            command: "stray".to_owned(),
            state: 'S',
        }
    }

    fn found(bench: &mut Bench, pids: &[i32]) -> Vec<Action> {
        bench.asked();
        let others = pids.iter().copied().map(stray).collect();
        bench.step(Event::Looked(Look { others, ..Look::default() }));
        bench.asked()
    }

    /// The main program has ended, and somebody else is there.
    fn bench(pid: i32) -> (Bench, Vec<Action>) {
        let mut bench = Bench::new(vec![plan::Program { main: true, ..program("main") }]);
        bench.is_alone = false;
        bench.ends(0, 0, GroupState::Empty);
        let asked = found(&mut bench, &[pid]);
        (bench, asked)
    }

    #[test]
    fn a_stray_is_asked_first_and_only_once() {
        let pid = Pid::new(7).unwrap();
        let (mut bench, asked) = bench(7);
        assert_eq!(asked, [Action::SignalStray(pid, Signal::TERM), Action::SignalStray(pid, Signal::CONT)]);
        assert_eq!(found(&mut bench, &[7]), []);
    }

    #[test]
    fn one_that_stays_is_killed_when_only_the_reserve_is_left() {
        let pid = Pid::new(7).unwrap();
        let (mut bench, _) = bench(7);
        bench.at(8_099);
        assert_eq!(found(&mut bench, &[7]), []);
        bench.at(8_100);
        assert_eq!(found(&mut bench, &[7]), [Action::SignalStray(pid, Signal::KILL)]);
    }

    #[test]
    fn one_that_has_gone_is_not_killed_by_its_old_number() {
        let (mut bench, _) = bench(7);
        bench.at(8_099);
        bench.asked();
        bench.at(8_100);
        assert_eq!(bench.asked(), [Action::SignalEverybody(Signal::KILL)]);
        assert_eq!(found(&mut bench, &[]), []);
        let told = |bench: &Bench| {
            let of_strays = bench.core.timeline().entries().filter_map(|e| timeline::got_by_strays(&e.event));
            of_strays.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(told(&bench), ["SIGTERM", "SIGKILL"]);
    }

    #[test]
    fn one_that_comes_with_the_number_of_another_is_asked_as_well() {
        let pid = Pid::new(7).unwrap();
        let (mut bench, asked) = bench(7);
        assert_eq!(found(&mut bench, &[]), []);
        assert_eq!(found(&mut bench, &[7]), asked);
        assert_eq!(asked[0], Action::SignalStray(pid, Signal::TERM));
    }

    #[test]
    fn one_with_the_number_of_one_that_was_reaped_is_asked_as_well() {
        let (mut bench, asked) = bench(7);
        let reaped = Reaped { pid: Pid::new(7).unwrap(), exit: Exit::Code(0) };
        bench.step(Event::Reaped(vec![reaped]));
        assert_eq!(found(&mut bench, &[7]), asked);
    }

    #[test]
    fn who_is_left_at_the_end_is_looked_for_once_more() {
        let (mut bench, _) = bench(7);
        bench.at(9_000);
        bench.asked();
        let mut killed = found(&mut bench, &[8]);
        assert!(matches!(killed.pop(), Some(Action::Finish(0))));
        assert_eq!(killed, [Action::SignalStray(Pid::new(8).unwrap(), Signal::KILL)]);
        let survivors = &bench.core.shutdown().unwrap().sweep.as_ref().unwrap().others;
        assert_eq!(*survivors, [stray(8)]);
    }

    #[test]
    fn one_that_comes_late_is_killed_at_once() {
        let (mut bench, _) = bench(7);
        bench.at(8_100);
        found(&mut bench, &[7]);
        assert_eq!(found(&mut bench, &[7, 8]), [Action::SignalStray(Pid::new(8).unwrap(), Signal::KILL)]);
    }

    #[test]
    fn thousands_are_not_listed_for_each_that_ends() {
        let (mut bench, _) = bench(7);
        found(&mut bench, &(1_000..3_000).collect::<Vec<_>>());
        let looks = bench.looks;
        let reaped = |pid| Reaped { pid: Pid::new(pid).unwrap(), exit: Exit::Code(0) };
        for pid in 1_000..1_010 {
            bench.step(Event::Reaped(vec![reaped(pid)]));
        }
        assert_eq!(bench.asked(), vec![Action::AskWhetherAlone; 10]);
        bench.at(199);
        assert_eq!(bench.looks, looks);
        bench.at(200);
        assert_eq!(bench.looks, looks + 1);
    }

    #[test]
    fn that_somebody_is_left_is_told_even_if_nobody_knows_who() {
        for blind in [true, false] {
            let (mut bench, _) = bench(7);
            bench.at(9_000);
            bench.asked();
            bench.step(Event::Looked(Look { blind, ..Look::default() }));
            assert!(bench.core.is_finished());
            let is_told = bench.core.timeline().entries().any(|entry| entry.event == timeline::UNSEEN);
            assert_eq!(is_told, blind, "a zombie that nobody has reaped is nobody");
        }
    }

    #[test]
    fn it_is_over_when_nobody_is_left() {
        let (mut bench, _) = bench(7);
        bench.step(Event::Looked(Look { alone: true, ..Look::default() }));
        assert!(bench.core.is_finished());
    }
}
