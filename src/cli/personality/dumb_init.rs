//! dumb-init 1.2.5.

use super::getopt::{Given, Grammar, Words, number};
use super::{Answer, Call, MODEST, modest, shown};
use crate::cli::plan::{Manner, Run};
use crate::core::event::{Event, SpawnFailure, SpawnFailureKind};
use crate::core::plan::{End, Launch, Leads, Plan, Rewrite, TerminalStops};
use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use crate::os::log_sink::LogSink;
use crate::os::spawn;
use crate::runtime::{LetsGo, Narrator};
use std::ffi::OsStr;
use std::io::Write;

const OPTIONS: Grammar = Grammar {
    short: "hvVcr:",
    long: &[("help", 'h'), ("single-child", 'c'), ("rewrite", 'r'), ("verbose", 'v'), ("version", 'V')],
    permutes: false,
};

const VERSION: &str = concat!("dumb-init v1.2.5 (runinit ", env!("CARGO_PKG_VERSION"), ")\n");
const HELP: &str = "
   -c, --single-child   signal the program alone, in this session (also DUMB_INIT_SETSID=0)
   -r, --rewrite s:r    forward signal number r for signal number s, or nothing for 0; may be repeated
   -v, --verbose        say what happens (also DUMB_INIT_DEBUG=1)
   -h, --help           say this
   -V, --version        say which version this is

The exit code is the program's own; 128 + n if signal n ended it; 2 if it cannot be run; else 1.
";
const WRONG_REWRITE: &str = "\
Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
This option can be specified multiple times.
Use --help for full usage.
";

pub(super) fn read(call: &Call<'_>) -> Result<Run, Answer> {
    let name = shown(&call.name);
    let mut is_single = false;
    let mut teller = Teller::new();
    let mut words = Words::new(&OPTIONS, call);
    while let Some(option) = words.next() {
        let Given { letter, value } = option.map_err(|why| Answer::error(why, 1))?;
        match letter {
            'h' => {
                let usage = format!("{VERSION}Usage: {name} [option] command [[arg] ...]\n{HELP}");
                return Err(Answer::error(usage, 0));
            }
            'V' => return Err(Answer::error(VERSION, 0)),
            'v' => teller.is_verbose = true,
            'c' => is_single = true,
            _ => {
                let (from, to) = rewrite(&value).ok_or_else(|| Answer::error(WRONG_REWRITE, 1))?;
                teller.rewrite.insert(from, to);
            }
        }
    }
    let argv = words.command();
    let usage = || {
        Answer::error(
            format!("Usage: {name} [option] program [args]\nTry {name} --help for full usage.\n"),
            1,
        )
    };
    teller.program = shown(argv.first().ok_or_else(usage)?);
    if (call.environment)("DUMB_INIT_DEBUG").is_some_and(|value| value == "1") {
        teller.is_verbose = true;
        teller.first.push("Running in debug mode.");
    }
    if (call.environment)("DUMB_INIT_SETSID").is_some_and(|value| value == "0") {
        is_single = true;
        teller.first.push("Not running in setsid mode.");
    }
    if !is_single {
        for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            // In its own session nobody is there to continue it, and the kernel would drop these.
            teller.rewrite.entry(signal).or_insert(Some(Signal::STOP));
        }
    }
    teller.leads_session = !is_single;
    let parting = teller.rewritten(Signal::TERM).filter(|_| !is_single);
    let leads = if is_single { Leads::Nothing } else { Leads::Session };
    let plan = Plan {
        rewrite: teller.rewrite.clone(),
        single_child: is_single,
        terminal_stops: TerminalStops::ForwardAndStop,
        end: End::Leave(parting),
        failed_start,
        ..modest(Some(Launch { argv, leads, ..Launch::default() }))
    };
    let manner = Manner { lets_go: LetsGo { directory: true, descriptors: false }, ..MODEST };
    Ok(Run { manner, narrator: Some(Box::new(teller)), ..Run::new(plan) })
}

/// Two numbers as sscanf(3) reads them with `%d:%d`: whatever stands behind them is of no interest.
fn rewrite(value: &OsStr) -> Option<(Signal, Option<Signal>)> {
    let text = value.to_string_lossy();
    let (from, rest) = number(&text)?;
    let (to, _) = number(rest.strip_prefix(':')?)?;
    let signal = |number: i64| Signal::new(i32::try_from(number).ok()?).filter(|s| s.number() <= 31);
    Some((signal(from)?, if to == 0 { None } else { Some(signal(to)?) }))
}

fn failed_start(failure: &SpawnFailure) -> i32 {
    if failure.kind == SpawnFailureKind::NoRoom { 1 } else { 2 }
}

/// dumb-init's messages.
#[derive(Debug)]
struct Teller {
    is_verbose: bool,
    leads_session: bool,
    /// Said when signals have been taken over, as a broken pipe would end it before.
    first: Vec<&'static str>,
    rewrite: Rewrite,
    program: String,
    child: Option<Pid>,
    err: LogSink,
}

impl Teller {
    fn new() -> Self {
        Self {
            is_verbose: false,
            leads_session: true,
            first: Vec::new(),
            rewrite: Rewrite::new(),
            program: String::new(),
            child: None,
            err: LogSink::stderr(),
        }
    }

    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        self.rewrite.get(&signal).copied().unwrap_or(Some(signal))
    }

    fn say(&mut self, text: &str) {
        if self.is_verbose {
            self.say_always(text);
        }
    }

    fn say_always(&mut self, text: &str) {
        // A line that finds no reader is counted by the sink.
        let _ = self.err.write(format!("[dumb-init] {text}\n").as_bytes());
    }

    fn say_forwarded(&mut self, signal: Signal) {
        let to = self.rewritten(signal).map_or(0, Signal::number);
        if self.rewrite.contains_key(&signal) {
            self.say(&format!("Translating signal {} to {to}.", signal.number()));
        }
        if to == 0 {
            self.say("Not forwarding signal 0 to children (ignored).");
        } else {
            self.say(&format!("Forwarded signal {to} to children."));
        }
    }
}

impl Narrator for Teller {
    fn hear(&mut self, event: &Event) {
        for text in std::mem::take(&mut self.first) {
            self.say(text);
        }
        match event {
            Event::Spawned(_, Ok(pid)) => {
                self.child = Some(*pid);
                self.say(&format!("Child spawned with PID {pid}."));
                if self.leads_session {
                    self.say("setsid complete.");
                }
            }
            Event::Spawned(_, Err(failure)) => {
                let text = match failure.kind {
                    SpawnFailureKind::NoRoom => "Unable to fork.".to_owned(),
                    _ => format!("{}: {}", self.program, spawn::describe(failure.errno)),
                };
                self.say_always(&text);
            }
            Event::Signal(received) if received.signal != Signal::CHLD => {
                self.say(&format!("Received signal {}.", received.signal.number()));
                self.say_forwarded(received.signal);
                if [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&received.signal) {
                    self.say("Suspending self due to TTY signal.");
                }
            }
            Event::Reaped(reaped) => {
                self.say(&format!("Received signal {}.", Signal::CHLD.number()));
                for child in reaped {
                    let how = match child.exit {
                        Exit::Code(code) => format!("exited with exit status {code}"),
                        Exit::Signal(signal) => format!("was terminated by signal {}", signal.number()),
                    };
                    self.say(&format!("A child with PID {} {how}.", child.pid));
                    if self.child == Some(child.pid) {
                        self.say_forwarded(Signal::TERM);
                        self.say(&format!("Child exited with status {}. Goodbye.", child.exit.code()));
                    }
                }
            }
            _ => {}
        }
    }

    fn left_terminal(&mut self, signal: Signal) {
        self.say(&format!("Received signal {}.", signal.number()));
        self.say(&format!("Ignoring tty hand-off signal {}.", signal.number()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_are_read_as_sscanf_does() {
        let read = |text: &str| {
            rewrite(OsStr::new(text)).map(|(from, to)| (from.number(), to.map_or(0, Signal::number)))
        };
        assert_eq!(read("15:2"), Some((15, 2)));
        assert_eq!(read(" 15: +2 and more"), Some((15, 2)));
        assert_eq!(read("1:0"), Some((1, 0)));
        for text in ["", "15", "15:", "15::12", "15 :2", "0:1", "32:1", "1:32", "1:-1", "TERM:INT"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
