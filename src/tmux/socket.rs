//! Which tmux server.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A tmux server, by its socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Socket {
    /// A name in tmux's own directory (`tmux -L`).
    Name(String),
    /// A path (`tmux -S`).
    Path(PathBuf),
}

impl Socket {
    /// The name of everybody's own server.
    pub const DEFAULT: &str = "default";
    /// The name of the server that runinit starts, if nobody says otherwise.
    pub const PRIVATE: &str = "runinit";

    /// As it is written in a configuration: what has a slash is a path.
    pub fn parse(text: &str) -> Self {
        if text.contains('/') { Self::Path(text.into()) } else { Self::Name(text.to_owned()) }
    }

    /// The arguments that name it.
    pub fn arguments(&self) -> [OsString; 2] {
        match self {
            Self::Name(name) => ["-L".into(), name.into()],
            Self::Path(path) => ["-S".into(), path.into()],
        }
    }

    /// True if runinit starts the server and ends it. The default server is the user's, and a path may be that of anybody's.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Name(name) if name != Self::DEFAULT)
    }

    /// Where it is. `directory`: `TMUX_TMPDIR`, if that is set.
    pub fn path(&self, directory: Option<&Path>, uid: u32) -> PathBuf {
        match self {
            Self::Name(name) => directory.unwrap_or(Path::new("/tmp")).join(format!("tmux-{uid}")).join(name),
            Self::Path(path) => path.clone(),
        }
    }
}

/// As [`Socket::parse`] takes it.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_of_its_own_is_private() {
        for (text, is_private) in [("runinit", true), ("default", false), ("/run/t", false), ("./t", false)] {
            assert_eq!(Socket::parse(text).is_private(), is_private, "{text}");
            assert_eq!(Socket::parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_name_is_in_tmuxs_own_directory() {
        let socket = Socket::parse("runinit");
        assert_eq!(socket.path(None, 7), Path::new("/tmp/tmux-7/runinit"));
        assert_eq!(socket.path(Some(Path::new("/run")), 0), Path::new("/run/tmux-0/runinit"));
    }
}
