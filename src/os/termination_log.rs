//! A file that is there for a last line, as Kubernetes puts one into every container.

use super::regular_file;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Kubernetes shows no more of it.
const LIMIT: usize = 4096;

/// A file as it was found, to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl From<&Metadata> for Found {
    fn from(file: &Metadata) -> Self {
        Self { inode: file.ino(), length: file.len(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

/// Looks at the file before anything is started.
pub fn look(path: &Path) -> Option<Found> {
    std::fs::symlink_metadata(path).ok().map(|file| Found::from(&file))
}

/// Writes a line to a file, in place of what it holds, unless that was written since it was `found`. A file that does not
/// exist is not made.
///
/// # Errors
/// It is a link, no regular file, or cannot be written.
pub fn write(path: &Path, line: &str, found: Option<Found>) -> io::Result<()> {
    let opened = regular_file::open_as(OpenOptions::new().write(true), path, libc::O_NOFOLLOW);
    let (mut file, now) = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if now.len() > 0 && Some(Found::from(&now)) != found {
        return Ok(());
    }
    file.set_len(0)?;
    let line = &line[..line.floor_char_boundary(LIMIT - 1)];
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_that_exists_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let [missing, link, file] = ["missing", "link", "file"].map(|name| directory.path().join(name));
        write(&missing, "line", None).unwrap();
        assert!(!missing.exists());
        std::fs::write(&file, "untouched").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "line", None).unwrap_err();
        write(Path::new("/dev/null"), "line", None).unwrap_err();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "untouched");
    }

    #[test]
    fn what_stands_there_is_replaced_unless_it_was_written_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let text = || std::fs::read_to_string(&file).unwrap();
        write(&file, "line", look(&file)).unwrap();
        std::fs::write(&file, "of the last time, and longer").unwrap();
        let found = look(&file);
        write(&file, "line", found).unwrap();
        assert_eq!(text(), "line\n");
        write(&file, "another", found).unwrap();
        assert_eq!(text(), "line\n", "not what it was");
        std::fs::write(&file, "").unwrap();
        write(&file, "emptied", found).unwrap();
        assert_eq!(text(), "emptied\n");
    }

    #[test]
    fn no_more_is_written_than_is_shown_and_no_letter_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        write(&file, &"é".repeat(4000), None).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "é".repeat(2047) + "\n");
    }
}
