//! /etc/passwd and /etc/group, read without the C library: a static one cannot load the services that nsswitch.conf(5)
//! names, and a bare image has none.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Who is known here. Lines that the C library would pass over are passed over.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) users: Vec<UserEntry>,
    pub(super) groups: Vec<GroupEntry>,
}

/// A line of passwd(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: OsString,
    pub(super) shell: OsString,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupEntry {
    pub(super) name: String,
    pub(super) gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Reads both files of a directory; one that is not there knows nobody.
    pub(super) fn read(directory: &Path) -> Result<Self, String> {
        let content = |name: &str| {
            let path = directory.join(name);
            match std::fs::read(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(format!("cannot read {}: {error}", path.display()))
                }
                content => Ok(content.unwrap_or_default()),
            }
        };
        Ok(Self::parse(&content("passwd")?, &content("group")?))
    }

    fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self {
            users: lines(passwd).filter_map(|fields| user_entry(&fields)).collect(),
            groups: lines(group).filter_map(|fields| group_entry(&fields)).collect(),
        }
    }

    /// As initgroups(3) does: this group, then every other that has the user among its members.
    pub(super) fn groups_of(&self, user: &str, primary: u32) -> Vec<u32> {
        let mut groups = vec![primary];
        for group in self.groups.iter().filter(|group| group.members.iter().any(|member| member == user)) {
            if !groups.contains(&group.gid) {
                groups.push(group.gid);
            }
        }
        groups
    }
}

/// An id as a number. The highest one means "none" in every system call that takes ids.
pub(super) fn id(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

fn lines(content: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = content.split(|&byte| byte == b'\n');
    lines.filter(|line| !line.starts_with(b"#")).map(|line| line.split(|&byte| byte == b':').collect())
}

fn user_entry(fields: &[&[u8]]) -> Option<UserEntry> {
    let field = |place: usize| OsString::from_vec(fields.get(place).copied().unwrap_or_default().to_vec());
    let [name, _, uid, gid, ..] = fields else { return None };
    let (name, uid, gid) = (text(name), id(&text(uid))?, id(&text(gid))?);
    (!name.is_empty()).then(|| UserEntry { name, uid, gid, home: field(5), shell: field(6) })
}

fn group_entry(fields: &[&[u8]]) -> Option<GroupEntry> {
    let [name, _, gid, ..] = fields else { return None };
    let (name, gid) = (text(name), id(&text(gid))?);
    let members = text(fields.get(3).copied().unwrap_or_default());
    let members = members.split(',').map(|member| member.trim().to_owned()).collect();
    (!name.is_empty()).then_some(GroupEntry { name, gid, members })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# a comment:x:1:1:::\n\
        app:x:1000:1000:M\xfcller:/srv/app:/bin/false\nshort:x:5:6\n\
        +nis::::::\n:x:7:7:::\nbroken:x:many:1:::\nhighest:x:4294967295:1:::\nlast:x:9:9::/:";
    const GROUP: &[u8] =
        b"root:x:0:\napp:x:1000:\nlog:x:4:root,app\nextra:x:27:app, last\nlog2:x:4:app\nbare:x:8\n\
        application:x:30:applet\n";

    #[test]
    fn lines_are_read_as_the_c_library_reads_them() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        let names: Vec<&str> = accounts.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["root", "app", "short", "last"]);
        let app = &accounts.users[1];
        assert_eq!((app.uid, app.gid), (1000, 1000));
        assert_eq!((app.home.to_str(), app.shell.to_str()), (Some("/srv/app"), Some("/bin/false")));
        assert_eq!(accounts.users[2].home, "");
        assert_eq!(accounts.groups.len(), 7);
    }

    #[test]
    fn a_user_has_each_group_once_and_the_primary_one_first() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!(accounts.groups_of("app", 1000), [1000, 4, 27]);
        assert_eq!(accounts.groups_of("app", 27), [27, 4]);
        assert_eq!(accounts.groups_of("last", 9), [9, 27]);
        assert_eq!(accounts.groups_of("nobody", 9), [9]);
    }

    #[test]
    fn an_id_is_digits_and_not_the_highest_number() {
        assert_eq!(id("0"), Some(0));
        assert_eq!(id("4294967294"), Some(4_294_967_294));
        for wrong in ["", "+1", "-1", "1 ", "4294967295", "0x1"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_system_without_the_files_knows_nobody() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Accounts::read(directory.path()).unwrap().users.is_empty());
        std::fs::create_dir(directory.path().join("group")).unwrap();
        let why = Accounts::read(directory.path()).unwrap_err();
        assert!(why.contains("/group: Is a directory"), "{why}");
    }
}
