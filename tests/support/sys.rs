//! The tests' own system calls that no safe library has.
#![allow(unsafe_code)] // nix knows no real-time signals

/// kill(2) with any signal number.
pub(super) fn kill(pid: i32, signal: i32) -> Result<(), String> {
    // SAFETY: two numbers.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}
