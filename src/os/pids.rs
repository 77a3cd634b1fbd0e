//! How many processes and threads runinit's cgroup holds, and how many it may (the pids controller, cgroups(7)).

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Deeper trees of cgroups are nobody's.
const DEPTH: usize = 16;

/// What a cgroup with a limit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Where the limit is (`pids.max`).
    pub directory: PathBuf,
    /// Processes and threads.
    pub current: u64,
    /// As many as it may hold.
    pub max: u64,
}

impl Count {
    /// True from this part of the limit on.
    pub fn is_at_least(&self, percent: u64) -> bool {
        u128::from(self.current) * 100 >= u128::from(self.max) * u128::from(percent)
    }
}

/// The cgroups that may hold a limit: runinit's own and those above it, as far as they can be seen.
pub fn directories() -> Vec<PathBuf> {
    let read = |path| read_to_string(path).unwrap_or_default();
    let Some((mount, own)) = place(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo")) else {
        return Vec::new();
    };
    let up = own.ancestors().take(DEPTH).take_while(|directory| directory.starts_with(&mount));
    up.filter(|directory| directory.join("pids.max").exists()).map(Path::to_owned).collect()
}

/// Of the limits there are, the one that is nearest.
#[inline(never)]
pub fn count(directories: &[PathBuf]) -> Option<Count> {
    let number = |path: PathBuf| read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let counts = directories.iter().filter_map(|directory| {
        // "max" is no number, and no limit.
        let max = number(directory.join("pids.max")).filter(|max| *max > 0)?;
        Some(Count { directory: directory.clone(), current: number(directory.join("pids.current"))?, max })
    });
    counts.min_by_key(|count| u128::from(count.max) * 1_000_000 / u128::from(count.current.max(1)))
}

/// Where the hierarchy with the pids controller is mounted, and runinit's own cgroup below it.
fn place(cgroup: &str, mountinfo: &str) -> Option<(PathBuf, PathBuf)> {
    let lines = || {
        cgroup.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        })
    };
    let has_pids = |controllers: &str| controllers.split(',').any(|name| name == "pids");
    let v1 = lines().find(|(controllers, _)| has_pids(controllers)).map(|(_, path)| ("cgroup", path));
    let v2 = || lines().find(|(controllers, _)| controllers.is_empty()).map(|(_, path)| ("cgroup2", path));
    let (kind, path) = v1.or_else(v2)?;
    in_mount(kind, path, mountinfo, has_pids)
}

/// Where a hierarchy of this kind is mounted, and a cgroup below it. In version 1 there are several, with these options.
pub(super) fn in_mount(
    kind: &str,
    path: &str,
    mountinfo: &str,
    is_with: impl Fn(&str) -> bool,
) -> Option<(PathBuf, PathBuf)> {
    let (root, mount) = mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut of_mount = right.split(' ');
        let is_kind = of_mount.next()? == kind;
        let is_it = is_kind && (kind == "cgroup2" || is_with(of_mount.nth(1)?));
        let mut fields = left.split(' ').skip(3);
        Some((fields.next()?, fields.next()?)).filter(|_| is_it)
    })?;
    // A container without a cgroup namespace sees its own cgroup as the root of the mount.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    Some((mount.into(), Path::new(mount).join(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn its_own_cgroup_is_found_in_either_version() {
        let place = |cgroup: &str| place(cgroup, MOUNTS).map(|(_, own)| own.display().to_string());
        assert_eq!(place("3:pids:/a/b\n0::/\n").as_deref(), Some("/sys/fs/cgroup/pids/a/b"));
        assert_eq!(place("3:cpu:/\n0::/x.slice\n").as_deref(), Some("/sys/fs/cgroup/unified/x.slice"));
        assert_eq!(place(""), None);
    }

    #[test]
    fn without_a_namespace_the_mount_itself_is_the_containers() {
        let mounts = "39 31 0:36 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let found = place("0::/docker/abc\n", mounts).unwrap();
        assert_eq!(found, ("/sys/fs/cgroup".into(), "/sys/fs/cgroup".into()));
    }

    #[test]
    fn the_nearest_limit_counts_and_max_is_none() {
        let top = tempfile::tempdir().unwrap();
        let directories: Vec<PathBuf> = [("a", "90", "100"), ("b", "50", "51"), ("c", "7", "max")]
            .into_iter()
            .map(|(name, current, max)| {
                let directory = top.path().join(name);
                std::fs::create_dir(&directory).unwrap();
                std::fs::write(directory.join("pids.current"), format!("{current}\n")).unwrap();
                std::fs::write(directory.join("pids.max"), format!("{max}\n")).unwrap();
                directory
            })
            .collect();
        let found = count(&directories).unwrap();
        assert_eq!((found.current, found.max), (50, 51));
        assert!(found.is_at_least(98) && !found.is_at_least(99));
        assert_eq!(count(&directories[2..]), None);
    }
}
