//! An init that runs nothing (`catatonit -P`).

use crate::support::{Init, Outcome, Place, Running, Stage, ensure, words};
use libc::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1};

fn pause(init: Init, place: Place, more: &[&str]) -> Result<Running, String> {
    let mut argv = words([init.path()?]);
    argv.extend(words(["-P"].iter().chain(more).copied()));
    let stage = Stage::new(place)?;
    let dir = stage.file("");
    let running = stage.in_directory(dir).start(argv)?;
    let pid = running.init()?.pid;
    // Until it has blocked them, signals would still end it.
    running.wait_for("the pause", || has_blocked_signals(pid) || waits_for_signals(pid))?;
    Ok(running)
}

fn has_blocked_signals(pid: i32) -> bool {
    let status = read(pid, "status");
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    blocked.is_some_and(|mask| mask.trim() > "00000000ffff0000")
}

/// Those that are waited for by name do not look blocked meanwhile (`real_blocked` in the kernel).
fn waits_for_signals(pid: i32) -> bool {
    read(pid, "syscall").split(' ').next() == Some(&libc::SYS_rt_sigtimedwait.to_string())
}

fn read(pid: i32, what: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default()
}

pub(crate) fn ends(init: Init) -> Outcome {
    for place in Place::BOTH {
        for last in [SIGTERM, SIGINT] {
            let mut running = pause(init, place, &[])?;
            for signal in [SIGUSR1, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT] {
                running.signal(signal)?;
                running.settle()?;
            }
            ensure!(!running.has_ended(), "{}", running.explain("it has ended"));
            running.signal(last)?;
            running.end_with(0)?;
        }
    }
    Ok(())
}

pub(crate) fn runs_nothing(init: Init) -> Outcome {
    let mut running = pause(init, Place::Pid1, &["--", "touch", "touched"])?;
    running.settle()?;
    ensure!(running.programs().is_empty(), "{}", running.explain("it runs something"));
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(!running.file("touched").exists(), "it has run something");
    Ok(())
}
