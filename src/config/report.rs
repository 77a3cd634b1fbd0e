//! Everything that was found wrong so far.

use super::diagnostic::{Diagnostic, Position};
use std::cell::RefCell;
use std::path::Path;

/// Collects diagnostics while a configuration is read.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    found: RefCell<Vec<(usize, Diagnostic)>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, found: RefCell::default() }
    }

    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        Position::of(self.text, offset).line
    }

    pub(super) fn add(&self, offset: usize, message: String) {
        let at = Some(Position::of(self.text, offset));
        self.add_elsewhere(offset, Diagnostic { file: self.file.to_owned(), at, message });
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn add_whole(&self, message: String) {
        self.add_elsewhere(0, Diagnostic { file: self.file.to_owned(), at: None, message });
    }

    /// Something is wrong with a file that is named at this offset.
    pub(super) fn add_elsewhere(&self, offset: usize, diagnostic: Diagnostic) {
        self.found.borrow_mut().push((offset, diagnostic));
    }

    /// In order of position. Programs share their defaults, so the same error may have been found more than once.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(offset, _)| *offset);
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let mut first_here = 0;
        let mut last_offset = 0;
        for (offset, diagnostic) in found {
            if offset != last_offset {
                (last_offset, first_here) = (offset, diagnostics.len());
            }
            if !diagnostics[first_here..].contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
        diagnostics
    }
}
