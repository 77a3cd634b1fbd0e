//! Asking whether somebody listens, without waiting for the answer.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, connect, getpeername,
    getsockname, getsockopt, socket, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a connection has come to.
#[derive(Debug)]
pub enum Attempt {
    /// Somebody listens, or nobody does.
    Answered(bool),
    /// It can be written to when there is an answer; then see [`is_connected`].
    UnderWay(OwnedFd),
}

/// Begins to connect.
pub fn begin(address: SocketAddr) -> Attempt {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(socket) = socket(family, SockType::Stream, flags, None) else { return Attempt::Answered(false) };
    let begun = match address {
        SocketAddr::V4(v4) => connect(socket.as_raw_fd(), &SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => connect(socket.as_raw_fd(), &SockaddrIn6::from(v6)),
    };
    match begun {
        Ok(()) => Attempt::Answered(is_connected(&socket)),
        Err(Errno::EINPROGRESS) => Attempt::UnderWay(socket),
        Err(_) => Attempt::Answered(false),
    }
}

/// The answer, once there is one.
pub fn is_connected(socket: &OwnedFd) -> bool {
    getsockopt(socket, sockopt::SocketError) == Ok(0) && !is_its_own_peer(socket)
}

/// Where nobody listens, the kernel may choose the very port that is asked as the one to ask from (a simultaneous open,
/// RFC 9293, 3.5), and the socket is connected with itself.
fn is_its_own_peer(socket: &OwnedFd) -> bool {
    let own = getsockname::<SockaddrStorage>(socket.as_raw_fd());
    own.is_ok() && own == getpeername(socket.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::bind;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    fn ask(address: SocketAddr) -> bool {
        match begin(address) {
            Attempt::Answered(answer) => answer,
            Attempt::UnderWay(socket) => {
                poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(5000u16))
                    .unwrap();
                is_connected(&socket)
            }
        }
    }

    #[test]
    fn a_listener_is_seen_and_its_end_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(ask(address));
        drop(listener);
        assert!(!ask(address));
    }

    #[test]
    fn who_has_reached_itself_has_reached_nobody() {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let own: SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
        connect(socket.as_raw_fd(), &own).unwrap();
        assert_eq!(getsockopt(&socket, sockopt::SocketError), Ok(0));
        assert!(!is_connected(&socket));
    }
}
