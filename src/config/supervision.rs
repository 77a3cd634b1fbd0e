//! When a program counts as ready and as well, and what happens when it ends.

use super::reader::Reader;
use super::value::Value;
use crate::core::plan::Program;
use crate::core::policy::{Backoff, Check, Health, Ready, ReadyBy, Restart};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long a program may take to be ready when nobody says.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// From one check of health to the next when nobody says.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How long a check of health may take when nobody says.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// Failed checks in a row that are too many when nobody says.
const HEALTH_FAILURES: u32 = 3;

pub(super) fn read(table: &mut Reader<'_>, program: &mut Program) {
    program.oneshot = table.read("oneshot", Value::boolean).unwrap_or_default();
    program.ready = table.read("ready", ready);
    program.health = table.read("health", health);
    let restart = table.read("restart", |value| value.word(&["never", "on-failure", "always"]));
    program.restart = match restart {
        Some("on-failure") => Restart::OnFailure,
        Some("always") => Restart::Always,
        _ => Restart::Never,
    };
    program.backoff = table.read("backoff", backoff).unwrap_or_default();
    if program.oneshot {
        refuse_beside_oneshot(table, program);
    }
}

/// Such a default is for the others.
fn refuse_beside_oneshot(table: &Reader<'_>, program: &mut Program) {
    let by_default = if table.has("oneshot") { "" } else { " (\"oneshot\" is true by [defaults])" };
    let refuse = |key, why: &str| {
        if table.has(key) {
            table.report.add(table.offset_of(key), format!("{why}{by_default}"));
        }
    };
    if program.ready.take().is_some() {
        refuse("ready", "\"ready\" has no meaning beside \"oneshot\": ready is then to have exited with 0");
    }
    if program.health.take().is_some() {
        refuse("health", "\"health\" has no meaning beside \"oneshot\": nobody is asked who is to end");
    }
    if program.restart == Restart::Always {
        program.restart = Restart::Never;
        refuse("restart", "\"restart\" = \"always\" and \"oneshot\" do not go together; \"on-failure\" does");
    }
}

fn ready(value: Value<'_>) -> Option<Ready> {
    let mut table = value.table("\"ready\"")?;
    let notify = table.read("notify", always).map(|()| ReadyBy::Notify);
    // 0, 1 and 2 are the program's standard streams.
    let number = table.read("fd", |v| v.integer(3..=1023));
    let descriptor = number.and_then(|number| i32::try_from(number).ok()).map(ReadyBy::Descriptor);
    let check = check(&mut table);
    let delay = table.read("delay", Value::duration).map(ReadyBy::Delay);
    let timeout = table.read("timeout", Value::duration).unwrap_or(READY_TIMEOUT);
    table.need_one_of(&["notify", "fd", "tcp", "exec", "file", "delay"]);
    if table.has("delay") && table.has("timeout") {
        let message = "\"timeout\" has no meaning beside \"delay\", which is how long it takes to be ready";
        table.report.add(table.offset_of("timeout"), message.to_owned());
    }
    table.finish();
    let by = notify.or(descriptor).or(check.map(ReadyBy::Check)).or(delay)?;
    Some(Ready { by, timeout })
}

fn check(table: &mut Reader<'_>) -> Option<Check> {
    let tcp = table.read("tcp", address).map(Check::Tcp);
    let exec = table.read("exec", Value::command).map(Check::Exec);
    let file = table.read("file", Value::path).map(Check::File);
    tcp.or(exec).or(file)
}

/// `notify = false` beside nothing else would never be ready.
fn always(value: Value<'_>) -> Option<()> {
    if value.boolean()? { Some(()) } else { value.refuse(format!("{:?} can only be true", value.key)) }
}

/// No names but this one: to look one up could take longer than the loop may wait.
fn address(value: Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    let local = |port: &str| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
    let address = text.parse().ok().or_else(|| local(text.strip_prefix("localhost:")?));
    address.filter(|address: &SocketAddr| address.port() > 0).or_else(|| {
        let wanted = "must be ADDRESS:PORT such as \"127.0.0.1:80\", \"[::1]:80\" or \"localhost:80\"";
        value.refuse(format!("{:?} {wanted}, not {text:?}", value.key))
    })
}

fn health(value: Value<'_>) -> Option<Health> {
    let mut table = value.table("\"health\"")?;
    let check = check(&mut table);
    let every = table.read("every", Value::duration_above_zero).unwrap_or(HEALTH_EVERY);
    let timeout = table.read("timeout", Value::duration_above_zero).unwrap_or(HEALTH_TIMEOUT);
    let failures = table.read("failures", count).unwrap_or(HEALTH_FAILURES);
    table.need_one_of(&["exec", "tcp", "file"]);
    table.finish();
    Some(Health { check: check?, every, timeout, failures })
}

fn backoff(value: Value<'_>) -> Option<Backoff> {
    let default = Backoff::default();
    let mut table = value.table("\"backoff\"")?;
    let first = table.read("first", Value::duration);
    let max = table.read("max", Value::duration);
    if first.is_some_and(|first| max.is_some_and(|max| max < first)) {
        let message = "\"max\" is shorter than \"first\": no wait would be as long as that";
        table.report.add(table.offset_of("max"), message.to_owned());
    }
    // Whoever names one of the two has no word to say about the other.
    let backoff = Backoff {
        first: first.unwrap_or(max.map_or(default.first, |max| max.min(default.first))),
        max: max.unwrap_or(first.map_or(default.max, |first| first.max(default.max))),
        burst: table
            .read("burst", |v| v.integer(1..=1000))
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default.burst),
        within: table.read("within", Value::duration_above_zero).unwrap_or(default.within),
    };
    table.finish();
    Some(backoff)
}

fn count(value: Value<'_>) -> Option<u32> {
    value.integer(1..=i64::MAX).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}
