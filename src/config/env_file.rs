//! The variables of an `env_file`: `NAME=value` lines.
//!
//! Such a file holds secrets, so no message ever quotes a value.

use super::diagnostic::{Diagnostic, Position};
use super::text;
use super::value::Value;
use crate::readable::readable;
use std::path::Path;

pub(super) fn read(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let named = value.path()?;
    let path = value.report.file().parent().unwrap_or(Path::new("")).join(named);
    match text::read(&path, value.report.reading()) {
        Ok(text) => Some(parse(&text, |line, column, message| {
            let at = Some(Position { line, column });
            value.report.add_elsewhere(value.offset(), Diagnostic { file: path.clone(), at, message });
        })),
        Err(unreadable) if unreadable.is_in_it() => {
            value.report.add_elsewhere(value.offset(), unreadable.diagnostic(&path));
            None
        }
        Err(unreadable) => {
            let path = readable(&path.to_string_lossy());
            value.refuse(format!("\"env_file\" {path}: {}", unreadable.message))
        }
    }
}

/// Blank lines and comments are skipped, and `export` is for the shells that read the same file.
fn parse(text: &str, complain: impl Fn(usize, usize, String)) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match variable(content) {
            Ok(variable) => variables.push(variable),
            Err(why) => {
                let indent = line.chars().take_while(|c| c.is_whitespace()).count();
                complain(number, indent + 1, why);
            }
        }
    }
    variables
}

fn variable(content: &str) -> Result<(String, String), String> {
    let exported = content.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let content = exported.unwrap_or(content).trim_start();
    let (name, value) =
        content.split_once('=').ok_or("there is no \"=\" in this line; write NAME=value".to_owned())?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the name before \"=\" is empty or has a space in it".to_owned());
    }
    let value = unquoted(value.trim())?;
    if value.contains('\0') {
        return Err(format!("the value of {name} holds a NUL character"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// What stands between the quotes, as it is; without quotes, all of it.
fn unquoted(value: &str) -> Result<&str, String> {
    let Some(quote) = value.chars().next().filter(|c| ['"', '\''].contains(c)) else { return Ok(value) };
    let (inside, rest) =
        value[1..].split_once(quote).ok_or(format!("the value's {quote} is not closed on this line"))?;
    if rest.is_empty() || rest.trim_start().starts_with('#') {
        return Ok(inside);
    }
    Err(format!("there is more after the value's closing {quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let complaints = std::cell::RefCell::new(Vec::new());
        let variables =
            parse(text, |line, column, why| complaints.borrow_mut().push(format!("{line}:{column}: {why}")));
        (variables, complaints.into_inner())
    }

    #[test]
    fn every_usual_spelling_is_read() {
        let text = "\u{feff}# a comment\n\nA=1\r\nexport B = \n  export C=two words  \nD=\"q # q\" # why\nE='it is \"so\"'\nF=a=b\nG=#x\n";
        let (variables, complaints) = read(&text.replace("B = ", "B="));
        let expected = [
            ("A", "1"),
            ("B", ""),
            ("C", "two words"),
            ("D", "q # q"),
            ("E", "it is \"so\""),
            ("F", "a=b"),
            ("G", "#x"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(complaints, [""; 0]);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let (_, complaints) = read("hunter2\n =x\nA B=1\n\n  C=\"x\nD='x'y\nE=\0\n");
        assert_eq!(
            complaints,
            [
                "1:1: there is no \"=\" in this line; write NAME=value",
                "2:2: the name before \"=\" is empty or has a space in it",
                "3:1: the name before \"=\" is empty or has a space in it",
                "5:3: the value's \" is not closed on this line",
                "6:1: there is more after the value's closing '",
                "7:1: the value of E holds a NUL character",
            ]
        );
    }
}
