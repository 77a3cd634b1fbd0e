//! The one place where runinit waits.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Waits until the descriptor can be read, or the time is over; without a time, until it can be read.
pub fn readable(descriptor: BorrowedFd<'_>, time: Option<Duration>) {
    let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
    // EINTR cannot come, as all signals are blocked; ENOMEM would only make the next round come early.
    let _ = poll(&mut descriptors, time.map_or(PollTimeout::NONE, timeout));
}

/// Whole milliseconds, rounded up: a deadline that has not quite come would be met by a spin.
fn timeout(time: Duration) -> PollTimeout {
    let ms = time.as_micros().div_ceil(1000);
    i32::try_from(ms).ok().and_then(|ms| PollTimeout::try_from(ms).ok()).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_is_a_whole_one() {
        assert_eq!(timeout(Duration::from_micros(1)), PollTimeout::try_from(1).unwrap());
        assert_eq!(timeout(Duration::from_micros(2000)), PollTimeout::try_from(2).unwrap());
        assert_eq!(timeout(Duration::MAX), PollTimeout::MAX);
    }
}
