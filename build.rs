//! Has the linker put together what every start of runinit runs (`layout/start.order`).
//!
//! The kernel maps a file's pages in runs of 64 KiB around the one that is touched (`fault_around_bytes`). What a start
//! runs is a seventh of the binary but lies all over it, so that without an order nearly all of it is mapped, fault by
//! fault: a third of the time until the program runs, and memory that is never needed again.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const ORDER: &str = "layout/start.order";

fn main() {
    println!("cargo::rerun-if-changed={ORDER}");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let order = Path::new(&variable("CARGO_MANIFEST_DIR")).join(ORDER);
    if variable("PROFILE") == "release" && links_with_lld(&variable("TARGET")) {
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        // Another version of the compiler has other names for some; they stay where they are.
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// The compiler uses the lld that comes with it for this target alone, unless it is told otherwise. Other linkers do not
/// know the option, and would refuse it.
fn links_with_lld(target: &str) -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_default =
        !flags.contains("linker") && !flags.contains("fuse-ld") && env::var_os("RUSTC_LINKER").is_none();
    let lld = sysroot().map(|root| root.join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld"));
    target == "x86_64-unknown-linux-gnu" && is_default && lld.is_some_and(|lld| lld.exists())
}

fn sysroot() -> Option<PathBuf> {
    let answer = Command::new(env::var_os("RUSTC")?).args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end()))
}
