//! Bytes into lines, whatever pieces they come in.

use std::ops::Range;

/// The longest line, without its newline. A longer one is cut, and its rest is a line of its own.
pub(super) const LINE_LIMIT: usize = 64 * 1024;
/// Room that is kept for the next line that comes in pieces; most come whole.
const KEPT_ROOM: usize = 1024;

/// A line, or a piece of one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Without the newline.
    pub(super) text: &'a [u8],
    /// It was cut: its rest follows.
    pub(super) is_cut: bool,
}

/// How many lines end in these bytes.
pub(super) fn count(bytes: &[u8]) -> u64 {
    bytes.split(|&byte| byte == b'\n').skip(1).fold(0, |count, _| count + 1)
}

/// One stream's unfinished line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes in what was read and gives out every line that it completes.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Line<'_>)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(text) if self.partial.is_empty() && text.len() <= LINE_LIMIT => {
                    take(Line { text, is_cut: false });
                }
                Some(text) => {
                    self.add(text, &mut take);
                    self.complete(&mut take);
                }
                None => self.add(piece, &mut take),
            }
        }
    }

    /// Gives out the last line, which has no newline. Nothing if there is none.
    pub(super) fn finish(&mut self, mut take: impl FnMut(Line<'_>)) {
        if !self.partial.is_empty() {
            self.complete(&mut take);
        }
    }

    fn complete(&mut self, take: &mut impl FnMut(Line<'_>)) {
        take(Line { text: &self.partial, is_cut: false });
        self.partial.clear();
        self.partial.shrink_to(KEPT_ROOM);
    }

    fn add(&mut self, text: &[u8], take: &mut impl FnMut(Line<'_>)) {
        self.partial.extend_from_slice(text);
        while self.partial.len() > LINE_LIMIT {
            let cut = between_characters(&self.partial, LINE_LIMIT - 3..LINE_LIMIT + 1);
            take(Line { text: &self.partial[..cut], is_cut: true });
            self.partial.drain(..cut);
        }
    }
}

/// The last place in the range where a character of UTF-8 begins; the last place at all if this is no UTF-8.
fn between_characters(text: &[u8], range: Range<usize>) -> usize {
    let last = range.end - 1;
    range.rev().find(|&at| text[at] & 0b1100_0000 != 0b1000_0000).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of some chunks, and what is left at the end.
    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| all.push((line.text.to_vec(), line.is_cut)));
        }
        lines.finish(|line| all.push((line.text.to_vec(), line.is_cut)));
        all
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let expected = [("ab", false), ("", false), ("cd", false)].map(|(t, c)| (t.as_bytes().to_vec(), c));
        assert_eq!(split([&b"ab\n\ncd"[..]]), expected);
        assert_eq!(split([&b"a"[..], b"b", b"\n", b"\nc", b"d\n"]), expected);
        assert_eq!(split([&b""[..]]), []);
        assert_eq!([count(b""), count(b"ab"), count(b"ab\n\ncd")], [0, 0, 2]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_characters() {
        let whole = vec![b'x'; LINE_LIMIT];
        assert_eq!(split([&whole[..], b"\n"]), [(whole.clone(), false)]);
        let text = format!("{}€uro", "x".repeat(LINE_LIMIT - 1));
        let (head, rest) = text.split_at(LINE_LIMIT - 1);
        assert_eq!(split([text.as_bytes()]), [(head.into(), true), (rest.into(), false)]);
        let no_text = vec![0x80; LINE_LIMIT + 1];
        assert_eq!(split([&no_text[..]]), [(no_text[..LINE_LIMIT].to_vec(), true), (vec![0x80], false)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_byte_is_lost_or_moved(
            parts in prop::collection::vec((prop::sample::select(&b"ab\n\xe2\x82\xac"[..]), 0usize..40_000), 0..12),
            chunk in 1usize..50_000,
        ) {
            let bytes: Vec<u8> = parts.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect();
            let lines = split(bytes.chunks(chunk));
            prop_assert!(lines.iter().all(|(text, _)| text.len() <= LINE_LIMIT));
            let mut joined: Vec<u8> = Vec::new();
            for (text, is_cut) in lines {
                joined.extend(&text);
                if !is_cut {
                    joined.push(b'\n');
                }
            }
            if bytes.last().is_some_and(|&last| last != b'\n') {
                joined.pop();
            }
            prop_assert_eq!(joined, bytes);
        }
    }
}
