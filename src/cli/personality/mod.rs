//! Other inits, by name: started as `tini`, `docker-init`, `dumb-init` or `catatonit`, by a link or a copy, runinit takes
//! that program's options and environment and behaves as it does.
//!
//! A personality is a file with three things: its options (`getopt::Grammar`), the [`Run`] they make, and a
//! [`Narrator`](crate::runtime::Narrator) that says in its words what happens. What all of them share is
//! `modest`: they wait for one program, never kill, keep no record and leave whoever is left to the kernel. Another one
//! is another file and a line in [`named`].

mod catatonit;
mod dumb_init;
mod getopt;
mod tini;

use super::options::Environment;
use super::plan::{Manner, Run};
use crate::core::budget::Budget;
use crate::core::plan::{End, Launch, Plan, Program};
use crate::os::log_sink::LogSink;
use crate::runtime::LetsGo;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

/// How a personality was called.
pub struct Call<'a> {
    /// `argv[0]`.
    pub name: OsString,
    /// The other arguments.
    pub words: Vec<OsString>,
    /// Looks up an environment variable.
    pub environment: &'a Environment<'a>,
}

/// What a personality says instead of running anything.
#[derive(Debug)]
pub struct Answer {
    text: String,
    is_error_output: bool,
    code: u8,
}

/// From a command line to a run.
pub type Personality = fn(&Call<'_>) -> Result<Run, Answer>;

/// Whose name this is, if it is one of theirs.
pub fn named(name: &OsStr) -> Option<Personality> {
    match Path::new(name).file_name()?.to_str()? {
        "tini" | "tini-static" | "docker-init" => Some(tini::read),
        "dumb-init" => Some(dumb_init::read),
        // Podman starts its init under that name, and catatonit is what it starts.
        "catatonit" | "podman-init" => Some(catatonit::read),
        _ => None,
    }
}

impl Answer {
    fn output(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error_output: false, code: 0 }
    }

    fn error(text: impl Into<String>, code: u8) -> Self {
        Self { text: text.into(), is_error_output: true, code }
    }

    /// Says it, and returns the exit code.
    pub fn give(self) -> u8 {
        // Nobody is left to tell that it could not be told. Standard error may be full and without a reader.
        let _ = if self.is_error_output {
            LogSink::stderr().write_all(self.text.as_bytes())
        } else {
            std::io::stdout().write_all(self.text.as_bytes())
        };
        self.code
    }
}

/// What runinit does with itself under another's name: as little as possible.
const MODEST: Manner = Manner {
    subreaper: false,
    parent_death_signal: None,
    keeps_record: false,
    terminal_is_stdin: true,
    lets_go: LetsGo { directory: false, descriptors: false },
    refused: 1,
};

/// Waits for one program, or for none, and never kills.
fn modest(launch: Option<Launch>) -> Plan {
    let main = |launch| Program { main: true, ..Program::new("main", launch) };
    Plan {
        stops_on: Vec::new(),
        end: End::Leave(None),
        ..Plan::new(launch.map(main).into_iter().collect(), Budget::Forever)
    }
}

/// The program's name as it was called, for messages.
fn shown(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_decides_whom_a_name_means() {
        for name in ["tini", "/sbin/docker-init", "./dumb-init", "/usr/bin/catatonit", "/run/podman-init"] {
            assert!(named(OsStr::new(name)).is_some(), "{name}");
        }
        for name in ["", "/", "runinit", "tini2", "/tini/runinit", "init"] {
            assert!(named(OsStr::new(name)).is_none(), "{name}");
        }
    }
}
