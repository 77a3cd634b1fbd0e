//! One value of the file, with what has to be known to complain about it.

use super::nearest::hint;
use super::reader::Reader;
use super::report::Report;
use super::signal::signal_named;
use crate::core::budget::Budget;
use crate::core::duration;
use crate::core::signal::Signal;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value under a key. Every decoder that returns `None` has reported why.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) key: &'a str,
    pub(super) item: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn offset(self) -> usize {
        self.item.span().start
    }

    pub(super) fn complain(self, message: String) {
        self.report.add(self.offset(), message);
    }

    pub(super) fn refuse<T>(self, message: String) -> Option<T> {
        self.complain(message);
        None
    }

    fn mismatch<T>(self, wanted: &str) -> Option<T> {
        let is = match self.item.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.refuse(format!("{:?} must be {wanted}, not {is}", self.key))
    }

    /// A string that may hold anything.
    fn any_text(self, wanted: &str) -> Option<&'a str> {
        let text = self.item.get_ref().as_str();
        text.or_else(|| self.mismatch(wanted))
    }

    /// A string that can be handed to the system, which ends strings at a NUL.
    fn text_as(self, wanted: &str) -> Option<&'a str> {
        let text = self.any_text(wanted)?;
        if text.contains('\0') {
            return self.refuse(format!("{:?} must not hold a NUL character", self.key));
        }
        Some(text)
    }

    pub(super) fn text(self) -> Option<&'a str> {
        self.text_as("a string")
    }

    pub(super) fn filled(self) -> Option<&'a str> {
        let text = self.text()?;
        if text.is_empty() { self.refuse(format!("{:?} is empty", self.key)) } else { Some(text) }
    }

    pub(super) fn path(self) -> Option<PathBuf> {
        self.filled().map(PathBuf::from)
    }

    pub(super) fn boolean(self) -> Option<bool> {
        let flag = self.item.get_ref().as_bool();
        flag.or_else(|| self.mismatch("true or false"))
    }

    pub(super) fn integer(self, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(integer) = self.item.get_ref().as_integer() else { return self.mismatch("an integer") };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|n| range.contains(n)).or_else(|| {
            let (low, high) = (range.start(), range.end());
            let bounds =
                if *high == i64::MAX { format!("{low} or more") } else { format!("{low} to {high}") };
            self.refuse(format!("{:?} must be {bounds}, not {integer}", self.key))
        })
    }

    pub(super) fn word(self, choices: &[&'static str]) -> Option<&'static str> {
        let wanted = one_of(choices);
        let text = self.any_text(&wanted)?;
        let chosen = choices.iter().copied().find(|c| *c == text);
        chosen.or_else(|| {
            self.refuse(format!("{:?} must be {wanted}, not {text:?}{}", self.key, hint(text, choices)))
        })
    }

    pub(super) fn duration(self) -> Option<Duration> {
        self.time(duration::parse)
    }

    /// A zero would ask without a pause.
    pub(super) fn duration_above_zero(self) -> Option<Duration> {
        self.time(duration::parse_some)
    }

    /// A duration, or `forever`.
    pub(super) fn budget(self) -> Option<Budget> {
        self.time(Budget::parse)
    }

    fn time<T>(self, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.any_text("a duration such as \"2s\"")?;
        parse(text).map_or_else(|why| self.refuse(format!("{:?}: {why}", self.key)), Some)
    }

    pub(super) fn signal(self) -> Option<Signal> {
        if let DeValue::Integer(number) = self.item.get_ref() {
            let signal = i32::from_str_radix(number.as_str(), number.radix()).ok().and_then(Signal::new);
            return signal.or_else(|| self.refuse(format!("there is no signal {number}; they are 1 to 64")));
        }
        let text = self.any_text("a signal such as \"SIGTERM\"")?;
        signal_named(text).map_err(|why| self.complain(why)).ok()
    }

    pub(super) fn elements_as(self, wanted: &str) -> Option<Vec<Value<'a>>> {
        let Some(array) = self.item.get_ref().as_array() else { return self.mismatch(wanted) };
        Some(array.iter().map(|item| Value { item, ..self }).collect())
    }

    /// The strings of an array, each with its place.
    pub(super) fn texts(self) -> Option<Vec<(Value<'a>, &'a str)>> {
        let wanted = "an array of strings";
        let elements = self.elements_as(wanted)?;
        let texts: Vec<_> = elements.iter().filter_map(|e| Some((*e, e.text_as(wanted)?))).collect();
        (texts.len() == elements.len()).then_some(texts)
    }

    /// A command that needs no shell.
    pub(super) fn command(self) -> Option<Vec<OsString>> {
        let texts = self.texts()?;
        match texts.first() {
            None => self.refuse(format!("{:?} is empty: it needs at least the program to run", self.key)),
            Some((first, "")) => first.refuse(format!("{:?} names no program to run", self.key)),
            Some(_) => Some(texts.into_iter().map(|(_, text)| text.into()).collect()),
        }
    }

    /// What is written to a program's standard input; NUL is as good as any other character there.
    pub(super) fn input(self, longest: usize) -> Option<&'a str> {
        let text = self.any_text("a string")?;
        match text.len() {
            0 => self.refuse(format!("{:?} is empty: nothing would be written", self.key)),
            length if length > longest => self.refuse(format!(
                "{:?} is {length} bytes long; no more than {longest} can be written without waiting",
                self.key
            )),
            _ => Some(text),
        }
    }

    pub(super) fn table(self, section: &'static str) -> Option<Reader<'a>> {
        self.table_as("a table", section)
    }

    pub(super) fn table_as(self, wanted: &str, section: &'static str) -> Option<Reader<'a>> {
        let Some(table) = self.item.get_ref().as_table() else { return self.mismatch(wanted) };
        Some(Reader::new(self.report, section, table, self.offset()))
    }

    /// A table whose keys are the user's own, in a stable order, each with its key's offset.
    pub(super) fn entries(self) -> Option<Vec<(usize, Value<'a>)>> {
        let Some(table) = self.item.get_ref().as_table() else { return self.mismatch("a table") };
        let entry = |(key, item): (&'a Spanned<_>, _)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            (key.span().start, Value { report: self.report, key: name, item })
        };
        Some(table.iter().map(entry).collect())
    }
}

/// `"a", "b" or "c"`.
fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|c| format!("{c:?}")).collect();
    list(&quoted, "or")
}

/// `a, b or c`.
pub(super) fn list<T: AsRef<str>>(items: &[T], last_joint: &str) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} {last_joint} {last}", most.join(", ")),
    }
}
