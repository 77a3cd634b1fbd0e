//! When a program counts as ready and as well, and whether it is started again.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How a program tells, or is seen to be, ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The way.
    pub by: ReadyBy,
    /// A program that is not ready by then has failed.
    pub timeout: Duration,
}

/// The way in which a program becomes ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyBy {
    /// It says `READY=1` on its `NOTIFY_SOCKET` (`sd_notify(3)`).
    Notify,
    /// It writes a newline to this descriptor, s6's way.
    Descriptor(i32),
    /// It is asked, again and again.
    Check(Check),
    /// It has run this long.
    Delay(Duration),
}

/// A question about a program that somebody else answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Does this command exit with 0?
    Exec(Vec<OsString>),
    /// Does somebody listen here? `HOST:PORT`, the host a number.
    Tcp(std::net::SocketAddr),
    /// Is there such a file?
    File(PathBuf),
}

/// How a program is seen to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// From one answer to the next question.
    pub every: Duration,
    /// No answer by then is a no.
    pub timeout: Duration,
    /// So many noes in a row, and the program is stopped and has failed.
    pub failures: u32,
}

/// Whether a program that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// It is not.
    #[default]
    Never,
    /// If it failed.
    OnFailure,
    /// It is.
    Always,
}

/// How soon, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait; each later one is twice as long.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// So many restarts within [`Backoff::within`], and it has failed for good.
    pub burst: u32,
    /// See [`Backoff::burst`]. A program that ran this long begins with the first wait again.
    pub within: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_secs(30),
            burst: 5,
            within: Duration::from_mins(1),
        }
    }
}
