//! What would be cleaned up, for people.

use crate::core::hygiene::{Hygiene, Sessions, Workspaces};
use crate::readable::readable;
use humantime::format_duration;

/// A line for when, and one for each thing that is done.
pub fn describe(hygiene: &Hygiene) -> Vec<String> {
    let Hygiene { every, sessions, workspaces, dry_run } = hygiene;
    let when = format!("at the start, every {} and at the end", format_duration(*every));
    let dry = if *dry_run { "; a dry run: it is only said" } else { "" };
    let mut lines = vec![format!("Cleaning up behind agents, {when}{dry}:")];
    lines.push("zombies that their parents do not reap are told".to_owned());
    if let Some(sessions) = sessions {
        lines.push(of_sessions(sessions));
        lines.extend(workspaces.as_ref().map(|workspaces| of_workspaces(sessions, workspaces)));
    }
    lines.iter().map(|line| readable(line)).collect()
}

fn of_sessions(sessions: &Sessions) -> String {
    let Sessions { prefix, socket, workspaces, registry, update } = sessions;
    let place = workspaces.join("TASK").join(registry);
    let updated = if *update { ", which is kept up to date" } else { "" };
    format!(
        "sessions {prefix}TASK-AGENT on socket {socket} end unless needed by {}{updated}",
        place.display()
    )
}

fn of_workspaces(sessions: &Sessions, workspaces: &Workspaces) -> String {
    let place = sessions.workspaces.display();
    let statuses = workspaces.statuses.join(" or ");
    format!("workspaces in {place} are deleted, {statuses} for {}", format_duration(workspaces.older_than))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn everything_is_told() {
        let sessions = Sessions {
            prefix: "agent-".to_owned(),
            socket: "\u{1b}[31m".to_owned(),
            workspaces: "/ws".into(),
            registry: "R.json".to_owned(),
            update: true,
        };
        let statuses = vec!["completed".to_owned(), "terminated".to_owned()];
        let hygiene = Hygiene {
            every: Duration::from_mins(5),
            sessions: Some(sessions),
            workspaces: Some(Workspaces { older_than: Duration::from_hours(24), statuses }),
            dry_run: true,
        };
        let expected = [
            "Cleaning up behind agents, at the start, every 5m and at the end; a dry run: it is only said:",
            "zombies that their parents do not reap are told",
            "sessions agent-TASK-AGENT on socket \\u{1b}[31m end unless needed by /ws/TASK/R.json, which is kept up to date",
            "workspaces in /ws are deleted, completed or terminated for 1day",
        ];
        assert_eq!(describe(&hygiene), expected);
    }
}
