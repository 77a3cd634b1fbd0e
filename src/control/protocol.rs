//! What is said over the control socket: one line of JSON each way, then the answering side hangs up.
//!
//! `docs/control.md` shows every line. Whoever asks names the version; within one, fields are only ever added.

use crate::config::nearest::hint;
use crate::record::{Exit, Phase};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that this runinit speaks.
pub const VERSION: u32 = 1;
/// The longest request, its newline included.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// How everything is: [`Status`].
    Status,
    /// Whether everything that has to run is ready and well: [`Health`].
    Health,
    /// Stop a program, and first those that come after it. Like all that follow, answered by a [`Message`].
    Stop(Target),
    /// Start a program, and first what it comes after.
    Start(Target),
    /// Stop a program by its cascade and start it at once.
    Restart(Target),
    /// Send a program this signal.
    Signal {
        /// Its name.
        program: String,
        /// `SIGHUP`, `HUP` or `1`.
        signal: String,
    },
    /// Add a program and start it.
    Add {
        /// As a `[[program]]` of the configuration.
        program: Map<String, Value>,
        /// As in [`Target`].
        wait: bool,
    },
    /// Stop a program that was added, and forget it.
    Remove(Target),
    /// What a program has printed last: [`Lines`], and with `follow` more of them as they come.
    Logs {
        /// Its name.
        program: String,
        /// At most so many; all that are kept if nobody says.
        lines: Option<usize>,
        /// Hang up only when somebody else does.
        follow: bool,
    },
    /// How a program's terminal can be seen: [`Attach`].
    Attach {
        /// Its name.
        program: String,
    },
    /// Read the configuration again.
    Reload {
        /// As in [`Target`].
        wait: bool,
    },
}

/// A program, and whether the answer comes when it is done or at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub program: String,
    /// The answer comes when it is done.
    pub wait: bool,
}

/// A request as it is on the line: one flat object. (An enum that serde reads by its tag is read twice, with some 60 KB of
/// code.)
#[derive(Default, Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: u32,
    #[serde(default)]
    command: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    program: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    follow: Option<bool>,
}

impl From<&Request> for Wire {
    fn from(request: &Request) -> Self {
        let wire = |command: &str| Self { v: VERSION, command: command.to_owned(), ..Self::default() };
        let about = |command, target: &Target| Self {
            program: target.program.as_str().into(),
            wait: Some(target.wait),
            ..wire(command)
        };
        match request {
            Request::Status => wire("status"),
            Request::Health => wire("health"),
            Request::Stop(target) => about("stop", target),
            Request::Start(target) => about("start", target),
            Request::Restart(target) => about("restart", target),
            Request::Remove(target) => about("remove", target),
            Request::Signal { program, signal } => {
                Self { program: program.as_str().into(), signal: Some(signal.clone()), ..wire("signal") }
            }
            Request::Add { program, wait } => {
                Self { program: Value::Object(program.clone()), wait: Some(*wait), ..wire("add") }
            }
            Request::Logs { program, lines, follow } => Self {
                program: program.as_str().into(),
                lines: *lines,
                follow: Some(*follow),
                ..wire("logs")
            },
            Request::Attach { program } => Self { program: program.as_str().into(), ..wire("attach") },
            Request::Reload { wait } => Self { wait: Some(*wait), ..wire("reload") },
        }
    }
}

impl TryFrom<Wire> for Request {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let Wire { v, command, program, wait, signal, lines, follow } = wire;
        if v != VERSION {
            return Err(format!("this runinit speaks version {VERSION} of the protocol, not {v}"));
        }
        let wait = wait.unwrap_or(true);
        let name = || match &program {
            Value::String(name) => Ok(name.clone()),
            _ => Err(format!("{command:?} needs \"program\", the name of one")),
        };
        let target = || name().map(|program| Target { program, wait });
        Ok(match command.as_str() {
            "status" => Self::Status,
            "health" => Self::Health,
            "stop" => Self::Stop(target()?),
            "start" => Self::Start(target()?),
            "restart" => Self::Restart(target()?),
            "remove" => Self::Remove(target()?),
            "signal" => {
                let signal = signal.ok_or("\"signal\" needs \"signal\", such as \"SIGHUP\"")?;
                Self::Signal { program: name()?, signal }
            }
            "add" => match program {
                Value::Object(program) => Self::Add { program, wait },
                _ => return Err("\"add\" needs \"program\", an object as a [[program]] is".to_owned()),
            },
            "logs" => Self::Logs { program: name()?, lines, follow: follow.unwrap_or_default() },
            "attach" => Self::Attach { program: name()? },
            "reload" => Self::Reload { wait },
            _ => return Err(format!("there is no command {command:?}{}", hint(&command, &COMMANDS))),
        })
    }
}

/// Every command there is.
const COMMANDS: [&str; 11] =
    ["status", "health", "stop", "start", "restart", "remove", "signal", "add", "logs", "attach", "reload"];

/// The head of an answer.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    ok: bool,
    error: Option<String>,
}

#[derive(Serialize)]
struct Answered<T> {
    v: u32,
    ok: bool,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

/// How everything is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How far the run is.
    pub phase: Phase,
    /// runinit's own pid, as it sees itself.
    pub pid: i32,
    /// How long it runs.
    pub uptime_ms: u64,
    /// tmux sessions of programs, dead panes included.
    pub tmux_sessions: usize,
    /// Programs in tmux that run.
    pub active_agents: usize,
    /// Dead processes that nobody has reaped yet, of all that runinit looks after.
    pub zombie_processes: usize,
    /// RFC 3339, UTC, milliseconds.
    pub timestamp: String,
    /// Children reaped in the whole run.
    pub reaped: Reaped,
    /// In the order of the file, then of their start.
    pub programs: Vec<Program>,
}

/// Children reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaped {
    /// Those that runinit had started.
    pub programs: u64,
    /// Those that it had inherited.
    pub orphans: u64,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// `process` or `tmux`.
    pub kind: String,
    /// Where it is in its life.
    pub state: State,
    /// Its leader's, while that lives.
    pub pid: Option<i32>,
    /// How long it runs.
    pub uptime_ms: Option<u64>,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// How it ended last, unless it runs.
    pub exit: Option<Exit>,
    /// Its tmux session.
    pub session: Option<String>,
    /// Resident memory of all its processes; null where there is no /proc.
    pub rss_kb: Option<u64>,
    /// Time on a processor of all its processes, and of their children that have ended.
    pub cpu_ms: Option<u64>,
    /// How many processes it has.
    pub processes: Option<usize>,
    /// Those that come after it may start.
    pub ready: bool,
    /// What its health checks say; null: it has none.
    pub healthy: Option<bool>,
    /// What it comes after and waits for.
    pub waits_for: Vec<String>,
    /// In its own words (`sd_notify(3)`).
    pub status: Option<String>,
    /// Why it is not what it should be.
    pub problem: Option<String>,
    /// It was added while runinit ran.
    pub added: bool,
}

/// Where a program is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its turn.
    Waiting,
    /// It has ended and is started again soon.
    Restarting,
    /// It runs.
    Running,
    /// It is being stopped, or what it has left behind is.
    Stopping,
    /// Even SIGKILL has not ended it.
    Survived,
    /// Somebody has stopped it.
    Stopped,
    /// It has ended well.
    Exited,
    /// It has failed for good, or never ran.
    Failed,
}

impl State {
    /// Every state there is.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Restarting,
        Self::Running,
        Self::Stopping,
        Self::Survived,
        Self::Stopped,
        Self::Exited,
        Self::Failed,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Restarting => "restarting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Survived => "survived",
            Self::Stopped => "stopped",
            Self::Exited => "exited",
            Self::Failed => "failed",
        }
    }
}

/// Whether everything that has to run is ready and well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// It is.
    pub healthy: bool,
    /// Why, in one line.
    pub message: String,
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// For people.
    pub message: String,
}

/// What a program has printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// In order, without their ends.
    pub lines: Vec<String>,
    /// So many before them were thrown away, since whoever follows did not read them.
    pub lost: u64,
}

/// What to run to see a program's terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The command and its arguments.
    pub argv: Vec<String>,
}

impl Request {
    /// The line to send.
    pub fn to_line(&self) -> String {
        line(&Wire::from(self))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_line(text: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(text).map_err(|error| format!("not understood: {error}"))?;
        wire.try_into()
    }
}

/// The line that answers.
pub fn answer<T: Serialize>(body: &T) -> String {
    line(&Answered { v: VERSION, ok: true, body })
}

/// The line that says why not.
pub fn refusal(why: &str) -> String {
    line(&Answered { v: VERSION, ok: false, body: Refused { error: why } })
}

/// What an answer holds.
///
/// # Errors
/// Why not, for people.
pub fn read_answer<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let strange = |error: serde_json::Error| format!("the answer is not understood: {error}");
    let head: Head = serde_json::from_slice(text).map_err(strange)?;
    if !head.ok {
        return Err(head.error.unwrap_or_else(|| "it said no, and not why".to_owned()));
    }
    serde_json::from_slice(text).map_err(strange)
}

fn line<T: Serialize>(value: &T) -> String {
    // Only a map whose keys are no strings could not be written.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_was_asked_for() {
        let target = Target { program: "w\"eb\n".to_owned(), wait: false };
        let program = [("name".to_owned(), "x".into())].into_iter().collect();
        let name = || "web".to_owned();
        for request in [
            Request::Status,
            Request::Health,
            Request::Stop(target.clone()),
            Request::Start(target.clone()),
            Request::Restart(target.clone()),
            Request::Remove(target),
            Request::Signal { program: name(), signal: "HUP".to_owned() },
            Request::Add { program, wait: false },
            Request::Logs { program: name(), lines: Some(3), follow: true },
            Request::Attach { program: name() },
            Request::Reload { wait: true },
        ] {
            let line = request.to_line();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(Request::from_line(line.as_bytes()), Ok(request));
        }
    }

    #[test]
    fn what_is_left_out_has_its_usual_value_and_what_is_unknown_is_ignored() {
        let line = br#"{"v":1,"command":"stop","program":"web","later":[]}"#;
        let target = Target { program: "web".to_owned(), wait: true };
        assert_eq!(Request::from_line(line), Ok(Request::Stop(target)));
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        for (line, why) in [
            ("{\"v\":1,\"command\":\"stop\"}", "needs \"program\""),
            ("{\"v\":1,\"command\":\"add\",\"program\":\"x\"}", "an object"),
            ("{\"v\":1,\"command\":\"signal\",\"program\":\"x\"}", "such as \"SIGHUP\""),
            ("{\"v\":1,\"command\":\"sttaus\"}", "did you mean \"status\"?"),
            ("{\"command\":\"status\"}", "not 0"),
            ("hello", "not understood"),
        ] {
            let said = Request::from_line(line.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{line}: {said}");
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let why = Request::from_line(br#"{"v":2,"command":"implode"}"#).unwrap_err();
        assert_eq!(why, "this runinit speaks version 1 of the protocol, not 2");
    }

    #[test]
    fn an_answer_is_read_or_its_refusal_is() {
        let message = Message { message: "done".to_owned() };
        assert_eq!(answer(&message), "{\"v\":1,\"ok\":true,\"message\":\"done\"}\n");
        assert_eq!(read_answer(answer(&message).as_bytes()), Ok(message));
        assert_eq!(read_answer::<Message>(refusal("no").as_bytes()), Err("no".to_owned()));
        assert!(read_answer::<Message>(b"{\"v\":1,\"ok\":true}").is_err());
    }
}
