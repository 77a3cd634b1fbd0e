//! What a program may do.

use super::nearest::hint;
use super::reader::Reader;
use super::value::Value;
use crate::core::confinement::{CAPABILITIES, Capabilities, Confinement, LIMITS, Limit};
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// All of it but the identity, which needs to be looked up.
pub(super) fn read(table: &mut Reader<'_>) -> Confinement {
    Confinement {
        identity: None,
        umask: table.read("umask", umask),
        nice: table.read("nice", |value| small(value, -20..=19)),
        oom_score_adj: table.read("oom_score_adj", |value| small(value, -1000..=1000)),
        limits: table.read("limits", limits).unwrap_or_default(),
        no_new_privs: table.read("no_new_privs", Value::boolean).unwrap_or_default(),
        capabilities: table.read("capabilities", capabilities),
    }
}

fn small(value: Value<'_>, range: RangeInclusive<i64>) -> Option<i32> {
    value.integer(range).and_then(|number| i32::try_from(number).ok())
}

fn umask(value: Value<'_>) -> Option<u32> {
    let text = value.text()?;
    let is_octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| is_octal && *mask <= 0o777);
    mask.or_else(|| value.refuse(format!("\"umask\" must be octal, \"000\" to \"777\", not {text:?}")))
}

/// A number is both the soft and the hard limit.
fn limits(value: Value<'_>) -> Option<Vec<Limit>> {
    let mut limits = Vec::new();
    for (key_offset, entry) in value.entries()? {
        let value = match entry.item.get_ref() {
            DeValue::String(_) => unlimited(entry).map(|()| None),
            _ => entry.integer(0..=i64::MAX).map(|number| u64::try_from(number).ok()),
        };
        if let Some(name) = LIMITS.iter().find(|name| **name == entry.key) {
            limits.extend(value.map(|value| Limit { name, value }));
        } else {
            let message = format!("there is no limit {:?}{}", entry.key, hint(entry.key, &LIMITS));
            entry.report.add(key_offset, message);
        }
    }
    Some(limits)
}

fn unlimited(value: Value<'_>) -> Option<()> {
    match value.text()? {
        "unlimited" => Some(()),
        text => value.refuse(format!("{:?} must be a number or \"unlimited\", not {text:?}", value.key)),
    }
}

fn capabilities(value: Value<'_>) -> Option<Capabilities> {
    let mut kept = Capabilities::default();
    for (element, name) in value.texts()? {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if let Some(Capabilities(bit)) = Capabilities::named(&format!("CAP_{short}")) {
            kept.0 |= bit;
        } else {
            // Without what all of them begin with, or any two words would be near.
            let known = CAPABILITIES.map(|name| name.trim_start_matches("CAP_"));
            element.complain(format!("there is no capability {name:?}{}", hint(short, &known)));
        }
    }
    Some(kept)
}
