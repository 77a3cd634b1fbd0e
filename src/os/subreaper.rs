//! Inheriting orphans below PID 1.

/// Makes runinit the parent of every descendant whose own parent ends (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
///
/// # Errors
/// EINVAL: a kernel before 3.4.
pub fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}
