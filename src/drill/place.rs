//! A directory of the drill's own, which goes with it.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Names that are tried.
const TRIES: u32 = 100;

/// The directory. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> Result<Self, String> {
        let base = std::env::temp_dir();
        for number in 0..TRIES {
            let directory = base.join(format!("runinit-drill-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self(directory)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("{}: {error}", directory.display())),
            }
        }
        Err(format!("{}: no name is free for the drill's directory", base.display()))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    /// Where the fleet's record goes.
    pub(super) fn record(&self) -> PathBuf {
        self.0.join("shutdown_state.json")
    }

    /// Where the fleet listens.
    pub(super) fn control(&self) -> PathBuf {
        self.0.join("control.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
