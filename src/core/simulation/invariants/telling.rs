//! The record has every program exactly once, at every step, and can be written.

use super::{Checker, Rules, Verdict, ensure};
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::record::{self, Clock, Phase, Record};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// The contract's limit.
const LONGEST_TIMELINE: usize = 1000;

/// The record of the core as it is.
pub(super) fn record(core: &Core, now: Moment) -> Record {
    record::build(core, &|_| Vec::new(), Clock { started: SystemTime::UNIX_EPOCH }, now)
}

impl Rules {
    /// The record is looked at whenever it may say something new.
    pub(super) fn check_record(&mut self, core: &Core, now: Moment, actions: &[Action]) -> Verdict {
        let is_written = actions.iter().any(|action| matches!(action, Action::Record | Action::Finish(_)));
        let news = (core.timeline().entries().count(), core.shutdown().is_some(), core.is_finished());
        if !is_written && self.recorded == Some(news) {
            return Ok(());
        }
        let is_new_phase = self.recorded.is_none_or(|(_, is_stopping, _)| is_stopping != news.1) || news.2;
        self.recorded = Some(news);
        let record = record(core, now);
        check(core, &record)?;
        // Writing it costs more than everything else here.
        if is_new_phase { check_json(&record) } else { Ok(()) }
    }
}

fn check(core: &Core, record: &Record) -> Verdict {
    let phase = match (core.shutdown(), core.is_finished()) {
        (None, _) => Phase::Running,
        (Some(_), false) => Phase::Stopping,
        (Some(_), true) => Phase::Stopped,
    };
    ensure!(record.phase == phase, "the record says {:?}, not {phase:?}", record.phase);
    let names = record.programs.iter().map(|program| program.name.as_str());
    let (servers, planned): (Vec<_>, Vec<_>) = core.programs().partition(|(_, spec, _)| spec.is_server());
    ensure!(names.eq(planned.iter().map(|(_, spec, _)| &spec.name)), "the record misses programs");
    ensure!(record.tmux_servers.len() == servers.len(), "the record misses tmux servers");
    let active: BTreeSet<&String> = record.active_tasks.iter().collect();
    ensure!(active.len() == record.active_tasks.len(), "an active task twice");
    ensure!(record.timeline.len() <= LONGEST_TIMELINE, "a timeline of {}", record.timeline.len());
    let is_in_order = record.timeline.is_sorted_by_key(|entry| entry.at_ms);
    ensure!(is_in_order, "the timeline is out of order");
    Ok(())
}

fn check_json(record: &Record) -> Verdict {
    let json = String::from_utf8(record.to_json()).map_err(|error| error.to_string())?;
    let is_whole = json.starts_with('{') && json.ends_with("}\n");
    ensure!(is_whole, "the record is no JSON: {json}");
    let is_name = |line: &&str| line.starts_with("      \"name\": \"");
    let count = json.lines().filter(is_name).count();
    ensure!(count == record.programs.len(), "{count} programs are in the record");
    Ok(())
}

impl Checker {
    /// What has changed has to be recorded soon, and the beginning of a shutdown at once.
    pub(super) fn watch_record(&mut self, core: &Core, now: Moment, actions: &[Action]) {
        let is_changed = self
            .rules
            .changes(core)
            .any(|(_, _, before, after)| before.exit != after.exit || before.started_at != after.started_at);
        if is_changed {
            self.unrecorded_since.get_or_insert(now);
        }
        if actions.iter().any(|action| matches!(action, Action::Record | Action::Finish(_))) {
            self.unrecorded_since = None;
            self.owes_record = false;
        }
        if actions.iter().any(|action| matches!(action, Action::Finish(_))) {
            self.finished_at = now;
        }
    }
}
