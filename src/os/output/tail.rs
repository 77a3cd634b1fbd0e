//! The last lines of a program, for the record.
//!
//! Standard output and standard error are kept apart, so that a few last words on the one are not driven out by many lines
//! on the other. Between the two, lines are in the order in which they were read.

use std::collections::VecDeque;

/// The most bytes of a stream that are kept.
const BYTES: usize = 8 * 1024;
/// The most lines that are told.
const LINES: usize = 50;
/// How much more may gather before the oldest is thrown away.
const SLACK: usize = 4 * 1024;

/// The newest lines of both streams.
#[derive(Debug, Default)]
pub(super) struct Tail {
    streams: [Stream; 2],
    count: u64,
}

/// The newest bytes of whole lines.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// The numbers of the newest lines.
    numbers: VecDeque<u64>,
}

impl Tail {
    pub(super) fn push(&mut self, stream: usize, line: &[u8]) {
        self.count += 1;
        self.streams[stream].push(self.count, line);
    }

    /// In order. The first one of a stream may lack its beginning.
    pub(super) fn lines(&self) -> Vec<String> {
        let [stdout, stderr] = self.streams.each_ref().map(Stream::lines);
        // Each has room for half of all, and for what the other does not need.
        let room = |other: &[(u64, &[u8])]| LINES - other.len().min(LINES / 2);
        let newest = |lines: &[(u64, &[u8])], room| lines.len().saturating_sub(room);
        let (from_stdout, from_stderr) = (newest(&stdout, room(&stderr)), newest(&stderr, room(&stdout)));
        let mut all = [&stdout[from_stdout..], &stderr[from_stderr..]].concat();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, line)| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

impl Stream {
    fn push(&mut self, number: u64, line: &[u8]) {
        let kept = &line[line.len().saturating_sub(BYTES)..];
        if self.bytes.len() + kept.len() > BYTES + SLACK {
            let surplus = (self.bytes.len() + kept.len()).saturating_sub(BYTES).min(self.bytes.len());
            self.bytes.drain(..surplus);
        }
        self.bytes.extend_from_slice(kept);
        self.bytes.push(b'\n');
        if self.numbers.len() == LINES {
            self.numbers.pop_front();
        }
        self.numbers.push_back(number);
    }

    fn lines(&self) -> Vec<(u64, &[u8])> {
        let newest = &self.bytes[self.bytes.len().saturating_sub(BYTES + 1)..];
        let Some(text) = newest.strip_suffix(b"\n") else { return Vec::new() };
        let from_last = text.rsplit(|&byte| byte == b'\n');
        let mut lines: Vec<_> = self.numbers.iter().rev().copied().zip(from_last).collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_was_said_in_no_lines() {
        assert!(Tail::default().lines().is_empty());
    }

    #[test]
    fn a_long_line_keeps_its_end() {
        let mut tail = Tail::default();
        tail.push(0, b"first");
        tail.push(0, format!("{}end", "x".repeat(3 * BYTES)).as_bytes());
        let lines = tail.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].len(), BYTES);
        assert!(lines[0].ends_with("xend"));
    }

    #[test]
    fn many_lines_on_one_stream_do_not_drive_out_few_on_the_other() {
        let mut tail = Tail::default();
        tail.push(0, b"before");
        tail.push(1, b"panic");
        (0..100).for_each(|_| tail.push(0, b"noise"));
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[..2], ["panic", "noise"]);
        (0..100).for_each(|_| tail.push(1, b"error"));
        assert_eq!(tail.lines()[LINES / 2 - 1..=LINES / 2], ["noise", "error"]);
    }

    proptest! {
        #[test]
        fn the_newest_lines_are_kept(said in prop::collection::vec((0usize..2, 0usize..3000), 0..200)) {
            let mut tail = Tail::default();
            let text = |n: usize, length: usize| format!("{n}{}", "x".repeat(length));
            for (n, (stream, length)) in said.iter().enumerate() {
                tail.push(*stream, text(n, *length).as_bytes());
                prop_assert!(tail.streams[*stream].bytes.len() <= BYTES + SLACK + 1);
                prop_assert!(tail.streams[*stream].numbers.len() <= LINES);
            }
            for (stream, kept) in tail.streams.iter().enumerate() {
                let kept = kept.lines();
                let all: Vec<String> = said.iter().enumerate()
                    .filter(|(_, line)| line.0 == stream).map(|(n, line)| text(n, line.1)).collect();
                let bytes = kept.iter().map(|(_, line)| line.len() + 1).sum::<usize>();
                prop_assert!(bytes <= BYTES + 1);
                prop_assert_eq!(kept.is_empty(), all.is_empty());
                for (n, ((_, kept), said)) in kept.iter().zip(&all[all.len() - kept.len()..]).enumerate() {
                    prop_assert!(*kept == said.as_bytes() || n == 0 && said.as_bytes().ends_with(kept));
                }
                // No more was thrown away than had to be.
                prop_assert!(bytes >= BYTES || kept.len() == all.len().min(LINES));
            }
            let told = tail.lines();
            let count = tail.streams.iter().map(|stream| stream.lines().len()).sum::<usize>();
            prop_assert_eq!(told.len(), count.min(LINES));
        }
    }
}
