//! The options, one by one.

use super::Command;
use crate::core::budget::Budget;
use crate::core::plan::Rewrite;
use crate::core::signal::Signal;
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Looks up an environment variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The options as they were given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--grace`.
    pub grace: Option<Budget>,
    /// The grace where nobody says anything.
    pub default_grace: Option<Budget>,
    /// `--stop-signal`.
    pub stop_signal: Option<Signal>,
    /// `--rewrite`.
    pub rewrite: Rewrite,
    /// `--single-child`.
    pub single_child: bool,
    /// `--state-file`.
    pub state_file: Option<PathBuf>,
    /// The log filter, if it was said.
    pub log: Option<String>,
    /// `-v` less `-q`.
    pub verbosity: i32,
    /// What stands after `--`.
    pub command: Vec<OsString>,
}

const HINT: &str = "put -- before the command: runinit -- sleep 10";

pub(super) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let (mut options, mut parser) = begin(arguments, environment)?;
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Value(word) => {
                return Err(format!("{:?} is no subcommand; {HINT}", word.display().to_string()));
            }
            argument => options.take(&argument.into_owned_name(), &mut parser)?,
        }
    }
    if options.command.is_empty() && options.config.is_none() {
        return Err(format!("nothing to run; {HINT}, or name a fleet with --config FILE"));
    }
    Ok(Command::Run(options))
}

pub(super) fn parse_check(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let (mut options, mut parser) = begin(arguments, environment)?;
    let mut file = None;
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(another) if file.is_some() => {
                return Err(format!(
                    "one configuration at a time; what is {:?}?",
                    another.display().to_string()
                ));
            }
            Arg::Value(first) => file = Some(PathBuf::from(first)),
            argument => options.take(&argument.into_owned_name(), &mut parser)?,
        }
    }
    options.config = file.or(options.config);
    if options.config.is_none() {
        return Err("which configuration? runinit check FILE".to_owned());
    }
    Ok(Command::Check(options))
}

/// What the environment and the words after `--` say, and a parser for the words before it.
fn begin(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<(Options, Parser), String> {
    let arguments: Vec<OsString> = arguments.collect();
    let dashes = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let mut options = from_environment(environment)?;
    options.command = arguments.get(dashes + 1..).unwrap_or_default().to_vec();
    Ok((options, Parser::from_args(arguments[..dashes].iter().cloned())))
}

fn refused(error: &lexopt::Error) -> String {
    format!("{error}; see runinit --help")
}

/// The name of an option, apart from the parser that it borrows from.
enum Name {
    Short(char),
    Long(String),
}

trait IntoOwnedName {
    fn into_owned_name(self) -> Name;
}

impl IntoOwnedName for Arg<'_> {
    fn into_owned_name(self) -> Name {
        match self {
            Arg::Short(letter) => Name::Short(letter),
            Arg::Long(word) => Name::Long(word.to_owned()),
            Arg::Value(word) => Name::Long(word.display().to_string()),
        }
    }
}

impl Options {
    fn take(&mut self, name: &Name, parser: &mut Parser) -> Result<(), String> {
        let mut value = || parser.value().map_err(|e| refused(&e));
        match name {
            Name::Short('c') => self.config = Some(value()?.into()),
            Name::Short('v') => self.verbosity += 1,
            Name::Short('q') => self.verbosity -= 1,
            Name::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Name::Long(word) => match word.as_str() {
                "config" => self.config = Some(value()?.into()),
                "grace" => self.grace = Some(grace(&value()?, "--grace")?),
                "stop-signal" => self.stop_signal = Some(signal(&value()?, "--stop-signal")?),
                "rewrite" => self.add_rewrite(&value()?)?,
                "single-child" => self.single_child = true,
                "state-file" => self.state_file = Some(value()?.into()),
                "control" => return Err("--control is not in this version yet".to_owned()),
                word => return Err(unknown(&format!("--{word}"))),
            },
        }
        Ok(())
    }

    fn add_rewrite(&mut self, value: &OsStr) -> Result<(), String> {
        let text = value.to_string_lossy();
        let wrong = || format!("--rewrite {text}: write it as FROM:TO, two signals, or FROM:0 to drop it");
        let (from, to) = text.split_once(':').ok_or_else(wrong)?;
        let from = Signal::parse(from).ok_or_else(wrong)?;
        let to = if to == "0" { None } else { Some(Signal::parse(to).ok_or_else(wrong)?) };
        self.rewrite.insert(from, to);
        Ok(())
    }
}

fn from_environment(environment: &Environment<'_>) -> Result<Options, String> {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    let in_kubernetes = given("KUBERNETES_SERVICE_HOST").is_some();
    let default_grace = std::time::Duration::from_secs(if in_kubernetes { 29 } else { 9 });
    if given("RUNINIT_CONTROL").is_some() {
        return Err("RUNINIT_CONTROL is not in this version yet".to_owned());
    }
    Ok(Options {
        config: given("RUNINIT_CONFIG").map(PathBuf::from),
        grace: given("RUNINIT_GRACE").map(|value| grace(&value, "RUNINIT_GRACE")).transpose()?,
        default_grace: Some(Budget::Within(default_grace)),
        stop_signal: given("RUNINIT_STOP_SIGNAL").map(|v| signal(&v, "RUNINIT_STOP_SIGNAL")).transpose()?,
        state_file: given("RUNINIT_STATE_FILE").map(PathBuf::from),
        log: given("RUNINIT_LOG").map(|value| value.to_string_lossy().into_owned()),
        ..Options::default()
    })
}

fn grace(value: &OsStr, name: &str) -> Result<Budget, String> {
    let text = value.to_string_lossy();
    Budget::parse(&text).map_err(|why| format!("{name} {text}: {why}; write it as 9s, 1m30s or forever"))
}

fn signal(value: &OsStr, name: &str) -> Result<Signal, String> {
    let text = value.to_string_lossy();
    Signal::parse(&text)
        .ok_or_else(|| format!("{name} {text}: no such signal; write it as SIGTERM, TERM or 15"))
}

fn unknown(option: &str) -> String {
    format!("unknown option {option}; see runinit --help")
}
