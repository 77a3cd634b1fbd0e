//! What this process was given.

use crate::sys;
use serde_json::{Map, Value, json};
use std::ffi::c_int;

const MOST_DESCRIPTORS: c_int = 256;

/// `report [-o FILE] [ANYTHING..]`: says as one line of JSON what it was given, and exits with 0.
pub(crate) fn run(args: &[String]) -> Result<c_int, String> {
    let fds: Vec<c_int> = (0..MOST_DESCRIPTORS).filter(|fd| sys::is_open(*fd)).collect();
    let blocked = sys::mask();
    let (pgid, sid, foreground) = sys::ids();
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment: Map<String, Value> =
        std::env::vars_os().map(|(name, value)| (lossy(name), json!(lossy(value)))).collect();
    let text = json!({
        "pid": std::process::id(),
        "ppid": std::os::unix::process::parent_id(),
        "pgid": pgid,
        "sid": sid,
        "foreground": foreground,
        "blocked": (1..=64).filter(|n| blocked >> (n - 1) & 1 == 1).collect::<Vec<c_int>>(),
        "ignored": (1..=64).filter(|n| sys::is_ignored(*n)).collect::<Vec<c_int>>(),
        "descriptors": fds,
        "cwd": std::env::current_dir().ok(),
        "argv": std::env::args_os().map(lossy).collect::<Vec<_>>(),
        "environment": environment,
        "environment_size": std::env::vars_os().count(),
    });
    let line = format!("{text}\n");
    match args {
        [o, file, ..] if o == "-o" => std::fs::write(file, line).map_err(|e| e.to_string())?,
        _ => sys::write_all(1, line.as_bytes()),
    }
    Ok(0)
}
