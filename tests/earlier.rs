//! Children that runinit has from before it was runinit, by exec from a shell: below PID 1 they are none of its business.

mod support;

use libc::SIGTERM;
use std::ffi::OsString;
use support::{Place, Running, Stage, Tested, ensure, runinit, words};

/// Longer than anybody's patience: who waits for it fails.
const GRACE: &str = "10m";

/// Has `sleep 1000` go on in the background. Until it is that it has the shell's name.
const SLEEP: &str = "sleep 1000 & until [ \"$(cat /proc/$!/comm)\" = sleep ]; do sleep 0.01; done";

/// A shell that does this and becomes runinit, which then runs this script.
fn shell(stage: &Stage, before: &str, script: &str) -> Vec<OsString> {
    let record = stage.path("record");
    becoming(before, runinit(&["-v", "--grace", GRACE, "--state-file", &record], &["sh", "-c", script]))
}

fn becoming(before: &str, runinit: Vec<OsString>) -> Vec<OsString> {
    let mut all = words(["sh", "-c", &format!("{before}\nexec \"$@\""), "sh"]);
    all.extend(runinit);
    all
}

/// It has ended at once with this code, and this one, from before it, is left.
fn end_beside(running: &mut Running, code: i32, left: &str) -> Tested {
    let end = running.end()?;
    ensure!(end.code == Some(code), "{}", running.explain(&format!("{end:?}")));
    let is_it = |who: &String| who.trim_end().ends_with(left);
    ensure!(end.left.len() == 1 && end.left.iter().all(is_it), "left: {:?}, not {left}", end.left);
    Ok(())
}

/// What the record says of those who were swept.
fn strays(running: &Running) -> Result<Vec<(String, String)>, String> {
    let record = running.record()?;
    let text = |stray: &serde_json::Value, field: &str| stray[field].as_str().unwrap_or_default().to_owned();
    let strays = record.list("strays")?.iter().chain(record.list("survivors")?);
    Ok(strays.map(|stray| (text(stray, "command"), text(stray, "stopped_by"))).collect())
}

#[test]
fn one_in_the_background_of_the_shell_goes_on() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let words = shell(&stage, SLEEP, "exit 3");
    let mut running = stage.start(words)?;
    end_beside(&mut running, 3, "sleep 1000")?;
    ensure!(strays(&running)?.is_empty(), "{:?}", strays(&running));
    ensure!(!running.stderr().contains("nobody manages"), "{}", running.stderr());
    Ok(())
}

#[test]
fn beside_it_a_stray_is_stopped() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let up = stage.path("up");
    let daemon =
        format!("setsid sh -c 'echo >{up}; exec sleep 2000' & until [ -s {up} ]; do sleep 0.01; done");
    let words = shell(&stage, SLEEP, &format!("{daemon}; exit 3"));
    let mut running = stage.start(words)?;
    end_beside(&mut running, 3, "sleep 1000")?;
    let strays = strays(&running)?;
    ensure!(strays.len() == 1 && strays[0].1 == "SIGTERM", "{strays:?}");
    Ok(())
}

#[test]
fn beside_a_fleet_it_goes_on_too() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let program = "[[program]]\nname = \"web\"\nshell = \"echo up; setsid sleep 2000 & exec sleep 1500\"\n";
    stage.write("fleet.toml", program, 0o644)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let options = ["--config", &config, "--grace", GRACE, "--state-file", &record];
    let mut running = stage.start(becoming(SLEEP, runinit(&options, &[])))?;
    running.wait_for_line("stdout", "up")?;
    running.wait_for("everybody", || running.programs().iter().filter(|p| p.name == "sleep").count() == 3)?;
    running.signal(SIGTERM)?;
    end_beside(&mut running, 0, "sleep 1000")?;
    let strays = strays(&running)?;
    ensure!(strays.len() == 1 && strays[0].0 == "sleep 2000", "{strays:?}");
    Ok(())
}

#[test]
fn after_a_bug_of_runinits_own_it_goes_on_too() -> Tested {
    let stage = Stage::new(Place::Below)?.env("RUNINIT_FAULT", "panic");
    let words = shell(&stage, SLEEP, "exec sleep 2000");
    let mut running = stage.start(words)?;
    end_beside(&mut running, 70, "sleep 1000")
}

#[test]
fn whoever_reads_what_runinit_and_its_program_print_reads_all_of_it() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let dir = stage.path("");
    let (read, told) = (format!("{dir}read"), format!("{dir}told"));
    let reader = format!("exec > >(cat >{read}; echo \"cat: $?\" >{told})");
    let runinit = runinit(&["--grace", GRACE], &["sh", "-c", "seq 20000; echo last; exit 3"]);
    // The stage ends with its first process, and the reader is to read on after runinit's end.
    let wait = format!(
        "bash -c '{reader}; exec \"$@\"' bash \"$@\"; code=$?
        until [ -s {told} ]; do sleep 0.01; done; exit $code"
    );
    let mut all = words(["sh", "-c", &wait, "sh"]);
    all.extend(runinit);
    let mut running = stage.start(all)?;
    running.end_with(3)?;
    ensure!(running.text("told") == "cat: 0\n", "{}", running.text("told"));
    let (text, count) = (running.text("read"), running.text("read").lines().count());
    ensure!(count == 20_001 && text.ends_with("20000\nlast\n"), "{count} lines");
    Ok(())
}

#[test]
fn one_that_was_below_such_a_child_stays_when_that_ends_and_is_reaped() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let up = stage.path("up");
    let before = format!(
        "(sleep 1000 & echo >{up}; exec sleep 2000) &
        until [ -s {up} ]; do sleep 0.01; done; export CHILD=$!"
    );
    // A dead process has its number until it is reaped.
    let script = "kill $CHILD; while kill -0 $CHILD; do sleep 0.01; done; exit 3";
    let words = shell(&stage, &before, script);
    let mut running = stage.start(words)?;
    end_beside(&mut running, 3, "sleep 1000")?;
    ensure!(strays(&running)?.is_empty(), "{:?}", strays(&running));
    ensure!(running.record()?.number("reaped.orphans")? >= 1, "{:?}", running.record());
    Ok(())
}

#[test]
fn as_pid_1_everybody_is_runinits() -> Tested {
    let stage = Stage::new(Place::Pid1)?;
    let words = shell(&stage, SLEEP, "exit 3");
    let mut running = stage.start(words)?;
    running.end_with(3)?;
    let strays = strays(&running)?;
    ensure!(strays == [("sleep 1000".to_owned(), "SIGTERM".to_owned())], "{strays:?}");
    Ok(())
}
