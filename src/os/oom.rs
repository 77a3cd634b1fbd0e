//! How often the kernel has killed something here for want of memory, by the cgroup's own count.

use std::path::{Path, PathBuf};

/// The count of the cgroup that this process is in; `None` where it cannot be read.
pub fn kills() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    kills_in(Path::new("/sys/fs/cgroup"), &own)
}

/// Version 2 counts in `memory.events`, version 1 in `memory.oom_control` (since Linux 4.13).
fn kills_in(root: &Path, own: &str) -> Option<u64> {
    let files = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        match controllers {
            "" => Some((root.to_owned(), path, "memory.events")),
            _ if controllers.split(',').any(|c| c == "memory") => {
                Some((root.join("memory"), path, "memory.oom_control"))
            }
            _ => None,
        }
    });
    // In a container the path may be that of the host, while the mount shows the container's own cgroup at its top.
    let places = files.flat_map(|(mount, path, file)| -> [PathBuf; 2] {
        [mount.join(path.trim_start_matches('/')).join(file), mount.join(file)]
    });
    let count = |place: PathBuf| {
        let text = std::fs::read_to_string(place).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    };
    places.into_iter().find_map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn both_versions_count() {
        let two = tree(&[("pod/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n")]);
        assert_eq!(kills_in(two.path(), "0::/pod\n"), Some(2));
        let one = tree(&[("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n")]);
        assert_eq!(kills_in(one.path(), "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n"), Some(7));
        assert_eq!(kills_in(two.path(), "0::/elsewhere\n"), None);
        assert_eq!(kills_in(two.path(), ""), None);
    }
}
