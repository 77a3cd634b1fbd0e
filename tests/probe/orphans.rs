//! Orphans that die all at once.

use crate::sys;
use std::ffi::c_int;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// `orphans N [--code C] [--leave]`: starts N processes, orphans them, lets all of them die at the same moment, and exits with
/// C when not one zombie is left in the whole PID namespace, or with 98 when there still is one after half a minute.
/// `--leave` exits with C at the very moment of the dying.
pub(crate) fn run(args: &[String]) -> Result<c_int, String> {
    let count = crate::number(args, 0)?;
    let code = args.iter().position(|a| a == "--code").map_or(Ok(0), |at| crate::number(args, at + 1))?;
    let leave = args.iter().any(|a| a == "--leave");
    // The orphans read from this pipe; they die when its writing end closes.
    let (reader, writer) = sys::pipe()?;
    let parent = sys::fork()?;
    if parent == 0 {
        sys::close(writer);
        for _ in 0..count {
            if sys::fork()? == 0 {
                sys::read_to_end(reader);
                sys::exit(0);
            }
        }
        sys::exit(0);
    }
    let (_, status) = sys::wait(parent)?;
    if status != 0 {
        return Err(format!("could not start {count} processes: {status}"));
    }
    sys::close(writer);
    if leave {
        return Ok(code);
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let (living, zombies) = others()?;
        if living == 0 && zombies == 0 {
            sys::write_all(1, b"zombies 0\n");
            return Ok(code);
        }
        if Instant::now() > end {
            sys::write_all(1, format!("zombies {zombies}, living {living}\n").as_bytes());
            return Ok(98);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many others of this program's name there are: living, and dead but not reaped.
fn others() -> Result<(usize, usize), String> {
    let (mut living, mut zombies) = (0, 0);
    let own = std::process::id();
    for entry in std::fs::read_dir("/proc").map_err(|e| e.to_string())?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        if pid < own || !head.ends_with("(probe") {
            continue;
        }
        match tail.as_bytes().first() {
            Some(b'Z' | b'X') => zombies += 1,
            _ if pid != own => living += 1,
            _ => {}
        }
    }
    Ok((living, zombies))
}
