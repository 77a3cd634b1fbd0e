//! What runinit knows of tmux: which server, which session, what is asked and what it answers. Words in, words out:
//! nothing here calls the system.
//!
//! Every question is one run of the tmux client, which is a child like any other and may take as long as it likes: the core
//! cuts it. Targets are exact: `=name` is that session and none that begins so, `%3` is that pane.

mod answer;
mod name;
mod question;
mod socket;

pub use answer::{Ended, OLDEST, Pane, Version, panes, read_close, read_end, read_start};
pub use name::refusal;
pub use question::{
    attach, close, end, is_server, keys, look, serve, server, server_version, start, take_back, version,
};
pub use socket::Socket;

/// A tmux session in which a program lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its server.
    pub socket: Socket,
    /// Its name, as tmux takes it unchanged.
    pub name: String,
    /// Columns and rows, while nobody is attached.
    pub size: (u16, u16),
    /// The lines of its last screen that are kept.
    pub history: u32,
}

impl Session {
    /// Columns and rows of a session that names none.
    pub const SIZE: (u16, u16) = (200, 50);
    /// The lines that are kept of one that names none.
    pub const HISTORY: u32 = 200;
}
