//! What depends on what the binary is linked with, and by what.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every start of runinit runs, to be put together.
///
/// The kernel maps a file's pages in runs of 64 KiB around the one that is touched (`fault_around_bytes`). What a start
/// runs is a seventh of the binary but lies all over it, so that without an order nearly all of it is mapped, fault by
/// fault: a third of the time until the program runs, and memory that is never needed again.
const ORDER: &str = "layout/start.order";

/// What C libraries say of themselves whose start is the one that `src/os/raw/before_main.rs` replaces: those of Debian 12
/// and 13.
const KNOWN_LIBCS: [&str; 2] =
    ["GNU C Library (Debian GLIBC 2.36-9+deb12u", "GNU C Library (Debian GLIBC 2.41-12+deb13u"];

fn main() {
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rustc-check-cfg=cfg(known_libc)");
    let is_default = has_default_linker();
    if is_default && is_fixed_and_static() && links_with_known_libc() {
        println!("cargo::rustc-cfg=known_libc");
    }
    if is_default && variable("PROFILE") == "release" && links_with_lld() {
        let order = Path::new(&variable("CARGO_MANIFEST_DIR")).join(ORDER);
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        // Another version of the compiler has other names for some; they stay where they are.
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn flags() -> String {
    variable("CARGO_ENCODED_RUSTFLAGS")
}

fn has_default_linker() -> bool {
    let is_default = |flags: &str| !flags.contains("linker") && !flags.contains("fuse-ld");
    variable("TARGET") == "x86_64-unknown-linux-gnu"
        && is_default(&flags())
        && env::var_os("RUSTC_LINKER").is_none()
}

/// As `.cargo/config.toml` has it.
fn is_fixed_and_static() -> bool {
    variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static")
        && flags().contains("relocation-model=static")
}

/// Looks into the very library that is linked.
fn links_with_known_libc() -> bool {
    let answer = Command::new("cc").arg("-print-file-name=libc.a").output();
    let Some(path) = answer.ok().and_then(|answer| String::from_utf8(answer.stdout).ok()) else {
        return false;
    };
    let path = path.trim_end();
    println!("cargo::rerun-if-changed={path}");
    let Ok(library) = fs::read(path) else { return false };
    KNOWN_LIBCS.iter().any(|known| library.windows(known.len()).any(|bytes| bytes == known.as_bytes()))
}

/// The compiler uses the lld that comes with it for this target alone, unless it is told otherwise. Other linkers do not
/// know the option, and would refuse it.
fn links_with_lld() -> bool {
    let lld =
        sysroot().map(|root| root.join("lib/rustlib").join(variable("TARGET")).join("bin/gcc-ld/ld.lld"));
    lld.is_some_and(|lld| lld.exists())
}

fn sysroot() -> Option<PathBuf> {
    let answer = Command::new(env::var_os("RUSTC")?).args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end()))
}
