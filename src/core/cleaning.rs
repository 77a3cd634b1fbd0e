//! When it is cleaned up behind agents: at the start, every so often, and once at the end.
//!
//! A pass may have to wait for others: for a lock, for tmux, for a disk. So it is a child with a deadline, never two at a
//! time. The last one begins when no program has a leader any more, before the sweep. It has a part of the time that is
//! left, and the sweep waits for it; a pass that is under way then is cut short for it.

use super::Core;
use super::action::{Action, Occasion};
use super::budget::Moment;
use super::children::Child;
use super::process::{Exit, Pid};
use log::Level;
use std::time::Duration;

/// A pass may take so long.
pub(super) const PASS_LASTS: Duration = Duration::from_mins(1);
/// The last pass may take half of the time that is left, at most this.
pub(super) const LAST_PASS_LASTS: Duration = Duration::from_secs(3);
/// With less time than this the last pass could do nothing.
const TOO_SHORT: Duration = Duration::from_millis(50);

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// When the next pass begins, or as soon after it as the one before is over; `None`: never.
    next: Option<Moment>,
    /// The pass that is under way.
    pass: Option<Pass>,
    last: Last,
    /// It has been said that passes fail.
    is_failing: bool,
}

/// A pass that is under way.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// `None` until it has started.
    pid: Option<Pid>,
    /// When it is killed; `None`: it has been.
    until: Option<Moment>,
}

/// The last pass, which the sweep waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// Its time has not come.
    #[default]
    NotYet,
    /// The one before it has been killed, and has not vanished yet.
    Awaited {
        /// It is given up then.
        until: Moment,
    },
    /// It is under way.
    Begun {
        /// It is killed then.
        until: Moment,
    },
    /// Nobody waits for it.
    Over,
}

impl Cleaning {
    /// The first pass begins as soon as the first programs have been started.
    pub(super) fn new(is_wanted: bool) -> Self {
        Self {
            next: is_wanted.then_some(Moment::ZERO),
            last: if is_wanted { Last::NotYet } else { Last::Over },
            ..Self::default()
        }
    }

    pub(super) fn deadline(&self, is_stopping: bool) -> Option<Moment> {
        let next = self.next.filter(|_| self.pass.is_none() && !is_stopping);
        let pass = self.pass.and_then(|pass| pass.until);
        let last = match self.last {
            Last::Awaited { until } | Last::Begun { until } => Some(until),
            Last::NotYet | Last::Over => None,
        };
        [next, pass, last].into_iter().flatten().min()
    }

    /// True if this was the pass that is under way.
    pub(super) fn forget(&mut self, pid: Pid) -> bool {
        self.pass.is_some_and(|pass| pass.pid == Some(pid))
    }
}

impl Core {
    /// Another plan has been taken over.
    pub(super) fn reschedule_cleaning(&mut self, now: Moment, out: &mut Vec<Action>) {
        let every = self.plan.hygiene.as_ref().map(|hygiene| hygiene.every);
        let due = every.and_then(|every| now.checked_add(every));
        self.cleaning.next = match (self.cleaning.next, due) {
            (Some(next), Some(due)) => Some(next.min(due)),
            // It is new in the plan, so this is its start.
            (None, Some(_)) => Some(now),
            (_, None) => None,
        };
        if every.is_some() {
            self.cleaning.last = Last::NotYet;
        } else {
            self.stop_cleaning(out);
        }
    }

    /// What is due about passes while programs run.
    pub(super) fn clean_if_due(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(hygiene) = &self.plan.hygiene else { return };
        let is_due = self.cleaning.next.is_some_and(|at| at <= now);
        if is_due && self.cleaning.pass.is_none() {
            self.cleaning.next = now.checked_add(hygiene.every);
            self.begin_pass(Occasion::Regular, PASS_LASTS, now, out);
        }
    }

    /// A pass that takes too long is killed, whatever it waits for.
    pub(super) fn end_overdue_pass(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.cleaning.pass.is_some_and(|pass| pass.until.is_some_and(|at| at <= now)) {
            self.pass_failed("took too long and was ended", out);
            self.kill_pass(out);
        }
    }

    fn begin_pass(&mut self, occasion: Occasion, lasts: Duration, now: Moment, out: &mut Vec<Action>) {
        self.cleaning.pass = Some(Pass { pid: None, until: now.checked_add(lasts) });
        out.push(Action::Clean(occasion, lasts));
    }

    pub(super) fn on_pass_spawned(&mut self, pid: Option<Pid>, out: &mut Vec<Action>) {
        let Some(pass) = self.cleaning.pass.as_mut().filter(|pass| pass.pid.is_none()) else { return };
        let Some(pid) = pid else {
            self.pass_failed("could not start", out);
            return self.pass_is_over();
        };
        pass.pid = Some(pid);
        self.children.insert(pid, Child::Pass);
        // It was to be killed before it had a number.
        if pass.until.is_none() {
            out.extend(pid.group().map(Action::KillCommand));
        }
    }

    pub(super) fn pass_ended(&mut self, exit: Exit, out: &mut Vec<Action>) {
        let was_killed = self.cleaning.pass.is_some_and(|pass| pass.until.is_none());
        if exit == Exit::Code(0) {
            self.cleaning.is_failing = false;
        } else if !was_killed {
            self.pass_failed(&exit.to_string(), out);
        }
        self.pass_is_over();
    }

    fn pass_is_over(&mut self) {
        self.cleaning.pass = None;
        if matches!(self.cleaning.last, Last::Begun { .. }) {
            self.cleaning.last = Last::Over;
        }
    }

    /// Said once, until a pass goes well again.
    fn pass_failed(&mut self, why: &str, out: &mut Vec<Action>) {
        let level = if self.cleaning.is_failing { Level::Debug } else { Level::Warn };
        self.cleaning.is_failing = true;
        self.tell(level, format_args!("hygiene: a pass {why}"), out);
    }

    fn kill_pass(&mut self, out: &mut Vec<Action>) {
        let Some(pass) = &mut self.cleaning.pass else { return };
        if pass.until.take().is_some() {
            out.extend(pass.pid.and_then(Pid::group).map(Action::KillCommand));
        }
    }

    /// No time is left for it, or nobody wants it any more.
    pub(super) fn stop_cleaning(&mut self, out: &mut Vec<Action>) {
        self.kill_pass(out);
        self.cleaning.last = Last::Over;
    }

    /// True once the sweep need not wait for the last pass. No program has a leader any more.
    pub(super) fn is_cleaned(&mut self, now: Moment, out: &mut Vec<Action>) -> bool {
        if self.is_now() || self.is_time_up(now) {
            self.stop_cleaning(out);
        }
        if self.cleaning.last == Last::NotYet {
            self.kill_pass(out);
            self.cleaning.last = Last::Awaited { until: now + self.time_for_last_pass(now) };
        }
        match self.cleaning.last {
            Last::Awaited { until } if until <= now + TOO_SHORT => self.cleaning.last = Last::Over,
            Last::Awaited { until } if self.cleaning.pass.is_none() => {
                self.cleaning.last = Last::Begun { until };
                self.begin_pass(Occasion::End, until.saturating_sub(now), now, out);
            }
            Last::Begun { until } if until <= now => {
                self.end_overdue_pass(now, out);
                self.cleaning.last = Last::Over;
            }
            Last::NotYet | Last::Awaited { .. } | Last::Begun { .. } | Last::Over => {}
        }
        self.cleaning.last == Last::Over
    }

    fn time_for_last_pass(&self, now: Moment) -> Duration {
        self.time_to_kill(now).map_or(LAST_PASS_LASTS, |left| LAST_PASS_LASTS.min(left / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, GroupState, Reaped};
    use crate::core::hygiene::Hygiene;
    use crate::core::plan::Plan;
    use crate::core::signal::Signal;

    fn bench(budget: Budget) -> Bench {
        let every = Duration::from_secs(100);
        let hygiene = Hygiene { every, sessions: None, workspaces: None, dry_run: false };
        Bench::of(Plan { hygiene: Some(hygiene), ..Plan::new(vec![program("p")], budget) })
    }

    fn nine_seconds() -> Budget {
        Budget::Within(Duration::from_secs(9))
    }

    fn begun(bench: &mut Bench) -> Vec<(Occasion, Duration)> {
        let passes = bench.asked().into_iter().filter_map(|action| match action {
            Action::Clean(occasion, lasts) => Some((occasion, lasts)),
            _ => None,
        });
        passes.collect()
    }

    /// What was asked for before is not asked about any more.
    fn starts(bench: &mut Bench, pid: i32) {
        bench.asked();
        bench.step(Event::PassSpawned(Pid::new(pid)));
    }

    fn ends(bench: &mut Bench, pid: i32) {
        let reaped = Reaped { pid: Pid::new(pid).unwrap(), exit: Exit::Code(0) };
        bench.step(Event::Reaped(vec![reaped]));
        bench.step(Event::Tick);
    }

    fn is_killed(bench: &mut Bench, pid: i32) -> bool {
        let group = Pid::new(pid).and_then(Pid::group).unwrap();
        bench.asked().contains(&Action::KillCommand(group))
    }

    #[test]
    fn a_pass_that_nobody_wants_any_more_is_ended() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        bench.step(Event::Reloaded(Box::new(Plan::new(vec![program("p")], nine_seconds()))));
        assert!(is_killed(&mut bench, 7));
    }

    #[test]
    fn the_first_follows_the_first_start_and_then_there_is_one_every_so_often() {
        let mut bench = bench(nine_seconds());
        let asked = bench.asked();
        assert!(matches!(asked[..], [Action::Spawn(_), Action::Clean(Occasion::Regular, PASS_LASTS)]));
        starts(&mut bench, 7);
        ends(&mut bench, 7);
        bench.at(99_999);
        assert_eq!(begun(&mut bench), []);
        bench.at(100_000);
        assert_eq!(begun(&mut bench), [(Occasion::Regular, PASS_LASTS)]);
    }

    #[test]
    fn one_that_takes_too_long_is_killed_and_the_next_waits_until_it_has_vanished() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        bench.at(59_999);
        assert!(!is_killed(&mut bench, 7));
        bench.at(60_000);
        assert!(is_killed(&mut bench, 7));
        bench.at(150_000);
        assert_eq!(bench.asked(), []);
        ends(&mut bench, 7);
        assert_eq!(begun(&mut bench).len(), 1);
    }

    #[test]
    fn one_that_fails_is_not_begun_again_before_its_time() {
        let mut bench = bench(nine_seconds());
        bench.asked();
        starts(&mut bench, 0);
        bench.at(99_999);
        assert_eq!(bench.asked(), []);
        bench.at(100_000);
        assert_eq!(begun(&mut bench).len(), 1);
    }

    #[test]
    fn the_last_begins_when_the_programs_are_over_and_the_end_waits_for_it() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        ends(&mut bench, 7);
        bench.signal(Signal::TERM);
        assert_eq!(begun(&mut bench), [], "the program is there");
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(begun(&mut bench), [(Occasion::End, LAST_PASS_LASTS)]);
        starts(&mut bench, 8);
        assert!(!bench.core.is_finished());
        ends(&mut bench, 8);
        assert!(bench.core.is_finished());
    }

    #[test]
    fn the_last_has_half_of_what_is_left_and_no_more() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        ends(&mut bench, 7);
        bench.signal(Signal::TERM);
        bench.at(4_100);
        bench.ends(0, 0, GroupState::Empty);
        assert_eq!(begun(&mut bench), [(Occasion::End, Duration::from_secs(2))]);
        starts(&mut bench, 8);
        bench.at(6_100);
        assert!(is_killed(&mut bench, 8));
        assert!(bench.core.is_finished(), "nobody waits until it has vanished");
    }

    #[test]
    fn one_that_is_under_way_makes_room_for_the_last() {
        let mut bench = bench(Budget::Forever);
        starts(&mut bench, 7);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, GroupState::Empty);
        let asked = bench.asked();
        assert!(asked.contains(&Action::KillCommand(Pid::new(7).and_then(Pid::group).unwrap())));
        assert!(!asked.iter().any(|action| matches!(action, Action::Clean(Occasion::End, _))));
        ends(&mut bench, 7);
        assert_eq!(begun(&mut bench), [(Occasion::End, LAST_PASS_LASTS)]);
    }

    #[test]
    fn a_second_signal_ends_the_last_too() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        ends(&mut bench, 7);
        bench.signal(Signal::TERM);
        bench.ends(0, 0, GroupState::Empty);
        starts(&mut bench, 8);
        bench.asked();
        bench.signal(Signal::TERM);
        assert!(is_killed(&mut bench, 8));
        assert!(bench.core.is_finished());
    }

    #[test]
    fn another_plan_brings_it_forward_begins_it_or_ends_it() {
        let mut bench = bench(nine_seconds());
        starts(&mut bench, 7);
        ends(&mut bench, 7);
        let plan = |every: Option<u64>| {
            let hygiene = every.map(|secs| Hygiene {
                every: Duration::from_secs(secs),
                ..bench.core.plan.hygiene.clone().unwrap()
            });
            Plan { hygiene, ..bench.core.plan.clone() }
        };
        let [sooner, none] = [plan(Some(10)), plan(None)];
        bench.at(50_000);
        bench.step(Event::Reloaded(Box::new(sooner.clone())));
        bench.at(60_000);
        assert_eq!(begun(&mut bench).len(), 1);
        starts(&mut bench, 8);
        ends(&mut bench, 8);
        bench.step(Event::Reloaded(Box::new(none)));
        bench.at(90_000);
        assert_eq!(begun(&mut bench), []);
        bench.step(Event::Reloaded(Box::new(sooner)));
        bench.at(90_000);
        assert_eq!(begun(&mut bench).len(), 1);
    }

    #[test]
    fn without_it_there_is_nothing_to_wait_for() {
        let bench = Bench::new(vec![program("p")]);
        assert_eq!(bench.core.cleaning.deadline(false), None);
    }
}
