//! The table: cases, names, and how the real ones do.

use crate::support::table::{self, Expect, is_there};
use crate::support::{Init, Name, Outcome};
use std::fmt::Write as _;

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
                && let Some(words) = expected.contradicts(&(self.check)(name.real()))
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

/// Prints the table and compares it with the file.
pub(crate) fn print(cases: &[Case]) -> Outcome {
    let mut rows = vec![["the rule", "name", "the real one", "runinit"].map(str::to_owned)];
    for case in cases {
        for (name, expected) in case.real {
            let [rule, name] = [case.name.replace('_', " "), name.real().name().to_owned()];
            rows.push([rule, name, expected.cell(), Expect::Holds.cell()]);
        }
    }
    table::print(&rows, "personality/table.md")
}

/// Makes a test of each case, and the table of all of them.
macro_rules! cases {
    ($($name:ident: $check:path, $real:expr;)+) => {
        const CASES: &[personality::table::Case] = &[
            $(personality::table::Case { name: stringify!($name), check: $check, real: &$real },)+
        ];
        support::table::tests_of!(CASES: $($name)+ => personality::table::print);
    };
}
pub(crate) use cases;
