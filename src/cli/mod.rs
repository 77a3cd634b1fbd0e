//! The command line, and what it makes of a configuration: a plan.

mod ask;
mod completions;
mod drill;
mod explain;
mod help;
pub mod hygiene;
mod manual;
mod options;
pub mod personality;
mod plan;
pub mod surface;

pub use completions::completions;
pub use drill::Drill;
pub use explain::{Explain, screen};
pub use help::help;
pub use manual::manual;
pub use options::{Cleaning, DRILL, Environment, Options};
pub use plan::{Manner, Places, Run, plan};

use crate::control::Ask;
use std::ffi::OsString;
use surface::Subcommand;

/// What was asked for.
#[derive(Debug)]
pub enum Command {
    /// Start something.
    Run(Options),
    /// Say what a configuration would do.
    Check(Options),
    /// Clean up behind agents, once.
    Clean(Cleaning),
    /// Draw a record, or say what an exit code means.
    Explain(Explain),
    /// Start a fleet, stop it, and say how that went.
    Drill(Drill),
    /// Ask a runinit that runs.
    Ask(Ask),
    /// Say this; the answer is made already.
    Print(String),
    /// Say how runinit, or a subcommand of it, is used.
    Help(&'static Subcommand),
    /// Say which version this is.
    Version,
}

/// Reads the arguments (without the name) and the environment.
///
/// # Errors
/// What is wrong and what to do, for people.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    let first = arguments.peek().and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    if surface::names().any(|name| name == first) {
        arguments.next();
        return parse_subcommand(&first, arguments, environment);
    }
    options::parse(arguments, environment)
}

#[inline(never)]
fn parse_subcommand(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    match name {
        "check" => options::parse_check(arguments, environment),
        "hygiene" => options::parse_hygiene(arguments, environment),
        "explain" => explain::parse(arguments, environment),
        "drill" => drill::parse(arguments, environment),
        "completions" => parse_completions(arguments),
        "man" => parse_man(arguments),
        _ => ask::parse(name, arguments, environment),
    }
}

fn parse_completions(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-h" | "--help"] => Ok(Command::Help(surface::subcommand("completions"))),
        [shell] => match completions(shell) {
            Some(script) => Ok(Command::Print(script)),
            None => Err(format!("{shell:?} is no shell that is known: runinit completions bash|zsh|fish")),
        },
        _ => Err("for which shell? runinit completions bash|zsh|fish".to_owned()),
    }
}

fn parse_man(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    match arguments.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        None => Ok(Command::Print(manual())),
        Some("-h" | "--help") => Ok(Command::Help(surface::subcommand("man"))),
        Some(word) => Err(format!("runinit man takes nothing; what is {word:?}?")),
    }
}
