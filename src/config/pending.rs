//! The keys that are read and checked, but that nothing stands behind yet.
//!
//! Somebody who writes `restart = "always"` relies on it, so it is refused until it works. To make a key work, take its
//! line out of the list and use what its decoder returns.

use toml::de::DeValue;

/// The section, the key, and the value that changes nothing, if there is one: that is accepted.
const PENDING: &[(&str, &str, Option<&str>)] = &[
    ("[init]", "control_socket", None),
    ("[init]", "termination_log", None),
    ("[[program]]", "tmux", None),
    ("a stop step", "keys", None),
    ("[tmux]", "socket", Some("runinit")),
    ("[tmux]", "history", Some("200")),
    ("[tmux]", "leftovers", Some("stop")),
    ("[hygiene]", "every", None),
    ("[hygiene]", "sessions", None),
    ("[hygiene]", "workspaces", None),
    ("[hygiene]", "dry_run", Some("false")),
];

/// Why a value, which is right in itself, cannot be accepted.
pub(super) fn refusal(section: &str, key: &str, value: &DeValue<'_>) -> Option<String> {
    let (_, _, harmless) = PENDING.iter().find(|(s, k, _)| (*s, *k) == (section, key))?;
    let written = match value {
        DeValue::String(text) => format!(" = {text:?}"),
        DeValue::Integer(number) => format!(" = {number}"),
        DeValue::Boolean(flag) => format!(" = {flag}"),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => String::new(),
    };
    let is_harmless = harmless.is_some_and(|h| match value {
        DeValue::String(text) => text == h,
        DeValue::Integer(number) => number.as_str() == h,
        DeValue::Boolean(flag) => flag.to_string() == h,
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => false,
    });
    (!is_harmless).then(|| format!("{key:?}{written} has no effect in this version yet; take it out"))
}
