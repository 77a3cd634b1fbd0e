//! The side that asks. It is an ordinary program: it waits, but not for ever.

use super::address::Address;
use super::protocol::Request;
use crate::os::control_socket;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest answer that is read: a fleet of a thousand needs half a megabyte.
const LONGEST_ANSWER: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is there.
    Nobody(String),
    /// Somebody is, but says nothing, or not in time.
    Silent(String),
}

/// A connection on which something was asked.
#[derive(Debug)]
pub struct Connection(BufReader<UnixStream>);

/// Asks, and leaves the answer to be read. Without a timeout it is waited for as long as somebody is there.
///
/// # Errors
/// Nobody is there.
pub fn ask(address: &Address, request: &Request, timeout: Option<Duration>) -> Result<Connection, Failure> {
    let mut why = String::new();
    for place in address.places() {
        match control_socket::connect_to(place) {
            Ok(mut stream) => {
                let sent = stream.set_read_timeout(timeout).and_then(|()| {
                    // Its own writing is never what it waits for: a request fits the socket's buffer.
                    stream.write_all(request.to_line().as_bytes())
                });
                // Whoever hangs up at once may have said why before.
                return match sent {
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                        Err(Failure::Silent(format!("{}: {error}", place.display())))
                    }
                    _ => Ok(Connection(BufReader::new(stream))),
                };
            }
            Err(error) => why = format!("{}: {}", place.display(), error.desc()),
        }
    }
    Err(Failure::Nobody(match address {
        Address::Asked(_) => format!("nobody answers at {why}"),
        Address::Default(_) => format!(
            "nobody answers at {} ({why}); is a fleet running here? --control names another socket",
            address.describe()
        ),
    }))
}

impl Connection {
    /// True if root or this user is at the other end: what it says may be run.
    pub fn is_trusted(&self) -> bool {
        control_socket::is_trusted(self.0.get_ref().as_fd())
    }

    /// From now on a line is waited for as long as somebody is there.
    ///
    /// # Errors
    /// The connection broke.
    pub fn wait_without_end(&self) -> Result<(), Failure> {
        self.0.get_ref().set_read_timeout(None).map_err(|error| Failure::Silent(error.to_string()))
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// It does not come in time, or the connection broke.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        match (&mut self.0).take(LONGEST_ANSWER).read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line)),
            // It hung up before it had read everything.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                Err(Failure::Silent("no answer in time".to_owned()))
            }
            Err(error) => Err(Failure::Silent(error.to_string())),
        }
    }

    /// The one line of an answer.
    ///
    /// # Errors
    /// It does not come in time, or not at all.
    pub fn answer(&mut self) -> Result<Vec<u8>, Failure> {
        self.line()?.ok_or_else(|| {
            let why = if control_socket::answers_this_user(self.0.get_ref().as_fd()) {
                "the runinit there ended before it had answered"
            } else {
                "it hung up without an answer; only root and runinit's own user get one"
            };
            Failure::Silent(why.to_owned())
        })
    }
}
