//! The configuration: from the text of a TOML file to a fleet, or to everything that is wrong with it.
//!
//! The file is read into a table that knows where each key and value stands, and walked once. A decoder that meets
//! something wrong reports it and goes on, so that one look shows every error. Nothing starts from a file with one.
//!
//! | key                        | type                                                                            |
//! |----------------------------|---------------------------------------------------------------------------------|
//! | a duration                 | `"500ms"`, `"2s"`, `"1m30s"`, at most 3650 days                                 |
//! | a size                     | `"4096"`, `"512KB"`, `"10MB"`, `"1GB"`, in powers of 1000                        |
//! | a signal                   | `"SIGTERM"`, `"TERM"`, `"15"`, `15`, `"SIGRTMIN+3"`                              |
//! | a command                  | an array of strings, the first one not empty                                    |
//! | a user, a group            | a name, or a number with or without quotes                                      |
//! | `env_file`                 | a path; a relative one starts at the configuration's directory                  |
//! | every other path           | as it is written; a relative one starts at runinit's working directory          |
//!
//! `[defaults]` stands in for each key that a program does not set. A value is replaced whole, never merged: a program
//! with an `env` of its own gets nothing of the default `env`. What a program cannot have is not for it: a oneshot takes no
//! default `ready`, `health` or `restart = "always"`, one in tmux no default `output`.

mod accounts;
mod confinement;
mod diagnostic;
mod env_file;
mod fleet;
mod graph;
mod hygiene;
mod identity;
pub(crate) mod nearest;
mod one;
mod output;
mod program;
mod reader;
mod report;
mod signal;
mod stop;
mod supervision;
#[cfg(test)]
mod tests;
mod text;
mod tmux;
mod value;

pub use diagnostic::{Diagnostic, Position};
pub use one::read_one;
pub(crate) use signal::signal_named;
pub use tmux::server as tmux_server;

use crate::core::budget::Budget;
use crate::core::hygiene::Hygiene;
use crate::core::plan::{Program, Tmux};
use crate::core::signal::Signal;
use report::Report;
use std::path::{Path, PathBuf};

/// Where the users and groups are.
const ETC: &str = "/etc";

/// A configuration without an error in it.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// runinit itself.
    pub init: Init,
    /// The whole shutdown's time, if the file sets it.
    pub budget: Option<Budget>,
    /// In the order of the file. At most one is the main program.
    pub programs: Vec<Program>,
    /// How agents live in tmux.
    pub tmux: Tmux,
    /// What is cleaned up behind agents.
    pub hygiene: Option<Hygiene>,
}

/// What the configuration says about runinit itself.
#[derive(Clone, Debug, Default)]
pub struct Init {
    /// Where the record goes.
    pub state_file: Option<PathBuf>,
    /// Where the last line goes.
    pub termination_log: Option<PathBuf>,
    /// Where the control socket is.
    pub control_socket: Option<PathBuf>,
    /// The signal that has the file read again.
    pub reload_signal: Option<Signal>,
}

/// Where the main program's command comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainCommand {
    /// The file, which has to name at least one program.
    InFile,
    /// The command line. The file may then do without programs, and its main program without a command. If it has no
    /// main program, one named `main` comes last, made of the defaults. So there always is one, and its `argv` is for the
    /// caller to replace; it is empty where the file has none.
    Given,
    /// Nobody wants to run it now. The file may do without, as above, and nothing is added to it.
    NotNeeded,
}

/// When a configuration is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Before anything runs. It may be a pipe, which is read to its end: `--config <(generate)`.
    #[default]
    AtStart,
    /// In the middle of a run, where nothing may wait: it and what it names are regular files, or an error.
    Running,
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path, main: MainCommand, reading: Reading) -> Result<Fleet, Vec<Diagnostic>> {
    match text::read(path, reading) {
        Ok(text) => parse_with(Report::new(path, &text, reading), main, Path::new(ETC)),
        Err(unreadable) => Err(vec![unreadable.diagnostic(path)]),
    }
}

/// Reads the text of a configuration in the middle of a run. The name is for the diagnostics, and a relative `env_file`
/// starts beside it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn parse(file_name: &Path, text: &str, main: MainCommand) -> Result<Fleet, Vec<Diagnostic>> {
    parse_with(Report::new(file_name, text, Reading::Running), main, Path::new(ETC))
}

/// Where a configuration says that the control socket is, if it does; nothing else in it is looked at.
///
/// # Errors
/// It cannot be read, or not well enough to know that.
pub fn control_socket(path: &Path) -> Result<Option<PathBuf>, Vec<Diagnostic>> {
    let text = text::read(path, Reading::AtStart).map_err(|unreadable| vec![unreadable.diagnostic(path)])?;
    let report = Report::new(path, &text, Reading::AtStart);
    let socket = fleet::control_socket(&report);
    let found = report.finish();
    if found.is_empty() { Ok(socket) } else { Err(found) }
}

fn parse_with(report: Report<'_>, main: MainCommand, etc: &Path) -> Result<Fleet, Vec<Diagnostic>> {
    let fleet = fleet::read(&report, main, etc);
    let found = report.finish();
    if found.is_empty() { Ok(fleet) } else { Err(found) }
}
