//! The record, as a reader of the contract reads it.

use serde_json::Value;
use std::path::Path;

/// A record that was read and understood.
#[derive(Clone, Debug)]
pub(crate) struct Record(pub(crate) Value);

impl Record {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let value: Value = serde_json::from_str(&text).map_err(|e| format!("no JSON: {e}: {text:?}"))?;
        if value["schema"] == 1 { Ok(Self(value)) } else { Err(format!("another schema: {text}")) }
    }

    /// A field by its path in the JSON, such as `programs.0.stopped_by`; null where there is none.
    pub(crate) fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.0, |value, key| match key.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[key],
        })
    }

    /// A field that has to be text.
    pub(crate) fn text(&self, path: &str) -> Result<&str, String> {
        self.at(path).as_str().ok_or_else(|| format!("{path} is no text in {}", self.0))
    }

    /// A field that has to be a number.
    pub(crate) fn number(&self, path: &str) -> Result<i64, String> {
        self.at(path).as_i64().ok_or_else(|| format!("{path} is no integer in {}", self.0))
    }

    /// A field that has to be a list.
    pub(crate) fn list(&self, path: &str) -> Result<&Vec<Value>, String> {
        self.at(path).as_array().ok_or_else(|| format!("{path} is no list in {}", self.0))
    }

    /// The program of this name.
    pub(crate) fn program(&self, name: &str) -> Result<Self, String> {
        let found = self.list("programs")?.iter().find(|program| program["name"] == name);
        found.cloned().map(Self).ok_or_else(|| format!("no program {name} in {}", self.0))
    }
}
