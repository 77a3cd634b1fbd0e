//! Sessions that nobody needs any more.

use super::ending;
use super::matching::is_escaped;
use super::pass::{Pass, Trouble};
use super::place::Place;
use super::registry::Says;
use super::sessions::{self, Server, Session};
use crate::core::hygiene::Sessions;
use crate::core::process::Pid;
use crate::os::{kernel_session, processes};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

/// A session that nobody lists may only just be starting, until it is so old.
const NEW: Duration = Duration::from_secs(2);

/// What is known about an agent, if it is one of a certain workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The workspace has no registry.
    NoRegistry,
    /// Its registry cannot be read or understood.
    Unknown,
    /// Its registry says so.
    Said(Says),
}

/// What a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Its agent is listed and has not ended, or that cannot be known.
    Kept,
    /// Nobody needs it.
    Orphan {
        /// For people.
        why: String,
        /// Nobody has said that it has ended: it may be so new that it is not listed yet.
        may_be_new: bool,
    },
}

/// Judges a session by the workspaces that it may belong to and what they know of it, in this order.
fn judge(candidates: &[(String, String)], mut known: impl FnMut(&str, &str) -> Known) -> Verdict {
    let mut why = None;
    for (workspace, agent) in candidates {
        let reason = match known(workspace, agent) {
            Known::Unknown | Known::Said(Says::Lives) => return Verdict::Kept,
            Known::Said(Says::Ended(status)) => {
                let why = format!("{workspace} says that {agent} is {status}");
                return Verdict::Orphan { why, may_be_new: false };
            }
            Known::Said(Says::NotListed) => format!("{workspace} does not list {agent}"),
            Known::NoRegistry => format!("{workspace} has no registry"),
        };
        why.get_or_insert(reason);
    }
    let why = why.unwrap_or_else(|| "its workspace does not exist".to_owned());
    Verdict::Orphan { why, may_be_new: true }
}

fn verdict(pass: &mut Pass<'_>, place: &mut Place<'_>, session: &Session) -> Verdict {
    if !session.name.starts_with(&place.wanted.prefix) || pass.errand.own_sessions.contains(&session.name) {
        return Verdict::Kept;
    }
    if is_escaped(&session.name) {
        let name = &session.name;
        let text = format!(
            "cannot tell whose session {name} is: tmux has escaped something in its name; it is kept"
        );
        pass.warn(Trouble { key: format!("name {name}"), text });
        return Verdict::Kept;
    }
    let candidates = place.candidates(&session.name);
    let verdict = judge(&candidates, |workspace, agent| place.known(pass, workspace, agent));
    match verdict {
        Verdict::Orphan { may_be_new: true, .. } if age(session) < NEW => Verdict::Kept,
        verdict => verdict,
    }
}

fn age(session: &Session) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(session.created))
}

/// All sessions. Those that have only just begun are given the time to be listed, so that this pass can judge them.
pub(super) fn look(pass: &Pass<'_>, wanted: &Sessions) -> Result<Server, Trouble> {
    let server = sessions::list(pass, &wanted.socket)?;
    let is_ours = |session: &&Session| session.name.starts_with(&wanted.prefix);
    let youngest = server.sessions.iter().filter(is_ours).map(age).min();
    let Some(age) = youngest.filter(|age| *age < NEW && !pass.errand.is_last) else { return Ok(server) };
    let left = pass.until.saturating_duration_since(Instant::now());
    std::thread::sleep(NEW.saturating_sub(age).min(left));
    sessions::list(pass, &wanted.socket)
}

/// Ends them, and returns their names; of a dry run, those that would be ended.
pub(super) fn end(pass: &mut Pass<'_>, place: &mut Place<'_>, server: &Server) -> BTreeSet<String> {
    let mut doomed = Vec::new();
    for session in &server.sessions {
        if let Some(why) = why_doomed(pass, place, session, server) {
            doomed.push((session, why));
        }
    }
    spare_what_is_shown(server, &mut doomed);
    if doomed.is_empty() {
        return BTreeSet::new();
    }
    if !server.is_near() {
        let socket = &place.wanted.socket;
        let text = format!(
            "the tmux server on socket {socket} cannot be seen from here: it is in another PID namespace, or /proc is missing; nothing of it is ended"
        );
        pass.warn(Trouble { key: format!("server {socket}"), text });
        return BTreeSet::new();
    }
    // Whoever cleans up by hand may sit in one of them.
    let own = kernel_session::session_of(0);
    doomed.retain(|(session, _)| own.is_none_or(|own| !session.panes.contains(&own)));
    if pass.is_dry() {
        for (session, why) in &doomed {
            pass.tell(&format!("would end session {}: {why}", session.name));
        }
        return doomed.into_iter().map(|(session, _)| session.name.clone()).collect();
    }
    end_all(pass, &place.wanted.socket, server, doomed)
}

/// A session that shows a pane of one that is kept is kept, and so is what shows one of its own.
fn spare_what_is_shown(server: &Server, doomed: &mut Vec<(&Session, String)>) {
    loop {
        let before = doomed.len();
        let is_kept = |session: &&Session| doomed.iter().all(|(other, _)| other.id != session.id);
        let kept: BTreeSet<i32> =
            server.sessions.iter().filter(is_kept).flat_map(|session| &session.panes).copied().collect();
        doomed.retain(|(session, _)| session.panes.is_disjoint(&kept));
        if doomed.len() == before {
            return;
        }
    }
}

/// Why a session is to be ended, if it is. With the registries in its care, the last pass also ends those that are about
/// to be swept away, so that it can be written down there.
fn why_doomed(
    pass: &mut Pass<'_>,
    place: &mut Place<'_>,
    session: &Session,
    server: &Server,
) -> Option<String> {
    match verdict(pass, place, session) {
        Verdict::Orphan { why, .. } => Some(why),
        Verdict::Kept => {
            let is_listed = session.name.starts_with(&place.wanted.prefix);
            let is_swept = pass.errand.is_last && place.wanted.update && is_listed;
            (is_swept && goes_with_init(pass, server)).then(|| "everything ends".to_owned())
        }
    }
}

fn goes_with_init(pass: &Pass<'_>, server: &Server) -> bool {
    let (init, server) = (Pid::new(pass.errand.init), Pid::new(server.pid));
    init.zip(server).is_some_and(|(init, server)| processes::is_below(pass.own, init, server))
}

fn end_all(
    pass: &mut Pass<'_>,
    socket: &str,
    server: &Server,
    doomed: Vec<(&Session, String)>,
) -> BTreeSet<String> {
    let panes = doomed.iter().flat_map(|(session, _)| &session.panes).copied().collect();
    let left = ending::end(server.pid, &panes, pass.until);
    let mut ended = BTreeSet::new();
    for (session, why) in doomed {
        let closed = if session.panes.is_disjoint(&left) {
            sessions::close(pass, socket, &session.id)
        } else {
            Err("not even SIGKILL ends what runs in it".to_owned())
        };
        match closed {
            Ok(()) => {
                pass.tell(&format!("ended session {}: {why}", session.name));
                ended.insert(session.name.clone());
            }
            Err(error) => {
                let text = format!("cannot end session {} ({why}): {error}", session.name);
                pass.warn(Trouble { key: format!("session {} {}", session.name, session.created), text });
            }
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(known: &[(&str, Known)]) -> Verdict {
        let candidates: Vec<_> = known.iter().map(|(name, _)| ((*name).to_owned(), "a".to_owned())).collect();
        judge(&candidates, |workspace, _| {
            known.iter().find(|(name, _)| *name == workspace).map(|(_, known)| known.clone()).unwrap()
        })
    }

    fn ended() -> Known {
        Known::Said(Says::Ended("failed".to_owned()))
    }

    fn is_kept(known: &[(&str, Known)]) -> bool {
        judged(known) == Verdict::Kept
    }

    #[test]
    fn the_longest_workspace_that_lists_the_agent_decides() {
        let [lives, not_listed] = [Says::Lives, Says::NotListed].map(Known::Said);
        assert!(is_kept(&[("T-1", not_listed.clone()), ("T", lives.clone())]));
        assert!(!is_kept(&[("T-1", ended()), ("T", lives.clone())]));
        assert!(is_kept(&[("T-1", lives), ("T", ended())]));
        assert!(is_kept(&[("T-1", Known::Unknown), ("T", ended())]));
        assert!(is_kept(&[("T-1", not_listed), ("T", Known::Unknown)]));
    }

    #[test]
    fn what_shows_windows_of_one_that_is_kept_is_kept_however_far_away() {
        let session = |id: &str, panes: &[i32]| Session {
            id: id.to_owned(),
            name: id.to_owned(),
            created: 0,
            panes: panes.iter().copied().collect(),
        };
        // The one that is nearest comes last.
        let sessions = vec![
            session("c", &[2, 3]),
            session("b", &[1, 2]),
            session("mine", &[1]),
            session("x", &[4]),
            session("y", &[4]),
        ];
        let server = Server { pid: 1, sessions };
        let mut doomed: Vec<_> =
            server.sessions.iter().filter(|s| s.id != "mine").map(|s| (s, String::new())).collect();
        spare_what_is_shown(&server, &mut doomed);
        assert_eq!(doomed.iter().map(|(session, _)| session.id.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn an_orphan_is_one_that_nobody_lists_or_that_has_ended() {
        let orphan = |why: &str, may_be_new| Verdict::Orphan { why: why.to_owned(), may_be_new };
        assert_eq!(judged(&[]), orphan("its workspace does not exist", true));
        assert_eq!(judged(&[("T-1", Known::NoRegistry)]), orphan("T-1 has no registry", true));
        assert_eq!(judged(&[("T-1", Known::Said(Says::NotListed))]), orphan("T-1 does not list a", true));
        assert_eq!(judged(&[("T-1", ended())]), orphan("T-1 says that a is failed", false));
    }
}
