//! What is to run and how it is to stop: the core's input, made from the command line or a configuration.

use super::budget::Budget;
use super::confinement::Confinement;
use super::event::{SpawnFailure, SpawnFailureKind};
use super::hygiene::Hygiene;
use super::policy::{Backoff, Health, Ready, Restart};
use super::process::Pid;
use super::signal::Signal;
use crate::tmux::{Session, Socket};
use log::LevelFilter;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::Duration;

/// A program's place in [`Plan::programs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId(pub usize);

/// Whatever there is one of for each program, in the programs' order.
impl<T> Index<ProgramId> for Vec<T> {
    type Output = T;

    fn index(&self, id: ProgramId) -> &T {
        &self[id.0]
    }
}

impl<T> IndexMut<ProgramId> for Vec<T> {
    fn index_mut(&mut self, id: ProgramId) -> &mut T {
        &mut self[id.0]
    }
}

/// Everything the core has to know before it starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of the file; dependencies are in [`Program::after`].
    pub programs: Vec<Program>,
    /// What a run that was killed has left: it is taken over, stopped, and in no plan any more.
    pub left: Vec<Program>,
    /// How agents live in tmux, those that are added later too.
    pub tmux: Tmux,
    /// The whole shutdown's time.
    pub budget: Budget,
    /// What becomes of a signal on its way to every program.
    pub rewrite: Rewrite,
    /// Signals go to the program itself, not to its group. SIGKILL always goes to the group.
    pub single_child: bool,
    /// Signals that begin the shutdown; all others are forwarded.
    pub stops_on: Vec<Signal>,
    /// What becomes of the terminal's stop signals when somebody sends them to runinit.
    pub terminal_stops: TerminalStops,
    /// What becomes of those who are left when the main program has ended.
    pub end: End,
    /// Somebody keeps a record, and wants to know when there is something new for it.
    pub keeps_record: bool,
    /// What is less important than this is not said.
    pub heard: LevelFilter,
    /// The signal that has the plan read again, instead of being forwarded.
    pub reload_on: Option<Signal>,
    /// What is cleaned up behind agents.
    pub hygiene: Option<Hygiene>,
    /// Where the jitter of restarts begins, so that a fleet of containers does not restart in step.
    pub seed: u64,
    /// Codes of the main program for which runinit exits with 0 (tini's `-e`).
    pub zero_codes: Vec<i32>,
    /// Every program carries a mark that finds what has left its group; a wrapper leaves the environment as it is.
    pub marks_programs: bool,
    /// The code of a main program that could not be started.
    pub failed_start: fn(&SpawnFailure) -> i32,
}

impl Plan {
    /// A fleet, or a wrapper without a terminal: SIGTERM, SIGINT and SIGQUIT begin the shutdown, and all that is left
    /// is swept.
    pub fn new(programs: Vec<Program>, budget: Budget) -> Self {
        Self {
            programs,
            left: Vec::new(),
            tmux: Tmux::default(),
            budget,
            rewrite: Rewrite::new(),
            single_child: false,
            stops_on: vec![Signal::TERM, Signal::INT, Signal::QUIT],
            terminal_stops: TerminalStops::default(),
            end: End::Sweep,
            keeps_record: true,
            heard: LevelFilter::Trace,
            reload_on: None,
            hygiene: None,
            seed: 0,
            zero_codes: Vec::new(),
            marks_programs: false,
            failed_start: shell_code,
        }
    }
}

/// The code a shell has for a command that did not start, and runinit's own for a system that refused.
pub fn shell_code(failure: &SpawnFailure) -> i32 {
    match failure.kind {
        SpawnFailureKind::NotFound => 127,
        SpawnFailureKind::NotExecutable | SpawnFailureKind::Busy => 126,
        SpawnFailureKind::NoRoom => 111,
    }
}

/// What is the same for all agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmux {
    /// Where their server listens.
    pub socket: Socket,
    /// The lines of a last screen that are kept.
    pub history: u32,
    /// What becomes of sessions that a run that was killed has left.
    pub leftovers: Leftovers,
}

impl Default for Tmux {
    fn default() -> Self {
        let socket = Socket::parse(Socket::PRIVATE);
        Self { socket, history: Session::HISTORY, leftovers: Leftovers::default() }
    }
}

/// What becomes of tmux sessions that a run that was killed has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftovers {
    /// They are stopped before anything else is started in tmux.
    #[default]
    Stop,
    /// A program whose session is there goes on in it; the others are stopped.
    Adopt,
}

/// What becomes of SIGTSTP, SIGTTIN and SIGTTOU when somebody sends them to runinit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TerminalStops {
    /// Nothing: they are job control.
    #[default]
    Keep,
    /// They are forwarded like any other.
    Forward,
    /// They are forwarded, and runinit stops itself after them (dumb-init's way).
    ForwardAndStop,
}

/// What becomes of those who are left when the main program has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// SIGTERM, the rest of the grace, SIGKILL.
    #[default]
    Sweep,
    /// Nobody waits for them; the main program's group gets this signal, if any (the way of other inits).
    Leave(Option<Signal>),
}

/// Signals that change or vanish (`None`) when they are forwarded.
pub type Rewrite = BTreeMap<Signal, Option<Signal>>;

/// One program of the fleet, or the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Unique; `[A-Za-z0-9_-]+`.
    pub name: String,
    /// How it is started.
    pub launch: Launch,
    /// Whose child it is.
    pub kind: Kind,
    /// It is taken over and not started if it is there already, led by this process.
    pub runs_as: Option<Pid>,
    /// Its end is the end of everything, its code runinit's code.
    pub main: bool,
    /// Started after these, stopped before them.
    pub after: Vec<ProgramId>,
    /// The cascade, as it was written. Never empty.
    pub stop: Vec<Step>,
    /// Its own rewrites, after the plan's.
    pub signals: Rewrite,
    /// Exit codes that are no failure; a death by signal n counts as 128 + n.
    pub success_codes: Vec<i32>,
    /// What happens when it failed for good.
    pub on_failure: OnFailure,
    /// It is ready when it has exited well, and is not missed then.
    pub oneshot: bool,
    /// How it becomes ready; `None`: by having been started.
    pub ready: Option<Ready>,
    /// How it is seen to be well.
    pub health: Option<Health>,
    /// Whether it is started again.
    pub restart: Restart,
    /// How soon.
    pub backoff: Backoff,
}

/// Whose child a program is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// runinit's own.
    #[default]
    Process,
    /// runinit's own, and the tmux server in which others live. It is there for them alone: nobody waits for its end.
    TmuxServer(Socket),
    /// A tmux server's: the program of a pane. It leads a kernel session, all of which is its own.
    Agent(Session),
}

/// How a command is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Start from an empty environment, not from runinit's.
    pub clear_env: bool,
    /// Set over it, in this order.
    pub env: Vec<(OsString, OsString)>,
    /// The directory to start in, when it is not runinit's.
    pub cwd: Option<PathBuf>,
    /// What it reads.
    pub stdin: Stdin,
    /// Where what it prints goes.
    pub output: Output,
    /// It gets the terminal, if runinit has it.
    pub foreground: bool,
    /// What it leads.
    pub leads: Leads,
    /// As whom it runs and what it may do.
    pub confinement: Confinement,
    /// Sockets that were opened for runinit (`LISTEN_PID`, `sd_listen_fds(3)`) are for this program.
    pub takes_sockets: bool,
}

/// What a new program leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leads {
    /// A process group of its own, in runinit's session. A leader of a session would be given the next terminal that it
    /// opens as its controlling one (open(2), `O_NOCTTY`), and its group, without a parent in the session, could not be
    /// stopped by a terminal's stop signals (setpgid(2), orphaned groups).
    #[default]
    Group,
    /// A session of its own, with standard input as its terminal if that is one.
    Session,
    /// Nothing: it stays in runinit's group, and only its process can be signalled.
    Nothing,
}

/// What a program has as its standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// runinit's own.
    #[default]
    Inherit,
    /// Nothing to read.
    Null,
    /// A pipe that `stdin` steps write to.
    Pipe,
}

/// Where what a program prints goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// To runinit's own standard output and standard error, untouched.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// There too, line by line, with the program's name before each.
    Prefix,
    /// To runinit's standard output, each line an object.
    Json,
    /// To a file.
    File(OutputFile),
}

/// A file that is put aside when it has grown. Programs that name the same one share it, with the limits
/// of the one that was started last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Where it is; older ones have `.1`, `.2` and so on behind.
    pub path: PathBuf,
    /// The most bytes it holds.
    pub max: u64,
    /// How many older ones there are.
    pub keep: u32,
}

/// What happens when a program failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The others go on.
    #[default]
    Ignore,
    /// The whole fleet is shut down, with the failed program's code.
    Shutdown,
}

/// One step of a cascade: do something, then wait this long for the program's whole group to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: StepAction,
    /// How long until the next step.
    pub wait: Duration,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// Runs a command; one that fails ends its step at once.
    Run(Vec<OsString>),
    /// Writes a text to the program's standard input.
    Stdin(String),
    /// Presses keys in its terminal.
    Keys(Vec<String>),
    /// Sends a signal.
    Signal(Signal),
    /// Sends the signal that began the shutdown, or SIGTERM if none did: a wrapper's first step.
    Received,
}

impl Step {
    /// A step that sends a signal.
    pub fn signal(signal: Signal, wait: Duration) -> Self {
        Self { action: StepAction::Signal(signal), wait }
    }

    /// True for a command, a text or keys: what a leader has left behind does not understand them.
    pub fn is_for_leader(&self) -> bool {
        match self.action {
            StepAction::Run(_) | StepAction::Stdin(_) | StepAction::Keys(_) => true,
            StepAction::Signal(_) | StepAction::Received => false,
        }
    }

    /// True for the step after which nothing more can be done.
    pub fn is_kill(&self) -> bool {
        self.action == StepAction::Signal(Signal::KILL)
    }
}

impl Program {
    /// True for one that lives in a tmux session.
    pub fn is_agent(&self) -> bool {
        matches!(self.kind, Kind::Agent(_))
    }

    /// True for one in a session of a server that is not runinit's own.
    pub fn is_on_a_persons_server(&self) -> bool {
        self.session().is_some_and(|session| !session.socket.is_private())
    }

    /// The tmux session that it lives in, if it does.
    pub fn session(&self) -> Option<&Session> {
        match &self.kind {
            Kind::Agent(session) => Some(session),
            Kind::Process | Kind::TmuxServer(_) => None,
        }
    }

    /// True if both are to live in the same tmux session.
    pub fn is_in_session_of(&self, other: &Self) -> bool {
        let sessions = self.session().zip(other.session());
        sessions.is_some_and(|(its, others)| its.name == others.name && its.socket == others.socket)
    }

    /// True for one that is there for others alone.
    pub fn is_server(&self) -> bool {
        matches!(self.kind, Kind::TmuxServer(_))
    }

    /// The place of the SIGKILL in its cascade; where there is none, the cascade's end.
    pub fn kill_step(&self) -> usize {
        self.stop.iter().position(Step::is_kill).unwrap_or(self.stop.len())
    }

    /// How long its steps from this one on take until its SIGKILL, if nothing cuts them short.
    pub fn patience_from(&self, step: usize) -> Duration {
        let steps = self.stop.iter().skip(step).take_while(|step| !step.is_kill());
        steps.fold(Duration::ZERO, |sum, step| sum.saturating_add(step.wait))
    }

    /// A program with nothing but a name and a command; everything else as in an empty configuration.
    pub fn new(name: &str, launch: Launch) -> Self {
        Self {
            name: name.to_owned(),
            launch,
            kind: Kind::default(),
            runs_as: None,
            main: false,
            after: Vec::new(),
            stop: default_stop(),
            signals: Rewrite::new(),
            success_codes: vec![0],
            on_failure: OnFailure::default(),
            oneshot: false,
            ready: None,
            health: None,
            restart: Restart::default(),
            backoff: Backoff::default(),
        }
    }
}

/// How long a SIGKILL that nobody wrote down is waited for.
pub const KILL_WAIT: Duration = Duration::from_secs(2);

/// The cascade of a program that names none: SIGTERM, five seconds, and the SIGKILL that every cascade has unless the budget
/// is forever.
pub fn default_stop() -> Vec<Step> {
    vec![Step::signal(Signal::TERM, Duration::from_secs(5))]
}
