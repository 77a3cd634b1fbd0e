//! runinit: the init for containers that stops everything on time and says why.
//!
//! One thread, one loop, one pure core:
//!
//! - [`core`] decides. State, event and time in, actions out; no system call, no clock, no file.
//! - [`os`] acts. The only place with system calls, in small typed pieces.
//! - [`runtime`] is the loop that joins the two. Nothing else sees both.
//! - [`cli`] and [`config`] make the plan that the core runs; [`check`] prints it; [`record`] writes down what became of
//!   it, and [`logging`] says it; [`printing`] answers whoever asks.
//! - [`explain`] draws a record and says who is to blame; [`drill`] tries how a fleet stops.
//! - [`control`] talks to a runinit that runs. [`tmux`] is what tmux is asked and what it answers.
//!
//! What a wrapper does not come to is `#[inline(never)]` where it would else be drawn into what a wrapper runs. A start
//! then touches some 60 pages of the binary, in 6 of the runs of 16 that the kernel maps at once (see `layout/make`).

pub mod check;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod drill;
pub mod explain;
pub mod hygiene;
pub mod logging;
pub mod os;
pub mod printing;
mod readable;
pub mod record;
pub mod runtime;
pub mod tmux;
mod wrap;
