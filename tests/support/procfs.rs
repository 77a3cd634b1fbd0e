//! Processes as /proc shows them.

use std::fs::read_to_string;

/// One process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The file name of the program, cut to 15 bytes.
    pub(crate) name: String,
    /// R, S, D, T, Z.
    pub(crate) state: char,
    /// Its number in its own, innermost PID namespace.
    pub(crate) inner_pid: i32,
    /// How often it went to sleep of its own will.
    pub(crate) sleeps: u64,
    /// Signals that were sent and not yet taken, as a bit set.
    pub(crate) pending: u64,
}

/// The process with this number, if there is one.
pub(crate) fn process(pid: i32) -> Option<Process> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
    };
    let bits = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(0);
    Some(Process {
        pid,
        name: field("Name").to_owned(),
        state: field("State").chars().next()?,
        inner_pid: field("NSpid").split_whitespace().last()?.parse().ok()?,
        sleeps: field("voluntary_ctxt_switches").parse().unwrap_or(0),
        pending: bits("SigPnd") | bits("ShdPnd"),
    })
}

/// The living and dead children of this process, of all its threads.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<i32>>())
        .collect()
}

/// Everybody who descends from this process, itself left out.
pub(crate) fn descendants(pid: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut open = children(pid);
    while let Some(next) = open.pop() {
        open.extend(children(next));
        found.extend(process(next));
    }
    found
}
