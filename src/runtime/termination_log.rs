//! The last line, for whoever asks why the container ended.

use crate::os::termination_log;
use log::Level;
use std::path::PathBuf;

/// Where Kubernetes puts the file, if nobody says otherwise (`terminationMessagePath`).
const KUBERNETES_PATH: &str = "/dev/termination-log";

/// A file that gets one line at the end, if it exists.
#[derive(Clone, Debug)]
pub struct TerminationLog {
    path: PathBuf,
    /// Somebody asked for it.
    asked: bool,
}

impl TerminationLog {
    /// The file that the configuration names.
    pub fn asked(path: PathBuf) -> Self {
        Self { path, asked: true }
    }

    /// The one that Kubernetes puts into every container. It is there for the program, too, so what that has written
    /// stands.
    pub fn of_kubernetes() -> Self {
        Self { path: KUBERNETES_PATH.into(), asked: false }
    }

    /// Nobody has asked for it: it is for PID 1 alone.
    pub fn is_default(&self) -> bool {
        !self.asked
    }

    /// Writes the line; what goes wrong is told, and changes nothing else.
    pub(super) fn write(&self, line: &str) {
        if let Err(error) = termination_log::write(&self.path, line, self.is_default()) {
            let level = if self.asked { Level::Warn } else { Level::Debug };
            log::log!(level, "{}: cannot write the termination log: {error}", self.path.display());
        }
    }
}
