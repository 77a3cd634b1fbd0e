//! A table of the file, read key by key; it remembers which keys were asked for, and the others are unknown.

use super::nearest::hint_of_key;
use super::report::Report;
use super::value::{Value, list};
use toml::de::DeTable;

/// A table and the keys that were asked for so far.
pub(super) struct Reader<'a> {
    pub(super) report: &'a Report<'a>,
    section: &'static str,
    table: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
    offset: usize,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        report: &'a Report<'a>,
        section: &'static str,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Self {
        Self { report, section, table, defaults: None, offset, known: Vec::new() }
    }

    /// The keys that this table lacks are looked up in another one.
    pub(super) fn with_defaults(mut self, defaults: Option<&'a DeTable<'a>>) -> Self {
        self.defaults = defaults;
        self
    }

    /// Where the table stands.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// True if the table itself has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// True if the table or what stands in for it has this key.
    pub(super) fn has_anywhere(&self, key: &str) -> bool {
        self.has(key) || self.defaults.is_some_and(|defaults| defaults.contains_key(key))
    }

    /// Decodes the value of a key, if it is there.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        decode: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<T> {
        let (_, value) = self.take(key)?;
        decode(value)
    }

    /// Decodes the value of a key that has to be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        decode: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.report.add(self.offset, format!("{} needs {key:?}", self.section));
        }
        self.read(key, decode)
    }

    /// Exactly one of these keys has to be there.
    pub(super) fn need_one_of(&self, keys: &[&str]) {
        let given: Vec<&str> = keys.iter().copied().filter(|k| self.has(k)).collect();
        if given.len() != 1 {
            let has = if given.is_empty() { "none".to_owned() } else { list(&given, "and") };
            let keys = list(keys, "or");
            self.report.add(self.offset, format!("{} has one of {keys}; this has {has}", self.section));
        }
    }

    /// Refuses a key that is known, but wrong here.
    pub(super) fn forbid(&mut self, key: &'static str, message: &str) {
        if let Some((offset, _)) = self.take(key) {
            self.report.add(offset, message.to_owned());
        }
    }

    /// Where a key of this table stands.
    pub(super) fn offset_of(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.offset, |(key, _)| key.span().start)
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let name: &str = key.get_ref();
            let hint = match hint_of_key(name, &self.known) {
                nothing if nothing.is_empty() => {
                    format!("; {} has {}", self.section, list(&self.known, "and"))
                }
                hint => hint,
            };
            self.report.add(key.span().start, format!("unknown key {name:?}{hint}"));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, Value<'a>)> {
        self.known.push(key);
        let default = || self.defaults.and_then(|d| d.get_key_value(key));
        let (spanned, item) = self.table.get_key_value(key).or_else(default)?;
        Some((spanned.span().start, Value { report: self.report, key, item }))
    }
}
