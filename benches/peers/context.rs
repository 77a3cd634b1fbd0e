//! Errors are sentences: a benchmark that fails says what it was doing.

use std::fmt::Display;

/// What every fallible step here returns.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Puts what was being done in front of why it failed.
pub(crate) trait Context<T> {
    /// `doing` names the step, with the file or process it was about.
    fn while_doing(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn while_doing(self, doing: impl Display) -> Result<T> {
        self.map_err(|why| format!("{doing}: {why}"))
    }
}
