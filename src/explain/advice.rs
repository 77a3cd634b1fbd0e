//! Who could have done better, and how.

use super::course::{Course, end_of, hurried_ms, is_kill, kill_at_ms, nobodys, strays_got};
use super::deaf::{cascade, deaf, has_command};
use super::path::{Leg, Who};
use super::picture::ended;
use super::times::{signed, time};
use crate::core::program::Fault;
use crate::core::timeline::{COULD_NOT_START, STOP_COMMAND};
use crate::record::{Phase, Record, Step, Stray};

/// Steps that took less than this are nobody's concern.
const LONG_MS: u64 = 1000;
/// A program that was started again this often is in trouble.
const MANY_RESTARTS: u32 = 3;
/// Strays and survivors that are named.
const MOST_NAMED: usize = 5;

/// Something to know or to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// In sentences.
    pub text: String,
    /// What to write into a configuration.
    pub try_this: Option<String>,
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Self { text, try_this: None }
    }
}

/// `is_written`: the run goes on.
pub(super) fn advice(record: &Record, courses: &[Course<'_>], legs: &[Leg], is_written: bool) -> Vec<Advice> {
    let mut all = Vec::new();
    let hurried_ms = hurried_ms(record);
    for course in courses {
        if course.is_to_blame(hurried_ms) {
            all.extend(about_stop(hurried_ms, course));
        }
        all.extend(about_command(course));
    }
    all.extend(courses.iter().filter_map(about_strays));
    all.extend(about_nobodys(record));
    all.extend(about_survivors(record));
    all.extend(hurried_ms.map(about_hurry));
    all.extend(about_chain(record, courses, legs));
    if !is_written {
        all.extend(about_budget(record));
    }
    all.extend(courses.iter().filter_map(about_life));
    all
}

/// A program that took long, or SIGKILL.
fn about_stop(hurried_ms: Option<i64>, course: &Course<'_>) -> Option<Advice> {
    let program = course.program;
    let name = &program.name;
    let last = course.steps.last()?;
    let hurried = hurried_ms.filter(|at_ms| last.step == "SIGKILL" && last.at_ms == *at_ms);
    let tried: Vec<&Step> = course.steps.iter().filter(|step| step.step != "SIGKILL").collect();
    let first = tried.first().copied()?;
    if let Some(text) = left_behind(course, first) {
        return Some(text.into());
    }
    if course.was_killed() && hurried.is_none() {
        return Some(deaf(program, &tried));
    }
    if let Some(at_ms) = hurried {
        let after = time(at_ms - first.at_ms);
        return Some(
            format!("{name} had not ended {after} after {} when the second signal came.", first.step).into(),
        );
    }
    if course.ended_ms.is_none() {
        let after = time(course.took_ms());
        return Some(format!("{name} had not ended {after} after {}.", first.step).into());
    }
    Some(slow(course, &tried))
}

/// It ended without SIGKILL, and took its time.
fn slow(course: &Course<'_>, tried: &[&Step]) -> Advice {
    let program = course.program;
    let name = &program.name;
    let Some((last, before)) = tried.split_last() else { return String::new().into() };
    let took = time(signed(last.waited_ms));
    let longest = before.iter().max_by_key(|step| step.waited_ms);
    if let Some(idle) = longest.filter(|step| step.waited_ms >= LONG_MS) {
        let idled = time(signed(idle.waited_ms));
        if idle.step == "run" {
            // Whether the command asked it to end, or took it out of a load balancer, is not known.
            let all = time(course.took_ms());
            return format!(
                "{name} took {all} to end: {idled} of it were the wait of its `run` step; {} then ended it in {took}.",
                last.step
            )
            .into();
        }
        let text =
            format!("{name} did not end on {} in {idled}; {} then ended it in {took}.", idle.step, last.step);
        if last.step.starts_with("SIG") && !has_command(before) {
            let text = format!("{text} Try that first:");
            return Advice { text, try_this: Some(cascade(&last.step, idle.waited_ms)) };
        }
        return text.into();
    }
    let output = program.last_output.last().filter(|line| !line.trim().is_empty());
    let output = output.map_or_else(String::new, |line| format!(" Its last words: {:?}.", line.trim()));
    format!(
        "{name} heard {} and took {took} to end: what it does in that time is its own.{output}",
        last.step
    )
    .into()
}

/// The leader ended in time, and others of its group did not.
fn left_behind(course: &Course<'_>, first: &Step) -> Option<String> {
    let name = &course.program.name;
    let leader_ms = course.leader_ended_ms?;
    let longer = course.ended_ms? - leader_ms;
    if longer < signed(LONG_MS / 2) {
        return None;
    }
    let when = if leader_ms < first.at_ms || course.program.stopped_by.as_deref() == Some("itself") {
        "had ended by itself".to_owned()
    } else {
        format!("ended {} after {}", time(leader_ms - first.at_ms), first.step)
    };
    Some(format!(
        "{name} {when}, but what it had started was there for {} more. If it is a shell, let it `exec` the program, or \
         pass signals on and `wait`.",
        time(longer)
    ))
}

fn about_command(course: &Course<'_>) -> Option<Advice> {
    let name = &course.program.name;
    let mut in_it = course.entries.iter().filter(|entry| entry.at_ms >= 0);
    let failed = in_it.find_map(|entry| entry.event.strip_prefix(STOP_COMMAND))?;
    Some(format!("The stop command of {name} {failed}: the next step came at once.").into())
}

/// Those of a program that had left its group: they hear nothing while its leader is there.
fn about_strays(course: &Course<'_>) -> Option<Advice> {
    let has_leader = |step: &&Step| course.leader_ended_ms.is_some_and(|ended_ms| end_of(step) < ended_ms);
    let got = course.steps.iter().skip_while(has_leader).map(|step| step.step.as_str());
    about_deaf_strays(&course.program.name, course.strays.iter().copied(), got)
}

fn about_nobodys(record: &Record) -> Option<Advice> {
    let got = strays_got(record);
    about_deaf_strays("their program", nobodys(record), got.iter().map(|(signal, _)| signal.as_str()))
}

/// Who got nothing but SIGKILL may be as good as any.
fn about_deaf_strays<'a>(
    whose: &str,
    strays: impl Iterator<Item = &'a Stray>,
    got: impl Iterator<Item = &'a str>,
) -> Option<Advice> {
    let mut asked: Vec<&str> = got.filter(|what| what.starts_with("SIG") && *what != "SIGKILL").collect();
    // Those who come later get it then.
    asked.dedup();
    let deaf: Vec<&Stray> = strays.filter(|stray| is_kill(&stray.stopped_by)).collect();
    if asked.is_empty() || deaf.is_empty() {
        return None;
    }
    let named: Vec<String> =
        deaf.iter().take(MOST_NAMED).map(|stray| format!("{} (pid {})", stray.command, stray.pid)).collect();
    let more = deaf.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let text = format!(
        "{}{more} had left the group of {whose} (setsid, a double fork) and did not end on {}. Make such a thing a \
         program of its own, or keep it in the foreground.",
        named.join(", "),
        asked.join(" and ")
    );
    Some(text.into())
}

fn about_survivors(record: &Record) -> Option<Advice> {
    let one = |s: &crate::record::Survivor| format!("{} (pid {}, state {})", s.command, s.pid, s.state);
    let named: Vec<String> = record.survivors.iter().take(MOST_NAMED).map(one).collect();
    (!named.is_empty()).then(|| {
        let text = format!(
            "{} survived SIGKILL. State D waits inside the kernel, mostly for a disk or a network; another state belongs \
             to a user whom runinit may not signal.",
            named.join(", ")
        );
        text.into()
    })
}

fn about_hurry(at_ms: i64) -> Advice {
    let after = time(at_ms);
    format!(
        "A second signal came {after} after the first: somebody wanted no more waiting, and all were killed."
    )
    .into()
}

/// A chain that needed more time than there is.
fn about_chain(record: &Record, courses: &[Course<'_>], legs: &[Leg]) -> Option<Advice> {
    // A survivor takes all the time there is, whoever else had enough of it; so do strays that are left when all have ended.
    let of_programs = legs.iter().filter(|leg| leg.who != Who::Strays);
    let ended_ms = of_programs.map(|leg| leg.to_ms).max().filter(|_| record.survivors.is_empty());
    let is_short = kill_at_ms(record).zip(ended_ms).is_some_and(|(kill_at, ended)| ended >= kill_at);
    let longest = legs.iter().max_by_key(|leg| leg.took_ms()).filter(|_| legs.len() > 1 && is_short)?;
    let Who::Program(index) = longest.who else { return None };
    let (name, took) = (&courses[index].program.name, time(longest.took_ms()));
    let budget = time(signed(record.budget_ms?));
    let text = format!(
        "They stop one after another, since each is `after` the next, and the budget of {budget} was too short for that: \
         waits were cut. The most went to {name} ({took}). Shorten waits, take out an `after` that is not needed, or give \
         more time: --grace, with docker stop -t or terminationGracePeriodSeconds to match."
    );
    Some(text.into())
}

/// The time runs out somewhere else first.
pub(super) fn about_budget(record: &Record) -> Option<Advice> {
    if record.phase != Phase::Stopping {
        return None;
    }
    let text = match record.budget_ms {
        None => "The budget is forever, and whoever asked did not wait that long.",
        Some(10_000..) => {
            "The budget is longer than the ten seconds of docker stop (docker stop -t gives more) and may be longer \
                           than the thirty of Kubernetes (terminationGracePeriodSeconds): --grace has to be a second less."
        }
        Some(_) => {
            "Something killed runinit before its budget was over: docker kill, a docker stop -t that is shorter, \
                    or the OOM killer."
        }
    };
    Some(text.to_owned().into())
}

/// What was wrong before anybody asked it to stop.
fn about_life(course: &Course<'_>) -> Option<Advice> {
    let program = course.program;
    let name = &program.name;
    let of_it = || course.entries.iter().map(|entry| entry.event.as_str());
    if let Some(missing) = course.missing() {
        let how = if program.started_at.is_some() { "was not started again" } else { "was never started" };
        return Some(format!("{name} {how}: {missing}, and it comes after that.").into());
    }
    if of_it().any(|event| event == COULD_NOT_START) {
        return Some(format!("{name} could not be started.").into());
    }
    if let Some(fault) = of_it().find_map(Fault::told_by) {
        let what = match fault {
            Fault::NotReady => "was not ready in time",
            Fault::Unhealthy => "was unhealthy",
            Fault::Silent => "did not say that it is alive",
            Fault::NoTerminal => "had lost its tmux server",
        };
        return Some(format!("{name} {what}, and was stopped for it.").into());
    }
    (program.restarts >= MANY_RESTARTS).then(|| {
        let last =
            program.exit.as_ref().map_or_else(String::new, |exit| format!("; the last end: {}", ended(exit)));
        format!("{name} was started again {} times{last}.", program.restarts).into()
    })
}
