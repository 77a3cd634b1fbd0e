//! Programs that are late: what is known about them, and who is told.

mod support;

use libc::SIGTERM;
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use support::{PATIENCE, Place, Running, Stage, Tested, ensure, probe, runinit, until, words};

/// Ignores SIGTERM, catches SIGQUIT and a real-time signal, and says when that is so.
const STUBBORN: &str = "trap '' TERM; trap : QUIT; trap : 37; echo ready; while :; do sleep 1000; done";

/// runinit with a record and a fleet in the stage's directory.
fn fleet(stage: Stage, options: &[&str], config: &str) -> Result<Running, String> {
    let file = stage.write("fleet.toml", config, 0o644)?.display().to_string();
    let record = stage.path("record");
    let mut all = vec!["--config", &file, "--state-file", &record];
    all.extend(options);
    stage.start(runinit(&all, &[]))
}

#[test]
fn what_a_late_leader_did_with_signals_is_in_the_record() -> Tested {
    for place in Place::BOTH {
        let config = format!(
            r#"
            [defaults]
            stop = [ {{ signal = "SIGTERM", wait = "200ms" }}, {{ signal = "SIGKILL", wait = "5s" }} ]
            [[program]]
            name = "stubborn"
            shell = {STUBBORN:?}
            [[program]]
            name = "good"
            command = ["sleep", "1000"]
            "#
        );
        let mut running = fleet(Stage::new(place)?, &[], &config)?;
        running.wait_until_ready()?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        let stubborn = record.program("stubborn")?;
        ensure!(stubborn.at("signals.ignored") == &json!(["SIGTERM"]), "{stubborn:?}");
        let caught = stubborn.list("signals.caught")?;
        ensure!(["SIGQUIT", "SIGRTMIN+3"].iter().all(|name| caught.contains(&json!(name))), "{stubborn:?}");
        ensure!(stubborn.at("signals.blocked") == &json!([]), "{stubborn:?}");
        ensure!(record.program("good")?.at("signals").is_null(), "{record:?}");
    }
    Ok(())
}

#[test]
fn a_wrapper_tells_it_as_well() -> Tested {
    let stage = Stage::new(Place::Pid1)?;
    let record = stage.path("record");
    let options = ["--state-file", &record, "--grace", "300ms"];
    let mut running = stage.start(runinit(&options, &["sh", "-c", STUBBORN]))?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.end_with(137)?;
    let record = running.record()?;
    ensure!(record.at("programs.0.signals.ignored") == &json!(["SIGTERM"]), "{record:?}");
    Ok(())
}

/// The lines that name those who are still there.
fn named(running: &Running) -> Vec<String> {
    running.stderr().lines().filter(|line| line.contains("still there:")).map(str::to_owned).collect()
}

#[test]
fn at_half_time_one_line_names_who_is_still_there() -> Tested {
    for place in Place::BOTH {
        let config = format!(
            r#"
            [defaults]
            stop = [ {{ signal = "SIGTERM", wait = "60s" }}, {{ signal = "SIGKILL", wait = "5s" }} ]
            [[program]]
            name = "db"
            command = ["sleep", "1000"]
            stop = [ {{ signal = "SIGTERM", wait = "1ms" }} ]
            [[program]]
            name = "web"
            shell = {STUBBORN:?}
            after = ["db"]
            [[program]]
            name = "good"
            command = ["sleep", "2000"]
            "#
        );
        let mut running = fleet(Stage::new(place)?, &["--grace", "2s"], &config)?;
        running.wait_until_ready()?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let lines = named(&running);
        let [line] = &lines[..] else { return Err(running.explain(&format!("{lines:?}")).into()) };
        let parts = [
            "of 2s still there: ",
            "web: ",
            "sh -c trap",
            "(S, ignores SIGTERM), ",
            "sleep 1000 (S, not its turn yet)",
        ];
        ensure!(parts.iter().all(|part| line.contains(part)), "{line}");
        ensure!(!line.contains("sleep 2000"), "one that has ended is named: {line}");
        let record = running.record()?;
        let told = record
            .list("timeline")?
            .iter()
            .filter(|entry| entry["event"].as_str().is_some_and(|event| event.starts_with("half of")));
        ensure!(told.count() == 1, "{record:?}");
    }
    Ok(())
}

#[test]
fn a_wrapper_names_a_stray_and_not_who_ended_in_time() -> Tested {
    let probe = probe()?;
    let mut running = Stage::new(Place::Below)?
        .start(runinit(&["--grace", "2s"], &["sh", "-c", &format!("{probe} hear --detach; sleep 1000")]))?;
    running.wait_until_ready()?;
    running.wait_for("the program to be there", || running.programs().iter().any(|p| p.name == "sleep"))?;
    running.signal(SIGTERM)?;
    running.end_with(143)?;
    let lines = named(&running);
    let [line] = &lines[..] else { return Err(running.explain(&format!("{lines:?}")).into()) };
    ensure!(line.contains("probe hear --detach (S)"), "{line}");
    ensure!(!line.contains("sleep 1000"), "{line}");
    Ok(())
}

#[test]
fn one_that_stops_in_time_is_not_talked_about() -> Tested {
    let mut running =
        Stage::new(Place::Pid1)?.start(runinit(&["-vv", "--grace", "20s"], &["sleep", "1000"]))?;
    running.wait_for("the program to be there", || running.programs().iter().any(|p| p.name == "sleep"))?;
    running.signal(SIGTERM)?;
    running.end_with(143)?;
    ensure!(named(&running).is_empty(), "{}", running.stderr());
    Ok(())
}

/// A program that ignores SIGTERM, and a termination log that the configuration names.
fn with_termination_log(stage: Stage) -> Result<Running, String> {
    let path = stage.path("log");
    let config = format!(
        r#"
        init.termination_log = {path:?}
        [[program]]
        name = "web"
        shell = {STUBBORN:?}
        stop = [ {{ signal = "SIGTERM", wait = "100ms" }} ]
        "#
    );
    fleet(stage, &["--grace", "2s"], &config)
}

#[test]
fn the_termination_log_has_one_line_that_says_why_and_who() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        stage.write("log", "of the last time, and longer than what is to come now, by far, by far, by far, by far, by far, by far", 0o644)?;
        let mut running = with_termination_log(stage)?;
        running.wait_until_ready()?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let log = running.text("log");
        ensure!(
            log.starts_with("stopped in ") && log.lines().count() == 1 && log.ends_with("; exit code 0\n"),
            "{log}"
        );
        ensure!(log.contains(": SIGTERM from outside the container; web was killed "), "{log}");
        ensure!(log.contains(" after SIGTERM, which it ignored;"), "{log}");
    }
    Ok(())
}

#[test]
fn a_termination_log_that_does_not_exist_is_not_made() -> Tested {
    let mut running = with_termination_log(Stage::new(Place::Pid1)?)?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(!running.file("log").exists(), "{}", running.text("log"));
    ensure!(!running.stderr().contains("termination log"), "{}", running.stderr());
    Ok(())
}

#[test]
fn a_termination_log_in_the_way_of_something_else_changes_no_exit_code() -> Tested {
    let stage = Stage::new(Place::Below)?;
    std::fs::create_dir(stage.file("log")).map_err(|e| e.to_string())?;
    let mut running = with_termination_log(stage)?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.stderr().contains("cannot write the termination log"), "{}", running.stderr());
    Ok(())
}

#[test]
fn a_bug_is_told_in_the_termination_log() -> Tested {
    let stage = Stage::new(Place::Pid1)?.env("RUNINIT_FAULT", "panic");
    stage.write("log", "", 0o644)?;
    let mut running = with_termination_log(stage)?;
    running.end_with(70)?;
    let log = running.text("log");
    ensure!(log.contains(": a bug in runinit;") && log.ends_with("; exit code 70\n"), "{log}");
    Ok(())
}

#[test]
fn what_a_program_has_written_into_the_termination_log_stands() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let path = stage.write("log", "of the last time", 0o644)?;
    let config = format!(
        "init.termination_log = {path:?}\n[[program]]\nname = 'web'\nmain = true\nshell = 'echo no database >{}; exit 3'",
        path.display()
    );
    let mut running = fleet(stage, &[], &config)?;
    running.end_with(3)?;
    ensure!(running.text("log") == "no database\n", "{}", running.text("log"));
    Ok(())
}

/// A wrapper whose program mounts a file at the place where Kubernetes has it, writes `text` there and exits with 3.
fn in_kubernetes(place: Place, text: &str) -> Result<String, String> {
    let stage = Stage::new(place)?.with("--tmpfs", "/dev=64k").env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let file = stage.write("log", text, 0o644)?.display().to_string();
    let script = format!(": > /dev/termination-log; mount --bind {file} /dev/termination-log; exit 3");
    let mut running = stage.start(runinit(&[], &["sh", "-c", &script]))?;
    running.end_with(3)?;
    Ok(running.text("log"))
}

#[test]
fn in_kubernetes_pid_1_writes_it_unasked_unless_the_program_has() -> Tested {
    let log = in_kubernetes(Place::Pid1, "")?;
    ensure!(log.ends_with(": the main program has ended (exited with code 3); exit code 3\n"), "{log}");
    let log = in_kubernetes(Place::Pid1, "its own words")?;
    ensure!(log == "its own words", "{log}");
    let log = in_kubernetes(Place::Below, "")?;
    ensure!(log.is_empty(), "below PID 1: {log}");
    Ok(())
}

/// A cgroup that may hold so many processes and threads; it is removed at the end.
struct Limited(PathBuf);

impl Limited {
    fn new(name: &str, max: u32) -> Result<Self, String> {
        // Version 1 has a hierarchy of its own for the controller; in version 2 it has to be handed on to children.
        let v1 = Path::new("/sys/fs/cgroup/pids");
        let top = if v1.join("cgroup.procs").exists() { v1 } else { Path::new("/sys/fs/cgroup") };
        if top != v1 {
            let wanted = "this test needs a cgroup with the pids controller that root may divide (a privileged container)";
            std::fs::write(top.join("cgroup.subtree_control"), "+pids")
                .map_err(|e| format!("{wanted}: {e}"))?;
        }
        let own = Self(top.join(format!("runinit-test-{name}-{}", std::process::id())));
        std::fs::create_dir(&own.0).map_err(|e| format!("{}: {e}", own.0.display()))?;
        std::fs::write(own.0.join("pids.max"), max.to_string()).map_err(|e| e.to_string())?;
        Ok(own)
    }

    /// A command line whose process is in it.
    fn within(&self, argv: Vec<OsString>) -> Vec<OsString> {
        let enter = format!("echo 0 > {}/cgroup.procs && exec \"$@\"", self.0.display());
        words(["sh", "-c", &enter, "sh"]).into_iter().chain(argv).collect()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // EBUSY until the last process in it is gone.
        until(PATIENCE, || std::fs::remove_dir(&self.0).is_ok());
    }
}

/// The lines that warn of the limit.
fn warned(running: &Running) -> Vec<String> {
    running
        .stderr()
        .lines()
        .filter(|line| line.contains("processes and threads that"))
        .map(str::to_owned)
        .collect()
}

/// Holds fifty processes more, says so in a file, and waits.
fn crowd(file: &str) -> String {
    format!("i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i+1)); done; : > {file}; wait")
}

/// A fleet of a crowd of 51, and of another program that starts when they are all there.
fn crowded(cgroup: &Limited) -> Result<Running, String> {
    let stage = Stage::new(Place::Pid1)?;
    let file = stage.path("all-there");
    let config = format!(
        r#"
        [[program]]
        name = "crowd"
        shell = {:?}
        ready = {{ file = {file:?}, timeout = "30s" }}
        [[program]]
        name = "late"
        command = ["sleep", "1000"]
        after = ["crowd"]
        "#,
        crowd(&file)
    );
    let config = stage.write("fleet.toml", &config, 0o644)?.display().to_string();
    stage.start(cgroup.within(runinit(&["--config", &config], &[])))
}

#[test]
fn a_fleet_near_the_limit_of_processes_is_warned_of_it_once() -> Tested {
    // runinit, late, and the crowd of 51.
    let cgroup = Limited::new("fleet", 58)?;
    let mut running = crowded(&cgroup)?;
    running.wait_for("a warning", || !warned(&running).is_empty())?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let lines = warned(&running);
    let [line] = &lines[..] else { return Err(running.explain(&format!("{lines:?}")).into()) };
    ensure!(line.contains("53 of the 58 ") && line.contains("crowd has the most, 51;"), "{line}");
    Ok(())
}

#[test]
fn a_start_that_the_limit_refuses_is_explained_by_it() -> Tested {
    let cgroup = Limited::new("full", 52)?;
    let mut running = crowded(&cgroup)?;
    running.wait_for("a warning", || !warned(&running).is_empty())?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let lines = warned(&running);
    ensure!(lines.len() == 1 && lines[0].contains("52 of the 52 "), "{lines:?}");
    Ok(())
}

#[test]
fn a_wrapper_warns_when_it_is_awake_anyway() -> Tested {
    let cgroup = Limited::new("wrapper", 57)?;
    let stage = Stage::new(Place::Pid1)?;
    // Orphans come and go for ever.
    let shell = crowd(&stage.path("all-there")).replace("wait", "while :; do (sleep 0.1 &); sleep 0.2; done");
    let mut running = stage.start(cgroup.within(runinit(&[], &["sh", "-c", &shell])))?;
    running.wait_for("a warning", || !warned(&running).is_empty())?;
    ensure!(warned(&running)[0].contains("sh has the most, 5"), "{:?}", warned(&running));
    running.signal(SIGTERM)?;
    running.end_with(143)?;
    Ok(())
}
