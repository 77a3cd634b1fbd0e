//! Other processes, as /proc shows them.

use super::{kill, reap};
use crate::core::event::{Look, Other};
use crate::core::process::{Pgid, Pid};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest command line that is kept.
const COMMAND_LIMIT: u64 = 200;
/// `PF_KTHREAD` of the flags in /proc/PID/stat: seen only by the init of a whole machine.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Looks for everybody that runinit has to see ended: as PID 1 the whole namespace, below it its own descendants.
pub fn look(own: Pid) -> Look {
    let is_init = own.number() == 1;
    let alone = reap::has_no_children() && (!is_init || kill::is_everybody_gone());
    if alone {
        return Look { alone, ..Look::default() };
    }
    let Some(all) = read_all(own) else { return Look { alone, blind: true, others: Vec::new() } };
    let ours: Vec<Process> = if is_init { all } else { descendants(own, all) };
    let others =
        ours.into_iter().filter(|p| p.pid != own && p.state != 'Z').map(Process::into_other).collect();
    Look { alone, blind: false, others }
}

/// Whether a process belongs to a program: it is in the group of its leader, or descends from it. `None` if it is gone.
pub fn belongs_to(pid: Pid, leader: Pid) -> Option<bool> {
    /// Deeper trees are nobody's.
    const DEPTH: usize = 64;
    let mut process = read(pid.number())?;
    for _ in 0..DEPTH {
        if process.pid == leader || process.pgid == leader.number() {
            return Some(true);
        }
        match read(process.parent) {
            Some(parent) => process = parent,
            None => return Some(false),
        }
    }
    Some(false)
}

/// The command line of a process, if it can still be read.
pub fn command(pid: Pid) -> Option<String> {
    let mut line = Vec::new();
    File::open(format!("/proc/{pid}/cmdline")).ok()?.take(COMMAND_LIMIT).read_to_end(&mut line).ok()?;
    let words: Vec<_> = line.split(|&byte| byte == 0).filter(|word| !word.is_empty()).collect();
    let line = String::from_utf8_lossy(&words.join(&b' ')).replace(char::is_control, "?");
    (!line.is_empty()).then_some(line)
}

struct Process {
    pid: Pid,
    parent: i32,
    pgid: i32,
    state: char,
    name: String,
}

impl Process {
    fn into_other(self) -> Other {
        // Reading the command line takes the memory lock of the process, which one that hangs in the kernel (D) may
        // hold for ever.
        let line = if self.state == 'D' { None } else { command(self.pid) };
        let command = line.unwrap_or_else(|| format!("[{}]", self.name));
        Other { pid: self.pid, pgid: Pgid::new(self.pgid), command, state: self.state }
    }
}

/// All processes, unless /proc is missing or belongs to another PID namespace, whose numbers mean others here.
fn read_all(own: Pid) -> Option<Vec<Process>> {
    if std::fs::read_link("/proc/self").ok()? != Path::new(&own.to_string()) {
        return None;
    }
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    Some(entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect())
}

fn read(number: i32) -> Option<Process> {
    let mut stat = Vec::new();
    File::open(format!("/proc/{number}/stat")).ok()?.take(4096).read_to_end(&mut stat).ok()?;
    parse(&String::from_utf8_lossy(&stat))
}

/// Reads a line of /proc/PID/stat. The name is in parentheses and may hold anything, parentheses too (proc(5)).
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
    let flags: u64 = fields.get(6)?.parse().ok()?;
    if flags & KERNEL_THREAD != 0 {
        return None;
    }
    Some(Process {
        pid: Pid::new(pid.parse().ok()?)?,
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        pgid: number(2)?,
        name: name.replace(char::is_control, "?"),
    })
}

/// A subreaper inherits whatever its descendants leave behind, so the parents of all of them lead to it.
fn descendants(own: Pid, mut others: Vec<Process>) -> Vec<Process> {
    let mut parents = BTreeSet::from([own.number()]);
    let mut found = Vec::new();
    loop {
        let (next, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|p| parents.contains(&p.parent));
        if next.is_empty() {
            return found;
        }
        parents = next.iter().map(|process| process.pid.number()).collect();
        found.extend(next);
        others = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let process = parse("42 (a) R (b)) S 7 40 40 0 -1 4194304 1 2").unwrap();
        assert_eq!((process.pid.number(), process.parent, process.pgid, process.state), (42, 7, 40, 'S'));
        assert_eq!(process.name, "a) R (b)");
    }

    #[test]
    fn kernel_threads_are_nobody() {
        assert!(parse("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0").is_none());
    }

    #[test]
    fn descendants_are_found_over_generations_and_nobody_else_is() {
        let process = |pid, parent| Process {
            pid: Pid::new(pid).unwrap(),
            parent,
            pgid: pid,
            state: 'S',
            name: String::new(),
        };
        let all = vec![process(9, 8), process(8, 7), process(7, 5), process(6, 1), process(5, 1)];
        let found = descendants(Pid::new(5).unwrap(), all);
        assert_eq!(found.iter().map(|p| p.pid.number()).collect::<Vec<_>>(), [7, 8, 9]);
    }
}
