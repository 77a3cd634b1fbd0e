//! Other processes, as /proc shows them.

use super::realm::Realm;
use super::{kill, raw};
use crate::core::event::{Look, Other};
use crate::core::half_time::{Late, NAMED, Remaining};
use crate::core::masks::{Masks, SignalSet};
use crate::core::plan::ProgramId;
use crate::core::process::{Pgid, Pid};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest command line that is kept.
const COMMAND_LIMIT: u64 = 200;
/// The signals stand in the middle of it; only the list of groups before them has no fixed length.
const STATUS_LIMIT: u64 = 64 << 10;
/// Deeper trees are nobody's.
const DEPTH: usize = 64;
/// `PF_KTHREAD` of the flags in /proc/PID/stat: seen only by the init of a whole machine.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// This process.
pub fn own() -> Option<Pid> {
    Pid::new(std::process::id().cast_signed())
}

/// Ends this process. exit(3) would first look for streams to flush, and nobody here has any.
pub fn exit(code: i32) -> ! {
    raw::exit_now(code)
}

/// Looks for everybody that runinit has to see ended.
pub fn look(realm: &Realm) -> Look {
    look_with(realm, |ours| vec![None; ours.len()])
}

/// As [`look`] if nobody is left, else nothing.
pub fn look_whether_alone(realm: &Realm) -> Option<Look> {
    let is_init = realm.own().number() == 1;
    let alone = realm.has_no_children() && (!is_init || kill::is_everybody_gone());
    alone.then(|| Look { alone, ..Look::default() })
}

/// As [`look`]; `programs` says to each the program whose group it has left.
pub(super) fn look_with(realm: &Realm, programs: impl FnOnce(&[Process]) -> Vec<Option<ProgramId>>) -> Look {
    if let Some(look) = look_whether_alone(realm) {
        return look;
    }
    let alone = false;
    let Some(ours) = ours(realm) else { return Look { alone, blind: true, others: Vec::new() } };
    // Somebody is there, and nobody is shown (hidepid, proc(5)), or can be read (EMFILE).
    let blind = ours.is_empty();
    let programs = programs(&ours);
    let others = ours.into_iter().zip(programs).filter(|(process, _)| !process.is_dead());
    let others: Vec<Other> = others.map(|(process, program)| process.into_other(program)).collect();
    Look { alone, blind, others }
}

/// Those whom [`look`] would find: the first of them, those of these groups before others, and how many more there are.
#[inline(never)]
pub fn remaining(realm: &Realm, groups: &[Pgid]) -> Remaining {
    let Some(mut ours) = ours(realm) else { return Remaining { blind: true, ..Remaining::default() } };
    ours.retain(|process| !process.is_dead());
    let place = |process: &Process| groups.iter().position(|pgid| pgid.number() == process.pgid);
    ours.sort_by_cached_key(|process| {
        let is_leader = process.pid.number() == process.pgid;
        (place(process).unwrap_or(usize::MAX), !is_leader, process.pid)
    });
    let more = ours.len().saturating_sub(NAMED);
    ours.truncate(NAMED);
    let late =
        |process: Process| Late { masks: masks(realm.own(), process.pid), process: process.into_other(None) };
    Remaining { named: ours.into_iter().map(late).collect(), more, blind: false }
}

/// Everybody whom runinit has to see ended, zombies too, without itself. `None`: /proc does not tell.
pub(super) fn ours(realm: &Realm) -> Option<Vec<Process>> {
    ours_and(realm, |_| false)
}

/// The same, and whoever else is meant.
pub(super) fn ours_and(realm: &Realm, is_meant: impl Fn(&Process) -> bool) -> Option<Vec<Process>> {
    let own = realm.own();
    let mut all = read_all(own)?;
    // Nobody is found over one that was there before.
    all.retain(|process| process.pid != own && !realm.was_there(process));
    if own.number() == 1 {
        return Some(all);
    }
    let meant: Vec<Process> = all.iter().filter(|process| is_meant(process)).cloned().collect();
    let mut ours = descendants(own, all);
    let known: BTreeSet<Pid> = ours.iter().map(|process| process.pid).collect();
    ours.extend(meant.into_iter().filter(|process| !known.contains(&process.pid)));
    Some(ours)
}

/// Everybody below this process, its children first. `None`: /proc does not tell.
pub(super) fn descendants_of(own: Pid) -> Option<Vec<Process>> {
    Some(descendants(own, read_all(own)?))
}

/// Whether a process belongs to a program: it is in the group of its leader, or descends from it. `None` if it is gone, if
/// it has ended and nobody is above it who could tell, or if /proc does not tell.
pub fn belongs_to(own: Pid, pid: Pid, leader: Pid) -> Option<bool> {
    if !is_own_proc(own) {
        return None;
    }
    let mut process = read(pid.number())?;
    let tells_nothing = process.is_dead() && process.parent == own.number();
    for _ in 0..DEPTH {
        if process.pid == leader || process.pgid == leader.number() {
            return Some(true);
        }
        match read(process.parent) {
            Some(parent) => process = parent,
            None => break,
        }
    }
    (!tells_nothing).then_some(false)
}

/// What a process does with signals. Like the state, and unlike the command line, it can be read of one that hangs in
/// the kernel, too.
pub fn masks(own: Pid, pid: Pid) -> Option<Masks> {
    if !is_own_proc(own) {
        return None;
    }
    let mut status = Vec::new();
    File::open(format!("/proc/{pid}/status")).ok()?.take(STATUS_LIMIT).read_to_end(&mut status).ok()?;
    parse_masks(&String::from_utf8_lossy(&status))
}

fn parse_masks(status: &str) -> Option<Masks> {
    let set = |name: &str| {
        let bits = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        u64::from_str_radix(bits.trim(), 16).ok().map(SignalSet::from_bits)
    };
    Some(Masks { ignored: set("SigIgn")?, caught: set("SigCgt")?, blocked: set("SigBlk")? })
}

/// Children that have ended and that nobody has reaped, though it is not up to this process to do so: as PID 1 all in
/// the namespace, else those below it.
pub fn neglected(own: Pid, init: Pid) -> Vec<Other> {
    let Some(all) = read_all(own) else { return Vec::new() };
    let ours = if init.number() == 1 { all } else { descendants(init, all) };
    let is_neglected = |process: &Process| process.is_dead() && process.parent != init.number();
    ours.into_iter().filter(is_neglected).map(|process| process.into_other(None)).collect()
}

/// Whether a process is one that this init will see ended: as PID 1 every one, else those below it.
pub fn is_below(own: Pid, init: Pid, pid: Pid) -> bool {
    let Some(all) = read_all(own) else { return false };
    let ours = if init.number() == 1 { all } else { descendants(init, all) };
    ours.iter().any(|process| process.pid == pid)
}

/// The parent of a process, also of one that has ended and was not reaped. `None`: it is not there, or /proc does not tell.
pub fn parent(own: Pid, pid: Pid) -> Option<i32> {
    if !is_own_proc(own) {
        return None;
    }
    read(pid.number()).map(|process| process.parent)
}

/// The name of a process (proc(5), comm).
pub fn name(pid: Pid) -> Option<String> {
    read(pid.number()).map(|process| process.name)
}

/// The command line of a process, if it can still be read.
pub fn command(own: Pid, pid: Pid) -> Option<String> {
    if is_own_proc(own) { command_line(pid) } else { None }
}

fn command_line(pid: Pid) -> Option<String> {
    let mut line = Vec::new();
    File::open(format!("/proc/{pid}/cmdline")).ok()?.take(COMMAND_LIMIT).read_to_end(&mut line).ok()?;
    let words: Vec<_> = line.split(|&byte| byte == 0).filter(|word| !word.is_empty()).collect();
    let line = String::from_utf8_lossy(&words.join(&b' ')).replace(char::is_control, "?");
    (!line.is_empty()).then_some(line)
}

/// A process as /proc/PID/stat shows it (proc(5)).
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) pgid: i32,
    pub(super) session: i32,
    /// The device that is its terminal; 0: none.
    pub(super) terminal: i32,
    pub(super) state: char,
    pub(super) name: String,
    /// User and system time.
    pub(super) cpu_ticks: u64,
    pub(super) rss_pages: u64,
    pub(super) threads: u64,
    /// In clock ticks since the machine did.
    pub(super) started: u64,
}

impl Process {
    /// True for a zombie. One whose first thread has ended is shown as a zombie too while others go on (`pthread_exit(3)`).
    pub(super) fn is_dead(&self) -> bool {
        self.state == 'X' || (self.state == 'Z' && self.threads <= 1)
    }

    /// True for one that may hang in the kernel (D) and hold the lock of its memory for ever, which reading its command line or
    /// its environment takes. One that waits for a child of vfork(2) to become another program, as shells do all the time, is
    /// in the same state.
    pub(super) fn hangs(&self) -> bool {
        let is_so_still = || read(self.pid.number()).is_some_and(|process| process.state == 'D');
        self.state == 'D' && !runs_or_waits_for_vfork(self.pid) && is_so_still()
    }

    pub(super) fn into_other(self, program: Option<ProgramId>) -> Other {
        let line = if self.hangs() { None } else { command_line(self.pid) };
        let command = line.unwrap_or_else(|| format!("[{}]", self.name));
        Other { pid: self.pid, pgid: Pgid::new(self.pgid), program, command, state: self.state }
    }
}

/// Where it waits (proc(5), wchan). `wait_for_vfork_done` is a part of another function in most kernels. 0: it runs, or may not
/// be looked at, and then the rest of it cannot be read either.
fn runs_or_waits_for_vfork(pid: Pid) -> bool {
    let mut place = String::new();
    let file = File::open(format!("/proc/{pid}/wchan"));
    let read = file.and_then(|file| file.take(64).read_to_string(&mut place));
    read.is_ok() && ["0", "kernel_clone", "wait_for_vfork_done", "_do_fork"].contains(&place.as_str())
}

/// True if the numbers in /proc mean the same processes as here.
pub fn is_own_proc(own: Pid) -> bool {
    std::fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&own.to_string()))
}

/// All processes, unless /proc is missing or belongs to another PID namespace, whose numbers mean others here.
fn read_all(own: Pid) -> Option<Vec<Process>> {
    if !is_own_proc(own) {
        return None;
    }
    Some(numbers()?.filter_map(read).collect())
}

/// The numbers of all processes in /proc. `None`: there is none.
pub(super) fn numbers() -> Option<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    Some(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// The children of a process that has one thread, zombies too. `None`: /proc does not tell (`CONFIG_PROC_CHILDREN`).
pub(super) fn children(pid: Pid) -> Option<Vec<i32>> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Some(list.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect())
}

pub(super) fn read(number: i32) -> Option<Process> {
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
    let count = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let flags = count(6)?;
    if flags & KERNEL_THREAD != 0 {
        return None;
    }
    Some(Process {
        pid: Pid::new(pid.parse().ok()?)?,
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        pgid: number(2)?,
        session: number(3)?,
        terminal: number(4)?,
        cpu_ticks: count(11).unwrap_or_default().saturating_add(count(12).unwrap_or_default()),
        rss_pages: count(21).unwrap_or_default(),
        threads: count(17).unwrap_or(1),
        started: count(19).unwrap_or_default(),
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
pub(super) mod tests {
    use super::*;
    use crate::core::signal::Signal;

    pub(in crate::os) fn process(number: i32, parent: i32, group: i32) -> Process {
        parse(&format!("{number} (p) S {parent} {group} 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 9 0 2")).unwrap()
    }

    #[test]
    fn a_shell_that_starts_others_does_not_hang() {
        let looping = "while :; do /bin/true; done";
        let mut shell = std::process::Command::new("/bin/sh").args(["-c", looping]).spawn().unwrap();
        let number = shell.id().cast_signed();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let (mut waiting, mut hanging) = (0, 0);
        while waiting < 20 && std::time::Instant::now() < deadline {
            let process = read(number).unwrap();
            waiting += i32::from(process.state == 'D');
            hanging += i32::from(process.hangs());
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!((waiting, hanging), (20, 0), "of those that wait in vfork(2)");
    }

    #[test]
    fn a_name_may_hold_anything() {
        let process = parse("42 (a) R (b)) S 7 40 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 9 0").unwrap();
        assert_eq!(process.threads, 9);
        assert_eq!((process.pid.number(), process.parent, process.pgid, process.state), (42, 7, 40, 'S'));
        assert_eq!((process.session, process.terminal, process.name.as_str()), (41, 0, "a) R (b)"));
    }

    #[test]
    fn one_whose_first_thread_has_ended_is_not_dead() {
        let state = |state: &str, threads: usize| {
            parse(&format!("9 (p) {state} 1 9 9 0 -1 0 0 0 0 0 1 1 0 0 20 0 {threads} 0 9 0 2"))
                .unwrap()
                .is_dead()
        };
        assert!(state("Z", 1) && state("Z", 0) && state("X", 0));
        assert!(!state("Z", 2) && !state("S", 1));
    }

    #[test]
    fn what_a_process_uses_is_read() {
        let process = parse(
            "9 (cat) R 8 9 8 34816 9 4194304 105 0 0 0 12 30 0 0 20 0 1 0 4711 3334144 352 18446744073709551615",
        );
        let Process { cpu_ticks, rss_pages, started, .. } = process.unwrap();
        assert_eq!((cpu_ticks, rss_pages, started), (42, 352, 4711));
    }

    #[test]
    fn signals_are_read_as_the_kernel_writes_them() {
        let status = "Name:\tSigIgn\nShdPnd:\t0000000000000001\nSigBlk:\t0000000000000002\n\
                      SigIgn:\t0000000000004000\nSigCgt:\t8000000000000004\n";
        let set = SignalSet::from_bits;
        let masks = Masks { ignored: set(0x4000), caught: set(0x8000_0000_0000_0004), blocked: set(2) };
        assert_eq!(parse_masks(status), Some(masks));
        assert!(masks.ignored.contains(Signal::TERM));
        assert_eq!(parse_masks("Name:\tx\n"), None);
    }

    #[test]
    fn kernel_threads_are_nobody() {
        assert!(parse("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0").is_none());
    }

    #[test]
    fn descendants_are_found_over_generations_and_nobody_else_is() {
        let process = |pid, parent| process(pid, parent, pid);
        let all = vec![process(9, 8), process(8, 7), process(7, 5), process(6, 1), process(5, 1)];
        let found = descendants(Pid::new(5).unwrap(), all);
        assert_eq!(found.iter().map(|p| p.pid.number()).collect::<Vec<_>>(), [7, 8, 9]);
    }
}
