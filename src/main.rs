//! The binary: from the arguments to an exit code.
#![no_main]

use log::LevelFilter;
use runinit::cli::personality::{self, Answer, Call};
use runinit::cli::{self, Cleaning, Command, Options, Places, Run};
use runinit::config::{Diagnostic, Reading};
use runinit::core::plan::{Plan, Program};
use runinit::core::shutdown::INTERNAL_ERROR;
use runinit::explain::Screen;
use runinit::os::terminal::Terminal;
use runinit::os::{output, powers, processes, signals, stdio, subreaper};
use runinit::record::Clock;
use runinit::runtime::{self, Load, Recorder, Setup};
use runinit::{check, config, control, drill, explain, logging, printing};
use std::panic::catch_unwind;
use std::time::SystemTime;

/// Bad usage or bad configuration; nothing was started.
const BAD_USAGE: u8 = 100;
/// A question could not be answered, a drill has failed, or not all could be cleaned up.
const NOT_WELL: u8 = 1;

/// The C library's entry, not Rust's: the runtime that Rust puts before `main` would set SIGPIPE to ignored, which the
/// program has to get as it came in, and reads /proc/self/maps.
#[unsafe(no_mangle)]
#[allow(unsafe_code)] // the attribute; nothing else in the crate is called `main`
pub extern "C" fn main(_argc: i32, _argv: *const *const std::ffi::c_char) -> i32 {
    processes::exit(catch_unwind(run).map_or(INTERNAL_ERROR, i32::from))
}

fn run() -> u8 {
    stdio::keep_places();
    let environment = |name: &str| std::env::var_os(name);
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if let Some(personality) = personality::named(&name) {
        let call = Call { name, words: words.collect(), environment: &environment };
        let nothing_to_load = || Err(Vec::new());
        return personality(&call)
            .map_or_else(Answer::give, |run| start(run, Box::new(nothing_to_load), None));
    }
    match cli::parse(words, &environment) {
        Ok(Command::Run(options)) => run_plan(options),
        Ok(command) => answer(command, &environment),
        Err(why) => {
            logging::say_error(&why);
            BAD_USAGE
        }
    }
}

fn run_plan(options: Options) -> u8 {
    // Reading a file takes its time.
    let held = if options.config.is_some() { signals::hold_as_init() } else { None };
    match cli::plan(options.clone()) {
        Ok(run) => {
            let places = run.places();
            start(run, Box::new(move || load_again(&options, &places)), held)
        }
        Err(diagnostics) => refuse(&diagnostics),
    }
}

/// Apart from [`run`], whose frame lies below the loop's as long as that lasts.
#[inline(never)]
fn answer(command: Command, environment: &cli::Environment<'_>) -> u8 {
    match command {
        Command::Run(options) => run_plan(options),
        Command::Check(options) => check_plan(options),
        Command::Explain(asked) => explain_run(&asked, cli::screen(environment)),
        Command::Drill(asked) => drill_fleet(&asked, cli::screen(environment)),
        Command::Print(text) => print(&text),
        Command::Help(subcommand) => print(&cli::help(subcommand)),
        Command::Ask(ask) => control::run(&ask),
        Command::Clean(Cleaning::Errand) => clean_for_init(),
        Command::Clean(Cleaning::ByHand { options, is_dry }) => clean_by_hand(*options, is_dry),
        Command::Version => print(concat!("runinit ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// `held`: the signal mask that came in, if all signals are blocked already.
fn start(run: Run, load: Load, held: Option<u64>) -> u8 {
    let Run { mut plan, state_file, termination_log, control, log, manner, narrator, warnings } = run;
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
    let Some(own) = processes::own() else { return manner.refused };
    let is_init = own.number() == 1;
    let (signals, inherited) = match signals::take_over(held) {
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
    let recorder =
        Recorder::new(state_file, is_init && manner.keeps_record, Clock { started: SystemTime::now() });
    plan.keeps_record = recorder.is_kept();
    plan.heard = logging::loudest(&log);
    for warning in warnings.iter().filter(|_| plan.heard >= LevelFilter::Warn) {
        logging::say_error(&format!("warning: {warning}"));
    }
    runtime::run(Setup {
        plan,
        load,
        read_program: Box::new(read_program),
        control,
        signals,
        inherited,
        terminal: if wants_terminal { Terminal::controlling(manner.terminal_is_stdin) } else { None },
        recorder,
        termination_log: termination_log.filter(|log| is_init || !log.is_default()),
        own,
        log,
        narrator,
        lets_go: manner.lets_go,
    })
}

fn load_again(options: &Options, places: &Places) -> Result<Plan, Vec<String>> {
    let mut options = options.clone();
    options.reading = Reading::Running;
    let found = cli::plan(options);
    let run =
        found.map_err(|diagnostics| diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>())?;
    let refusals = powers::refusals(&run.plan.programs);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let others = places.differing(&run.places()).join(" and ");
    if !others.is_empty() {
        log::warn!(
            "[init]: another {others} needs another start of runinit; until then all stays where it is"
        );
    }
    Ok(run.plan)
}

fn read_program(
    keys: &serde_json::Map<String, serde_json::Value>,
    known: &[&str],
) -> Result<Program, Vec<String>> {
    let program = config::read_one(keys, known)?;
    let refusals = powers::refusals(std::slice::from_ref(&program));
    if refusals.is_empty() { Ok(program) } else { Err(refusals) }
}

fn check_plan(options: Options) -> u8 {
    match cli::plan(options) {
        Ok(run) => {
            for warning in &run.warnings {
                logging::say_error(&format!("warning: {warning}"));
            }
            // Here may not be where the fleet is to run.
            let programs = &run.plan.programs;
            for why in powers::refusals(programs).into_iter().chain(output::refusals(programs)) {
                logging::say_error(&format!("warning: not here: {why}"));
            }
            print(&check::describe(&run.plan))
        }
        Err(diagnostics) => refuse(&diagnostics),
    }
}

fn explain_run(asked: &cli::Explain, screen: Screen) -> u8 {
    match asked.path().map(|path| explain::answer(asked, &path, screen)) {
        Ok(Ok(text)) => print(&text),
        Ok(Err(why)) => {
            logging::say_error(&why);
            NOT_WELL
        }
        Err(diagnostics) => refuse(&diagnostics),
    }
}

fn drill_fleet(asked: &cli::Drill, screen: Screen) -> u8 {
    let plan = match cli::plan(asked.options.clone()) {
        Ok(run) => run.plan,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    match drill::drill(asked, &plan, screen) {
        Ok(report) => {
            printing::exit_code(printing::print(&report.text), if report.is_well { 0 } else { NOT_WELL })
        }
        Err(why) => {
            logging::say_error(&why);
            NOT_WELL
        }
    }
}

fn clean_by_hand(options: Options, is_dry: bool) -> u8 {
    let (mut errand, address) = match cli::hygiene::errand_by_hand(options, is_dry) {
        Ok(Some(found)) => found,
        Ok(None) => {
            logging::say_error("there is no [hygiene] in this configuration, so nothing to clean up");
            return BAD_USAGE;
        }
        Err(diagnostics) => return refuse(&diagnostics),
    };
    let Some(own) = processes::own() else { return BAD_USAGE };
    match control::sessions(&address) {
        Ok(sessions) => errand.own_sessions.extend(sessions),
        Err(why) => {
            logging::say_error(&format!(
                "the fleet that runs here does not say which sessions are its own: {why}; nothing is done"
            ));
            return NOT_WELL;
        }
    }
    let (is_well, printed) = cli::hygiene::clean_for_people(&errand, own);
    printing::exit_code(printed, if is_well { 0 } else { NOT_WELL })
}

/// For the init that this process is a child of.
fn clean_for_init() -> u8 {
    match (cli::hygiene::errand_of_init(std::io::stdin()), processes::own()) {
        (Ok(errand), Some(own)) => {
            cli::hygiene::clean_for_init(&errand, own, std::io::stdout());
            0
        }
        (Err(why), _) => {
            logging::say_error(&format!("no errand on standard input: {why}"));
            BAD_USAGE
        }
        (Ok(_), None) => BAD_USAGE,
    }
}

fn refuse(diagnostics: &[Diagnostic]) -> u8 {
    for diagnostic in diagnostics {
        logging::say_error(&diagnostic.to_string());
    }
    BAD_USAGE
}

fn print(text: &str) -> u8 {
    printing::exit_code(printing::print(text), 0)
}
