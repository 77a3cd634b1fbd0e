//! What is cleaned up behind agents, as `[hygiene]` says.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What a pass does, and how often there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hygiene {
    /// From the beginning of a pass to that of the next.
    pub every: Duration,
    /// Orphaned sessions are ended.
    pub sessions: Option<Sessions>,
    /// Finished workspaces, of those that the sessions' agents work in, are deleted.
    pub workspaces: Option<Workspaces>,
    /// Nothing is done, it is only said.
    pub dry_run: bool,
}

/// Whose sessions are looked at, and where it is written which of them are still needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Every session of an agent is named so, then its task, a hyphen and its own id.
    pub prefix: String,
    /// A name (`tmux -L`) or, with a slash in it, a path (`tmux -S`).
    pub socket: String,
    /// Holds a directory for each task.
    pub workspaces: PathBuf,
    /// The name of the file in each workspace that lists its agents.
    pub registry: String,
    /// An agent whose session was ended becomes `terminated` there.
    pub update: bool,
}

/// Which workspaces are finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspaces {
    /// Nothing was written to the registry for so long.
    pub older_than: Duration,
    /// The task has one of these.
    pub statuses: Vec<String>,
}
