//! Directories that others work in, each with a registry: a file that they lock (flock(2)) to read and to write.
//!
//! Everything starts at one descriptor, and no symbolic link is followed from there on. Waiting for a lock has an end.
//! Not for the loop: a disk may make any of this wait.

use super::tree;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::ftruncate;
use std::fs::File;
use std::io::{Read, Result};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A registry that is larger is not read.
const LARGEST: u64 = 16 << 20;
/// How often a lock that somebody else has is tried.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// The directory that holds the workspaces.
#[derive(Debug)]
pub struct Workspaces(OwnedFd);

/// A registry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// All of it.
    pub text: String,
    /// When it was written last.
    pub modified: SystemTime,
}

impl Workspaces {
    /// Opens the directory.
    ///
    /// # Errors
    /// It does not exist, is none, or must not be read.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(openat(AT_FDCWD, path, flags, Mode::empty())?))
    }

    /// The names of all that may be workspaces: directories, and links, which are none but keep others from being taken
    /// for gone.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        for entry in Dir::openat(&self.0, ".", flags, Mode::empty())?.iter() {
            let entry = entry?;
            // The name of a session is UTF-8, so that of its workspace is.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let is_one = match entry.file_type() {
                Some(Type::Directory | Type::Symlink) => true,
                Some(_) => false,
                None => is_directory_or_link(&fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?),
            };
            if is_one && name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads a workspace's registry under a shared lock; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is no file, too large or no text, or is still locked then.
    pub fn read(&self, workspace: &str, registry: &str, until: Instant) -> Result<Option<Contents>> {
        let Some(file) = self.registry(workspace, registry, OFlag::O_RDONLY)? else { return Ok(None) };
        contents(&*lock(file, FlockArg::LockShared, until)?).map(Some)
    }

    /// Changes a workspace's registry in place under an exclusive lock: whoever locks it locks this file, so no other may
    /// take its name. True if it was changed; `change` may find that it need not be.
    ///
    /// # Errors
    /// As for reading. On a full disk it is left as it was.
    pub fn rewrite(
        &self,
        workspace: &str,
        registry: &str,
        until: Instant,
        change: impl FnOnce(&str) -> Option<String>,
    ) -> Result<bool> {
        let Some(locked) = self.lock_exclusively(workspace, registry, OFlag::O_RDWR, until)? else {
            return Ok(false);
        };
        let old = contents(&locked)?.text;
        match change(&old) {
            Some(new) => replace(&locked, old.as_bytes(), new.as_bytes()).map(|()| true),
            None => Ok(false),
        }
    }

    /// Deletes a workspace with all that is in it, the registry last: what was begun can be told and ended later. Nobody
    /// else has the registry's lock meanwhile, and `is_finished` is asked once that is so. True if it was deleted.
    ///
    /// # Errors
    /// It is no directory but a link or the root of a mount, somebody has the lock, or something in it cannot be deleted.
    pub fn delete(
        &self,
        workspace: &str,
        registry: &str,
        is_finished: impl FnOnce(&Contents) -> bool,
    ) -> Result<bool> {
        let now = Instant::now();
        let Some(locked) = self.lock_exclusively(workspace, registry, OFlag::O_RDONLY, now)? else {
            return Ok(false);
        };
        if !is_finished(&contents(&locked)?) {
            return Ok(false);
        }
        tree::delete(&self.0, workspace, registry, &locked)?;
        Ok(true)
    }

    fn lock_exclusively(
        &self,
        workspace: &str,
        registry: &str,
        flags: OFlag,
        until: Instant,
    ) -> Result<Option<Flock<File>>> {
        loop {
            let Some(file) = self.registry(workspace, registry, flags)? else { return Ok(None) };
            let locked = lock(file, FlockArg::LockExclusive, until)?;
            // Somebody may have put another file in its place before the lock was ours.
            let Some(there) = self.registry(workspace, registry, flags)? else { return Ok(None) };
            let (there, ours) = (there.metadata()?, locked.metadata()?);
            if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
                return Ok(Some(locked));
            }
            if Instant::now() >= until {
                return Err(Errno::EWOULDBLOCK.into());
            }
        }
    }

    /// `None` if the workspace or its registry does not exist.
    fn registry(&self, workspace: &str, registry: &str, flags: OFlag) -> Result<Option<File>> {
        let never = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(&self.0, workspace, OFlag::O_PATH | OFlag::O_DIRECTORY | never, Mode::empty());
        // O_NONBLOCK: a FIFO would be waited for.
        let file = directory
            .and_then(|dir| openat(&dir, registry, flags | OFlag::O_NONBLOCK | never, Mode::empty()));
        match file {
            Ok(file) => Ok(Some(File::from(file))),
            Err(Errno::ENOENT) => Ok(None),
            // open(2): O_DIRECTORY comes before O_NOFOLLOW.
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(other("it is a symbolic link, which is not followed")),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn is_directory_or_link(stat: &FileStat) -> bool {
    let kind = stat.st_mode & SFlag::S_IFMT.bits();
    kind == SFlag::S_IFDIR.bits() || kind == SFlag::S_IFLNK.bits()
}

fn other(text: &str) -> std::io::Error {
    std::io::Error::other(text.to_owned())
}

/// flock(2) can only wait for ever, so it is tried again and again.
fn lock(mut file: File, how: FlockArg, until: Instant) -> Result<Flock<File>> {
    let at_once = match how {
        FlockArg::LockShared => FlockArg::LockSharedNonblock,
        _ => FlockArg::LockExclusiveNonblock,
    };
    loop {
        match Flock::lock(file, at_once) {
            Ok(locked) => return Ok(locked),
            Err((unlocked, Errno::EWOULDBLOCK)) if Instant::now() < until => file = unlocked,
            Err((_, Errno::EWOULDBLOCK)) => return Err(other("somebody has it locked")),
            Err((_, errno)) => return Err(errno.into()),
        }
        std::thread::sleep(TRY_EVERY);
    }
}

fn contents(mut file: &File) -> Result<Contents> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(other("it is no file"));
    }
    if metadata.len() > LARGEST {
        return Err(other("it is larger than 16 MiB"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Contents { text, modified: metadata.modified()? })
}

/// Replaces what is in a file without ever leaving something there that is no JSON, as far as a system call is atomic.
/// Blanks are appended first, where the file grows, so that a full disk is met while the old text stands; where it
/// shrinks, the new text is followed by blanks until those are cut off.
fn replace(file: &File, old: &[u8], new: &[u8]) -> Result<()> {
    let room = new.len().saturating_sub(old.len());
    let grown = file.write_all_at(&vec![b'\n'; room], old.len() as u64);
    let mut padded = new.to_vec();
    padded.resize(new.len().max(old.len()), b'\n');
    let written = grown.and_then(|()| file.write_all_at(&padded, 0));
    if let Err(error) = written {
        file.write_all_at(old, 0)?;
        ftruncate(file, old.len().cast_signed() as i64)?;
        return Err(error);
    }
    Ok(ftruncate(file, new.len().cast_signed() as i64)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const REGISTRY: &str = "R.json";

    fn workspace(text: &str) -> (TempDir, Workspaces) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("T")).unwrap();
        std::fs::write(directory.path().join("T").join(REGISTRY), text).unwrap();
        let workspaces = Workspaces::open(directory.path()).unwrap();
        (directory, workspaces)
    }

    fn read(workspaces: &Workspaces, name: &str) -> Result<Option<String>> {
        let contents = workspaces.read(name, REGISTRY, Instant::now())?;
        Ok(contents.map(|contents| contents.text))
    }

    #[test]
    fn it_is_changed_in_place_longer_or_shorter() {
        let (directory, workspaces) = workspace("middle");
        let path = directory.path().join("T").join(REGISTRY);
        let inode = std::fs::metadata(&path).unwrap().ino();
        for new in ["much longer", "short", ""] {
            let changed = workspaces.rewrite("T", REGISTRY, Instant::now(), |_| Some(new.to_owned()));
            assert!(changed.unwrap());
            assert_eq!(read(&workspaces, "T").unwrap().unwrap(), new);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
        assert!(!workspaces.rewrite("T", REGISTRY, Instant::now(), |_| None).unwrap());
    }

    #[test]
    fn whoever_has_the_lock_is_not_disturbed() {
        let (directory, workspaces) = workspace("{}");
        let file = File::open(directory.path().join("T").join(REGISTRY)).unwrap();
        let theirs = Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| errno).unwrap();
        assert_eq!(read(&workspaces, "T").unwrap().unwrap(), "{}", "two may read");
        assert!(workspaces.rewrite("T", REGISTRY, Instant::now(), |_| Some(String::new())).is_err());
        assert!(workspaces.delete("T", REGISTRY, |_| true).is_err());
        theirs.relock(FlockArg::LockExclusive).unwrap();
        assert!(read(&workspaces, "T").is_err());
        drop(theirs);
        assert!(workspaces.delete("T", REGISTRY, |_| true).unwrap());
        assert_eq!(workspaces.names().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_not_what_cannot_be_read() {
        let (directory, workspaces) = workspace("{}");
        symlink("T", directory.path().join("link")).unwrap();
        std::fs::create_dir(directory.path().join("empty")).unwrap();
        std::fs::create_dir(directory.path().join("linked")).unwrap();
        symlink("../T/R.json", directory.path().join("linked").join(REGISTRY)).unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert_eq!(workspaces.names().unwrap(), ["T", "empty", "link", "linked"]);
        for missing in ["none", "empty"] {
            assert_eq!(read(&workspaces, missing).unwrap(), None);
        }
        for link in ["link", "linked"] {
            assert!(read(&workspaces, link).is_err(), "{link}");
            assert!(workspaces.rewrite(link, REGISTRY, Instant::now(), |_| Some("x".to_owned())).is_err());
            assert!(workspaces.delete(link, REGISTRY, |_| true).is_err());
        }
        assert_eq!(read(&workspaces, "T").unwrap().unwrap(), "{}");
    }
}
