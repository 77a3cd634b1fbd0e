//! What tmux is asked: whole command lines.

use super::{Pane, Session, Socket};
use crate::core::process::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Sent before each pane in a list of panes, apart from its session's name, which comes last as it may hold blanks.
const PANE: &str = "#{pid} #{session_id} #{pane_id} #{pane_pid} #{session_name}";

/// The option of a session that says which run of runinit has started it.
const RUN: &str = "@runinit";

/// The lines above a screen that tmux keeps unless it is told otherwise.
const KEPT: u32 = 2000;

/// Which tmux this is.
pub fn version() -> Vec<OsString> {
    words(["tmux", "-V"])
}

/// Serves in the foreground, with no configuration of anybody's.
pub fn serve(socket: &Socket) -> Vec<OsString> {
    let mut line = words(["tmux", "-u"]);
    line.extend(socket.arguments());
    line.extend(words(["-f", "/dev/null", "-D"]));
    line
}

/// Starts a session and tells its pane ([`read_start`](super::read_start)). The program runs without a shell in between: tmux runs a
/// single word by one, so that becomes more. `run` is what no other run of runinit has, for [`take_back`].
pub fn start(
    session: &Session,
    argv: &[OsString],
    env: &[(OsString, OsString)],
    cwd: Option<&Path>,
    run: &str,
) -> Vec<OsString> {
    let mut line = starter(&session.socket);
    let target = format!("={}:", session.name);
    if session.socket.is_private() {
        // Everything there is runinit's own: one of this name is from a start that was given up. The name is compared, since a
        // target that does not exist is that of whoever is attached, and any.
        let is_it = format!("#{{==:#{{session_name}},{}}}", in_format(&session.name));
        line.extend(words(["if-shell", "-F", "-t", &target, &is_it]));
        line.extend(words([&format!("kill-session -t '={}'", session.name), ";"]));
    }
    if session.socket.is_private() && session.history > KEPT {
        line.extend(words(["set-option", "-g", "history-limit", &session.history.to_string(), ";"]));
    }
    let (columns, rows) = session.size;
    line.extend(words(["new-session", "-d", "-s", &session.name]));
    line.extend(words(["-x", &columns.to_string(), "-y", &rows.to_string()]));
    line.extend(words(["-P", "-F", "#{version} #{pid} #{session_id} #{pane_id} #{pane_pid}"]));
    if let Some(cwd) = cwd {
        line.extend(["-c".into(), escaped(&unformatted(cwd.as_os_str()))]);
    }
    for (name, value) in env {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        line.extend(["-e".into(), escaped(&pair)]);
    }
    line.extend(words(["--"]));
    match argv {
        [only] => line.extend([words(["/bin/sh", "-c", "exec \"$0\""]), vec![escaped(only)]].concat()),
        argv => line.extend(argv.iter().map(|word| escaped(word))),
    }
    // tmux does nothing else between the commands of one line, so the pane stays even if the program has ended already.
    line.extend(words([";", "set-option", "-w", "-t", &target, "remain-on-exit", "on"]));
    line.extend(words([";", "set-option", "-w", "-t", &target, "remain-on-exit-format", ""]));
    if !session.socket.is_private() {
        line.extend(words([";", "set-option", "-t", &target, RUN, run]));
    }
    line
}

/// Ends the session that a start of this run has made, and nobody else's of that name.
pub fn take_back(session: &Session, run: &str) -> Vec<OsString> {
    let mut line = client(&session.socket);
    let name = in_format(&session.name);
    let is_it = format!("#{{&&:#{{==:#{{session_name}},{name}}},#{{==:#{{{RUN}}},{run}}}}}");
    line.extend(words(["if-shell", "-F", "-t", &format!("={}:", session.name), &is_it]));
    line.extend(words([&format!("kill-session -t '={}'", session.name)]));
    line
}

/// How a pane's program has ended ([`read_end`](super::read_end)).
pub fn end(socket: &Socket, pane: &Pane) -> Vec<OsString> {
    let mut line = client(socket);
    let wanted = "#{pane_pid} #{pane_dead_status} #{pane_dead_signal}";
    line.extend(words(["display-message", "-p", "-t", &pane.id, wanted]));
    line
}

/// Closes a session and tells its last screen ([`read_close`](super::read_close)): one that is still what it was when it was started, and
/// not before tmux has seen its end, unless that is not waited for any longer.
pub fn close(session: &Session, pane: &Pane, waits: bool) -> Vec<OsString> {
    let mut line = client(&session.socket);
    let is_it = format!("#{{==:#{{pane_pid}},{}}}", pane.pid);
    let condition = if waits { format!("#{{&&:{is_it},#{{pane_dead}}}}") } else { is_it.clone() };
    line.extend(words(["display-message", "-p", "-t", &pane.id, &format!("{is_it} #{{pane_dead}}")]));
    line.extend(words([";", "if-shell", "-F", "-t", &pane.id, &condition]));
    line.extend(words([&format!(
        "capture-pane -p -t {} -S -{} ; kill-session -t '{}'",
        pane.id, session.history, pane.session
    )]));
    line
}

/// Whether this is the process of the server that answers: the client exits with 0 if so.
pub fn is_server(socket: &Socket, server: Pid) -> Vec<OsString> {
    let mut line = client(socket);
    let is_it = format!("#{{==:#{{pid}},{server}}}");
    // Nobody has a session of this number, so that the question fails and changes nothing of what is another's.
    let is_not = format!("has-session -t '${}'", u32::MAX);
    line.extend(words(["if-shell", "-F", &is_it, "set-option -s exit-empty off", &is_not]));
    line
}

/// Presses keys, in the program and not in a mode of tmux that somebody has left on.
pub fn keys(socket: &Socket, pane: &Pane, keys: &[String]) -> Vec<OsString> {
    let mut line = client(socket);
    line.extend(words(["copy-mode", "-q", "-t", &pane.id, ";"]));
    line.extend(words(["send-keys", "-t", &pane.id, "--"]));
    line.extend(keys.iter().map(|key| escaped(OsStr::new(key))));
    line
}

/// Looks for the pane of a session that may be there already ([`panes`](super::panes)).
pub fn look(session: &Session) -> Vec<OsString> {
    let mut line = client(&session.socket);
    // Without the colon it would be the name of a window first (tmux(1), "target-window").
    line.extend(words(["list-panes", "-s", "-t", &format!("={}:", session.name), "-F", PANE]));
    line
}

/// The process of a server: its number alone.
pub fn server(socket: &Socket) -> Vec<OsString> {
    let mut line = client(socket);
    line.extend(words(["display-message", "-p", "#{pid}"]));
    line
}

/// Which tmux a server is ([`Version::parse`](super::Version::parse)); it may be older than the client.
pub fn server_version(socket: &Socket) -> Vec<OsString> {
    let mut line = client(socket);
    line.extend(words(["display-message", "-p", "#{version}"]));
    line
}

/// Shows a session to the person at this terminal.
pub fn attach(session: &Session) -> Vec<OsString> {
    let mut line = client(&session.socket);
    line.extend(words(["attach-session", "-t", &format!("={}", session.name)]));
    line
}

/// `-u`: what is on a screen is UTF-8 whatever the locale. `-N`: no server is started by a question, as that would be a
/// daemon that nobody knows of.
/// It starts no server.
fn client(socket: &Socket) -> Vec<OsString> {
    let mut line = words(["tmux", "-u"]);
    line.extend(socket.arguments());
    line.extend(words(["-N"]));
    line
}

/// On a path it starts a server if none is there, which ends with its last session. A private one is there already, and the
/// user's own is not runinit's to start.
fn starter(socket: &Socket) -> Vec<OsString> {
    let Socket::Path(_) = socket else { return client(socket) };
    let mut line = words(["tmux", "-u"]);
    line.extend(socket.arguments());
    line.extend(words(["-f", "/dev/null"]));
    line
}

fn words<W: AsRef<OsStr>, const N: usize>(words: [W; N]) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

/// A text that is compared within a format (tmux(1), "FORMATS").
fn in_format(text: &str) -> String {
    text.replace('#', "##").replace(',', "#,").replace('}', "#}")
}

/// A word in which tmux would look for formats.
fn unformatted(word: &OsStr) -> OsString {
    let doubled = |byte: &u8| if *byte == b'#' { vec![b'#'; 2] } else { vec![*byte] };
    OsString::from_vec(word.as_bytes().iter().flat_map(doubled).collect())
}

/// A word that ends in a semicolon would end the command (tmux(1), "Parsing syntax").
fn escaped(word: &OsStr) -> OsString {
    match word.as_bytes().strip_suffix(b";") {
        Some(text) => OsString::from_vec([text, b"\\;"].concat()),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(socket: &str) -> Session {
        Session {
            socket: Socket::parse(socket),
            name: "a".to_owned(),
            size: Session::SIZE,
            history: Session::HISTORY,
        }
    }

    fn line(words: &[OsString]) -> String {
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_start_names_everything_and_ends_with_what_keeps_the_pane() {
        let env = [("K".into(), "a b".into())];
        let asked =
            start(&session("default"), &["x".into(), "y;".into()], &env, Some(Path::new("/srv")), "7.9");
        let wanted = "tmux -u -L default -N new-session -d -s a -x 200 -y 50 -P -F \
                      #{version} #{pid} #{session_id} #{pane_id} #{pane_pid} -c /srv -e K=a b -- x y\\; \
                      ; set-option -w -t =a: remain-on-exit on ; set-option -w -t =a: remain-on-exit-format  \
                      ; set-option -t =a: @runinit 7.9";
        assert_eq!(line(&asked), wanted);
    }

    #[test]
    fn only_on_a_private_server_a_session_of_that_name_is_in_the_way() {
        let asked = |socket| line(&start(&session(socket), &["x".into()], &[], None, "7.9"));
        let kill = "if-shell -F -t =a: #{==:#{session_name},a} kill-session -t '=a' ;";
        assert!(asked("runinit").contains(kill), "{}", asked("runinit"));
        for socket in ["default", "/run/tmux.sock"] {
            assert!(!asked(socket).contains("kill-session"), "{socket}");
        }
    }

    #[test]
    fn only_on_a_path_a_start_may_start_a_server() {
        for (socket, begins) in [
            ("own", "tmux -u -L own -N "),
            ("default", "tmux -u -L default -N "),
            ("/run/t", "tmux -u -S /run/t -f /dev/null new-session "),
        ] {
            let words = start(&session(socket), &["x".into()], &[], None, "run");
            assert!(line(&words).starts_with(begins), "{}", line(&words));
        }
        let look = line(&look(&session("/run/t")));
        assert!(look.starts_with("tmux -u -S /run/t -N list-panes -s -t =a: -F"), "{look}");
    }

    #[test]
    fn only_what_this_run_has_started_is_taken_back() {
        let wanted = "tmux -u -L default -N if-shell -F -t =a: \
                      #{&&:#{==:#{session_name},a},#{==:#{@runinit},7.9}} kill-session -t '=a'";
        assert_eq!(line(&take_back(&session("default"), "7.9")), wanted);
    }

    #[test]
    fn a_single_word_is_not_left_to_a_shell() {
        let asked = start(&session("s"), &["my prog".into()], &[], None, "7.9");
        assert!(line(&asked).contains("-- /bin/sh -c exec \"$0\" my prog ;"));
    }

    #[test]
    fn nothing_in_a_word_means_anything_to_tmux() {
        let env = [("K".into(), "this; then that;".into())];
        let asked = line(&start(&session("default"), &["x".into()], &env, Some(Path::new("/a #S;")), "7.9"));
        assert!(asked.contains(" -c /a ##S\\; -e K=this; then that\\; -- "), "{asked}");
        assert_eq!(in_format("a,b}#"), "a#,b#}##");
    }

    #[test]
    fn sessions_are_named_exactly() {
        assert_eq!(line(&attach(&session("/s"))), "tmux -u -S /s -N attach-session -t =a");
    }
}
