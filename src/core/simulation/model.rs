//! What the contract says about reasons, restarts and exit codes, told a second time and from the events alone.

use crate::core::budget::Moment;
use crate::core::commanding::Command;
use crate::core::event::{Event, GroupState, Received, SpawnFailureKind};
use crate::core::plan::TerminalStops;
use crate::core::plan::{OnFailure, Plan, ProgramId};
use crate::core::policy::Restart;
use crate::core::process::{Exit, Pid};
use crate::core::program::{Hold, Program, Readiness, State};
use crate::core::shutdown::Reason;
use crate::core::signal::Signal;

/// What an attentive reader of the contract knows.
#[derive(Debug)]
pub(super) struct Model {
    fates: Vec<Fate>,
    exits: Vec<Option<Exit>>,
    /// When each has ended within the time that counts for its restarts.
    restarts: Vec<Vec<Moment>>,
    /// Programs that were restarted as often as they may be.
    worn_out: Vec<bool>,
    /// Programs that somebody has asked for since they last ran: what they had failed of is forgotten.
    pardoned: Vec<bool>,
    /// What somebody has asked of each.
    holds: Vec<Hold>,
    /// Signals that asked for the end, in order.
    pub(super) asked: Vec<Signal>,
    /// Why the shutdown began, once it has.
    pub(super) reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not started yet, or not again.
    Waiting,
    Alive(Pid),
    /// It will be started again when nothing of it is left.
    Returning,
    Ended,
    /// It could not start.
    Failed(SpawnFailureKind),
    /// Something it comes after will never be ready.
    Missing,
}

/// A start that is put off is tried this often.
const TRIES: usize = 14;

/// What the model is told besides the event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) plan: &'a Plan,
    pub(super) now: Moment,
    /// The programs before the event.
    pub(super) before: &'a [Program],
    /// How often the start that this event is about has found no room.
    pub(super) tries: usize,
}

impl Model {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.programs.len();
        Self {
            fates: vec![Fate::Waiting; count],
            exits: vec![None; count],
            restarts: vec![Vec::new(); count],
            worn_out: vec![false; count],
            pardoned: vec![false; count],
            holds: vec![Hold::Free; count],
            asked: Vec::new(),
            reason: None,
        }
    }

    /// Takes in what the core is about to hear.
    pub(super) fn observe(&mut self, event: &Event, around: Circumstances) {
        match event {
            Event::Reaped(reaped) => {
                for child in reaped {
                    if let Some(index) = self.fates.iter().position(|fate| *fate == Fate::Alive(child.pid)) {
                        self.leader_ended(index, child.exit, around);
                    }
                }
            }
            Event::Signal(received) if asks(around.plan, received, self.reason.is_some()) => {
                self.asked.push(received.signal);
                self.reason.get_or_insert(Reason::Asked);
            }
            Event::Spawned(id, Ok(pid)) => {
                self.fates[id.0] = Fate::Alive(*pid);
                self.pardoned[id.0] = false;
            }
            Event::Spawned(id, Err(_))
                if self.holds[id.0] == Hold::Stopped && !around.plan.programs[id.0].main =>
            {
                self.fates[id.0] = Fate::Ended;
            }
            Event::Spawned(id, Err(failure)) => {
                let is_tried_again = around.tries < TRIES && self.holds[id.0] == Hold::Free;
                // In a shutdown it just does not start.
                if matches!(failure.kind, SpawnFailureKind::Busy | SpawnFailureKind::NoRoom)
                    && (is_tried_again || self.reason.is_some())
                {
                    if self.reason.is_none() && self.waits_in_vain(id.0, around) {
                        self.ended_for_good(id.0, Fate::Missing, false, around);
                    }
                    return;
                }
                self.ended_for_good(id.0, Fate::Failed(failure.kind), false, around);
            }
            Event::Group(id, GroupState::Empty) if !around.plan.marks_programs => {
                self.nobody_is_left(*id, around);
            }
            Event::Sought(found) => {
                for (id, _) in found.iter().filter(|(_, pids)| pids.is_empty()) {
                    if around.before[id.0].group().is_none() {
                        self.nobody_is_left(*id, around);
                    }
                }
            }
            Event::Closed(id, true) if around.before[id.0].state == State::Closing => {
                self.nothing_is_left(*id, around);
            }
            // A tmux that does not close a session is not waited for.
            Event::Tick => {
                for (index, program) in around.before.iter().enumerate() {
                    let is_late = program.call.is_some_and(|call| call.until <= around.now);
                    if program.state == State::Closing && is_late {
                        self.nothing_is_left(ProgramId(index), around);
                    }
                }
            }
            Event::Asked(command) if self.reason.is_none() && !self.is_refused(command, around) => {
                self.asked_by_hand(command, around);
            }
            _ => {}
        }
    }

    /// Everything stops already, for a reason that is not the model's own.
    pub(super) fn hear_of_shutdown(&mut self, reason: Option<Reason>) {
        self.reason = self.reason.or(reason);
    }

    fn leader_ended(&mut self, index: usize, exit: Exit, around: Circumstances) {
        self.exits[index] = Some(exit);
        self.fates[index] = Fate::Ended;
        if self.reason.is_some() {
            return;
        }
        let program = &around.plan.programs[index];
        match self.holds[index] {
            Hold::Free => {}
            Hold::Stopped if program.main => return self.ended_for_good(index, Fate::Ended, false, around),
            Hold::Stopped | Hold::Again => return,
        }
        let has_failed = self.has_failed(index, around);
        let was_ready = around.before[index].readiness == Readiness::Ready;
        let is_wanted = match program.restart {
            Restart::Never => false,
            Restart::OnFailure => has_failed,
            Restart::Always => has_failed || !program.oneshot,
        };
        if !is_wanted {
            let is_ready = !has_failed && (was_ready || program.oneshot);
            return self.ended_for_good(index, Fate::Ended, is_ready, around);
        }
        let recent = &mut self.restarts[index];
        recent.retain(|at| around.now.saturating_sub(*at) < program.backoff.within);
        if recent.len() >= usize::try_from(program.backoff.burst).unwrap_or(usize::MAX) {
            self.worn_out[index] = true;
            return self.ended_for_good(index, Fate::Ended, false, around);
        }
        recent.push(around.now);
        self.fates[index] = Fate::Returning;
    }

    /// Nobody of it is left; a session is closed first.
    fn nobody_is_left(&mut self, id: ProgramId, around: Circumstances) {
        let is_leaderless = matches!(
            around.before[id.0].state,
            State::Leaderless { .. }
                | State::Stopping { leader: None, .. }
                | State::Survived { leader: None, .. }
        );
        if is_leaderless && !around.plan.programs[id.0].is_agent() {
            self.nothing_is_left(id, around);
        }
    }

    /// Nothing is left of it: it may come back now, unless what it comes after never will.
    fn nothing_is_left(&mut self, id: ProgramId, around: Circumstances) {
        let is_wanted = self.holds[id.0] == Hold::Again && self.reason.is_none();
        if is_wanted {
            self.begin_anew(id.0);
            self.wait_again(around);
        } else if self.fates[id.0] != Fate::Returning {
            return;
        }
        if self.reason.is_some() {
            self.fates[id.0] = Fate::Ended;
        } else if self.waits_in_vain(id.0, around) {
            self.ended_for_good(id.0, Fate::Missing, false, around);
        } else {
            self.fates[id.0] = Fate::Waiting;
        }
    }

    fn waits_in_vain(&self, index: usize, around: Circumstances) -> bool {
        around.plan.programs[index].after.iter().any(|id| self.is_lost(*id, around))
    }

    /// It will not come back, and nobody can come after it.
    fn is_lost(&self, id: ProgramId, around: Circumstances) -> bool {
        let is_over = matches!(self.fates[id.0], Fate::Ended | Fate::Failed(_) | Fate::Missing);
        is_over && self.holds[id.0] == Hold::Free && around.before[id.0].readiness != Readiness::Ready
    }

    /// What it comes after, directly or not, cannot be started: even SIGKILL has not ended it.
    fn is_refused(&self, command: &Command, around: Circumstances) -> bool {
        let mut starting = match *command {
            Command::Start(id) => vec![id],
            Command::Restart(id) => self.restarted_with(id, around),
            _ => return false,
        };
        let mut seen = Vec::new();
        while let Some(id) = starting.pop() {
            for before in self.missing_before(id, around) {
                if matches!(around.before[before.0].state, State::Survived { .. }) {
                    return true;
                }
                if !seen.contains(&before) {
                    seen.push(before);
                    starting.push(before);
                }
            }
        }
        false
    }

    /// A program that is there takes along those that come after it.
    fn restarted_with(&self, id: ProgramId, around: Circumstances) -> Vec<ProgramId> {
        if !around.before[id.0].is_there() {
            return vec![id];
        }
        let mut with = dependents_and(id, around.plan);
        with.retain(|other| {
            let is_there = around.before[other.0].is_there();
            *other == id || is_there && self.holds[other.0] == Hold::Free
        });
        with
    }

    fn missing_before(&self, id: ProgramId, around: Circumstances) -> Vec<ProgramId> {
        let is_missing =
            |before: &ProgramId| self.is_lost(*before, around) || self.holds[before.0] == Hold::Stopped;
        around.plan.programs[id.0].after.iter().copied().filter(is_missing).collect()
    }

    fn asked_by_hand(&mut self, command: &Command, around: Circumstances) {
        match *command {
            Command::Stop(id) => {
                for id in dependents_and(id, around.plan) {
                    let before = &around.before[id.0];
                    if before.state == State::Ended && before.readiness == Readiness::Ready {
                        continue;
                    }
                    self.holds[id.0] = Hold::Stopped;
                    if matches!(self.fates[id.0], Fate::Waiting | Fate::Returning) {
                        self.fates[id.0] = Fate::Ended;
                    }
                    let is_starting = matches!(before.state, State::Starting { .. });
                    let is_between = before.started_at.is_some() && before.leader().is_none() && !is_starting;
                    if around.plan.programs[id.0].main && is_between {
                        self.ended_for_good(id.0, Fate::Ended, false, around);
                    }
                }
            }
            Command::Start(id) => self.start_by_hand(id, around),
            Command::Restart(id) => match around.before[id.0].state {
                State::Survived { .. } => {}
                State::Waiting { .. } | State::Starting { .. } | State::Closing | State::Ended => {
                    self.start_by_hand(id, around);
                }
                State::Running { .. } | State::Leaderless { .. } | State::Stopping { .. } => {
                    for again in self.restarted_with(id, around) {
                        for missing in self.missing_before(again, around) {
                            self.start_by_hand(missing, around);
                        }
                        self.come_again(again.0);
                    }
                }
            },
            Command::Signal(..) | Command::Add(_) | Command::Remove(_) => {}
        }
        self.wait_again(around);
    }

    /// Who was given up without somebody waits again when that one comes back.
    fn wait_again(&mut self, around: Circumstances) {
        let is_back = |model: &Self, index: usize| {
            let is_missing = model.fates[index] == Fate::Missing && model.holds[index] == Hold::Free;
            is_missing && model.missing_before(ProgramId(index), around).is_empty()
        };
        while self.reason.is_none()
            && let Some(index) = (0..self.fates.len()).find(|index| is_back(self, *index))
        {
            self.begin_anew(index);
        }
    }

    fn start_by_hand(&mut self, id: ProgramId, around: Circumstances) {
        let before = &around.before[id.0];
        if matches!(before.state, State::Survived { .. }) {
            return;
        }
        for missing in self.missing_before(id, around) {
            self.start_by_hand(missing, around);
        }
        match before.state {
            State::Ended => self.begin_anew(id.0),
            State::Waiting { .. } => self.restarts[id.0].clear(),
            State::Starting { .. } => {
                self.holds[id.0] = Hold::Free;
                self.fates[id.0] = Fate::Waiting;
            }
            State::Running { .. } => self.holds[id.0] = Hold::Free,
            State::Leaderless { .. } | State::Stopping { .. } | State::Closing => self.come_again(id.0),
            State::Survived { .. } => {}
        }
    }

    /// Somebody brings it back when nothing of it is left.
    fn come_again(&mut self, index: usize) {
        self.holds[index] = Hold::Again;
        if self.fates[index] == Fate::Returning {
            self.fates[index] = Fate::Ended;
        }
    }

    fn begin_anew(&mut self, index: usize) {
        self.holds[index] = Hold::Free;
        self.fates[index] = Fate::Waiting;
        self.restarts[index].clear();
        self.worn_out[index] = false;
        self.pardoned[index] = true;
    }

    /// It will not come back; if it was not ready, nobody who waits for it will come.
    fn ended_for_good(&mut self, index: usize, fate: Fate, is_ready: bool, around: Circumstances) {
        self.fates[index] = fate;
        self.on_end(index, around);
        if is_ready {
            return;
        }
        let mut lost = Vec::new();
        let mut missing = vec![index];
        while let Some(index) = missing.pop() {
            for (dependent, program) in around.plan.programs.iter().enumerate() {
                // A start that tmux has been asked for goes on.
                let is_asked = matches!(around.before[dependent].state, State::Starting { .. });
                let waits = self.fates[dependent] == Fate::Waiting && !is_asked;
                if waits && program.after.contains(&ProgramId(index)) {
                    self.fates[dependent] = Fate::Missing;
                    missing.push(dependent);
                    lost.push(dependent);
                }
            }
        }
        for dependent in lost {
            self.on_end(dependent, around);
        }
    }

    fn on_end(&mut self, index: usize, around: Circumstances) {
        let program = &around.plan.programs[index];
        let is_over = |fate: &Fate| !matches!(fate, Fate::Waiting | Fate::Alive(_) | Fate::Returning);
        let reason = if program.main {
            Reason::MainExited
        } else if program.on_failure == OnFailure::Shutdown && self.has_failed(index, around) {
            Reason::ProgramFailed(ProgramId(index))
        } else if self.fates.iter().all(is_over) && self.holds.iter().all(|hold| *hold == Hold::Free) {
            Reason::AllExited
        } else {
            return;
        };
        self.reason.get_or_insert(reason);
    }

    fn has_failed(&self, index: usize, around: Circumstances) -> bool {
        let has_fault = around.before.get(index).is_some_and(|program| program.fault.is_some());
        if has_fault && !self.pardoned[index]
            || self.worn_out[index]
            || matches!(self.fates[index], Fate::Failed(_) | Fate::Missing)
        {
            return true;
        }
        let is_well = |exit: Exit| around.plan.programs[index].success_codes.contains(&exit.code());
        !self.exits[index].is_some_and(is_well)
    }

    /// Everything is to end at once.
    pub(super) fn is_now(&self) -> bool {
        self.asked.len() > 1
    }

    pub(super) fn is_waiting(&self, id: ProgramId) -> bool {
        self.fates[id.0] == Fate::Waiting
    }

    /// runinit's exit code, by the contract's table.
    pub(super) fn exit_code(&self, around: Circumstances) -> i32 {
        let plan = around.plan;
        let main = plan.programs.iter().position(|program| program.main);
        match (self.reason, main) {
            (Some(Reason::ProgramFailed(id)), _) => {
                self.own_code(id.0).filter(|code| *code != 0).unwrap_or(1)
            }
            (reason, Some(main)) => {
                // Stopped before it was started: as if by the signal that came.
                let asked = self.asked.first().filter(|_| reason == Some(Reason::Asked));
                let without = asked.map_or(1, |signal| 128 + signal.number());
                let code = self.own_code(main).unwrap_or(without);
                let has_fault = around.before.get(main).is_some_and(|program| program.fault.is_some());
                let code = if has_fault && code == 0 { 1 } else { code };
                if plan.zero_codes.contains(&code) { 0 } else { code }
            }
            (Some(Reason::AllExited), None) => {
                let counts = |index: usize| !plan.programs[index].is_server();
                i32::from((0..self.fates.len()).any(|index| counts(index) && self.has_failed(index, around)))
            }
            (_, None) => 0,
        }
    }

    fn own_code(&self, index: usize) -> Option<i32> {
        match self.fates[index] {
            Fate::Failed(SpawnFailureKind::NotFound) => Some(127),
            Fate::Failed(SpawnFailureKind::NotExecutable | SpawnFailureKind::Busy) => Some(126),
            Fate::Failed(SpawnFailureKind::NoRoom) => Some(111),
            // It was killed, and even that did not end it in time.
            Fate::Alive(_) => Some(137),
            Fate::Ended | Fate::Waiting | Fate::Returning | Fate::Missing => {
                self.exits[index].map(Exit::code)
            }
        }
    }
}

/// A program and all that come after it, directly or not.
fn dependents_and(id: ProgramId, plan: &Plan) -> Vec<ProgramId> {
    let mut found = vec![id];
    let mut next = 0;
    while let Some(&known) = found.get(next) {
        next += 1;
        for (index, program) in plan.programs.iter().enumerate() {
            if program.after.contains(&known) && !found.contains(&ProgramId(index)) {
                found.push(ProgramId(index));
            }
        }
    }
    found
}

/// True for a signal that begins a shutdown, or that is about one that is under way.
pub(super) fn asks(plan: &Plan, received: &Received, is_stopping: bool) -> bool {
    let signal = received.signal;
    let is_ctrl_c = [Signal::INT, Signal::QUIT].contains(&signal);
    let is_about_the_end = plan.stops_on.contains(&signal) || (is_ctrl_c && is_stopping);
    is_about_the_end && !received.is_ignored && is_heard(plan, signal)
}

/// False for signals that are runinit's own business, or dropped.
pub(super) fn is_heard(plan: &Plan, signal: Signal) -> bool {
    let is_job_control = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
    let is_dropped = plan.rewrite.get(&signal) == Some(&None);
    match plan.terminal_stops {
        TerminalStops::Keep if is_job_control => false,
        TerminalStops::ForwardAndStop if is_job_control => true,
        _ => signal != Signal::CHLD && !is_dropped,
    }
}
