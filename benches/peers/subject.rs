//! Who takes part, and how each is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::context::Result;
use crate::launch::Place;
use crate::supervisor;

/// The peer that the memory goals are measured against.
pub(crate) const SMALLEST_PEER: &str = "tini-static";

/// What a row stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    Peer,
    /// The program without any init: what the machine itself costs.
    Baseline,
}

/// Something that can be put before a program: an init, or nothing.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// The init's words below PID 1 and as PID 1; the program's follow. Empty: no init.
    below: Vec<OsString>,
    first: Vec<OsString>,
}

impl Subject {
    fn new(name: &'static str, role: Role, program: &Path, below: &[&str], first: &[&str]) -> Self {
        let words = |options: &[&str]| {
            let options = options.iter().map(OsString::from);
            std::iter::once(program.as_os_str().to_owned()).chain(options).collect()
        };
        Self { name, role, below: words(below), first: words(first) }
    }

    /// The program alone.
    fn nothing() -> Self {
        Self { name: "(no init)", role: Role::Baseline, below: Vec::new(), first: Vec::new() }
    }

    /// The init's binary; none for the program alone.
    pub(crate) fn binary(&self) -> Option<&Path> {
        self.below.first().map(Path::new)
    }

    /// The whole command line that runs `program` under this init.
    pub(crate) fn command(&self, place: Place, program: &[OsString]) -> Vec<OsString> {
        let own = match place {
            Place::Below => &self.below,
            Place::First | Place::FirstReadOnly => &self.first,
        };
        own.iter().chain(program).cloned().collect()
    }
}

/// runinit, every installed peer and the baseline; and the peers that are not installed.
///
/// tini gets `-s` below PID 1, where the others make themselves subreapers (or, dumb-init, cannot) without a flag:
/// without it it spends its time on a warning.
pub(crate) fn find(runinit: &Path) -> Result<(Vec<Subject>, Vec<&'static str>)> {
    if !runinit.is_file() {
        return Err(format!("there is no runinit at {}", runinit.display()));
    }
    let mut subjects = vec![Subject::new("runinit", Role::Ours, runinit, &["--"], &["--"])];
    let mut missing = Vec::new();
    let peers: [(&str, &[&str], &[&str]); 4] = [
        (SMALLEST_PEER, &["-s", "--"], &["--"]),
        ("tini", &["-s", "--"], &["--"]),
        ("dumb-init", &["--"], &["--"]),
        ("catatonit", &["--"], &["--"]),
    ];
    for (name, below, first) in peers {
        match in_path(name) {
            Some(program) => subjects.push(Subject::new(name, Role::Peer, &program, below, first)),
            None => missing.push(name),
        }
    }
    missing.extend(supervisor::missing());
    subjects.push(Subject::nothing());
    Ok((subjects, missing))
}

/// Looks a program up, so that nobody pays for a search in what is measured.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
