//! What the program is given, and what the init keeps of it.

use super::ran::run;
use super::signals::{line, to_group};
use crate::exits::probing;
use crate::support::{Init, Outcome, Place, Stage, ensure, probe};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) fn directory(init: Init) -> Outcome {
    let script = "until [ \"$(readlink /proc/$PPID/cwd)\" = / ]; do sleep 0.01; done; readlink /proc/$$/cwd";
    for environment in [&[][..], &[("DUMB_INIT_SETSID", "0")]] {
        let ran = run(init, environment, &["--", "sh", "-c", script])?;
        ensure!(ran.code == 0 && ran.stdout == "/usr\n", "{ran:?}");
    }
    Ok(())
}

pub(crate) fn descriptors(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?.with("--extra", "7").with("--extra", "63");
        let running = stage.start(line(init, &[], probing(&["pause"])?)?)?;
        running.wait_until_ready()?;
        let has =
            |pid: i32, fd: i32| PathBuf::from(format!("/proc/{pid}/fd/{fd}")).symlink_metadata().is_ok();
        let own = running.init()?.pid;
        running.wait_for("the init to close them", || !has(own, 7) && !has(own, 63))?;
        let program = running.programs().first().map(|program| program.pid).ok_or("no program")?;
        ensure!(has(program, 7) && has(program, 63), "{}", running.explain("the program has lost them"));
    }
    Ok(())
}

pub(crate) fn sockets(init: Init) -> Outcome {
    for (place, own) in [(Place::Pid1, "1"), (Place::Below, "2")] {
        for (named, is_own) in [(own, true), ("77", false)] {
            let stage = Stage::new(place)?.env("LISTEN_PID", named).env("LISTEN_FDS", "1").env("LAST", "1");
            let mut running = stage.start(line(init, &[], probing(&["report"])?)?)?;
            running.end_with(0)?;
            let report: Value = serde_json::from_str(&running.stdout()).map_err(|e| e.to_string())?;
            let got = report["environment"]["LISTEN_PID"].as_str();
            let wanted = if is_own { report["pid"].to_string() } else { named.to_owned() };
            ensure!(got == Some(&wanted), "{}", running.explain(&format!("LISTEN_PID is {got:?}")));
            let others = (&report["environment"]["LISTEN_FDS"], &report["environment_size"]);
            ensure!(*others.0 == "1" && *others.1 == 4, "{}", running.explain("the environment has changed"));
        }
    }
    Ok(())
}

pub(crate) fn no_record(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?.with("--tmpfs", "/run=64k");
        let asked = stage.file("record");
        let stage = stage.env("RUNINIT_STATE_FILE", &asked);
        let mut running = stage.start(line(init, &[], probing(&["hear", "--end", "15"])?)?)?;
        running.wait_until_ready()?;
        running.settle()?;
        let default = PathBuf::from(format!("/proc/{}/root/run/runinit", running.init()?.pid));
        running.signal(libc::SIGTERM)?;
        running.wait_for_line("stdout", "15")?;
        ensure!(!default.exists() && !asked.exists(), "{}", running.explain("there is a record"));
        running.end_with(0)?;
        ensure!(!asked.exists(), "{}", running.explain("there is a record at the end"));
    }
    Ok(())
}

pub(crate) fn leads(init: Init) -> Outcome {
    let probe = probe()?;
    let report = |options: &[&str]| -> Result<Value, String> {
        let words: Vec<&str> = options.iter().copied().chain(["--", &probe, "report"]).collect();
        serde_json::from_str(&run(init, &[], &words)?.stdout).map_err(|e| e.to_string())
    };
    let plain = report(&[])?;
    let (group, session) = (plain["pgid"] == plain["pid"], plain["sid"] == plain["pid"]);
    ensure!(group && session == (init.name() == "dumb-init"), "{plain}");
    if init.name() == "dumb-init" {
        let single = report(&["-c"])?;
        ensure!(single["pgid"] != single["pid"] && single["sid"] != single["pid"], "-c: {single}");
    }
    Ok(())
}

pub(crate) fn copy(init: Init) -> Outcome {
    let stage = Stage::new(Place::Pid1)?;
    let copied = stage.copy(init.path()?, init.name(), 0o755)?;
    // Nobody else's code for bad usage is 1.
    let status = Command::new(copied).arg("--none-of-these").stderr(Stdio::null()).status();
    ensure!(status.as_ref().is_ok_and(|status| status.code() == Some(1)), "{status:?}");
    let mut argv = line(init, to_group(init)[0].0, probing(&["exit", "5"])?)?;
    argv[0] = stage.file(init.name()).into();
    stage.start(argv)?.end_with(5)
}
