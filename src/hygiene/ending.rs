//! Ending what runs in the panes of sessions, for certain.
//!
//! Closing a session only hangs up a terminal. So everything in the kernel sessions of its panes, background jobs and
//! other groups too, gets SIGTERM, some time, and SIGKILL; then nothing is left that could outlive the closing.

use crate::core::event::GroupState;
use crate::core::process::{Pgid, Pid};
use crate::core::signal::Signal;
use crate::os::kernel_session::KernelSession;
use crate::os::processes;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL, at most.
const TERM_LASTS: Duration = Duration::from_secs(5);
/// How long those who were killed may take to vanish.
const KILL_LASTS: Duration = Duration::from_secs(2);
/// How often it is looked who is left, at first and at last: the wait doubles.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

/// Ends everybody in these panes, and returns the panes in which somebody is left. `server`: the parent of every pane's
/// first process.
pub(super) fn end(server: i32, panes: &BTreeSet<i32>, until: Instant) -> BTreeSet<i32> {
    let began = Instant::now();
    let kill_at = began + TERM_LASTS.min(until.saturating_duration_since(began) / 2);
    let until = until.min(kill_at + KILL_LASTS);
    let mut left: BTreeSet<i32> = panes.clone();
    left.iter().filter_map(|pane| session(*pane, server)).for_each(ask);
    let mut wait = LOOK_EVERY[0];
    loop {
        left.retain(|pane| session(*pane, server).is_some_and(|s| s.probe() == GroupState::Alive));
        let now = Instant::now();
        if left.is_empty() || now >= until {
            return left;
        }
        if now >= kill_at {
            left.iter()
                .filter_map(|pane| session(*pane, server))
                .for_each(|session| send(session, Signal::KILL));
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(LOOK_EVERY[1]);
    }
}

/// What a pane's first process leads. A process of its number that is not the server's child is somebody else, unless the
/// server has ended meanwhile.
fn session(pane: i32, server: i32) -> Option<KernelSession> {
    let own = processes::own()?;
    let parent = |number| Pid::new(number).and_then(|pid| processes::parent(own, pid));
    let is_led = parent(pane) == Some(server) || parent(server).is_none();
    Some(KernelSession { number: Pgid::new(pane)?, is_led })
}

fn ask(session: KernelSession) {
    send(session, Signal::TERM);
    // Interactive shells end when their terminal hangs up.
    session.hang_up();
    // A stopped process hears nothing until it goes on.
    send(session, Signal::CONT);
}

fn send(session: KernelSession, signal: Signal) {
    // ESRCH: it has just ended. EPERM: it stays, which the next look tells.
    let _ = session.signal(signal);
}
