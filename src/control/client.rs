//! The side that asks. It is an ordinary program: it waits, but not for ever.

use super::address::Address;
use super::protocol::Request;
use crate::os::control_socket;
use nix::errno::Errno;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest answer that is read: a fleet of a thousand needs half a megabyte.
const LONGEST_ANSWER: u64 = 64 << 20;

/// What connect(2) says of a place where nobody can be; of any other somebody may be there all the same.
const NOBODY: [Errno; 4] = [Errno::ENOENT, Errno::ENOTDIR, Errno::ECONNREFUSED, Errno::ENAMETOOLONG];

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is there.
    Nobody(String),
    /// Somebody may be, but cannot be reached.
    Unreachable(String),
    /// Somebody is, but says nothing, or not in time.
    Silent(String),
}

impl Failure {
    /// For people.
    pub fn into_text(self) -> String {
        let (Self::Nobody(why) | Self::Unreachable(why) | Self::Silent(why)) = self;
        why
    }
}

/// A connection on which something was asked.
#[derive(Debug)]
pub struct Connection(BufReader<UnixStream>);

/// Asks, and leaves the answer to be read. Without a timeout it is waited for as long as somebody is there.
///
/// # Errors
/// Nobody is there, or nobody can be reached.
pub fn ask(address: &Address, request: &Request, timeout: Option<Duration>) -> Result<Connection, Failure> {
    let mut why = String::new();
    let mut is_nobody = true;
    for place in address.places() {
        match control_socket::connect_to(place, timeout) {
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
            Err(error) => {
                is_nobody &= NOBODY.contains(&error);
                why = format!("{}: {}", place.display(), error.desc());
            }
        }
    }
    let failure = if is_nobody { Failure::Nobody } else { Failure::Unreachable };
    Err(failure(match address {
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
    };
    use std::os::fd::{AsRawFd, OwnedFd};

    fn failure(address: &Address) -> Failure {
        ask(address, &Request::Status, Some(Duration::from_millis(1))).unwrap_err()
    }

    #[test]
    fn who_has_no_time_for_another_is_there_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let new = || socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
        let place = UnixAddr::new(&path).unwrap();
        let listener = new();
        bind(listener.as_raw_fd(), &place).unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        let mut waiting: Vec<OwnedFd> = vec![new()];
        while connect(waiting.last().unwrap().as_raw_fd(), &place).is_ok() {
            waiting.push(new());
        }
        let address = Address::Asked(path.clone());
        assert!(matches!(failure(&address), Failure::Unreachable(_)));
        drop(listener);
        assert!(matches!(failure(&address), Failure::Nobody(_)));
        std::fs::remove_file(path).unwrap();
        assert!(matches!(failure(&address), Failure::Nobody(_)));
    }
}
