//! Cascades only escalate: their steps in order, none twice, nothing after SIGKILL; and each waits as long as written,
//! unless there is a reason not to.

use super::transitions::is_another;
use super::{Rules, Verdict, ensure, is_forever};
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::plan::{Program, Step, StepAction};
use crate::core::program::{self, State, StoppedBy, Taken};
use crate::core::signal::Signal;
use crate::core::simulation::scenario::is_for_leader;
use std::time::Duration;

/// The wait of a SIGKILL that nobody wrote down.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// However short a written one is.
const SHORTEST_KILL_WAIT: Duration = Duration::from_millis(100);
/// SIGKILL.
pub(super) const KILL: StoppedBy = StoppedBy::KILL;

impl Rules {
    pub(super) fn check_cascades(&self, core: &Core, now: Moment) -> Verdict {
        for (_, spec, before, after) in self.changes(core) {
            // A new life begins without steps.
            let none = Vec::new();
            let is_start = matches!(before.state, State::Starting { .. }) && after.group().is_some();
            let is_new = is_start || is_another(after);
            let old = if is_new { &none } else { &before.taken };
            check_growth(spec, old, after)?;
            check_times(spec, after, now)?;
            let Some(steps) = steps(spec, &after.taken) else {
                return Err(format!("{}: steps out of order: {:?}", spec.name, after.taken));
            };
            let killed = after.taken.iter().position(|taken| taken.what == KILL);
            let is_last = killed.is_none_or(|place| place + 1 == after.taken.len());
            ensure!(is_last, "{}: a step after SIGKILL", spec.name);
            let new = old.len().max(1)..after.taken.len();
            for next in new {
                self.check_wait(core, spec, steps[next - 1].wait, &after.taken[next - 1..=next])?;
            }
            check_asked(core, spec, (before, old.len()), after, now)?;
            check_survival(spec, before, after)?;
        }
        Ok(())
    }

    /// A leader is looked at once, when it has outlived its first signal and before it is killed.
    pub(super) fn check_inspections(&self, core: &Core, actions: &[Action]) -> Verdict {
        for (id, spec, before, after) in self.changes(core) {
            let looks = |action: &Action| matches!(action, Action::Inspect(of, _) if *of == id);
            let kills = |action: &Action| matches!(action, Action::Signal(of, _, Signal::KILL) if *of == id);
            let asked = actions.iter().filter(|action| looks(action)).count();
            let is_new = matches!(before.state, State::Starting { .. });
            let old = if is_new { 0 } else { before.taken.len() };
            let first = after.taken.iter().position(|t| is_signal(t.what) && t.what != KILL);
            let is_passed = first.is_some_and(|first| (old + 1..=after.taken.len()).contains(&(first + 2)));
            let is_late = is_passed && after.leader().is_some();
            ensure!(asked <= 1 && (asked == 1 || !is_late), "{}: {asked} looks at its leader", spec.name);
            ensure!(asked == 0 || first.is_some(), "{} is looked at without a signal", spec.name);
            let (look, kill) = (actions.iter().position(looks), actions.iter().position(kills));
            ensure!(kill.is_none() || look <= kill, "{} is looked at too late", spec.name);
        }
        Ok(())
    }

    /// The wait before a step that was taken just now.
    fn check_wait(&self, core: &Core, spec: &Program, own: Duration, pair: &[Taken]) -> Verdict {
        let [previous, next] = pair else { return Ok(()) };
        let is_now = core.shutdown().is_some_and(|shutdown| shutdown.now);
        // Its command may have failed, its input may be closed, and what is left of the group understands neither.
        let may_be_short = matches!(previous.what, StoppedBy::Run | StoppedBy::Stdin | StoppedBy::Keys);
        if is_now || may_be_short || !self.has_time {
            return Ok(());
        }
        let waited = next.at.saturating_sub(previous.at);
        ensure!(
            waited >= own,
            "{}: {} after {waited:?}, not {own:?} after {}",
            spec.name,
            next.what,
            previous.what
        );
        Ok(())
    }
}

fn is_signal(what: StoppedBy) -> bool {
    matches!(what, StoppedBy::Signal(_))
}

/// What a leader has left behind is asked before it is killed, unless nothing but SIGKILL was written, or no time is
/// left.
fn check_asked(
    core: &Core,
    spec: &Program,
    (before, old): (&program::Program, usize),
    after: &program::Program,
    now: Moment,
) -> Verdict {
    let is_killed = after.taken.len() > old && after.taken.last().is_some_and(|taken| taken.what == KILL);
    let is_leaderless = before.group().is_some() && before.leader().is_none();
    let shutdown = core.shutdown();
    let is_over =
        shutdown.is_some_and(|s| s.now || s.ends_at.is_some_and(|end| end <= now)) || spec.stop[0].is_kill();
    let is_asked = after.taken.iter().any(|t| matches!(t.what, StoppedBy::Signal(_)) && t.what != KILL);
    ensure!(
        !is_killed || !is_leaderless || is_over || is_asked,
        "{}: what its leader left is killed, and was never asked",
        spec.name
    );
    Ok(())
}

/// What was done stays done.
fn check_growth(spec: &Program, before: &[Taken], after: &program::Program) -> Verdict {
    let is_kept = before.len() <= after.taken.len()
        && before.iter().zip(&after.taken).all(|(b, a)| b.what == a.what && b.at == a.at);
    ensure!(is_kept, "{}: steps are forgotten: {before:?}", spec.name);
    // A SIGKILL that nobody wrote, and a SIGTERM for what a leader has left.
    ensure!(after.taken.len() <= spec.stop.len() + 2, "{}: more steps than written", spec.name);
    let is_alive = matches!(after.state, State::Running { .. } | State::Leaderless { .. });
    ensure!(!is_alive || after.taken.is_empty(), "{}: a step before its time", spec.name);
    Ok(())
}

fn check_times(spec: &Program, after: &program::Program, now: Moment) -> Verdict {
    for pair in after.taken.windows(2) {
        ensure!(pair[0].until.is_some(), "{}: a step goes on after the next", spec.name);
        ensure!(pair[0].at <= pair[1].at, "{}: steps against the clock", spec.name);
    }
    let is_in_time = after.taken.iter().all(|taken| taken.at <= now && taken.until <= Some(now));
    ensure!(is_in_time, "{}: a step in the future", spec.name);
    Ok(())
}

/// Nobody is given up who was not killed.
fn check_survival(spec: &Program, before: &program::Program, after: &program::Program) -> Verdict {
    let survived = |program: &program::Program| matches!(program.state, State::Survived { .. });
    if survived(after) && !survived(before) {
        let is_killed = after.taken.last().is_some_and(|taken| taken.what == KILL);
        ensure!(is_killed, "{}: given up without SIGKILL", spec.name);
    }
    Ok(())
}

/// A step that was taken, in the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// Where; `None`: a SIGKILL that nobody wrote.
    place: Option<usize>,
    /// How long it waits by itself.
    pub(super) wait: Duration,
}

/// Where the steps that were taken are in the plan; `None` if they do not follow each other there.
pub(super) fn steps(spec: &Program, taken: &[Taken]) -> Option<Vec<Placed>> {
    let mut from = 0;
    let mut placed: Vec<Placed> = Vec::new();
    for (index, taken_now) in taken.iter().enumerate() {
        let kill = (from..spec.stop.len()).find(|&place| spec.stop[place].is_kill());
        let end = kill.unwrap_or(spec.stop.len());
        let found = (from..end).find(|&place| is_of(taken_now.what, &spec.stop[place]));
        let next = match (found, taken_now.what) {
            (Some(place), _) => Placed { place: Some(place), wait: spec.stop[place].wait },
            (None, KILL) => {
                let written = kill.map_or(KILL_WAIT, |place| spec.stop[place].wait);
                Placed { place: kill, wait: written.max(SHORTEST_KILL_WAIT) }
            }
            // It asks what a leader has left, in place of all steps that were for the leader.
            (None, StoppedBy::Signal(Signal::TERM)) if spec.stop[from..end].iter().all(is_for_leader) => {
                let before = index.checked_sub(1).map(|before| taken[before].at + placed[before].wait);
                let rest = before.map_or(Duration::ZERO, |until| until.saturating_sub(taken_now.at));
                let wait = spec.stop[from..end].iter().fold(rest, |sum, step| sum.saturating_add(step.wait));
                Placed { place: end.checked_sub(1), wait }
            }
            (None, _) => return None,
        };
        from = next.place.map_or(spec.stop.len(), |place| place + 1);
        placed.push(next);
    }
    Some(placed)
}

fn is_of(what: StoppedBy, step: &Step) -> bool {
    match (&step.action, what) {
        (StepAction::Run(_), StoppedBy::Run)
        | (StepAction::Stdin(_), StoppedBy::Stdin)
        | (StepAction::Keys(_), StoppedBy::Keys) => true,
        (StepAction::Received, StoppedBy::Signal(sent)) => sent != Signal::KILL,
        (StepAction::Signal(written), StoppedBy::Signal(sent)) => *written == sent,
        _ => false,
    }
}

/// True if a cascade may wait for ever where it is: nothing more is written, and nothing is to be killed.
pub(super) fn may_wait_for_ever(core: &Core, spec: &Program, program: &program::Program) -> bool {
    let Some(places) = steps(spec, &program.taken) else { return false };
    let from = places.last().map_or(0, |step| step.place.map_or(spec.stop.len(), |place| place + 1));
    let is_killed = program.taken.last().is_some_and(|taken| taken.what == KILL);
    // Without a leader nobody is left who would understand a command or a text.
    let is_useless = |step: &Step| program.leader().is_none() && is_for_leader(step);
    is_forever(core) && !is_killed && spec.stop[from..].iter().all(is_useless)
}
