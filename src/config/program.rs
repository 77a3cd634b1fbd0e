//! One `[[program]]`, and the `[defaults]` for all of them.

use super::identity::{self, Wish};
use super::reader::Reader;
use super::signal::signal_named;
use super::value::Value;
use super::{MainCommand, confinement, env_file, output, stop, supervision, tmux};
use crate::core::forwarding::forwardable;
use crate::core::plan::{Kind, Launch, OnFailure, Output, Program, Rewrite, Stdin, StepAction, default_stop};
use crate::core::signal::Signal;
use std::collections::BTreeMap;
use std::ffi::OsString;
use toml::de::DeTable;

/// The keys that make a program this one and no other.
const NEVER_DEFAULTS: [&str; 4] = ["name", "command", "shell", "main"];

/// The name of the main program if only the command line knows it.
pub(super) const FROM_COMMAND_LINE: &str = "main";

/// A program whose dependencies are still names.
pub(super) struct Draft<'a> {
    pub(super) program: Program,
    pub(super) name_offset: usize,
    pub(super) tmux_offset: usize,
    /// Where it says that it is the main program, if it does.
    pub(super) main_offset: Option<usize>,
    pub(super) after: Vec<(Value<'a>, &'a str)>,
    /// Its dependencies are those of `[defaults]`.
    pub(super) after_is_default: bool,
    /// As whom it runs, not yet looked up.
    pub(super) identity: Wish<'a>,
}

/// Checks the defaults, even those that every program overrides.
pub(super) fn defaults(value: Value<'_>) -> Option<&DeTable<'_>> {
    let mut table = value.table("[[program]]")?;
    for key in NEVER_DEFAULTS {
        table.forbid(key, &format!("{key:?} cannot be a default: every program has its own"));
    }
    settings(&mut table, true);
    table.finish();
    value.item.get_ref().as_table()
}

pub(super) fn read(mut table: Reader<'_>, main_command: MainCommand) -> Draft<'_> {
    let name = table.need("name", name).unwrap_or_default();
    let main = table.read("main", Value::boolean).unwrap_or_default();
    let command = table.read("command", Value::command);
    let shell = table.read("shell", shell);
    match (table.has("command"), table.has("shell")) {
        (true, true) => {
            let later = table.offset_of("command").max(table.offset_of("shell"));
            table.report.add(later, "there are both \"command\" and \"shell\"; keep one".to_owned());
        }
        (false, false) if !(main && main_command != MainCommand::InFile) => {
            table.report.add(table.offset(), "[[program]] needs \"command\" or \"shell\"".to_owned());
        }
        _ => {}
    }
    let mut draft = settings(&mut table, false);
    draft.name_offset = table.offset_of("name");
    draft.main_offset = main.then(|| table.offset_of("main"));
    let program = &mut draft.program;
    name.clone_into(&mut program.name);
    program.main = main;
    program.launch.argv = command.or(shell).unwrap_or_default();
    set_stdin(program);
    table.finish();
    draft
}

/// The main program that the file does not know: only the defaults are known of it, and its command comes later.
pub(super) fn from_command_line(mut table: Reader<'_>) -> Draft<'_> {
    let mut draft = settings(&mut table, false);
    FROM_COMMAND_LINE.clone_into(&mut draft.program.name);
    draft.program.main = true;
    set_stdin(&mut draft.program);
    draft
}

/// Everything that `[defaults]` may hold too.
fn settings<'a>(table: &mut Reader<'a>, is_default: bool) -> Draft<'a> {
    let mut program = Program::new("", Launch::default());
    let after = table.read("after", Value::texts).unwrap_or_default();
    if let Some(session) = table.read("tmux", tmux::session) {
        program.kind = Kind::Agent(session);
    }
    let has_tmux = table.has_anywhere("tmux") || is_default;
    program.stop = table.read("stop", |value| stop::cascade(value, has_tmux)).unwrap_or_else(default_stop);
    program.signals = table.read("signals", rewrites).unwrap_or_default();
    program.success_codes = table.read("success_codes", exit_codes).unwrap_or_else(|| vec![0]);
    if table.read("on_failure", |value| value.word(&["ignore", "shutdown"])) == Some("shutdown") {
        program.on_failure = OnFailure::Shutdown;
    }
    program.launch.env = environment(table);
    program.launch.clear_env = table.read("clear_env", Value::boolean).unwrap_or_default();
    program.launch.cwd = table.read("cwd", Value::path);
    supervision::read(table, &mut program);
    program.launch.confinement = confinement::read(table);
    let identity = identity::read(table);
    program.launch.output = table.read("output", output::read).unwrap_or_default();
    if program.is_agent() {
        // A default output is for those that have one. Everything else is a promise about this program too.
        let has = |key: &str| table.has(key) || key != "output" && table.has_anywhere(key);
        for (key, why) in tmux::refusals(&program, has) {
            table.report.add(table.offset_of(key), why);
        }
        program.launch.output = Output::Inherit;
    }
    let after_is_default = !table.has("after");
    Draft {
        program,
        name_offset: table.offset(),
        tmux_offset: table.offset_of("tmux"),
        main_offset: None,
        after,
        after_is_default,
        identity,
    }
}

fn name(value: Value<'_>) -> Option<&str> {
    let name = value.filled()?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        value.complain(format!("\"name\" may hold A-Z, a-z, 0-9, - and _ only, not {name:?}"));
    }
    // Known all the same, so that nobody's `after` is blamed for it.
    Some(name)
}

fn shell(value: Value<'_>) -> Option<Vec<OsString>> {
    let line = value.text()?;
    if line.trim().is_empty() {
        return value.refuse("\"shell\" is empty: it needs a command line".to_owned());
    }
    Some(["/bin/sh", "-c", line].map(OsString::from).to_vec())
}

/// Only the main program reads what runinit would; two readers of one terminal would take each other's lines.
fn set_stdin(program: &mut Program) {
    let is_written_to = program.stop.iter().any(|step| matches!(step.action, StepAction::Stdin(_)));
    program.launch.stdin = match (is_written_to, program.main) {
        _ if program.is_agent() => Stdin::Null,
        (true, _) => Stdin::Pipe,
        (false, true) => Stdin::Inherit,
        (false, false) => Stdin::Null,
    };
    program.launch.foreground = program.launch.stdin == Stdin::Inherit;
}

fn rewrites(value: Value<'_>) -> Option<Rewrite> {
    let mut rewrites = Rewrite::new();
    for (key_offset, entry) in value.entries()? {
        let is_dropped = entry.item.get_ref().as_str() == Some("drop");
        let to = if is_dropped { Some(None) } else { entry.signal().map(Some) };
        let refusal = match signal_named(entry.key).and_then(forwardable) {
            Err(why) => why,
            Ok(Signal::TERM) => {
                "SIGTERM begins the shutdown; say in \"stop\" which signal this program gets".to_owned()
            }
            Ok(from) => match to.map(|to| rewrites.insert(from, to)) {
                Some(Some(_)) => format!("{from} is rewritten twice"),
                Some(None) | None => continue,
            },
        };
        entry.report.add(key_offset, refusal);
    }
    Some(rewrites)
}

fn exit_codes(value: Value<'_>) -> Option<Vec<i32>> {
    let elements = value.elements_as("an array of exit codes")?;
    let codes = elements.into_iter().filter_map(|e| e.integer(0..=255));
    Some(codes.filter_map(|code| i32::try_from(code).ok()).collect())
}

/// The file first, the table over it. Each name is set once, so that no libc has to choose.
fn environment(table: &mut Reader<'_>) -> Vec<(OsString, OsString)> {
    let mut environment: BTreeMap<String, String> = BTreeMap::new();
    environment.extend(table.read("env_file", env_file::read).unwrap_or_default());
    environment.extend(table.read("env", variables).unwrap_or_default());
    environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn variables(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (key_offset, entry) in value.entries()? {
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            entry.report.add(key_offset, format!("{:?} cannot be the name of a variable", entry.key));
        }
        variables.extend(entry.text().map(|text| (entry.key.to_owned(), text.to_owned())));
    }
    Some(variables)
}
