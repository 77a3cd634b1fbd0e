//! A confinement in the kernel's own numbers, for the child to apply; and in words, when it could not.

use super::raw::{Confine, Keep, Step, bounding_set};
use crate::core::confinement::{Confinement, Identity};
use libc::c_int;
use nix::unistd::{geteuid, getgroups};
use std::collections::BTreeSet;

/// `None` if there is nothing to change.
pub(super) fn prepare(wanted: &Confinement) -> Option<Confine> {
    if *wanted == Confinement::default() {
        return None;
    }
    let identity = wanted.identity.as_ref();
    let uid = identity.and_then(|identity| Some(identity.user.as_ref()?.uid));
    let limit = |limit: &crate::core::confinement::Limit| {
        // An unknown one is refused by the kernel: EINVAL.
        (number(limit.name).unwrap_or(-1), limit.value.unwrap_or(u64::MAX))
    };
    Some(Confine {
        oom_score_adj: wanted.oom_score_adj.map(|score| score.to_string()),
        limits: wanted.limits.iter().map(limit).collect(),
        nice: wanted.nice,
        umask: wanted.umask,
        groups: identity.and_then(|identity| Some(identity.user.as_ref()?.groups.clone())),
        groups_are_there: identity.is_some_and(|identity| missing_groups(identity, &own_groups()).is_none()),
        gid: identity.map(|identity| identity.gid),
        uid,
        capabilities: wanted.capabilities.map(|kept| {
            // An exec by root gives back whatever the bounding set allows; others keep what is ambient.
            let is_root = uid.unwrap_or_else(|| geteuid().as_raw()) == 0;
            Keep {
                unbound: bounding_set() & !kept.0,
                kept: kept.0,
                ambient: if is_root { 0 } else { kept.0 },
            }
        }),
        no_new_privs: wanted.no_new_privs,
    })
}

/// The supplementary groups that are wanted, unless these come to the same. setgroups(2) is not for everybody even then,
/// and a runinit that was started as this user may have all that is wanted already.
pub(super) fn missing_groups<'a>(identity: &'a Identity, own: &[u32]) -> Option<&'a [u32]> {
    let wanted = &identity.user.as_ref()?.groups;
    let with_primary =
        |groups: &[u32]| groups.iter().copied().chain([identity.gid]).collect::<BTreeSet<u32>>();
    (with_primary(wanted) != with_primary(own)).then_some(wanted)
}

pub(super) fn own_groups() -> Vec<u32> {
    getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect()
}

/// The kernel's number of a limit. They are not the same on every machine.
pub(super) fn number(limit: &str) -> Option<c_int> {
    let number = match limit {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    };
    c_int::try_from(number).ok()
}

/// What a step was about to do.
pub(super) fn describe(step: Step, wanted: &Confinement) -> String {
    let gid = wanted.identity.as_ref().map_or(0, |identity| identity.gid);
    let user = wanted.identity.as_ref().and_then(|identity| identity.user.as_ref());
    match step {
        Step::OomScore => format!("oom_score_adj {}", wanted.oom_score_adj.unwrap_or_default()),
        Step::Limit(place) => format!("limit {}", wanted.limits.get(place).map_or("", |limit| limit.name)),
        Step::Nice => format!("nice {}", wanted.nice.unwrap_or_default()),
        Step::BoundingSet => "capabilities, bounding set".to_owned(),
        Step::Groups => {
            format!("supplementary groups of user {}", user.map_or("", |user| user.name.as_str()))
        }
        Step::Gid => format!("group {gid}"),
        Step::Uid => format!("user {}", user.map_or("", |user| user.name.as_str())),
        Step::Capabilities => "capabilities".to_owned(),
        Step::NoNewPrivs => "no_new_privs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::confinement::{Capabilities, LIMITS, Limit, User};

    #[test]
    fn nothing_wanted_is_nothing_done() {
        assert!(prepare(&Confinement::default()).is_none());
        assert!(prepare(&Confinement { umask: Some(0), ..Confinement::default() }).is_some());
    }

    #[test]
    fn every_limit_has_a_number_of_its_own() {
        let numbers: BTreeSet<c_int> = LIMITS.iter().filter_map(|name| number(name)).collect();
        assert_eq!(numbers.len(), LIMITS.len());
        assert_eq!(number("nofiles"), None);
    }

    #[test]
    fn groups_that_are_there_are_not_set() {
        let user = |groups: &[u32]| User { name: "app".to_owned(), uid: 7, groups: groups.to_vec() };
        let identity = |groups: &[u32]| Identity { user: Some(user(groups)), gid: 7 };
        assert_eq!(missing_groups(&identity(&[7]), &[]), None);
        assert_eq!(missing_groups(&identity(&[7, 4]), &[4]), None);
        assert_eq!(missing_groups(&identity(&[7, 4]), &[4, 5]), Some(&[7, 4][..]));
        assert_eq!(missing_groups(&identity(&[7, 4]), &[7]), Some(&[7, 4][..]));
        assert_eq!(missing_groups(&Identity { user: None, gid: 7 }, &[4]), None);
    }

    #[test]
    fn root_is_bound_and_others_keep_what_is_ambient() {
        let keep = |uid| {
            let user = User { name: String::new(), uid, groups: Vec::new() };
            let identity = Some(Identity { user: Some(user), gid: 0 });
            let capabilities = Some(Capabilities(0b1001));
            prepare(&Confinement { identity, capabilities, ..Confinement::default() })
                .unwrap()
                .capabilities
                .unwrap()
        };
        assert_eq!((keep(0).kept, keep(0).ambient), (0b1001, 0));
        assert_eq!((keep(1).kept, keep(1).ambient), (0b1001, 0b1001));
        assert_eq!(keep(1).unbound & 0b1001, 0);
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_configuration() {
        let limits = vec![Limit { name: "core", value: None }, Limit { name: "nofile", value: Some(1) }];
        let wanted = Confinement { nice: Some(-5), limits, ..Confinement::default() };
        assert_eq!(describe(Step::Limit(1), &wanted), "limit nofile");
        assert_eq!(describe(Step::Nice, &wanted), "nice -5");
    }
}
