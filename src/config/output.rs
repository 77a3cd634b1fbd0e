//! Where a program's output goes.

use super::value::Value;
use crate::core::plan::{Output, OutputFile};
use toml::de::DeValue;

/// The units of a size, in powers of 1000 as disks are sold and logs are rotated.
const UNITS: [(&str, u64); 4] = [("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)];
/// How large a file becomes when nobody says.
const MAX: u64 = 10_000_000;
/// How many older files are kept when nobody says.
const KEEP: u32 = 3;

pub(super) fn read(value: Value<'_>) -> Option<Output> {
    if !matches!(value.item.get_ref(), DeValue::Table(_)) {
        return Some(match value.word(&["inherit", "prefix", "json", "null"])? {
            "prefix" => Output::Prefix,
            "json" => Output::Json,
            "null" => Output::Null,
            _ => Output::Inherit,
        });
    }
    let mut table = value.table("\"output\"")?;
    let path = table.need("file", Value::path);
    let max = table.read("max", size).unwrap_or(MAX);
    let keep = table.read("keep", |v| v.integer(0..=1000));
    let keep = keep.and_then(|keep| u32::try_from(keep).ok()).unwrap_or(KEEP);
    table.finish();
    Some(Output::File(OutputFile { path: path?, max, keep }))
}

fn size(value: Value<'_>) -> Option<u64> {
    let text = value.text()?;
    // "kB" is how SI writes it.
    let upper = text.to_ascii_uppercase();
    let unit = UNITS.iter().find(|(unit, _)| upper.ends_with(unit));
    let (number, factor) =
        unit.map_or((text, 1), |(unit, factor)| (text[..text.len() - unit.len()].trim_end(), *factor));
    let size = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|&n| n > 0);
    size.or_else(|| {
        value.refuse(format!(
            "{:?} must be a size in B, KB, MB or GB, such as \"10MB\", not {text:?}",
            value.key
        ))
    })
}
