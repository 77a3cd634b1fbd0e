//! How it is done: the system's side, in small typed pieces. The only place with libc and nix, and unsafe code in
//! `raw` alone. Nothing here decides anything, and nothing blocks but [`poller`].

mod confine;
pub mod connect;
pub mod descriptors;
pub mod footprint;
pub mod inheritance;
pub mod kill;
pub mod log_sink;
pub mod notify;
pub mod outlet;
pub mod output;
pub mod pipe;
pub mod poller;
pub mod powers;
pub mod processes;
mod raw;
pub mod reap;
pub mod record_file;
pub mod signals;
pub mod spawn;
pub mod stdio;
pub mod subreaper;
pub mod terminal;
