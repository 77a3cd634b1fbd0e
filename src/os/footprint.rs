//! How much of the machine's memory runinit holds while it waits.

use super::raw;

/// Lets go of what only the start needed. The kernel maps a program's pages by the dozen around each one that is touched
/// (fault-around), so after the start nearly the whole file counts as resident; idle, a twentieth of it is in use.
pub fn shrink() {
    raw::forget_own_pages();
}
