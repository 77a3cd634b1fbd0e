//! The last lines of a program, for the record.

/// The most bytes that are kept.
const BYTES: usize = 8 * 1024;
/// The most lines that are told.
const LINES: usize = 50;
/// How much more may gather before the oldest is thrown away.
const SLACK: usize = 4 * 1024;

/// The newest bytes of whole lines.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, line: &[u8]) {
        let kept = &line[line.len().saturating_sub(BYTES)..];
        if self.bytes.len() + kept.len() > BYTES + SLACK {
            let surplus = (self.bytes.len() + kept.len()).saturating_sub(BYTES).min(self.bytes.len());
            self.bytes.drain(..surplus);
        }
        self.bytes.extend_from_slice(kept);
        self.bytes.push(b'\n');
    }

    /// In order. The first one may lack its beginning.
    pub(super) fn lines(&self) -> Vec<String> {
        let newest = &self.bytes[self.bytes.len().saturating_sub(BYTES + 1)..];
        let Some(text) = newest.strip_suffix(b"\n") else { return Vec::new() };
        let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        last.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
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
        tail.push(b"first");
        tail.push(format!("{}end", "x".repeat(3 * BYTES)).as_bytes());
        let lines = tail.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].len(), BYTES);
        assert!(lines[0].ends_with("xend"));
    }

    proptest! {
        #[test]
        fn the_newest_lines_are_kept(lengths in prop::collection::vec(0usize..3000, 0..200)) {
            let all: Vec<String> = (0..).zip(&lengths).map(|(n, length)| format!("{n}{}", "x".repeat(*length))).collect();
            let mut tail = Tail::default();
            for line in &all {
                tail.push(line.as_bytes());
                prop_assert!(tail.bytes.len() <= BYTES + SLACK + 1);
            }
            let kept = tail.lines();
            prop_assert!(kept.len() <= LINES);
            prop_assert!(kept.iter().map(|line| line.len() + 1).sum::<usize>() <= BYTES + 1);
            prop_assert_eq!(kept.is_empty(), all.is_empty());
            let newest = &all[all.len() - kept.len()..];
            for (n, (kept, said)) in kept.iter().zip(newest).enumerate() {
                prop_assert!(kept == said || n == 0 && said.ends_with(kept.as_str()));
            }
            // No more was thrown away than had to be.
            if kept.len() < LINES && kept.len() < all.len() {
                prop_assert!(kept.iter().map(|line| line.len() + 1).sum::<usize>() >= BYTES);
            }
        }
    }
}
