//! How a line looks where it arrives.

use serde::Serialize;

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

/// What all objects have in common whose lines were read at once.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    /// RFC 3339, UTC, milliseconds.
    pub(super) time: &'a str,
    pub(super) program: &'a str,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
}

impl Head<'_> {
    /// An object, without its end.
    pub(super) fn begin(&self) -> Vec<u8> {
        // These fields are strings, for which there is no error.
        let mut head = serde_json::to_vec(self).unwrap_or_default();
        head.pop();
        head.extend_from_slice(b",\"text\":");
        head
    }
}

/// Adds a line as an object. What is no UTF-8 in it is replaced.
pub(super) fn object(head: &[u8], text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    // A Vec takes everything.
    let _ = serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text));
    out.extend_from_slice(b"}\n");
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
            object(&Head { time: "t", program: "p", stream: "stderr" }.begin(), &text, &mut out);
            prop_assert_eq!(crate::os::output::lines::count(&out), 1);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let expected = serde_json::json!({"time": "t", "program": "p", "stream": "stderr", "text": lossy});
            prop_assert_eq!(read, expected);
        }
    }
}
