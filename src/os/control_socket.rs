//! The socket on which runinit is asked and told things, from both sides.

use super::{raw, record_file};
use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, send,
    setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections that wait to be taken.
const BACKLOG: i32 = 64;

/// Who is there takes a connection within this, whatever it does.
const CONNECT_LASTS: Duration = Duration::from_secs(5);

/// The listening socket, and its place in the file system.
#[derive(Debug)]
pub struct ControlSocket {
    socket: OwnedFd,
    path: PathBuf,
    /// The device and the number of the file, so that nobody else's is removed at the end.
    file: Option<(u64, u64)>,
    /// Held until the end of the process. The lock's file stays: removing it would let two hold it.
    _lock: Flock<File>,
}

impl ControlSocket {
    /// Listens at this place. A socket that a killed run left there is replaced.
    ///
    /// # Errors
    /// `AddrInUse`: somebody listens there. Else the directory is missing or cannot be written, or something else is
    /// in the way.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Between a look at an old socket and its replacement nobody else may do the same.
        let lock = record_file::lock(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::from(io::ErrorKind::AddrInUse),
            _ => error,
        })?;
        remove_dead(path)?;
        let socket = new_socket()?;
        let address = UnixAddr::new(path)?;
        // 0600 from the first moment on: there is no later one at which nobody could have connected yet.
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind(socket.as_raw_fd(), &address);
        umask(before);
        bound?;
        let file = std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let opened = Self { socket, path: path.to_owned(), file, _lock: lock };
        listen(&opened.socket, Backlog::new(BACKLOG)?)?;
        Ok(opened)
    }

    /// The next connection.
    ///
    /// # Errors
    /// EAGAIN: there is none. EMFILE, ENFILE, ENOMEM: there is no room for it.
    pub fn accept(&self) -> nix::Result<OwnedFd> {
        raw::accept(self.socket.as_fd())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
        if there.is_some() && there == self.file {
            // If it stays, the next run finds that nobody listens.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// True if the other end is root's or this process's own user's, whatever the modes of files allow (`SO_PEERCRED`,
/// unix(7)). Nobody else is answered, and nobody else's answers are run.
pub fn is_trusted(peer: BorrowedFd<'_>) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    getsockopt(&peer, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// True if a runinit at the other end answers this process: it is root, or runs as the user who listens there.
pub fn answers_this_user(peer: BorrowedFd<'_>) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    own == 0 || getsockopt(&peer, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == own)
}

/// Connects to a socket. Not for the loop: it waits, but not without an end, and no longer than is said.
///
/// # Errors
/// Nobody listens there, this user must not connect, or the queue of connections stays full (EAGAIN).
pub fn connect_to(path: &Path, timeout: Option<Duration>) -> nix::Result<UnixStream> {
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A full queue of connections would be waited for without end, so the limit is set before.
    let limit = timeout.map_or(CONNECT_LASTS, |timeout| timeout.min(CONNECT_LASTS));
    // Nothing at all would be for ever.
    let microseconds = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX).max(1);
    setsockopt(&stream, sockopt::SendTimeout, &TimeVal::microseconds(microseconds))?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(stream))
}

/// Writes without waiting, and without a SIGPIPE for a client that has gone.
///
/// # Errors
/// EAGAIN: no room. EPIPE, ECONNRESET: nobody is there.
pub fn write(client: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    send(client.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
}

fn new_socket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Removes a socket on which nobody listens. A connection to it is refused; one to a living socket is taken, or waits in
/// its queue (EAGAIN where that is full).
///
/// # Errors
/// Somebody listens (`AddrInUse`), it is no socket, or it cannot be removed.
pub fn remove_dead(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("something that is no socket is in its place"));
        }
        Ok(_) => {}
    }
    let probe = new_socket()?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path),
        _ => Err(io::Error::from(io::ErrorKind::AddrInUse)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        (directory, path)
    }

    #[test]
    fn only_its_own_user_can_reach_it_and_it_goes_with_its_owner() {
        let (_directory, path) = place();
        let socket = ControlSocket::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(socket.accept().unwrap_err(), Errno::EAGAIN);
        let client = connect_to(&path, None).unwrap();
        assert!(is_trusted(socket.accept().unwrap().as_fd()) && is_trusted(client.as_fd()));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_nobody_listens_on_is_replaced() {
        let (_directory, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        ControlSocket::open(&path).unwrap();
    }

    #[test]
    fn what_somebody_listens_on_is_left_to_them() {
        let (_directory, path) = place();
        let living = UnixListener::bind(&path).unwrap();
        let in_use = || ControlSocket::open(&path).unwrap_err().kind() == io::ErrorKind::AddrInUse;
        assert!(in_use());
        drop(living);
        let first = ControlSocket::open(&path).unwrap();
        assert!(in_use());
        std::fs::remove_file(&path).unwrap();
        assert!(in_use(), "the first one still holds the place");
        drop(first);
        ControlSocket::open(&path).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_not_touched() {
        let (_directory, path) = place();
        std::fs::write(&path, "precious").unwrap();
        assert!(ControlSocket::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn somebody_else_s_socket_in_its_place_is_not_removed_at_the_end() {
        let (_directory, path) = place();
        let socket = ControlSocket::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
