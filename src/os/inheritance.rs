//! What runinit was given for the program and has no use for itself.

use super::raw;

/// Closes the descriptors above 2 that came in, once the program has its own copies: a pipe that runinit holds open never
/// ends for its reader. Without /proc they stay open.
pub fn close_descriptors() {
    let Ok(list) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let above: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    above.into_iter().for_each(raw::close_if_inherited);
}

/// Lets go of the working directory, so that it can be unmounted.
pub fn leave_directory() {
    // A root that cannot be entered is no reason to stop.
    let _ = std::env::set_current_dir("/");
}
