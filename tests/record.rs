//! The record: what it says, when, and that nothing that happens to it changes anything else.

mod support;

use libc::{SIGTERM, SIGUSR2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::{End, Lateness, Outcome, Place, Record, Running, Stage, Tested, ensure, probe, runinit, until};

/// How often runinit is killed, each time a little later in its life.
const KILLS: u32 = 60;
const KILL_LATER_BY: Duration = Duration::from_micros(250);

/// runinit with a record in the stage's directory.
fn recorded(stage: Stage, options: &[&str], command: &[&str]) -> Result<Running, String> {
    let record = stage.path("record");
    let mut all = vec!["--state-file", &record];
    all.extend(options);
    stage.start(runinit(&all, command))
}

/// A program that ends by SIGUSR2 with code 4, and not by SIGTERM.
fn slow(stage: Stage, options: &[&str]) -> Result<Running, String> {
    let running = recorded(stage, options, &[&probe()?, "hear", "--end", "12", "--code", "4"])?;
    running.wait_until_ready()?;
    Ok(running)
}

fn mode(path: &Path) -> Result<u32, String> {
    std::fs::symlink_metadata(path).map(|m| m.permissions().mode() & 0o7777).map_err(|e| e.to_string())
}

#[test]
fn it_says_running_then_stopping_then_stopped() -> Tested {
    for place in Place::BOTH {
        let mut running = slow(Stage::new(place)?, &[])?;
        let record = running.wait_for_phase("running")?;
        for field in ["shutdown_time", "reason", "signal", "exit_code"] {
            ensure!(record.at(field).is_null(), "{field} before any shutdown: {record:?}");
        }
        ensure!(record.at("programs.0.exit").is_null(), "an exit of a running program: {record:?}");
        running.signal(SIGTERM)?;
        let record = running.wait_for_phase("stopping")?;
        ensure!(record.text("reason")? == "graceful_shutdown", "{record:?}");
        ensure!(record.list("active_tasks")? == &["probe"], "{record:?}");
        running.wait_for_line("stdout", "15")?;
        running.signal(SIGUSR2)?;
        running.end_with(4)?;
        let record = running.record()?;
        ensure!(record.text("phase")? == "stopped" && record.number("exit_code")? == 4, "{record:?}");
    }
    Ok(())
}

#[test]
fn every_field_of_the_contract_is_there() -> Tested {
    let mut running = slow(Stage::new(Place::Pid1)?, &["--grace", "20s"])?;
    let before = SystemTime::now();
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    running.signal(SIGUSR2)?;
    running.end_with(4)?;
    let record = running.record()?;
    let keys =
        |value: &Value| value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut wanted = vec![
        "schema",
        "phase",
        "shutdown_time",
        "reason",
        "signal_received",
        "signal",
        "budget_ms",
        "elapsed_ms",
        "exit_code",
        "active_tasks",
        "programs",
        "strays",
        "survivors",
        "reaped",
        "timeline",
    ];
    wanted.sort_unstable();
    let mut got = keys(&record.0);
    got.sort_unstable();
    ensure!(got == wanted, "fields: {got:?}");
    let mut wanted = vec![
        "name",
        "kind",
        "main",
        "after",
        "ready",
        "pid",
        "pgid",
        "session",
        "started_at",
        "restarts",
        "exit",
        "stopped_by",
        "signals",
        "steps",
        "last_output",
    ];
    wanted.sort_unstable();
    let program = record.program("probe")?;
    let mut got = keys(&program.0);
    got.sort_unstable();
    ensure!(got == wanted, "fields of a program: {got:?}");

    ensure!(record.at("signal_received") == true, "{record:?}");
    ensure!(record.text("signal.name")? == "SIGTERM", "{record:?}");
    ensure!(record.number("budget_ms")? == 20_000, "{record:?}");
    ensure!(record.number("elapsed_ms")? < 20_000, "{record:?}");
    ensure!(record.list("strays")?.is_empty() && record.list("survivors")?.is_empty(), "{record:?}");
    ensure!(record.number("reaped.programs")? == 1 && record.number("reaped.orphans")? == 0, "{record:?}");
    ensure!(program.at("main") == true, "{program:?}");
    ensure!(program.text("kind")? == "process" && program.at("session").is_null(), "{program:?}");
    ensure!(program.number("pid")? == 2 && program.number("pgid")? == 2, "{program:?}");
    ensure!(program.number("restarts")? == 0 && program.number("exit.code")? == 4, "{program:?}");
    ensure!(program.at("signals").is_null(), "looked at, though it ended in time: {program:?}");
    ensure!(program.list("steps")?.len() == 1 && program.text("steps.0.step")? == "SIGTERM", "{program:?}");
    ensure!(
        program.number("steps.0.at_ms")? >= 0 && program.number("steps.0.waited_ms")? >= 0,
        "{program:?}"
    );
    in_order(&record)?;
    let (began, started) = (time(record.text("shutdown_time")?)?, time(program.text("started_at")?)?);
    let slack = Duration::from_millis(2); // written to the millisecond
    ensure!(began + slack >= before && began <= SystemTime::now(), "shutdown_time: {record:?}");
    ensure!(started <= began && started + Duration::from_mins(1) > began, "started_at: {record:?}");
    Ok(())
}

/// The timeline is in order and not too long.
fn in_order(record: &Record) -> Outcome {
    let times: Vec<i64> =
        record.list("timeline")?.iter().filter_map(|entry| entry["at_ms"].as_i64()).collect();
    ensure!(!times.is_empty() && times.len() <= 1000, "{} entries", times.len());
    ensure!(
        times.is_sorted() && times.len() == record.list("timeline")?.len(),
        "{:?}",
        record.at("timeline")
    );
    Ok(())
}

/// RFC 3339 in UTC with milliseconds, and nothing else.
fn time(text: &str) -> Result<SystemTime, String> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    ensure!(shape == "0000-00-00T00:00:00.000Z", "no RFC 3339 with milliseconds: {text}");
    humantime::parse_rfc3339(text).map_err(|e| e.to_string())
}

#[test]
fn a_program_that_ends_by_itself_is_recorded_as_such() -> Tested {
    for (command, code, exit) in
        [("exit 7", 7, json!({"code": 7})), ("kill -KILL $$", 137, json!({"signal": "SIGKILL"}))]
    {
        let mut running = recorded(Stage::new(Place::Pid1)?, &[], &["sh", "-c", command])?;
        running.end_with(code)?;
        let record = running.record()?;
        ensure!(
            record.text("reason")? == "main_exited" && record.at("signal_received") == false,
            "{record:?}"
        );
        ensure!(record.at("signal").is_null() && record.list("active_tasks")?.is_empty(), "{record:?}");
        ensure!(record.text("programs.0.stopped_by")? == "itself", "{record:?}");
        ensure!(*record.at("programs.0.exit") == exit, "{record:?}");
        ensure!(record.number("elapsed_ms")? < 1000, "there was nothing to wait for: {record:?}");
    }
    Ok(())
}

#[test]
fn a_command_that_cannot_be_run_is_recorded_too() -> Tested {
    for (command, code) in [("/no/such/command", 127), ("/etc/passwd", 126)] {
        for place in Place::BOTH {
            let mut running = recorded(Stage::new(place)?, &[], &[command])?;
            running.end_with(code)?;
            let record = running.record()?;
            ensure!(record.text("phase")? == "stopped", "{record:?}");
            ensure!(record.number("exit_code")? == i64::from(code), "{record:?}");
            ensure!(
                record.list("programs")?.len() == 1 && record.at("programs.0.pid").is_null(),
                "{record:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_real_time_death_has_its_name() -> Tested {
    let mut running = recorded(Stage::new(Place::Below)?, &[], &[&probe()?, "raise", "37"])?;
    running.end_with(165)?;
    let record = running.record()?;
    ensure!(record.text("programs.0.exit.signal")? == "SIGRTMIN+3", "{record:?}");
    Ok(())
}

#[test]
fn it_names_the_sender_of_the_signal() -> Tested {
    for place in Place::BOTH {
        let script = "trap 'exit 0' TERM; kill -TERM $PPID; while :; do sleep 0.01; done";
        let mut running = recorded(Stage::new(place)?, &[], &["sh", "-c", script])?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.number("signal.sender_pid")? == record.number("programs.0.pid")?, "{record:?}");
        ensure!(record.number("signal.sender_uid")? == 0, "{record:?}");
        ensure!(record.text("signal.sender_command")?.contains("kill -TERM"), "{record:?}");
    }
    Ok(())
}

#[test]
fn a_sender_outside_the_namespace_has_no_command() -> Tested {
    let mut running = slow(Stage::new(Place::Pid1)?, &[])?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    running.signal(SIGUSR2)?;
    running.end_with(4)?;
    let record = running.record()?;
    ensure!(
        record.number("signal.sender_pid")? == 0 && record.at("signal.sender_command").is_null(),
        "{record:?}"
    );
    Ok(())
}

#[test]
fn strays_and_what_it_took_are_named() -> Tested {
    let late = Lateness::watch();
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let (probe, dir) = (probe()?, stage.path(""));
        let script = format!(
            "{probe} hear --detach -o {dir}/polite --end 15; {probe} hear --detach -o {dir}/stubborn
            until grep -q ready {dir}/polite && grep -q ready {dir}/stubborn; do sleep 0.01; done; exit 3"
        );
        let mut running = recorded(stage, &["--grace", "2s"], &["sh", "-c", &script])?;
        running.end_with(3)?;
        let record = running.record()?;
        let mut strays: Vec<_> = record
            .list("strays")?
            .iter()
            .map(|stray| {
                let command = stray["command"].as_str().unwrap_or_default();
                let name =
                    command.split('/').next_back().and_then(|end| end.split(' ').next()).unwrap_or_default();
                (name.to_owned(), stray["stopped_by"].clone(), stray["pid"].as_i64() > Some(1))
            })
            .collect();
        strays.sort_by(|a, b| a.0.cmp(&b.0));
        let wanted = [("polite", "SIGTERM"), ("stubborn", "SIGKILL")];
        let wanted = wanted.map(|(name, by)| (name.to_owned(), Value::from(by), true));
        ensure!(strays == wanted, "{strays:?} in {record:?}");
        ensure!(record.list("survivors")?.is_empty(), "{record:?}");
        ensure!(late.in_time(&record)?, "{record:?}");
    }
    Ok(())
}

#[test]
fn orphans_are_counted() -> Tested {
    for place in Place::BOTH {
        let mut running = recorded(Stage::new(place)?, &[], &[&probe()?, "orphans", "50", "--code", "3"])?;
        running.end_with(3)?;
        let record = running.record()?;
        ensure!(
            record.number("reaped.orphans")? == 50 && record.number("reaped.programs")? == 1,
            "{record:?}"
        );
    }
    Ok(())
}

#[test]
fn nobody_else_can_read_it() -> Tested {
    let stage = Stage::new(Place::Below)?;
    stage.write("record", "{}", 0o666)?;
    let running = slow(stage, &[])?;
    running.wait_for_phase("running")?;
    let got = mode(&running.file("record"))?;
    ensure!(got == 0o600, "mode {got:o}");
    Ok(())
}

#[test]
fn it_holds_no_environment() -> Tested {
    let stage = Stage::new(Place::Below)?.env("SECRET", "hunter2");
    let mut running = recorded(stage, &["-vvv"], &["sh", "-c", "exit 0"])?;
    running.end_with(0)?;
    ensure!(!running.text("record").contains("hunter2"), "{}", running.text("record"));
    ensure!(!running.stderr().contains("hunter2"), "{}", running.stderr());
    Ok(())
}

#[test]
fn it_is_never_written_through_a_symlink() -> Tested {
    for target in ["victim", "nothing"] {
        let stage = Stage::new(Place::Pid1)?;
        stage.write("victim", "untouched", 0o644)?;
        symlink(stage.file(target), stage.file("record")).map_err(|e| e.to_string())?;
        let mut running = recorded(stage, &[], &["sh", "-c", "exit 6"])?;
        running.end_with(6)?;
        ensure!(running.text("victim") == "untouched", "{}", running.text("victim"));
        ensure!(!running.file("nothing").exists(), "{}", running.text("nothing"));
    }
    Ok(())
}

#[test]
fn as_pid_1_it_has_a_place_of_its_own() -> Tested {
    let stage = Stage::new(Place::Pid1)?.with("--tmpfs", "/run=1m");
    let running = stage.start(runinit(&[], &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    let path = format!("/proc/{}/root/run/runinit/shutdown_state.json", running.init()?.pid);
    running.wait_for("the record", || {
        Record::read(Path::new(&path)).is_ok_and(|r| r.at("phase") == "running")
    })?;
    Ok(())
}

#[test]
fn why_that_place_cannot_be_made_is_told_to_whoever_wants_to_know() -> Tested {
    let stage = Stage::new(Place::Pid1)?.with("--tmpfs", "/run=1m").with("--read-only", "/run");
    let mut running = stage.start(runinit(&["-v", "-v"], &["sh", "-c", "exit 5"]))?;
    running.end_with(5)?;
    let told = "/run/runinit/shutdown_state.json: no record is kept: Read-only file system";
    ensure!(running.stderr().contains(told), "{}", running.explain("another reason"));
    Ok(())
}

#[test]
fn below_pid_1_nothing_is_written_unasked() -> Tested {
    let stage = Stage::new(Place::Below)?.with("--tmpfs", "/run=1m");
    let running = stage.start(runinit(&[], &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    running.settle()?;
    let run = format!("/proc/{}/root/run", running.init()?.pid);
    let files = std::fs::read_dir(run).map_err(|e| e.to_string())?.flatten().count();
    ensure!(files == 0, "{files} files");
    Ok(())
}

#[test]
fn the_environment_names_its_place() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let record = stage.path("record");
    let mut running = stage.env("RUNINIT_STATE_FILE", record).start(runinit(&[], &["sh", "-c", "exit 2"]))?;
    running.end_with(2)?;
    ensure!(running.record()?.number("exit_code")? == 2, "{}", running.text("record"));
    Ok(())
}

/// A record that cannot be written is an error line and changes nothing else.
fn without_a_record(stage: Stage, state_file: &str) -> Outcome {
    let file = stage.path("heard");
    let probe = probe()?;
    let command = [&probe, "hear", "-o", &file, "--end", "15", "--code", "5"];
    let mut running = stage.start(runinit(&["--state-file", state_file], &command))?;
    running.wait_for_line("heard", "ready")?;
    running.settle()?;
    running.signal(SIGTERM)?;
    running.end_with(5)?;
    let lines: Vec<_> = running.text("heard").lines().skip(1).map(str::to_owned).collect();
    ensure!(lines.first().is_some_and(|line| line == "15"), "{}", running.explain("what it heard"));
    ensure!(
        !lines.iter().any(|line| line != "15" && line != "18"),
        "{}",
        running.explain(&format!("{lines:?}"))
    );
    ensure!(running.stderr().contains(state_file), "{}", running.explain("not a word of it"));
    Ok(())
}

#[test]
fn a_full_disk_changes_no_exit_code() -> Tested {
    // No inode left for anything; one for the lock, none for the record; one page for two files.
    for size in ["1m,nr_inodes=1", "1m,nr_inodes=2", "4k"] {
        for place in Place::BOTH {
            let stage = Stage::new(place)?;
            std::fs::create_dir(stage.file("full")).map_err(|e| e.to_string())?;
            let (dir, file) = (stage.path("full"), stage.path("full/record"));
            without_a_record(stage.with("--tmpfs", format!("{dir}={size}")), &file)
                .map_err(|why| format!("{size}: {why}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_read_only_disk_changes_no_exit_code() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        std::fs::create_dir(stage.file("fixed")).map_err(|e| e.to_string())?;
        let (dir, file) = (stage.path("fixed"), stage.path("fixed/record"));
        without_a_record(stage.with("--read-only", dir), &file)?;
    }
    Ok(())
}

#[test]
fn a_missing_directory_changes_no_exit_code() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let file = stage.path("missing/record");
        without_a_record(stage, &file)?;
    }
    Ok(())
}

#[test]
fn a_directory_in_its_place_changes_no_exit_code() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        std::fs::create_dir(stage.file("record")).map_err(|e| e.to_string())?;
        let file = stage.path("record");
        without_a_record(stage, &file)?;
    }
    Ok(())
}

#[test]
fn a_device_in_its_place_stays_a_device() -> Tested {
    for place in Place::BOTH {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        let file = directory.path().join("null");
        mknod(&file, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3)).map_err(|e| e.to_string())?;
        without_a_record(Stage::new(place)?, &file.display().to_string())?;
        let found = std::fs::symlink_metadata(&file).map_err(|e| e.to_string())?.file_type();
        ensure!(found.is_char_device(), "{found:?}");
    }
    Ok(())
}

#[test]
fn a_fifo_in_its_way_changes_no_exit_code() -> Tested {
    // Opening one waits for the other side, unless one says otherwise.
    for name in ["record", "record.lock", "record.tmp"] {
        for place in Place::BOTH {
            let stage = Stage::new(place)?;
            mkfifo(&stage.file(name), Mode::S_IRWXU).map_err(|e| e.to_string())?;
            let mut running = recorded(stage, &[], &["sh", "-c", "exit 5"])?;
            running.end_with(5).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_limit_on_file_sizes_changes_no_exit_code() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let file = stage.path("record");
        // The kernel says it by SIGXFSZ, too: that is runinit's own affair and nothing to forward.
        without_a_record(stage.with("--limit", "fsize=200"), &file)?;
    }
    Ok(())
}

#[test]
fn the_default_place_may_be_missing_without_a_word() -> Tested {
    let stage = Stage::new(Place::Pid1)?.with("--tmpfs", "/run=1m,nr_inodes=1");
    let mut running = stage.start(runinit(&[], &["sh", "-c", "exit 9"]))?;
    running.end_with(9)?;
    ensure!(running.stderr().is_empty(), "{}", running.stderr());
    Ok(())
}

#[test]
fn it_is_whole_whenever_runinit_is_killed() -> Tested {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (record, probe) = (dir.path().join("record"), probe()?);
    let mut phases = Vec::new();
    for number in 0..KILLS {
        let stage = Stage::new(Place::BOTH[number as usize % 2])?;
        let file = record.display().to_string();
        let command = [probe.as_str(), "orphans", "3", "--leave"];
        let running = stage.start(runinit(&["--state-file", &file], &command))?;
        if running.init().is_ok() {
            // The one thing that has to be random here is the moment; its place in runinit's life moves on each time.
            std::thread::sleep(KILL_LATER_BY * number);
        }
        drop(running);
        if record.exists() {
            phases.push(Record::read(&record)?.text("phase")?.to_owned());
        }
    }
    ensure!(!phases.is_empty(), "there never was a record");
    // And the last one ends well.
    let file = record.display().to_string();
    let mut running =
        Stage::new(Place::Pid1)?.start(runinit(&["--state-file", &file], &["sh", "-c", "exit 1"]))?;
    running.end_with(1)?;
    ensure!(Record::read(&record)?.text("phase")? == "stopped", "after {phases:?}");
    Ok(())
}

#[test]
fn a_start_says_that_the_last_run_was_killed() -> Tested {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = dir.path().join("record").display().to_string();
    let run = |command: &[&str]| Stage::new(Place::Pid1)?.start(runinit(&["--state-file", &file], command));
    for phase in ["running", "stopping"] {
        let running = run(&[&probe()?, "hear"])?;
        running.wait_until_ready()?;
        if phase == "stopping" {
            running.signal(SIGTERM)?;
        }
        running
            .wait_for("the phase", || Record::read(Path::new(&file)).is_ok_and(|r| r.at("phase") == phase))?;
        drop(running);
        let mut next = run(&["sh", "-c", "exit 0"])?;
        next.end_with(0)?;
        ensure!(
            next.stderr().contains("killed") && next.stderr().contains(phase),
            "{}",
            next.explain("not a word")
        );
    }
    let mut next = run(&["sh", "-c", "exit 0"])?;
    next.end_with(0)?;
    ensure!(next.stderr().is_empty(), "{}", next.explain("the last run ended well"));
    Ok(())
}

#[test]
fn a_record_that_makes_no_sense_stops_nothing() -> Tested {
    for text in ["", "{", "[]", "{\"schema\": 99}", "\u{0}\u{1}"] {
        let stage = Stage::new(Place::Below)?;
        stage.write("record", text, 0o600)?;
        let mut running = recorded(stage, &[], &["sh", "-c", "exit 3"])?;
        running.end_with(3)?;
        ensure!(running.record()?.text("phase")? == "stopped", "after {text:?}");
    }
    Ok(())
}

#[test]
fn a_second_runinit_leaves_the_record_to_the_first() -> Tested {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (path, file) = (dir.path().join("record"), dir.path().join("record").display().to_string());
    let first = Stage::new(Place::Pid1)?.start(runinit(&["--state-file", &file], &[&probe()?, "hear"]))?;
    first.wait_for("the record", || path.exists())?;
    let mut second =
        Stage::new(Place::Pid1)?.start(runinit(&["--state-file", &file], &["sh", "-c", "exit 8"]))?;
    second.end_with(8)?;
    ensure!(second.stderr().contains(&file), "{}", second.explain("not a word of it"));
    let record = Record::read(&path)?;
    ensure!(record.text("programs.0.name")? == "probe" && record.text("phase")? == "running", "{record:?}");
    drop(first);
    // The lock has died with the first one.
    let last = || -> Result<Running, String> {
        let mut last =
            Stage::new(Place::Pid1)?.start(runinit(&["--state-file", &file], &["sh", "-c", "exit 8"]))?;
        last.end_with(8)?;
        Ok(last)
    };
    let recorded = || last().is_ok() && Record::read(&path).is_ok_and(|r| r.at("exit_code") == 8);
    ensure!(until(support::PATIENCE, recorded), "nobody got the lock: {:?}", Record::read(&path));
    Ok(())
}

#[test]
fn a_survivor_is_recorded_inside_the_budget() -> Tested {
    let late = Lateness::watch();
    let stage = Stage::new(Place::Below)?;
    let mut argv = vec![stage.copy(env!("CARGO_BIN_EXE_runinit"), "runinit", 0o755)?];
    argv.extend(support::words(["--grace", "1s", "--state-file"]));
    argv.push(stage.file("record").into());
    argv.extend([("--").into(), stage.copy(probe()?, "probe", 0o4755)?]);
    argv.extend(support::words(["hear", "--root", "-o"]));
    argv.push(stage.file("heard").into());
    let mut running = stage.with("--uid", "1234567").start(argv)?;
    running.wait_for_line("heard", "ready")?;
    running.signal(SIGTERM)?;
    let End { left, .. } = running.end()?;
    ensure!(left.len() == 1, "{}", running.explain(&format!("{left:?}")));
    let record = running.record()?;
    ensure!(record.text("phase")? == "stopped" && late.in_time(&record)?, "{record:?}");
    ensure!(record.text("programs.0.stopped_by")? == "nothing", "{record:?}");
    let survivors = record.list("survivors")?;
    ensure!(survivors.len() == 1, "{record:?}");
    ensure!(record.number("survivors.0.pid")? == record.number("programs.0.pid")?, "{record:?}");
    ensure!(record.text("survivors.0.state")?.len() == 1, "{record:?}");
    ensure!(record.text("survivors.0.command")?.contains("hear"), "{record:?}");
    Ok(())
}

#[cfg(debug_assertions)] // a release has no faults to ask for
#[test]
fn a_bug_of_its_own_still_stops_and_records_everything() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let stage = stage.env("RUNINIT_FAULT", "panic");
        let mut running = recorded(stage, &["--grace", "2s"], &[&probe()?, "hear"])?;
        running.end_with(70)?;
        let record = running.record()?;
        ensure!(
            record.text("phase")? == "stopped" && record.text("reason")? == "internal_error",
            "{record:?}"
        );
        ensure!(record.number("exit_code")? == 70, "{record:?}");
        ensure!(record.number("elapsed_ms")? >= 1800, "it began when all was over: {record:?}");
        ensure!(record.text("programs.0.exit.signal")? == "SIGKILL", "{record:?}");
        ensure!(record.text("programs.0.stopped_by")? == "SIGKILL", "{record:?}");
        ensure!(record.text("programs.0.steps.0.step")? == "SIGTERM", "{record:?}");
        ensure!(record.number("reaped.programs")? == 1, "{record:?}");
        ensure!(!running.stderr().is_empty(), "not a word of it");
    }
    Ok(())
}
