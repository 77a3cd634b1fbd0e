//! When a program counts as ready and as well, and what happens when it ends.

use super::reader::Reader;
use super::value::Value;

pub(super) fn check(table: &mut Reader<'_>) {
    table.read("oneshot", Value::boolean);
    table.read("ready", ready);
    table.read("health", health);
    table.read("restart", |value| value.word(&["never", "on-failure", "always"]));
    table.read("backoff", backoff);
}

fn ready(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"ready\"")?;
    table.read("notify", always);
    // 0, 1 and 2 are the program's standard streams.
    table.read("fd", |v| v.integer(3..=1023));
    table.read("tcp", address);
    table.read("exec", Value::command);
    table.read("file", Value::path);
    table.read("delay", Value::duration);
    table.read("timeout", Value::duration);
    table.need_one_of(&["notify", "fd", "tcp", "exec", "file", "delay"]);
    table.finish();
    Some(())
}

/// `notify = false` beside nothing else would never be ready.
fn always(value: Value<'_>) -> Option<()> {
    if value.boolean()? { Some(()) } else { value.refuse(format!("{:?} can only be true", value.key)) }
}

fn address(value: Value<'_>) -> Option<()> {
    let text = value.text()?;
    let port =
        text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    if port.is_some_and(|port: u16| port > 0) {
        return Some(());
    }
    value.refuse(format!("{:?} must be HOST:PORT such as \"127.0.0.1:80\", not {text:?}", value.key))
}

fn health(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"health\"")?;
    table.need("exec", Value::command);
    table.read("every", Value::duration);
    table.read("timeout", Value::duration);
    table.read("failures", |v| v.integer(1..=i64::MAX));
    table.finish();
    Some(())
}

fn backoff(value: Value<'_>) -> Option<()> {
    let mut table = value.table("\"backoff\"")?;
    table.read("first", Value::duration);
    table.read("max", Value::duration);
    table.read("burst", |v| v.integer(1..=i64::MAX));
    table.read("within", Value::duration);
    table.finish();
    Some(())
}
