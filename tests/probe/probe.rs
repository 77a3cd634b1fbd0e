//! A program for the tests to start: it says what its init handed to it, and it behaves well or badly on request.
//!
//! It has no `fn main`, so that Rust's own start does nothing before it looks: that would reset SIGPIPE, open closed
//! descriptors and install handlers.
//!
//! | mode | what it does |
//! | --- | --- |
//! | `report [-o FILE]` | says as JSON what it was given |
//! | `exit N` | exits with N |
//! | `raise N` | dies of signal N |
//! | `terminal` | opens a terminal, and exits with 1 if that controls it from then on |
//! | `pause` | says `ready`, then waits with the dispositions it was given |
//! | `hear [..]` | says `ready`, then names every signal that comes; see [`hear`] |
//! | `orphans N [..]` | leaves N orphans that die at once; see [`orphans`] |
//! | `stage [..] -- INIT..` | starts an init in a PID namespace of its own; see [`stage`] |
#![no_main]

mod hear;
mod orphans;
mod report;
mod stage;
mod sys;

use std::ffi::{c_char, c_int};

/// The C library calls this in place of Rust's own start.
#[allow(unsafe_code)] // a name without mangling is unsafe because another `main` could exist; there is none here
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let mut args: Vec<String> =
        std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    if args.is_empty() {
        args.push(String::new());
    }
    let mode = args.remove(0);
    let result = match mode.as_str() {
        "report" => report::run(&args),
        "exit" => number(&args, 0),
        "raise" => number(&args, 0).and_then(sys::die_of),
        "terminal" => sys::opens_controlling_terminal().map(c_int::from),
        "pause" => pause(),
        "hear" => hear::run(&args),
        "orphans" => orphans::run(&args),
        "stage" => stage::run(&args),
        _ => Err(format!("no such mode: {mode:?}")),
    };
    match result {
        Ok(code) => code,
        Err(why) => {
            sys::write_all(2, format!("probe {mode}: {why}\n").as_bytes());
            99
        }
    }
}

/// Waits for ever, deaf to nothing.
fn pause() -> Result<c_int, String> {
    sys::write_all(1, format!("ready {}\n", std::process::id()).as_bytes());
    loop {
        sys::pause();
    }
}

/// The argument at this place, as a number.
fn number(args: &[String], place: usize) -> Result<c_int, String> {
    let text = args.get(place).ok_or("a number is missing")?;
    text.parse().map_err(|_| format!("not a number: {text:?}"))
}
