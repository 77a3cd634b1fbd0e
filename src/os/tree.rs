//! Deleting a directory with all that is in it, and nothing else.
//!
//! Every step goes from a directory's descriptor to a name in it. Links are deleted and never followed, and what is
//! mounted somewhere inside is not entered.

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// So many directories are open at once; one that lies deeper is moved up first.
const DEEPEST: usize = 64;
/// Somebody may still write there while it is emptied.
const ROUNDS: usize = 3;

/// Deletes a directory in another one; the file named `last` in it, which has to be this one, goes when everything else is
/// gone.
///
/// # Errors
/// It is no directory or the root of a mount, or something in it cannot be deleted; `last` is still there then.
pub(super) fn delete(parent: &OwnedFd, name: &str, last: &str, file: &File) -> Result<()> {
    let name = CString::new(name)?;
    let last = CString::new(last)?;
    let top = enter(parent, &name).map_err(in_words)?;
    let (there, expected) = (fstatat(&top, last.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?, fstat(file)?);
    if (there.st_dev, there.st_ino) != (expected.st_dev, expected.st_ino) {
        return Err(Error::other("another directory has taken its place"));
    }
    let mut deleting = Deleting { top: &top, moved: 0 };
    deleting.empty_but(&last).map_err(in_words)?;
    unlinkat(&top, last.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
    Ok(unlinkat(parent, name.as_c_str(), UnlinkatFlags::RemoveDir)?)
}

fn in_words(errno: Errno) -> Error {
    match errno {
        Errno::EXDEV => Error::other("something is mounted there, which is not entered"),
        errno => errno.into(),
    }
}

struct Deleting<'a> {
    top: &'a OwnedFd,
    /// How many directories were moved up.
    moved: u64,
}

impl Deleting<'_> {
    /// Again while directories are moved up.
    fn empty_but(&mut self, last: &CStr) -> nix::Result<()> {
        loop {
            let moved = self.moved;
            self.empty(self.top, Some(last), 0)?;
            if self.moved == moved {
                return Ok(());
            }
        }
    }

    fn empty(&mut self, directory: &OwnedFd, but: Option<&CStr>, depth: usize) -> nix::Result<()> {
        for (name, is_directory) in entries(directory)? {
            if but == Some(name.as_c_str()) {
                continue;
            }
            let deleted = match (is_directory, depth >= DEEPEST) {
                (false, _) => unlinkat(directory, name.as_c_str(), UnlinkatFlags::NoRemoveDir),
                (true, false) => self.delete_directory(directory, &name, depth),
                (true, true) => self.move_up(directory, &name),
            };
            match deleted {
                // Somebody else was faster.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn delete_directory(&mut self, parent: &OwnedFd, name: &CStr, depth: usize) -> nix::Result<()> {
        let directory = enter(parent, name)?;
        for _ in 0..ROUNDS {
            self.empty(&directory, None, depth + 1)?;
            match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                removed => return removed,
            }
        }
        Err(Errno::ENOTEMPTY)
    }

    fn move_up(&mut self, parent: &OwnedFd, name: &CStr) -> nix::Result<()> {
        self.moved += 1;
        let aside = format!(".runinit-{}-{}", std::process::id(), self.moved);
        renameat(parent, name, self.top, aside.as_str())
    }
}

/// What is in a directory, and whether each is one itself.
fn entries(directory: &OwnedFd) -> nix::Result<Vec<(CString, bool)>> {
    let mut found = Vec::new();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    for entry in Dir::openat(directory, ".", flags, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = entry
            .file_type()
            .map_or_else(|| is_directory(directory, name), |kind| Ok(kind == Type::Directory));
        found.push((name.to_owned(), kind?));
    }
    Ok(found)
}

fn is_directory(parent: &OwnedFd, name: &CStr) -> nix::Result<bool> {
    let mode = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode;
    Ok(mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

/// Opens a directory in another one, unless something is mounted there.
fn enter(parent: &OwnedFd, name: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let resolve =
        ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH;
    match openat2(parent, name, OpenHow::new().flags(flags).resolve(resolve)) {
        // Before Linux 5.6, or forbidden by a filter that does not know it.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let directory = openat(parent, name, flags, Mode::empty())?;
            if is_same_mount(parent, &directory) { Ok(directory) } else { Err(Errno::EXDEV) }
        }
        opened => opened,
    }
}

/// As far as /proc tells (proc(5), fdinfo): what is mounted from the same disk has the same device.
fn is_same_mount(one: &OwnedFd, other: &OwnedFd) -> bool {
    let mount = |directory: &OwnedFd| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", directory.as_raw_fd())).ok()?;
        info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(|number| number.trim().to_owned())
    };
    mount(one).is_some_and(|number| mount(other) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs::{create_dir, create_dir_all, read, write};
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::Command;
    use tempfile::{TempDir, tempdir};

    fn stage() -> (TempDir, OwnedFd) {
        let directory = tempdir().unwrap();
        create_dir_all(directory.path().join("T/a/b")).unwrap();
        write(directory.path().join("T/last"), "").unwrap();
        write(directory.path().join("T/a/b/file"), "").unwrap();
        write(directory.path().join("outside"), "untouched").unwrap();
        let fd = OwnedFd::from(File::open(directory.path()).unwrap());
        (directory, fd)
    }

    fn delete_stage(directory: &TempDir, fd: &OwnedFd, name: &str) -> Result<()> {
        delete(fd, name, "last", &File::open(directory.path().join("T/last"))?)
    }

    #[test]
    fn all_that_is_in_it_goes_and_what_links_lead_to_stays() {
        let (directory, fd) = stage();
        create_dir(directory.path().join("other")).unwrap();
        write(directory.path().join("other/file"), "untouched").unwrap();
        symlink("../other", directory.path().join("T/to-directory")).unwrap();
        symlink(directory.path().join("outside"), directory.path().join("T/a/to-file")).unwrap();
        symlink("..", directory.path().join("T/a/up")).unwrap();
        delete_stage(&directory, &fd, "T").unwrap();
        assert!(!directory.path().join("T").exists());
        for kept in ["outside", "other/file"] {
            assert_eq!(read(directory.path().join(kept)).unwrap(), b"untouched");
        }
    }

    #[test]
    fn a_link_is_no_directory() {
        let (directory, fd) = stage();
        symlink("T", directory.path().join("link")).unwrap();
        assert!(delete_stage(&directory, &fd, "link").is_err());
        assert!(directory.path().join("T/a/b/file").exists());
    }

    #[test]
    fn a_mount_is_told_from_a_directory_of_the_same_disk() {
        let (directory, fd) = stage();
        let [from, to] = ["T/a", "T/a/b"].map(|name| directory.path().join(name));
        let open = |path: &Path| OwnedFd::from(File::open(path).unwrap());
        assert!(is_same_mount(&fd, &open(&to)));
        let mount = |arguments: &[&OsStr]| Command::new("mount").args(arguments).status().unwrap().success();
        assert!(mount(&["--bind".as_ref(), from.as_ref(), to.as_ref()]), "this test has to be run by root");
        let [above, mounted] = [open(&from), open(&to)];
        let devices = [&above, &mounted].map(|directory| fstat(directory).unwrap().st_dev);
        let is_same = is_same_mount(&above, &mounted);
        let deleted = delete_stage(&directory, &fd, "T");
        drop(mounted);
        assert!(Command::new("umount").arg(&to).status().unwrap().success());
        assert_eq!((devices[0], is_same), (devices[1], false));
        assert!(deleted.unwrap_err().to_string().contains("something is mounted there"));
        assert!(to.join("file").exists(), "what is below the mount, and was mounted");
    }

    #[test]
    fn no_depth_is_too_deep() {
        let (directory, fd) = stage();
        let mut deep = OwnedFd::from(File::open(directory.path().join("T")).unwrap());
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
            deep = openat(&deep, "d", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        drop(deep);
        delete_stage(&directory, &fd, "T").unwrap();
        assert!(!directory.path().join("T").exists());
    }

    #[test]
    fn a_directory_that_has_taken_its_place_is_not_touched() {
        let (directory, fd) = stage();
        let last = File::open(directory.path().join("T/last")).unwrap();
        std::fs::rename(directory.path().join("T"), directory.path().join("moved")).unwrap();
        create_dir(directory.path().join("T")).unwrap();
        write(directory.path().join("T/last"), "").unwrap();
        write(directory.path().join("T/file"), "").unwrap();
        assert!(delete(&fd, "T", "last", &last).is_err());
        assert!(directory.path().join("T/file").exists());
    }
}
