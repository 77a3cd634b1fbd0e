//! What is expected of inits, and tables of it in Markdown.

use super::{Init, Outcome, goes_without};
use std::fmt::Write as _;
use std::io::Write as _;

/// How an init is expected to do in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The rule holds.
    Holds,
    /// It breaks the rule, and these words are in what the check says then.
    Fails(&'static str),
    /// It breaks the rule now and then, in this way: a matter of luck, so either is right.
    Sometimes(&'static str),
    /// It never said that it would; not tried.
    NotClaimed,
}

impl Expect {
    /// What is wrong with what was seen, if anything is.
    pub(crate) fn contradicts(self, seen: &Outcome) -> Option<String> {
        match (self, seen) {
            (Self::Holds | Self::Sometimes(_), Ok(())) | (Self::NotClaimed, _) => None,
            (Self::Fails(how) | Self::Sometimes(how), Err(why)) if why.contains(how) => None,
            (Self::Holds, Err(why)) => Some(why.clone()),
            (Self::Fails(how), Ok(())) => Some(format!("it was to fail ({how}), and it does not")),
            (Self::Fails(how) | Self::Sometimes(how), Err(why)) => {
                Some(format!("it was to fail in another way ({how}): {why}"))
            }
        }
    }

    /// As a cell of a table.
    pub(crate) fn cell(self) -> String {
        match self {
            Self::Holds => "yes".to_owned(),
            Self::Fails(how) => format!("no: {how}"),
            Self::Sometimes(how) => format!("not always: {how}"),
            Self::NotClaimed => "–".to_owned(),
        }
    }
}

/// False for a peer that is missing, where that is allowed.
pub(crate) fn is_there(init: Init) -> Result<bool, String> {
    match init.path() {
        Ok(_) => Ok(true),
        Err(why) => goes_without("RUNINIT_TESTS_WITHOUT_PEERS", &why),
    }
}

/// Prints a table, of which the first row is the head, and compares it with the file of this name below tests/;
/// `RUNINIT_TESTS_WRITE=1` writes that anew.
pub(crate) fn print<const N: usize>(rows: &[[String; N]], file: &str) -> Outcome {
    let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = render(rows);
    // Not println: a table that only failing tests show would be of no use.
    let _ = writeln!(std::io::stderr(), "\n{text}");
    if std::env::var_os("RUNINIT_TESTS_WRITE").is_some() {
        std::fs::write(&path, &text).map_err(|e| e.to_string())?;
    }
    let written = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    if written == text { Ok(()) } else { Err(format!("{path} is old: RUNINIT_TESTS_WRITE=1 writes it anew")) }
}

fn render<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
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

/// Makes a test of each case of a table (`table::Case`), and one of the table.
macro_rules! tests_of {
    ($cases:ident: $($name:ident)+ => $print:path) => {
        $(
            #[test]
            fn $name() -> support::Tested {
                let case = $cases.iter().find(|case| case.name == stringify!($name));
                Ok(case.ok_or("no such case")?.run()?)
            }
        )+

        #[test]
        fn the_table_is_up_to_date() -> support::Tested {
            Ok($print($cases)?)
        }
    };
}
pub(crate) use tests_of;
