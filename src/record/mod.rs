//! The record, `shutdown_state.json`: what happened, for people and programs.

mod build;
mod last_output;
mod read;

pub use build::{Clock, LastLines, build};
pub use read::read;
use serde::{Deserialize, Serialize};

/// The version of the fields.
pub const SCHEMA: u32 = 1;

/// The whole record. Times in `_ms` count from the beginning of the shutdown, or of the run while there is none.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How far the run is.
    pub phase: Phase,
    /// When the shutdown began: RFC 3339, UTC, milliseconds.
    pub shutdown_time: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// A signal asked for it.
    pub signal_received: bool,
    /// Which, and who sent it.
    pub signal: Option<Signal>,
    /// The grace; null: for ever.
    pub budget_ms: Option<u64>,
    /// How long the shutdown took.
    pub elapsed_ms: u64,
    /// runinit's own.
    pub exit_code: Option<u8>,
    /// Programs that were alive when the shutdown began.
    pub active_tasks: Vec<String>,
    /// Every program.
    pub programs: Vec<Program>,
    /// The tmux servers that programs are in, where they are runinit's own: for a start after a kill.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmux_servers: Vec<TmuxServer>,
    /// Processes outside all groups that were still there at the end.
    pub strays: Vec<Stray>,
    /// What even SIGKILL did not end in time.
    pub survivors: Vec<Survivor>,
    /// Children reaped in the whole run.
    pub reaped: Reaped,
    /// The newest thousand things that happened, in order.
    pub timeline: Vec<Entry>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No shutdown has begun.
    #[default]
    Running,
    /// One has.
    Stopping,
    /// It is over. A file without this is that of a run that was killed.
    Stopped,
}

impl Phase {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// The signal that asked for the shutdown.
#[derive(Debug, Default, Serialize)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// Who sent it; 0: somebody in another PID namespace, null: the kernel.
    pub sender_pid: Option<i32>,
    /// The sender's user.
    pub sender_uid: Option<u32>,
    /// The sender's command line, if it could be read.
    pub sender_command: Option<String>,
}

/// A program.
#[derive(Debug, Default, Serialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// `process`, or `tmux` for one that lives in a tmux session.
    pub kind: String,
    /// Its end is the end of everything.
    pub main: bool,
    /// The programs that it starts after, and so stops before.
    pub after: Vec<String>,
    /// Its leader's.
    pub pid: Option<i32>,
    /// Its group's.
    pub pgid: Option<i32>,
    /// Its tmux session.
    pub session: Option<String>,
    /// The socket of its tmux server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// RFC 3339, UTC, milliseconds.
    pub started_at: Option<String>,
    /// Those that come after it may start.
    pub ready: bool,
    /// How often it was started again by its policy.
    pub restarts: u32,
    /// How its leader ended.
    pub exit: Option<Exit>,
    /// What it took.
    pub stopped_by: Option<String>,
    /// What its leader did with signals, if it outlived its first stop signal.
    pub signals: Option<Signals>,
    /// What was tried.
    pub steps: Vec<Step>,
    /// The last lines it printed, where runinit sees them.
    pub last_output: Vec<String>,
}

/// A tmux server of runinit's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmuxServer {
    /// Where it listens, as in `[tmux]`.
    pub socket: String,
    /// Its pid, once it has one.
    pub pid: Option<i32>,
}

/// How a leader ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(String),
}

/// What a leader did with signals.
#[derive(Debug, Default, Serialize)]
pub struct Signals {
    /// Names of those that do nothing to it.
    pub ignored: Vec<String>,
    /// Names of those that it has a handler for.
    pub caught: Vec<String>,
    /// Names of those that wait.
    pub blocked: Vec<String>,
}

/// A step of a cascade.
#[derive(Debug, Default, Serialize)]
pub struct Step {
    /// What was done.
    pub step: String,
    /// When.
    pub at_ms: i64,
    /// How long until the next step, or the end.
    pub waited_ms: u64,
}

/// A process that had left its group.
#[derive(Debug, Default, Serialize)]
pub struct Stray {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The program whose group it had left; null: nobody knows.
    pub program: Option<String>,
    /// What it took.
    pub stopped_by: String,
}

/// A process that SIGKILL did not end in time.
#[derive(Debug, Default, Serialize)]
pub struct Survivor {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Its state as a letter (proc(5)).
    pub state: char,
}

/// Children reaped in the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaped {
    /// Those that runinit had started.
    pub programs: u64,
    /// Those that it had inherited.
    pub orphans: u64,
}

/// Something that happened.
#[derive(Debug, Default, Serialize)]
pub struct Entry {
    /// When.
    pub at_ms: i64,
    /// To which program.
    pub program: Option<String>,
    /// What.
    pub event: String,
}

impl Record {
    /// As it is written: indented, since people read it, with a newline at the end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

/// What is asked of the last run's record.
#[derive(Debug, Deserialize)]
pub struct Last {
    /// How far that run came.
    pub phase: Phase,
    /// Its programs.
    #[serde(default)]
    pub programs: Vec<LastProgram>,
    /// Its tmux servers.
    #[serde(default)]
    pub tmux_servers: Vec<TmuxServer>,
}

/// A program of the last run.
#[derive(Clone, Debug, Deserialize)]
pub struct LastProgram {
    /// Its name.
    pub name: String,
    /// Its leader's.
    pub pid: Option<i32>,
    /// Its tmux session.
    #[serde(default)]
    pub session: Option<String>,
    /// The socket of its tmux server.
    #[serde(default)]
    pub socket: Option<String>,
}

/// What the last run left in its record; `None` if there is no record that can be read.
pub fn last(json: &[u8]) -> Option<Last> {
    serde_json::from_slice::<Last>(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_killed_is_recognised() {
        assert_eq!(
            last(br#"{"schema": 1, "phase": "stopping"}"#).map(|last| last.phase),
            Some(Phase::Stopping)
        );
        assert!(last(br#"{"phase": "asleep"}"#).is_none());
        assert!(last(b"{").is_none());
    }
}
