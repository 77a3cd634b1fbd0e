//! What every test file needs: a stage for an init, the inits themselves, looks into /proc, and conditions with a
//! deadline. Nothing here waits for a time.
#![allow(dead_code, unused_imports, unused_macros)] // compiled into every test file, and each uses another part

mod init;
mod lateness;
mod missing;
mod procfs;
pub(crate) mod pty;
mod record;
mod stage;
mod sys;
pub(crate) mod table;

pub(crate) use init::{How, Init, Name, probe, runinit, words};
pub(crate) use lateness::Lateness;
pub(crate) use missing::goes_without;
pub(crate) use procfs::{Process, descendants, process};
pub(crate) use record::Record;
pub(crate) use stage::{End, Place, Running, Stage, send};
pub(crate) use sys::set_attribute;

use std::time::{Duration, Instant};

/// What went wrong, if anything did.
pub(crate) type Outcome = Result<(), String>;

/// A test's end.
pub(crate) type Tested = Result<(), Trouble>;

/// What went wrong, shown with line breaks and not with escapes.
pub(crate) struct Trouble(String);

impl<T: Into<String>> From<T> for Trouble {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long something that has to happen may take on a busy machine before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long something must not have happened to count as never, where never is what is expected.
pub(crate) const HANG: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Looks until the condition holds or the patience is over; says which.
pub(crate) fn until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// Ends the test with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;
