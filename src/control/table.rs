//! The status as a table for people.

use super::paint::{Colour, Paint};
use super::protocol::{Program, State, Status};
use crate::readable::readable;
use crate::record::Exit;
use std::fmt::Write;
use std::time::Duration;

const HEAD: [&str; 8] = ["NAME", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "PROCS"];

/// The table, with what there is to say about each program behind its line.
pub(super) fn draw(status: &Status, paint: Paint) -> String {
    let rows: Vec<[String; 8]> = status.programs.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut out = summary(status);
    let head = line(&HEAD.map(str::to_owned), &widths, str::to_owned);
    out.push_str(&paint.paint(&head, Colour::Dim));
    out.push('\n');
    for (program, cells) in status.programs.iter().zip(&rows) {
        let text = line(cells, &widths, |state| paint.paint(state, colour(program)));
        let note = note(program).map_or(String::new(), |note| format!("  {}", readable(&note)));
        out.push_str(format!("{text}{note}").trim_end());
        out.push('\n');
    }
    out
}

fn summary(status: &Status) -> String {
    let phase = status.phase.name();
    let count = status.programs.len();
    let mut out = format!(
        "runinit (pid {}) {phase} for {}; {count} program{}",
        status.pid,
        time(status.stopping_ms.unwrap_or(status.uptime_ms)),
        if count == 1 { "" } else { "s" }
    );
    // Writing to a string does not fail.
    let _ = match status.zombie_processes {
        0 => writeln!(out),
        1 => writeln!(out, "; 1 zombie"),
        zombies => writeln!(out, "; {zombies} zombies"),
    };
    out
}

fn row(program: &Program) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let is_there = program.processes.is_some_and(|count| count > 0);
    [
        readable(&program.name),
        program.state.name().to_owned(),
        or_dash(program.pid.map(|pid| pid.to_string())),
        or_dash(program.uptime_ms.map(time)),
        program.restarts.to_string(),
        or_dash(program.rss_kb.filter(|_| is_there).map(memory)),
        or_dash(
            program.cpu_ms.filter(|_| is_there).map(|ms| format!("{}.{:02}s", ms / 1000, ms % 1000 / 10)),
        ),
        or_dash(program.processes.filter(|_| is_there).map(|count| count.to_string())),
    ]
}

/// Texts to the left, numbers to the right. Only the state is painted; a colour takes no room.
fn line(cells: &[String], widths: &[usize], paint_state: impl Fn(&str) -> String) -> String {
    let cells = cells.iter().zip(widths).enumerate().map(|(column, (cell, &width))| match column {
        0 => format!("{cell:width$}"),
        1 => format!("{}{:2$}", paint_state(cell), "", width.saturating_sub(cell.chars().count())),
        _ => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ")
}

fn note(program: &Program) -> Option<String> {
    let exit = || match program.exit.as_ref()? {
        Exit::Code(code) => Some(format!("exited with code {code}")),
        Exit::Signal(signal) => Some(format!("died of {signal}")),
    };
    let is_over = program.pid.is_none();
    program.problem.clone().or_else(|| program.status.clone()).or_else(|| exit().filter(|_| is_over))
}

fn colour(program: &Program) -> Colour {
    match program.state {
        State::Running if program.ready && program.problem.is_none() => Colour::Green,
        State::Running | State::Waiting | State::Restarting | State::Stopping => Colour::Yellow,
        State::Failed | State::Survived => Colour::Red,
        State::Stopped | State::Exited => Colour::Dim,
    }
}

/// At most two units; nobody reads more.
fn time(ms: u64) -> String {
    let duration = match ms {
        0..1000 => return format!("{ms}ms"),
        1000..3_600_000 => Duration::from_secs(ms / 1000),
        3_600_000..86_400_000 => Duration::from_secs(ms / 60_000 * 60),
        _ => Duration::from_secs(ms / 3_600_000 * 3600),
    };
    humantime::format_duration(duration).to_string()
}

fn memory(kb: u64) -> String {
    match kb {
        0..1024 => format!("{kb} KiB"),
        1024..1_048_576 => format!("{}.{} MiB", kb / 1024, kb % 1024 * 10 / 1024),
        _ => format!("{}.{} GiB", kb / 1_048_576, kb % 1_048_576 * 10 / 1_048_576),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::{Phase, Reaped};

    /// A fleet of two.
    pub(in crate::control) fn status() -> Status {
        let web = Program {
            name: "web".to_owned(),
            kind: "process".to_owned(),
            state: State::Running,
            pid: Some(42),
            uptime_ms: Some(93_784_000),
            restarts: 1,
            exit: None,
            session: None,
            rss_kb: Some(20_480),
            cpu_ms: Some(1_250),
            processes: Some(3),
            ready: true,
            healthy: Some(true),
            waits_for: Vec::new(),
            status: Some("12 requests".to_owned()),
            problem: None,
            added: false,
        };
        let db = Program {
            name: "a\"b".to_owned(),
            state: State::Failed,
            pid: None,
            uptime_ms: None,
            exit: Some(Exit::Code(3)),
            rss_kb: Some(0),
            cpu_ms: Some(0),
            processes: Some(0),
            ready: false,
            healthy: None,
            status: None,
            problem: Some("exited with code 3".to_owned()),
            ..web.clone()
        };
        Status {
            phase: Phase::Running,
            pid: 1,
            uptime_ms: 93_785_000,
            stopping_ms: None,
            tmux_sessions: 0,
            active_agents: 0,
            zombie_processes: 2,
            timestamp: "2026-01-01T00:00:00.000Z".to_owned(),
            reaped: Reaped { programs: 4, orphans: 5 },
            programs: vec![web, db],
        }
    }

    #[test]
    fn a_table_is_aligned_and_says_what_is_wrong() {
        let expected = "\
runinit (pid 1) running for 1day 2h; 2 programs; 2 zombies
NAME  STATE    PID   UPTIME  RESTARTS    MEMORY    CPU  PROCS
web   running   42  1day 2h         1  20.0 MiB  1.25s      3  12 requests
a\"b   failed     -        -         1         -      -      -  exited with code 3
";
        assert_eq!(draw(&status(), Paint(false)), expected);
        let stopping = Status { phase: Phase::Stopping, stopping_ms: Some(4_321), ..status() };
        assert!(draw(&stopping, Paint(false)).starts_with("runinit (pid 1) stopping for 4s; 2 programs"));
        let painted = draw(&status(), Paint(true));
        assert!(painted.contains("web   \x1b[32mrunning\x1b[0m   42"), "{painted}");
        assert!(painted.contains("\x1b[31mfailed\x1b[0m"), "{painted}");
        let one = Status { zombie_processes: 1, ..status() };
        assert!(draw(&one, Paint(false)).contains("; 1 zombie\n"));
    }

    #[test]
    fn columns_are_of_characters_and_nobody_s_words_do_anything_to_a_terminal() {
        let mut strange = status();
        strange.programs[0].name = "éé\x1b[31m".to_owned();
        strange.programs[0].status = Some("\x1b]0;x\x07\nforged".to_owned());
        let table = draw(&strange, Paint(false));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        let place =
            |line: &str, word| line.chars().count() - line[line.find(word).unwrap()..].chars().count();
        assert_eq!(place(lines[1], "STATE"), place(lines[2], "running"));
        assert!(
            lines[2].starts_with("éé\\u{1b}[31m  running")
                && lines[2].ends_with("  \\u{1b}]0;x\\u{7}\\nforged")
        );
        let painted = draw(&strange, Paint(true));
        assert!(painted.contains("éé\\u{1b}[31m  \x1b[32mrunning\x1b[0m   42"), "{painted}");
    }
}
