//! The record, `shutdown_state.json`: what happened, for people and programs.

mod build;

pub use build::{Clock, LastLines, build};
use serde::{Deserialize, Serialize};

/// The version of the fields.
pub const SCHEMA: u32 = 1;

/// The whole record. Times in `_ms` count from the beginning of the shutdown, or of the run while there is none.
#[derive(Debug, Serialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How far the run is.
    pub phase: Phase,
    /// When the shutdown began: RFC 3339, UTC, milliseconds.
    pub shutdown_time: Option<String>,
    /// Why.
    pub reason: Option<&'static str>,
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
    /// Processes that nobody managed and that were still there at the end.
    pub strays: Vec<Stray>,
    /// What even SIGKILL did not end in time.
    pub survivors: Vec<Survivor>,
    /// Children reaped in the whole run.
    pub reaped: Reaped,
    /// The newest thousand things that happened, in order.
    pub timeline: Vec<Entry>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No shutdown has begun.
    Running,
    /// One has.
    Stopping,
    /// It is over. A file without this is that of a run that was killed.
    Stopped,
}

/// The signal that asked for the shutdown.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// `process`.
    pub kind: &'static str,
    /// Its leader's.
    pub pid: Option<i32>,
    /// Its group's.
    pub pgid: Option<i32>,
    /// Its tmux session.
    pub session: Option<String>,
    /// RFC 3339, UTC, milliseconds.
    pub started_at: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// How its leader ended.
    pub exit: Option<Exit>,
    /// What it took.
    pub stopped_by: Option<String>,
    /// What was tried.
    pub steps: Vec<Step>,
    /// The last lines it printed, where runinit sees them.
    pub last_output: Vec<String>,
}

/// How a leader ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(String),
}

/// A step of a cascade.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub step: String,
    /// When.
    pub at_ms: i64,
    /// How long until the next step, or the end.
    pub waited_ms: u64,
}

/// A process that nobody managed.
#[derive(Debug, Serialize)]
pub struct Stray {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// What it took.
    pub stopped_by: String,
}

/// A process that SIGKILL did not end in time.
#[derive(Debug, Serialize)]
pub struct Survivor {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Its state as a letter (proc(5)).
    pub state: char,
}

/// Children reaped.
#[derive(Debug, Serialize)]
pub struct Reaped {
    /// Those that runinit had started.
    pub programs: u64,
    /// Those that it had inherited.
    pub orphans: u64,
}

/// Something that happened.
#[derive(Debug, Serialize)]
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
struct Last {
    phase: Phase,
}

/// The phase in which the last run left its record; `None` if there is no record that can be read.
pub fn last_phase(json: &[u8]) -> Option<Phase> {
    serde_json::from_slice::<Last>(json).ok().map(|last| last.phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_killed_is_recognised() {
        assert_eq!(last_phase(br#"{"schema": 1, "phase": "stopping"}"#), Some(Phase::Stopping));
        assert_eq!(last_phase(br#"{"phase": "asleep"}"#), None);
        assert_eq!(last_phase(b"{"), None);
    }
}
