//! Signals on their way to the program.

use crate::exits::probing;
use crate::support::{
    Init, Outcome, PATIENCE, Place, Running, Stage, ensure, probe, process, send, until, words,
};
use libc::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGSTOP,
    SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};
use std::ffi::OsString;
use std::process::{Command, Stdio};

type Environment = &'static [(&'static str, &'static str)];

/// One way to call an init: options and environment.
pub(crate) type Way = (&'static [&'static str], Environment);

const NOTHING: Environment = &[];
const OF_ERRORS: [i32; 7] = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS];
const STOPS: [i32; 3] = [SIGTSTP, SIGTTIN, SIGTTOU];

/// The ways in which only the program is signalled.
pub(crate) fn to_one(init: Init) -> &'static [Way] {
    match init.name() {
        "tini" => &[(&["-s"], NOTHING), (&["-w"], &[("TINI_SUBREAPER", "")])],
        "dumb-init" => &[
            (&["-c"], NOTHING),
            (&["--single-child"], &[("DUMB_INIT_DEBUG", "1")]),
            (&[], &[("DUMB_INIT_SETSID", "0"), ("DUMB_INIT_DEBUG", "0")]),
        ],
        _ => &[(&[], NOTHING), (&[], &[("CATATONIT_DEBUG", "")])],
    }
}

/// The ways in which the program's whole group is.
pub(crate) fn to_group(init: Init) -> &'static [Way] {
    match init.name() {
        "tini" => &[(&["-sg"], NOTHING), (&["-s"], &[("TINI_KILL_PROCESS_GROUP", "")])],
        "dumb-init" => &[
            (&[], NOTHING),
            (&["-v"], &[("DUMB_INIT_SETSID", "1")]),
            (&[], &[("DUMB_INIT_SETSID", ""), ("DUMB_INIT_DEBUG", "1")]),
        ],
        _ => &[(&["-g"], NOTHING)],
    }
}

/// A command line of an init.
pub(crate) fn line(init: Init, options: &[&str], command: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let mut argv = words([init.path()?]);
    argv.extend(words(options.iter().copied()));
    argv.push("--".into());
    argv.extend(command);
    Ok(argv)
}

/// A stage with this in its environment.
pub(crate) fn stage(place: Place, environment: &[(&str, &str)]) -> Result<Stage, String> {
    Ok(environment.iter().fold(Stage::new(place)?, |stage, (name, value)| stage.env(name, *value)))
}

/// Starts an init in one of its ways with a probe, and waits until that is ready.
pub(crate) fn ready(init: Init, way: Way, place: Place, command: &[&str]) -> Result<Running, String> {
    let (options, environment) = way;
    let running = stage(place, environment)?.start(line(init, options, probing(command)?)?)?;
    running.wait_until_ready()?;
    Ok(running)
}

/// Sends a signal to the init and waits until the probe has heard this one.
fn heard_as(running: &Running, sent: i32, heard: i32) -> Outcome {
    let before = count(running, heard);
    running.signal(sent)?;
    running.wait_for(&format!("signal {sent} as {heard}"), || count(running, heard) > before)
}

fn count(running: &Running, signal: i32) -> usize {
    running.stdout().lines().filter(|line| *line == signal.to_string()).count()
}

/// What the probe has heard, the init's own messages left out.
fn heard(running: &Running) -> Vec<i32> {
    running.stdout().lines().filter_map(|line| line.parse().ok()).collect()
}

fn all_signals(init: Init, ways: &[Way]) -> Outcome {
    let left_out = [SIGKILL, SIGSTOP, SIGCHLD, SIGTERM, 32, 33];
    let sent = |n: &i32| !left_out.contains(n) && !OF_ERRORS.contains(n) && !STOPS.contains(n);
    for way in ways {
        for place in Place::BOTH {
            let mut running = ready(init, *way, place, &["hear", "--end", "15", "--code", "7"])?;
            (1..=64).filter(sent).try_for_each(|signal| heard_as(&running, signal, signal))?;
            heard_as(&running, SIGTERM, SIGTERM)?;
            running.end_with(7)?;
        }
    }
    Ok(())
}

pub(crate) fn proxied(init: Init) -> Outcome {
    all_signals(init, to_one(init))
}

pub(crate) fn proxied_to_group(init: Init) -> Outcome {
    all_signals(init, to_group(init))
}

pub(crate) fn of_errors(init: Init) -> Outcome {
    for place in Place::BOTH {
        for signal in OF_ERRORS {
            let end = signal.to_string();
            let mut running = ready(init, to_group(init)[0], place, &["hear", "--end", &end, "--code", "9"])?;
            running.signal(signal)?;
            let code = running.end_within(init.patience())?.and_then(|end| end.code);
            ensure!(code == Some(9), "{}", running.explain(&format!("{signal} is lost: {code:?}")));
        }
    }
    Ok(())
}

pub(crate) fn stops(init: Init) -> Outcome {
    let wanted: &[i32] = match init.name() {
        "tini" => &[SIGUSR1, SIGTSTP],
        "dumb-init" => &[SIGUSR1, SIGTSTP, SIGTTIN, SIGTTOU],
        _ => &[SIGUSR1],
    };
    // PID 1 cannot stop itself.
    let running = ready(init, to_one(init)[0], Place::Pid1, &["hear"])?;
    for signal in STOPS {
        running.signal(signal)?;
        running.settle()?;
    }
    heard_as(&running, SIGUSR1, SIGUSR1)?;
    running.wait_for("the others", || heard(&running).len() >= wanted.len())?;
    let mut heard = heard(&running);
    heard.sort_unstable(); // those that are there at once come by their numbers
    ensure!(heard == wanted, "{}", running.explain(&format!("heard {heard:?}, not {wanted:?}")));
    Ok(())
}

pub(crate) fn group(init: Init) -> Outcome {
    for (ways, is_told) in [(to_one(init), false), (to_group(init), true)] {
        for (options, environment) in ways {
            let stage = stage(Place::Pid1, environment)?;
            let file = stage.file("background");
            let stage = stage.env("probe", probe()?).env("file", file);
            let script = "$probe hear -o $file --end 15 & exec $probe hear";
            let running = stage.start(line(init, options, words(["sh", "-c", script]))?)?;
            running.wait_until_ready()?;
            running.wait_for_line("background", "ready")?;
            heard_as(&running, SIGUSR1, SIGUSR1)?;
            heard_as(&running, SIGUSR2, SIGUSR2)?;
            if is_told {
                running.wait_for_line("background", "12")?;
            }
            let told = running.text("background").lines().count() > 1;
            ensure!(
                told == is_told,
                "{}",
                running.explain(&format!("{options:?}: told {told}, not {is_told}"))
            );
        }
    }
    Ok(())
}

pub(crate) fn second_term(init: Init) -> Outcome {
    for place in Place::BOTH {
        let running = ready(init, to_group(init)[0], place, &["hear"])?;
        heard_as(&running, SIGTERM, SIGTERM)?;
        heard_as(&running, SIGTERM, SIGTERM)?;
        heard_as(&running, SIGINT, SIGINT)?;
        running.settle()?;
        ensure!(!running.has_ended(), "{}", running.explain("it has ended"));
    }
    Ok(())
}

/// Every combination of debugging and sessions, which change nothing about rewriting.
fn modes() -> Vec<Way> {
    vec![
        (&[], &[("DUMB_INIT_DEBUG", "1"), ("DUMB_INIT_SETSID", "1")]),
        (&[], &[("DUMB_INIT_DEBUG", "1"), ("DUMB_INIT_SETSID", "0")]),
        (&[], &[("DUMB_INIT_DEBUG", "0"), ("DUMB_INIT_SETSID", "1")]),
        (&[], &[("DUMB_INIT_DEBUG", "0"), ("DUMB_INIT_SETSID", "0")]),
    ]
}

pub(crate) fn rewritten(init: Init) -> Outcome {
    let ours = [SIGTERM, SIGQUIT, SIGCONT, SIGINT];
    let cases: [(&[&str], &[i32], &[i32]); 4] = [
        (&[], &ours, &ours),
        (&["-r", "15:2"], &ours, &[SIGINT, SIGQUIT, SIGCONT, SIGINT]),
        (&["-r", "15:2", "-r", "2:15", "-r", "3:3"], &ours, &[SIGINT, SIGQUIT, SIGCONT, SIGTERM]),
        (&["-r", "1:31", "-r", "31:1"], &[1, 31], &[31, 1]),
    ];
    for (_, environment) in modes() {
        for (options, sent, expected) in cases {
            let running =
                stage(Place::Pid1, environment)?.start(line(init, options, probing(&["hear"])?)?)?;
            running.wait_until_ready()?;
            for (sent, expected) in sent.iter().zip(expected) {
                heard_as(&running, *sent, *expected)?;
            }
            let heard = heard(&running);
            ensure!(heard == expected, "{}", running.explain(&format!("{options:?}: heard {heard:?}")));
        }
    }
    Ok(())
}

pub(crate) fn dropped(init: Init) -> Outcome {
    for (_, environment) in modes() {
        let way: Way = (&["-r", "15:3", "-r", "2:0", "-r", "28:0"], environment);
        let running = ready(init, way, Place::Pid1, &["hear"])?;
        heard_as(&running, SIGTERM, SIGQUIT)?;
        running.signal(SIGINT)?;
        running.signal(SIGWINCH)?;
        running.settle()?;
        heard_as(&running, SIGHUP, SIGHUP)?;
        let heard = heard(&running);
        ensure!(heard == [SIGQUIT, SIGHUP], "{}", running.explain(&format!("heard {heard:?}")));
    }
    Ok(())
}

fn is_stopped(pid: i32) -> bool {
    process(pid).is_some_and(|process| process.state == 'T')
}

/// Continues a stopped init, and waits until it and its probe go on.
fn go_on(running: &Running) -> Outcome {
    heard_as(running, SIGCONT, SIGCONT)?;
    let init = running.init()?.pid;
    running.wait_for("the init to go on", || !is_stopped(init))
}

pub(crate) fn overridden(init: Init) -> Outcome {
    let running = ready(init, (&["-r", "21:15", "-r22:2", "-r", "20:1"], NOTHING), Place::Below, &["hear"])?;
    let pid = running.init()?.pid;
    for (sent, expected) in [(SIGTTIN, SIGTERM), (SIGTTOU, SIGINT), (SIGTSTP, SIGHUP)] {
        heard_as(&running, sent, expected)?;
        running.wait_for("the init to stop", || is_stopped(pid))?;
        go_on(&running)?;
    }
    Ok(())
}

pub(crate) fn suspended(init: Init) -> Outcome {
    for way in to_group(init) {
        let running = ready(init, *way, Place::Below, &["hear"])?;
        let pid = running.init()?.pid;
        for signal in STOPS {
            running.signal(signal)?;
            running.wait_for("both to stop", || {
                is_stopped(pid) && running.programs().iter().all(|program| program.state == 'T')
            })?;
            go_on(&running)?;
        }
    }
    Ok(())
}

pub(crate) fn suspended_single(init: Init) -> Outcome {
    for way in to_one(init) {
        let running = ready(init, *way, Place::Below, &["hear"])?;
        let pid = running.init()?.pid;
        for signal in STOPS {
            heard_as(&running, signal, signal)?;
            running.wait_for("the init to stop", || is_stopped(pid))?;
            go_on(&running)?;
        }
    }
    Ok(())
}

/// A process that is killed when the test ends, however it ends.
struct Doomed(i32);

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = send(self.0, SIGKILL);
    }
}

pub(crate) fn parents_death(init: Init) -> Outcome {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = dir.path().join("heard");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    let mut parent = Command::new("sh")
        .args(["-c", "$init -s -p SIGUSR1 -- $probe hear -o $file --end 10 & wait"])
        .env("init", init.path()?)
        .env("probe", probe()?)
        .env("file", &file)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    until(PATIENCE, || read().ends_with('\n'));
    let pid = read().trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok());
    let killed = parent.kill().and_then(|()| parent.wait());
    let _doomed = Doomed(pid.ok_or("the program never started")?);
    killed.map_err(|e| e.to_string())?;
    let is_heard = until(PATIENCE, || read().lines().any(|line| line == "10"));
    ensure!(is_heard, "its program has not heard: {:?}", read());
    Ok(())
}
