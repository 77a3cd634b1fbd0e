//! Reading what is there from a descriptor that does not wait for more.

use nix::errno::Errno;
use std::os::fd::AsFd;

/// What a reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing will come any more.
    End,
    /// Nothing can be read any more, for another reason than its end.
    Broken,
}

/// One reading.
pub fn read(descriptor: impl AsFd, bytes: &mut [u8]) -> Heard {
    match nix::unistd::read(descriptor, bytes) {
        Ok(0) => Heard::End,
        Ok(count) => Heard::Bytes(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Heard::Nothing,
        Err(_) => Heard::Broken,
    }
}
