//! One pass, from zombies to workspaces.

use super::errand::{Errand, Line};
use super::place::Place;
use super::sessions::Server;
use super::{finished, orphans, registry, zombies};
use crate::core::process::Pid;
use crate::os::workspaces::Workspaces;
use crate::readable::readable;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A lock that somebody else has is waited for so long, and all of them together for a quarter of the time there is.
const LOCK_LASTS: Duration = Duration::from_millis(500);

/// Something that keeps a part of the pass from being done. It is told once.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What it is about.
    pub(super) key: String,
    /// For people.
    pub(super) text: String,
}

/// A pass that is under way.
pub(super) struct Pass<'a> {
    pub(super) errand: &'a Errand,
    /// This process.
    pub(super) own: Pid,
    /// The end of the time there is.
    pub(super) until: Instant,
    locks_until: Instant,
    told: BTreeSet<String>,
    /// All could be known and done so far.
    is_well: bool,
    say: &'a mut dyn FnMut(Line),
}

/// Does one pass, and says what it does. True if all that it was to know and to do could be; zombies are others' matter.
pub fn run(errand: &Errand, own: Pid, say: &mut dyn FnMut(Line)) -> bool {
    let began = Instant::now();
    // A little is left for whoever waits for the end.
    let until = began + errand.lasts.mul_f32(0.9);
    let locks_until = began + errand.lasts / 4;
    let mut pass = Pass { errand, own, until, locks_until, told: errand.told.clone(), is_well: true, say };
    if !errand.is_last {
        zombies::count(&mut pass);
    }
    let Some(wanted) = &errand.hygiene.sessions else { return true };
    // Sessions before workspaces: the workspace of a session that is there is there as well.
    let server = orphans::look(&pass, wanted).map_err(|trouble| pass.warn(trouble)).ok();
    match Workspaces::open(&wanted.workspaces).and_then(|open| Place::new(wanted, open)) {
        Ok(mut place) => pass.clean(&mut place, server.as_ref()),
        Err(error) => {
            let path = wanted.workspaces.display();
            let text = format!("cannot read {path}: {error}; nothing is ended or deleted");
            pass.warn(Trouble { key: format!("workspaces {path}"), text });
        }
    }
    pass.is_well
}

impl Pass<'_> {
    /// Without a `server` nobody knows which sessions there are.
    fn clean(&mut self, place: &mut Place<'_>, server: Option<&Server>) {
        let ended = server.map(|server| orphans::end(self, place, server)).unwrap_or_default();
        if place.wanted.update {
            let in_shutdown = self.errand.ended_sessions.iter().filter(|_| self.errand.is_last);
            let all: BTreeSet<&String> = ended.iter().chain(in_shutdown).collect();
            for session in all {
                registry::terminate(self, place, session);
            }
        }
        if let (Some(finished), Some(server)) = (&self.errand.hygiene.workspaces, server) {
            let there = server.sessions.iter().map(|session| &session.name);
            // The init's own may live on another socket.
            let own = self.errand.own_sessions.difference(&self.errand.ended_sessions);
            let living: Vec<&str> =
                there.chain(own).filter(|name| !ended.contains(*name)).map(String::as_str).collect();
            finished::delete(self, place, finished, &living);
        }
    }

    /// Until when a lock is waited for that is met now.
    pub(super) fn lock_until(&self) -> Instant {
        (Instant::now() + LOCK_LASTS).min(self.locks_until)
    }

    pub(super) fn is_dry(&self) -> bool {
        self.errand.hygiene.dry_run
    }

    /// What has been told of these is not told again.
    pub(super) fn is_news(&self, key: &str) -> bool {
        !self.told.contains(key)
    }

    /// Tells of something that was done.
    pub(super) fn tell(&mut self, text: &str) {
        self.say(false, text, Vec::new());
    }

    /// Tells of something to be looked into, once.
    pub(super) fn warn(&mut self, Trouble { key, text }: Trouble) {
        self.is_well = false;
        self.warn_of(vec![key], &text);
    }

    /// Tells of several things that keep nothing from being done, once.
    pub(super) fn warn_of(&mut self, keys: Vec<String>, text: &str) {
        if keys.iter().any(|key| self.is_news(key)) {
            self.told.extend(keys.iter().cloned());
            self.say(true, text, keys);
        }
    }

    /// Workspaces, sessions and what is wrong with them are named by others.
    fn say(&mut self, is_warning: bool, text: &str, told: Vec<String>) {
        (self.say)(Line { is_warning, text: readable(text), told });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hygiene::{Hygiene, Sessions};

    #[test]
    fn what_others_have_named_stays_on_its_line() {
        let sessions = Sessions {
            prefix: "a-".to_owned(),
            socket: "/nowhere/\u{1b}[31m\nsocket".to_owned(),
            workspaces: "/nowhere/\u{1b}[31m\nworkspaces".into(),
            registry: "R".to_owned(),
            update: false,
        };
        let every = Duration::from_secs(1);
        let hygiene = Hygiene { every, sessions: Some(sessions), workspaces: None, dry_run: false };
        let lasts = Duration::from_mins(1);
        let (own_sessions, ended_sessions, told) = <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        let errand = Errand { hygiene, lasts, init: 1, is_last: true, own_sessions, ended_sessions, told };
        let mut said = Vec::new();
        assert!(!run(&errand, crate::os::processes::own().unwrap(), &mut |line| said.push(line.text)));
        let expected = "cannot read /nowhere/\\u{1b}[31m\\nworkspaces: ";
        assert!(said.iter().any(|text| text.starts_with(expected)), "{said:?}");
        assert!(!said.concat().contains(char::is_control), "{said:?}");
    }
}
