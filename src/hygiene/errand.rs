//! What a pass has to know from the running init, and what it tells it.

use crate::core::hygiene::Hygiene;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What one pass is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// What the configuration wants.
    pub hygiene: Hygiene,
    /// The time there is for it.
    pub lasts: Duration,
    /// The process id of the init.
    pub init: i32,
    /// Everything that the init sees ended is about to be: its sessions go with it.
    pub is_last: bool,
    /// Sessions of the init's own programs, which are nobody's orphans.
    pub own_sessions: BTreeSet<String>,
    /// Those of them that it has ended in this shutdown.
    pub ended_sessions: BTreeSet<String>,
    /// What has been told already and is not told again.
    pub told: BTreeSet<String>,
}

/// Something that was done or seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// It is to be looked into.
    pub is_warning: bool,
    /// For people.
    pub text: String,
    /// What is not to be told again, for the next errand.
    pub told: Vec<String>,
}
