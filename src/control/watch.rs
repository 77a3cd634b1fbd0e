//! `status --watch`: the table again and again, until Ctrl-C.

use super::commands::{Ask, Trouble, print};
use super::paint::Paint;
use super::protocol::{Request, Status};
use super::table;
use std::convert::Infallible;
use std::io::{IsTerminal, stdout};
use std::thread::sleep;
use std::time::Duration;

/// How often it is drawn.
const EVERY: Duration = Duration::from_secs(1);
/// To the upper left corner, and nothing below.
const HOME: &str = "\x1b[H\x1b[J";
const CLEAR: &str = "\x1b[2J";

/// Ends when nobody answers any more.
pub(super) fn run(asked: &Ask) -> Result<u8, Trouble> {
    let never: Infallible = draw_for_ever(asked)?;
    match never {}
}

fn draw_for_ever(asked: &Ask) -> Result<Infallible, Trouble> {
    let is_screen = stdout().is_terminal();
    let paint = Paint::for_stdout(asked.place.no_color);
    if is_screen {
        print(CLEAR);
    }
    loop {
        let status: Status = asked.once(&Request::Status)?;
        let table = table::draw(&status, paint);
        print(&if is_screen { format!("{HOME}{table}") } else { format!("{table}\n") });
        sleep(EVERY);
    }
}
