//! A cgroup for each program of a fleet, where one was delegated to runinit (cgroups(7), cgroup v2).
//!
//! Nobody leaves a cgroup by leaving a group, a session, a parent or an environment, so it tells of those whose mark cannot
//! be read. Nothing else depends on it: where there is none, the mark has to do.

use super::{pids, raw};
use crate::core::process::Pid;
use std::fs::{self, File, read_to_string};
use std::path::{Path, PathBuf};

/// What says that a cgroup is its holder's own (systemd's documentation of delegation).
const DELEGATED: [&std::ffi::CStr; 2] = [c"trusted.delegate", c"user.delegate"];

/// The cgroups of one run.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// Holds a directory for each program.
    directory: PathBuf,
    /// The same as /proc/PID/cgroup has it, with a slash behind.
    path: String,
}

impl Cgroups {
    /// Makes room for them in runinit's own cgroup.
    ///
    /// # Errors
    /// For people: why there are none.
    #[inline(never)]
    pub fn new(own: Pid, run: &str) -> Result<Self, String> {
        let (cgroup, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let found = unified(&cgroup)
            .and_then(|path| Some((path, pids::in_mount("cgroup2", path, &mounts, |_| true)?)));
        let (path, (_, own_directory)) = found.ok_or("no cgroup v2 is mounted")?;
        if !is_delegated(own, path, &own_directory) {
            return Err(format!("{} was not delegated", own_directory.display()));
        }
        let name = format!("runinit-{run}");
        let directory = own_directory.join(&name);
        fs::create_dir(&directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        Ok(Self { directory, path: format!("{}/{name}/", path.trim_end_matches('/')) })
    }

    /// Where a new process of this program writes itself into its cgroup. `None`: it stays in runinit's.
    pub fn entrance(&self, program: &str) -> Option<File> {
        let directory = self.directory.join(program);
        // It may be there from the last start.
        let _ = fs::create_dir(&directory);
        File::options().write(true).open(directory.join("cgroup.procs")).ok()
    }

    /// The name of the program in whose cgroup a process is, or in one below.
    pub fn name_of(&self, pid: Pid) -> Option<String> {
        self.find(&read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
    }

    fn find(&self, cgroup: &str) -> Option<String> {
        let below = unified(cgroup)?.strip_prefix(&self.path)?;
        below.split('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// Removes that of a program, if nobody is in it.
    pub fn remove_of(&self, program: &str) {
        remove(&self.directory.join(program));
    }

    /// Removes those that are empty. Others stay, as those of a run that was killed do; they harm nobody.
    pub fn remove(&self) {
        remove(&self.directory);
    }
}

/// The path in the one hierarchy of version 2.
fn unified(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Only what is said to be runinit's may be changed; a container of its own says so without words.
fn is_delegated(own: Pid, path: &str, directory: &Path) -> bool {
    // The root of the machine has no such file (cgroups(7)), that of a namespace has it.
    let is_namespace = || path == "/" && own.number() == 1 && directory.join("cgroup.events").exists();
    DELEGATED.iter().any(|name| raw::attribute_is(directory, name, b"1")) || is_namespace()
}

/// Files in there are the kernel's; a cgroup goes when those below it have gone (rmdir(2), EBUSY).
fn remove(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

fn read(path: &str) -> String {
    read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_of_the_program_whose_cgroup_is_above_it() {
        let cgroups = Cgroups { directory: PathBuf::new(), path: "/box/runinit-7.1/".to_owned() };
        let found = |path: &str| cgroups.find(&format!("4:memory:/else\n0::{path}\n"));
        assert_eq!(found("/box/runinit-7.1/db").as_deref(), Some("db"));
        assert_eq!(found("/box/runinit-7.1/web/runinit-9.2/db").as_deref(), Some("web"));
        for path in ["/box", "/box/runinit-7.12/db", "/runinit-7.1/db", "/box/runinit-7.1/"] {
            assert_eq!(found(path), None, "{path}");
        }
        assert_eq!(cgroups.find("4:memory:/box/runinit-7.1/db\n"), None);
    }

    #[test]
    fn what_nobody_has_delegated_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_delegated(Pid::new(1).unwrap(), "/", directory.path()));
        fs::write(directory.path().join("cgroup.events"), "").unwrap();
        assert!(is_delegated(Pid::new(1).unwrap(), "/", directory.path()));
        assert!(!is_delegated(Pid::new(2).unwrap(), "/", directory.path()));
        assert!(!is_delegated(Pid::new(1).unwrap(), "/box", directory.path()));
    }
}
