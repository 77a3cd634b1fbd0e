//! tini 0.19, which Docker calls docker-init.

use super::getopt::{Given, Grammar, Words, number};
use super::{Answer, Call, MODEST, modest, shown};
use crate::cli::plan::{Manner, Run};
use crate::core::event::{Event, SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Launch, Plan, TerminalStops};
use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use crate::os::log_sink::LogSink;
use crate::os::{spawn, subreaper};
use crate::runtime::Narrator;
use std::io::{ErrorKind, Write};

const OPTIONS: Grammar = Grammar { short: "p:hvwgle:s", long: &[], permutes: true };

/// Docker takes what stands behind "tini version ", up to a " - ", for the version. A commit behind that would be compared
/// with one it knows, so there is none.
const VERSION: &str = concat!("tini version 0.19.0 (runinit ", env!("CARGO_PKG_VERSION"), ")\n");
const LICENSE: &str = "runinit, in place of tini and without any of its code, is under the MIT license.\n";
const HELP: &str = "
  --version  say which version this is, as the only argument
  -h         say this
  -s         inherit orphans below PID 1, too (also TINI_SUBREAPER, set to anything)
  -p SIGNAL  get this signal when the parent ends, such as SIGKILL
  -v         say more, up to three times (also TINI_VERBOSITY, a number; 1 if it is not set)
  -w         say when an orphan is reaped
  -g         signal the program's whole group (also TINI_KILL_PROCESS_GROUP, set to anything)
  -e CODE    exit with 0 where the program exits with this code; may be repeated
  -l         say the license

The exit code is the program's own; 128 + n if signal n ended it; 126 or 127 if it cannot be run or found; else 1.
";
const NO_REAPER: &str = "Tini is not running as PID 1 and isn't registered as a child subreaper, so zombie reaping won't \
                         work: orphans go to another process. Use -s, set TINI_SUBREAPER, or run it as PID 1.";

/// Signals that tini has no name for.
const NAMELESS: [&str; 3] = ["SIGSTKFLT", "SIGIO", "SIGPWR"];

pub(super) fn read(call: &Call<'_>) -> Result<Run, Answer> {
    if call.words == ["--version"] {
        return Err(Answer::output(VERSION));
    }
    let is_set = |name: &str| (call.environment)(name).is_some();
    let mut is_group = is_set("TINI_KILL_PROCESS_GROUP");
    let mut manner = Manner { subreaper: is_set("TINI_SUBREAPER"), ..MODEST };
    let mut zero_codes = Vec::new();
    let mut teller = Teller::new();
    let mut words = Words::new(&OPTIONS, call);
    while let Some(option) = words.next() {
        let Given { letter, value } =
            option.map_err(|why| Answer::error(format!("{why}{}", usage(call)), 1))?;
        let invalid = || {
            let text = format!("Not a valid option for -{letter}: {}", value.display());
            Answer::error(line(Level::Fatal, &text), 1)
        };
        match letter {
            'h' => return Err(Answer::output(usage(call) + HELP)),
            'l' => return Err(Answer::output(LICENSE)),
            's' => manner.subreaper = true,
            'g' => is_group = true,
            'v' => teller.verbosity += 1,
            'w' => teller.tells_of_orphans = true,
            'p' => {
                let signal = parent_signal(&value.to_string_lossy()).ok_or_else(invalid)?;
                manner.parent_death_signal = Some(signal);
            }
            _ => zero_codes.push(exit_code(&value.to_string_lossy()).ok_or_else(invalid)?),
        }
    }
    let argv = words.command();
    teller.program = shown(argv.first().ok_or_else(|| Answer::error(usage(call), 1))?);
    if let Some(verbosity) = (call.environment)("TINI_VERBOSITY") {
        let level = number(&verbosity.to_string_lossy()).map_or(0, |(level, _)| level);
        teller.verbosity = u32::try_from(level).unwrap_or(u32::MAX);
    }
    if manner.subreaper {
        teller.first = Some((Level::Trace, "Registered as child subreaper"));
    } else if std::process::id() != 1 && !subreaper::is_subreaper() {
        teller.first = Some((Level::Warn, NO_REAPER));
    }
    let launch = Launch { argv, foreground: true, ..Launch::default() };
    let plan = Plan {
        single_child: !is_group,
        terminal_stops: TerminalStops::Forward,
        // It ignores these two, which would stop it as it writes to a terminal that it has given away.
        rewrite: [(Signal::TTIN, None), (Signal::TTOU, None)].into(),
        zero_codes,
        failed_start,
        ..modest(Some(launch))
    };
    Ok(Run { manner, narrator: Some(Box::new(teller)), ..Run::new(plan) })
}

fn usage(call: &Call<'_>) -> String {
    let path = std::path::Path::new(&call.name);
    let name = path.file_name().map(shown).unwrap_or_default();
    format!("{VERSION}Usage: {name} [OPTIONS] PROGRAM -- [ARGS] | --version\n")
}

/// The names of standard signals as tini writes them: in full, and no numbers.
fn parent_signal(name: &str) -> Option<Signal> {
    Signal::parse(name)
        .filter(|signal| signal.to_string() == name && signal.number() < 32 && !NAMELESS.contains(&name))
}

/// A code as strtol(3) reads it, nothing at all being 0.
fn exit_code(text: &str) -> Option<i32> {
    let code = match number(text) {
        None if text.is_empty() => 0,
        Some((code, "")) => code,
        _ => return None,
    };
    u8::try_from(code).ok().map(i32::from)
}

fn failed_start(failure: &SpawnFailure) -> i32 {
    match std::io::Error::from_raw_os_error(failure.errno).kind() {
        ErrorKind::NotFound => 127,
        // EPERM is of this kind, too, and execve(2) has it for no file that people start.
        ErrorKind::PermissionDenied => 126,
        _ => 1,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fatal,
    Warn,
    Info,
    Debug,
    Trace,
}

fn line(level: Level, text: &str) -> String {
    let name = match level {
        Level::Fatal => "FATAL",
        Level::Warn => "WARN ",
        Level::Info => "INFO ",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    };
    format!("[{name} tini ({})] {text}\n", std::process::id())
}

/// tini's messages: from INFO on, they go to standard output.
#[derive(Debug)]
struct Teller {
    verbosity: u32,
    tells_of_orphans: bool,
    /// Said when signals have been taken over, as a broken pipe would end it before.
    first: Option<(Level, &'static str)>,
    program: String,
    child: Option<Pid>,
    out: LogSink,
    err: LogSink,
}

impl Teller {
    fn new() -> Self {
        Self {
            verbosity: 1,
            tells_of_orphans: false,
            first: None,
            program: String::new(),
            child: None,
            out: LogSink::stdout(),
            err: LogSink::stderr(),
        }
    }

    fn say(&mut self, level: Level, text: &str) {
        if level as u32 > self.verbosity {
            return;
        }
        let sink = if level <= Level::Warn { &mut self.err } else { &mut self.out };
        // A line that finds no reader is counted by the sink.
        let _ = sink.write(line(level, text).as_bytes());
    }
}

impl Narrator for Teller {
    fn hear(&mut self, event: &Event) {
        if let Some((level, text)) = self.first.take() {
            self.say(level, text);
        }
        match event {
            Event::Spawned(_, Ok(pid)) => {
                self.child = Some(*pid);
                self.say(Level::Info, &format!("Spawned child process '{}' with pid '{pid}'", self.program));
            }
            Event::Spawned(_, Err(failure)) => {
                let what = match failure.kind {
                    SpawnFailureKind::NoRoom => "fork".to_owned(),
                    _ => format!("exec {}", self.program),
                };
                self.say(Level::Fatal, &format!("{what} failed: {}", spawn::describe(failure.errno)));
            }
            Event::Signal(received) if received.signal != Signal::CHLD => {
                self.say(Level::Debug, &format!("Passing signal: '{}'", received.signal));
            }
            Event::Reaped(reaped) => {
                self.say(Level::Debug, "Received SIGCHLD");
                for child in reaped {
                    self.say(Level::Debug, &format!("Reaped child with pid: '{}'", child.pid));
                    match child.exit {
                        _ if self.child != Some(child.pid) && !self.tells_of_orphans => {}
                        _ if self.child != Some(child.pid) => {
                            self.say(Level::Warn, &format!("Reaped zombie process with pid={}", child.pid));
                        }
                        Exit::Code(code) => {
                            let text = format!("Main child exited normally (with status '{code}')");
                            self.say(Level::Info, &text);
                        }
                        Exit::Signal(signal) => {
                            let text = format!("Main child exited with signal (with signal '{signal}')");
                            self.say(Level::Info, &text);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_strtol_does() {
        for (text, code) in [("3", 3), (" +3", 3), ("", 0), ("-0", 0), ("255", 255)] {
            assert_eq!(exit_code(text), Some(code), "{text:?}");
        }
        for text in ["256", "-1", "0x3", "3 ", " ", "99999999999999999999"] {
            assert_eq!(exit_code(text), None, "{text:?}");
        }
    }

    #[test]
    fn parent_signals_are_written_in_full() {
        assert_eq!(parent_signal("SIGKILL"), Some(Signal::KILL));
        for text in ["KILL", "sigkill", "9", "SIGIO", "SIGPWR", "SIGRTMIN", "SIGIOT", ""] {
            assert_eq!(parent_signal(text), None, "{text}");
        }
    }
}
