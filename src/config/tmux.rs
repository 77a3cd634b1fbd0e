//! Programs that live in a tmux session.

use super::value::Value;

/// A program's `tmux` key.
pub(super) fn session(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"tmux\"")?;
    table.need("session", |v| {
        let name = v.filled()?;
        // tmux would make "_" of them, and the session would have another name than the one written here.
        if name.contains(['.', ':']) {
            return v.refuse(format!("\"session\" must not hold \".\" or \":\", as {name:?} does"));
        }
        Some(())
    });
    table.finish();
    Some(())
}

/// The section of the file.
pub(super) fn section(value: Value<'_>) -> Option<()> {
    let mut table = value.table("[tmux]")?;
    table.read("socket", Value::filled);
    table.read("history", |v| v.integer(0..=100_000));
    table.read("leftovers", |v| v.word(&["stop", "adopt"]));
    table.finish();
    Some(())
}
