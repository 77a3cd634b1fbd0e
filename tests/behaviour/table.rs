//! The table: cases, inits, and what is expected of whom.

use crate::support::{Init, Outcome};
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

/// One rule.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) check: fn(Init) -> Outcome,
    /// tini, dumb-init, catatonit. Of runinit it is always expected that the rule holds.
    pub(crate) peers: [Expect; 3],
}

impl Case {
    fn expected(&self, init: Init) -> Expect {
        match init {
            Init::Runinit | Init::RuninitAs(_) => Expect::Holds,
            Init::Tini | Init::TiniStatic => self.peers[0],
            Init::DumbInit => self.peers[1],
            Init::Catatonit => self.peers[2],
        }
    }

    /// Tries every init and compares with what is written.
    pub(crate) fn run(&self) -> Outcome {
        let mut wrong = String::new();
        for init in inits()? {
            let seen = match self.expected(init) {
                Expect::NotClaimed => continue,
                _ => (self.check)(init),
            };
            if let Some(words) = compare(self.expected(init), &seen) {
                let _ = writeln!(wrong, "\n{}: {words}", init.name());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}:{wrong}", self.name)) }
    }
}

/// What is wrong with what was seen, if anything is.
fn compare(expected: Expect, seen: &Outcome) -> Option<String> {
    match (expected, seen) {
        (Expect::Holds | Expect::Sometimes(_), Ok(())) | (Expect::NotClaimed, _) => None,
        (Expect::Fails(how) | Expect::Sometimes(how), Err(why)) if why.contains(how) => None,
        (Expect::Holds, Err(why)) => Some(why.clone()),
        (Expect::Fails(how), Ok(())) => Some(format!("it was to fail ({how}), and it does not")),
        (Expect::Fails(how) | Expect::Sometimes(how), Err(why)) => {
            Some(format!("it was to fail in another way ({how}): {why}"))
        }
    }
}

/// The inits to try. A peer that is missing is a failure, unless `RUNINIT_TESTS_WITHOUT_PEERS=1` allows it; in CI nothing does.
fn inits() -> Result<Vec<Init>, String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut there = Vec::new();
    for init in Init::ALL {
        match init.path() {
            Ok(_) => there.push(init),
            Err(_) if is_set("RUNINIT_TESTS_WITHOUT_PEERS") && !is_set("CI") => {
                let _ =
                    writeln!(std::io::stderr(), "\nNOT COMPARED WITH {}: it is not installed", init.name());
            }
            Err(why) => {
                return Err(format!("{why} (RUNINIT_TESTS_WITHOUT_PEERS=1 goes on without, but not in CI)"));
            }
        }
    }
    Ok(there)
}

/// The table in Markdown.
pub(crate) fn render(cases: &[Case]) -> String {
    let mut rows =
        vec![["the rule", "runinit", "tini -s -g", "dumb-init", "catatonit -g"].map(str::to_owned)];
    for case in cases {
        let cell = |expected| match expected {
            Expect::Holds => "yes".to_owned(),
            Expect::Fails(how) => format!("no: {how}"),
            Expect::Sometimes(how) => format!("not always: {how}"),
            Expect::NotClaimed => "–".to_owned(),
        };
        let [tini, dumb_init, catatonit] = case.peers.map(cell);
        rows.push([case.name.replace('_', " "), cell(Expect::Holds), tini, dumb_init, catatonit]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/table.md");
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
    ($($name:ident: $check:path, $peers:expr;)+) => {
        const CASES: &[behaviour::table::Case] = &[
            $(behaviour::table::Case { name: stringify!($name), check: $check, peers: $peers },)+
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
            Ok(behaviour::table::print(CASES)?)
        }
    };
}
pub(crate) use cases;
