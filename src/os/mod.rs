//! How it is done: the system's side, in small typed pieces. What the loop wants of libc and nix is here, but for the names of
//! errors, and unsafe code is in `raw` alone. Nothing here decides anything. Nothing waits but [`poller`], [`signals`] for a
//! wrapper, and what says of itself that it is not for the loop.

pub mod cgroup;
pub mod command;
mod confine;
pub mod connect;
pub mod control_socket;
pub mod descriptors;
pub mod environment;
pub mod inheritance;
pub mod interruption;
pub mod kernel_session;
pub mod kill;
pub mod log_sink;
pub mod mark;
pub mod members;
pub mod namespace;
pub mod notify;
pub mod oom;
pub mod outlet;
pub mod output;
pub mod own_directory;
pub mod pids;
pub mod pipe;
pub mod poller;
pub mod powers;
pub mod processes;
mod raw;
pub mod reading;
pub mod realm;
pub mod reap;
pub mod record_file;
pub mod regular_file;
pub mod signals;
pub mod spawn;
pub mod stdio;
pub mod subreaper;
pub mod terminal;
pub mod termination_log;
mod tree;
pub mod workspaces;
