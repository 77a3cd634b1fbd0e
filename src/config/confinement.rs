//! As whom a program runs and what it may do.

use super::nearest::hint;
use super::reader::Reader;
use super::value::Value;
use toml::de::DeValue;

/// The limits of setrlimit(2).
const LIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

pub(super) fn check(table: &mut Reader<'_>) {
    table.read("user", account);
    table.read("group", account);
    table.read("umask", umask);
    table.read("nice", |value| value.integer(-20..=19));
    table.read("oom_score_adj", |value| value.integer(-1000..=1000));
    table.read("limits", limits);
    table.read("no_new_privs", Value::boolean);
    table.read("capabilities", capabilities);
}

/// A name, or a number as in /etc/passwd and /etc/group.
fn account(value: Value<'_>) -> Option<()> {
    if let DeValue::Integer(_) = value.item.get_ref() {
        return value.integer(0..=i64::from(u32::MAX - 1)).map(drop);
    }
    value.filled().map(drop)
}

fn umask(value: Value<'_>) -> Option<()> {
    let text = value.text()?;
    let is_octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if is_octal && u32::from_str_radix(text, 8).is_ok_and(|mask| mask <= 0o777) {
        return Some(());
    }
    value.refuse(format!("\"umask\" must be octal, \"000\" to \"777\", not {text:?}"))
}

fn limits(value: Value<'_>) -> Option<()> {
    for (key_offset, entry) in value.entries()? {
        if !LIMITS.contains(&entry.key) {
            let message = format!("there is no limit {:?}{}", entry.key, hint(entry.key, &LIMITS));
            entry.report.add(key_offset, message);
        }
        match entry.item.get_ref() {
            DeValue::String(_) => entry.word(&["unlimited"]).map(drop),
            _ => entry.integer(0..=i64::MAX).map(drop),
        };
    }
    Some(())
}

fn capabilities(value: Value<'_>) -> Option<()> {
    for (element, name) in value.texts()? {
        let upper = name.to_ascii_uppercase();
        let word = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
            element.complain(format!("{name:?} is no capability such as \"CAP_NET_BIND_SERVICE\""));
        }
    }
    Some(())
}
