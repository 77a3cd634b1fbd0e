//! Starting an init in a PID namespace of its own, in a world as good or as bad as a test wants it.
//!
//! The namespace holds everything the init ever starts, so that killing the stage leaves nothing behind, whatever the
//! init did. As PID 1 the init is the namespace's first process. Below it, the first process is this stage's own child, which
//! reaps what the init leaves to it and says who was left when the init had ended.

use crate::sys;
use std::ffi::{OsString, c_int};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How long the init may take to have a child, for `--on-child`.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Default)]
struct Wish {
    report: String,
    pid1: bool,
    no_proc: bool,
    tmpfs: Vec<(String, String)>,
    read_only: Vec<String>,
    bind: Vec<(String, String)>,
    uid: Option<u32>,
    limits: Vec<(String, u64)>,
    ignored: Vec<c_int>,
    blocked: Vec<c_int>,
    closed: Vec<c_int>,
    /// Descriptors of the init, and the writing ends of the pipes to put there.
    pipes: Vec<(c_int, c_int)>,
    extra: Vec<c_int>,
    on_child: Option<c_int>,
    subreaper: bool,
    occupant: Option<String>,
    argv: Vec<OsString>,
}

/// `stage --report FILE [OPTIONS] -- INIT..`; the file says how the init ended (`exit N` or `signal N`), and below PID 1 also
/// `left PID COMMAND` for everybody who was still there, and `occupant alive` if that one was.
///
/// - `--pid1`: the init is the namespace's PID 1; else it is PID 2.
/// - `--ignore N`, `--block N`: signals the init inherits as ignored or blocked.
/// - `--close FD`, `--full FD`, `--broken FD`: closed; a pipe that is full and that nobody reads; a pipe without a reader.
/// - `--extra FD`: a copy of descriptor 0 there.
/// - `--subreaper`: the init inherits orphans already.
/// - `--uid N`, `--limit NAME=N`: for the init.
/// - `--no-proc`, `--tmpfs DIR=SIZE`, `--read-only DIR`, `--bind PLACE=FILE`: mounts.
/// - `--on-child N`: sends signal N to the init at the moment it has a child.
/// - `--occupant FIFO`: below PID 1, a process of the same user that is none of the init's, until somebody opens and closes the FIFO.
pub(crate) fn run(args: &[String]) -> Result<c_int, String> {
    let wish = read(args)?;
    sys::die_with_parent()?;
    sys::unshare_pids()?;
    let first = sys::fork()?;
    if first == 0 {
        sys::die_with_parent()?;
        set_the_scene(&wish)?;
        if wish.pid1 {
            return become_the_init(&wish);
        }
        return be_nanny(&wish);
    }
    if wish.pid1 {
        if let Some(signal) = wish.on_child {
            wait_for_child(first)?;
            sys::kill(first, signal)?;
        }
        let (_, status) = sys::wait(first)?;
        std::fs::write(&wish.report, describe(status)).map_err(|e| e.to_string())?;
    } else {
        sys::wait(first)?;
    }
    Ok(0)
}

fn read(args: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            // As it is: the probe's own words are text, the init's may be any bytes.
            wish.argv = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
            break;
        }
        let mut value = || words.next().cloned().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse::<c_int>().map_err(|e| format!("{word} {text}: {e}"));
        let pair = |text: String| {
            text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or(format!("{word} wants A=B"))
        };
        match word.as_str() {
            "--report" => wish.report = value()?,
            "--pid1" => wish.pid1 = true,
            "--subreaper" => wish.subreaper = true,
            "--no-proc" => wish.no_proc = true,
            "--tmpfs" => wish.tmpfs.push(pair(value()?)?),
            "--read-only" => wish.read_only.push(value()?),
            "--bind" => wish.bind.push(pair(value()?)?),
            "--uid" => wish.uid = Some(value()?.parse().map_err(|e| format!("--uid: {e}"))?),
            "--limit" => {
                let (name, text) = pair(value()?)?;
                wish.limits.push((name, text.parse().map_err(|e| format!("--limit {text}: {e}"))?));
            }
            "--ignore" => wish.ignored.push(number(value()?)?),
            "--block" => wish.blocked.push(number(value()?)?),
            "--close" => wish.closed.push(number(value()?)?),
            "--full" => wish.pipes.push((number(value()?)?, full_pipe()?)),
            "--broken" => wish.pipes.push((number(value()?)?, broken_pipe()?)),
            "--extra" => wish.extra.push(number(value()?)?),
            "--on-child" => wish.on_child = Some(number(value()?)?),
            "--occupant" => wish.occupant = Some(value()?),
            _ => return Err(format!("what is {word:?}?")),
        }
    }
    if wish.argv.is_empty() { Err("no init to start".to_owned()) } else { Ok(wish) }
}

/// A pipe that nobody reads and that is full. Its reading end stays open in the stage, for as long as the init lives.
fn full_pipe() -> Result<c_int, String> {
    let (_, writer) = sys::pipe()?;
    sys::fill(writer);
    Ok(writer)
}

/// A pipe that has no reader any more.
fn broken_pipe() -> Result<c_int, String> {
    let (reader, writer) = sys::pipe()?;
    sys::close(reader);
    Ok(writer)
}

/// The mounts.
fn set_the_scene(wish: &Wish) -> Result<(), String> {
    sys::unshare_mounts()?;
    sys::mount("proc", "/proc", "proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "")?;
    for (dir, size) in &wish.tmpfs {
        sys::mount("tmpfs", dir, "tmpfs", 0, &format!("size={size},mode=0777"))?;
    }
    for dir in &wish.read_only {
        sys::mount(dir, dir, "", libc::MS_BIND, "")?;
        sys::mount(dir, dir, "", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")?;
    }
    for (place, file) in &wish.bind {
        sys::mount(file, place, "", libc::MS_BIND, "")?;
    }
    if wish.no_proc {
        sys::mount("tmpfs", "/proc", "tmpfs", 0, "size=4k")?;
    }
    Ok(())
}

/// Puts everything in place that lasts across exec, and becomes the init.
fn become_the_init(wish: &Wish) -> Result<c_int, String> {
    for (fd, writer) in &wish.pipes {
        sys::dup2(*writer, *fd)?;
    }
    sys::close_from(3); // whatever the tests themselves were given
    for fd in &wish.extra {
        sys::dup2(0, *fd)?;
    }
    for fd in &wish.closed {
        sys::close(*fd);
    }
    // All of them: posix_spawn, by which the tests came here, has the C library's own ones ignored.
    for signal in 1..=64 {
        sys::set_ignored(signal, wish.ignored.contains(&signal));
    }
    if let Some(uid) = wish.uid {
        sys::become_user(uid)?;
    }
    if wish.subreaper {
        sys::become_subreaper()?;
    }
    if wish.pid1 {
        sys::die_with_parent()?; // becoming somebody else has taken it away
    }
    for (name, value) in &wish.limits {
        sys::limit(name, *value)?;
    }
    sys::set_mask(wish.blocked.iter().fold(0, |mask, signal| mask | 1 << (signal - 1)));
    sys::exec(&wish.argv)
}

/// Starts the init as a child, reaps, and says at the end who was left.
fn be_nanny(wish: &Wish) -> Result<c_int, String> {
    // The init is PID 2 whoever else there is, so it is the first to be forked and the last to go on.
    let (go, held) = sys::pipe()?;
    let init = sys::fork()?;
    if init == 0 {
        sys::close(held);
        sys::read_to_end(go);
        return become_the_init(wish);
    }
    let occupant = wish.occupant.as_ref().map(|fifo| occupy(fifo, wish.uid)).transpose()?;
    sys::close(held);
    if let Some(signal) = wish.on_child {
        wait_for_child(init)?;
        sys::kill(init, signal)?;
    }
    let status = loop {
        let (ended, status) = sys::wait(-1)?;
        if ended == init {
            break status;
        }
    };
    let mut report = describe(status);
    for entry in std::fs::read_dir("/proc").map_err(|e| e.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let known = name == "1" || occupant.is_some_and(|pid| pid.to_string() == name);
        // Zombies are nobody who was left.
        if !known && name.bytes().all(|b| b.is_ascii_digit()) && !read("stat").contains(") Z ") {
            let command = read("cmdline").replace('\0', " ");
            let _ = writeln!(report, "left {name} {command}");
        }
    }
    if occupant.is_some_and(|pid| sys::kill(pid, 0).is_ok()) {
        report += "occupant alive\n";
    }
    std::fs::write(&wish.report, report).map_err(|e| e.to_string())?;
    Ok(0)
}

/// A process that only counts as one of this user's, until somebody opens and closes the FIFO.
fn occupy(fifo: &str, uid: Option<u32>) -> Result<c_int, String> {
    let (ready, held) = sys::pipe()?;
    let occupant = sys::fork()?;
    if occupant == 0 {
        if let Some(uid) = uid {
            sys::become_user(uid)?;
        }
        sys::close_from(3); // which tells the nanny that it is there
        sys::wait_for_fifo(fifo)?;
        sys::exit(0);
    }
    sys::close(held);
    sys::read_to_end(ready);
    sys::close(ready);
    Ok(occupant)
}

/// `exit N` or `signal N`.
fn describe(status: c_int) -> String {
    if libc::WIFSIGNALED(status) {
        format!("signal {}\n", libc::WTERMSIG(status))
    } else {
        format!("exit {}\n", libc::WEXITSTATUS(status))
    }
}

/// Looks as fast as it can until this process has a child.
fn wait_for_child(pid: c_int) -> Result<(), String> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if std::fs::read(&path).is_ok_and(|children| !children.is_empty()) {
            return Ok(());
        }
    }
    Err("the init never had a child".to_owned())
}
