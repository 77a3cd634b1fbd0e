//! Programs that only SIGKILL has ended: what they did instead, and what might work.

use super::advice::Advice;
use super::times::{signed, time, written};
use crate::record::{Program, Step};

/// What asks a program to end, in the order in which they are worth a try.
const POLITE: [&str; 4] = ["SIGTERM", "SIGQUIT", "SIGINT", "SIGHUP"];

/// What a program does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nobody has looked.
    Unknown,
    Ignores,
    Handles,
    /// It waits, or is read from a signalfd(2).
    Blocks,
    /// It dies of it.
    Default,
}

/// What a program did with a signal, by the record.
pub(super) fn manner(program: &Program, signal: &str) -> Manner {
    let Some(signals) = &program.signals else { return Manner::Unknown };
    let lists = [
        (&signals.ignored, Manner::Ignores),
        (&signals.caught, Manner::Handles),
        // Last: for a moment around a fork, the C library has everything blocked.
        (&signals.blocked, Manner::Blocks),
    ];
    let found = lists.into_iter().find(|(list, _)| list.iter().any(|name| name == signal));
    found.map_or(Manner::Default, |(_, manner)| manner)
}

/// The steps before the SIGKILL, of which there is at least one, and what came of them.
pub(super) fn deaf(program: &Program, tried: &[&Step]) -> Advice {
    let did: Vec<String> = tried.iter().map(|step| what_it_did(program, step)).collect();
    let did = format!("{} {}.", program.name, did.join(" and "));
    if program.signals.is_none() {
        return format!("{did} It may have no handler that ends it, or need another signal or more time.")
            .into();
    }
    let signals = || tried.iter().map(|step| step.step.as_str()).filter(|step| step.starts_with("SIG"));
    let met = |wanted: &[Manner]| signals().any(|signal| wanted.contains(&manner(program, signal)));
    if met(&[Manner::Default]) {
        return format!(
            "{did} It hung inside the kernel, is an init whose own program does not end, or is the first process of a \
             PID namespace of its own."
        )
        .into();
    }
    let untried = POLITE.into_iter().filter(|signal| !signals().any(|tried| tried == *signal));
    let untried: Vec<(&str, Manner)> = untried.map(|signal| (signal, manner(program, signal))).collect();
    let handled: Vec<&str> =
        untried.iter().filter(|(_, manner)| *manner == Manner::Handles).map(|(signal, _)| *signal).collect();
    // An interactive shell is like that, and ends by SIGHUP only.
    let is_shell = handled.contains(&"SIGHUP") && manner(program, "SIGQUIT") == Manner::Ignores;
    if let Some(signal) = if is_shell { Some("SIGHUP") } else { handled.first().copied() } {
        return another(&format!("{did} It handles {}", handled.join(" and ")), signal, tried, program.main);
    }
    if met(&[Manner::Handles, Manner::Blocks]) {
        return format!(
            "{did} If it needs more time, give it a longer `wait`. If it is a shell script: a trap runs only when the \
             command in the foreground has ended, so run that in the background and `wait`."
        )
        .into();
    }
    // The last first: SIGQUIT would leave a core.
    if let Some((signal, _)) = untried.iter().rev().find(|(_, manner)| *manner == Manner::Default) {
        return another(&format!("{did} {signal} would end it at once"), signal, tried, program.main);
    }
    let text =
        format!("{did} No signal but SIGKILL ends it. Ask it with a `run` or `stdin` step, or do not wait:");
    Advice { text, try_this: Some("stop = [{ signal = \"SIGKILL\", wait = \"2s\" }]".to_owned()) }
}

fn what_it_did(program: &Program, step: &Step) -> String {
    let took = time(signed(step.waited_ms));
    let what = step.step.as_str();
    if !what.starts_with("SIG") {
        return format!("did not end by its `{what}` step in {took}");
    }
    match manner(program, what) {
        Manner::Unknown => format!("did not end on {what} in {took}"),
        Manner::Ignores => format!("ignored {what} for {took}"),
        Manner::Blocks => format!("keeps {what} blocked and did not end in {took}"),
        Manner::Handles => format!("has a handler for {what} but did not end in {took}"),
        Manner::Default => format!("neither ignores nor handles {what} but did not die of it in {took}"),
    }
}

fn another(why: &str, signal: &str, tried: &[&Step], is_main: bool) -> Advice {
    let option = if is_main { format!(" --stop-signal {signal}, or in a file") } else { String::new() };
    let met = tried.iter().find(|step| step.step.starts_with("SIG"));
    if let Some(met) = met.filter(|_| has_command(tried)) {
        return format!("{why}: try it in place of {}.", met.step).into();
    }
    let wait_ms = tried.first().map_or(0, |step| step.waited_ms);
    Advice { text: format!("{why}: try{option}"), try_this: Some(cascade(signal, wait_ms)) }
}

/// A command of its stop may have to stay, and is not in the record: then nobody can write the whole `stop`.
pub(super) fn has_command(tried: &[&Step]) -> bool {
    tried.iter().any(|step| step.step == "run")
}

/// A signal and the wait that another one had.
pub(super) fn cascade(signal: &str, wait_ms: u64) -> String {
    let wait = written(wait_ms);
    format!(
        "stop = [{{ signal = \"{signal}\", wait = \"{wait}\" }}, {{ signal = \"SIGKILL\", wait = \"2s\" }}]"
    )
}
