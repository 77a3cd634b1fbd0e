//! One thing that is wrong, and where.

use crate::readable::readable;
use std::fmt;
use std::path::PathBuf;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        // Each character has exactly one byte that continues no other. A byte order mark is not on anybody's screen.
        let is_start = |b: &&u8| **b & 0b1100_0000 != 0b1000_0000;
        let line_text = before[line_start..].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&before[line_start..]);
        Self {
            line: before.split(|&b| b == b'\n').count(),
            column: 1 + line_text.iter().filter(is_start).count(),
        }
    }
}

/// One thing that is wrong with a configuration, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The configuration, or a file it names.
    pub file: PathBuf,
    /// Where in it; `None` for the file as a whole.
    pub at: Option<Position>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", readable(&self.file.to_string_lossy()))?;
        if let Some(Position { line, column }) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_newlines() {
        let at = |text, offset| {
            let Position { line, column } = Position::of(text, offset);
            (line, column)
        };
        assert_eq!(at("", 0), (1, 1));
        assert_eq!(at("ab\ncd", 4), (2, 2));
        assert_eq!(at("é = 1", 3), (1, 3));
        assert_eq!(at("\u{feff}a", 3), (1, 1));
        assert_eq!(at("a\n", 2), (2, 1));
        assert_eq!(at("a", 99), (1, 2));
    }
}
