//! The tests' own system calls that no safe library has.
#![allow(unsafe_code)] // nix knows no real-time signals and no extended attributes

use std::ffi::CString;
use std::path::Path;

/// kill(2) with any signal number.
pub(super) fn kill(pid: i32, signal: i32) -> Result<(), String> {
    // SAFETY: two numbers.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

/// Gives a file an extended attribute (setxattr(2)).
pub(crate) fn set_attribute(path: &Path, name: &str, value: &str) -> Result<(), String> {
    let string = |text: &str| CString::new(text).map_err(|e| e.to_string());
    let (path, name) = (string(&path.display().to_string())?, string(name)?);
    // SAFETY: both strings end with a NUL, and the value is as long as it says.
    let result =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}
