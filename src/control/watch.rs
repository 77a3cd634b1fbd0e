//! `status --watch`: the table again and again, until Ctrl-C.

use super::commands::{Ask, DONE, Trouble};
use super::paint::Paint;
use super::protocol::{Request, Status};
use super::table;
use crate::os::terminal;
use crate::printing::{exit_code, print};
use std::thread::sleep;
use std::time::Duration;

/// How often it is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// To the upper left corner, and nothing below.
const HOME: &str = "\x1b[H\x1b[J";
const CLEAR: &str = "\x1b[2J";

/// Ends when nobody answers any more, or nobody sees it.
pub(super) fn run(asked: &Ask) -> Result<u8, Trouble> {
    let paint = Paint::for_stdout(asked.place.no_color);
    let mut before = if terminal::stdout_size().is_some() { CLEAR } else { "" };
    loop {
        let status: Status = asked.once(&Request::Status)?;
        let table = table::draw(&status, paint);
        // It may be another size by now.
        let printed = print(&match terminal::stdout_size() {
            Some((columns, rows)) => format!("{before}{HOME}{}", fitting(&table, columns, rows)),
            None => format!("{table}\n"),
        });
        if printed.is_err() {
            return Ok(exit_code(printed, DONE));
        }
        before = "";
        sleep(EVERY);
    }
}

/// What a screen has room for, and how many lines it has none for.
fn fitting(table: &str, columns: usize, rows: usize) -> String {
    let lines: Vec<&str> = table.lines().collect();
    // The cursor stands in the row below.
    let room = rows.saturating_sub(1);
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    let mut out: String = lines[..shown].iter().map(|line| cut(line, columns) + "\n").collect();
    if shown < lines.len() {
        out += &cut(&format!("... and {} more\n", lines.len() - shown), columns);
    }
    out
}

/// A line without what goes beyond these columns; colours take no room.
fn cut(line: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    let mut is_colour = false;
    for letter in line.chars() {
        is_colour |= letter == '\x1b';
        if is_colour {
            is_colour = letter != 'm';
            out.push(letter);
        } else if column < columns {
            column += 1;
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_shows_what_it_has_room_for() {
        let table = "head\n\x1b[2mname state\x1b[0m\na \x1b[32mrunning\x1b[0m  long\nb\n";
        assert_eq!(fitting(table, 80, 5), table);
        let small = "head\n\x1b[2mname \x1b[0m\na \x1b[32mrun\x1b[0m\nb\n";
        assert_eq!(fitting(table, 5, 5), small);
        assert_eq!(fitting(table, 80, 4), "head\n\x1b[2mname state\x1b[0m\n... and 2 more\n");
        assert_eq!(fitting(table, 80, 1), "... and 4 more\n");
    }
}
