//! What is cleaned up behind agents.

use super::value::Value;
use crate::core::hygiene::{Hygiene, Sessions, Workspaces};
use crate::tmux;
use std::time::Duration;

/// Shorter, and passes would follow each other without a rest.
const SHORTEST: Duration = Duration::from_millis(100);

/// The section of the file.
pub(super) fn section(value: Value<'_>) -> Option<Hygiene> {
    let mut table = value.table("[hygiene]")?;
    let every = table.read("every", every).unwrap_or(Duration::from_mins(5));
    let sessions = table.read("sessions", sessions);
    let workspaces = table.read("workspaces", workspaces);
    let dry_run = table.read("dry_run", Value::boolean).unwrap_or_default();
    if table.has("workspaces") && !table.has("sessions") {
        let message = "\"workspaces\" needs \"sessions\", which says where the workspaces are";
        table.report.add(table.offset_of("workspaces"), message.to_owned());
    }
    table.finish();
    Some(Hygiene { every, sessions, workspaces, dry_run })
}

fn every(value: Value<'_>) -> Option<Duration> {
    let every = value.duration()?;
    if every < SHORTEST {
        return value.refuse(format!("\"every\" must be {}ms or more", SHORTEST.as_millis()));
    }
    Some(every)
}

fn sessions(value: Value<'_>) -> Option<Sessions> {
    let mut table = value.table("\"sessions\"")?;
    let prefix = table.need("prefix", prefix);
    let socket = table.read("socket", Value::filled).unwrap_or("default").to_owned();
    let workspaces = table.need("workspaces", Value::path);
    let registry = table.read("registry", registry).unwrap_or_else(|| "AGENT_REGISTRY.json".to_owned());
    let update = table.read("update", Value::boolean).unwrap_or_default();
    table.finish();
    Some(Sessions { prefix: prefix?, socket, workspaces: workspaces?, registry, update })
}

/// Every session with this prefix is an agent's, so there has to be one, and as tmux leaves it.
fn prefix(value: Value<'_>) -> Option<String> {
    let prefix = value.filled()?;
    match tmux::refusal(prefix) {
        Some(why) => value.refuse(format!("\"prefix\" {why}")),
        None => Some(prefix.to_owned()),
    }
}

fn registry(value: Value<'_>) -> Option<String> {
    let name = value.filled()?;
    if name.contains('/') || name == "." || name == ".." {
        return value.refuse(format!("\"registry\" is the name of a file in each workspace, not {name:?}"));
    }
    Some(name.to_owned())
}

fn workspaces(value: Value<'_>) -> Option<Workspaces> {
    let mut table = value.table("\"workspaces\"")?;
    let older_than = table.need("older_than", Value::duration);
    let statuses = table.read("statuses", statuses);
    table.finish();
    let statuses = statuses.unwrap_or_else(|| ["completed", "terminated"].map(str::to_owned).to_vec());
    Some(Workspaces { older_than: older_than?, statuses })
}

fn statuses(value: Value<'_>) -> Option<Vec<String>> {
    let statuses = value.texts()?;
    if statuses.is_empty() {
        return value.refuse("\"statuses\" is empty: no workspace would ever be deleted".to_owned());
    }
    Some(statuses.into_iter().map(|(_, status)| status.to_owned()).collect())
}
