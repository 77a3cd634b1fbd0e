//! What is said over the control socket: one line of JSON each way, then the answering side hangs up.
//!
//! `docs/control.md` shows every line. Whoever asks names the version; within one, fields are only ever added.

mod answer;
mod request;

pub use crate::record::Reaped;
pub use answer::{Attach, Health, Lines, Message, Program, State, Status, answer, read_answer, refusal};
pub use request::{Request, Target};

use serde::Serialize;

/// The version that this runinit speaks.
pub const VERSION: u32 = 1;
/// The longest request, its newline included.
pub const LONGEST_REQUEST: usize = 64 * 1024;

fn line<T: Serialize>(value: &T) -> String {
    // Only a map whose keys are no strings could not be written.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}
