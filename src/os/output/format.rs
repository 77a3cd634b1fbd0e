//! How a line looks where it arrives.

use serde::Serialize;
use std::borrow::Cow;

/// Colours that are told apart on dark and light ground (SGR parameters, `console_codes(4)`).
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// What stands before each line of a program.
pub(super) fn label(name: &str, width: usize, colour: Option<usize>) -> Vec<u8> {
    let label = format!("{name:width$} |");
    match colour {
        Some(number) => format!("\x1b[{}m{label}\x1b[0m ", COLOURS[number % COLOURS.len()]),
        None => format!("{label} "),
    }
    .into_bytes()
}

/// One line as an object.
#[derive(Debug, Serialize)]
pub(super) struct Object<'a> {
    /// RFC 3339, UTC, milliseconds.
    pub(super) time: &'a str,
    pub(super) program: &'a str,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
    /// What is no UTF-8 in it is replaced.
    pub(super) text: Cow<'a, str>,
}

impl Object<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        // A Vec takes everything, and these fields are strings.
        let _ = serde_json::to_writer(&mut *out, self);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_aligned_and_coloured_where_that_is_seen() {
        assert_eq!(label("db", 4, None), b"db   | ");
        assert_eq!(label("db", 0, Some(1)), b"\x1b[33mdb |\x1b[0m ");
        assert_eq!(label("db", 0, Some(1)), label("db", 0, Some(1 + COLOURS.len())));
    }

    proptest! {
        #[test]
        fn every_line_is_one_object(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            let lossy = String::from_utf8_lossy(&text);
            Object { time: "t", program: "p", stream: "stderr", text: lossy.clone() }.write(&mut out);
            prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let expected = serde_json::json!({"time": "t", "program": "p", "stream": "stderr", "text": lossy});
            prop_assert_eq!(read, expected);
        }
    }
}
