//! Cleaning up behind agents: sessions that nobody needs any more, workspaces that are finished, zombies that nobody
//! reaps.
//!
//! | part                                           | file        |
//! |------------------------------------------------|-------------|
//! | a pass, from one end to the other              | `pass`      |
//! | what it has to know, and what it tells         | `errand`    |
//! | from a session's name to a workspace           | `matching`  |
//! | what a registry says, and how that is changed  | `registry`  |
//! | the workspaces as a pass sees them             | `place`     |
//! | which sessions are orphans                     | `orphans`   |
//! | tmux's own list of sessions                    | `sessions`  |
//! | ending what runs in them                       | `ending`    |
//! | which workspaces are finished                  | `finished`  |
//! | zombies                                        | `zombies`   |
//! | all of that for people                         | `describe`  |
//!
//! A pass waits: for locks, for tmux, for disks. So it is never done by the init itself, but by a child of it
//! (`runinit hygiene`), and anybody may do one by hand. What cannot be known is kept.

mod describe;
mod ending;
mod errand;
mod finished;
mod matching;
mod orphans;
mod pass;
mod place;
mod registry;
mod sessions;
mod zombies;

pub use describe::describe;
pub use errand::{Errand, Line};
pub use pass::run;
