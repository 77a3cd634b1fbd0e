//! Where the socket is: the same rule for the side that answers and the side that asks.
//!
//! `--control` or `RUNINIT_CONTROL`, else `init.control_socket`, else one of the default places. A wrapper has no default
//! place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The first default place.
pub const DEFAULT: &str = "/run/runinit/control.sock";

/// Where the socket may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Somebody said so.
    Asked(PathBuf),
    /// Nobody did: the first of these that can be.
    Default(Vec<PathBuf>),
}

impl Address {
    /// The place that was asked for, or the default ones.
    pub fn new(asked: Option<PathBuf>, runtime_directory: Option<OsString>) -> Self {
        if let Some(path) = asked {
            return Self::Asked(path);
        }
        let own = runtime_directory.map(PathBuf::from).filter(|directory| directory.is_absolute());
        let own = own.map(|directory| directory.join("runinit/control.sock"));
        Self::Default(std::iter::once(PathBuf::from(DEFAULT)).chain(own).collect())
    }

    /// In the order in which they are tried.
    pub fn places(&self) -> &[PathBuf] {
        match self {
            Self::Asked(path) => std::slice::from_ref(path),
            Self::Default(places) => places,
        }
    }

    /// For people.
    pub fn describe(&self) -> String {
        let places: Vec<_> =
            self.places().iter().map(|place: &PathBuf| place.display().to_string()).collect();
        places.join(" or ")
    }

    /// True if nobody asked for this place, so that its directory is made.
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default(_))
    }

    /// The directory of a default place.
    pub fn directory(place: &Path) -> Option<&Path> {
        place.parent().filter(|parent| !parent.as_os_str().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_place_gets_no_other() {
        let address = Address::new(Some("/a".into()), Some("/run/user/7".into()));
        assert_eq!(address.places(), [PathBuf::from("/a")]);
    }

    #[test]
    fn the_user_s_own_directory_comes_second_and_has_to_be_absolute() {
        let places = |directory: Option<&str>| {
            let address = Address::new(None, directory.map(OsString::from));
            address.places().iter().map(|p| p.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(places(Some("/run/user/7")), [DEFAULT, "/run/user/7/runinit/control.sock"]);
        assert_eq!(places(Some("here")), [DEFAULT]);
        assert_eq!(places(None), [DEFAULT]);
    }
}
