//! The keys `user` and `group`: who that is, and what a program is told about itself.
//!
//! - `user = "app"`: as in /etc/passwd, with every group of /etc/group that has that member.
//! - `user = 1000` or `"1000"`: the same, where /etc/passwd has that number. Where it has not, group 0 and no other, as
//!   for `docker run --user 1000`: images that are made for any user give their files to group 0.
//! - `group` beside it: this primary group, and the user's other groups.
//! - `group` alone: this primary group; the user and the other groups are runinit's own.
//!
//! HOME, USER, LOGNAME and SHELL come with the user, and `env` wins over them.

use super::accounts::{Accounts, UserEntry, id};
use super::nearest::hint;
use super::program::Draft;
use super::reader::Reader;
use super::value::Value;
use crate::core::confinement::{Identity, User};
use std::ffi::OsString;
use std::path::Path;
use toml::de::DeValue;

/// A user or a group, as it was written.
#[derive(Clone, Copy)]
enum Who<'a> {
    Name(&'a str),
    Number(u32),
}

/// What a program says about whom it is to be.
#[derive(Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    user: Option<(Value<'a>, Who<'a>)>,
    group: Option<(Value<'a>, Who<'a>)>,
}

pub(super) fn read<'a>(table: &mut Reader<'a>) -> Wish<'a> {
    Wish { user: table.read("user", who), group: table.read("group", who) }
}

/// Looks everybody up, in the passwd and the group file of this directory.
pub(super) fn settle(drafts: &mut [Draft<'_>], etc: &Path) {
    let mut accounts = None;
    for draft in drafts {
        let wish = draft.identity;
        let Some((value, _)) = wish.user.or(wish.group) else { continue };
        match accounts.get_or_insert_with(|| Accounts::read(etc)) {
            Ok(accounts) => become_somebody(draft, accounts),
            Err(why) => value.complain(why.clone()),
        }
    }
}

fn become_somebody(draft: &mut Draft<'_>, accounts: &Accounts) {
    let Wish { user, group } = draft.identity;
    let found = user.map(|(value, who)| find_user(value, who, accounts));
    let gid = group.map(|(value, who)| find_group(value, who, accounts));
    let launch = &mut draft.program.launch;
    launch.confinement.identity = match (found, gid) {
        // The first two are reported.
        (Some(None), _) | (_, Some(None)) | (None, None) => None,
        (None, Some(Some(gid))) => Some(Identity { user: None, gid }),
        (Some(Some(user)), gid) => {
            let gid = gid.flatten().unwrap_or(user.gid);
            let variables = environment(&user).into_iter();
            let unset = variables.filter(|(name, _)| !launch.env.iter().any(|(set, _)| set == name));
            launch.env = unset.chain(launch.env.iter().cloned()).collect();
            let groups = accounts.groups_of(&user.name, gid);
            Some(Identity { user: Some(User { name: user.name, uid: user.uid, groups }), gid })
        }
    };
}

/// An empty field is `/` (login(1)) or /bin/sh (passwd(5)).
fn environment(user: &UserEntry) -> [(OsString, OsString); 4] {
    let or = |field: &OsString, default: &str| {
        if field.is_empty() { default.into() } else { field.clone() }
    };
    [
        ("HOME".into(), or(&user.home, "/")),
        ("USER".into(), user.name.clone().into()),
        ("LOGNAME".into(), user.name.clone().into()),
        ("SHELL".into(), or(&user.shell, "/bin/sh")),
    ]
}

/// A name may look like a number; if there is one, it is meant, as for chown(1).
fn find_user(value: Value<'_>, who: Who<'_>, accounts: &Accounts) -> Option<UserEntry> {
    let users = &accounts.users;
    let number = who.number();
    let named = users.iter().find(|user| who.is(&user.name));
    let found = named.or_else(|| users.iter().find(|user| Some(user.uid) == number)).cloned();
    let unnamed = |uid: u32| UserEntry { name: uid.to_string(), uid, ..UserEntry::default() };
    found.or_else(|| number.map(unnamed)).or_else(|| {
        let known: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        value.refuse(who.unknown("user", "/etc/passwd", &known))
    })
}

fn find_group(value: Value<'_>, who: Who<'_>, accounts: &Accounts) -> Option<u32> {
    let groups = &accounts.groups;
    let named = groups.iter().find(|group| who.is(&group.name)).map(|group| group.gid);
    named.or(who.number()).or_else(|| {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        value.refuse(who.unknown("group", "/etc/group", &known))
    })
}

impl Who<'_> {
    fn is(self, name: &str) -> bool {
        matches!(self, Self::Name(wanted) if wanted == name)
    }

    fn number(self) -> Option<u32> {
        match self {
            Self::Name(name) => id(name),
            Self::Number(number) => Some(number),
        }
    }

    fn unknown(self, what: &str, file: &str, known: &[&str]) -> String {
        let Self::Name(name) = self else { return String::new() };
        format!("there is no {what} {name:?} in {file}{}", hint(name, known))
    }
}

fn who(value: Value<'_>) -> Option<(Value<'_>, Who<'_>)> {
    let who = if let DeValue::Integer(_) = value.item.get_ref() {
        Who::Number(u32::try_from(value.integer(0..=i64::from(u32::MAX - 1))?).ok()?)
    } else {
        Who::Name(value.filled()?)
    };
    Some((value, who))
}
