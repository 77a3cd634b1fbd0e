//! The inits: ours, and the ones it is measured against.

use super::{HANG, PATIENCE};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An init that runs one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)] // dumb-init is called that
pub(crate) enum Init {
    Runinit,
    Tini,
    TiniStatic,
    DumbInit,
    Catatonit,
    /// runinit under another's name.
    RuninitAs(Name),
}

/// A name that runinit can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Tini,
    DumbInit,
    Catatonit,
}

impl Name {
    /// The program whose name it is.
    pub(crate) const fn real(self) -> Init {
        match self {
            Self::Tini => Init::Tini,
            Self::DumbInit => Init::DumbInit,
            Self::Catatonit => Init::Catatonit,
        }
    }
}

/// What is asked of an init, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Signals go to the program's group; this init reaps below PID 1, too.
    Group,
    /// Signals go to the program alone.
    Single,
    /// As for a group, and it says on standard error whatever it can say.
    Verbose,
}

/// Words of a command line.
pub(crate) fn words<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Vec<OsString> {
    words.into_iter().map(Into::into).collect()
}

/// The program that says what it was given. Cargo builds examples along with tests, into a directory beside this
/// executable's own.
pub(crate) fn probe() -> Result<String, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = own.parent().and_then(Path::parent).ok_or("this test lies in no target directory")?;
    let probe = target.join("examples/probe");
    if probe.exists() {
        Ok(probe.display().to_string())
    } else {
        let release = if target.ends_with("release") { " --release" } else { "" };
        Err(format!("{} is missing: cargo build --example probe{release}", probe.display()))
    }
}

/// A command line of runinit's own.
pub(crate) fn runinit(options: &[&str], command: &[&str]) -> Vec<OsString> {
    let mut all = words([env!("CARGO_BIN_EXE_runinit")]);
    all.extend(words(options.iter().copied()));
    if !command.is_empty() {
        all.extend(words(["--"]));
        all.extend(words(command.iter().copied()));
    }
    all
}

impl Init {
    pub(crate) const ALL: [Self; 5] =
        [Self::Runinit, Self::Tini, Self::TiniStatic, Self::DumbInit, Self::Catatonit];

    /// How long to wait for what a peer may never do.
    pub(crate) fn patience(self) -> Duration {
        if self.is_runinit() { PATIENCE } else { HANG }
    }

    /// True for runinit, under whatever name.
    pub(crate) const fn is_runinit(self) -> bool {
        matches!(self, Self::Runinit | Self::RuninitAs(_))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Runinit => "runinit",
            Self::Tini => "tini",
            Self::TiniStatic => "tini-static",
            Self::DumbInit => "dumb-init",
            Self::Catatonit => "catatonit",
            Self::RuninitAs(name) => name.real().name(),
        }
    }

    /// Where it is, or that it is missing.
    pub(crate) fn path(self) -> Result<PathBuf, String> {
        if self == Self::Runinit {
            return Ok(env!("CARGO_BIN_EXE_runinit").into());
        }
        if let Self::RuninitAs(name) = self {
            return link(name.real().name());
        }
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&paths).map(|dir| dir.join(self.name())).find(|file| file.exists());
        found.ok_or_else(|| format!("{} is missing: apt-get install tini dumb-init catatonit", self.name()))
    }

    /// Its command line up to the program's.
    pub(crate) fn words(self, how: How) -> Result<Vec<OsString>, String> {
        let options: &[&str] = match (self, how) {
            (Self::Runinit | Self::DumbInit, How::Group) | (Self::Catatonit, How::Single) => &[],
            (Self::Runinit | Self::DumbInit, How::Single) => &["--single-child"],
            (Self::Runinit, How::Verbose) => &["-vvv"],
            (Self::Tini | Self::TiniStatic, How::Group) => &["-s", "-g"],
            (Self::Tini | Self::TiniStatic, How::Single) => &["-s"],
            (Self::Tini | Self::TiniStatic, How::Verbose) => &["-s", "-g", "-vvv"],
            (Self::DumbInit, How::Verbose) => &["-v"],
            (Self::Catatonit, How::Group | How::Verbose) => &["-g"],
            (Self::RuninitAs(name), how) => {
                let mut all = name.real().words(how)?;
                all[0] = self.path()?.into();
                return Ok(all);
            }
        };
        let mut all = words([self.path()?]);
        all.extend(words(options.iter().copied()));
        all.extend(words(["--"]));
        Ok(all)
    }
}

/// A link to runinit of this name, beside it.
fn link(name: &str) -> Result<PathBuf, String> {
    let runinit = Path::new(env!("CARGO_BIN_EXE_runinit"));
    let dir = runinit.with_file_name("names");
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    match std::os::unix::fs::symlink(runinit, dir.join(name)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.to_string()),
        _ => Ok(dir.join(name)),
    }
}
