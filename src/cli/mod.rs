//! The command line, and what it makes of a configuration: a plan.

mod help;
mod options;
pub mod personality;
mod plan;

pub use help::HELP;
pub use options::{Environment, Options};
pub use plan::{Manner, Run, plan};

use std::ffi::OsString;

/// What was asked for.
#[derive(Debug)]
pub enum Command {
    /// Start something.
    Run(Options),
    /// Say what a configuration would do.
    Check(Options),
    /// Say how runinit is used.
    Help,
    /// Say which version this is.
    Version,
}

/// Subcommands that have no use without the control socket.
const LATER: [&str; 10] =
    ["status", "health", "explain", "stop", "start", "restart", "signal", "logs", "attach", "drill"];

/// Reads the arguments (without the name) and the environment.
///
/// # Errors
/// What is wrong and what to do, for people.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    let first = arguments.peek().and_then(|word| word.to_str()).unwrap_or_default();
    match first {
        "check" => options::parse_check(arguments.skip(1), environment),
        word if LATER.contains(&word) => Err(format!("\"{word}\" is not in this version yet")),
        _ => options::parse(arguments, environment),
    }
}
