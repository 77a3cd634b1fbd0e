//! The mark that every process of a program carries: a variable of its environment, which all that come of it inherit.
//!
//! `RUNINIT_PROGRAM=db@29116.1763732506123456789`: the program's name, and what no other run has. A runinit inside such a
//! program hands its own on and puts its programs' marks before it, so its programs are known to both.

use super::cgroup::Cgroups;
use super::processes::Process;
use super::{kernel_session, processes};
use crate::core::process::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::time::SystemTime;

/// The variable.
pub const NAME: &str = "RUNINIT_PROGRAM";
/// The most of an environment that is read: what exec takes (`MAX_ARG_STRLEN` and more, execve(2)).
const LONGEST_ENVIRONMENT: u64 = 2 << 20;

/// What the marks of one run have in common. The default is a run that marks nobody.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// After the `@`.
    run: String,
    /// The mark of the program that runinit itself belongs to.
    inherited: OsString,
    /// For those whose mark cannot be read.
    cgroups: Option<Cgroups>,
}

impl Marks {
    /// Those of this run.
    pub fn new(own: Pid) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let run = format!("{own}.{}", since.as_nanos());
        Self { run, inherited: std::env::var_os(NAME).unwrap_or_default(), cgroups: None }
    }

    /// Gives each program a cgroup besides, where that can be.
    ///
    /// # Errors
    /// For people: why it cannot.
    pub fn use_cgroups(&mut self, own: Pid) -> Result<(), String> {
        if !self.run.is_empty() {
            self.cgroups = Some(Cgroups::new(own, &self.run)?);
        }
        Ok(())
    }

    /// Those that were made.
    pub fn cgroups(&self) -> Option<&Cgroups> {
        self.cgroups.as_ref()
    }

    /// What no other run has.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The variable for a program of this name.
    pub fn variable(&self, program: &str) -> (OsString, OsString) {
        let mut value = OsString::from(format!("{program}@{}", self.run));
        if !self.inherited.is_empty() {
            value.push(" ");
            value.push(&self.inherited);
        }
        (NAME.into(), value)
    }

    /// The name of the program that a process carries the mark of, else of that in whose cgroup it is.
    pub(super) fn read(&self, process: &Process) -> Option<String> {
        // Reading it takes the same lock as the command line.
        let environment = if process.hangs() { None } else { self.read_environment(process.pid) };
        environment.or_else(|| self.cgroups.as_ref()?.name_of(process.pid))
    }

    /// The same of a number.
    pub fn program_of(&self, pid: Pid) -> Option<String> {
        self.read(&processes::read(pid.number())?)
    }

    /// `None`: none of this run, or its environment is closed to runinit (another user's, without `CAP_SYS_PTRACE`), or it
    /// has overwritten it, as some daemons do for their title.
    fn read_environment(&self, pid: Pid) -> Option<String> {
        if self.run.is_empty() {
            return None;
        }
        self.find(&environment(pid)?)
    }

    fn find(&self, environment: &[u8]) -> Option<String> {
        let mut names = marks(environment).filter_map(|mark| {
            let name = mark.strip_suffix(self.run.as_bytes())?.strip_suffix(b"@")?;
            String::from_utf8(name.to_vec()).ok()
        });
        names.next()
    }

    /// True if a run before this one has started this process as this program, and it leads its kernel session still.
    /// Whoever has got its number since is somebody else.
    pub fn is_left(&self, pid: Pid, program: &str) -> bool {
        let own = processes::own();
        own.is_some_and(processes::is_own_proc)
            && kernel_session::session_of(pid.number()) == Some(pid.number())
            && environment(pid).is_some_and(|environment| self.is_earlier(&environment, program))
    }

    /// True if it is left and its terminal is gone, of which only those are left who ignore SIGHUP.
    pub fn is_orphan(&self, pid: Pid, program: &str) -> bool {
        self.is_left(pid, program)
            && processes::read(pid.number()).is_some_and(|process| process.terminal == 0)
    }

    /// The first mark is that of who has started it.
    fn is_earlier(&self, environment: &[u8], program: &str) -> bool {
        let first = marks(environment).next();
        let run = first.and_then(|mark| mark.strip_prefix(program.as_bytes())?.strip_prefix(b"@"));
        run.is_some_and(|run| !run.is_empty() && run != self.run.as_bytes())
    }
}

fn environment(pid: Pid) -> Option<Vec<u8>> {
    let mut environment = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(LONGEST_ENVIRONMENT).read_to_end(&mut environment).ok()?;
    Some(environment)
}

/// All that a process carries. An environment is `NAME=value` strings, each with a NUL behind (proc(5)).
fn marks(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let variables = environment.split(|&byte| byte == 0);
    let mut values =
        variables.filter_map(|variable| variable.strip_prefix(NAME.as_bytes())?.strip_prefix(b"="));
    values.next().unwrap_or_default().split(|&byte| byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn environment(variable: (OsString, OsString)) -> Vec<u8> {
        let (name, value) = variable;
        [b"A=1\0", name.as_bytes(), b"=", value.as_bytes(), b"\0B=2\0"].concat()
    }

    fn marks(run: &str, inherited: &str) -> Marks {
        Marks { run: run.to_owned(), inherited: inherited.into(), cgroups: None }
    }

    #[test]
    fn a_mark_is_known_to_its_own_run_alone() {
        let environment = environment(marks("7.1", "").variable("db"));
        assert_eq!(marks("7.1", "").find(&environment).as_deref(), Some("db"));
        for other in ["7.12", "17.1", "1", ""] {
            assert_eq!(marks(other, "").find(&environment), None, "{other}");
        }
    }

    #[test]
    fn a_run_inside_a_program_is_known_to_both() {
        let outer = marks("7.1", "");
        let (_, inherited) = outer.variable("web");
        let inner = marks("9.2", inherited.to_str().unwrap());
        let environment = environment(inner.variable("db"));
        assert_eq!(inner.find(&environment).as_deref(), Some("db"));
        assert_eq!(outer.find(&environment).as_deref(), Some("web"));
    }

    #[test]
    fn what_is_left_is_of_its_program_and_of_another_run() {
        let own = marks("9.2", "");
        let of = |inherited: &str, program: &str| environment(marks("7.1", inherited).variable(program));
        assert!(own.is_earlier(&of("", "db"), "db"));
        assert!(own.is_earlier(&of("web@9.2", "db"), "db"));
        assert!(!own.is_earlier(&of("db@5.3", "web"), "db"), "the other is the one that it was started in");
        assert!(!own.is_earlier(&of("", "db2"), "db"));
        assert!(!own.is_earlier(&environment(own.variable("db")), "db"));
        assert!(!own.is_earlier(b"RUNINIT_PROGRAM=db@\0", "db"));
        assert!(!own.is_earlier(b"A=1\0", "db"));
    }

    #[test]
    fn an_environment_without_a_mark_is_nobodys() {
        for environment in [&b""[..], b"\0\0", b"RUNINIT_PROGRAMS=a@7.1\0", b"X=RUNINIT_PROGRAM=a@7.1\0"] {
            assert_eq!(marks("7.1", "").find(environment), None);
        }
    }
}
