//! What the kernel says about a process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::context::{Context, Result};
use crate::stats::float;
use crate::sys;

/// Memory in KiB, from `/proc/PID/smaps_rollup`.
pub(crate) struct Memory {
    pub(crate) anonymous: f64,
    pub(crate) resident: f64,
    /// Resident, each shared page split among those who share it.
    pub(crate) proportional: f64,
}

/// The memory of one process.
pub(crate) fn memory(pid: Pid) -> Result<Memory> {
    let fields = fields(&PathBuf::from(format!("/proc/{pid}/smaps_rollup")))?;
    let kib =
        |name: &str| fields.get(name).copied().map(float).ok_or_else(|| format!("no {name} in smaps_rollup"));
    Ok(Memory { anonymous: kib("Anonymous")?, resident: kib("Rss")?, proportional: kib("Pss")? })
}

/// How often a process has left the CPU: every wakeup ends in one of these.
pub(crate) fn context_switches(pid: Pid) -> Result<u64> {
    let fields = fields(&PathBuf::from(format!("/proc/{pid}/status")))?;
    let count = |name: &str| fields.get(name).copied().ok_or_else(|| format!("no {name} in status"));
    Ok(count("voluntary_ctxt_switches")? + count("nonvoluntary_ctxt_switches")?)
}

/// CPU time of a process so far, in nanoseconds.
pub(crate) fn cpu_ns(pid: Pid) -> Result<u64> {
    sys::cpu_ns(pid).while_doing(format!("reading the CPU clock of {pid}"))
}

/// Now, in nanoseconds.
pub(crate) fn monotonic_ns() -> Result<u64> {
    sys::monotonic_ns().while_doing("reading the clock")
}

/// The children of a process.
pub(crate) fn children(pid: Pid) -> Result<Vec<Pid>> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(&file).while_doing(&file)?;
    let parse = |word: &str| word.parse().map(Pid::from_raw).while_doing(&file);
    text.split_whitespace().map(parse).collect()
}

/// A process and all below it.
pub(crate) fn family(pid: Pid) -> Result<Vec<Pid>> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        all.extend(children(*parent)?);
        next += 1;
    }
    Ok(all)
}

/// The file a process runs.
pub(crate) fn executable(pid: Pid) -> Result<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).while_doing(format!("the executable of {pid}"))
}

/// The name a process carries.
pub(crate) fn name(pid: Pid) -> Result<String> {
    let name =
        std::fs::read_to_string(format!("/proc/{pid}/comm")).while_doing(format!("the name of {pid}"))?;
    Ok(name.trim_end().to_owned())
}

/// The lines `Name: 123 kB` of a file, as numbers.
fn fields(file: &Path) -> Result<HashMap<String, u64>> {
    let text = std::fs::read_to_string(file).while_doing(file.display())?;
    let field = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        Some((name.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
    };
    Ok(text.lines().filter_map(field).collect())
}
