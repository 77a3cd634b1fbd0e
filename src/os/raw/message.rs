//! A message, and who sent it.

use libc::{cmsghdr, ucred};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for what comes along with a message: its sender, who comes first, and nothing else.
#[repr(C)]
struct Room {
    header: cmsghdr,
    sender: ucred,
}

/// `recvmsg(2)` without waiting, on a socket with `SO_PASSCRED`: how long the message is, and its sender's pid and uid.
///
/// There is no room for descriptors that a sender attaches, so none is opened here (`unix(7)`, `SCM_RIGHTS`). With room, some
/// of them would be where not all can be (EMFILE), and nobody would close them.
pub(in crate::os) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<(usize, i32, u32)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: both are plain data, for which zeroes are a value; all pointers are to live memory of the size given, and what
    // the kernel writes into the room are a header and, behind it, a `ucred`.
    unsafe {
        let mut room: Room = std::mem::zeroed();
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut room).cast();
        message.msg_controllen = size_of::<Room>() as _;
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        let length = Errno::result(received)?.unsigned_abs();
        // Zero, and so nobody, where there are none.
        Ok((length, room.sender.pid, room.sender.uid))
    }
}
