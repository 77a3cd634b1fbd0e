//! Keeping the record, which never changes anything else.

use super::leftovers;
use crate::core::Core;
use crate::core::budget::Moment;
use crate::os::record_file::{self, RecordFile};
use crate::record::{self, Clock, Last, LastLines, Phase};
use log::Level;
use std::io;
use std::path::{Path, PathBuf};

/// Where the record goes when nobody says so, as PID 1.
pub const DEFAULT_PATH: &str = "/run/runinit/shutdown_state.json";

/// Writes the record, if it is to be written.
#[derive(Debug)]
pub struct Recorder {
    path: Option<PathBuf>,
    /// A path that somebody asked for is worth an error line, the default one is not.
    level: Level,
    clock: Clock,
    file: Option<RecordFile>,
    /// The same trouble is told once.
    told: bool,
    /// The place has been looked at.
    begun: bool,
}

impl Recorder {
    /// A recorder for the path that was asked for, else the default one as PID 1, else none.
    pub fn new(asked: Option<PathBuf>, is_init: bool, clock: Clock) -> Self {
        let level = if asked.is_some() { Level::Error } else { Level::Debug };
        let path = asked.or_else(|| is_init.then(|| PathBuf::from(DEFAULT_PATH)));
        Self { path, level, clock, file: None, told: false, begun: false }
    }

    /// False if there is no place for it.
    pub fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Looks at what the last run left and locks the place. Tells what that was if that run was killed.
    pub(super) fn begin(&mut self) -> Option<Last> {
        if std::mem::replace(&mut self.begun, true) {
            return None;
        }
        let path = self.path.as_ref()?;
        let made = match path.parent() {
            Some(directory) if path == Path::new(DEFAULT_PATH) => std::fs::create_dir_all(directory),
            _ => Ok(()),
        };
        match made.and_then(|()| RecordFile::lock(path)) {
            Ok(file) => {
                self.file = Some(file);
                return last_run(path);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                log::error!(
                    "{}: another runinit keeps its record there; going on without one",
                    path.display()
                );
            }
            Err(error) => log::log!(self.level, "{}: no record is kept: {error}", path.display()),
        }
        None
    }

    /// Writes the record as it stands; the last one is on the disk when this returns.
    pub(super) fn write(&mut self, core: &Core, last_lines: &LastLines<'_>, now: Moment, is_last: bool) {
        if self.is_kept() {
            self.write_kept(core, last_lines, now, is_last);
        }
    }

    #[inline(never)]
    fn write_kept(&mut self, core: &Core, last_lines: &LastLines<'_>, now: Moment, is_last: bool) {
        if let Some(last) = self.begin() {
            leftovers::tell(&last);
        }
        let (Some(path), Some(file)) = (&self.path, &self.file) else { return };
        let json = record::build(core, last_lines, self.clock, now).to_json();
        match file.write(&json, is_last) {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                log::log!(self.level, "{}: cannot write the record: {error}", path.display());
            }
            Err(_) => {}
        }
    }
}

/// One that was stopped has left what even SIGKILL did not end, perhaps.
#[inline(never)]
fn last_run(path: &Path) -> Option<Last> {
    let last = record_file::read(path).ok().and_then(|json| record::last(&json))?;
    if last.phase != Phase::Stopped {
        log::warn!(
            "the last run was killed while {}: {} was never finished",
            last.phase.name(),
            path.display()
        );
    }
    Some(last)
}
