//! Files that are opened in the middle of a run, where nothing may wait.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file for reading, through symbolic links too.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open(path: &Path) -> Result<File> {
    open_as(OpenOptions::new().read(true), path, 0).map(|(file, _)| file)
}

/// Opens a file in this way if it is a regular one: a FIFO would be waited for until somebody is at its other end, and a
/// device does whatever it does.
pub(super) fn open_as(how: &mut OpenOptions, path: &Path, flags: i32) -> Result<(File, Metadata)> {
    let file = how.custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(is_none()) }
}

/// What is said of anything else.
pub(super) fn is_none() -> Error {
    Error::other("this is no regular file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link, fifo] = ["file", "link", "fifo"].map(|name| directory.path().join(name));
        std::fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(open(&file).is_ok() && open(&link).is_ok());
        for other in [fifo.as_path(), directory.path(), Path::new("/dev/null")] {
            assert_eq!(
                open(other).unwrap_err().to_string(),
                "this is no regular file",
                "{}",
                other.display()
            );
        }
        let unfollowed = open_as(OpenOptions::new().read(true), &link, libc::O_NOFOLLOW);
        assert_eq!(unfollowed.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
