//! What is cleaned up behind agents.

use super::value::Value;

pub(super) fn section(value: Value<'_>) -> Option<()> {
    let mut table = value.table("[hygiene]")?;
    table.read("every", Value::duration);
    table.read("sessions", sessions);
    table.read("workspaces", workspaces);
    table.read("dry_run", Value::boolean);
    table.finish();
    Some(())
}

fn sessions(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"sessions\"")?;
    table.read("prefix", Value::filled);
    table.read("socket", Value::filled);
    table.read("workspaces", Value::path);
    table.read("registry", Value::path);
    table.read("update", Value::boolean);
    table.finish();
    Some(())
}

fn workspaces(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"workspaces\"")?;
    table.read("older_than", Value::duration);
    table.read("statuses", Value::texts);
    table.finish();
    Some(())
}
