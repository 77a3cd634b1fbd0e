//! Everything that was found wrong so far.

use super::Reading;
use super::diagnostic::{Diagnostic, Position};
use std::cell::{OnceCell, RefCell};
use std::path::Path;

/// So many are told. Whoever reads them mends a few and looks again, and a file that is no configuration at all has one in
/// every line.
const MOST: usize = 100;

/// Collects diagnostics while a configuration is read.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    reading: Reading,
    /// Where what is new begins.
    new_from: usize,
    found: RefCell<Vec<(usize, Found)>>,
    /// Where lines end, once somebody wants to know.
    newlines: OnceCell<Vec<usize>>,
}

/// Something that is wrong.
#[derive(PartialEq)]
enum Found {
    /// Here. Where that is, in lines, is counted for those alone that are told.
    Here(String),
    /// In another file, or nowhere in particular.
    Elsewhere(Diagnostic),
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str, reading: Reading) -> Self {
        Self { file, text, reading, new_from: 0, found: RefCell::default(), newlines: OnceCell::new() }
    }

    /// What stands before this offset runs already, and nothing is said about it.
    pub(super) fn of_what_is_new(self, new_from: usize) -> Self {
        Self { new_from, ..self }
    }

    pub(super) fn reading(&self) -> Reading {
        self.reading
    }

    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        let newlines = || self.text.match_indices('\n').map(|(at, _)| at).collect();
        1 + self.newlines.get_or_init(newlines).partition_point(|newline| *newline < offset)
    }

    pub(super) fn add(&self, offset: usize, message: String) {
        if offset >= self.new_from {
            self.found.borrow_mut().push((offset, Found::Here(message)));
        }
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn add_whole(&self, message: String) {
        let diagnostic = self.diagnostic_of_all(message);
        self.add_elsewhere(0, diagnostic);
    }

    /// Something is wrong with a file that is named at this offset.
    pub(super) fn add_elsewhere(&self, offset: usize, diagnostic: Diagnostic) {
        self.found.borrow_mut().push((offset, Found::Elsewhere(diagnostic)));
    }

    /// True if nothing has been found wrong yet.
    pub(super) fn is_clean(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// In order of position. Programs share their defaults and other files, so the same error may have been found more than
    /// once.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found.take();
        found.sort_by_key(|(offset, _)| *offset);
        let mut first: Vec<(usize, Found)> = Vec::new();
        let mut first_here = 0;
        let mut last_offset = 0;
        let mut more = 0;
        for (offset, one) in found {
            if offset != last_offset {
                (last_offset, first_here) = (offset, first.len());
            }
            if first.len() == MOST {
                more += 1;
                continue;
            }
            let since = if matches!(one, Found::Here(_)) { first_here } else { 0 };
            if first[since..].iter().all(|(_, known)| *known != one) {
                first.push((offset, one));
            }
        }
        let mut diagnostics: Vec<Diagnostic> =
            first.into_iter().map(|(offset, one)| self.diagnostic(offset, one)).collect();
        if more > 0 {
            diagnostics.push(self.diagnostic_of_all(format!("and {more} more errors")));
        }
        diagnostics
    }

    fn diagnostic(&self, offset: usize, found: Found) -> Diagnostic {
        match found {
            Found::Here(message) => {
                let at = Some(Position::of(self.text, offset));
                Diagnostic { file: self.file.to_owned(), at, message }
            }
            Found::Elsewhere(diagnostic) => diagnostic,
        }
    }

    fn diagnostic_of_all(&self, message: String) -> Diagnostic {
        Diagnostic { file: self.file.to_owned(), at: None, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_configuration_is_told_of_in_a_few_lines() {
        let text = "no equals sign\n".repeat(200_000);
        let report = Report::new(Path::new("f"), &text, Reading::AtStart);
        for line in 0..200_000 {
            report.add(line * 15, "wrong".to_owned());
        }
        assert_eq!((report.line(0), report.line(14), report.line(15), report.line(99 * 15)), (1, 1, 2, 100));
        let told: Vec<String> = report.finish().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), MOST + 1);
        assert_eq!(told[MOST - 1..], ["f:100:1: wrong", "f: and 199900 more errors"]);
    }
}
