//! What others have named, in a line for people.

/// A name whose control characters are written out (`\\r`, `\\u{1b}`): it stays on its line, and a terminal shows what it is.
pub(crate) fn readable(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out_and_nothing_else_changes() {
        assert_eq!(readable("run.sh\r"), "run.sh\\r");
        assert_eq!(readable("a\nb\t\u{1b}[31m\u{7f}\u{9b}"), "a\\nb\\t\\u{1b}[31m\\u{7f}\\u{9b}");
        for plain in ["", "/usr/bin/my app", "é\\n\"'"] {
            assert_eq!(readable(plain), plain);
        }
    }
}
