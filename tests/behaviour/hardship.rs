//! What must not end or stall an init.

use super::exits::probing;
use crate::support::{How, Init, Outcome, Place, Running, Stage, ensure, probe, send, until, words};
use libc::{SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long an idle init is watched: longer than the second in which some of them look round.
const WATCH: Duration = Duration::from_millis(1200);
/// So often, until nothing has happened in one of them.
const WINDOWS: u32 = 3;

/// Waits until the program has written this line; says what its init did instead.
fn wrote(running: &Running, init: Init, line: &str) -> Outcome {
    let over = until(init.patience(), || running.has_line("heard", line) || running.has_ended());
    match (running.has_line("heard", line), over) {
        (true, _) => Ok(()),
        (false, true) => Err(running.explain(&format!("it ends early, before {line:?}"))),
        (false, false) => Err(running.explain(&format!("it hangs, before {line:?}"))),
    }
}

/// Waits for the init's end with this code; says what it did instead.
fn ended(running: &mut Running, init: Init, code: i32) -> Outcome {
    let end = running.end_within(init.patience())?;
    ensure!(end.is_some(), "{}", running.explain("it hangs after its program's end"));
    ensure!(
        end.as_ref().and_then(|e| e.code) == Some(code),
        "{}",
        running.explain(&format!("it ends early: {end:?}"))
    );
    Ok(())
}

/// A program that writes to a file hears SIGUSR1 and SIGTERM and ends with 7; and so does the init.
fn works(init: Init, how: How, place: Place, set: impl Fn(Stage) -> Stage) -> Outcome {
    let stage = set(Stage::new(place)?);
    let file = stage.file("heard").display().to_string();
    let mut argv = init.words(how)?;
    argv.extend(probing(&["hear", "-o", &file, "--end", "15", "--code", "7"])?);
    let mut running = stage.start(argv)?;
    wrote(&running, init, "ready")?;
    for signal in [SIGUSR1, SIGTERM] {
        running.signal(signal)?;
        wrote(&running, init, &signal.to_string())?;
    }
    ended(&mut running, init, 7)?;
    // What its own writing raised is its own affair.
    ensure!(
        !running.has_line("heard", "13"),
        "{}",
        running.explain("the program hears a SIGPIPE of the init")
    );
    Ok(())
}

pub(crate) fn closed(init: Init) -> Outcome {
    for closed in [&["0"][..], &["1"], &["2"], &["0", "1", "2"]] {
        for place in Place::BOTH {
            let close = |stage| closed.iter().fold(stage, |stage: Stage, fd| stage.with("--close", fd));
            works(init, How::Group, place, close).map_err(|why| format!("{closed:?} closed: {why}"))?;
        }
    }
    Ok(())
}

pub(crate) fn full_stderr(init: Init) -> Outcome {
    full(init, &["2"])
}

pub(crate) fn full_output(init: Init) -> Outcome {
    full(init, &["1", "2"])
}

/// Nobody reads what it says on these descriptors.
fn full(init: Init, descriptors: &[&str]) -> Outcome {
    let full = |stage: Stage| {
        let stage = stage.env("CATATONIT_DEBUG", "1");
        descriptors.iter().fold(stage, |stage, fd| stage.with("--full", fd))
    };
    Place::BOTH.into_iter().try_for_each(|place| {
        works(init, How::Verbose, place, full)?;
        // Orphans make it talk, too.
        let stage = full(Stage::new(place)?);
        let (file, probe) = (stage.path("heard"), probe()?);
        let script = format!("{probe} orphans 100 --leave; exec {probe} hear -o {file} --end 15 --code 8");
        let mut argv = init.words(How::Verbose)?;
        argv.extend(words(["sh", "-c", &script]));
        let mut running = stage.start(argv)?;
        wrote(&running, init, "ready")?;
        running.signal(SIGTERM)?;
        ended(&mut running, init, 8)
    })
}

pub(crate) fn broken_stderr(init: Init) -> Outcome {
    broken(init, &["2"])
}

pub(crate) fn broken_output(init: Init) -> Outcome {
    broken(init, &["1", "2"])
}

/// There is nobody who could read what it says on these descriptors.
fn broken(init: Init, descriptors: &[&str]) -> Outcome {
    let broken = |stage: Stage| {
        let stage = stage.env("CATATONIT_DEBUG", "1");
        descriptors.iter().fold(stage, |stage, fd| stage.with("--broken", fd))
    };
    Place::BOTH.into_iter().try_for_each(|place| works(init, How::Verbose, place, broken))
}

pub(crate) fn no_proc(init: Init) -> Outcome {
    Place::BOTH
        .into_iter()
        .try_for_each(|place| works(init, How::Group, place, |stage| stage.flag("--no-proc")))
}

/// A user id that no other process has.
fn lonely_user() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    (1_000_000 + std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed)).to_string()
}

/// The init's own words, but for a copy of it that every user can reach.
fn words_for_all(init: Init, how: How, stage: &Stage) -> Result<Vec<OsString>, String> {
    let mut argv = init.words(how)?;
    argv[0] = stage.copy(init.path()?, init.name(), 0o755)?;
    Ok(argv)
}

pub(crate) fn no_room_to_fork(init: Init) -> Outcome {
    let stage = Stage::new(Place::Below)?;
    let fifo = stage.file("occupant");
    mkfifo(&fifo, Mode::S_IRWXU | Mode::S_IROTH).map_err(|e| e.to_string())?;
    std::fs::set_permissions(&fifo, std::fs::Permissions::from_mode(0o666)).map_err(|e| e.to_string())?;
    let mut argv = words_for_all(init, How::Verbose, &stage)?;
    argv.extend([stage.copy(probe()?, "probe", 0o755)?, "exit".into(), "5".into()]);
    let stage = stage.with("--uid", lonely_user()).with("--limit", "nproc=2").with("--occupant", &fifo);
    let mut running = stage.start(argv)?;
    // It complains when there is no room; then there is room again.
    running.wait_for("a complaint", || running.has_ended() || !running.stderr().is_empty())?;
    running.wait_for("the occupant", || {
        let leave = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo);
        leave.is_ok() || running.has_ended()
    })?;
    ended(&mut running, init, 5)
}

pub(crate) fn no_permission(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let mut argv = words_for_all(init, How::Group, &stage)?;
        argv.push(stage.copy(probe()?, "probe", 0o4755)?);
        argv.extend(words(["hear", "--root", "-o"]));
        argv.push(stage.file("heard").into());
        argv.extend(words(["--end", "12", "--code", "6"]));
        let mut running = stage.with("--uid", lonely_user()).start(argv)?;
        // One ends when it forwards, one when it looks whether its program runs; and all of it races with the program.
        let outcome = outlives_root(&mut running, init);
        // Its end is told a moment later than it comes.
        let is_gone = |running: &Running| running.has_ended() || running.programs().is_empty();
        outcome.map_err(|why| if is_gone(&running) { format!("EPERM ends it: {why}") } else { why })?;
    }
    Ok(())
}

/// Its program has become root, which it is not: it can neither signal nor kill it, but it can wait.
fn outlives_root(running: &mut Running, init: Init) -> Outcome {
    running.wait_for_line("heard", "ready")?;
    for signal in [SIGUSR1, SIGTERM] {
        running.signal(signal)?;
        running.settle()?;
    }
    let program = running.programs().into_iter().find(|p| p.name == "probe");
    let program = program.filter(|_| !running.has_ended()).ok_or_else(|| running.explain("it has ended"))?;
    send(program.pid, SIGUSR2)?;
    ended(running, init, 6)
}

pub(crate) fn few_descriptors(init: Init) -> Outcome {
    let code = |most: u32, place| -> Result<Option<i32>, String> {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["exit", "5"])?);
        let mut running = Stage::new(place)?.with("--limit", format!("nofile={most}")).start(argv)?;
        running.end().map(|end| end.code)
    };
    for place in Place::BOTH {
        let got = code(8, place)?;
        ensure!(got == Some(5), "not with 8 descriptors: {got:?}");
        if init == Init::Runinit {
            for most in 3..8 {
                let got = code(most, place)?;
                // The probe itself needs one to be loaded: 127 is the dynamic loader's.
                ensure!(matches!(got, Some(5 | 111 | 127)), "with {most} descriptors: {got:?}");
            }
        }
    }
    Ok(())
}

pub(crate) fn idle(init: Init) -> Outcome {
    let mut all = Vec::new();
    for place in Place::BOTH {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["pause"])?);
        let running = Stage::new(place)?.start(argv)?;
        running.wait_until_ready()?;
        all.push(running);
    }
    // The one place where time itself is what is looked at. What a start leaves to be done, the record, may take as long as
    // the disk does; but who wakes up by the clock does so in every window.
    for running in all {
        let mut sleeps = running.init()?.sleeps;
        let is_quiet = (0..WINDOWS).any(|_| {
            std::thread::sleep(WATCH);
            let before = std::mem::replace(&mut sleeps, running.init().map_or(0, |init| init.sleeps));
            sleeps == before
        });
        ensure!(
            is_quiet,
            "{}",
            running.explain(&format!("it wakes up in each of {WINDOWS} times {WATCH:?}"))
        );
    }
    Ok(())
}
