//! The file as a whole: its sections, and what has to be right between its programs.

use super::program::{self, Draft};
use super::reader::Reader;
use super::report::Report;
use super::value::Value;
use super::{Fleet, Init, MainCommand, graph, hygiene, identity, tmux};
use crate::core::budget::Budget;
use crate::core::plan::Tmux;
use crate::core::signal::Signal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, Error};

/// `etc`: where the users and groups are.
pub(super) fn read(report: &Report<'_>, main: MainCommand, etc: &Path) -> Fleet {
    let mut fleet = Fleet {
        init: Init::default(),
        budget: None,
        programs: Vec::new(),
        tmux: Tmux::default(),
        hygiene: None,
    };
    let (document, errors) = DeTable::parse_recoverable(report.text());
    if !errors.is_empty() {
        // What could be read around a slip of syntax may not be what was meant, so nothing is said about it.
        report_syntax(report, &errors);
        return fleet;
    }
    let mut file = Reader::new(report, "the file", document.get_ref(), 0);
    fleet.init = file.read("init", init).unwrap_or_default();
    fleet.budget = file.read("shutdown", shutdown);
    let defaults = file.read("defaults", program::defaults);
    let drafts = file.read("program", |value| programs(value, defaults, main));
    fleet.tmux = file.read("tmux", tmux::section).unwrap_or_default();
    fleet.hygiene = file.read("hygiene", hygiene::section);
    file.finish();
    if let Some(mut drafts) = drafts.or_else(|| (!document.get_ref().contains_key("program")).then(Vec::new))
    {
        check_count(report, &drafts, main);
        let no_keys = DeTable::new();
        if check_main(report, &drafts, main) {
            let table = Reader::new(report, "[[program]]", &no_keys, 0).with_defaults(defaults);
            drafts.push(program::from_command_line(table));
        }
        graph::connect(report, &mut drafts);
        identity::settle(&mut drafts, etc);
        tmux::settle(report, &mut drafts, &fleet.tmux);
        fleet.programs = drafts.into_iter().map(|draft| draft.program).collect();
        tmux::add_server(&mut fleet.programs);
    }
    fleet
}

/// Where the control socket is. Whoever asks for that alone is not told what is wrong elsewhere, unless it may be lost there.
pub(super) fn control_socket(report: &Report<'_>) -> Option<PathBuf> {
    let (document, errors) = DeTable::parse_recoverable(report.text());
    let mut file = Reader::new(report, "the file", document.get_ref(), 0);
    let found = file.read("init", |init| init.table("[init]")?.read("control_socket", Value::path));
    if found.is_none() {
        report_syntax(report, &errors);
    }
    found
}

/// One slip often makes the parser stumble several times; the first one on a line is the one to mend.
fn report_syntax(report: &Report<'_>, errors: &[Error]) {
    let mut lines = BTreeSet::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        if lines.insert(report.line(offset)) {
            report.add(offset, error.message().to_owned());
        }
    }
}

fn init(value: Value<'_>) -> Option<Init> {
    let mut table = value.table("[init]")?;
    let state_file = table.read("state_file", Value::path);
    let control_socket = table.read("control_socket", Value::path);
    let termination_log = table.read("termination_log", Value::path);
    let reload_signal = table.read("reload_signal", reload_signal);
    table.finish();
    Some(Init { state_file, termination_log, control_socket, reload_signal })
}

/// A signal that can come, and that means nothing else.
fn reload_signal(value: Value<'_>) -> Option<Signal> {
    let signal = value.signal()?;
    let taken = [Signal::KILL, Signal::STOP, Signal::CHLD, Signal::TERM, Signal::INT, Signal::QUIT];
    if taken.contains(&signal) {
        return value.refuse(format!("{signal} cannot be the signal to reload on"));
    }
    Some(signal)
}

fn shutdown(value: Value<'_>) -> Option<Budget> {
    let mut table = value.table("[shutdown]")?;
    let budget = table.read("budget", Value::budget);
    table.finish();
    budget
}

fn programs<'a>(
    value: Value<'a>,
    defaults: Option<&'a DeTable<'a>>,
    main: MainCommand,
) -> Option<Vec<Draft<'a>>> {
    let wanted = "an array of tables ([[program]])";
    let read = |value: Value<'a>| {
        Some(program::read(value.table_as(wanted, "[[program]]")?.with_defaults(defaults), main))
    };
    let elements = value.elements_as(wanted)?;
    let count = elements.len();
    let drafts: Vec<_> = elements.into_iter().filter_map(read).collect();
    (drafts.len() == count).then_some(drafts)
}

/// Not beside another slip, which may be in how programs are written: `[[programs]]`.
fn check_count(report: &Report<'_>, drafts: &[Draft<'_>], main: MainCommand) {
    if drafts.is_empty() && main == MainCommand::InFile && report.is_clean() {
        report.add_whole(
            "there is no [[program]] in this file, so nothing to run; add one, or give a command after `--`"
                .to_owned(),
        );
    }
}

/// True if the main program is one that the file does not know.
fn check_main(report: &Report<'_>, drafts: &[Draft<'_>], main: MainCommand) -> bool {
    let mut mains = drafts.iter().filter_map(|d| Some((d.main_offset?, &d.program.name)));
    if let Some((first_offset, first)) = mains.next() {
        for (offset, _) in mains {
            let line = report.line(first_offset);
            report.add(offset, format!("only one program can be main, and {first:?} is (line {line})"));
        }
        return false;
    }
    let taken = drafts.iter().find(|d| d.program.name == program::FROM_COMMAND_LINE);
    match (main, taken) {
        (MainCommand::InFile | MainCommand::NotNeeded, _) => false,
        (MainCommand::Given, None) => true,
        (MainCommand::Given, Some(taken)) => {
            let message = "\"main\" is the name of the command given on the command line; \
                           choose another, or let that replace this one with main = true";
            report.add(taken.name_offset, message.to_owned());
            false
        }
    }
}
