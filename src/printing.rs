//! Standard output, for whoever is asked something and then ends.

use crate::logging;
use std::io::{ErrorKind, Result, Write, stdout};

/// What was asked for is not where it was to go.
const NOT_PRINTED: u8 = 1;

/// Prints a text, all of it.
///
/// # Errors
/// No room for it. `BrokenPipe`: nobody reads it any more.
pub fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// The exit code of whoever has printed: the one that was meant, unless it could not be.
pub fn exit_code(printed: Result<()>, meant: u8) -> u8 {
    match printed {
        // A reader that has gone away, as in `runinit status | head -1`, is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            logging::say_error(&format!("standard output: {error}"));
            NOT_PRINTED
        }
        _ => meant,
    }
}
