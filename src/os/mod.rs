//! How it is done: the system's side, in small typed pieces. The only place with libc and nix, and unsafe code in
//! `raw` alone. Nothing here decides anything, and nothing blocks but [`poller`].

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
pub mod outlet;
pub mod output;
pub mod pids;
pub mod pipe;
pub mod poller;
pub mod powers;
pub mod processes;
mod raw;
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
