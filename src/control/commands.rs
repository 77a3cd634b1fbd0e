//! What each subcommand does on the side that asks.

use super::address::Address;
use super::client::{Connection, Failure, ask};
use super::paint::Paint;
use super::protocol::{self, Attach, Health, Lines, Message, Request, Status};
use super::{prometheus, table, watch};
use crate::config::{self, Diagnostic};
use crate::logging;
use crate::printing::{exit_code, print};
use crate::readable::readable;
use nix::unistd::execvp;
use serde::de::DeserializeOwned;
use std::ffi::{CString, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// It is done.
pub(super) const DONE: u8 = 0;
/// It is not; why is on standard error.
const NOT_DONE: u8 = 1;
/// The configuration that is to name the socket cannot be read.
const BAD_CONFIGURATION: u8 = 100;
/// Nobody is there to be asked.
const NOBODY: u8 = 111;

/// A fleet that runs says at once which sessions are its own.
const SESSIONS_TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked, of whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Of whom.
    pub place: Where,
    /// What.
    pub what: What,
    /// How long an answer is waited for; `None`: as long as somebody is there.
    pub timeout: Option<Duration>,
}

/// Where the socket may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// `--control`, or `RUNINIT_CONTROL`.
    pub control: Option<PathBuf>,
    /// The configuration that may name it.
    pub config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<OsString>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// How everything is.
    Status(Show),
    /// Whether all is well.
    Health,
    /// Something that is answered by a message.
    Do(Request),
    /// What a program prints.
    Logs {
        /// Its name.
        program: String,
        /// How many lines.
        lines: Option<usize>,
        /// And all that follow.
        follow: bool,
    },
    /// To see a program's terminal.
    Attach(String),
}

/// How the status is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// To people.
    Table,
    /// To people, again and again.
    Watch,
    /// To programs.
    Json,
    /// To Prometheus.
    Prometheus,
}

/// Why nothing has come of it.
pub(super) enum Trouble {
    Failure(Failure),
    Refused(String),
    Configuration(Vec<Diagnostic>),
}

impl Ask {
    fn address(&self) -> Result<Address, Trouble> {
        let Where { control, config, runtime_directory, .. } = &self.place;
        let asked = match (control, config) {
            (Some(place), _) => Some(place.clone()),
            // Where it cannot be read, the default place would be that of another fleet.
            (None, Some(file)) => config::control_socket(file).map_err(Trouble::Configuration)?,
            (None, None) => None,
        };
        Ok(Address::new(asked, runtime_directory.clone()))
    }

    fn ask(&self, request: &Request) -> Result<Connection, Trouble> {
        ask(&self.address()?, request, self.timeout).map_err(Trouble::Failure)
    }

    /// Asks, and reads the only answer.
    pub(super) fn once<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Trouble> {
        read(&mut self.ask(request)?)
    }
}

fn read<T: DeserializeOwned>(connection: &mut Connection) -> Result<T, Trouble> {
    let line = connection.answer().map_err(Trouble::Failure)?;
    protocol::read_answer(&line).map_err(Trouble::Refused)
}

/// Asks, shows the answer, and returns the exit code.
pub fn run(asked: &Ask) -> u8 {
    let done = match &asked.what {
        What::Status(Show::Watch) => watch::run(asked),
        What::Status(show) => asked
            .once(&Request::Status)
            .map(|status| exit_code(print(&shown(&status, *show, asked.place.no_color)), DONE)),
        What::Health => asked.once(&Request::Health).map(|Health { healthy, message }| {
            exit_code(print(&lines_of(&message)), if healthy { DONE } else { NOT_DONE })
        }),
        What::Do(request) => {
            asked.once(request).map(|Message { message }| exit_code(print(&lines_of(&message)), DONE))
        }
        What::Logs { program, lines, follow } => logs(asked, program, *lines, *follow),
        What::Attach(program) => attach(asked, program),
    };
    done.unwrap_or_else(tell)
}

/// The tmux sessions of the programs of the fleet that runs, those that were added too; none if no fleet does.
///
/// # Errors
/// One does, or may do, but does not answer.
pub fn sessions(address: &Address) -> Result<Vec<String>, String> {
    let mut connection = match ask(address, &Request::Status, Some(SESSIONS_TIMEOUT)) {
        Ok(connection) => connection,
        Err(Failure::Nobody(_)) => return Ok(Vec::new()),
        Err(failure) => return Err(failure.into_text()),
    };
    let line = connection.answer().map_err(Failure::into_text)?;
    let status: Status = protocol::read_answer(&line)?;
    Ok(status.programs.into_iter().filter_map(|program| program.session).collect())
}

fn tell(trouble: Trouble) -> u8 {
    let (why, code) = match trouble {
        Trouble::Failure(Failure::Nobody(why) | Failure::Unreachable(why)) => (why, NOBODY),
        Trouble::Failure(Failure::Silent(why)) | Trouble::Refused(why) => (why, NOT_DONE),
        Trouble::Configuration(diagnostics) => {
            let lines: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
            (lines.join("\n"), BAD_CONFIGURATION)
        }
    };
    for line in why.lines() {
        logging::say_error(&readable(line));
    }
    code
}

/// What the other side says: it may be another user's, and its words are to do nothing to a terminal.
fn lines_of(text: &str) -> String {
    text.split('\n').map(|line| readable(line) + "\n").collect()
}

fn shown(status: &Status, show: Show, no_color: bool) -> String {
    match show {
        Show::Table | Show::Watch => table::draw(status, Paint::for_stdout(no_color)),
        Show::Prometheus => prometheus::text(status),
        Show::Json => {
            let mut json = serde_json::to_string_pretty(status).unwrap_or_default();
            json.push('\n');
            json
        }
    }
}

fn logs(asked: &Ask, program: &str, lines: Option<usize>, follow: bool) -> Result<u8, Trouble> {
    let request = Request::Logs { program: program.to_owned(), lines, follow };
    let mut connection = asked.ask(&request)?;
    let mut told: Lines = read(&mut connection)?;
    // Nobody knows when the next line comes.
    if follow {
        connection.wait_without_end().map_err(Trouble::Failure)?;
    }
    loop {
        let mut text = String::new();
        if told.lost > 0 {
            text = format!("[{} lines lost: too slow]\n", told.lost);
        }
        for line in &told.lines {
            text.push_str(line);
            text.push('\n');
        }
        let printed = print(&text);
        if printed.is_err() {
            return Ok(exit_code(printed, DONE));
        }
        match connection.line().map_err(Trouble::Failure)? {
            Some(line) => told = protocol::read_answer(&line).map_err(Trouble::Refused)?,
            None => return Ok(DONE),
        }
    }
}

/// Becomes the command that shows the terminal. Whoever asks runs it with all that they may do, so not everybody can name it.
fn attach(asked: &Ask, program: &str) -> Result<u8, Trouble> {
    let request = Request::Attach { program: program.to_owned() };
    let mut connection = asked.ask(&request)?;
    let Attach { argv } = read(&mut connection)?;
    if !connection.is_trusted() {
        let line = argv.join(" ");
        let why = format!("the runinit there is another user's, so this is for you to run or not: {line}");
        return Err(Trouble::Refused(readable(&why)));
    }
    let words: Result<Vec<CString>, _> = argv.into_iter().map(CString::new).collect();
    let words = words.map_err(|_| Trouble::Refused("the answer holds a NUL".to_owned()))?;
    let Some(command) = words.first() else {
        return Err(Trouble::Refused("the answer names no command".to_owned()));
    };
    // It returns only if it could not be.
    let Err(errno) = execvp(command, &words);
    Err(Trouble::Refused(format!("cannot run {}: {}", command.to_string_lossy(), errno.desc())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn who_does_not_answer_at_all_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let what = What::Logs { program: "web".to_owned(), lines: None, follow: true };
        let place = Where { control: Some(path), ..Where::default() };
        let asked = Ask { place, what, timeout: Some(Duration::from_millis(1)) };
        assert_eq!(run(&asked), NOT_DONE);
    }

    #[test]
    fn what_the_other_side_says_does_nothing_to_a_terminal() {
        assert_eq!(lines_of("a\nb\u{1b}[31m\r"), "a\nb\\u{1b}[31m\\r\n");
        assert_eq!(lines_of(""), "\n");
    }
}
