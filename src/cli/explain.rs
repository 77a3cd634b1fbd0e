//! The words of `runinit explain`.

use super::options::{known, only, path, refused, unknown};
use super::surface::subcommand;
use super::{Command, Environment};
use crate::config::{self, MainCommand, Reading};
use crate::explain::Screen;
use crate::os::terminal;
use crate::runtime::DEFAULT_PATH;
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    /// An exit code.
    pub code: Option<u8>,
    /// The record, if somebody said which.
    pub file: Option<PathBuf>,
    /// Where the picture is to go as SVG.
    pub svg: Option<PathBuf>,
    /// Where a run would put its record, if the environment says so.
    from_environment: Option<PathBuf>,
    /// The fleet that may say so.
    config: Option<PathBuf>,
}

impl Explain {
    /// Where the record is.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration that is to say so.
    pub fn path(&self) -> Result<PathBuf, Vec<config::Diagnostic>> {
        if let Some(path) = self.file.clone().or_else(|| self.from_environment.clone()) {
            return Ok(path);
        }
        let fleet = self
            .config
            .as_ref()
            .map(|path| config::load(path, MainCommand::NotNeeded, Reading::AtStart))
            .transpose()?;
        Ok(fleet.and_then(|fleet| fleet.init.state_file).unwrap_or_else(|| DEFAULT_PATH.into()))
    }
}

pub(super) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut explain = Explain {
        from_environment: given("RUNINIT_STATE_FILE"),
        config: given("RUNINIT_CONFIG"),
        ..Explain::default()
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match known(argument, subcommand("explain"))? {
            Arg::Short('h') | Arg::Long("help") => {
                return only(&mut parser, Command::Help(subcommand("explain")));
            }
            Arg::Short('c') | Arg::Long("config") => {
                explain.config = Some(path(parser.value().map_err(|e| refused(&e))?, "--config")?);
            }
            Arg::Long("svg") => {
                explain.svg = Some(path(parser.value().map_err(|e| refused(&e))?, "--svg")?);
            }
            Arg::Value(word) => explain.take(word)?,
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Arg::Long(word) => return Err(unknown(&format!("--{word}"))),
        }
    }
    Ok(Command::Explain(explain))
}

impl Explain {
    /// A number is an exit code; a file of that name is `./137`.
    fn take(&mut self, word: OsString) -> Result<(), String> {
        let number = word.to_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        match number {
            Some(text) if self.code.is_none() && self.file.is_none() && !text.is_empty() => {
                let code =
                    text.parse().map_err(|_| format!("{text} is no exit code: they go from 0 to 255"))?;
                self.code = Some(code);
                Ok(())
            }
            _ if self.file.is_none() => {
                self.file = Some(path(word, "FILE")?);
                Ok(())
            }
            _ => Err(format!("one record at a time; what is {:?}?", word.display().to_string())),
        }
    }
}

/// What standard output can show.
pub fn screen(environment: &Environment<'_>) -> Screen {
    let set = |name: &&str| environment(name).is_some_and(|value| !value.is_empty());
    // The order of precedence is that of setlocale(3).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set).and_then(environment);
    let locale = locale.map_or_else(String::new, |value| value.to_string_lossy().to_ascii_lowercase());
    let width = terminal::stdout_width();
    Screen {
        width: width.unwrap_or(80),
        unicode: locale.contains("utf-8") || locale.contains("utf8"),
        // https://no-color.org
        colours: width.is_some() && !set(&"NO_COLOR"),
    }
}
