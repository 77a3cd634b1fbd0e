//! The binary: from the arguments to an exit code.
#![no_main]

use runinit::cli::personality::{self, Answer, Call};
use runinit::cli::{self, Command, Options, Run};
use runinit::config::Diagnostic;
use runinit::core::plan::Plan;
use runinit::core::process::Pid;
use runinit::core::shutdown::INTERNAL_ERROR;
use runinit::os::terminal::Terminal;
use runinit::os::{powers, signals, stdio, subreaper};
use runinit::record::Clock;
use runinit::runtime::{self, Load, Recorder, Setup};
use runinit::{check, logging};
use std::io::Write;
use std::panic::catch_unwind;
use std::time::SystemTime;

/// Bad usage or bad configuration; nothing was started.
const BAD_USAGE: u8 = 100;

/// The C library's entry, not Rust's: the runtime that Rust puts before `main` would set SIGPIPE to ignored, which the
/// program has to get as it came in, and reads /proc/self/maps.
#[unsafe(no_mangle)]
#[allow(unsafe_code)] // the attribute; nothing else in the crate is called `main`
pub extern "C" fn main(_argc: i32, _argv: *const *const std::ffi::c_char) -> i32 {
    catch_unwind(run).map_or(INTERNAL_ERROR, i32::from)
}

fn run() -> u8 {
    stdio::keep_places();
    let environment = |name: &str| std::env::var_os(name);
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if let Some(personality) = personality::named(&name) {
        let call = Call { name, words: words.collect(), environment: &environment };
        let nothing_to_load = || Err(Vec::new());
        return personality(&call).map_or_else(Answer::give, |run| start(run, Box::new(nothing_to_load)));
    }
    match cli::parse(words, &environment) {
        Ok(Command::Run(options)) => match cli::plan(options.clone()) {
            Ok(run) => start(run, Box::new(move || load_again(&options))),
            Err(diagnostics) => refuse(&diagnostics),
        },
        Ok(Command::Check(options)) => check_plan(options),
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(concat!("runinit ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(why) => {
            logging::say_error(&why);
            BAD_USAGE
        }
    }
}

fn start(run: Run, load: Load) -> u8 {
    let Run { mut plan, state_file, log, manner, narrator } = run;
    let refusals = powers::refusals(&plan.programs);
    if !refusals.is_empty() {
        for why in refusals {
            logging::say_error(&why);
        }
        return manner.refused;
    }
    let wants_terminal = plan.programs.iter().any(|program| program.launch.foreground);
    // Different in every container; nothing depends on how good it is.
    plan.seed =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| u64::from(t.subsec_nanos()));
    let Some(own) = Pid::new(std::process::id().cast_signed()) else { return manner.refused };
    let is_init = own.number() == 1;
    let (signals, inherited) = match signals::take_over() {
        Ok(taken) => taken,
        Err(errno) => {
            logging::say_error(&format!("cannot listen for signals: {}", errno.desc()));
            return manner.refused;
        }
    };
    if let Some(signal) = manner.parent_death_signal
        && let Err(errno) = subreaper::hear_of_parents_death(signal)
    {
        logging::say_error(&format!("cannot hear of the parent's death: {}", errno.desc()));
        return manner.refused;
    }
    if !is_init
        && manner.subreaper
        && let Err(errno) = subreaper::become_subreaper()
    {
        logging::say_error(&format!(
            "cannot become the subreaper: {}; Linux 3.4 or later is needed",
            errno.desc()
        ));
        return manner.refused;
    }
    runtime::run(Setup {
        plan,
        load,
        signals,
        inherited,
        terminal: if wants_terminal { Terminal::controlling() } else { None },
        recorder: Recorder::new(
            state_file,
            is_init && manner.keeps_record,
            Clock { started: SystemTime::now() },
        ),
        own,
        log,
        narrator,
        lets_go: manner.lets_go,
    })
}

fn load_again(options: &Options) -> Result<Plan, Vec<String>> {
    let found = cli::plan(options.clone());
    let run =
        found.map_err(|diagnostics| diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>())?;
    let refusals = powers::refusals(&run.plan.programs);
    if refusals.is_empty() { Ok(run.plan) } else { Err(refusals) }
}

fn check_plan(options: Options) -> u8 {
    match cli::plan(options) {
        Ok(run) => {
            // Here may not be where the fleet is to run.
            for why in powers::refusals(&run.plan.programs) {
                logging::say_error(&format!("warning: not here: {why}"));
            }
            print(&check::describe(&run.plan))
        }
        Err(diagnostics) => refuse(&diagnostics),
    }
}

fn refuse(diagnostics: &[Diagnostic]) -> u8 {
    for diagnostic in diagnostics {
        logging::say_error(&diagnostic.to_string());
    }
    BAD_USAGE
}

fn print(text: &str) -> u8 {
    // A reader that has gone away, as in `runinit --help | head -1`, is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}
