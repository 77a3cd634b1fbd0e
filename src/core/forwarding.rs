//! Where a signal goes.

use super::Core;
use super::action::{Action, Stops, Target};
use super::budget::Moment;
use super::event::Received;
use super::masks::SignalSet;
use super::plan::{End, Leads, ProgramId, TerminalStops};
use super::policy::Restart;
use super::process::{Exit, Pid};
use super::program::State;
use super::shutdown::Reason;
use super::signal::Signal;
use log::Level;

/// Where some signals go as they are, without anything else that comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortWay {
    /// To whom.
    pub target: Target,
    /// Which.
    pub signals: SignalSet,
}

/// They stop whoever does nothing about them, and a terminal sends them.
const TERMINAL_STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

impl Core {
    pub(super) fn on_signal(&mut self, received: Received, now: Moment, out: &mut Vec<Action>) {
        let signal = received.signal;
        if self.plan.reload_on == Some(signal) {
            out.push(Action::Reload);
            return;
        }
        if !self.is_forwarded(signal) {
            self.heed_stop(&received, out);
            return;
        }
        if self.asks_for_the_end(&received) {
            self.is_settled = false;
            match &mut self.shutdown {
                None => self.begin_shutdown(Reason::Asked, Some(received), now, out),
                Some(shutdown) if shutdown.may_be_one_request(&received, now) => shutdown.doubt(now),
                Some(shutdown) if shutdown.received.is_some() => self.stop_now(now, out),
                Some(_) => self.join_shutdown(received, now),
            }
            return;
        }
        if signal == Signal::CONT {
            if let Some(shutdown) = &mut self.shutdown {
                shutdown.settle_doubt(&received);
            }
            // Another runinit has taken the terminal for whoever reads, and its SIGCONT is no `fg`.
            let is_for_another = received.is_neighbours && !self.programs.iter().any(|p| p.is_stopped);
            // First: a program that goes on in the background and reads is stopped at once again (SIGTTIN).
            out.extend((!is_for_another).then_some(Action::GiveTerminal));
        }
        for id in self.ids() {
            if self.has_heard(id, received.sender.is_none()) || self.plan.programs[id].is_server() {
                continue;
            }
            if self.is_about_to_come(id) {
                self.programs[id].early.insert(signal);
                self.say(Level::Debug, id, format_args!("{signal} is kept until it has started"), out);
            }
            if signal == Signal::CONT {
                self.programs[id].stops_with_neighbours = false;
            }
            if signal == Signal::CONT && std::mem::take(&mut self.programs[id].is_stopped) {
                self.continue_all(id, out);
            } else {
                self.forward_to(id, signal, out);
            }
        }
        if is_terminal_stop(signal) && self.plan.terminal_stops == TerminalStops::ForwardAndStop {
            out.push(Action::StopSelf);
        }
    }

    /// The way of the signals that are only handed on, until another event than one of them comes. Nearly all of a wrapper's
    /// are, and cost the least so. As an [`Event`](super::event::Event) each would ask for the same.
    pub fn short_way(&self) -> Option<ShortWay> {
        let ([spec], [program]) = (&self.plan.programs[..], &self.programs[..]) else { return None };
        let is_running = matches!(program.state, State::Running { .. });
        let is_quiet = self.is_settled && self.shutdown.is_none() && is_running;
        if !is_quiet || spec.is_agent() || spec.launch.leads == Leads::Nothing {
            return None;
        }
        let stops = &self.plan.stops_on;
        let turned = self.plan.rewrite.keys().chain(spec.signals.keys());
        // Of these two it is kept in mind that they were sent.
        let special = [Signal::CHLD, Signal::CONT, Signal::INT, Signal::QUIT];
        let special = special.into_iter().chain(TERMINAL_STOPS);
        let special = special.chain(self.plan.reload_on).chain(stops.iter().chain(turned).copied());
        let signals = special.fold(SignalSet::ALL, SignalSet::without);
        self.target(ProgramId(0)).map(|target| ShortWay { target, signals })
    }

    /// A program that has the terminal was stopped there (Ctrl-Z): runinit stops with it, so that the shell that started
    /// both sees its job stopped. The SIGCONT that comes to runinit then is for all of its group.
    pub(super) fn on_stopped(&mut self, pid: Pid, signal: Signal, now: Moment, out: &mut Vec<Action>) {
        let Some(id) = self.ids().find(|id| self.programs[*id].leader() == Some(pid)) else { return };
        if self.plan.programs[id].launch.foreground {
            self.note(now, Some(id), format!("stopped by {signal}"));
            let is_known = std::mem::take(&mut self.programs[id].stops_with_neighbours);
            let stops = if is_known { Stops::Itself } else { Stops::Group };
            out.push(Action::StopWith(id, signal, stops));
        }
    }

    /// The terminal's stop signals are job control, and runinit is one job with its program and its neighbours.
    fn heed_stop(&mut self, received: &Received, out: &mut Vec<Action>) {
        let signal = received.signal;
        let is_in_front = |id: &ProgramId| {
            self.plan.programs[*id].launch.foreground && self.programs[*id].leader().is_some()
        };
        let Some(id) = self.ids().find(is_in_front).filter(|_| is_terminal_stop(signal)) else { return };
        self.programs[id].stops_with_neighbours = signal == Signal::TSTP && received.sender.is_none();
        out.push(Action::HeedStop(id, signal));
    }

    /// A read or write in the background has stopped all of its group.
    pub(super) fn on_terminal(&mut self, id: ProgramId, out: &mut Vec<Action>) {
        self.programs[id].stops_with_neighbours = false;
        let target = self.programs[id].group().map(Target::Group);
        out.extend(target.map(|target| Action::Signal(id, target, Signal::CONT)));
    }

    fn continue_all(&self, id: ProgramId, out: &mut Vec<Action>) {
        let target = self.programs[id].group().map(Target::Group);
        if let (Some(target), Some(signal)) = (target, self.rewritten_for(id, Signal::CONT)) {
            out.push(Action::Signal(id, target, signal));
        }
    }

    /// runinit could not stop where nobody could continue it; the program cannot stay stopped there either. The kernel
    /// does the same for an orphaned group: Ctrl-Z is nothing, and a background read or write ends it (SIGHUP, SIGCONT).
    pub(super) fn on_could_not_stop(&mut self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        let Some(target) = self.programs[id].group().map(Target::Group) else { return };
        let signals: &[Signal] = match signal {
            Signal::TSTP => &[Signal::CONT],
            Signal::TTIN | Signal::TTOU => &[Signal::HUP, Signal::CONT],
            // Somebody stopped it on purpose, and will continue it.
            _ => &[],
        };
        out.extend(signals.iter().map(|&signal| Action::Signal(id, target, signal)));
    }

    /// At a terminal Ctrl-C is the program's own affair, but not while everything stops. Where a shell has started runinit in
    /// the background of a script, it is never about that.
    fn asks_for_the_end(&self, received: &Received) -> bool {
        let signal = received.signal;
        let is_meant = !received.is_ignored;
        is_meant && (self.plan.stops_on.contains(&signal) || (is_ctrl_c(signal) && self.shutdown.is_some()))
    }

    /// SIGCHLD is about runinit's own children; the stop signals of a terminal are job control.
    fn is_forwarded(&self, signal: Signal) -> bool {
        let stops = self.plan.terminal_stops;
        match signal {
            Signal::CHLD => false,
            signal if is_terminal_stop(signal) && stops == TerminalStops::Keep => false,
            // Whoever drops it still stops after it.
            signal if is_terminal_stop(signal) && stops == TerminalStops::ForwardAndStop => true,
            signal => self.plan.rewrite.get(&signal) != Some(&None),
        }
    }

    /// What the terminal sends (Ctrl-C) it sends to all of runinit's group, of which such a program is a member.
    fn has_heard(&self, id: ProgramId, is_from_kernel: bool) -> bool {
        is_from_kernel && self.plan.programs[id].launch.leads == Leads::Nothing
    }

    /// True for a program that may be there already, and tmux is about to tell, and for a main program before its first run.
    /// What comes between two runs is for neither: the next one knows nothing of why it came, and may die of it.
    fn is_about_to_come(&self, id: ProgramId) -> bool {
        let program = &self.programs[id];
        match program.state {
            State::Starting { .. } => true,
            State::Waiting { .. } => self.plan.programs[id].main && program.started_at.is_none(),
            _ => false,
        }
    }

    pub(super) fn forward_to(&mut self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        if let Some(signal) = self.rewritten_for(id, signal) {
            self.hand_to(id, signal, out);
        }
    }

    /// As it is.
    pub(super) fn hand_to(&mut self, id: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        let Some(target) = self.target(id) else { return };
        self.programs[id].was_interrupted |= is_ctrl_c(signal);
        out.push(Action::Signal(id, target, signal));
    }

    /// At the terminal Ctrl-C reaches the program in front alone, and without runinit it had reached the whole job: a pipeline,
    /// `make -j`, a script. Ctrl-Z is handed back to that in the same way. Other inits leave it at that; and what is started
    /// again is not over.
    pub(super) fn pass_on(&self, id: ProgramId, exit: Option<Exit>, out: &mut Vec<Action>) {
        let Some(Exit::Signal(signal)) = exit.filter(|_| !self.programs[id].was_interrupted) else { return };
        let spec = &self.plan.programs[id];
        let is_over = spec.restart == Restart::Never && self.plan.end == End::Sweep;
        if is_ctrl_c(signal) && spec.launch.foreground && is_over {
            out.push(Action::PassOn(id, signal));
        }
    }

    /// The part of a signal's target that is left: the leader alone where only that is wanted, else the group.
    pub(super) fn target(&self, id: ProgramId) -> Option<Target> {
        let program = &self.programs[id];
        match program.leader() {
            Some(leader) if self.plan.single_child && !self.plan.programs[id].is_agent() => {
                Some(Target::Leader(leader))
            }
            _ => program.group().map(Target::Group),
        }
    }

    fn rewritten_for(&self, id: ProgramId, signal: Signal) -> Option<Signal> {
        let signal = self.rewritten(signal)?;
        self.plan.programs[id].signals.get(&signal).copied().unwrap_or(Some(signal))
    }

    /// What a signal is to every program; `None` if it is dropped.
    pub(super) fn rewritten(&self, signal: Signal) -> Option<Signal> {
        self.plan.rewrite.get(&signal).copied().unwrap_or(Some(signal))
    }
}

/// The same signal, if runinit forwards it by its own ways, so that it could be forwarded as another.
///
/// # Errors
/// Why it never does, for people.
pub fn forwardable(signal: Signal) -> Result<Signal, String> {
    let why = match signal {
        Signal::KILL | Signal::STOP => "no process can catch it",
        Signal::CHLD => "it tells runinit of its own children",
        signal if is_terminal_stop(signal) => "it is a terminal's, for job control",
        signal => return Ok(signal),
    };
    Err(format!("{signal} is never forwarded: {why}"))
}

/// True for what a terminal sends at Ctrl-C and Ctrl-\.
fn is_ctrl_c(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT].contains(&signal)
}

fn is_terminal_stop(signal: Signal) -> bool {
    TERMINAL_STOPS.contains(&signal)
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, Reaped, Sender};
    use crate::core::plan::{Launch, Plan, Program, Rewrite};
    use std::time::Duration;

    /// One program, and no signal that begins a shutdown.
    fn bench(leads: Leads, terminal_stops: TerminalStops, rewrite: Rewrite) -> Bench {
        let program = Program { main: true, launch: Launch { leads, ..Launch::default() }, ..program("p") };
        let single_child = leads == Leads::Nothing;
        let plan = Plan::new(vec![program], Budget::Forever);
        let mut bench =
            Bench::of(Plan { stops_on: Vec::new(), terminal_stops, rewrite, single_child, ..plan });
        bench.asked();
        bench
    }

    /// What comes of a signal: those that are forwarded, and whether runinit stops.
    fn forwarded(bench: &mut Bench, signal: Signal, by_process: bool) -> (Vec<Signal>, bool) {
        let sender = by_process.then_some(Sender { pid: 1, uid: 0, command: None });
        bench.step(Event::Signal(Received { sender, ..Received::from_kernel(signal) }));
        let asked = bench.asked();
        let signals = asked.iter().filter_map(|action| match action {
            Action::Signal(_, _, signal) => Some(*signal),
            _ => None,
        });
        (signals.collect(), asked.contains(&Action::StopSelf))
    }

    #[test]
    fn only_what_changes_nothing_takes_the_short_way() {
        let mut bench = Bench::new(vec![program("p")]);
        let way = bench.core.short_way().unwrap();
        assert_eq!(Some(way.target), bench.program(0).group().map(Target::Group));
        let special = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::CONT, Signal::CHLD];
        for signal in Signal::all() {
            let is_special = special.contains(&signal) || is_terminal_stop(signal);
            assert_eq!(way.signals.contains(signal), !is_special, "{signal}");
        }
        bench.signal(Signal::TERM);
        assert_eq!(bench.core.short_way(), None, "in a shutdown");
        let bench = Bench::new(vec![program("p"), program("q")]);
        assert_eq!(bench.core.short_way(), None, "to several");
    }

    #[test]
    fn what_becomes_another_signal_or_none_or_a_reload_takes_the_long_way() {
        let [usr1, usr2, hup] = [10, 12, 1].map(|number| Signal::new(number).unwrap());
        let program = Program { signals: [(usr2, Some(hup))].into(), ..program("p") };
        let plan = Plan::new(vec![program], Budget::Forever);
        let bench = Bench::of(Plan { rewrite: [(usr1, None)].into(), reload_on: Some(hup), ..plan });
        let signals = bench.core.short_way().unwrap().signals;
        assert_eq!([usr1, usr2, hup].map(|signal| signals.contains(signal)), [false; 3]);
    }

    #[test]
    fn at_a_terminal_ctrl_c_is_about_the_shutdown_once_that_is_under_way() {
        let plan = Plan::new(vec![program("p")], Budget::Within(Duration::from_secs(9)));
        for signal in [Signal::INT, Signal::QUIT] {
            let mut bench = Bench::of(Plan { stops_on: vec![Signal::TERM], ..plan.clone() });
            bench.signal(signal);
            assert!(bench.core.shutdown().is_none(), "{signal} is the program's own affair");
            bench.signal(Signal::TERM);
            assert!(!bench.core.is_now());
            bench.signal(signal);
            assert!(bench.core.is_now(), "{signal}");
        }
    }

    #[test]
    fn a_ctrl_c_that_ends_the_program_in_front_is_passed_on_unless_runinit_has_sent_it() {
        let hup = Signal::new(1).unwrap();
        let usr1 = Signal::new(10).unwrap();
        for (before, exit, is_passed) in [
            (None, Exit::Signal(Signal::INT), true),
            (None, Exit::Signal(Signal::QUIT), true),
            (Some(hup), Exit::Signal(Signal::INT), true),
            (None, Exit::Signal(Signal::TERM), false),
            (None, Exit::Code(130), false),
            (Some(Signal::INT), Exit::Signal(Signal::INT), false),
            (Some(usr1), Exit::Signal(Signal::INT), false),
            (Some(Signal::TERM), Exit::Signal(Signal::INT), false),
        ] {
            let launch = Launch { foreground: true, ..Launch::default() };
            let main = Program { main: true, launch, ..program("p") };
            let plan = Plan::new(vec![main], Budget::Forever);
            let rewrite: Rewrite = [(usr1, Some(Signal::INT))].into();
            let mut bench = Bench::of(Plan { stops_on: vec![Signal::TERM], rewrite, ..plan });
            if let Some(signal) = before {
                bench.signal(signal);
            }
            bench.asked();
            let pid = bench.program(0).leader().unwrap();
            bench.step(Event::Reaped(vec![Reaped { pid, exit }]));
            let asked = bench.asked();
            let place = |is_it: fn(&Action) -> bool| asked.iter().position(is_it);
            let passed = place(|action| matches!(action, Action::PassOn(..)));
            assert_eq!(passed.is_some(), is_passed, "{before:?} {exit}: {asked:?}");
            // While it is still known whose the terminal was.
            assert!(passed.is_none_or(|at| Some(at) < place(|action| *action == Action::TakeTerminal)));
        }
    }

    #[test]
    fn a_ctrl_z_that_came_to_the_neighbours_too_is_not_sent_to_them_again() {
        let launch = Launch { foreground: true, ..Launch::default() };
        let mut bench = Bench::new(vec![Program { launch, ..program("p") }]);
        let leader = bench.program(0).leader().unwrap();
        let from = |sender| Event::Signal(Received { sender, ..Received::from_kernel(Signal::TSTP) });
        let somebody = Some(Sender { pid: 7, uid: 0, command: None });
        for (before, stops) in [
            (vec![], Stops::Group),
            (vec![from(None)], Stops::Itself),
            (vec![], Stops::Group),
            (vec![from(somebody)], Stops::Group),
            (vec![from(None), Event::Signal(Received::from_kernel(Signal::CONT))], Stops::Group),
            (vec![from(None), Event::HasTerminal(ProgramId(0))], Stops::Group),
        ] {
            for event in before {
                bench.step(event);
            }
            bench.asked();
            bench.step(Event::Stopped(leader, Signal::TSTP));
            assert_eq!(bench.asked(), [Action::StopWith(ProgramId(0), Signal::TSTP, stops)]);
        }
    }

    #[test]
    fn the_terminal_goes_to_the_program_at_fg_and_not_when_a_neighbour_has_been_given_it() {
        let launch = Launch { foreground: true, ..Launch::default() };
        let mut bench = Bench::new(vec![Program { launch, ..program("p") }]);
        for (is_neighbours, is_stopped, is_given) in
            [(false, false, true), (true, false, false), (true, true, true), (true, false, false)]
        {
            if is_stopped {
                bench.step(Event::Resumed(ProgramId(0)));
            }
            bench.asked();
            bench.step(Event::Signal(Received { is_neighbours, ..Received::from_kernel(Signal::CONT) }));
            let asked = bench.asked();
            assert_eq!(asked.contains(&Action::GiveTerminal), is_given, "{is_neighbours} {is_stopped}");
            assert!(asked.iter().any(|action| matches!(action, Action::Signal(_, _, Signal::CONT))));
        }
    }

    #[test]
    fn what_came_in_ignored_is_handed_on_and_neither_begins_a_shutdown_nor_hastens_it() {
        let mut bench = Bench::new(vec![program("p")]);
        let group = bench.program(0).group().map(Target::Group).unwrap();
        for signal in [Signal::INT, Signal::QUIT] {
            bench.asked();
            bench.step(Event::Signal(Received { is_ignored: true, ..Received::from_kernel(signal) }));
            assert_eq!(bench.asked(), [Action::Signal(ProgramId(0), group, signal)]);
            assert!(bench.core.shutdown().is_none());
        }
        bench.signal(Signal::TERM);
        bench.asked();
        bench.step(Event::Signal(Received { is_ignored: true, ..Received::from_kernel(Signal::INT) }));
        assert_eq!(bench.asked(), [Action::Signal(ProgramId(0), group, Signal::INT)]);
        assert!(!bench.core.is_now());
    }

    #[test]
    fn the_signal_to_reload_is_heard_even_if_it_is_one_that_nobody_else_gets() {
        for (signal, rewrite) in [
            (Signal::TTIN, Rewrite::new()),
            (Signal::HUP, [(Signal::HUP, None)].into()),
            (Signal::HUP, Rewrite::new()),
        ] {
            let plan = Plan::new(vec![program("p")], Budget::Forever);
            let mut bench = Bench::of(Plan { reload_on: Some(signal), rewrite, ..plan });
            bench.asked();
            bench.signal(signal);
            assert_eq!(bench.asked(), [Action::Reload], "{signal}");
        }
    }

    #[test]
    fn a_terminals_stop_signal_goes_where_the_plan_says() {
        let drops: Rewrite = [(Signal::TSTP, None)].into();
        for (stops, rewrite, expected) in [
            (TerminalStops::Keep, Rewrite::new(), (vec![], false)),
            (TerminalStops::Forward, Rewrite::new(), (vec![Signal::TSTP], false)),
            (TerminalStops::Forward, drops.clone(), (vec![], false)),
            (TerminalStops::ForwardAndStop, Rewrite::new(), (vec![Signal::TSTP], true)),
            (TerminalStops::ForwardAndStop, drops, (vec![], true)),
        ] {
            let mut bench = bench(Leads::Group, stops, rewrite);
            assert_eq!(forwarded(&mut bench, Signal::TSTP, true), expected, "{stops:?}");
        }
    }

    #[test]
    fn what_the_terminal_sends_to_a_whole_group_is_not_sent_again() {
        for (leads, by_process, count) in
            [(Leads::Nothing, false, 0), (Leads::Nothing, true, 1), (Leads::Group, false, 1)]
        {
            let mut bench = bench(leads, TerminalStops::Keep, Rewrite::new());
            assert_eq!(forwarded(&mut bench, Signal::INT, by_process).0.len(), count, "{leads:?}");
        }
    }
}
