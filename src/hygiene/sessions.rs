//! Sessions of a tmux server, and how they are ended.

use super::pass::{Pass, Trouble};
use crate::core::process::Pid;
use crate::os::{command, processes};
use crate::tmux::Socket;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// tmux answers in milliseconds, or it hangs. While everything ends less patience is left.
const TMUX_LASTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(1)];
/// What is asked about each pane; the name comes last, as it may hold blanks.
const FORMAT: &str = "#{pid} #{session_created} #{session_id} #{pane_pid} #{session_name}";

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// `$` and a number that no other session of the server will have.
    pub(super) id: String,
    pub(super) name: String,
    /// In seconds since 1970.
    pub(super) created: u64,
    /// The leaders of its panes' kernel sessions.
    pub(super) panes: BTreeSet<i32>,
}

/// A server and all its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// Its process; 0 if there is none.
    pub(super) pid: i32,
    pub(super) sessions: Vec<Session>,
}

/// tmux with these arguments, for the server on this socket. `-u`: names are printed as they are, whatever the locale.
fn tmux(socket: &str, arguments: &[&str]) -> Vec<OsString> {
    let mut line: Vec<OsString> = ["tmux", "-u"].map(OsString::from).to_vec();
    line.extend(Socket::parse(socket).arguments());
    line.extend(arguments.iter().map(OsString::from));
    line
}

/// All sessions on a socket. Without a server there are none.
pub(super) fn list(pass: &Pass<'_>, socket: &str) -> Result<Server, Trouble> {
    let limit = limit(pass);
    let trouble = |text: String| Trouble { key: format!("tmux {socket}"), text };
    let finished = match command::run(&tmux(socket, &["list-panes", "-a", "-F", FORMAT]), limit) {
        Ok(finished) => finished,
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            return Err(trouble(format!(
                "tmux does not answer on socket {socket}; nothing is ended or deleted"
            )));
        }
        Err(error) => return Err(trouble(format!("cannot run tmux: {error}; nothing is ended or deleted"))),
    };
    if finished.is_success {
        return parse(&finished.stdout)
            .ok_or_else(|| trouble(format!("tmux says what is not understood: {:?}", finished.stdout)));
    }
    let why = finished.stderr.trim();
    if is_nobody_there(why) {
        return Ok(Server::default());
    }
    Err(trouble(format!("tmux on socket {socket}: {why}; nothing is ended or deleted")))
}

/// What tmux says where there is no server: `connect()` failed with ENOENT or ECONNREFUSED (client.c), or the last
/// session is just ending.
fn is_nobody_there(complaint: &str) -> bool {
    let is_refused =
        ["No such file or directory", "Connection refused"].iter().any(|e| complaint.contains(e));
    complaint.starts_with("no server running")
        || complaint.starts_with("error connecting to") && is_refused
        || complaint.starts_with("server exited")
        || complaint.starts_with("lost server")
}

fn parse(text: &str) -> Option<Server> {
    let mut server = Server::default();
    for line in text.lines() {
        let mut fields = line.splitn(5, ' ');
        server.pid = fields.next()?.parse().ok()?;
        let created = fields.next()?.parse().ok()?;
        let id = fields.next().filter(|id| id.starts_with('$'))?.to_owned();
        let pane: i32 = fields.next()?.parse().ok()?;
        let name = fields.next()?.to_owned();
        match server.sessions.iter_mut().find(|session| session.id == id) {
            Some(session) => _ = session.panes.insert(pane),
            None => server.sessions.push(Session { id, name, created, panes: BTreeSet::from([pane]) }),
        }
    }
    Some(server)
}

impl Server {
    /// True if its numbers mean the same processes here: a socket may lead to a server in another PID namespace.
    pub(super) fn is_near(&self) -> bool {
        let name = Pid::new(self.pid).and_then(processes::name);
        name.is_some_and(|name| name.starts_with("tmux"))
    }
}

/// Closes a session whose processes are gone. tmux does so by itself, unless panes are to remain.
pub(super) fn close(pass: &Pass<'_>, socket: &str, id: &str) -> Result<(), String> {
    match command::run(&tmux(socket, &["kill-session", "-t", id]), limit(pass)) {
        Ok(finished) if finished.is_success => Ok(()),
        Ok(finished) if is_closed(finished.stderr.trim()) => Ok(()),
        Ok(finished) => Err(finished.stderr.trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn limit(pass: &Pass<'_>) -> Instant {
    pass.until.min(Instant::now() + TMUX_LASTS[usize::from(pass.errand.is_last)])
}

/// `no current target` is said of any target where no session is left at all, by a server that is about to end (cmd-find.c).
fn is_closed(complaint: &str) -> bool {
    let is_gone = ["can't find session", "no current target"].iter().any(|why| complaint.starts_with(why));
    is_gone || is_nobody_there(complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_gathered_by_session() {
        let server = parse("7 100 $1 20 a b\n7 100 $1 21 a b\n7 101 $2 22 c\n").unwrap();
        assert_eq!(server.pid, 7);
        let found: Vec<_> = server.sessions.iter().map(|s| (s.name.as_str(), s.panes.len())).collect();
        assert_eq!(found, [("a b", 2), ("c", 1)]);
        assert_eq!(parse(""), Some(Server::default()));
        assert_eq!(parse("7 100 1 20 a"), None);
    }

    #[test]
    fn a_socket_with_a_slash_is_a_path() {
        assert_eq!(tmux("default", &["ls"]), ["tmux", "-u", "-L", "default", "ls"]);
        assert_eq!(tmux("/run/s", &[])[2..], ["-S", "/run/s"]);
    }

    #[test]
    fn a_session_is_closed_that_is_not_there() {
        for complaint in ["can't find session: $1", "no current target", "server exited unexpectedly"] {
            assert!(is_closed(complaint), "{complaint}");
        }
        assert!(!is_closed("protocol version mismatch (client 8, server 7)"));
    }

    #[test]
    fn no_server_is_no_error_but_a_forbidden_one_is() {
        assert!(is_nobody_there("no server running on /tmp/tmux-0/default"));
        assert!(is_nobody_there("error connecting to /tmp/tmux-0/x (No such file or directory)"));
        assert!(!is_nobody_there("error connecting to /tmp/tmux-0/x (Permission denied)"));
    }
}
