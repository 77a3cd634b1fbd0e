//! The descriptors 0, 1 and 2, which may not be there.

use super::raw;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use std::os::fd::IntoRawFd;

/// Fills the places of closed standard descriptors, so that none of runinit's own files lands there and gets what was
/// meant for standard error. The placeholders (`O_PATH`, needing no /dev) refuse reads and writes as a closed descriptor
/// does, and are closed on exec: the program gets exactly what came in.
pub fn keep_places() {
    for number in 0..=2 {
        if fcntl(raw::standard(number), FcntlArg::F_GETFD).is_err() {
            // The lowest free number is the one that is missing, as they are looked at in order.
            let _ = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map(IntoRawFd::into_raw_fd);
        }
    }
}
