//! One program's output: what becomes of a line.

use super::format::{Head, label, object};
use super::lines::Line;
use super::tail::Tail;
use crate::core::plan::{Output, ProgramId};
use std::path::PathBuf;
use std::time::SystemTime;

/// Which of its two a program has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Stdout,
    Stderr,
}

/// A program that is heard.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) tail: Tail,
    /// Nobody asks for its last lines any more; it goes with its last pipe.
    pub(super) is_forgotten: bool,
}

/// What is made of its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They get a label, one for standard output and one for standard error, as only one of these may be a terminal.
    Prefix([Vec<u8>; 2]),
    /// Objects on standard output, of which this is the beginning.
    Json(Vec<u8>),
    /// Lines of this file.
    File(PathBuf),
    /// Nothing: there is no /dev/null.
    Discard,
}

impl Voice {
    pub(super) fn new(id: ProgramId, name: &str, output: &Output, width: usize, coloured: [bool; 2]) -> Self {
        let kind = match output {
            Output::Prefix => {
                Kind::Prefix(coloured.map(|coloured| label(name, width, coloured.then_some(id.0))))
            }
            Output::Json => Kind::Json(Vec::new()),
            Output::File(file) => Kind::File(file.path.clone()),
            Output::Null | Output::Inherit => Kind::Discard,
        };
        Self { name: name.to_owned(), kind, tail: Tail::default(), is_forgotten: false }
    }

    /// Which of runinit's own its lines go to: 0 for standard output, 1 for standard error.
    pub(super) fn goes_to(&self, from: From) -> Option<usize> {
        match (&self.kind, from) {
            (Kind::Prefix(_), From::Stderr) => Some(1),
            (Kind::Prefix(_), From::Stdout) | (Kind::Json(_), _) => Some(0),
            (Kind::File(_) | Kind::Discard, _) => None,
        }
    }

    /// What is read now is from there.
    pub(super) fn listen(&mut self, from: From) {
        if let Kind::Json(head) = &mut self.kind {
            let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            let stream = if from == From::Stdout { "stdout" } else { "stderr" };
            *head = Head { time: &time, program: &self.name, stream }.begin();
        }
    }

    /// Takes in a line, and adds what is made of it to `out`.
    pub(super) fn say(&mut self, from: From, line: Line<'_>, out: &mut Vec<u8>) {
        let Line { text, is_cut } = line;
        match &self.kind {
            Kind::Prefix(labels) => {
                out.extend_from_slice(&labels[usize::from(from == From::Stderr)]);
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Kind::Json(head) => object(head, text, out),
            Kind::File(_) => {
                out.extend_from_slice(text);
                if !is_cut {
                    out.push(b'\n');
                }
            }
            Kind::Discard => return,
        }
        self.tail.push(usize::from(from == From::Stderr), text);
    }
}
