//! Workspaces whose task is over and that nobody has touched for long.

use super::matching::may_need;
use super::pass::{Pass, Trouble};
use super::place::{Place, Reading};
use super::registry::Registry;
use crate::core::hygiene::Workspaces;
use crate::os::workspaces::Contents;
use std::time::{Instant, SystemTime};

/// Deletes them, but those of sessions that live.
pub(super) fn delete(pass: &mut Pass<'_>, place: &mut Place<'_>, wanted: &Workspaces, living: &[&str]) {
    let prefix = &place.wanted.prefix;
    let is_needed = |name: &str| living.iter().any(|session| may_need(session, prefix, name));
    for name in place.names.clone() {
        if Instant::now() >= pass.until {
            return;
        }
        let Reading::Read(contents) = place.read(pass, &name) else { continue };
        let Some(why) = why_finished(&contents, wanted, SystemTime::now()) else { continue };
        if is_needed(&name) {
            continue;
        }
        delete_one(pass, place, wanted, &name, &why);
    }
}

fn delete_one(pass: &mut Pass<'_>, place: &Place<'_>, wanted: &Workspaces, name: &str, why: &str) {
    if pass.is_dry() {
        return pass.tell(&format!("would delete workspace {name}: {why}"));
    }
    let is_still = |contents: &Contents| why_finished(contents, wanted, SystemTime::now()).is_some();
    match place.workspaces.delete(name, &place.wanted.registry, is_still) {
        Ok(true) => pass.tell(&format!("deleted workspace {name}: {why}")),
        Ok(false) => {}
        Err(error) => {
            let text = format!("cannot delete workspace {name} ({why}): {error}");
            pass.warn(Trouble { key: format!("delete {}", place.path(name)), text });
        }
    }
}

/// Why a workspace with this registry is finished, if it is.
fn why_finished(contents: &Contents, wanted: &Workspaces, now: SystemTime) -> Option<String> {
    let status = Registry::parse(&contents.text).ok()?.status()?;
    // One that was written in the future is as new as can be.
    let age = now.duration_since(contents.modified).unwrap_or_default();
    if age < wanted.older_than || !wanted.statuses.contains(&status) {
        return None;
    }
    let whole = std::time::Duration::from_secs(age.as_secs());
    Some(format!("{status}, {} old", humantime::format_duration(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn finished(text: &str, age: i64) -> Option<String> {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let by = Duration::from_secs(age.unsigned_abs());
        let now = if age < 0 { modified - by } else { modified + by };
        let wanted =
            Workspaces { older_than: Duration::from_mins(1), statuses: vec!["completed".to_owned()] };
        why_finished(&Contents { text: text.to_owned(), modified }, &wanted, now)
    }

    #[test]
    fn it_is_finished_when_its_status_says_so_for_long_enough() {
        let completed = r#"{"status": "completed"}"#;
        assert_eq!(finished(completed, 60).unwrap(), "completed, 1m old");
        assert_eq!(finished(completed, 59), None);
        assert_eq!(finished(completed, -90), None);
        for other in
            [r#"{"status": "terminated"}"#, r#"{"status": null}"#, "{}", "{", "", r#"["completed", null]"#]
        {
            assert_eq!(finished(other, 90), None, "{other}");
        }
    }
}
