//! What leaves the group of its program (setsid, a double fork) is still that program's.

mod support;

use libc::{SIGHUP, SIGKILL, SIGTERM};
use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use support::{
    Outcome, Place, Record, Running, Stage, Tested, ensure, probe, process, runinit, set_attribute,
};

/// A daemon that says `NAME up` and, told to end, `NAME down`.
const DAEMON: &str = r#"#!/bin/sh
trap 'echo "$1 down" >>@dir/said; exit 0' TERM
echo "$1 up" >>@dir/said
while :; do sleep 0.02; done
"#;

/// Puts a fleet on a stage. In its text `@dir` is the stage's directory, `@say` a shell's words that append a line to the
/// file `said`, and `@daemon NAME` leaves a daemon behind and goes on when that is up.
fn fleet(place: Place, text: &str) -> Result<Running, String> {
    start(place, text, &[])
}

/// As [`fleet`]; these words stand before the init's.
fn start(place: Place, text: &str, before: &[&str]) -> Result<Running, String> {
    let stage = Stage::new(place)?;
    let dir = stage.path("").trim_end_matches('/').to_owned();
    stage.write("daemon", &DAEMON.replace("@dir", &dir), 0o755)?;
    stage.write("leave", LEAVE.replace("@dir", &dir).as_str(), 0o755)?;
    stage.write("fleet.toml", &expand(text, &dir), 0o644)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let init = runinit(&["--config", &config, "--state-file", &record], &[]);
    stage.start(before.iter().map(Into::into).chain(init).collect())
}

/// Leaves the daemon, and returns when it is up.
const LEAVE: &str = r#"#!/bin/sh
before=$(grep -c "^$1 up" @dir/said 2>/dev/null)
(setsid @dir/daemon "$1" &)
while [ "$(grep -c "^$1 up" @dir/said 2>/dev/null)" = "$before" ]; do sleep 0.01; done
"#;

fn expand(text: &str, dir: &str) -> String {
    text.replace("@daemon", "@dir/leave").replace("@say", ">>@dir/said echo").replace("@dir", dir)
}

fn program(name: &str, shell: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nshell = '''{shell}'''\n{more}\n")
}

fn said(running: &Running) -> Vec<String> {
    running.text("said").lines().map(str::to_owned).collect()
}

fn expect_said(running: &Running, lines: &[&str]) -> Outcome {
    let said = said(running);
    if said == lines { Ok(()) } else { Err(running.explain(&format!("said {said:?}, not {lines:?}"))) }
}

/// These have left the groups of their programs and were stopped by their cascades; nobody was left for the last sweep.
fn expect_strays(running: &Running, wanted: &[(&str, &str)]) -> Result<Record, String> {
    let record = running.record()?;
    // A daemon has children, more or less of them.
    let mut strays = BTreeSet::new();
    for stray in record.list("strays")? {
        let text = |field: &str| stray[field].as_str().ok_or_else(|| format!("{field} of {stray}"));
        ensure!(!text("command")?.is_empty() && stray["pid"].as_i64() > Some(1), "{stray}");
        strays.insert((text("program")?, text("stopped_by")?));
    }
    if strays.iter().eq(wanted) && record.list("survivors")?.is_empty() {
        return Ok(record);
    }
    Err(running.explain(&format!("strays: {strays:?}, not {wanted:?}: {}", record.0)))
}

#[test]
fn a_restart_waits_for_the_daemons_of_the_last_run() -> Tested {
    for place in Place::BOTH {
        let web = "@say start; @daemon web; exit 1";
        let backoff = "restart = \"on-failure\"\nbackoff = { first = \"10ms\", burst = 1, within = \"60s\" }";
        let mut running =
            fleet(place, &(program("web", web, backoff) + &program("other", "exec sleep 1000", "")))?;
        running
            .wait_for("two runs", || said(&running).iter().filter(|line| *line == "web up").count() == 2)?;
        running.wait_for("the last failure", || running.stderr().contains("failed for good"))?;
        expect_said(&running, &["start", "web up", "web down", "start", "web up"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let lines = ["start", "web up", "web down", "start", "web up", "web down"];
        expect_said(&running, &lines)?;
        expect_strays(&running, &[("web", "SIGTERM")])?;
    }
    Ok(())
}

#[test]
fn a_reload_ends_the_daemons_of_what_has_changed_before_that_starts_anew() -> Tested {
    let text = |web: &str| {
        "[init]\nreload_signal = \"HUP\"\n".to_owned()
            + &program("web", web, "")
            + &program("other", "@daemon other; exec sleep 1000", "")
    };
    for place in Place::BOTH {
        let mut running = fleet(place, &text("@daemon web; @say started; exec sleep 1000"))?;
        for line in ["started", "web up", "other up"] {
            running.wait_for_line("said", line)?;
        }
        let dir = running.file("").display().to_string();
        let changed = expand(&text("@say anew; exec sleep 1000"), dir.trim_end_matches('/'));
        std::fs::write(running.file("fleet.toml"), changed).map_err(|e| e.to_string())?;
        running.signal(SIGHUP)?;
        running.wait_for_line("said", "anew")?;
        let mut web = said(&running);
        web.retain(|line| !line.starts_with("other"));
        // The daemon and its program speak for themselves.
        web[..2].sort();
        ensure!(web == ["started", "web up", "web down", "anew"], "{web:?}");
        ensure!(!running.has_line("said", "other down"), "what has not changed was touched");
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        expect_strays(&running, &[("other", "SIGTERM")])?;
    }
    Ok(())
}

#[test]
fn the_daemon_of_a_oneshot_stops_in_its_turn() -> Tested {
    let api = "trap '@say api down; exit 0' TERM; @say api up; while :; do sleep 0.02; done";
    for place in Place::BOTH {
        let mut running = fleet(
            place,
            &(program("db", "@daemon db", "oneshot = true") + &program("api", api, "after = [\"db\"]")),
        )?;
        running.wait_for_line("said", "api up")?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        expect_said(&running, &["db up", "api up", "api down", "db down"])?;
        let record = expect_strays(&running, &[("db", "SIGTERM")])?;
        let steps = record.program("db")?;
        ensure!(steps.text("steps.0.step")? == "SIGTERM", "{}", record.0);
        ensure!(steps.list("steps")?.len() == 1, "{}", record.0);
    }
    Ok(())
}

#[test]
fn a_daemon_that_does_not_listen_is_killed_by_the_cascade_of_its_program() -> Tested {
    let deaf = "(trap '' TERM; exec setsid sh -c '@say up; exec sleep 1000') & \
                until grep -q up @dir/said; do sleep 0.01; done; exec sleep 1000";
    let stop = "stop = [ { signal = \"TERM\", wait = \"200ms\" }, { signal = \"KILL\", wait = \"2s\" } ]";
    let mut running = fleet(Place::Below, &program("deaf", deaf, stop))?;
    running.wait_for_line("said", "up")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = expect_strays(&running, &[("deaf", "SIGKILL")])?;
    ensure!(record.program("deaf")?.text("stopped_by")? == "SIGKILL", "{}", record.0);
    Ok(())
}

#[test]
fn what_a_killed_runinit_leaves_belongs_to_the_program_that_it_was() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let dir = stage.path("").trim_end_matches('/').to_owned();
    stage.write("daemon", &DAEMON.replace("@dir", &dir), 0o755)?;
    stage.write("leave", &LEAVE.replace("@dir", &dir), 0o755)?;
    let web = program("web", "@daemon web; exec sleep 1000", "");
    stage.write("inner.toml", &expand(&web, &dir), 0o644)?;
    let runinit_path = env!("CARGO_BIN_EXE_runinit");
    let inner =
        program("inner", &format!("echo $$ >@dir/pid; exec {runinit_path} --config @dir/inner.toml"), "");
    let outer = inner + &program("other", "exec sleep 1000", "");
    stage.write("fleet.toml", &expand(&outer, &dir), 0o644)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let mut running = stage.start(runinit(&["--config", &config, "--state-file", &record], &[]))?;
    running.wait_for_line("said", "web up")?;
    // The number that the shell saw is that of its namespace.
    let inner_pid: i32 = running.text("pid").trim().parse().map_err(|_| "no number")?;
    let inner = running.programs().into_iter().find(|program| program.inner_pid == inner_pid);
    let inner = inner.ok_or("the inner runinit is not there")?;
    support::send(inner.pid, SIGKILL)?;
    running.wait_for("the inner runinit's end", || process(inner.pid).is_none())?;
    running.wait_for("news of what goes on", || running.stderr().contains("outside its group"))?;
    expect_said(&running, &["web up"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    expect_said(&running, &["web up", "web down"])?;
    expect_strays(&running, &[("inner", "SIGTERM")])?;
    Ok(())
}

#[test]
fn every_program_of_a_fleet_carries_its_mark_and_its_commands_do() -> Tested {
    let print = |file: &str| format!("env >@dir/{file}; mv @dir/{file} @dir/{file}.done");
    let stop = format!("stop = [ {{ run = [\"sh\", \"-c\", \"{}\"], wait = \"5s\" }} ]", print("command"));
    let text = program("bare", &format!("{}; exec sleep 1000", print("bare")), "clear_env = true")
        + &program("asked", "exec sleep 1000", &stop.replace("5s", "2s"));
    let mut running = fleet(Place::Below, &text)?;
    running.wait_for("its environment", || running.file("bare.done").exists())?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    for (file, name) in [("bare.done", "bare"), ("command.done", "asked")] {
        let environment = running.text(file);
        let mark = format!("RUNINIT_PROGRAM={name}@");
        ensure!(environment.lines().any(|line| line.starts_with(&mark)), "{file}: {environment}");
    }
    Ok(())
}

#[test]
fn a_wrapped_program_carries_none() -> Tested {
    let mut running = Stage::new(Place::Below)?.start(runinit(&[], &["env"]))?;
    running.end_with(0)?;
    ensure!(!running.stdout().contains("RUNINIT"), "{}", running.stdout());
    Ok(())
}

#[test]
fn two_hundred_programs_stop_at_once_with_a_daemon_among_them() -> Tested {
    let probe = probe()?;
    let mut text: String =
        (0..200).map(|n| program(&format!("p{n}"), &format!("exec {probe} pause"), "")).collect();
    text += &program("db", "@daemon db", "oneshot = true");
    let mut running = fleet(Place::Pid1, &text)?;
    running.wait_for_line("said", "db up")?;
    running.wait_for("all of them", || running.programs().len() > 200)?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = expect_strays(&running, &[("db", "SIGTERM")])?;
    let elapsed = record.number("elapsed_ms")?;
    ensure!(elapsed < 4000, "it took {elapsed} ms");
    Ok(())
}

/// A cgroup that belongs to whoever is in it; gone at the end.
struct Delegated(PathBuf);

impl Delegated {
    fn new(name: &str) -> Result<Self, String> {
        let mounts = read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
        let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mount = mounts.lines().map(fields).find(|fields| fields[2] == "cgroup2");
        let mount = mount.ok_or("this test needs a cgroup2 file system that it may write to")?;
        let own = read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("no cgroup of version 2")?;
        let path = Path::new(&mount[1]).join(own).join(format!("runinit-test-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let delegated = Self(path);
        set_attribute(&delegated.0, "trusted.delegate", "1")?;
        Ok(delegated)
    }

    /// The cgroups below it.
    fn all(&self) -> Vec<PathBuf> {
        let below = |path: &Path| {
            let entries = read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        let first = below(&self.0);
        first.iter().cloned().chain(first.iter().flat_map(|path| below(path))).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for path in self.all().into_iter().rev().chain([self.0.clone()]) {
            let _ = std::fs::remove_dir(path);
        }
    }
}

#[test]
fn a_daemon_without_a_mark_is_known_by_the_cgroup_of_its_program() -> Tested {
    for (place, name) in Place::BOTH.into_iter().zip(["first", "second"]) {
        let cgroup = Delegated::new(name)?;
        let enter = format!("echo 0 >{}/cgroup.procs && exec \"$@\"", cgroup.0.display());
        let db = program("db", "env -u RUNINIT_PROGRAM @daemon db; exec sleep 1000", "");
        let text = db
            + &program("api", "@say api up; exec sleep 1000", "after = [\"db\"]")
            + &program("once", "exit 0", "oneshot = true")
            + &program("never", "exit 0", "cwd = \"/no/such/directory\"");
        let mut running = start(place, &text, &["sh", "-c", &enter, "sh"])?;
        running.wait_for_line("said", "db up")?;
        running.wait_for_line("said", "api up")?;
        let names = || -> BTreeSet<String> {
            let all = cgroup.all();
            let names = all.iter().skip(1).filter_map(|path| path.file_name()?.to_str());
            names.map(str::to_owned).collect()
        };
        running.wait_for("the end of what has ended", || names().iter().eq(["api", "db"]))?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        expect_strays(&running, &[("db", "SIGTERM")])?;
        ensure!(running.has_line("said", "db down"), "{}", running.explain("nobody asked it"));
        ensure!(cgroup.all().is_empty(), "{:?} are left", cgroup.all());
    }
    Ok(())
}
