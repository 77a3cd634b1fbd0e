//! What `--help` prints.

use super::surface::{Opt, SURFACE, Subcommand};
use crate::wrap::wrap;
use std::fmt::Write;

/// The longest line.
const WIDTH: usize = 110;

const END: &str = "\
Durations are 500ms, 2s, 1m30s; signals are SIGTERM, TERM or 15.
Exit code: the program's own; 128 + n if signal n ended it; 126 or 127 if it cannot be run or found;
100 for bad usage or configuration; 111 if the system refused; 70 for a bug.
";

/// How runinit, or a subcommand of it, is used.
pub fn help(subcommand: &Subcommand) -> String {
    let is_all = subcommand.name.is_empty();
    let shown = SURFACE.iter().filter(|other| is_all || other.name == subcommand.name);
    let usages: Vec<(String, &str)> = shown.flat_map(usages).collect();
    let width = usages.iter().map(|(usage, _)| usage.len()).max().unwrap_or_default();
    let mut text =
        "runinit: the init for containers that stops everything on time and says why\n\n".to_owned();
    for (usage, meaning) in usages {
        text.push_str(format!("    {usage:width$}  {meaning}").trim_end());
        text.push('\n');
    }
    if !is_all {
        text.push('\n');
        text.extend(wrap(subcommand.about, WIDTH).iter().map(|line| format!("{line}\n")));
    }
    text.push_str(if is_all { "\nOptions, each with its environment variable:\n" } else { "\nOptions:\n" });
    text.push_str(&options(subcommand));
    if is_all {
        text.push('\n');
        text.push_str(END);
    }
    text
}

/// Each way to use it, from `runinit` on.
pub(super) fn usages(subcommand: &Subcommand) -> impl Iterator<Item = (String, &'static str)> {
    let words = ["runinit", subcommand.name];
    subcommand.usages.iter().map(move |(usage, meaning)| {
        let words: Vec<&str> = words.iter().chain([usage]).copied().filter(|word| !word.is_empty()).collect();
        (words.join(" "), *meaning)
    })
}

fn options(subcommand: &Subcommand) -> String {
    let mut text = String::new();
    // Those without a short name stand under the long names of the others.
    let written = |opt: &Opt| format!("{}{}", if opt.short.is_none() { "    " } else { "" }, opt.written());
    let names = subcommand.options().map(|opt| written(opt).len()).max().unwrap_or_default();
    let variables = subcommand.options().filter_map(|opt| opt.variable).map(str::len).max();
    for opt in subcommand.options() {
        let mut head = format!("    {:names$}  ", written(opt));
        if let Some(width) = variables {
            // Writing to a string does not fail.
            let _ = write!(head, "{:width$}  ", opt.variable.unwrap_or_default());
        }
        let room = WIDTH.saturating_sub(head.len());
        for (number, line) in wrap(&opt.told(), room).iter().enumerate() {
            let head = if number == 0 { head.clone() } else { " ".repeat(head.len()) };
            let _ = writeln!(text, "{head}{line}");
        }
    }
    text
}
