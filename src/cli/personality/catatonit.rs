//! catatonit 0.1.7, which Podman starts as its init and as the pause program of a pod.

use super::getopt::{Given, Grammar, Words};
use super::{Answer, Call, MODEST, modest, shown};
use crate::cli::plan::{Manner, Run};
use crate::core::event::{Event, SpawnFailureKind};
use crate::core::plan::{Launch, Plan};
use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use crate::os::log_sink::LogSink;
use crate::os::spawn;
use crate::runtime::{LetsGo, Narrator};
use std::io::Write;

const OPTIONS: Grammar = Grammar { short: "ghLPV", long: &[("version", 'V')], permutes: true };

/// It calls itself tini, as it does for Docker.
const VERSION: &str = concat!("tini version 0.1.7_catatonit (runinit ", env!("CARGO_PKG_VERSION"), ")\n");
const LICENSE: &str =
    "runinit, in place of catatonit and without any of its code, is under the MIT license.\n";
const USAGE: &str = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n";
const HELP: &str = "
  -g             signal the program's whole group
  -h             say this
  -L             say the license
  -P             run nothing: reap, and end by SIGTERM or SIGINT
  -V, --version  say which version this is

CATATONIT_DEBUG, set to anything, has it say what happens.
The exit code is the program's own; 128 + n if signal n ended it; else 1.
";

pub(super) fn read(call: &Call<'_>) -> Result<Run, Answer> {
    let is_set = |name: &str| (call.environment)(name).is_some();
    if is_set("CATATONIT_LOG") {
        return Err(Answer::error(line("ERROR", "CATATONIT_LOG is reserved for future use"), 1));
    }
    let (mut is_group, mut is_pause) = (false, false);
    let mut words = Words::new(&OPTIONS, call);
    while let Some(option) = words.next() {
        let Given { letter, .. } = option.map_err(|why| Answer::error(why + USAGE, 1))?;
        match letter {
            'g' => is_group = true,
            'P' => is_pause = true,
            'h' => return Err(Answer::error(USAGE.to_owned() + HELP, 0)),
            'L' => return Err(Answer::output(LICENSE)),
            _ => return Err(Answer::output(VERSION)),
        }
    }
    let argv = words.command();
    if argv.is_empty() && !is_pause {
        return Err(Answer::error(line("ERROR", "missing program name") + USAGE, 1));
    }
    let teller = Teller {
        is_verbose: is_set("CATATONIT_DEBUG"),
        program: argv.first().map(|word| shown(word)).unwrap_or_default(),
        child: None,
        err: LogSink::stderr(),
    };
    let launch = Launch { argv, foreground: true, takes_sockets: true, ..Launch::default() };
    let plan = Plan {
        single_child: !is_group,
        stops_on: if is_pause { vec![Signal::TERM, Signal::INT] } else { Vec::new() },
        failed_start: |_| 1,
        ..modest((!is_pause).then_some(launch))
    };
    let lets_go = LetsGo { directory: true, descriptors: true };
    let manner = Manner { subreaper: true, lets_go, ..MODEST };
    Ok(Run { manner, narrator: Some(Box::new(teller)), ..Run::new(plan) })
}

fn line(level: &str, text: &str) -> String {
    format!("{level} (catatonit:{}): {text}\n", std::process::id())
}

/// catatonit's messages.
#[derive(Debug)]
struct Teller {
    is_verbose: bool,
    program: String,
    child: Option<Pid>,
    err: LogSink,
}

impl Teller {
    fn debug(&mut self, text: &str) {
        if self.is_verbose {
            self.say("DEBUG", text);
        }
    }

    fn say(&mut self, level: &str, text: &str) {
        // A line that finds no reader is counted by the sink.
        let _ = self.err.write(line(level, text).as_bytes());
    }
}

impl Narrator for Teller {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Spawned(_, Ok(pid)) => {
                self.child = Some(*pid);
                self.debug(&format!("pid1 ({pid}) spawned: {}", self.program));
            }
            Event::Spawned(_, Err(failure)) => {
                let what = match failure.kind {
                    SpawnFailureKind::NoRoom => "failed to fork child",
                    _ => "failed to exec pid1",
                };
                self.say("ERROR", &format!("{what}: {}", spawn::describe(failure.errno)));
            }
            Event::Reaped(reaped) => {
                let main = self.child;
                for child in reaped.iter().filter(|child| main != Some(child.pid)) {
                    let how = match child.exit {
                        Exit::Code(code) => format!("exited with code {code}"),
                        Exit::Signal(signal) => format!("exited due to signal {}", signal.number()),
                    };
                    self.debug(&format!("child process {} {how}", child.pid));
                }
            }
            _ => {}
        }
    }
}
