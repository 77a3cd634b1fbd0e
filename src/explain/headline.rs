//! How a run went, in a line or two.

use super::times::{signed, time};
use crate::record::{Phase, Record, Signal};

pub(super) fn headline(record: &Record, is_written: bool) -> Vec<String> {
    let elapsed = time(signed(record.elapsed_ms));
    let budget = record.budget_ms.map_or_else(String::new, |ms| format!(" of {}", time(signed(ms))));
    let why = why(record);
    match (record.phase, is_written) {
        (Phase::Running, true) => vec!["This run goes on: nobody has asked it to stop.".to_owned()],
        (Phase::Running, false) => vec![
            "This run was killed while it ran: nobody had asked it to stop.".to_owned(),
            "SIGKILL for runinit itself, the OOM killer, or the end of the machine leaves such a record."
                .to_owned(),
        ],
        (Phase::Stopping, true) => vec![format!("Stopping for {elapsed}{budget} by now: {why}.")],
        (Phase::Stopping, false) => vec![
            format!("This run was killed while it stopped: {why}."),
            format!("The last that is known is from {elapsed}{budget} after the shutdown began."),
        ],
        (Phase::Stopped, _) => {
            let code = record.exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
            vec![format!("Stopped in {elapsed}{budget}{code}: {why}.")]
        }
    }
}

fn why(record: &Record) -> String {
    match (record.reason.as_deref(), &record.signal) {
        (Some("main_exited"), _) => "the main program had ended".to_owned(),
        (Some("all_exited"), _) => "every program had ended".to_owned(),
        (Some("program_failed"), _) => "a program failed whose failure ends all".to_owned(),
        (Some("internal_error"), _) => "a bug in runinit".to_owned(),
        (_, Some(signal)) => asked(signal),
        (_, None) => "it was asked to".to_owned(),
    }
}

fn asked(signal: &Signal) -> String {
    let name = &signal.name;
    match (signal.sender_pid, &signal.sender_command) {
        (None, _) => format!("{name} from the kernel"),
        // kill(2) across PID namespaces: the sender has no number here.
        (Some(0), _) => format!("{name} from outside the container"),
        (Some(pid), Some(command)) => format!("{name} from pid {pid} ({command})"),
        (Some(pid), None) => format!("{name} from pid {pid}"),
    }
}
