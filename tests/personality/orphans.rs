//! Whose orphans are whose.

use super::signals::{Way, line, stage};
use crate::exits::probing;
use crate::support::{Init, Outcome, Place, Running, Stage, ensure, probe, send, words};

pub(crate) fn pid_1(init: Init) -> Outcome {
    let mut running =
        Stage::new(Place::Pid1)?.start(line(init, &[], probing(&["orphans", "1000", "--code", "42"])?)?)?;
    running.end_with(42)?;
    ensure!(running.stdout() == "zombies 0\n", "{}", running.explain("zombies"));
    Ok(())
}

/// Starts an init below PID 1 whose program leaves an orphan behind and waits.
fn with_orphan(init: Init, way: Way, is_subreaper: bool, place: Place) -> Result<(Running, i32), String> {
    let stage = stage(place, way.1)?;
    let stage = if is_subreaper { stage.flag("--subreaper") } else { stage };
    let file = stage.file("orphan");
    let stage = stage.env("probe", probe()?).env("file", file);
    let script = "$probe hear --detach -o $file --end 15; exec $probe hear --end 15";
    let running = stage.start(line(init, way.0, words(["sh", "-c", script]))?)?;
    running.wait_until_ready()?;
    running.wait_for_line("orphan", "ready")?;
    let text = running.text("orphan");
    let inner = text.trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok()).ok_or("no orphan")?;
    Ok((running, inner))
}

/// The orphan among those in the init's care.
fn find(running: &Running, inner: i32) -> Option<i32> {
    running.programs().into_iter().find(|program| program.inner_pid == inner).map(|program| program.pid)
}

/// The ways to inherit orphans below PID 1, and whether the init does so already when it is started.
fn ways(init: Init) -> &'static [(Way, bool)] {
    match init.name() {
        "tini" => &[((&["-s"], &[]), false), ((&[], &[("TINI_SUBREAPER", "")]), false), ((&[], &[]), true)],
        _ => &[((&[], &[]), false)],
    }
}

pub(crate) fn asked(init: Init) -> Outcome {
    for (way, is_subreaper) in ways(init) {
        let (running, inner) = with_orphan(init, *way, *is_subreaper, Place::Below)?;
        let orphan = find(&running, inner).ok_or_else(|| running.explain("the orphan went elsewhere"))?;
        send(orphan, libc::SIGTERM)?;
        running.wait_for("the orphan to be reaped", || find(&running, inner).is_none())?;
    }
    Ok(())
}

pub(crate) fn unasked(init: Init) -> Outcome {
    let (running, inner) = with_orphan(init, (&[], &[]), false, Place::Below)?;
    ensure!(find(&running, inner).is_none(), "{}", running.explain("it has taken the orphan"));
    Ok(())
}

pub(crate) fn told(init: Init) -> Outcome {
    let told = "Reaped zombie process with pid=";
    for (way, is_subreaper) in ways(init) {
        for is_asked in [true, false] {
            let options: Vec<&str> = way.0.iter().copied().chain(is_asked.then_some("-w")).collect();
            let options: &'static [&'static str] = options.leak();
            let (mut running, inner) = with_orphan(init, (options, way.1), *is_subreaper, Place::Below)?;
            send(find(&running, inner).ok_or("the orphan went elsewhere")?, libc::SIGTERM)?;
            running.wait_for("the orphan to be reaped", || find(&running, inner).is_none())?;
            running.signal(libc::SIGTERM)?;
            running.end_with(0)?;
            ensure!(running.stderr().contains(told) == is_asked, "{}", running.explain("asked, or not told"));
        }
    }
    Ok(())
}

pub(crate) fn missing_told(init: Init) -> Outcome {
    let is_told = |way: Way, is_subreaper: bool, place: Place| -> Result<bool, String> {
        let (running, _) = with_orphan(init, way, is_subreaper, place)?;
        Ok(running.stderr().contains("zombie reaping won't work"))
    };
    for (way, is_subreaper) in ways(init) {
        ensure!(!is_told(*way, *is_subreaper, Place::Below)?, "told for {way:?}");
    }
    ensure!(!is_told((&[], &[]), false, Place::Pid1)?, "told as PID 1");
    ensure!(!is_told((&[], &[("TINI_VERBOSITY", "0")]), false, Place::Below)?, "told at verbosity 0");
    ensure!(is_told((&[], &[("TINI_VERBOSITY", "1")]), false, Place::Below)?, "not told");
    Ok(())
}
