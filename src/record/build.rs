//! The record, read off the core.

use super::{
    Entry, Exit, Phase, Program, Reaped, Record, SCHEMA, Signal, Signals, Step, Stray, Survivor, TmuxServer,
    last_output,
};
use crate::core::budget::Moment;
use crate::core::duration::ms;
use crate::core::masks::{Masks, SignalSet};
use crate::core::plan::ProgramId;
use crate::core::shutdown::{Reason, Shutdown};
use crate::core::{Core, ReapCount, plan, process, program};
use std::time::SystemTime;

/// The wall clock as it was when runinit started: a clock that is set later does not change the order of things.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The time of day at the core's moment zero.
    pub started: SystemTime,
}

impl Clock {
    fn rfc3339(self, moment: Moment) -> String {
        humantime::format_rfc3339_millis(self.started + moment).to_string()
    }
}

/// The last lines of a program.
pub type LastLines<'a> = dyn Fn(ProgramId) -> Vec<String> + 'a;

/// The record as of now.
pub fn build(core: &Core, last_lines: &LastLines<'_>, clock: Clock, now: Moment) -> Record {
    let shutdown = core.shutdown();
    let began = shutdown.map(|shutdown| shutdown.began);
    let times = Times { zero: began.unwrap_or_default(), now };
    let received = shutdown.and_then(|shutdown| shutdown.received.as_ref());
    let main = core.main();
    let mut record = Record {
        schema: SCHEMA,
        phase: match shutdown {
            None => Phase::Running,
            Some(_) if core.is_finished() => Phase::Stopped,
            Some(_) => Phase::Stopping,
        },
        shutdown_time: began.map(|began| clock.rfc3339(began)),
        reason: shutdown.map(|shutdown| reason(shutdown.reason).to_owned()),
        signal_received: received.is_some(),
        signal: received.map(|received| Signal {
            name: received.signal.to_string(),
            sender_pid: received.sender.as_ref().map(|sender| sender.pid),
            sender_uid: received.sender.as_ref().map(|sender| sender.uid),
            sender_command: received.sender.as_ref().and_then(|sender| sender.command.clone()),
        }),
        budget_ms: core.plan().budget.length().map(ms),
        elapsed_ms: began.map_or(0, |began| ms(now.saturating_sub(began))),
        exit_code: core.is_finished().then(|| core.exit_code()),
        active_tasks: shutdown.map_or(Vec::new(), |s| s.active.iter().map(|id| name(core, *id)).collect()),
        programs: core
            .programs()
            .filter(|(_, spec, _)| !spec.is_server())
            .map(|(id, spec, program)| Program {
                main: main == Some(id),
                after: names_of(core, core.stops_before(id)),
                last_output: last_lines(id),
                ..build_program(spec, program, clock, times)
            })
            .collect(),
        tmux_servers: core.programs().filter_map(|(_, spec, program)| server(spec, program)).collect(),
        strays: shutdown.map_or(Vec::new(), |shutdown| strays(core, shutdown)),
        survivors: shutdown.filter(|_| core.is_finished()).map_or(Vec::new(), survivors),
        reaped: core.reaped().into(),
        timeline: timeline(core, times),
    };
    last_output::fit(&mut record.programs);
    record
}

fn name(core: &Core, id: ProgramId) -> String {
    core.plan().programs[id].name.clone()
}

fn strays(core: &Core, shutdown: &Shutdown) -> Vec<Stray> {
    let strays = shutdown.strays.iter().map(|(pid, stray)| Stray {
        pid: pid.number(),
        command: stray.command.clone(),
        program: stray.program.map(|id| name(core, id)),
        stopped_by: stray.stopped_by().to_string(),
    });
    strays.collect()
}

fn survivors(shutdown: &Shutdown) -> Vec<Survivor> {
    let others = shutdown.sweep.iter().flat_map(|sweep| &sweep.others);
    let survivors = others.map(|other| Survivor {
        pid: other.pid.number(),
        command: other.command.clone(),
        state: other.state,
    });
    survivors.collect()
}

fn timeline(core: &Core, times: Times) -> Vec<Entry> {
    let entries = core.timeline().entries().map(|entry| Entry {
        at_ms: times.since(entry.at),
        program: entry.program.map(|id| name(core, id)),
        event: entry.event.clone(),
    });
    entries.collect()
}

fn build_program(spec: &plan::Program, program: &program::Program, clock: Clock, times: Times) -> Program {
    let pid = pid(spec, program);
    Program {
        name: spec.name.clone(),
        kind: if spec.is_agent() { "tmux" } else { "process" }.to_owned(),
        main: false,
        after: Vec::new(),
        pid: pid.map(process::Pid::number),
        pgid: pid.and_then(process::Pid::group).map(process::Pgid::number),
        session: spec.session().map(|session| session.name.clone()),
        socket: spec.session().map(|session| session.socket.to_string()),
        started_at: program.started_at.map(|at| clock.rfc3339(at)),
        ready: program.readiness == program::Readiness::Ready,
        restarts: program.restarting.count,
        exit: program.exit.map(Exit::from),
        stopped_by: program.stopped_by.map(|by| by.to_string()),
        signals: program.masks.map(signals),
        steps: program.taken.iter().map(|taken| times.step(taken)).collect(),
        last_output: Vec::new(),
    }
}

fn signals(masks: Masks) -> Signals {
    let names = |set: SignalSet| set.signals().map(|signal| signal.to_string()).collect();
    Signals { ignored: names(masks.ignored), caught: names(masks.caught), blocked: names(masks.blocked) }
}

impl From<ReapCount> for Reaped {
    fn from(ReapCount { programs, orphans }: ReapCount) -> Self {
        Self { programs, orphans }
    }
}

impl From<process::Exit> for Exit {
    fn from(exit: process::Exit) -> Self {
        match exit {
            process::Exit::Code(code) => Self::Code(code),
            process::Exit::Signal(signal) => Self::Signal(signal.to_string()),
        }
    }
}

/// Without servers, which are no programs for people.
fn names_of(core: &Core, ids: &[ProgramId]) -> Vec<String> {
    let specs = ids.iter().map(|id| &core.plan().programs[*id]);
    specs.filter(|spec| !spec.is_server()).map(|spec| spec.name.clone()).collect()
}

fn server(spec: &plan::Program, program: &program::Program) -> Option<TmuxServer> {
    let plan::Kind::TmuxServer(socket) = &spec.kind else { return None };
    Some(TmuxServer { socket: socket.to_string(), pid: pid(spec, program).map(process::Pid::number) })
}

/// Where nobody has looked yet for what the last run has left, what is known of it: this run may be killed, too.
fn pid(spec: &plan::Program, program: &program::Program) -> Option<process::Pid> {
    program.pid.or(spec.runs_as)
}

/// Moments as the record counts them.
#[derive(Clone, Copy)]
struct Times {
    zero: Moment,
    now: Moment,
}

impl Times {
    fn since(self, moment: Moment) -> i64 {
        let signed = |duration| i64::try_from(ms(duration)).unwrap_or(i64::MAX);
        let after = moment.checked_sub(self.zero).map(signed);
        after.unwrap_or_else(|| -signed(self.zero.saturating_sub(moment)))
    }

    fn step(self, taken: &program::Taken) -> Step {
        Step {
            step: taken.what.to_string(),
            at_ms: self.since(taken.at),
            waited_ms: ms(taken.until.unwrap_or(self.now).saturating_sub(taken.at)),
        }
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Asked => "graceful_shutdown",
        Reason::MainExited => "main_exited",
        Reason::AllExited => "all_exited",
        Reason::ProgramFailed(_) => "program_failed",
        Reason::InternalError => "internal_error",
    }
}
