//! What an exit code means.

use super::advice::about_budget;
use super::course::{Course, courses, hurried_ms};
use super::deaf::{Manner, manner};
use super::times::{signed, time};
use crate::core::signal::Signal;
use crate::record::{Exit, Phase, Record};

/// What killed something, as far as the cgroup counts it.
pub(super) type OomKills = Option<u64>;

/// What SIGKILL leaves, runinit's own end too.
const KILLED: u8 = 128 + 9;

/// An exit code of runinit in a line or two, with the record of its run if there is one; `is_written`: that run goes on.
pub(super) fn explain(
    code: u8,
    record: Option<&Record>,
    is_written: bool,
    oom_kills: OomKills,
) -> Vec<String> {
    let mut lines = vec![format!("{code}: {}", meaning(code))];
    let Some(record) = record else {
        if code == KILLED {
            lines.push(format!("Without a record of the run nobody can say who sent it. {}", oom(oom_kills)));
        }
        return lines;
    };
    if record.phase != Phase::Stopped {
        lines.extend(of_unfinished(code, record, is_written, oom_kills));
        return lines;
    }
    if record.exit_code != Some(code) {
        let other =
            record.exit_code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
        lines.push(format!("The record is that of another run: it has {other}."));
        return lines;
    }
    let courses = courses(record);
    let with_code: Vec<&Course<'_>> = courses
        .iter()
        .filter(|c| c.program.exit.as_ref().is_some_and(|exit| code_of(exit) == Some(code)))
        .collect();
    if with_code.is_empty() {
        lines.push("No program of the run ended with it: it is runinit's own.".to_owned());
    }
    let hurried_ms = hurried_ms(record);
    lines.extend(with_code.iter().map(|course| of_program(course, hurried_ms, oom_kills)));
    lines
}

/// Only SIGKILL for runinit itself leaves a record unfinished.
fn of_unfinished(code: u8, record: &Record, is_written: bool, oom_kills: OomKills) -> Vec<String> {
    let phase = record.phase.name();
    match code {
        _ if is_written => {
            vec![format!("The record is that of a run that has no exit code yet: it is {phase}.")]
        }
        KILLED => {
            let killed = format!("runinit itself was killed while it was {phase}. {}", oom(oom_kills));
            std::iter::once(killed).chain(about_budget(record).map(|advice| advice.text)).collect()
        }
        _ => vec![format!("The record is that of another run: it was killed while it was {phase}.")],
    }
}

fn meaning(code: u8) -> String {
    let signal = Signal::new(i32::from(code) - 128);
    match (code, signal) {
        (0, _) => "all is well; or a fleet that was asked to stop".to_owned(),
        (70, _) => "a bug in runinit, or a code of the program's own; everything was still stopped and recorded".to_owned(),
        (100, _) => "bad usage or configuration, and nothing was started; or a code of the program's own".to_owned(),
        (111, _) => "the system refused something that runinit cannot start without; or a code of the program's own".to_owned(),
        (126, _) => "the command exists but cannot be run: no execute permission, or no program; or a code of the program's own".to_owned(),
        (127, _) => "the command does not exist; or a code of the program's own, as a shell's that did not find one".to_owned(),
        (_, Some(signal)) => format!("{signal} (128 + {})", signal.number()),
        (1, _) => "a code of the program's own; or of a fleet in which a program failed".to_owned(),
        (_, None) => "a code of the program's own".to_owned(),
    }
}

fn code_of(exit: &Exit) -> Option<u8> {
    match exit {
        Exit::Code(code) => Some(*code),
        Exit::Signal(name) => u8::try_from(128 + Signal::parse(name)?.number()).ok(),
    }
}

fn of_program(course: &Course<'_>, hurried_ms: Option<i64>, oom_kills: OomKills) -> String {
    let program = course.program;
    let name = &program.name;
    let last = course.steps.last();
    let by_runinit =
        last.filter(|step| matches!(&program.exit, Some(Exit::Signal(signal)) if *signal == step.step));
    match (&program.exit, by_runinit) {
        (Some(Exit::Code(code)), _) => format!("{name} exited with code {code}{}.", when(course)),
        (Some(Exit::Signal(signal)), Some(step)) if signal == "SIGKILL" => {
            let tried = &course.steps[..course.steps.len() - 1];
            let tried: Vec<String> = tried.iter().map(|s| tried_for(course, &s.step, s.waited_ms)).collect();
            let why = if hurried_ms == Some(step.at_ms) { ", since a second signal came" } else { "" };
            let after =
                if tried.is_empty() { String::new() } else { format!(", after {}", tried.join(", ")) };
            format!("{name} got SIGKILL from runinit{after}{why}; not from the OOM killer.")
        }
        (Some(Exit::Signal(signal)), Some(step)) => {
            format!(
                "{name} died of the {signal} that runinit sent to stop it, {} later.",
                time(signed(step.waited_ms))
            )
        }
        (Some(Exit::Signal(signal)), None) if course.was_asked_for(signal) => {
            format!("{name} died of {signal}{}: somebody had asked for that (runinit signal).", when(course))
        }
        (Some(Exit::Signal(signal)), None) if signal == "SIGKILL" => {
            format!("{name} got SIGKILL{}, and not from runinit. {}", when(course), oom(oom_kills))
        }
        (Some(Exit::Signal(signal)), None) => {
            format!("{name} died of {signal}{}, which runinit did not send to stop it.", when(course))
        }
        (None, _) => String::new(),
    }
}

fn tried_for(course: &Course<'_>, step: &str, waited_ms: u64) -> String {
    let is_ignored = manner(course.program, step) == Manner::Ignores;
    let waited = time(signed(waited_ms));
    if is_ignored {
        format!("{step} had been ignored for {waited}")
    } else {
        format!("{step} had not ended it in {waited}")
    }
}

fn when(course: &Course<'_>) -> String {
    match course.leader_ended_ms {
        None => String::new(),
        // In the very millisecond: whoever was not asked has begun it.
        Some(ms) if ms < 0 || ms == 0 && course.steps.is_empty() => {
            format!(" {} before the shutdown", time(-ms))
        }
        Some(ms) => format!(" {} into the shutdown", time(ms)),
    }
}

fn oom(kills: OomKills) -> String {
    match kills {
        None => {
            "Whether it was the OOM killer cannot be read here; the kernel's log says so (dmesg).".to_owned()
        }
        Some(0) => {
            "It was not the OOM killer, if this is the run's cgroup: there it has killed nothing.".to_owned()
        }
        Some(n) => format!(
            "The OOM killer has killed {n} in this cgroup: give it more memory, if this is the run's."
        ),
    }
}
