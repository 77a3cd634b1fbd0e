//! The environment of a new program: runinit's own, and what is set over it.
//!
//! What is inherited is handed on as it is, string by string: a fleet is not to copy and sort it for every start.

use super::raw;
use crate::core::plan::Launch;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, NulError, OsStr, OsString};
use std::os::raw::c_char;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The variable that names the process for which sockets were opened (`sd_listen_fds(3)`).
const LISTEN_PID: &str = "LISTEN_PID";

/// A variable and its value.
pub type Variable = (OsString, OsString);

/// What exec needs, alive until the child has become the program.
pub(super) enum Environment {
    /// runinit's own, untouched.
    Inherited,
    /// Another one.
    Changed {
        /// `LISTEN_PID` with room for the new process's own number, which it writes itself.
        listen_pid: Option<Vec<u8>>,
        /// Those of runinit's own that are not set anew.
        inherited: Vec<&'static CStr>,
        set: Vec<CString>,
    },
}

impl Environment {
    /// That of a launch; `more` is set over what the launch sets.
    pub(super) fn new(launch: &Launch, more: &[Variable]) -> Result<Self, NulError> {
        let takes_sockets = takes_sockets(launch);
        if launch.env.is_empty() && more.is_empty() && !launch.clear_env && !takes_sockets {
            return Ok(Self::Inherited);
        }
        Self::changed(launch, more, takes_sockets)
    }

    #[inline(never)]
    fn changed(launch: &Launch, more: &[Variable], takes_sockets: bool) -> Result<Self, NulError> {
        let own = if launch.clear_env { Vec::new() } else { raw::variables() };
        let mut set: BTreeMap<&OsStr, &OsStr> = launch
            .env
            .iter()
            .chain(more)
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
            .collect();
        if takes_sockets {
            set.remove(OsStr::new(LISTEN_PID));
        }
        let is_set = |name: &OsStr| set.contains_key(name) || takes_sockets && name == LISTEN_PID;
        let inherited = own.into_iter().filter(|variable| !is_set(name_of(variable))).collect();
        let listen_pid =
            takes_sockets.then(|| [LISTEN_PID.as_bytes(), b"=", &[0; raw::NUMBER_ROOM]].concat());
        let pair = |(name, value): (&OsStr, &OsStr)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Ok(Self::Changed { listen_pid, inherited, set: set.into_iter().map(pair).collect::<Result<_, _>>()? })
    }

    /// As exec wants it, with a null pointer behind. `None`: runinit's own.
    pub(super) fn pointers(&self) -> Option<Vec<*const c_char>> {
        let Self::Changed { listen_pid, inherited, set } = self else { return None };
        let listen_pid = listen_pid.iter().map(|variable| variable.as_ptr().cast());
        let inherited = inherited.iter().map(|variable| variable.as_ptr());
        let set = set.iter().map(|variable| variable.as_ptr());
        Some(listen_pid.chain(inherited).chain(set).chain([ptr::null()]).collect())
    }

    /// Where the new process writes its own number; null: nowhere.
    pub(super) fn own_number(&mut self) -> *mut u8 {
        match self {
            Self::Changed { listen_pid: Some(variable), .. } => variable[LISTEN_PID.len() + 1..].as_mut_ptr(),
            Self::Changed { listen_pid: None, .. } | Self::Inherited => ptr::null_mut(),
        }
    }
}

/// Where the commands of a launch are looked for.
pub(super) fn search_path(launch: &Launch) -> Option<OsString> {
    let set = launch.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    set.or_else(|| std::env::var_os("PATH").filter(|_| !launch.clear_env))
}

/// True if sockets were opened for runinit, and this program is to have them.
fn takes_sockets(launch: &Launch) -> bool {
    let is_own = |pid: String| pid == std::process::id().to_string();
    launch.takes_sockets && std::env::var(LISTEN_PID).is_ok_and(is_own)
}

/// A string without `=` is its own name; nobody can set it, so it is handed on.
fn name_of(variable: &CStr) -> &OsStr {
    let bytes = variable.to_bytes();
    OsStr::from_bytes(bytes.split(|&byte| byte == b'=').next().unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strings that exec would get. `None`: runinit's own.
    fn strings(launch: &Launch, more: &[Variable]) -> Option<Vec<String>> {
        match Environment::new(launch, more).unwrap() {
            Environment::Inherited => None,
            Environment::Changed { inherited, set, .. } => {
                let own = inherited.into_iter().map(CStr::to_owned);
                Some(own.chain(set).map(|variable| variable.into_string().unwrap()).collect())
            }
        }
    }

    fn variable(name: &str, value: &str) -> Variable {
        (name.into(), value.into())
    }

    #[test]
    fn it_is_untouched_unless_something_is_set() {
        assert_eq!(strings(&Launch::default(), &[]), None);
    }

    #[test]
    fn the_last_value_counts_and_what_runinit_sets_comes_last() {
        let env = vec![variable("A", "1"), variable("A", "2"), variable("MARK", "forged")];
        let launch = Launch { clear_env: true, env, ..Launch::default() };
        let set = strings(&launch, &[variable("MARK", "true")]);
        assert_eq!(set.unwrap(), ["A=2", "MARK=true"]);
    }

    #[test]
    fn what_is_inherited_stays_as_it_was_beside_what_is_set() {
        let own: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        let is_path = |variable: &str| variable.starts_with("PATH=");
        assert!(own.iter().any(|variable| is_path(variable)), "{own:?}");
        let more = [variable("PATH", "/nowhere"), variable("PAT", "1")];
        let mut expected: Vec<String> = own.into_iter().filter(|variable| !is_path(variable)).collect();
        expected.extend(["PAT=1".to_owned(), "PATH=/nowhere".to_owned()]);
        assert_eq!(strings(&Launch::default(), &more).unwrap(), expected);
    }

    #[test]
    fn commands_are_looked_for_where_the_launch_says() {
        let env = vec![variable("PATH", "/a"), variable("PATH", "/b")];
        assert_eq!(search_path(&Launch { env, ..Launch::default() }), Some("/b".into()));
        assert_eq!(search_path(&Launch::default()), std::env::var_os("PATH"));
        assert_eq!(search_path(&Launch { clear_env: true, ..Launch::default() }), None);
    }
}
