//! Log lines: one line each, `runinit: ` before it, on standard error, never waited for.

use crate::os::log_sink::LogSink;
use env_filter::ParseError;
use env_logger::Logger;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;
use std::sync::OnceLock;

/// The filter in place of one that makes no sense.
const DEFAULT: &str = "warn";

/// What `log`'s macros reach. `env_logger` is set up when the first line comes: most wrappers end without one.
struct Late {
    filter: OnceLock<String>,
    logger: OnceLock<Logger>,
}

static LATE: Late = Late { filter: OnceLock::new(), logger: OnceLock::new() };

impl Late {
    fn logger(&self) -> &Logger {
        self.logger.get_or_init(|| set_up(self.filter.get().map_or(DEFAULT, String::as_str)))
    }
}

impl Log for Late {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.logger().log(record);
    }

    fn flush(&self) {}
}

/// Starts logging with an `env_logger` filter. Logging that was started already stays as it is.
pub fn start(filter: &str) {
    let understood = if is_level(filter) { Ok(()) } else { understand(filter) };
    let filter = if understood.is_ok() { filter } else { DEFAULT };
    if LATE.filter.set(filter.to_owned()).is_err() || log::set_logger(&LATE).is_err() {
        return;
    }
    log::set_max_level(if is_level(filter) { loudest(filter) } else { LATE.logger().filter() });
    if let Err(why) = understood {
        log::warn!("RUNINIT_LOG: {why}; taken for {DEFAULT:?}");
    }
    std::panic::set_hook(Box::new(|info| log::error!("bug: {info}")));
}

/// What makes no sense is not left to `env_logger` to tell: it would wait for standard error, and panic without it.
fn understand(filter: &str) -> Result<(), ParseError> {
    env_filter::Builder::new().try_parse(filter).map(|_| ())
}

fn set_up(filter: &str) -> Logger {
    env_logger::Builder::new()
        .parse_filters(filter)
        .target(env_logger::Target::Pipe(Box::new(LogSink::stderr())))
        .format(|line, record| writeln!(line, "runinit: {}{}", prefix(record.level()), record.args()))
        .build()
}

fn is_level(filter: &str) -> bool {
    filter.parse::<LevelFilter>().is_ok()
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
