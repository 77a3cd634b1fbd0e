//! The loop that joins the core and the system.
//!
//! A round: wait for a signal or the next deadline, read the clock once, reap, read signals, step the core with each,
//! then with a tick. What the core wants done is done at once, and what came of it is stepped before anything else.
//! Exits come before the signals that arrived with them, so a signal is never sent to a group that is known to be gone.
//!
//! From the first start on, no error ends runinit. What fails is logged, and is an event or nothing at all.

mod cleaning;
mod control;
mod emergency;
mod families;
mod hearing;
mod job_control;
mod leftovers;
mod narrator;
mod output;
mod perform;
mod pressure;
mod recorder;
mod start;
mod termination_log;
mod tmux;

pub use narrator::Narrator;
pub use recorder::{DEFAULT_PATH, Recorder};
pub use termination_log::TerminationLog;

use cleaning::Listener;
use control::Control;
use hearing::Hearing;
use pressure::Pressure;

use crate::control::address::Address;
use crate::core::Core;
use crate::core::action::Action;
use crate::core::budget::Moment;
use crate::core::event::{Event, Received, Sender};
use crate::core::plan::{Plan, Program, ProgramId};
use crate::core::process::Pid;
use crate::core::signal::Signal;
use crate::os::mark::Marks;
use crate::os::output::Outputs;
use crate::os::poller::{Poller, Token};
use crate::os::realm::Realm;
use crate::os::reap::{self, Changed, Left};
use crate::os::signals::{self, Arrived, Inherited, Signals};
use crate::os::terminal::{self, Terminal};
use crate::os::{inheritance, kill, processes};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Makes the plan anew, or says what is wrong with it.
pub type Load = Box<dyn FnMut() -> Result<Plan, Vec<String>>>;

/// Makes a program from keys and values as a `[[program]]` has them, beside others of these names, to whose places in that
/// list its `after` points; or says what is wrong with it.
pub type ReadProgram =
    Box<dyn FnMut(&serde_json::Map<String, serde_json::Value>, &[&str]) -> Result<Program, Vec<String>>>;

/// What the loop needs from outside.
pub struct Setup {
    /// What to run.
    pub plan: Plan,
    /// Where another plan comes from.
    pub load: Load,
    /// Where a program that somebody adds comes from.
    pub read_program: ReadProgram,
    /// Where the control socket is, if there is to be one.
    pub control: Option<Address>,
    /// Already taken over.
    pub signals: Signals,
    /// Handed on to every program.
    pub inherited: Inherited,
    /// The terminal, for the program that is to have it.
    pub terminal: Option<Terminal>,
    /// Where the record goes.
    pub recorder: Recorder,
    /// Where the last line goes.
    pub termination_log: Option<TerminationLog>,
    /// This process.
    pub own: Pid,
    /// The filter to start the log with; it is started after the first program, which should not wait for it.
    pub log: String,
    /// Says what happens, if not the core.
    pub narrator: Option<Box<dyn Narrator>>,
    /// What is let go once the program runs.
    pub lets_go: LetsGo,
}

/// What runinit lets go of what it was given, once the program has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetsGo {
    /// The working directory.
    pub directory: bool,
    /// The descriptors above 2.
    pub descriptors: bool,
}

struct Runtime {
    core: Core,
    load: Load,
    read_program: ReadProgram,
    /// Taken when the control socket is opened.
    control_address: Option<Address>,
    control: Option<Control>,
    signals: Signals,
    poller: Poller,
    hearing: Hearing,
    inherited: Inherited,
    terminal: Option<Terminal>,
    recorder: Recorder,
    termination_log: Option<TerminationLog>,
    realm: Realm,
    started: Instant,
    /// The writing ends of the standard inputs that `stdin` steps write to.
    inputs: BTreeMap<ProgramId, OwnedFd>,
    outputs: Outputs,
    pressure: Pressure,
    tmux: tmux::Tmux,
    cleaning: Listener,
    /// Taken when the log is started.
    log: Option<String>,
    narrator: Option<Box<dyn Narrator>>,
    lets_go: LetsGo,
    marks: Marks,
    exit_code: Option<u8>,
    /// Empty between two events; kept, since a signal on its way should not wait for memory.
    room: Option<(VecDeque<Event>, Vec<Action>)>,
}

/// Runs the plan to its end and returns runinit's exit code. A panic inside ends everything that was started and is
/// recorded.
pub fn run(mut setup: Setup) -> u8 {
    let realm = Realm::new(setup.own);
    let mut marks = if setup.plan.marks_programs { Marks::new(setup.own) } else { Marks::default() };
    // A wrapper's start waits for nothing; it looks later, and only tells.
    if setup.plan.marks_programs && setup.recorder.is_kept() {
        // Before anything is started in tmux: it may be there already.
        crate::logging::start(&setup.log);
        if let Some(last) = setup.recorder.begin() {
            let is_left = |pid, name: &str| marks.is_left(pid, name);
            leftovers::settle(&mut setup.plan, last, is_left, |pid, name| marks.is_orphan(pid, name));
        }
    }
    if let Some(log) = &mut setup.termination_log {
        log.look();
    }
    let cgroups = marks.use_cgroups(setup.own);
    let mut runtime = Runtime {
        outputs: Outputs::default(),
        tmux: tmux::Tmux::default(),
        core: Core::new(setup.plan),
        load: setup.load,
        read_program: setup.read_program,
        control_address: setup.control,
        control: None,
        signals: setup.signals,
        poller: Poller::default(),
        hearing: Hearing::default(),
        inherited: setup.inherited,
        terminal: setup.terminal,
        recorder: setup.recorder,
        termination_log: setup.termination_log,
        realm,
        started: Instant::now(),
        inputs: BTreeMap::new(),
        pressure: Pressure::default(),
        cleaning: Listener::default(),
        log: Some(setup.log),
        narrator: setup.narrator,
        lets_go: setup.lets_go,
        marks,
        exit_code: None,
        room: None,
    };
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.run(cgroups)));
    let code = ended.unwrap_or_else(|_| runtime.end_after_panic());
    if let Some(cgroups) = runtime.marks.cgroups() {
        cgroups.remove();
    }
    runtime.take_terminal();
    drop(runtime.control.take());
    // The process ends, and the kernel has its memory back sooner than all of it is freed piece by piece.
    std::mem::forget(runtime);
    code
}

impl Runtime {
    fn run(&mut self, cgroups: Result<(), String>) -> u8 {
        self.handle(Event::Tick, Moment::ZERO);
        if self.core.plan().programs.is_empty() {
            self.let_go();
        }
        self.start_log();
        if let Err(why) = cgroups {
            log::debug!("programs have no cgroups of their own: {why}");
        }
        self.open_control();
        inject_fault();
        let mut is_more = true;
        let (mut tick_at, mut has_ticked) = (None, true);
        let (mut ready, mut arrived) = (Vec::new(), Vec::new());
        loop {
            if let Some(code) = self.exit_code {
                return code;
            }
            if !self.core.is_settled() || has_ticked {
                tick_at = self.core.deadline();
            }
            let deadlines = [tick_at, self.pressure_deadline(), self.control_deadline()];
            let deadline = deadlines.into_iter().flatten().min();
            let wait = deadline.map(|at| at.saturating_sub(self.now()));
            let wait = [wait, self.outputs.retry_after()].into_iter().flatten().min();
            let wait = if is_more { Some(Moment::ZERO) } else { wait };
            let is_wrapper = self.poller.is_empty();
            let is_signalled = if is_wrapper {
                arrived.extend(self.wait_for_signal(wait));
                !arrived.is_empty()
            } else {
                self.poller.wait(self.signals.as_fd(), wait, &mut ready)
            };
            let now = self.now();
            // A passed deadline is a reason to look for exits too; pipes that are never quiet are none.
            let is_to_hear = is_signalled || is_more || ready.is_empty();
            // What a program has printed is handed on before its exit is told.
            if !ready.is_empty() {
                self.serve(&mut ready, now);
            }
            if is_to_hear {
                let more_signals = !is_wrapper && self.signals.read(&mut arrived);
                let left = self.hear_signals(&mut arrived, now, is_more || !is_signalled);
                is_more = more_signals || left == Left::Perhaps;
            }
            has_ticked = !self.core.is_settled() || tick_at.is_some_and(|at| at <= now);
            if has_ticked {
                self.hear_those_who_are_late(now);
                self.handle(Event::Tick, now);
            }
            self.look_at_pressure(now);
            self.attend_clients(now);
            self.outputs.end_round(&mut self.poller);
        }
    }

    fn start_log(&mut self) {
        if let Some(filter) = self.log.take() {
            crate::logging::start(&filter);
        }
    }

    fn let_go(&self) {
        if self.lets_go.directory {
            inheritance::leave_directory();
        }
        if self.lets_go.descriptors {
            inheritance::close_descriptors();
        }
    }

    /// After the record, which tells more and must not wait.
    fn write_last_words(&self) {
        if let Some(log) = &self.termination_log
            && let Some(words) = self.core.last_words(self.now())
        {
            log.write(&words);
        }
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }

    #[inline(never)]
    fn serve(&mut self, ready: &mut Vec<Token>, now: Moment) {
        for token in ready.drain(..) {
            match token {
                Token::Output(place) => self.outputs.serve(place, &mut self.poller),
                // The end of the round hands on what there is.
                Token::Standard(_) => {}
                Token::Notify(index) => self.hear_messages(ProgramId(index), now),
                Token::ReadyPipe(index) => self.hear_pipe(ProgramId(index), now),
                Token::Connection(index) => self.hear_connection(ProgramId(index), now),
                Token::Control => self.accept_clients(now),
                Token::Client(index) => self.serve_client(index, now),
                Token::Pane(index) => self.hear_end(ProgramId(index), now),
                Token::Pass => _ = self.hear_pass(),
            }
        }
        self.outputs.end_round(&mut self.poller);
    }

    /// Waits for one that is more than handed on, where nothing else is waited for. While nothing is due either, to hand one on
    /// is the whole round.
    fn wait_for_signal(&self, wait: Option<Moment>) -> Option<Arrived> {
        let way = self.core.short_way().filter(|_| wait.is_none() && self.narrator.is_none());
        loop {
            let arrived = self.signals.wait(wait)?;
            let Some(way) = way.filter(|way| way.signals.contains(arrived.signal)) else {
                return Some(arrived);
            };
            if self.is_own(arrived) || kill::signal(way.target, arrived.signal).is_err() {
                return Some(arrived);
            }
        }
    }

    fn is_own(&self, arrived: Arrived) -> bool {
        arrived.sender.is_some_and(|(pid, _)| pid == self.realm.own().number())
    }

    /// Takes in signals, and before them exits.
    fn hear_signals(&mut self, arrived: &mut Vec<Arrived>, now: Moment, is_to_reap: bool) -> Left {
        let mut changed = Changed::default();
        // A SIGCHLD stands for every change since the last one was read, so without one nobody has ended. A SIGTERM is read
        // before it, since its number is lower (signal(7)), even if the end came first.
        let stops_on = &self.core.plan().stops_on;
        let tells = |signal: &Signal| *signal == Signal::CHLD || stops_on.contains(signal);
        let is_to_reap = is_to_reap || arrived.iter().any(|arrived| tells(&arrived.signal));
        let left = if is_to_reap { reap::reap(&mut changed) } else { Left::Alive };
        if !changed.reaped.is_empty() {
            self.hear_last_words(&changed.reaped, now);
            self.handle(Event::Reaped(changed.reaped), now);
            self.pressure.has_changed(now);
            self.end_outputs();
        }
        for (pid, signal) in changed.stopped {
            self.handle(Event::Stopped(pid, signal), now);
        }
        for signal in arrived.drain(..) {
            if let Some(received) = self.understand(signal) {
                self.handle(Event::Signal(received), now);
            }
        }
        left
    }

    fn understand(&mut self, arrived: Arrived) -> Option<Received> {
        let Arrived { signal, sender } = arrived;
        if self.is_own(arrived) {
            match (signal, &mut self.narrator) {
                // A write to a pipe without a reader or beyond RLIMIT_FSIZE; it has failed, and that was heard.
                // The other two are Ctrl-C, passed on to all of the group.
                (Signal::PIPE | Signal::XFSZ | Signal::INT | Signal::QUIT, _)
                | (Signal::HUP | Signal::CONT, None) => return None,
                // The kernel's farewell from a terminal that was given up.
                (Signal::HUP | Signal::CONT, Some(narrator)) => {
                    narrator.left_terminal(signal);
                    return None;
                }
                _ => {}
            }
        }
        let is_neighbours = signal == Signal::CONT
            && sender.is_some_and(|(pid, _)| pid > 0 && terminal::is_in_own_group(pid));
        let is_told = [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal);
        let sender = sender.map(|(pid, uid)| {
            let command = Pid::new(pid).filter(|_| is_told);
            let command = command.and_then(|pid| processes::command(self.realm.own(), pid));
            Sender { pid, uid, command }
        });
        // A script's background (POSIX, "Asynchronous Lists"): what is blocked is queued even so.
        let is_ignored = [Signal::INT, Signal::QUIT].contains(&signal) && signals::is_ignored(signal);
        Some(Received { signal, sender, is_ignored, is_neighbours })
    }

    /// Steps the core with an event, and with everything that comes of it.
    fn handle(&mut self, event: Event, now: Moment) {
        let (mut events, mut actions) = self.room.take().unwrap_or_default();
        events.push_back(event);
        while let Some(event) = events.pop_front() {
            if let Some(narrator) = &mut self.narrator {
                narrator.hear(&event);
            }
            self.core.step(event, now, &mut actions);
            for action in actions.drain(..) {
                events.extend(self.perform(action));
                events.extend(self.tmux.take_ended());
            }
        }
        self.room = Some((events, actions));
    }
}

/// A fault that tests ask for; not in a release.
fn inject_fault() {
    #[cfg(debug_assertions)]
    assert_ne!(std::env::var("RUNINIT_FAULT").as_deref(), Ok("panic"), "a panic that was asked for");
}
