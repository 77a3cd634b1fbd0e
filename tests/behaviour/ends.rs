//! The end: who is asked, who is killed, and who is left alone.

use super::exits::probing;
use super::signals::ready;
use crate::support::{
    HANG, How, Init, Lateness, Outcome, PATIENCE, Place, Record, Running, Stage, ensure, probe, words,
};
use libc::SIGTERM;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

pub(crate) fn killed_in_time(init: Init) -> Outcome {
    let late = Lateness::watch();
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let record = stage.file("record");
        let mut argv = words([init.path()?]);
        argv.extend(words(["--grace", "2s", "--state-file"]));
        argv.extend([record.clone().into(), "--".into()]);
        argv.extend(probing(&["hear"])?);
        let mut running = stage.start(argv)?;
        running.wait_until_ready()?;
        running.signal(SIGTERM)?;
        running.end_with(137)?;
        ensure!(running.has_line("stdout", "15"), "{}", running.explain("it was not asked first"));
        let record = Record::read(&record)?;
        let steps = record.list("programs.0.steps")?;
        let killed_at =
            steps.iter().find(|step| step["step"] == "SIGKILL").and_then(|step| step["at_ms"].as_i64());
        ensure!(
            killed_at.is_some_and(|at| at >= 1800 && at < 2000 + late.allowed_ms()),
            "killed at {killed_at:?} ms of 2000: {steps:?}"
        );
        ensure!(late.in_time(&record)?, "over the budget: {record:?}");
    }
    Ok(())
}

pub(crate) fn forever(init: Init) -> Outcome {
    let mut argv = init.words(How::Group)?;
    argv.extend(probing(&["hear"])?);
    let mut running = Stage::new(Place::Pid1)?.env("RUNINIT_GRACE", "forever").start(argv)?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    let end = running.end_within(HANG)?;
    ensure!(end.is_none(), "{}", running.explain(&format!("{end:?}")));
    Ok(())
}

/// Runs a shell script in which `$probe` is the probe and `$file` is where it is to write. The script ends with code 3
/// when the probe is ready.
fn leaving(init: Init, place: Place, start: &str, grace: &str) -> Result<Running, String> {
    let stage = Stage::new(place)?;
    let script = format!("{start}\nuntil grep -q ready $file; do sleep 0.01; done; exit 3");
    let mut argv = init.words(How::Group)?;
    argv.extend(words(["sh", "-c", &script]));
    let file = stage.file("file");
    stage.env("probe", probe()?).env("file", file).env("RUNINIT_GRACE", grace).start(argv)
}

/// The init has to end with the program's code, whoever was left has to have heard SIGTERM, and nobody may be left now.
fn asked_to_end(mut running: Running) -> Outcome {
    let end = running.end()?;
    ensure!(end.code == Some(3), "{}", running.explain(&format!("{end:?}")));
    let waited_for = running.has_line("file", "15") && end.left.is_empty();
    ensure!(
        waited_for,
        "{}",
        running.explain(&format!("not asked and waited for: {end:?}, {:?}", running.text("file")))
    );
    Ok(())
}

pub(crate) fn background(init: Init) -> Outcome {
    let start = "$probe hear -o $file --end 15 &";
    Place::BOTH.into_iter().try_for_each(|place| asked_to_end(leaving(init, place, start, "20s")?))
}

pub(crate) fn stray(init: Init) -> Outcome {
    let start = "$probe hear --detach -o $file --end 15";
    Place::BOTH.into_iter().try_for_each(|place| asked_to_end(leaving(init, place, start, "20s")?))
}

pub(crate) fn stubborn_stray(init: Init) -> Outcome {
    let start = "$probe hear --detach -o $file";
    // A tenth is for the SIGKILL, and a busy machine needs some of it.
    Place::BOTH.into_iter().try_for_each(|place| asked_to_end(leaving(init, place, start, "6s")?))
}

pub(crate) fn strangers(init: Init) -> Outcome {
    let stage = Stage::new(Place::Below)?;
    let fifo = stage.file("occupant");
    mkfifo(&fifo, Mode::S_IRWXU).map_err(|e| e.to_string())?;
    let mut argv = init.words(How::Group)?;
    let script =
        "$probe hear --detach -o $file --end 15; until grep -q ready $file; do sleep 0.01; done; exit 3";
    argv.extend(words(["sh", "-c", script]));
    let file = stage.file("file");
    let stage = stage.env("probe", probe()?).env("file", file).env("RUNINIT_GRACE", "2s");
    let mut running = stage.with("--occupant", &fifo).start(argv)?;
    let end = running.end()?;
    ensure!(end.code == Some(3) && end.occupant, "{}", running.explain(&format!("{end:?}")));
    Ok(())
}

pub(crate) fn no_wait(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut running = ready(init, How::Group, place, &probing(&["hear", "--end", "15", "--code", "4"])?)?;
        running.signal(SIGTERM)?;
        // The default grace is nine seconds.
        let end = running.end_within(PATIENCE / 6)?;
        ensure!(end.as_ref().and_then(|e| e.code) == Some(4), "{}", running.explain(&format!("{end:?}")));
    }
    Ok(())
}

pub(crate) fn stray_without_proc(init: Init) -> Outcome {
    let stage = Stage::new(Place::Pid1)?.flag("--no-proc");
    let file = stage.path("file");
    let script =
        "$probe hear --detach -o $file --end 15\nuntil grep -q ready $file; do sleep 0.01; done; exit 3";
    let mut argv = init.words(How::Group)?;
    argv.extend(words(["sh", "-c", script]));
    asked_to_end(stage.env("probe", probe()?).env("file", file).env("RUNINIT_GRACE", "20s").start(argv)?)
}

pub(crate) fn many_strays(init: Init) -> Outcome {
    for place in Place::BOTH {
        let start = "n=0; while [ $n -lt 60 ]; do n=$((n + 1)); $probe hear --detach -o $file --end 15; done
            until [ \"$(grep -c ready $file)\" = 60 ]; do sleep 0.01; done";
        let mut running = leaving(init, place, start, "20s")?;
        let end = running.end()?;
        let heard = running.text("file").lines().filter(|line| *line == "15").count();
        let fine = end.code == Some(3) && end.left.is_empty() && heard == 60;
        ensure!(fine, "{}", running.explain(&format!("not asked and waited for: {end:?}, {heard} of 60")));
    }
    Ok(())
}
