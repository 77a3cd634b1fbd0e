//! Whether and when a program is started again.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::plan::ProgramId;
use super::policy::Restart;
use super::program::{Fault, Readiness, State};
use super::shutdown::format_ms;
use log::Level;
use std::time::Duration;

impl Core {
    /// A leader has ended: what now? Nothing is decided once a shutdown has begun.
    pub(super) fn decide(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        self.stop_asking(id, out);
        if self.shutdown.is_some() {
            return;
        }
        let is_failure = self.is_failure(id);
        let spec = &self.plan.programs[id.0];
        let program = &mut self.programs[id.0];
        if is_failure {
            program.readiness = Readiness::NotYet { until: None };
        } else if spec.oneshot {
            program.readiness = Readiness::Ready;
        }
        let wanted = match spec.restart {
            Restart::Never => false,
            Restart::OnFailure => is_failure,
            Restart::Always => !spec.oneshot || is_failure,
        };
        if wanted && self.may_restart(id, now, out) {
            self.programs[id.0].restarting.planned = true;
        } else {
            self.ended_for_good(id, now, out);
        }
    }

    /// False for a program that ends again and again.
    fn may_restart(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) -> bool {
        let backoff = self.plan.programs[id.0].backoff;
        let program = &mut self.programs[id.0];
        let recent = &mut program.restarting.recent;
        recent.retain(|at| now.saturating_sub(*at) < backoff.within);
        if recent.len() >= usize::try_from(backoff.burst).unwrap_or(usize::MAX) {
            program.fault = Some(Fault::TooOften);
            program.readiness = Readiness::NotYet { until: None };
            let within = format_ms(backoff.within);
            let text = format!("failed for good: {} restarts within {within}", backoff.burst);
            self.say(Level::Error, id, &text, out);
            return false;
        }
        recent.push(now);
        if program.started_at.is_some_and(|at| now.saturating_sub(at) >= backoff.within) {
            program.restarting.doubled = 0;
        }
        true
    }

    /// Nothing of it is left, so it may wait for its turn again.
    pub(super) fn restart_if_planned(&mut self, id: ProgramId, now: Moment, out: &mut Vec<Action>) {
        let program = &mut self.programs[id.0];
        if !std::mem::take(&mut program.restarting.planned) || self.shutdown.is_some() {
            return;
        }
        let backoff = self.plan.programs[id.0].backoff;
        let doubled = program.restarting.doubled;
        program.restarting.doubled = doubled.saturating_add(1);
        program.restarting.count = program.restarting.count.saturating_add(1);
        let wait = backoff.first.saturating_mul(1 << doubled.min(20)).min(backoff.max);
        let wait = self.jitter(wait);
        let program = &mut self.programs[id.0];
        program.readiness = Readiness::NotYet { until: None };
        program.state = State::Waiting { not_before: now + wait, tries: 0 };
        if let Some(lost) = self.plan.programs[id.0].after.iter().copied().find(|d| self.is_lost(*d)) {
            let text = format!("not restarted: it comes after {}, which will not be ready", self.name(lost));
            self.say(Level::Error, id, &text, out);
            self.give_up(id);
            return self.ended_for_good(id, now, out);
        }
        self.note(now, Some(id), format!("restart in {}", format_ms(wait)));
    }

    /// Up to an eighth less: programs that ended together do not start together.
    fn jitter(&mut self, wait: Duration) -> Duration {
        // splitmix64 (Steele, Lea, Flood 2014)
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((mixed ^ (mixed >> 31)) >> 48).unwrap_or_default();
        wait.saturating_sub(wait / 8 * part / (1 << 16))
    }
}
