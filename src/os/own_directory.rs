//! A directory of one's own, which nobody else can look into and which goes with its owner.

use std::fs::DirBuilder;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Names that are tried.
const TRIES: u32 = 100;

/// The directory. Dropping it removes it, with all that is in it.
#[derive(Debug)]
pub struct OwnDirectory(PathBuf);

impl OwnDirectory {
    /// Makes one where temporary files are, of a name that begins so.
    ///
    /// # Errors
    /// Which directory cannot be made.
    pub fn new(prefix: &str) -> Result<Self> {
        let base = std::env::temp_dir();
        let named = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        for number in 0..TRIES {
            let directory = base.join(format!("{prefix}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self(directory)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::new(error.kind(), named(&directory, &error))),
            }
        }
        Err(Error::other(named(&base, &"no name is free for a directory")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_nobody_elses_and_goes_with_its_owner() {
        let [one, two] = [(); 2].map(|()| OwnDirectory::new("runinit-test").unwrap());
        assert_ne!(one.path(), two.path());
        assert_eq!(std::fs::metadata(one.path()).unwrap().permissions().mode() & 0o7777, 0o700);
        std::fs::write(one.path().join("file"), "").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists());
    }
}
