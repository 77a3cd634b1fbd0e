//! What a test needs and this machine may not have.

use std::io::Write as _;

/// Something is missing, which is a failure unless this variable allows it; in CI nothing does. Always false.
pub(crate) fn goes_without(variable: &str, why: &str) -> Result<bool, String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("CI") || !is_set(variable) {
        return Err(format!("{why} ({variable}=1 goes on without, but not in CI)"));
    }
    // Not println: only failing tests would show it.
    let _ = writeln!(std::io::stderr(), "\nNOT TESTED: {why}");
    Ok(false)
}
