//! How many descriptors may be open.
//!
//! The soft limit is often 1,024, for the sake of programs that use select(2) (getrlimit(2)). A large fleet that is heard
//! needs more, and runinit uses no select(2): it takes what the hard limit allows, and hands on to programs what came in.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A program's standard input, output and error, what it says that it is ready by, and two for a command about it.
const PER_PROGRAM: u64 = 6;
/// runinit's own.
const OWN: u64 = 64;
/// There is always room for so many, and nobody is asked.
const NO_QUESTION: u64 = 256;

/// Makes room for a fleet of this size, if there is too little. What came in is returned then: soft and hard limit.
pub fn make_room_for(programs: usize) -> Option<(u64, u64)> {
    let wanted = programs as u64 * PER_PROGRAM + OWN;
    if wanted <= NO_QUESTION {
        return None;
    }
    make_room(wanted)
}

/// Makes all the room that there may be, as none was left.
pub fn make_all_room() -> Option<(u64, u64)> {
    make_room(u64::MAX)
}

fn make_room(wanted: u64) -> Option<(u64, u64)> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).ok().filter(|(soft, hard)| *soft < wanted.min(*hard))?;
    // More than the system's limit (EPERM), then: as good as it gets.
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    Some((soft, hard))
}
