//! The options, one by one.

use super::Command;
use super::surface::{SURFACE, Subcommand, subcommand};
use crate::config::{self, Reading};
use crate::core::budget::Budget;
use crate::core::forwarding::forwardable;
use crate::core::plan::Rewrite;
use crate::core::signal::Signal;
use crate::os::mark;
use lexopt::{Arg, Parser};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Looks up an environment variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The options as they were given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// When that is read.
    pub reading: Reading,
    /// `--grace`.
    pub grace: Option<Budget>,
    /// The grace where nobody says anything.
    pub default_grace: Option<Budget>,
    /// Kubernetes says that it runs this.
    pub in_kubernetes: bool,
    /// `--stop-signal`.
    pub stop_signal: Option<Signal>,
    /// `--rewrite`.
    pub rewrite: Rewrite,
    /// `--single-child`.
    pub single_child: bool,
    /// `--state-file`.
    pub state_file: Option<PathBuf>,
    /// `--control`.
    pub control: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<OsString>,
    /// This is the fleet of a drill: it only tries how it stops.
    pub is_drill: bool,
    /// The log filter, if it was said.
    pub log: Option<String>,
    /// `-v` less `-q`.
    pub verbosity: i32,
    /// What stands after `--`.
    pub command: Vec<OsString>,
    /// What is wrong with a variable, by the name of the option that would be taken in place of it.
    pub(super) refused: BTreeMap<&'static str, String>,
}

/// Tells a fleet that this is a drill. It reaches runinits below it, too, as it should.
pub const DRILL: &str = "RUNINIT_DRILL";

/// What an image sets is for its runinit. The programs of that get it as it is, and a runinit inside one of them would start
/// the fleet that it is in once more, and so without end.
const FOR_THE_OUTER: [&str; 3] = [CONFIG, "RUNINIT_STATE_FILE", "RUNINIT_CONTROL"];
const CONFIG: &str = "RUNINIT_CONFIG";

const HINT: &str = "put -- before the command: runinit -- sleep 10";

pub(super) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let is_inside = environment(mark::NAME).is_some_and(|mark| !mark.is_empty());
    let is_for_outer = |name: &str| is_inside && FOR_THE_OUTER.contains(&name);
    let own = |name: &str| environment(name).filter(|_| !is_for_outer(name));
    let (mut options, mut parser) = begin(arguments, &own);
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match known(argument, &SURFACE[0])? {
            Arg::Short('h') | Arg::Long("help") => return only(&mut parser, Command::Help(&SURFACE[0])),
            Arg::Short('V') | Arg::Long("version") => return only(&mut parser, Command::Version),
            Arg::Value(word) => {
                return Err(format!("{:?} is no subcommand; {HINT}", word.display().to_string()));
            }
            argument => options.take(&argument.into_owned_name(), &mut parser)?,
        }
    }
    if options.command.is_empty() && options.config.is_none() {
        let is_set = is_inside && environment(CONFIG).is_some_and(|value| !value.is_empty());
        let why =
            if is_set { ": inside a program of another runinit RUNINIT_CONFIG does not count" } else { "" };
        return Err(format!("nothing to run{why}; {HINT}, or name a fleet with --config FILE"));
    }
    Ok(Command::Run(options.complete()?))
}

pub(super) fn parse_check(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let (mut options, mut parser) = begin(arguments, environment);
    let mut file = None;
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match known(argument, subcommand("check"))? {
            Arg::Short('h') | Arg::Long("help") => {
                return only(&mut parser, Command::Help(subcommand("check")));
            }
            Arg::Value(word) => take_file(&mut file, word)?,
            argument => options.take(&argument.into_owned_name(), &mut parser)?,
        }
    }
    options.config = file.or(options.config);
    if options.config.is_none() {
        return Err("which configuration? runinit check FILE".to_owned());
    }
    Ok(Command::Check(options.complete()?))
}

/// A pass of hygiene.
#[derive(Clone, Debug)]
pub enum Cleaning {
    /// For somebody who types it, and who may only want to know.
    ByHand {
        /// Which configuration.
        options: Box<Options>,
        /// Nothing is to be done, it is only to be said.
        is_dry: bool,
    },
    /// For an init, whose errand is on standard input.
    Errand,
}

pub(super) fn parse_hygiene(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let (mut options, mut parser) = begin(arguments, environment);
    let (mut file, mut is_dry) = (None, false);
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        // What an init says is not for people, so the table does not have it.
        if argument == Arg::Long("errand") {
            return Ok(Command::Clean(Cleaning::Errand));
        }
        match known(argument, subcommand("hygiene"))? {
            Arg::Short('h') | Arg::Long("help") => {
                return only(&mut parser, Command::Help(subcommand("hygiene")));
            }
            Arg::Long("control") => return Err(unknown("--control")),
            Arg::Long("dry-run") => is_dry = true,
            Arg::Value(word) => take_file(&mut file, word)?,
            argument => options.take(&argument.into_owned_name(), &mut parser)?,
        }
    }
    if let Some(word) = options.command.first() {
        return Err(format!("hygiene takes no command; what is {:?}?", word.display().to_string()));
    }
    options.config = file.or(options.config);
    if options.config.is_none() {
        return Err("which configuration? runinit hygiene --config FILE".to_owned());
    }
    // It takes nothing from the variables that may make no sense.
    Ok(Command::Clean(Cleaning::ByHand { options: Box::new(options), is_dry }))
}

/// The one configuration that is named without an option.
fn take_file(file: &mut Option<PathBuf>, word: OsString) -> Result<(), String> {
    if file.is_some() {
        return Err(format!("one configuration at a time; what is {:?}?", word.display().to_string()));
    }
    *file = Some(path(word, "FILE")?);
    Ok(())
}

/// What the environment and the words after `--` say, and a parser for the words before it.
pub(super) fn begin(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> (Options, Parser) {
    let arguments: Vec<OsString> = arguments.collect();
    let dashes = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let mut options = from_environment(environment);
    options.command = arguments.get(dashes + 1..).unwrap_or_default().to_vec();
    (options, Parser::from_args(arguments[..dashes].iter().cloned()))
}

pub(super) fn refused(error: &lexopt::Error) -> String {
    format!("{error}; see runinit --help")
}

/// What an option asks for that ends the reading, once it is known that nothing was given to it (`--help=1`).
pub(super) fn only<T>(parser: &mut Parser, asked: T) -> Result<T, String> {
    parser.next().map(|_| asked).map_err(|e| refused(&e))
}

/// The argument, if the table of the surface has it: an option that is not told of is none.
pub(super) fn known<'a>(argument: Arg<'a>, subcommand: &Subcommand) -> Result<Arg<'a>, String> {
    match argument {
        Arg::Short(letter) if !subcommand.knows(&letter.to_string()) => Err(unknown(&format!("-{letter}"))),
        // It is refused with a reason of its own.
        Arg::Long("control") => Ok(argument),
        Arg::Long(word) if !subcommand.knows(word) => Err(unknown(&format!("--{word}"))),
        argument => Ok(argument),
    }
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
    /// Nothing more is said: a variable that no option stands for has to make sense.
    pub(super) fn complete(mut self) -> Result<Self, String> {
        self.refused.pop_first().map_or(Ok(self), |(_, why)| Err(why))
    }

    fn take(&mut self, name: &Name, parser: &mut Parser) -> Result<(), String> {
        let mut value = || parser.value().map_err(|e| refused(&e));
        match name {
            Name::Short('c') => self.config = Some(path(value()?, "-c")?),
            Name::Short('v') => self.verbosity += 1,
            Name::Short('q') => self.verbosity -= 1,
            Name::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Name::Long(word) => match word.as_str() {
                "config" => self.config = Some(path(value()?, "--config")?),
                "grace" => self.take_grace(&value()?)?,
                "stop-signal" => {
                    self.stop_signal = Some(signal(&value()?, "--stop-signal")?);
                    self.refused.remove("stop-signal");
                }
                "rewrite" => self.add_rewrite(&value()?)?,
                "single-child" => self.single_child = true,
                "state-file" => self.state_file = Some(path(value()?, "--state-file")?),
                "control" => self.control = Some(path(value()?, "--control")?),
                word => return Err(unknown(&format!("--{word}"))),
            },
        }
        Ok(())
    }

    pub(super) fn take_grace(&mut self, value: &OsStr) -> Result<(), String> {
        self.grace = Some(grace(value, "--grace")?);
        self.refused.remove("grace");
        Ok(())
    }

    fn add_rewrite(&mut self, value: &OsStr) -> Result<(), String> {
        let text = value.to_string_lossy();
        let (from, to) = text.split_once(':').ok_or_else(|| {
            format!("--rewrite {text:?}: write it as FROM:TO, two signals, or FROM:0 to drop it")
        })?;
        let wrong = |why| format!("--rewrite {text:?}: {why}");
        let from = config::signal_named(from).and_then(forwardable).map_err(wrong)?;
        let to = if to == "0" { None } else { Some(config::signal_named(to).map_err(wrong)?) };
        self.rewrite.insert(from, to);
        Ok(())
    }
}

fn from_environment(environment: &Environment<'_>) -> Options {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    let in_kubernetes = given("KUBERNETES_SERVICE_HOST").is_some();
    let default_grace = std::time::Duration::from_secs(if in_kubernetes { 29 } else { 9 });
    let mut refused = BTreeMap::new();
    Options {
        config: given(CONFIG).map(PathBuf::from),
        grace: given("RUNINIT_GRACE").and_then(|value| {
            grace(&value, "RUNINIT_GRACE").map_err(|why| refused.insert("grace", why)).ok()
        }),
        in_kubernetes,
        default_grace: Some(Budget::Within(default_grace)),
        stop_signal: given("RUNINIT_STOP_SIGNAL").and_then(|value| {
            signal(&value, "RUNINIT_STOP_SIGNAL").map_err(|why| refused.insert("stop-signal", why)).ok()
        }),
        state_file: given("RUNINIT_STATE_FILE").map(PathBuf::from),
        control: given("RUNINIT_CONTROL").map(PathBuf::from),
        runtime_directory: given("XDG_RUNTIME_DIR"),
        is_drill: given(DRILL).is_some(),
        log: given("RUNINIT_LOG").map(|value| value.to_string_lossy().into_owned()),
        refused,
        ..Options::default()
    }
}

/// A path. An empty one is what a script's empty variable leaves, and no file has it.
pub(super) fn path(value: OsString, name: &str) -> Result<PathBuf, String> {
    if value.is_empty() { Err(format!("{name}: \"\" names no file")) } else { Ok(value.into()) }
}

fn grace(value: &OsStr, name: &str) -> Result<Budget, String> {
    let text = value.to_string_lossy();
    Budget::parse(&text).map_err(|why| format!("{name}: {why}"))
}

fn signal(value: &OsStr, name: &str) -> Result<Signal, String> {
    let text = value.to_string_lossy();
    config::signal_named(&text).map_err(|why| format!("{name}: {why}"))
}

pub(super) fn unknown(option: &str) -> String {
    format!("unknown option {option}; see runinit --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hygiene_takes_one_configuration_and_nothing_else() {
        let asked = |words: &str, environment: &Environment<'_>| {
            let words = words.split(' ').map(OsString::from);
            match parse_hygiene(words, environment)? {
                Command::Clean(Cleaning::ByHand { options, is_dry }) => Ok((options.config.unwrap(), is_dry)),
                other => Err(format!("{other:?}")),
            }
        };
        let nothing = |_: &str| None;
        assert_eq!(asked("--dry-run a", &nothing), Ok(("a".into(), true)));
        assert!(asked("a b", &nothing).unwrap_err().contains("what is \"b\"?"));
        assert!(asked("-c a -- b c", &nothing).unwrap_err().contains("takes no command; what is \"b\"?"));
        // It neither stops anything by them nor lasts so long.
        let bad =
            |name: &str| ["RUNINIT_GRACE", "RUNINIT_STOP_SIGNAL"].contains(&name).then(|| "soon".into());
        assert_eq!(asked("-c a", &bad), Ok(("a".into(), false)));
    }
}
