//! Talking to a runinit that runs: what is said over its control socket, and the side that asks.
//!
//! The side that answers is the loop itself, in [`runtime`](crate::runtime). Both share [`protocol`], which is also written
//! down for other programs in `docs/control.md`, and [`address`].

pub mod address;
pub mod client;
mod commands;
mod paint;
mod prometheus;
pub mod protocol;
mod table;
mod watch;

pub use commands::{Ask, Show, What, Where, run, sessions};
