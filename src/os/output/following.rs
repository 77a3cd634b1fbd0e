//! Those who look at what a program prints: back, and along.

use super::Outputs;
use super::lines::Line;
use crate::core::plan::ProgramId;
use crate::os::regular_file;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The most that gathers in a round for those who follow a program.
const MOST: usize = 128 * 1024;
/// How far back a file is read.
const FILE_TAIL: u64 = 64 * 1024;

/// What a program has printed since it was asked last.
#[derive(Debug, Default)]
pub struct News {
    /// In order; the first ones only, if there were too many.
    pub lines: Vec<String>,
    /// How many there was no room for.
    pub lost: u64,
    bytes: usize,
}

impl News {
    pub(super) fn push(&mut self, line: &Line<'_>) {
        if self.bytes + line.text.len() > MOST {
            self.lost += 1;
            return;
        }
        self.bytes += line.text.len() + 1;
        self.lines.push(String::from_utf8_lossy(line.text).into_owned());
    }
}

impl Outputs {
    /// From now on these programs are followed, and no others.
    pub fn follow(&mut self, ids: &BTreeSet<ProgramId>) {
        self.followed.retain(|id, _| ids.contains(id));
        for id in ids {
            self.followed.entry(*id).or_default();
        }
    }

    /// What a program that is followed has printed since the last time.
    pub fn news(&mut self, id: ProgramId) -> News {
        self.followed.get_mut(&id).map(std::mem::take).unwrap_or_default()
    }
}

/// The last lines of a file, no longer ago than so many bytes.
///
/// # Errors
/// It cannot be read, is a symbolic link or no file.
pub fn last_lines_of(path: &Path, count: usize) -> std::io::Result<Vec<String>> {
    // Somebody may have put something else in its place.
    let (mut file, metadata) = regular_file::open_as(OpenOptions::new().read(true), path, libc::O_NOFOLLOW)?;
    let from = metadata.len().saturating_sub(FILE_TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(FILE_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first one may lack its beginning.
    let lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_lines_are_counted() {
        let mut news = News::default();
        let text = vec![b'x'; 1000];
        (0..200).for_each(|_| news.push(&Line { text: &text, is_cut: false }));
        assert_eq!(news.lines.len() as u64 + news.lost, 200);
        assert!(news.lost > 0);
    }

    #[test]
    fn a_file_is_read_from_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "a\nb\nc\n").unwrap();
        assert_eq!(last_lines_of(&path, 2).unwrap(), ["b", "c"]);
        assert_eq!(last_lines_of(&path, 9).unwrap(), ["a", "b", "c"]);
        std::fs::write(&path, "x".repeat(100_000) + "\nlast\n").unwrap();
        assert_eq!(last_lines_of(&path, 9).unwrap(), ["last"]);
    }
}
