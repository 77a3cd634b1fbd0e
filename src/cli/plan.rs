//! From the options, and the configuration they may name, to a plan.

use super::Options;
use crate::config::{self, Diagnostic, Fleet, MainCommand};
use crate::control::address::Address;
use crate::core::budget::Budget;
use crate::core::plan::{Launch, Plan, Program, Stdin, Step, StepAction};
use crate::core::signal::Signal;
use crate::os::terminal;
use crate::readable::readable;
use crate::runtime::{LetsGo, Narrator, TerminationLog};
use log::Level;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything a run needs.
#[derive(Debug)]
pub struct Run {
    /// For the core.
    pub plan: Plan,
    /// Where the record goes, if somebody said so.
    pub state_file: Option<PathBuf>,
    /// Where the last line goes, if it goes anywhere.
    pub termination_log: Option<TerminationLog>,
    /// Where the control socket is, if there is to be one.
    pub control: Option<Address>,
    /// The log filter.
    pub log: String,
    /// What runinit does with itself.
    pub manner: Manner,
    /// Says what happens, if not runinit in its own words.
    pub narrator: Option<Box<dyn Narrator>>,
    /// What was asked for and means nothing here, for people.
    pub warnings: Vec<String>,
}

impl Run {
    /// A run that says little and does what runinit does.
    pub fn new(plan: Plan) -> Self {
        let log = Level::Warn.as_str().to_lowercase();
        Self {
            plan,
            state_file: None,
            termination_log: None,
            control: None,
            log,
            manner: Manner::default(),
            narrator: None,
            warnings: Vec::new(),
        }
    }

    /// Where things are, which stays so for the whole run.
    pub fn places(&self) -> Places {
        let Self { state_file, termination_log, control, .. } = self;
        Places {
            state_file: state_file.clone(),
            termination_log: termination_log.clone(),
            control: control.clone(),
        }
    }
}

/// Where things are.
#[derive(Debug)]
pub struct Places {
    state_file: Option<PathBuf>,
    termination_log: Option<TerminationLog>,
    control: Option<Address>,
}

impl Places {
    /// The keys of `[init]` that say otherwise there.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("state_file", self.state_file != other.state_file),
            ("termination_log", self.termination_log != other.termination_log),
            ("control_socket", self.control != other.control),
        ];
        all.into_iter().filter(|(_, is_other)| *is_other).map(|(key, _)| key).collect()
    }
}

/// What runinit does with itself, around the plan.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Below PID 1, it inherits orphans.
    pub subreaper: bool,
    /// It gets this signal when its parent ends.
    pub parent_death_signal: Option<Signal>,
    /// As PID 1 it keeps a record where nobody asks for one.
    pub keeps_record: bool,
    /// A program starts with the terminal only if that is standard input.
    pub terminal_is_stdin: bool,
    /// What it lets go once the program runs.
    pub lets_go: LetsGo,
    /// Its code when the system refuses something that it cannot start without.
    pub refused: u8,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            subreaper: true,
            parent_death_signal: None,
            keeps_record: true,
            terminal_is_stdin: false,
            lets_go: LetsGo::default(),
            refused: 111,
        }
    }
}

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn plan(options: Options) -> Result<Run, Vec<Diagnostic>> {
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
    let is_wrapper = options.config.is_none();
    let default = if is_wrapper { 1 } else { 2 };
    let level = usize::try_from((default + options.verbosity).clamp(0, 4)).unwrap_or_default();
    let log = match &options.log {
        Some(filter) if options.verbosity == 0 => filter.clone(),
        _ if default + options.verbosity < 0 => "off".to_owned(),
        _ => levels[level].as_str().to_lowercase(),
    };
    let state_file = options.state_file.clone();
    let by_default = options.in_kubernetes.then(TerminationLog::of_kubernetes);
    match &options.config {
        None => {
            let control = options.control.clone().map(Address::Asked);
            let termination_log = by_default;
            Ok(Run { state_file, termination_log, control, log, ..Run::new(wrapper(options)) })
        }
        Some(path) => {
            let main = if options.command.is_empty() { MainCommand::InFile } else { MainCommand::Given };
            let fleet = config::load(path, main, options.reading)?;
            let state_file = state_file.or_else(|| fleet.init.state_file.clone());
            let asked = fleet.init.termination_log.clone().map(TerminationLog::asked);
            let termination_log = asked.or(by_default).filter(|_| !options.is_drill);
            let asked = options.control.clone().or_else(|| fleet.init.control_socket.clone());
            let control = Some(Address::new(asked, options.runtime_directory.clone()));
            let warnings = warnings(&options, &fleet);
            let plan = fleet_plan(options, fleet);
            Ok(Run { state_file, termination_log, control, log, warnings, ..Run::new(plan) })
        }
    }
}

fn budget(options: &Options, from_file: Option<Budget>) -> Budget {
    options.grace.or(from_file).or(options.default_grace).unwrap_or(Budget::Forever)
}

/// One program: the signal that came, then SIGKILL when all but the reserve of the grace is used up.
fn wrapper(options: Options) -> Plan {
    let budget = budget(&options, None);
    let first = options.stop_signal.map_or(StepAction::Received, StepAction::Signal);
    let wait = budget.time_to_kill().unwrap_or(Duration::ZERO);
    let name = name_of(options.command.first());
    let launch = Launch { argv: options.command, foreground: true, ..Launch::default() };
    let stop = vec![Step { action: first, wait }];
    let program = Program { main: true, stop, ..Program::new(&name, launch) };
    let mut plan = Plan {
        rewrite: options.rewrite,
        single_child: options.single_child,
        ..Plan::new(vec![program], budget)
    };
    if terminal::is_stdin_terminal() {
        // There Ctrl-C is the program's own affair; elsewhere SIGINT and SIGQUIT are somebody's STOPSIGNAL.
        plan.stops_on = vec![Signal::TERM];
    }
    plan
}

/// What its only program is called, in the record and in every line: the command without its directories.
fn name_of(command: Option<&OsString>) -> String {
    let file = command.and_then(|command| Path::new(command).file_name());
    file.map_or_else(|| "main".to_owned(), |file| readable(&file.to_string_lossy()))
}

/// No errors: the environment may mean another runinit.
fn warnings(options: &Options, fleet: &Fleet) -> Vec<String> {
    let has_main = fleet.programs.iter().any(|program| program.main);
    let is_for_nobody = options.stop_signal.is_some() && !has_main;
    let text = "--stop-signal (RUNINIT_STOP_SIGNAL) is for a main program, and this fleet has none; \
                say in each program's \"stop\" which signal it gets";
    is_for_nobody.then(|| text.to_owned()).into_iter().collect()
}

#[inline(never)]
fn fleet_plan(options: Options, fleet: Fleet) -> Plan {
    let budget = budget(&options, fleet.budget);
    let mut programs = fleet.programs;
    if let Some(main) = programs.iter_mut().find(|program| program.main) {
        let is_typed = !options.command.is_empty() && !main.is_agent();
        set_terminal(&mut main.launch, is_typed);
        if !options.command.is_empty() {
            main.launch.argv = options.command;
        }
        if let Some(signal) = options.stop_signal {
            set_first_signal(&mut main.stop, signal);
        }
    }
    Plan {
        rewrite: options.rewrite,
        single_child: options.single_child,
        reload_on: fleet.init.reload_signal,
        marks_programs: true,
        tmux: fleet.tmux,
        // What a drill starts stops again; what it would clean up is in use.
        hygiene: fleet.hygiene.filter(|_| !options.is_drill),
        ..Plan::new(programs, budget)
    }
}

/// A main program that somebody typed gets the terminal, as in a wrapper. One from a file does not: Ctrl-C there is a wish
/// to stop the fleet in order, and reading from the background would stop the program (SIGTTIN).
fn set_terminal(launch: &mut Launch, is_typed: bool) {
    launch.foreground = is_typed;
    if !is_typed && launch.stdin == Stdin::Inherit && terminal::is_stdin_terminal() {
        launch.stdin = Stdin::Null;
    }
}

fn set_first_signal(stop: &mut Vec<Step>, signal: Signal) {
    let first = stop.iter_mut().find(|step| matches!(step.action, StepAction::Signal(_)) && !step.is_kill());
    match first {
        Some(first) => first.action = StepAction::Signal(signal),
        None => stop.insert(0, Step::signal(signal, Duration::from_secs(5))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::default_stop;

    #[test]
    fn a_stop_signal_replaces_the_first_signal_and_keeps_its_wait() {
        let mut stop = default_stop();
        set_first_signal(&mut stop, Signal::QUIT);
        assert_eq!(stop, [Step::signal(Signal::QUIT, Duration::from_secs(5))]);
    }

    #[test]
    fn a_program_is_called_by_a_name_that_can_be_shown() {
        for (command, name) in
            [("/bin/ls", "ls"), ("a\r", "a\\r"), ("", "main"), ("/", "main"), ("..", "main")]
        {
            assert_eq!(name_of(Some(&command.into())), name);
        }
    }

    #[test]
    fn the_wrapper_kills_when_only_the_reserve_is_left() {
        let options = Options { grace: Some(Budget::Within(Duration::from_secs(9))), ..Options::default() };
        assert_eq!(wrapper(options).programs[0].stop[0].wait, Duration::from_millis(8100));
    }
}
