//! When the cgroup comes near the processes it may hold (`pids.max`), one warning names who holds the most: beyond the limit
//! nobody can start anything, not even a stop command.
//!
//! Nothing is looked at by the clock alone. A start or an end of processes is a reason to look a little later, once; a
//! wrapper does not even wake up for that, but looks when it has to be awake anyway.

use super::Runtime;
use crate::core::budget::Moment;
use crate::core::event::SpawnFailure;
use crate::core::process::Pid;
use crate::os::members;
use crate::os::pids::{self, Count};
use nix::errno::Errno;
use std::path::PathBuf;
use std::time::Duration;

/// What changes is looked at after this long, and not again sooner.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// That is near, in percent of the limit.
const NEAR: u64 = 90;
/// Below this it is no longer near, and would be told again.
const FAR: u64 = 80;

#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// Where the limits are, once somebody has looked.
    directories: Option<Vec<PathBuf>>,
    due: Option<Moment>,
    looked_at: Option<Moment>,
    is_told: bool,
}

impl Pressure {
    /// Processes have come or gone.
    pub(super) fn has_changed(&mut self, now: Moment) {
        let has_no_limit = self.directories.as_ref().is_some_and(Vec::is_empty);
        if !has_no_limit {
            self.due.get_or_insert(now + LOOK_AFTER);
        }
    }

    /// The system has refused a process.
    fn is_refused(&mut self, now: Moment) {
        let soonest = self.looked_at.map_or(now, |at| now.max(at + LOOK_AFTER));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
    }

    /// When to look next, if ever.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }

    /// The count, if it is near the limit and that has not been told.
    fn look(&mut self, now: Moment) -> Option<Count> {
        self.due.take_if(|due| *due <= now)?;
        self.count(now)
    }

    #[inline(never)]
    fn count(&mut self, now: Moment) -> Option<Count> {
        self.looked_at = Some(now);
        let directories = self.directories.get_or_insert_with(pids::directories);
        let count = pids::count(directories)?;
        self.is_news(&count).then_some(count)
    }

    fn is_news(&mut self, count: &Count) -> bool {
        let was_told = self.is_told;
        self.is_told = count.is_at_least(if was_told { FAR } else { NEAR });
        self.is_told && !was_told
    }
}

impl Runtime {
    /// Takes note of a start, and hands its outcome on. A wrapper's own start costs nothing.
    pub(super) fn watch_start(&mut self, started: Result<Pid, SpawnFailure>) -> Result<Pid, SpawnFailure> {
        match &started {
            Ok(_) if self.is_fleet() => self.pressure.has_changed(self.now()),
            Err(failure) if failure.errno == Errno::EAGAIN as i32 => self.pressure.is_refused(self.now()),
            Ok(_) | Err(_) => {}
        }
        started
    }

    /// When to wake up for a look.
    pub(super) fn pressure_deadline(&self) -> Option<Moment> {
        self.pressure.due().filter(|_| self.is_fleet())
    }

    /// At the end nobody starts anything any more, and whoever waits for runinit need not wait for this.
    pub(super) fn look_at_pressure(&mut self, now: Moment) {
        if self.exit_code.is_none()
            && let Some(count) = self.pressure.look(now)
        {
            self.warn_of_pressure(&count);
        }
    }

    #[inline(never)]
    fn warn_of_pressure(&self, count: &Count) {
        let most = members::most_tasks(&self.realm, &self.families(), &self.marks);
        let who = most.map(|(id, tasks)| match id {
            Some(id) => format!("{} has the most, {tasks}; ", self.core.plan().programs[id].name),
            None => format!("those that nobody manages have the most, {tasks}; "),
        });
        log::warn!(
            "{} of the {} processes and threads that {} may hold are there; {}at the limit nobody can start another",
            count.current,
            count.max,
            count.directory.display(),
            who.unwrap_or_default()
        );
    }

    fn is_fleet(&self) -> bool {
        self.core.plan().programs.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn count(current: u64) -> Count {
        Count { directory: PathBuf::new(), current, max: 100 }
    }

    #[test]
    fn it_is_told_once_and_again_only_after_it_was_far() {
        let mut pressure = Pressure::default();
        let told: Vec<u64> =
            [89, 90, 100, 80, 95, 79, 89, 90].into_iter().filter(|n| pressure.is_news(&count(*n))).collect();
        assert_eq!(told, [90, 90]);
    }

    #[test]
    fn a_storm_is_looked_at_once_a_second_and_quiet_never() {
        let mut pressure = Pressure { directories: Some(vec![PathBuf::new()]), ..Pressure::default() };
        assert_eq!(pressure.due(), None);
        pressure.has_changed(S(10));
        pressure.has_changed(S(10) + Duration::from_millis(900));
        assert_eq!(pressure.due(), Some(S(11)));
        assert_eq!(pressure.look(S(11)), None);
        assert_eq!(pressure.due(), None);
    }

    #[test]
    fn where_nothing_is_limited_nobody_looks_again() {
        let mut pressure = Pressure { directories: Some(Vec::new()), ..Pressure::default() };
        pressure.has_changed(S(10));
        assert_eq!(pressure.due(), None);
    }

    #[test]
    fn a_refusal_is_looked_at_now_but_not_twice_a_second() {
        let mut pressure = Pressure { directories: Some(vec![PathBuf::new()]), ..Pressure::default() };
        pressure.has_changed(S(5));
        pressure.is_refused(S(5));
        assert_eq!(pressure.due(), Some(S(5)));
        assert_eq!(pressure.look(S(5)), None);
        pressure.is_refused(S(5));
        assert_eq!(pressure.due(), Some(S(6)));
    }
}
