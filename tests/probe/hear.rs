//! Naming every signal that comes.

use crate::sys;
use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;

/// Where lines go: descriptor 1, or a file that is only appended to.
struct Out(Option<File>);

impl Out {
    fn to(path: &str) -> Result<Self, String> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.map(|file| Self(Some(file))).map_err(|e| format!("{path}: {e}"))
    }

    fn say(&self, text: &str) {
        let fd = self.0.as_ref().map_or(1, AsRawFd::as_raw_fd);
        sys::write_all(fd, format!("{text}\n").as_bytes());
    }
}

/// `hear [-o FILE] [--with FILE].. [--end N].. [--code N] [--detach] [--stop] [--join] [--root]`: says `ready PID` and then the
/// number of every signal that comes, one a line. Nothing but SIGKILL and SIGSTOP has any other effect.
///
/// `--end N` exits when signal N comes, with `--code`. `--with FILE` starts a child in the same group that does the same
/// and writes there, and that is waited for at the end. `--detach` does all that in a session of its own, as an orphan,
/// while the first process exits with 0. `--stop` stops itself once it is ready. `--join` joins its parent's group first. `--root` becomes root first (for a
/// set-uid copy).
pub(crate) fn run(args: &[String]) -> Result<c_int, String> {
    let mut out = Out(None);
    let (mut ends, mut others, mut children) = (Vec::new(), Vec::new(), Vec::new());
    let (mut code, mut detach, mut stop) = (0, false, false);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let parse = |text: &String| text.parse::<c_int>().map_err(|e| e.to_string());
        match word.as_str() {
            "-o" => out = Out::to(value()?)?,
            "--with" => others.push(Out::to(value()?)?),
            "--end" => ends.push(parse(value()?)?),
            "--code" => code = parse(value()?)?,
            "--detach" => detach = true,
            "--stop" => stop = true,
            "--join" => _ = sys::join_parents_group()?,
            "--root" => _ = sys::become_root()?,
            _ => return Err(format!("what is {word:?}?")),
        }
    }
    sys::set_mask(sys::EVERY);
    if detach && become_an_orphan()? {
        return Ok(0);
    }
    for other in others {
        match sys::fork()? {
            0 => {
                out = other;
                children.clear();
                break;
            }
            child => children.push(child),
        }
    }
    out.say(&format!("ready {}", std::process::id()));
    if stop {
        sys::kill(std::process::id().cast_signed(), libc::SIGSTOP)?;
    }
    loop {
        let signal = sys::take_signal();
        out.say(&signal.to_string());
        if ends.contains(&signal) {
            for child in children {
                sys::wait(child)?;
            }
            return Ok(code);
        }
    }
}

/// Twice forked, in a session of its own. True in the process that is to exit.
fn become_an_orphan() -> Result<bool, String> {
    let child = sys::fork()?;
    if child != 0 {
        sys::wait(child)?;
        return Ok(true);
    }
    sys::setsid()?;
    if sys::fork()? != 0 {
        sys::exit(0);
    }
    Ok(false)
}
