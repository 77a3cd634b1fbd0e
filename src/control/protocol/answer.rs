//! What is answered: the fields of the answer beside the version and `ok`, or why not.

use super::{VERSION, line};
use crate::record::{Exit, Phase, Reaped};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
    /// How long ago its shutdown began; null while it runs.
    pub stopping_ms: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_or_its_refusal_is() {
        let message = Message { message: "done".to_owned() };
        assert_eq!(answer(&message), "{\"v\":1,\"ok\":true,\"message\":\"done\"}\n");
        assert_eq!(read_answer(answer(&message).as_bytes()), Ok(message));
        assert_eq!(read_answer::<Message>(refusal("no").as_bytes()), Err("no".to_owned()));
        assert!(read_answer::<Message>(b"{\"v\":1,\"ok\":true}").is_err());
    }
}
