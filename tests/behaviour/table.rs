//! The table: cases, inits, and what is expected of whom.

use crate::support::table::{self, Expect, is_there};
use crate::support::{Init, Outcome};
use std::fmt::Write as _;

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
        for init in Init::ALL {
            let expected = self.expected(init);
            if is_there(init)?
                && expected != Expect::NotClaimed
                && let Some(words) = expected.contradicts(&(self.check)(init))
            {
                let _ = writeln!(wrong, "\n{}: {words}", init.name());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}:{wrong}", self.name)) }
    }
}

/// Prints the table and compares it with the file.
pub(crate) fn print(cases: &[Case]) -> Outcome {
    let mut rows =
        vec![["the rule", "runinit", "tini -s -g", "dumb-init", "catatonit -g"].map(str::to_owned)];
    for case in cases {
        let [tini, dumb_init, catatonit] = case.peers.map(Expect::cell);
        rows.push([case.name.replace('_', " "), Expect::Holds.cell(), tini, dumb_init, catatonit]);
    }
    table::print(&rows, "behaviour/table.md")
}

/// Makes a test of each case, and the table of all of them.
macro_rules! cases {
    ($($name:ident: $check:path, $peers:expr;)+) => {
        const CASES: &[behaviour::table::Case] = &[
            $(behaviour::table::Case { name: stringify!($name), check: $check, peers: $peers },)+
        ];
        support::table::tests_of!(CASES: $($name)+ => behaviour::table::print);
    };
}
pub(crate) use cases;
