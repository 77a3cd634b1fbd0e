//! What is asked.

use super::{VERSION, line};
use crate::config::nearest::hint;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// How everything is: [`Status`](super::Status).
    Status,
    /// Whether everything that has to run is ready and well: [`Health`](super::Health).
    Health,
    /// Stop a program, and first those that come after it. Like all that follow, answered by a [`Message`](super::Message).
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
    /// What a program has printed last: [`Lines`](super::Lines), and with `follow` more of them as they come.
    Logs {
        /// Its name.
        program: String,
        /// At most so many; all that are kept if nobody says.
        lines: Option<usize>,
        /// Hang up only when somebody else does.
        follow: bool,
    },
    /// How a program's terminal can be seen: [`Attach`](super::Attach).
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

impl Request {
    /// True for one that is answered when it is done.
    pub fn waits(&self) -> bool {
        match self {
            Self::Stop(target) | Self::Start(target) | Self::Restart(target) | Self::Remove(target) => {
                target.wait
            }
            Self::Add { wait, .. } | Self::Reload { wait } => *wait,
            Self::Status | Self::Health | Self::Signal { .. } | Self::Logs { .. } | Self::Attach { .. } => {
                false
            }
        }
    }

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
}
