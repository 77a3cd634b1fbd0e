//! Log lines: one line each, `runinit: ` before it, on standard error, never waited for.

use crate::os::log_sink::LogSink;
use log::{Level, LevelFilter};
use std::io::Write;

/// The filter in place of one that makes no sense.
const DEFAULT: &str = "warn";

/// Starts logging with an `env_logger` filter.
pub fn start(filter: &str) {
    let target = env_logger::Target::Pipe(Box::new(LogSink::stderr()));
    let mut builder = env_logger::Builder::new();
    // What makes no sense is not left to env_logger to tell: it would wait for standard error, and panic without it.
    let wrong = env_filter::Builder::new().try_parse(filter).err();
    builder.parse_filters(if wrong.is_some() { DEFAULT } else { filter }).target(target);
    builder.format(|line, record| writeln!(line, "runinit: {}{}", prefix(record.level()), record.args()));
    // A logger that is there already stays.
    let _ = builder.try_init();
    if let Some(why) = wrong {
        log::warn!("RUNINIT_LOG: {why}; taken for {DEFAULT:?}");
    }
    std::panic::set_hook(Box::new(|info| log::error!("bug: {info}")));
}

/// The least important that a filter may let through. Only those of a single word are understood; from others everything is
/// to be expected.
pub fn loudest(filter: &str) -> LevelFilter {
    filter.parse().unwrap_or(LevelFilter::Trace)
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug | Level::Trace => "debug: ",
    }
}

/// An error that ends the start, before there is a logger.
pub fn say_error(text: &str) {
    // There is nobody left to tell that it could not be told.
    let _ = LogSink::stderr().write(format!("runinit: {text}\n").as_bytes());
}
