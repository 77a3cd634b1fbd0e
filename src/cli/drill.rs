//! The words of `runinit drill`.

use super::options::{known, only, path, refused, unknown};
use super::surface::subcommand;
use super::{Command, Environment, Options};
use crate::core::duration;
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until every program has to be ready.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct Drill {
    /// The fleet, as a run would take it.
    pub options: Options,
    /// How long the programs may take until all are ready.
    pub ready_within: Duration,
    /// Nothing from the fleet itself.
    pub quiet: bool,
    /// Where the picture is to go as SVG.
    pub svg: Option<PathBuf>,
}

pub(super) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let (options, mut parser): (Options, Parser) = super::options::begin(arguments, environment);
    let mut drill = Drill { options, ready_within: READY_WITHIN, quiet: false, svg: None };
    let mut file = None;
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        match known(argument, subcommand("drill"))? {
            Arg::Short('h') | Arg::Long("help") => {
                return only(&mut parser, Command::Help(subcommand("drill")));
            }
            Arg::Long("quiet") => drill.quiet = true,
            Arg::Long("svg") => {
                drill.svg = Some(path(parser.value().map_err(|e| refused(&e))?, "--svg")?);
            }
            Arg::Long("grace") => {
                drill.options.take_grace(&parser.value().map_err(|e| refused(&e))?)?;
            }
            Arg::Long("ready-within") => {
                let value = parser.value().map_err(|e| refused(&e))?;
                let text = value.to_string_lossy();
                drill.ready_within =
                    duration::parse_some(&text).map_err(|why| format!("--ready-within: {why}"))?;
            }
            Arg::Value(word) if file.is_some() => {
                return Err(format!("one fleet at a time; what is {:?}?", word.display().to_string()));
            }
            Arg::Value(word) => file = Some(path(word, "FILE")?),
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Arg::Long(word) => return Err(unknown(&format!("--{word}"))),
        }
    }
    drill.options.config = file.or(drill.options.config);
    match &drill.options.config {
        None => return Err("which fleet? runinit drill FILE".to_owned()),
        Some(file) if is_read_once(file) => {
            return Err(format!("{} has to be a regular file: the fleet reads it again", file.display()));
        }
        Some(_) => {}
    }
    drill.options = drill.options.complete()?;
    Ok(Command::Drill(drill))
}

/// The standard input of the fleet is not that of the drill.
fn is_read_once(file: &Path) -> bool {
    let is_input = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].map(Path::new).contains(&file);
    is_input || std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file())
}
