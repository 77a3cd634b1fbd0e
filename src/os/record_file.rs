//! A file that is always whole: a temporary one beside it, then rename(2).

use super::regular_file;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{SFlag, lstat};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Nobody but runinit's own user reads it: command lines may tell more than they should.
const MODE: u32 = 0o600;
/// The mode's bit by which others may write (inode(7)).
const OTHERS_WRITE: u32 = 0o002;
/// The longest record that is read back.
const READ_LIMIT: u64 = 16 << 20;

/// The record's place, held against a second runinit.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    temporary: PathBuf,
    /// Held until the end of the process. The lock's file stays: removing it would let two hold it.
    _lock: Flock<File>,
}

impl RecordFile {
    /// Locks the place.
    ///
    /// # Errors
    /// `WouldBlock`: another runinit writes there. Else the directory is missing or cannot be written, or something is
    /// there that is no regular file.
    pub fn lock(path: &Path) -> io::Result<Self> {
        // rename(2) would put a file in place of a device or a pipe, or of a link that leads to one.
        let is_other = match lstat(path).map(|there| SFlag::from_bits_truncate(there.st_mode) & SFlag::S_IFMT)
        {
            Ok(SFlag::S_IFLNK) => leads_elsewhere(path),
            Ok(kind) => kind != SFlag::S_IFREG,
            Err(_) => false,
        };
        if is_other {
            return Err(regular_file::is_none());
        }
        let lock = lock(path)?;
        Ok(Self { path: path.to_owned(), temporary: beside(path, ".tmp"), _lock: lock })
    }

    /// Replaces the record; with `sync` it is on the disk before it has its name.
    ///
    /// # Errors
    /// The disk is full, read-only or gone. The record before is still there, whole.
    pub fn write(&self, contents: &[u8], sync: bool) -> io::Result<()> {
        let written =
            self.write_temporary(contents, sync).and_then(|()| std::fs::rename(&self.temporary, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&self.temporary);
        }
        written
    }

    /// A new file, in place of one that a killed run left or a link that somebody put in the way.
    fn create(&self) -> io::Result<File> {
        let create = || OpenOptions::new().write(true).create_new(true).mode(MODE).open(&self.temporary);
        create().or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => std::fs::remove_file(&self.temporary).and_then(|()| create()),
            _ => Err(error),
        })
    }

    fn write_temporary(&self, contents: &[u8], sync: bool) -> io::Result<()> {
        let mut file = self.create()?;
        file.write_all(contents)?;
        if sync { file.sync_all() } else { Ok(()) }
    }
}

/// Holds a place in the file system against everybody who asks in the same way, by a lock on a file beside it.
pub(super) fn lock(path: &Path) -> io::Result<Flock<File>> {
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(false).mode(MODE);
    let (lock, _) = regular_file::open_as(&mut how, &beside(path, ".lock"), libc::O_NOFOLLOW)?;
    Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))
}

/// What the last run left there, if anything; never through a symbolic link.
///
/// # Errors
/// It is missing, a link, no file, or cannot be read; or others could have written it, who would have a say in which sessions
/// the next run ends.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    let (file, metadata) = regular_file::open_as(OpenOptions::new().read(true), path, libc::O_NOFOLLOW)?;
    let is_own = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
    if !is_own || metadata.mode() & OTHERS_WRITE != 0 {
        return Err(io::Error::other("others could have written this"));
    }
    file.take(READ_LIMIT).read_to_end(&mut contents)?;
    Ok(contents)
}

/// A record that somebody has named, wherever that leads. Not for the loop: it may be a pipe, which is waited for.
///
/// # Errors
/// It is missing, or cannot be read.
pub fn read_named(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?.take(READ_LIMIT).read_to_end(&mut contents)?;
    Ok(contents)
}

/// True if the run that writes the record is still there.
pub fn is_locked(path: &Path) -> bool {
    let lock = regular_file::open_as(OpenOptions::new().read(true), &beside(path, ".lock"), libc::O_NOFOLLOW);
    // Let go at once: a runinit that starts in this very moment must not find it taken.
    lock.is_ok_and(|(lock, _)| {
        matches!(Flock::lock(lock, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    })
}

/// True of a link to anything but a file. /dev/stdout is one of those, whatever that is at the moment.
fn leads_elsewhere(link: &Path) -> bool {
    let is_descriptor = || std::fs::read_link(link).is_ok_and(|target| target.starts_with("/proc"));
    std::fs::metadata(link).is_ok_and(|there| !there.is_file()) || is_descriptor()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode as Bits;
    use nix::unistd::mkfifo;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_second_writer_is_refused_while_the_first_one_lives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        let first = RecordFile::lock(&path).unwrap();
        assert_eq!(RecordFile::lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        RecordFile::lock(&path).unwrap();
    }

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        std::fs::write(&path, "{}").unwrap();
        for (mode, is_believed) in [(0o600, true), (0o664, true), (0o666, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_believed, "{mode:o}");
        }
    }

    #[test]
    fn links_in_the_way_are_replaced_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("record.json"), directory.path().join("victim"));
        std::fs::write(&victim, "untouched").unwrap();
        symlink(&victim, &path).unwrap();
        symlink(&victim, directory.path().join("record.json.tmp")).unwrap();
        assert!(read(&path).is_err());
        RecordFile::lock(&path).unwrap().write(b"{}", true).unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(read(&path).unwrap(), b"{}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn what_is_no_regular_file_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        mkfifo(&path("fifo"), Bits::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        symlink(path("fifo"), path("link")).unwrap();
        let file = File::create(path("file")).unwrap();
        symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), path("stdout")).unwrap();
        for name in ["fifo", "socket", "link", "stdout", "."] {
            let error = RecordFile::lock(&path(name)).unwrap_err();
            assert_eq!(error.to_string(), "this is no regular file", "{name}");
            assert!(!beside(&path(name), ".lock").exists(), "{name}");
        }
        assert!(std::fs::symlink_metadata(path("fifo")).unwrap().file_type().is_fifo());
        assert!(std::fs::symlink_metadata(path("link")).unwrap().is_symlink());
    }

    #[test]
    fn a_lock_is_not_taken_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        symlink(directory.path().join("victim"), directory.path().join("record.json.lock")).unwrap();
        assert!(RecordFile::lock(&directory.path().join("record.json")).is_err());
        assert!(!directory.path().join("victim").exists());
    }
}
