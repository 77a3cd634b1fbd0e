//! The table: cases, names, and how the real ones do.

use crate::support::{Init, Name, Outcome};
use std::fmt::Write as _;
use std::io::Write as _;

/// How a real one does in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It keeps the rule.
    Holds,
    /// It breaks the rule, and these words are in what the check says then.
    Fails(&'static str),
    /// It breaks the rule now and then, in this way: a matter of luck, so either is right.
    Sometimes(&'static str),
}

/// One rule.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) check: fn(Init) -> Outcome,
    pub(crate) real: &'static [(Name, Expect)],
}

impl Case {
    /// Tries the real ones and runinit under their names, and compares with what is written.
    pub(crate) fn run(&self) -> Outcome {
        let mut wrong = String::new();
        for (name, expected) in self.real {
            if is_there(name.real())?
                && let Some(words) = compare(*expected, &(self.check)(name.real()))
            {
                let _ = writeln!(wrong, "\n{}: {words}", name.real().name());
            }
            if let Err(why) = (self.check)(Init::RuninitAs(*name)) {
                let _ = writeln!(wrong, "\nruninit as {}: {why}", name.real().name());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}:{wrong}", self.name)) }
    }
}

/// What is wrong with what was seen, if anything is.
fn compare(expected: Expect, seen: &Outcome) -> Option<String> {
    match (expected, seen) {
        (Expect::Holds | Expect::Sometimes(_), Ok(())) => None,
        (Expect::Fails(how) | Expect::Sometimes(how), Err(why)) if why.contains(how) => None,
        (Expect::Holds, Err(why)) => Some(why.clone()),
        (Expect::Fails(how), Ok(())) => Some(format!("it was to fail ({how}), and it does not")),
        (Expect::Fails(how) | Expect::Sometimes(how), Err(why)) => {
            Some(format!("it was to fail in another way ({how}): {why}"))
        }
    }
}

/// A real one that is missing is a failure, unless `RUNINIT_TESTS_WITHOUT_PEERS=1` allows it; in CI nothing does.
pub(crate) fn is_there(init: Init) -> Result<bool, String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match init.path() {
        Ok(_) => Ok(true),
        Err(_) if is_set("RUNINIT_TESTS_WITHOUT_PEERS") && !is_set("CI") => {
            let _ = writeln!(std::io::stderr(), "\nNOT COMPARED WITH {}: it is not installed", init.name());
            Ok(false)
        }
        Err(why) => Err(format!("{why} (RUNINIT_TESTS_WITHOUT_PEERS=1 goes on without, but not in CI)")),
    }
}

/// The table in Markdown.
fn render(cases: &[Case]) -> String {
    let mut rows = vec![["the rule", "name", "the real one", "runinit"].map(str::to_owned)];
    for case in cases {
        for (name, expected) in case.real {
            let real = match expected {
                Expect::Holds => "yes".to_owned(),
                Expect::Fails(how) => format!("no: {how}"),
                Expect::Sometimes(how) => format!("not always: {how}"),
            };
            rows.push([case.name.replace('_', " "), name.real().name().to_owned(), real, "yes".to_owned()]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text += "|\n";
        if number == 0 {
            text += &widths.map(|width| format!("| {:-<width$} ", "")).concat();
            text += "|\n";
        }
    }
    text
}

/// Prints the table and compares it with the file; `RUNINIT_TESTS_WRITE=1` writes the file anew.
pub(crate) fn print(cases: &[Case]) -> Outcome {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/personality/table.md");
    let text = render(cases);
    // Not println: a table that only failing tests show would be of no use.
    let _ = writeln!(std::io::stderr(), "\n{text}");
    if std::env::var_os("RUNINIT_TESTS_WRITE").is_some() {
        std::fs::write(path, &text).map_err(|e| e.to_string())?;
    }
    let written = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    if written == text { Ok(()) } else { Err(format!("{path} is old: RUNINIT_TESTS_WRITE=1 writes it anew")) }
}

/// Makes a test of each case, and the table of all of them.
macro_rules! cases {
    ($($name:ident: $check:path, $real:expr;)+) => {
        const CASES: &[personality::table::Case] = &[
            $(personality::table::Case { name: stringify!($name), check: $check, real: &$real },)+
        ];

        $(
            #[test]
            fn $name() -> support::Tested {
                let case = CASES.iter().find(|case| case.name == stringify!($name));
                Ok(case.ok_or("no such case")?.run()?)
            }
        )+

        #[test]
        fn the_table_is_up_to_date() -> support::Tested {
            Ok(personality::table::print(CASES)?)
        }
    };
}
pub(crate) use cases;
