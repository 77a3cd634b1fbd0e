//! A file that is put aside when it has grown.
//!
//! `api.log` becomes `api.log.1`, that `api.log.2`, and so on; the oldest one goes. Nothing is copied, so nothing is lost
//! in between: a file holds whole lines from its beginning to its end, and only a line longer than
//! [`LINE_LIMIT`](super::lines::LINE_LIMIT) may go on in the next one.

use super::lines::count;
use crate::os::regular_file;
use nix::errno::Errno;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, rename};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Logs are for those who look after the machine.
const MODE: u32 = 0o640;

/// The file, its older ones, and how far it is.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    max: u64,
    keep: u32,
    file: File,
    size: u64,
    /// It is put aside before it grows beyond this: `max`, or more where that has failed.
    limit: u64,
    is_rotation_told: bool,
    lost_lines: u64,
}

impl RotatingFile {
    /// Opens the file, to add to what is there.
    ///
    /// # Errors
    /// It cannot be opened; or it is no regular file, or a symbolic link (ELOOP).
    pub(super) fn open(path: &Path, max: u64, keep: u32) -> io::Result<Self> {
        let (file, size) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            max,
            keep,
            file,
            size,
            limit: max,
            is_rotation_told: false,
            lost_lines: 0,
        })
    }

    /// From now on other limits hold.
    pub(super) fn set_limits(&mut self, max: u64, keep: u32) {
        if self.max != max {
            self.limit = max;
        }
        (self.max, self.keep) = (max, keep);
    }

    /// Adds lines.
    pub(super) fn write(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let mut fitting = fitting(lines, self.size, self.limit);
            if fitting == 0 {
                if self.rotate() {
                    continue;
                }
                fitting = first_line(lines);
            }
            self.append(&lines[..fitting]);
            lines = &lines[fitting..];
        }
    }

    /// Lines for which there was no room.
    pub(super) fn lost_lines(&self) -> u64 {
        self.lost_lines
    }

    fn append(&mut self, lines: &[u8]) {
        let mut written = 0;
        while written < lines.len() {
            match nix::unistd::write(&self.file, &lines[written..]) {
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    let torn = written - whole_lines(&lines[..written]);
                    written -= torn;
                    // Else the next line would go on where this one broke off. Somebody may have cut the file meanwhile.
                    if let Ok(file) = self.file.metadata() {
                        let _ = self.file.set_len(file.len().saturating_sub(torn as u64));
                    }
                    self.lose(&lines[written..], errno);
                    break;
                }
            }
        }
        self.size += written as u64;
    }

    fn lose(&mut self, lines: &[u8], errno: Errno) {
        if self.lost_lines == 0 {
            log::error!("{}: lines are lost: {}", self.path.display(), errno.desc());
        }
        self.lost_lines += count(lines);
    }

    /// Puts the file aside and begins a new one. If that cannot be, nothing is lost: the file grows on.
    fn rotate(&mut self) -> bool {
        match self.begin_anew() {
            Ok(()) => {
                self.limit = self.max;
                true
            }
            Err(error) => {
                self.limit = self.size.saturating_add(self.max);
                if !self.is_rotation_told {
                    self.is_rotation_told = true;
                    log::error!("{}: it cannot be put aside, and grows on: {error}", self.path.display());
                }
                false
            }
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        let free = (1..self.keep).find(|number| !exists(&self.older(*number))).unwrap_or(self.keep);
        for number in (1..free).rev() {
            put(&self.older(number), &self.older(number + 1))?;
        }
        put(&self.path, &self.older(1))?;
        match open(&self.path) {
            Ok((file, size)) => {
                self.file = file;
                self.size = size;
                Ok(())
            }
            Err(error) => {
                let _ = rename(self.older(1), &self.path);
                Err(error)
            }
        }
    }

    fn older(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut how = OpenOptions::new();
    how.append(true).create(true).mode(MODE);
    let (file, metadata) = regular_file::open_as(&mut how, path, libc::O_NOFOLLOW)?;
    Ok((file, metadata.len()))
}

/// A symbolic link is there, wherever it leads.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Renames what is there, if anything is.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    match rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

/// How much of these lines goes into a file of this size: as many whole lines as fit, but at least one into an empty file.
fn fitting(lines: &[u8], size: u64, limit: u64) -> usize {
    let room = usize::try_from(limit.saturating_sub(size)).unwrap_or(usize::MAX);
    if lines.len() <= room {
        return lines.len();
    }
    match whole_lines(&lines[..room]) {
        0 if size == 0 => first_line(lines),
        fitting => fitting,
    }
}

/// The length of the first line; of everything if that is unfinished.
fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |newline| newline + 1)
}

/// The length of all finished lines together.
fn whole_lines(lines: &[u8]) -> usize {
    lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::{read, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_newest_files_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatingFile::open(&path, 4, 2).unwrap();
        for line in ["1\n", "2\n", "3\n4\n", "5\n", "a longer line\n", "6\n"] {
            file.write(line.as_bytes());
        }
        let text = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(text("log"), "6\n");
        assert_eq!(text("log.1"), "a longer line\n");
        assert_eq!(text("log.2"), "5\n");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 3);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
    }

    #[test]
    fn without_older_ones_it_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatingFile::open(&path, 4, 0).unwrap();
        file.write(b"1\n2\n3\n");
        assert_eq!(read(&path).unwrap(), b"3\n");
    }

    #[test]
    fn a_run_adds_to_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        write(&path, "old\n").unwrap();
        let mut file = RotatingFile::open(&path, 8, 1).unwrap();
        file.write(b"new\nrest\n");
        assert_eq!(read(directory.path().join("log.1")).unwrap(), b"old\nnew\n");
        assert_eq!(read(&path).unwrap(), b"rest\n");
    }

    #[test]
    fn links_devices_and_pipes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        symlink(directory.path().join("victim"), &path).unwrap();
        assert_eq!(RotatingFile::open(&path, 1, 1).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(RotatingFile::open(Path::new("/dev/null"), 1, 1).is_err());
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(RotatingFile::open(&fifo, 1, 1).is_err());
    }

    #[test]
    fn a_link_that_appears_in_its_place_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatingFile::open(&path, 4, 1).unwrap();
        std::fs::remove_file(&path).unwrap();
        symlink(directory.path().join("victim"), &path).unwrap();
        file.write(b"1\n2\n3\n");
        assert!(!directory.path().join("victim").exists());
        assert_eq!(read(&path).unwrap(), b"3\n");
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_grows_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatingFile::open(&path, 4, 1).unwrap();
        std::fs::create_dir(directory.path().join("log.1")).unwrap();
        file.write(b"1\n2\n3\n4\n5\n");
        assert_eq!(read(&path).unwrap(), b"1\n2\n3\n4\n5\n");
        std::fs::remove_dir(directory.path().join("log.1")).unwrap();
        file.write(b"6\n7\n");
        assert_eq!(read(&path).unwrap(), b"7\n");
        assert_eq!(file.lost_lines(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_lost_or_moved(
            lengths in prop::collection::vec(0usize..40, 0..60),
            max in 1u64..100,
            batch in 1usize..300,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            let mut file = RotatingFile::open(&path, max, 1000).unwrap();
            let line = |(n, length): (u32, &usize)| format!("{n}{}\n", "x".repeat(*length));
            let all = (0..).zip(&lengths).map(line).collect::<Vec<_>>().concat();
            let mut rest = all.as_bytes();
            while !rest.is_empty() {
                // Whole lines, as the runtime hands them on.
                let (now, later) = rest.split_at(whole_lines(&rest[..batch.min(rest.len())]).max(first_line(rest)));
                file.write(now);
                rest = later;
            }
            let older = (1..).map(|n| file.older(n)).take_while(|path| path.exists());
            let mut files: Vec<Vec<u8>> = older.chain([path.clone()]).map(|path| read(path).unwrap()).collect();
            let last = files.pop().unwrap();
            files.reverse();
            files.push(last);
            for file in &files {
                prop_assert!(file.len() as u64 <= max || first_line(file) == file.len());
                prop_assert_eq!(whole_lines(file), file.len());
            }
            prop_assert_eq!(files.concat(), all.into_bytes());
        }
    }
}
