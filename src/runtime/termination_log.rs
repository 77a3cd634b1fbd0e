//! The last line, for whoever asks why the container ended.

use crate::os::termination_log::{self, Found};
use log::Level;
use std::path::PathBuf;

/// Where Kubernetes puts the file, if nobody says otherwise (`terminationMessagePath`).
const KUBERNETES_PATH: &str = "/dev/termination-log";

/// A file that gets one line at the end, if it exists. It is there for the programs, too, so what they have written stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationLog {
    path: PathBuf,
    /// Somebody asked for it.
    asked: bool,
    /// As it was before anything was started.
    found: Option<Found>,
}

impl TerminationLog {
    /// The file that the configuration names.
    pub fn asked(path: PathBuf) -> Self {
        Self { path, asked: true, found: None }
    }

    /// The one that Kubernetes puts into every container.
    pub fn of_kubernetes() -> Self {
        Self { path: KUBERNETES_PATH.into(), asked: false, found: None }
    }

    /// Nobody has asked for it: it is for PID 1 alone.
    pub fn is_default(&self) -> bool {
        !self.asked
    }

    /// Looks at it before anything is started.
    pub(super) fn look(&mut self) {
        self.found = termination_log::look(&self.path);
    }

    /// Writes the line; what goes wrong is told, and changes nothing else.
    pub(super) fn write(&self, line: &str) {
        if let Err(error) = termination_log::write(&self.path, line, self.found) {
            let level = if self.asked { Level::Warn } else { Level::Debug };
            log::log!(level, "{}: cannot write the termination log: {error}", self.path.display());
        }
    }
}
