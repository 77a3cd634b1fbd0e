//! Which processes belong to which program, and what they use.
//!
//! A process is a program's if its group or its kernel session is led by that, else if its parent is, else if it carries
//! the program's mark: a daemon has left all three, but not its environment.

use super::mark::Marks;
use super::processes::{self, Process};
use super::raw;
use super::realm::Realm;
use crate::core::event::{Look, Other};
use crate::core::plan::ProgramId;
use crate::core::process::Pid;
use std::collections::{BTreeMap, BTreeSet};

/// What a program's processes are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Whose.
    pub program: ProgramId,
    /// Its name, which is in its mark.
    pub name: String,
    /// The groups and sessions that are its own: its leader's.
    pub groups: Vec<i32>,
    /// The groups of its stop command and its check.
    pub commands: Vec<i32>,
    /// What it starts is other programs', as far as a mark says so: it is a tmux server.
    pub starts_others: bool,
}

/// What the processes of a program come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are; zombies count, they hold a number.
    pub processes: u64,
    /// What they have in memory; pages that they share are counted for each.
    pub rss_kb: u64,
    /// The processor time of those that live.
    pub cpu_ms: u64,
}

/// What all programs use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// Each of them that has a process.
    pub programs: BTreeMap<ProgramId, Usage>,
    /// Dead processes that nobody has reaped, of all that this process looks after.
    pub zombies: usize,
}

/// What each program uses now. `None`: /proc does not tell.
pub fn usage(realm: &Realm, families: &[Family], marks: &Marks) -> Option<Usages> {
    let groups: BTreeSet<i32> = families.iter().flat_map(|family| &family.groups).copied().collect();
    // An agent on a tmux server that somebody else has started is not below runinit, but has a kernel session of its own.
    let all = processes::ours_and(realm, |process| groups.contains(&process.session))?;
    let (page_kb, ticks) =
        (raw::system_value(libc::_SC_PAGESIZE) / 1024, raw::system_value(libc::_SC_CLK_TCK).max(1));
    let members = attribute(&all, families, |process| marks.read(process));
    let mut usages: BTreeMap<ProgramId, Usage> = BTreeMap::new();
    for (process, member) in all.iter().zip(members) {
        if let Some(member) = member {
            let usage = usages.entry(member.program).or_default();
            usage.processes += 1;
            usage.rss_kb += process.rss_pages * page_kb;
            usage.cpu_ms += process.cpu_ticks * 1000 / ticks;
        }
    }
    let zombies = all.iter().filter(|process| process.is_dead()).count();
    Some(Usages { programs: usages, zombies })
}

/// Which program has the most processes and threads, and how many; `None` in place of a program stands for all for whom
/// none is known.
#[inline(never)]
pub fn most_tasks(realm: &Realm, families: &[Family], marks: &Marks) -> Option<(Option<ProgramId>, u64)> {
    let all = processes::ours(realm)?;
    let members = attribute(&all, families, |process| marks.read(process));
    let mut tasks: BTreeMap<Option<ProgramId>, u64> = BTreeMap::new();
    for (process, member) in all.iter().zip(members) {
        *tasks.entry(member.map(|member| member.program)).or_default() += process.threads;
    }
    tasks.into_iter().max_by_key(|(_, count)| *count)
}

/// As [`processes::look`], and whose each is of those who have left the groups of programs.
#[inline(never)]
pub fn look(realm: &Realm, families: &[Family], marks: &Marks) -> Look {
    processes::look_with(realm, |ours| {
        let members = attribute(ours, families, |process| marks.read(process));
        members.into_iter().map(|member| member.filter(Member::is_outside).map(|m| m.program)).collect()
    })
}

/// Who lives and has left the group of each wanted program. A daemon has become runinit's own child, and who lives in another
/// pane is one of the tmux server, so most of the time the lists of those answer at once: they have only leaders and
/// commands, which are known.
pub fn escapees(
    realm: &Realm,
    wanted: &[ProgramId],
    servers: &BTreeSet<Pid>,
    marks: &Marks,
    is_known: impl Fn(Pid) -> bool,
    families: impl FnOnce() -> Vec<Family>,
) -> Vec<(ProgramId, Vec<Other>)> {
    let mut found: Vec<(ProgramId, Vec<Other>)> = wanted.iter().map(|id| (*id, Vec::new())).collect();
    let is_wanted = |member: &Member| wanted.contains(&member.program);
    let orphans = orphans(realm, servers, is_known);
    if orphans.as_ref().is_some_and(Vec::is_empty) {
        return found;
    }
    let families = families();
    if let Some(orphans) = &orphans {
        let members = attribute(orphans, &families, |process| marks.read(process));
        if !members.iter().flatten().any(is_wanted) {
            return found;
        }
    }
    let mut all = processes::ours(realm).unwrap_or_default();
    // A server that somebody else has started is not below runinit.
    let known: BTreeSet<Pid> = all.iter().map(|process| process.pid).collect();
    all.extend(orphans.into_iter().flatten().filter(|orphan| !known.contains(&orphan.pid)));
    let members = attribute(&all, &families, |process| marks.read(process));
    for (process, member) in all.into_iter().zip(members) {
        if let Some(member) = member.filter(Member::is_outside).filter(is_wanted)
            && !process.is_dead()
            && let Some((_, others)) = found.iter_mut().find(|(id, _)| *id == member.program)
        {
            others.push(process.into_other(Some(member.program)));
        }
    }
    found
}

/// Children of runinit and of these servers that live and that runinit has not started; they tell of everybody who has lost a
/// parent. `None`: nobody knows.
fn orphans(realm: &Realm, servers: &BTreeSet<Pid>, is_known: impl Fn(Pid) -> bool) -> Option<Vec<Process>> {
    let own = realm.own();
    if !processes::is_own_proc(own) {
        return Some(Vec::new());
    }
    let mut children = processes::children(own)?;
    // One that has ended has none.
    children.extend(servers.iter().filter_map(|server| processes::children(*server)).flatten());
    let unknown = children.into_iter().filter(|number| !Pid::new(*number).is_some_and(&is_known));
    let is_orphan = |process: &Process| !process.is_dead() && !realm.was_there(process);
    Some(unknown.filter_map(processes::read).filter(is_orphan).collect())
}

/// To whom a process belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) program: ProgramId,
    /// As what.
    pub(super) place: Place,
}

impl Member {
    fn is_outside(&self) -> bool {
        self.place == Place::Outside
    }
}

/// As what a process belongs to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is of the leader's group.
    Group,
    /// It is, or descends from, a command about the program that still runs.
    Command,
    /// It has left all groups that runinit knows.
    Outside,
}

/// Finds out for each process of a snapshot to whom it belongs. The name in the mark of a process is asked for only where
/// nothing else tells.
pub(super) fn attribute(
    all: &[Process],
    families: &[Family],
    mark_of: impl FnMut(&Process) -> Option<String>,
) -> Vec<Option<Member>> {
    let mut groups = BTreeMap::new();
    for family in families {
        let program = family.program;
        groups.extend(family.groups.iter().map(|group| (*group, Member { program, place: Place::Group })));
        groups
            .extend(family.commands.iter().map(|group| (*group, Member { program, place: Place::Command })));
    }
    let places = all.iter().enumerate().map(|(place, process)| (process.pid.number(), place)).collect();
    let names = families.iter().map(|family| (family.name.as_str(), family.program)).collect();
    let servers =
        families.iter().filter(|family| family.starts_others).map(|family| family.program).collect();
    let found = vec![Found::Nothing; all.len()];
    let mut search = Search { all, groups, places, names, servers, mark_of, found };
    (0..all.len()).map(|place| search.find(place)).collect()
}

#[derive(Clone, Copy)]
enum Found {
    Nothing,
    /// Its ancestors are being looked at. Numbers may be reused while a snapshot is taken, so parents could go round.
    UnderWay,
    Answer(Option<Member>),
}

struct Search<'a, F> {
    all: &'a [Process],
    groups: BTreeMap<i32, Member>,
    /// Where each process is.
    places: BTreeMap<i32, usize>,
    names: BTreeMap<&'a str, ProgramId>,
    /// Whose children may be others'.
    servers: BTreeSet<ProgramId>,
    mark_of: F,
    found: Vec<Found>,
}

impl<F: FnMut(&Process) -> Option<String>> Search<'_, F> {
    fn find(&mut self, place: usize) -> Option<Member> {
        // Up to somebody who is known, and down again; a loop, since trees may be deeper than a stack.
        let mut line = Vec::new();
        let mut next = Some(place);
        let mut member = None;
        while let Some(place) = next {
            if let Found::Answer(known) = self.found[place] {
                member = known;
                break;
            }
            if matches!(self.found[place], Found::UnderWay) {
                break;
            }
            self.found[place] = Found::UnderWay;
            line.push(place);
            if self.by_group(place).is_some() {
                break;
            }
            next = self.places.get(&self.all[place].parent).copied();
        }
        for place in line.into_iter().rev() {
            let outside = |member: Member| match member.place {
                Place::Group => Member { place: Place::Outside, ..member },
                Place::Command | Place::Outside => member,
            };
            let by_parent = member.map(outside);
            let is_servers = by_parent.is_some_and(|member| self.servers.contains(&member.program));
            member = self.by_group(place).or(by_parent.filter(|_| !is_servers));
            member = member.or_else(|| self.by_mark(place)).or(by_parent);
            self.found[place] = Found::Answer(member);
        }
        member
    }

    fn by_group(&self, place: usize) -> Option<Member> {
        let Process { pgid, session, .. } = self.all[place];
        self.groups.get(&pgid).or_else(|| self.groups.get(&session)).copied()
    }

    fn by_mark(&mut self, place: usize) -> Option<Member> {
        let name = (self.mark_of)(&self.all[place])?;
        let program = *self.names.get(name.as_str())?;
        Some(Member { program, place: Place::Outside })
    }
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::process;
    use super::*;

    const DB: ProgramId = ProgramId(0);
    const API: ProgramId = ProgramId(1);

    fn families() -> Vec<Family> {
        let family = |program: ProgramId, name: &str, group| Family {
            program,
            name: name.to_owned(),
            groups: vec![group],
            commands: vec![group + 5],
            starts_others: false,
        };
        vec![family(DB, "db", 10), family(API, "api", 20)]
    }

    /// To whom each belongs, and whose environment was read.
    fn found(all: &[Process], marks: &[(i32, &str)]) -> (Vec<Option<(ProgramId, Place)>>, Vec<i32>) {
        let mut asked = Vec::new();
        let members = attribute(all, &families(), |process| {
            asked.push(process.pid.number());
            let mark = marks.iter().find(|(number, _)| *number == process.pid.number());
            mark.map(|(_, name)| (*name).to_owned())
        });
        (members.into_iter().map(|m| m.map(|m| (m.program, m.place))).collect(), asked)
    }

    #[test]
    fn members_of_a_group_are_known_without_their_environment() {
        let all = [process(10, 1, 10), process(11, 1, 10), process(21, 20, 20), process(15, 1, 15)];
        let (members, asked) = found(&all, &[]);
        let expected =
            [(DB, Place::Group), (DB, Place::Group), (API, Place::Group), (DB, Place::Command)].map(Some);
        assert_eq!(members, expected);
        assert_eq!(asked, [0; 0]);
    }

    #[test]
    fn whoever_leads_a_session_has_all_of_it() {
        let worker = Process { session: 20, ..process(30, 1, 30) };
        assert_eq!(found(&[worker], &[]).0, [Some((API, Place::Group))]);
    }

    #[test]
    fn a_child_in_another_group_belongs_to_its_parents_program() {
        let all = [process(32, 31, 32), process(31, 10, 31), process(10, 1, 10), process(33, 15, 33)];
        let (members, asked) = found(&all, &[]);
        assert_eq!(members[0], Some((DB, Place::Outside)));
        assert_eq!(members[1], Some((DB, Place::Outside)));
        assert_eq!(members[3], None, "its parent is not in the snapshot");
        assert_eq!(asked, [33]);
    }

    #[test]
    fn a_daemon_is_known_by_its_mark_and_its_children_by_it() {
        let all = [process(40, 1, 40), process(41, 40, 41), process(50, 1, 50), process(51, 50, 51)];
        let (members, asked) = found(&all, &[(40, "api"), (50, "somebody")]);
        assert_eq!(members, [Some((API, Place::Outside)), Some((API, Place::Outside)), None, None]);
        assert_eq!(asked, [40, 50, 51]);
    }

    #[test]
    fn what_a_tmux_server_starts_is_whose_mark_it_carries() {
        let mut families = families();
        families[0].starts_others = true;
        let all = [process(10, 1, 10), process(11, 10, 11), process(12, 10, 12), process(20, 10, 20)];
        let marks = |process: &Process| (process.pid.number() == 11).then(|| "api".to_owned());
        let programs: Vec<_> =
            attribute(&all, &families, marks).into_iter().map(|member| member.map(|m| m.program)).collect();
        assert_eq!(programs, [Some(DB), Some(API), Some(DB), Some(API)]);
    }

    #[test]
    fn what_a_command_has_started_is_not_outside_while_that_runs() {
        let all = [process(15, 1, 15), process(61, 15, 61)];
        assert_eq!(found(&all, &[]).0[1], Some((DB, Place::Command)));
    }

    #[test]
    fn a_snapshot_that_was_outrun_comes_to_an_end() {
        let all = [process(70, 71, 70), process(71, 70, 71)];
        assert_eq!(found(&all, &[]).0, [None, None]);
    }
}
