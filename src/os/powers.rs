//! What runinit itself may do, and so what it cannot give its programs: known before anything starts.
//!
//! Not everything can be known. A user namespace may refuse what its own root asks for, and nobody can read how low
//! `oom_score_adj` may go; the start itself then says so.

use super::confine::{missing_groups, number, own_groups};
use super::raw;
use crate::core::confinement::{Capabilities, Confinement, Limit};
use crate::core::plan::Program;
use nix::unistd::{getegid, geteuid};

/// Why programs cannot be what their plan wants, for people.
pub fn refusals(programs: &[Program]) -> Vec<String> {
    let confined: Vec<&Program> =
        programs.iter().filter(|program| program.launch.confinement != Confinement::default()).collect();
    if confined.is_empty() {
        return Vec::new();
    }
    let own = Powers::own();
    let of_one = |program: &&Program| {
        let whys = own.refusals(&program.launch.confinement);
        whys.into_iter().map(|why| format!("{}: {why}", program.name)).collect::<Vec<_>>()
    };
    confined.iter().flat_map(of_one).collect()
}

struct Powers {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    effective: Capabilities,
    /// What a program can keep.
    to_keep: Capabilities,
    bounding: Capabilities,
    nice: i32,
    /// A limit, soft and hard.
    limit: fn(&str) -> Option<(u64, u64)>,
    /// The most open files that the kernel gives anybody.
    most_files: Option<u64>,
}

impl Powers {
    fn own() -> Self {
        let (effective, permitted) = raw::capabilities();
        let bounding = raw::bounding_set();
        let most_files = std::fs::read_to_string("/proc/sys/fs/nr_open").ok();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: own_groups(),
            effective: Capabilities(effective),
            to_keep: Capabilities(permitted & bounding),
            bounding: Capabilities(bounding),
            nice: raw::nice(),
            limit: |name| raw::limit(number(name)?).ok(),
            most_files: most_files.and_then(|text| text.trim().parse().ok()),
        }
    }

    /// Why it is refused, if it is and this capability is missing.
    fn lacks(&self, is_refused: bool, capability: &str, what: &str) -> Option<String> {
        let has = Capabilities::named(capability).is_some_and(|needed| self.effective.has(needed));
        (is_refused && !has).then(|| format!("{what}; runinit would need {capability} for that"))
    }

    fn refusals(&self, wanted: &Confinement) -> Vec<String> {
        let limits = wanted.limits.iter().filter_map(|limit| self.limit_refusal(*limit));
        let mut found: Vec<String> = limits.collect();
        found.extend(self.nice_refusal(wanted));
        found.extend(self.identity_refusal(wanted));
        found.extend(self.capabilities_refusal(wanted));
        found
    }

    fn limit_refusal(&self, Limit { name, value }: Limit) -> Option<String> {
        let written = value.map_or("unlimited".to_owned(), |value| value.to_string());
        let value = value.unwrap_or(u64::MAX);
        if let Some(most) = self.most_files.filter(|most| name == "nofile" && value > *most) {
            return Some(format!("limit nofile cannot be {written}: the kernel's fs.nr_open is {most}"));
        }
        let (_, hard) = (self.limit)(name)?;
        let what = format!("limit {name} cannot be raised from {hard} to {written}");
        self.lacks(value > hard, "CAP_SYS_RESOURCE", &what)
    }

    /// `RLIMIT_NICE` counts from 20, for nice 0, to 40: getrlimit(2).
    fn nice_refusal(&self, wanted: &Confinement) -> Option<String> {
        let nice = wanted.nice?;
        let set = wanted.limits.iter().find(|limit| limit.name == "nice");
        let allowed = match set {
            Some(limit) => limit.value.unwrap_or(u64::MAX),
            None => (self.limit)("nice")?.0,
        };
        let is_refused = nice < self.nice && u64::try_from(20 - nice).is_ok_and(|needed| needed > allowed);
        self.lacks(is_refused, "CAP_SYS_NICE", &format!("nice cannot be {nice}"))
    }

    fn identity_refusal(&self, wanted: &Confinement) -> Option<String> {
        let identity = wanted.identity.as_ref()?;
        let of_user = || {
            let user = identity.user.as_ref()?;
            let is_other = user.uid != self.uid;
            let whom = format!("{} (uid {})", user.name, user.uid);
            // kill(2): who is not the same user needs the right to signal, too, and what runs has to be stopped one day.
            self.lacks(is_other, "CAP_SETUID", &format!("it cannot run as {whom}"))
                .or_else(|| self.lacks(is_other, "CAP_KILL", &format!("it could not be stopped as {whom}")))
        };
        let of_group = || {
            let what = format!("it cannot run in the group {}", identity.gid);
            self.lacks(identity.gid != self.gid, "CAP_SETGID", &what)
        };
        let of_groups = || {
            let missing = missing_groups(identity, &self.groups)?;
            self.lacks(true, "CAP_SETGID", &format!("it cannot have the supplementary groups {missing:?}"))
        };
        of_user().or_else(of_group).or_else(of_groups)
    }

    fn capabilities_refusal(&self, wanted: &Confinement) -> Option<String> {
        let kept = wanted.capabilities?;
        let missing = kept.without(self.to_keep);
        if missing != Capabilities(0) {
            let names = missing.names().join(", ");
            return Some(format!("it cannot keep {names}, which runinit itself does not have"));
        }
        let is_refused = self.bounding.without(kept) != Capabilities(0);
        self.lacks(is_refused, "CAP_SETPCAP", "no capability can be taken from it for good")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::confinement::{Identity, User};

    /// A user who can do nothing.
    fn nobody() -> Powers {
        Powers {
            uid: 1000,
            gid: 1000,
            groups: vec![4],
            effective: Capabilities(0),
            to_keep: Capabilities(0),
            bounding: Capabilities(0),
            nice: 0,
            limit: |name| Some(if name == "nice" { (0, 0) } else { (1024, 4096) }),
            most_files: Some(1_000_000),
        }
    }

    fn root() -> Powers {
        let all = Capabilities((1 << 41) - 1);
        Powers { uid: 0, gid: 0, groups: Vec::new(), effective: all, to_keep: all, bounding: all, ..nobody() }
    }

    fn limit(name: &'static str, value: Option<u64>) -> Confinement {
        Confinement { limits: vec![Limit { name, value }], ..Confinement::default() }
    }

    fn as_user(uid: u32, gid: u32, groups: &[u32]) -> Confinement {
        let user = User { name: "app".to_owned(), uid, groups: groups.to_vec() };
        Confinement { identity: Some(Identity { user: Some(user), gid }), ..Confinement::default() }
    }

    #[test]
    fn limits_are_lowered_by_everybody_and_raised_by_root() {
        assert_eq!(nobody().refusals(&limit("core", Some(4096))), [""; 0]);
        assert_eq!(
            nobody().refusals(&limit("core", Some(4097))),
            ["limit core cannot be raised from 4096 to 4097; runinit would need CAP_SYS_RESOURCE for that"]
        );
        assert_eq!(root().refusals(&limit("core", None)), [""; 0]);
        assert_eq!(
            root().refusals(&limit("nofile", None)),
            ["limit nofile cannot be unlimited: the kernel's fs.nr_open is 1000000"]
        );
    }

    #[test]
    fn niceness_goes_as_low_as_its_limit() {
        let nice = |nice| Confinement { nice: Some(nice), ..Confinement::default() };
        let powers = Powers { limit: |_| Some((25, 25)), ..nobody() };
        assert_eq!(nobody().refusals(&nice(19)), [""; 0]);
        assert_eq!(nobody().refusals(&nice(0)), [""; 0]);
        assert_eq!(powers.refusals(&nice(-5)), [""; 0]);
        assert_eq!(
            powers.refusals(&nice(-6)),
            ["nice cannot be -6; runinit would need CAP_SYS_NICE for that"]
        );
        let lowered = Confinement { nice: Some(-5), ..limit("nice", Some(24)) };
        assert_eq!(powers.refusals(&lowered).len(), 1);
    }

    #[test]
    fn whoever_it_is_already_it_can_be() {
        assert_eq!(nobody().refusals(&as_user(1000, 1000, &[1000, 4])), [""; 0]);
        assert_eq!(
            nobody().refusals(&as_user(7, 7, &[])),
            ["it cannot run as app (uid 7); runinit would need CAP_SETUID for that"]
        );
        assert_eq!(
            nobody().refusals(&as_user(1000, 7, &[])),
            ["it cannot run in the group 7; runinit would need CAP_SETGID for that"]
        );
        assert_eq!(
            nobody().refusals(&as_user(1000, 1000, &[1000, 5])),
            ["it cannot have the supplementary groups [1000, 5]; runinit would need CAP_SETGID for that"]
        );
        assert_eq!(root().refusals(&as_user(7, 7, &[7])), [""; 0]);
        let without_kill = root().effective.without(Capabilities(1 << 5));
        assert_eq!(
            Powers { effective: without_kill, ..root() }.refusals(&as_user(7, 7, &[7])),
            ["it could not be stopped as app (uid 7); runinit would need CAP_KILL for that"]
        );
    }

    #[test]
    fn nobody_keeps_what_runinit_does_not_have() {
        let keep = |bits| Confinement { capabilities: Some(Capabilities(bits)), ..Confinement::default() };
        assert_eq!(root().refusals(&keep(0)), [""; 0]);
        assert_eq!(nobody().refusals(&keep(0)), [""; 0]);
        assert_eq!(
            nobody().refusals(&keep(1 << 5)),
            ["it cannot keep CAP_KILL, which runinit itself does not have"]
        );
        let bound = Powers { bounding: Capabilities(1), ..nobody() };
        assert_eq!(
            bound.refusals(&keep(0)),
            ["no capability can be taken from it for good; runinit would need CAP_SETPCAP for that"]
        );
    }
}
