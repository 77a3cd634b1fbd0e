//! Programs that live in tmux sessions.

use super::program::Draft;
use super::report::Report;
use super::value::Value;
use crate::core::plan::{Kind, Launch, Leads, Leftovers, Program, ProgramId, Stdin, Step, StepAction, Tmux};
use crate::core::policy::{Backoff, Check, Ready, ReadyBy, Restart};
use crate::core::signal::Signal;
use crate::tmux::{self, Session, Socket};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Columns and rows that tmux takes.
const SIDE: RangeInclusive<u16> = 1..=10_000;
/// The most lines of a last screen: they are all in the record.
const MOST_HISTORY: i64 = 100_000;
/// How long the server has to be there, and how long it has to end when all its sessions are closed.
const SERVER_STARTS: Duration = Duration::from_secs(10);
const SERVER_ENDS: Duration = Duration::from_millis(500);

/// What runs as another user, or with less than runinit may: tmux starts it, as whom and with what it itself runs.
const NOT_WITH_TMUX: [(&str, &str); 10] = [
    ("user", "tmux starts the program, as whom it runs itself"),
    ("group", "tmux starts the program, as whom it runs itself"),
    ("umask", "tmux starts the program, with its own"),
    ("nice", "tmux starts the program, with its own"),
    ("oom_score_adj", "tmux starts the program, with its own"),
    ("limits", "tmux starts the program, with its own"),
    ("no_new_privs", "tmux starts the program, and has what it has"),
    ("capabilities", "tmux starts the program, and has what it has"),
    ("clear_env", "a pane has the environment of its server; \"env\" goes over it"),
    ("output", "what the program prints is on its screen, whose last lines are in the record"),
];

/// A program's `tmux` key. The server is that of the section, which is not known yet.
pub(super) fn session(value: Value<'_>) -> Option<Session> {
    let mut table = value.table("\"tmux\"")?;
    let name = table.need("session", |v| {
        let name = v.text()?;
        tmux::refusal(name).map_or(Some(name), |why| v.refuse(format!("\"session\" {why}")))
    });
    let size = table.read("size", size);
    table.finish();
    let Tmux { socket, history, .. } = Tmux::default();
    Some(Session { socket, name: name?.to_owned(), size: size.unwrap_or(Session::SIZE), history })
}

/// `"200x50"`: columns and rows.
fn size(value: Value<'_>) -> Option<(u16, u16)> {
    let text = value.filled()?;
    let side = |text: &str| text.parse().ok().filter(|side| SIDE.contains(side));
    let sides = text.split_once('x').and_then(|(columns, rows)| Some((side(columns)?, side(rows)?)));
    sides.or_else(|| value.refuse(format!("\"size\" is columns and rows, such as \"200x50\", not {text:?}")))
}

/// The section of the file.
pub(super) fn section(value: Value<'_>) -> Option<Tmux> {
    let mut table = value.table("[tmux]")?;
    let mut settings = Tmux::default();
    if let Some(text) = table.read("socket", Value::filled) {
        settings.socket = Socket::parse(text);
    }
    if let Some(lines) = table.read("history", |v| v.integer(0..=MOST_HISTORY)) {
        settings.history = lines.try_into().unwrap_or(Session::HISTORY);
    }
    if table.read("leftovers", |v| v.word(&["stop", "adopt"])) == Some("adopt") {
        settings.leftovers = Leftovers::Adopt;
    }
    table.finish();
    Some(settings)
}

/// Gives each agent its server, and refuses two of one session.
pub(super) fn settle(report: &Report<'_>, drafts: &mut [Draft<'_>], settings: &Tmux) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for draft in drafts {
        let offset = draft.tmux_offset;
        let Kind::Agent(session) = &mut draft.program.kind else { continue };
        session.socket = settings.socket.clone();
        session.history = settings.history;
        if let Some(first) = places.insert(session.name.clone(), offset) {
            let line = report.line(first);
            let name = &session.name;
            report.add(offset, format!("there are two sessions {name:?}; the first is on line {line}"));
        }
    }
}

/// Which keys of an agent cannot be with tmux, and why.
pub(super) fn refusals(
    program: &Program,
    has: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'static str, String)> {
    let given = NOT_WITH_TMUX.into_iter().filter(move |(key, _)| has(key));
    let given = given.map(|(key, why)| (key, format!("{key:?} cannot be with \"tmux\": {why}")));
    let hears_fd = matches!(program.ready, Some(Ready { by: ReadyBy::Descriptor(_), .. }));
    let ready =
        "\"ready\" cannot be \"fd\" with \"tmux\": a pane has no descriptor from runinit; \"notify\" works";
    let is_written_to = program.stop.iter().any(|step| matches!(step.action, StepAction::Stdin(_)));
    let stop = "a \"stdin\" step cannot be with \"tmux\": the program reads its terminal; use \"keys\"";
    given
        .chain(hears_fd.then(|| ("ready", ready.to_owned())))
        .chain(is_written_to.then(|| ("stop", stop.to_owned())))
}

/// The server that agents live in is a program like any other, if it is runinit's own: all of them come after it.
pub(super) fn add_server(programs: &mut Vec<Program>) {
    let is_agents = |program: &Program| match &program.kind {
        Kind::Agent(session) if session.socket.is_private() => Some(session.socket.clone()),
        _ => None,
    };
    let Some(socket) = programs.iter().find_map(is_agents) else { return };
    let id = ProgramId(programs.len());
    for program in programs.iter_mut().filter(|program| is_agents(program).is_some()) {
        program.after.push(id);
    }
    programs.push(server(&socket));
}

/// The program that is such a server. None of a file can have its name.
pub fn server(socket: &Socket) -> Program {
    let launch = Launch {
        argv: tmux::serve(socket),
        stdin: Stdin::Null,
        // A terminal's Ctrl-C is not for it.
        leads: Leads::Session,
        ..Launch::default()
    };
    let stop = vec![Step::signal(Signal::TERM, SERVER_ENDS), Step::signal(Signal::KILL, SERVER_ENDS)];
    let backoff = Backoff { first: Duration::from_millis(100), ..Backoff::default() };
    let by = ReadyBy::Check(Check::Exec(Vec::new()));
    Program {
        stop,
        backoff,
        ready: Some(Ready { by, timeout: SERVER_STARTS }),
        restart: Restart::Always,
        // It ends by itself, or by somebody else's hand, only if something is wrong.
        success_codes: Vec::new(),
        kind: Kind::TmuxServer(socket.clone()),
        ..Program::new(&format!("tmux:{socket}"), launch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fleet, MainCommand, parse};
    use std::path::Path;

    const AGENT: &str = "tmux = { session = \"s\" }";

    fn read(text: &str) -> Result<Fleet, Vec<String>> {
        let found = parse(Path::new("f"), text, MainCommand::InFile);
        found.map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    fn program(name: &str, keys: &str) -> String {
        format!("[[program]]\nname = \"{name}\"\nshell = \"x\"\n{keys}\n")
    }

    #[test]
    fn agents_come_after_the_server_that_they_live_in() {
        let fleet = read(&(program("a", AGENT) + &program("b", ""))).unwrap();
        let [agent, other, server] = &fleet.programs[..] else { panic!("{:?}", fleet.programs) };
        assert_eq!(agent.after, [ProgramId(2)]);
        assert!(agent.is_agent() && server.is_server() && other.after.is_empty());
        assert_eq!(server.name, "tmux:runinit");
    }

    #[test]
    fn a_server_that_is_there_already_is_left_alone() {
        for socket in ["default", "/tmp/tmux.sock"] {
            let text = format!("[tmux]\nsocket = \"{socket}\"\nhistory = 7\n{}", program("a", AGENT));
            let fleet = read(&text).unwrap();
            assert_eq!(fleet.programs.len(), 1, "{socket}");
            let Kind::Agent(session) = &fleet.programs[0].kind else { panic!("no agent") };
            assert_eq!((session.socket.to_string().as_str(), session.history), (socket, 7));
        }
    }

    #[test]
    fn what_cannot_be_with_tmux_is_refused() {
        for (keys, expected) in [
            (
                "tmux = { session = \"a.b\" }",
                "4:20: \"session\" must not hold \".\" or \":\", as \"a.b\" does",
            ),
            ("tmux = { session = \"\" }", "4:20: \"session\" is empty"),
            (
                "tmux = { session = \"s\", size = \"80\" }",
                "4:32: \"size\" is columns and rows, such as \"200x50\", not \"80\"",
            ),
            (
                &format!("{AGENT}\noutput = \"prefix\""),
                "5:1: \"output\" cannot be with \"tmux\": what the program prints",
            ),
            (&format!("{AGENT}\nclear_env = true"), "5:1: \"clear_env\" cannot be with \"tmux\": a pane has"),
            (&format!("{AGENT}\nready = {{ fd = 3 }}"), "5:1: \"ready\" cannot be \"fd\" with \"tmux\""),
            (
                &format!("{AGENT}\nstop = [{{ stdin = \"q\", wait = \"1s\" }}]"),
                "5:1: a \"stdin\" step cannot be with \"tmux\"",
            ),
            (&format!("{AGENT}\nstop = [{{ keys = \" \", wait = \"1s\" }}]"), "5:18: \"keys\" holds no key"),
        ] {
            let found = read(&program("a", keys)).unwrap_err();
            assert!(matches!(&found[..], [one] if one.contains(expected)), "{keys}: {found:?}");
        }
        let found = read(&(program("a", AGENT) + &program("b", AGENT))).unwrap_err();
        assert_eq!(found, ["f:8:1: there are two sessions \"s\"; the first is on line 4"]);
    }

    #[test]
    fn a_default_that_is_a_promise_is_refused_and_one_for_output_is_for_the_others() {
        let with = |default: &str| read(&format!("[defaults]\n{default}\n{}", program("a", AGENT)));
        assert!(with("output = \"prefix\"").is_ok());
        assert!(with("nice = 5").unwrap_err()[0].contains("\"nice\" cannot be with \"tmux\""));
    }
}
