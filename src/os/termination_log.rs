//! A file that is there for a last line, as Kubernetes puts one into every container.

use super::regular_file;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Kubernetes shows no more of it.
const LIMIT: usize = 4096;

/// Writes a line to a file, in place of what it holds; with `only_if_empty`, only where that is nothing. A file that
/// does not exist is not made.
///
/// # Errors
/// It is a link, no regular file, or cannot be written.
pub fn write(path: &Path, line: &str, only_if_empty: bool) -> io::Result<()> {
    let opened = regular_file::open_as(OpenOptions::new().write(true), path, libc::O_NOFOLLOW);
    let (mut file, found) = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if only_if_empty && found.len() > 0 {
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
        write(&missing, "line", false).unwrap();
        assert!(!missing.exists());
        std::fs::write(&file, "untouched").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "line", false).unwrap_err();
        write(Path::new("/dev/null"), "line", false).unwrap_err();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "untouched");
    }

    #[test]
    fn what_stands_there_is_replaced_unless_it_is_to_stay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "from the last time, and longer").unwrap();
        write(&file, "line", true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "from the last time, and longer");
        write(&file, "line", false).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "line\n");
    }

    #[test]
    fn no_more_is_written_than_is_shown_and_no_letter_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        write(&file, &"é".repeat(4000), true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "é".repeat(2047) + "\n");
    }
}
