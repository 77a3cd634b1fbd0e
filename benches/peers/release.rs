//! The binary that people run. Cargo's own for a benchmark is of another profile: its functions have other names, so that
//! the order in `layout/` would not be theirs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::context::{Context, Result};

/// Builds it, and says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let doing = "cargo build --release --bin runinit";
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(doing.split(' ').skip(1))
        .args(["--message-format", "json"]);
    let output = cargo.stderr(Stdio::inherit()).output().while_doing(doing)?;
    if !output.status.success() {
        return Err(format!("{doing}: {}", output.status));
    }
    let messages =
        output.stdout.split(|&byte| byte == b'\n').map(serde_json::from_slice::<serde_json::Value>);
    let built = messages.flatten().find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    built.ok_or_else(|| format!("{doing}: it did not say what it built"))
}
