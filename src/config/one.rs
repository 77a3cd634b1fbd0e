//! One program that is added while runinit runs.
//!
//! Its keys and values come as JSON and mean what they mean in a file: it is read as the last `[[program]]` of one in which
//! the others have nothing but their names. There are no `[defaults]` in it. A wrapper's program has a name that no file may
//! give (`run.sh`), so nobody judges those.

use super::report::Report;
use super::{ETC, MainCommand, Reading, parse_with};
use crate::core::plan::Program;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// Reads a program. Its `after` points to places in the list of the others' names.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_one(keys: &Map<String, Value>, others: &[&str]) -> Result<Program, Vec<String>> {
    if keys.contains_key("main") {
        return Err(vec!["a program that is added cannot be main".to_owned()]);
    }
    let mut text = String::new();
    for other in others {
        // Writing to a string does not fail.
        let _ = writeln!(text, "[[program]]\nname = {}\ncommand = [\"-\"]", quoted(other));
    }
    let others_end = text.len();
    text.push_str("[[program]]\n");
    for (key, value) in keys {
        let value = written(value).map_err(|why| vec![format!("{key:?}: {why}")])?;
        let _ = writeln!(text, "{} = {value}", quoted(key));
    }
    let report = Report::new(Path::new("the request"), &text, Reading::Running).of_what_is_new(others_end);
    let read = parse_with(report, MainCommand::InFile, Path::new(ETC));
    let mut fleet = read.map_err(|wrong| wrong.into_iter().map(|one| one.message).collect::<Vec<_>>())?;
    // What comes with it, a tmux server, comes behind it.
    fleet.programs.truncate(others.len() + 1);
    fleet.programs.pop().ok_or_else(Vec::new)
}

/// As TOML has it.
fn written(value: &Value) -> Result<String, &'static str> {
    let all = |values: &[Value]| values.iter().map(written).collect::<Result<Vec<_>, _>>();
    Ok(match value {
        Value::Null => return Err("null is no value here; leave the key out"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", all(values)?.join(", ")),
        Value::Object(table) => {
            let entry = |(key, value): (&String, &Value)| {
                written(value).map(|value| format!("{} = {value}", quoted(key)))
            };
            format!("{{{}}}", table.iter().map(entry).collect::<Result<Vec<_>, _>>()?.join(", "))
        }
    })
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::{ProgramId, StepAction};
    use crate::core::policy::Restart;
    use serde_json::json;

    fn read(value: &Value, others: &[&str]) -> Result<Program, Vec<String>> {
        read_one(value.as_object().unwrap(), others)
    }

    #[test]
    fn every_key_means_what_it_means_in_a_file() {
        let keys = json!({
            "name": "x", "command": ["sh", "-c", "echo \"a\\b\"\n\u{7f}"], "env": {"K": "é"}, "restart": "always",
            "after": ["db"], "stop": [{"stdin": "quit\n", "wait": "1s"}], "nice": 3,
        });
        let program = read(&keys, &["web", "db"]).unwrap();
        assert_eq!(program.launch.argv[2], "echo \"a\\b\"\n\u{7f}");
        assert_eq!(program.launch.env, [("K".into(), "é".into())]);
        assert_eq!((program.restart, program.after), (Restart::Always, vec![ProgramId(1)]));
        assert_eq!(program.stop[0].action, StepAction::Stdin("quit\n".to_owned()));
    }

    #[test]
    fn a_program_can_be_added_to_one_whose_name_no_file_may_give() {
        let keys = |name: &str| json!({"name": name, "command": ["a"], "after": ["run.sh"]});
        assert_eq!(read(&keys("x"), &["run.sh"]).unwrap().after, [ProgramId(0)]);
        let wrong = read(&keys("x.y"), &["run.sh"]).unwrap_err().join("; ");
        assert!(wrong.contains("\"name\" may hold") && !wrong.contains("run.sh"), "{wrong}");
    }

    #[test]
    fn what_is_wrong_is_said_as_for_a_file() {
        let wrong = |keys: &Value| read(keys, &["web"]).unwrap_err().join("; ");
        assert!(wrong(&json!({"name": "x"})).contains("needs \"command\" or \"shell\""));
        assert!(wrong(&json!({"name": "web", "command": ["a"]})).contains("two programs \"web\""));
        assert!(wrong(&json!({"name": "x", "comand": ["a"]})).contains("did you mean \"command\"?"));
        assert!(wrong(&json!({"name": "x", "command": ["a"], "main": true})).contains("cannot be main"));
        assert!(wrong(&json!({"name": "x", "command": null})).contains("null is no value"));
        assert!(wrong(&json!({"name": "x", "command": ["a"], "]\n[init": 1})).contains("unknown key"));
    }
}
