//! What programs say about themselves: the datagrams of `sd_notify(3)`.

use super::raw;
use crate::core::event::Notice;
use crate::core::process::Pid;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, getsockname, setsockopt, socket, sockopt,
};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

/// The longest message that is read; nothing that is understood is longer.
const MESSAGE_LIMIT: usize = 4096;
/// The longest status that is kept.
const STATUS_LIMIT: usize = 200;

/// One program's `NOTIFY_SOCKET`.
#[derive(Debug)]
pub struct NotifySocket {
    socket: OwnedFd,
    /// As the variable names it: an abstract address begins with `@`.
    pub address: OsString,
}

/// A message and who sent it.
#[derive(Debug)]
pub struct Message {
    /// The sender, as the kernel says.
    pub sender: Pid,
    /// The sender's user id.
    pub uid: u32,
    /// What it says, in order.
    pub notices: Vec<Notice>,
}

impl NotifySocket {
    /// Opens a socket at an abstract address that the kernel chooses (autobind, unix(7)): no directory has to be
    /// writable, and nothing is left behind.
    ///
    /// # Errors
    /// No descriptor is left (EMFILE, ENFILE).
    pub fn open() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before the first message can come, or it would come without its sender.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let name: UnixAddr = getsockname(socket.as_raw_fd())?;
        let mut address = b"@".to_vec();
        address.extend_from_slice(name.as_abstract().unwrap_or_default());
        Ok(Self { socket, address: OsString::from_vec(address) })
    }

    /// For the poller.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next message, if there is one.
    pub fn read(&self) -> Option<Message> {
        // On the heap: inlined, it would lie in the loop's frame for ever.
        let mut buffer = vec![0; MESSAGE_LIMIT];
        let (length, sender, uid) = raw::receive(self.socket.as_fd(), &mut buffer).ok()?;
        Some(Message { sender: Pid::new(sender)?, uid, notices: parse(&buffer[..length]) })
    }
}

/// Reads the assignments of a message, one a line; unknown ones are for others (`sd_notify(3)`).
fn parse(message: &[u8]) -> Vec<Notice> {
    String::from_utf8_lossy(message).lines().filter_map(notice).collect()
}

fn notice(line: &str) -> Option<Notice> {
    match line.split_once('=')? {
        ("READY", "1") => Some(Notice::Ready),
        ("STOPPING", "1") => Some(Notice::Stopping),
        ("WATCHDOG", "trigger") => Some(Notice::Unwell),
        ("STATUS", text) => {
            Some(Notice::Status(text.chars().filter(|c| !c.is_control()).take(STATUS_LIMIT).collect()))
        }
        ("WATCHDOG", "1") => Some(Notice::Alive),
        ("WATCHDOG_USEC", time) => microseconds(time).map(Notice::Watchdog),
        ("EXTEND_TIMEOUT_USEC", time) => microseconds(time).map(Notice::Extend),
        _ => None,
    }
}

fn microseconds(word: &str) -> Option<Duration> {
    word.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn assignments_are_read_one_a_line_and_others_are_left() {
        let message = b"STATUS=loading\nFDSTORE=1\nREADY=1\nEXTEND_TIMEOUT_USEC=2500\nWATCHDOG=1\nnonsense";
        let expected = [
            Notice::Status("loading".into()),
            Notice::Ready,
            Notice::Extend(Duration::from_micros(2500)),
            Notice::Alive,
        ];
        assert_eq!(parse(message), expected);
        assert_eq!(parse(b"WATCHDOG_USEC=5"), [Notice::Watchdog(Duration::from_micros(5))]);
        assert_eq!(parse(b"WATCHDOG_USEC=-5\nWATCHDOG=2"), []);
    }

    fn connected() -> (NotifySocket, UnixDatagram) {
        let socket = NotifySocket::open().unwrap();
        let name = socket.address.clone().into_vec();
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&address).unwrap();
        (socket, sender)
    }

    #[test]
    fn descriptors_that_come_along_are_closed_and_the_words_are_heard() {
        let (socket, sender) = connected();
        // The other end is at its end when all copies of this one are closed.
        let (reading, writing) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let words = [IoSlice::new(b"FDSTORE=1\nREADY=1")];
        let copies = [ControlMessage::ScmRights(&[writing.as_raw_fd(), writing.as_raw_fd()])];
        sendmsg::<()>(sender.as_raw_fd(), &words, &copies, MsgFlags::empty(), None).unwrap();
        assert_eq!(socket.read().unwrap().notices, [Notice::Ready]);
        drop(writing);
        assert_eq!(nix::unistd::read(&reading, &mut [0]), Ok(0));
    }

    #[test]
    fn a_message_comes_with_its_sender() {
        let (socket, sender) = connected();
        sender.send(b"READY=1").unwrap();
        let message = socket.read().unwrap();
        assert_eq!(message.sender.number(), std::process::id().cast_signed());
        assert_eq!(message.notices, [Notice::Ready]);
        assert!(socket.read().is_none());
    }
}
