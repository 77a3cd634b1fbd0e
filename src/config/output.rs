//! Where a program's output goes.

use super::reader::Reader;
use super::value::Value;
use toml::de::DeValue;

/// The units of a size, in powers of 1000 as disks are sold and logs are rotated.
const UNITS: [(&str, u64); 4] = [("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)];

pub(super) fn check(table: &mut Reader<'_>) {
    table.read("output", output);
}

fn output(value: Value<'_>) -> Option<()> {
    if !matches!(value.item.get_ref(), DeValue::Table(_)) {
        return value.word(&["inherit", "prefix", "json", "null"]).map(drop);
    }
    let mut table = value.table("\"output\"")?;
    table.need("file", Value::path);
    table.read("max", size);
    table.read("keep", |v| v.integer(0..=1000));
    table.finish();
    Some(())
}

fn size(value: Value<'_>) -> Option<u64> {
    let text = value.text()?;
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, factor) =
        unit.map_or((text, 1), |(unit, factor)| (text[..text.len() - unit.len()].trim_end(), *factor));
    let size = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|&n| n > 0);
    size.or_else(|| value.refuse(format!("{:?} must be a size such as \"10MB\", not {text:?}", value.key)))
}
