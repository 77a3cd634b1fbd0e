//! The control socket and the subcommands that use it, with real programs.

mod support;

use libc::{SIGKILL, SIGTERM};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{HANG, Outcome, PATIENCE, Place, Running, Stage, Tested, ensure, process, runinit, until};

/// What a subcommand has come to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn program(name: &str, shell: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nshell = '''{shell}'''\n{more}\n")
}

/// One that stays until it is told to go.
fn sleeper(name: &str, more: &str) -> String {
    program(name, "exec sleep 1000", more)
}

/// One that ignores SIGTERM and is killed when somebody says so.
fn deaf(name: &str) -> String {
    let stop =
        "stop = [ { signal = \"SIGTERM\", wait = \"1000s\" }, { signal = \"SIGKILL\", wait = \"2s\" } ]";
    program(name, "trap '' TERM; touch @dir/deaf; while :; do sleep 1; done", stop)
}

/// Starts a fleet whose socket is the stage's `control`. In its text `@dir` is the stage's directory.
fn fleet_at(stage: Stage, text: &str) -> Result<Running, String> {
    let directory = stage.path("");
    stage.write("fleet.toml", &text.replace("@dir", directory.trim_end_matches('/')), 0o644)?;
    let (config, record, socket) = (stage.path("fleet.toml"), stage.path("record"), stage.path("control"));
    let options = ["--config", &config, "--state-file", &record, "--control", &socket];
    stage.start(runinit(&options, &[]))
}

fn fleet(text: &str) -> Result<Running, String> {
    begun(fleet_at(Stage::new(Place::Below)?, text)?)
}

/// The socket and the record are open.
fn begun(running: Running) -> Result<Running, String> {
    running.wait_for("the socket", || connect(&running).is_ok())?;
    running.wait_for_phase("running")?;
    // The connections above are closed here; there, when it has heard of it.
    running.settle()?;
    Ok(running)
}

fn connect(running: &Running) -> Result<UnixStream, String> {
    let stream = UnixStream::connect(running.file("control")).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
    Ok(stream)
}

fn command(running: &Running, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
    let directory = running.file("");
    command.env_clear().env("RUNINIT_CONTROL", running.file("control")).current_dir(directory);
    command.arg(words[0]).args(["--timeout", "30s"]).args(&words[1..]).stdin(Stdio::null());
    command
}

fn ask(running: &Running, words: &[&str]) -> Result<Said, String> {
    let output = command(running, words).output().map_err(|e| e.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}

/// Asks for something that has to be done; returns what was said about it.
fn done(running: &Running, words: &[&str]) -> Result<String, String> {
    let said = ask(running, words)?;
    if said.code == Some(0) && said.stderr.is_empty() {
        return Ok(said.stdout);
    }
    Err(running.explain(&format!("{words:?}: {said:?}")))
}

/// Asks for something that cannot be done; returns why.
fn refused(running: &Running, words: &[&str]) -> Result<String, String> {
    let said = ask(running, words)?;
    if said.code == Some(1) && said.stdout.is_empty() && said.stderr.starts_with("runinit: ") {
        return Ok(said.stderr);
    }
    Err(running.explain(&format!("{words:?}: {said:?}")))
}

fn status(running: &Running) -> Result<Value, String> {
    let text = done(running, &["status", "--json"])?;
    serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))
}

fn one(running: &Running, name: &str) -> Result<Value, String> {
    let status = status(running)?;
    let found = status["programs"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
    found.cloned().ok_or_else(|| format!("no {name} in {status}"))
}

fn wait_for_state(running: &Running, name: &str, state: &str) -> Outcome {
    running.wait_for(&format!("{name} to be {state}"), || {
        one(running, name).is_ok_and(|one| one["state"] == state)
    })
}

/// What a raw line is answered with.
fn say(running: &Running, line: &[u8]) -> Result<Value, String> {
    let mut stream = connect(running)?;
    stream.write_all(line).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(|e| e.to_string())?;
    serde_json::from_str(&answer).map_err(|e| format!("{e}: {answer:?}"))
}

fn stop(mut running: Running, code: i32) -> Outcome {
    running.signal(SIGTERM)?;
    running.end_with(code)
}

fn descriptors(running: &Running) -> Result<usize, String> {
    let path = format!("/proc/{}/fd", running.init()?.pid);
    Ok(std::fs::read_dir(path).map_err(|e| e.to_string())?.count())
}

#[test]
fn the_status_has_every_field() -> Tested {
    let text = program("web", "sleep 1000 & exec sleep 1000", "")
        + &program("once", "true", "oneshot = true")
        + &program("bad", "exit 3", "")
        + &sleeper("late", "after = [\"slow\"]")
        + &sleeper("slow", "ready = { file = \"@dir/never\" }");
    let running = fleet(&text)?;
    wait_for_state(&running, "once", "exited")?;
    wait_for_state(&running, "bad", "failed")?;
    running.wait_for("two processes", || one(&running, "web").is_ok_and(|web| web["processes"] == 2))?;
    let status = status(&running)?;
    ensure!(status["phase"] == "running" && status["uptime_ms"].is_u64(), "{status}");
    ensure!(status["tmux_sessions"] == 0 && status["active_agents"] == 0, "{status}");
    ensure!(status["zombie_processes"].is_u64() && status["reaped"]["programs"] == 2, "{status}");
    let time = status["timestamp"].as_str().unwrap_or_default();
    ensure!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let web = one(&running, "web")?;
    ensure!(web["kind"] == "process" && web["state"] == "running" && web["restarts"] == 0, "{web}");
    ensure!(web["exit"].is_null() && web["session"].is_null(), "{web}");
    ensure!(web["rss_kb"].as_u64() > Some(0) && web["cpu_ms"].is_u64() && web["uptime_ms"].is_u64(), "{web}");
    let pid = web["pid"].as_i64();
    ensure!(running.programs().iter().any(|process| Some(i64::from(process.inner_pid)) == pid), "{web}");
    let bad = one(&running, "bad")?;
    ensure!(bad["exit"] == json!({"code": 3}) && bad["pid"].is_null() && bad["uptime_ms"].is_null(), "{bad}");
    let late = one(&running, "late")?;
    ensure!(late["state"] == "waiting" && late["waits_for"] == json!(["slow"]), "{late}");
    ensure!(late["ready"] == false && one(&running, "web")?["ready"] == true, "{late}");
    Ok(stop(running, 0)?)
}

#[test]
fn the_status_is_a_table_for_people_and_text_for_prometheus() -> Tested {
    let running = fleet(&(sleeper("web", "") + &program("bad", "exit 3", "")))?;
    wait_for_state(&running, "bad", "failed")?;
    let table = done(&running, &["status"])?;
    let lines: Vec<&str> = table.lines().collect();
    ensure!(lines.len() == 4 && lines[1].starts_with("NAME  STATE    PID"), "{table}");
    ensure!(lines[2].starts_with("web   running  ") && lines[3].ends_with("exited with code 3"), "{table}");
    ensure!(!table.contains('\x1b'), "colours where there is no terminal: {table:?}");
    let text = done(&running, &["status", "--prometheus"])?;
    ensure!(text.contains("\nruninit_program_state{program=\"bad\",state=\"failed\"} 1\n"), "{text}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_watcher_sees_what_changes_and_ends_with_the_fleet() -> Tested {
    let mut running = fleet(&sleeper("web", ""))?;
    let mut watch = command(&running, &["status", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut lines = BufReader::new(watch.stdout.take().ok_or("no output")?).lines();
    let mut sees = |word: &str| lines.any(|line| line.is_ok_and(|line| line.contains(word)));
    ensure!(sees("running  "), "no first table");
    done(&running, &["stop", "web"])?;
    ensure!(sees("stopped"), "no second table");
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(watch.wait().map_err(|e| e.to_string())?.code() == Some(111), "it goes on");
    Ok(())
}

#[test]
fn health_is_a_yes_or_a_no_with_a_reason() -> Tested {
    let text = sleeper("web", "ready = { file = \"@dir/ready\" }\nrestart = \"always\"")
        + &program("once", "true", "oneshot = true")
        + &sleeper("other", "");
    let running = fleet(&text)?;
    wait_for_state(&running, "once", "exited")?;
    let unready = ask(&running, &["health"])?;
    ensure!(unready.code == Some(1) && unready.stdout == "web: not ready yet\n", "{unready:?}");
    std::fs::write(running.file("ready"), "").map_err(|e| e.to_string())?;
    running.wait_for("health", || ask(&running, &["health"]).is_ok_and(|said| said.code == Some(0)))?;
    // What somebody has stopped does not have to run.
    done(&running, &["stop", "web"])?;
    ensure!(done(&running, &["health"])? == "3 programs are as they should be\n", "it matters");
    done(&running, &["signal", "other", "KILL"])?;
    wait_for_state(&running, "other", "failed")?;
    let dead = ask(&running, &["health"])?;
    ensure!(dead.code == Some(1) && dead.stdout == "other: died of SIGKILL\n", "{dead:?}");
    Ok(stop(running, 0)?)
}

#[test]
fn one_that_failed_for_good_says_what_made_it_fail() -> Tested {
    let health = "health = { exec = [\"false\"], every = \"20ms\", failures = 1 }\nrestart = \"always\"\nbackoff = { first = \"20ms\", burst = 1 }";
    let running = fleet(&(sleeper("sick", health) + &sleeper("other", "")))?;
    wait_for_state(&running, "sick", "failed")?;
    let sick = one(&running, "sick")?;
    ensure!(sick["healthy"] == false, "{sick}");
    ensure!(sick["problem"] == "unhealthy; its restarts are used up", "{sick}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_stop_waits_for_the_whole_program_and_a_start_for_its_readiness() -> Tested {
    let text = sleeper("db", "ready = { delay = \"200ms\" }\nrestart = \"always\"")
        + &sleeper("api", "after = [\"db\"]\nrestart = \"always\"");
    let running = fleet(&text)?;
    wait_for_state(&running, "api", "running")?;
    let said = done(&running, &["stop", "db"])?;
    ensure!(said.starts_with("db: stopped: died of SIGTERM after SIGTERM, in "), "{said}");
    for name in ["db", "api"] {
        let one = one(&running, name)?;
        ensure!(one["state"] == "stopped" && one["pid"].is_null(), "{one}");
    }
    ensure!(done(&running, &["stop", "db"])? == "db: it was not running\n", "stopped twice");
    let said = done(&running, &["start", "api"])?;
    ensure!(said.starts_with("api: started, pid "), "{said}");
    let before = one(&running, "db")?;
    ensure!(before["ready"] == true, "{before}");
    ensure!(done(&running, &["start", "api"])? == "api: it is running already\n", "started twice");
    let said = done(&running, &["restart", "db"])?;
    ensure!(said.starts_with("db: started and ready, pid "), "{said}");
    let after = one(&running, "db")?;
    ensure!(before["pid"] != after["pid"] && after["restarts"] == 0, "{before} {after}");
    wait_for_state(&running, "api", "running")?;
    Ok(stop(running, 0)?)
}

#[test]
fn what_has_left_a_program_s_group_counts_and_stops_with_it() -> Tested {
    let running =
        fleet(&(program("web", "setsid sleep 1000 & exec sleep 1000", "") + &sleeper("other", "")))?;
    running.wait_for("two processes", || one(&running, "web").is_ok_and(|web| web["processes"] == 2))?;
    done(&running, &["stop", "web"])?;
    let web = one(&running, "web")?;
    ensure!(web["state"] == "stopped" && web["processes"] == 0, "{web}");
    let left = running.programs().iter().filter(|process| process.name == "sleep").count();
    ensure!(left == 1, "{}", running.explain("the daemon goes on"));
    Ok(stop(running, 0)?)
}

#[test]
fn a_start_that_fails_says_why() -> Tested {
    let text = sleeper("web", "")
        + &program("bad", "exit 3", "ready = { file = \"/never\" }")
        + &program("slow", "exec sleep 1000", "ready = { file = \"/never\", timeout = \"300ms\" }");
    let running = fleet(&text)?;
    wait_for_state(&running, "bad", "failed")?;
    wait_for_state(&running, "slow", "failed")?;
    ensure!(refused(&running, &["start", "bad"])? == "runinit: bad: exited with code 3\n", "bad");
    ensure!(refused(&running, &["restart", "slow"])? == "runinit: slow: not ready in time\n", "slow");
    let said = refused(&running, &["start", "--name", "none", "--", "/no/such/command"])?;
    ensure!(said.contains("none: ") && said.contains("/no/such/command"), "{said}");
    Ok(stop(running, 0)?)
}

#[test]
fn who_does_not_wait_is_answered_at_once_and_who_waits_too_long_gives_up() -> Tested {
    let running = fleet(&(deaf("deaf") + &sleeper("web", "")))?;
    running.wait_for("its trap", || running.file("deaf").exists())?;
    ensure!(done(&running, &["stop", "deaf", "--no-wait"])? == "deaf: it is being stopped\n", "no-wait");
    ensure!(one(&running, "deaf")?["state"] == "stopping", "it is not");
    let said = refused(&running, &["stop", "deaf", "--timeout", "100ms"])?;
    ensure!(said == "runinit: no answer in time\n", "{said}");
    let mut waiting =
        command(&running, &["stop", "deaf"]).stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let asked = || running.stderr().matches("deaf: stopping it: somebody asked").count();
    running.wait_for("the third of them to have asked", || asked() == 3)?;
    done(&running, &["signal", "deaf", "KILL"])?;
    let mut said = String::new();
    waiting.stdout.take().ok_or("no output")?.read_to_string(&mut said).map_err(|e| e.to_string())?;
    ensure!(said.starts_with("deaf: stopped: died of SIGKILL after SIGTERM"), "{said}");
    ensure!(waiting.wait().map_err(|e| e.to_string())?.code() == Some(0), "{said}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_signal_reaches_the_program() -> Tested {
    let text =
        program("web", "trap 'echo heard >>@dir/said' HUP; touch @dir/up; while :; do sleep 0.05; done", "")
            + &program("once", "true", "oneshot = true");
    let running = fleet(&text)?;
    running.wait_for("its trap", || running.file("up").exists())?;
    ensure!(done(&running, &["signal", "web", "HUP"])? == "web: SIGHUP sent\n", "HUP");
    running.wait_for_line("said", "heard")?;
    done(&running, &["signal", "SIGHUP", "web"])?;
    ensure!(ask(&running, &["signal", "web", "HUPP"])?.code == Some(100), "HUPP");
    wait_for_state(&running, "once", "exited")?;
    ensure!(refused(&running, &["signal", "once", "HUP"])?.contains("does not run"), "once");
    Ok(stop(running, 0)?)
}

#[test]
fn the_end_of_the_main_program_by_hand_is_the_fleet_s_end() -> Tested {
    let main =
        program("main", "trap 'exit 7' TERM; touch @dir/up; while :; do sleep 0.05; done", "main = true");
    let mut running = fleet(&(main + &sleeper("other", "")))?;
    running.wait_for("its trap", || running.file("up").exists())?;
    let said = done(&running, &["stop", "main"])?;
    ensure!(said.starts_with("main: stopped: exited with code 7 after SIGTERM"), "{said}");
    Ok(running.end_with(7)?)
}

#[test]
fn who_waits_for_a_fleet_that_is_killed_is_told_so() -> Tested {
    let running = fleet(&deaf("deaf"))?;
    running.wait_for("its trap", || running.file("deaf").exists())?;
    let waiting = command(&running, &["stop", "deaf"]).stderr(Stdio::piped()).spawn();
    let waiting = waiting.map_err(|e| e.to_string())?;
    wait_for_state(&running, "deaf", "stopping")?;
    running.signal(SIGKILL)?;
    let said = waiting.wait_with_output().map_err(|e| e.to_string())?;
    let why = String::from_utf8_lossy(&said.stderr);
    ensure!(
        said.status.code() == Some(1) && why == "runinit: the runinit there ended before it had answered\n",
        "{said:?}"
    );
    Ok(())
}

#[test]
fn while_stopping_nothing_is_started() -> Tested {
    let mut running = fleet(&(deaf("deaf") + &program("once", "true", "oneshot = true")))?;
    running.wait_for("its trap", || running.file("deaf").exists())?;
    running.signal(SIGTERM)?;
    running.wait_for("the phase", || status(&running).is_ok_and(|status| status["phase"] == "stopping"))?;
    for words in
        [&["start", "once"][..], &["stop", "deaf"], &["reload"], &["start", "--name", "x", "--", "true"]]
    {
        let said = refused(&running, words)?;
        ensure!(said.contains("runinit is stopping"), "{words:?}: {said}");
    }
    let health = ask(&running, &["health"])?;
    ensure!(health.code == Some(1) && health.stdout == "runinit is stopping\n", "{health:?}");
    let since = status(&running)?;
    ensure!(since["stopping_ms"].as_u64() < since["uptime_ms"].as_u64(), "{since}");
    ensure!(since["stopping_ms"].is_u64(), "{since}");
    done(&running, &["signal", "deaf", "KILL"])?;
    Ok(running.end_with(0)?)
}

#[test]
fn what_a_program_prints_is_seen_back_and_along() -> Tested {
    let talker = "for n in 1 2 3; do echo line $n; done; while [ ! -e @dir/go ]; do sleep 0.02; done; echo more; exec sleep 1000";
    let text = program("web", talker, "output = \"prefix\"")
        + &program("file", "echo in a file; exec sleep 1000", "output = { file = \"@dir/log\" }")
        + &sleeper("quiet", "output = \"null\"")
        + &sleeper("plain", "");
    let running = fleet(&text)?;
    running.wait_for("its lines", || {
        done(&running, &["logs", "web"]).is_ok_and(|said| said == "line 1\nline 2\nline 3\n")
    })?;
    ensure!(done(&running, &["logs", "web", "-n", "1"])? == "line 3\n", "-n");
    running.wait_for("the file's", || {
        done(&running, &["logs", "file"]).is_ok_and(|said| said == "in a file\n")
    })?;
    ensure!(refused(&running, &["logs", "quiet"])?.contains("goes nowhere"), "quiet");
    ensure!(refused(&running, &["logs", "plain"])?.contains("set output = \"prefix\""), "plain");
    let mut follower = follow(&running, "web")?;
    let mut lines = BufReader::new(follower.stdout.take().ok_or("no output")?).lines();
    let mut next = || lines.next().and_then(Result::ok).unwrap_or_default();
    ensure!([next(), next(), next()] == ["line 1", "line 2", "line 3"], "what was before");
    std::fs::write(running.file("go"), "").map_err(|e| e.to_string())?;
    ensure!(next() == "more", "what comes");
    // Nothing is told twice to the next one.
    let mut second = follow(&running, "web")?;
    let mut lines = BufReader::new(second.stdout.take().ok_or("no output")?).lines();
    let told: Vec<String> = (0..4).filter_map(|_| lines.next()?.ok()).collect();
    ensure!(told == ["line 1", "line 2", "line 3", "more"], "{told:?}");
    stop(running, 0)?;
    ensure!(follower.wait().map_err(|e| e.to_string())?.code() == Some(0), "the end");
    ensure!(second.wait().map_err(|e| e.to_string())?.code() == Some(0), "the other's end");
    ensure!(lines.next().is_none(), "something twice");
    Ok(())
}

fn follow(running: &Running, name: &str) -> Result<Child, String> {
    command(running, &["logs", "-f", name]).stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())
}

#[test]
fn a_follower_that_does_not_read_is_dropped_and_nobody_else_waits_for_it() -> Tested {
    let text = program(
        "web",
        "while :; do echo 0123456789012345678901234567890123456789; done",
        "output = \"prefix\"",
    );
    let stage = Stage::new(Place::Below)?.printing_to(Stdio::null());
    let running = begun(fleet_at(stage, &text)?)?;
    let before = descriptors(&running)?;
    let mut deaf = connect(&running)?;
    deaf.write_all(b"{\"v\":1,\"command\":\"logs\",\"program\":\"web\",\"follow\":true}\n")
        .map_err(|e| e.to_string())?;
    running.wait_for("it to follow", || descriptors(&running).is_ok_and(|count| count == before + 1))?;
    ensure!(done(&running, &["logs", "web", "-n", "1"])?.starts_with("0123"), "nobody else");
    running.wait_for("it to be dropped", || descriptors(&running).is_ok_and(|count| count == before))?;
    let memory = one(&running, "web")?;
    ensure!(memory["state"] == "running", "{memory}");
    Ok(stop(running, 0)?)
}

#[test]
fn only_an_agent_can_be_attached_to() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    ensure!(refused(&running, &["attach", "web"])?.contains("not in a tmux session"), "web");
    Ok(stop(running, 0)?)
}

#[test]
fn a_reload_says_what_has_changed_or_what_is_wrong() -> Tested {
    let running = fleet(&(sleeper("a", "") + &sleeper("b", "")))?;
    let write = |text: &str| std::fs::write(running.file("fleet.toml"), text).map_err(|e| e.to_string());
    write(&(sleeper("b", "") + &sleeper("c", "")))?;
    ensure!(done(&running, &["reload"])? == "read again: 1 the same, 0 changed, 1 new, 1 gone\n", "reload");
    let status = status(&running)?;
    ensure!(!status.to_string().contains("\"a\""), "it is still there: {status}");
    write("[[program]]\nname = 1\n")?;
    let said = refused(&running, &["reload"])?;
    ensure!(said.contains("fleet.toml:2:8") && said.contains("everything goes on as it was"), "{said}");
    wait_for_state(&running, "c", "running")?;
    write(&("[init]\ntermination_log = \"/elsewhere\"\n".to_owned() + &sleeper("c", "")))?;
    done(&running, &["reload"])?;
    let warning = "[init]: another termination_log needs another start of runinit";
    ensure!(running.stderr().contains(warning), "{}", running.explain("nobody is warned"));
    Ok(stop(running, 0)?)
}

#[test]
fn what_was_given_up_comes_when_what_it_missed_is_mended() -> Tested {
    let fleet_with = |migrate: &str| {
        program("migrate", migrate, "oneshot = true")
            + &sleeper("web", "after = [\"migrate\"]")
            + &sleeper("other", "")
    };
    for is_by_hand in [true, false] {
        let running = fleet(&fleet_with("test -e @dir/mended"))?;
        let write =
            |name: &str, text: &str| std::fs::write(running.file(name), text).map_err(|e| e.to_string());
        wait_for_state(&running, "web", "failed")?;
        if is_by_hand {
            write("mended", "")?;
            done(&running, &["restart", "migrate"])?;
            wait_for_state(&running, "web", "running")?;
        } else {
            write("fleet.toml", &fleet_with("true"))?;
            // It waits for what has come back, too.
            done(&running, &["reload"])?;
            ensure!(one(&running, "web")?["state"] == "running", "{}", running.explain("web"));
        }
        done(&running, &["health"])?;
        stop(running, 0)?;
    }
    Ok(())
}

#[test]
fn a_reload_is_done_when_what_is_new_is_ready_or_cannot_be() -> Tested {
    let running = fleet(&sleeper("a", ""))?;
    let write = |text: &str| std::fs::write(running.file("fleet.toml"), text).map_err(|e| e.to_string());
    let slow = sleeper("slow", "ready = { delay = \"300ms\" }");
    write(&(sleeper("a", "") + &slow))?;
    ensure!(done(&running, &["reload"])?.contains("1 new"), "reload");
    ensure!(one(&running, "slow")?["ready"] == true, "{}", one(&running, "slow")?);
    let bad = "[[program]]\nname = \"bad\"\ncommand = [\"/nowhere/bad\"]\n";
    write(&(sleeper("a", "") + &slow + bad))?;
    let said = refused(&running, &["reload"])?;
    ensure!(said.contains("1 new") && said.contains("bad: cannot run /nowhere/bad"), "{said}");
    ensure!(done(&running, &["reload", "--no-wait"])?.contains("3 the same"), "once more");
    Ok(stop(running, 0)?)
}

#[test]
fn who_stops_because_everything_stops_has_not_failed() -> Tested {
    let running = fleet(&(sleeper("web", "") + &deaf("deaf")))?;
    running.wait_for("deaf", || running.file("deaf").exists())?;
    running.signal(SIGTERM)?;
    wait_for_state(&running, "web", "stopped")?;
    let web = one(&running, "web")?;
    ensure!(web["exit"] == json!({"signal": "SIGTERM"}) && web["problem"].is_null(), "{web}");
    running.signal(SIGTERM)?;
    let mut running = running;
    Ok(running.end_with(0)?)
}

#[test]
fn a_fifo_in_place_of_a_file_is_not_waited_for() -> Tested {
    let output = "output = { file = \"@dir/log\" }";
    let running = fleet(&program("web", "echo here; exec sleep 1000", output))?;
    let has_printed = || done(&running, &["logs", "web"]).is_ok_and(|said| said == "here\n");
    running.wait_for("its line", has_printed)?;
    for name in ["log", "fleet.toml"] {
        std::fs::remove_file(running.file(name)).map_err(|e| e.to_string())?;
    }
    for name in ["log", "fleet.toml", "variables"] {
        mkfifo(&running.file(name), Mode::S_IRWXU).map_err(|e| e.to_string())?;
    }
    ensure!(done(&running, &["logs", "web"])? == "here\n", "what is known of it all the same");
    let variables = format!("env_file={}", running.file("variables").display());
    let said = refused(&running, &["start", "--name", "new", "--set", &variables, "--", "true"])?;
    ensure!(said.contains("variables: this is no regular file"), "{said}");
    let said = refused(&running, &["reload"])?;
    ensure!(said.contains("fleet.toml: this is no regular file"), "{said}");
    Ok(stop(running, 0)?)
}

#[test]
fn programs_come_and_go_while_it_runs() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    let script = "echo $KEY $PWD >said; trap '' TERM; echo ready >>said; while :; do sleep 0.05; done";
    let (stop_by, dir) = ("TERM:50ms,KILL:2s", running.file("").display().to_string());
    let words = [
        "start",
        "--name",
        "new",
        "--env",
        "KEY=a=b c",
        "--cwd",
        &dir,
        "--stop",
        stop_by,
        "--set",
        "after=[\"web\"]",
    ];
    let said = done(&running, &[&words[..], &["--", "sh", "-c", script]].concat())?;
    ensure!(said.starts_with("new: started, pid "), "{said}");
    running.wait_for_line("said", "ready")?;
    ensure!(running.text("said").starts_with("a=b c /"), "{}", running.text("said"));
    ensure!(one(&running, "new")?["added"] == true, "added");
    let said = refused(&running, &["start", "--name", "new", "--", "true"])?;
    ensure!(said.contains("there is a program \"new\" already"), "{said}");
    // It outlives a reload.
    done(&running, &["reload"])?;
    ensure!(one(&running, "new")?["state"] == "running", "reloaded");
    ensure!(refused(&running, &["remove", "web"])?.contains("in the configuration"), "web");
    ensure!(done(&running, &["remove", "new"])? == "new: removed\n", "remove");
    ensure!(one(&running, "new").is_err(), "it is still there");
    // One that has ended leaves its name to the next.
    ensure!(
        done(&running, &["start", "--name", "new", "--set", "oneshot=true", "--", "true"])? == "new: done\n",
        "again"
    );
    done(&running, &["start", "--name", "new", "--", "sleep", "1000"])?;
    let said = refused(&running, &["start", "--name", "bad", "--set", "restart=alway", "--", "true"])?;
    ensure!(said.contains("did you mean \"always\"?"), "{said}");
    Ok(stop(running, 0)?)
}

#[test]
fn programs_that_have_gone_leave_no_descriptor_and_no_words_behind() -> Tested {
    let mut running = fleet(&sleeper("web", ""))?;
    let init = running.init()?.pid;
    let descriptors = || std::fs::read_dir(format!("/proc/{init}/fd")).map_or(0, Iterator::count);
    let before = descriptors();
    for number in 0..20 {
        let output = format!("output={{\"file\":{:?}}}", running.file(&format!("{number}.log")));
        let (name, script) = (format!("task-{number}"), format!("echo words-{number}; exec sleep 1000"));
        let words = ["start", "--name", &name, "--set", &output, "--set", "ready={\"delay\":\"1ms\"}"];
        done(&running, &[&words[..], &["--", "sh", "-c", &script]].concat())?;
        running.wait_for_line(&format!("{number}.log"), &format!("words-{number}"))?;
        done(&running, &["remove", &name])?;
    }
    running.wait_for("descriptors as many as before", || descriptors() <= before)?;
    done(&running, &["start", "--name", "last", "--", "sleep", "1000"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(record.program("last")?.list("last_output")?.is_empty(), "{record:?}");
    Ok(())
}

#[test]
fn exit_codes_tell_who_is_to_blame() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    ensure!(refused(&running, &["stop", "wbe"])?.contains("did you mean \"web\"?"), "wbe");
    for words in [
        &["stop"][..],
        &["stop", "a", "b"],
        &["status", "web"],
        &["stop", "web", "--json"],
        &["signal", "web"],
    ] {
        let said = ask(&running, words)?;
        ensure!(said.code == Some(100) && said.stderr.contains("usage: runinit"), "{words:?}: {said:?}");
    }
    let socket = running.file("control");
    stop(running, 0)?;
    ensure!(!socket.exists(), "the socket outlives its fleet");
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_runinit"));
    let said =
        nobody.env_clear().arg("status").arg("--control").arg(&socket).output().map_err(|e| e.to_string())?;
    ensure!(said.status.code() == Some(111), "{said:?}");
    Ok(())
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() -> Tested {
    let running = fleet(&program("web", "echo here; exec sleep 1000", "output = \"prefix\""))?;
    running.wait_for("a line", || done(&running, &["logs", "web"]).is_ok_and(|lines| lines == "here\n"))?;
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--prometheus"],
        &["health"],
        &["logs", "web", "-f"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").map_err(|e| e.to_string())?;
        let said = command(&running, words).stdout(full).output().map_err(|e| e.to_string())?;
        let stderr = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.code() == Some(1), "{words:?}: {said:?}");
        ensure!(stderr.starts_with("runinit: standard output: "), "{words:?}: {stderr}");
    }
    Ok(stop(running, 0)?)
}

#[test]
fn the_file_says_where_the_socket_is_on_both_sides() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let socket = stage.path("control");
    let text = format!("[init]\ncontrol_socket = \"{socket}\"\n{}", sleeper("web", ""));
    stage.write("fleet.toml", &text, 0o644)?;
    let config = stage.path("fleet.toml");
    let running = stage.start(runinit(&["--config", &config], &[]))?;
    running.wait_for("the socket", || connect(&running).is_ok())?;
    let mut client = Command::new(env!("CARGO_BIN_EXE_runinit"));
    let said = client
        .env_clear()
        .env("RUNINIT_CONFIG", &config)
        .arg("health")
        .output()
        .map_err(|e| e.to_string())?;
    ensure!(said.status.code() == Some(0), "{said:?}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_file_that_cannot_be_read_is_no_reason_to_ask_another_fleet() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = directory.path().join("fleet.toml");
    for text in [None, Some("[init]\ncontrol_socket = 3\n"), Some("[init\n")] {
        text.map_or(Ok(()), |text| std::fs::write(&file, text)).map_err(|e| e.to_string())?;
        let mut client = Command::new(env!("CARGO_BIN_EXE_runinit"));
        client.env_clear().args(["health", "--config"]).arg(&file);
        let said = client.output().map_err(|e| e.to_string())?;
        let stderr = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.code() == Some(100), "{text:?}: {said:?}");
        ensure!(stderr.starts_with(&format!("runinit: {}:", file.display())), "{text:?}: {stderr}");
    }
    Ok(())
}

#[test]
fn a_fleet_has_a_default_place_and_a_wrapper_has_none() -> Tested {
    let stage = Stage::new(Place::Below)?.with("--tmpfs", "/run=1m");
    stage.write("fleet.toml", &sleeper("web", ""), 0o644)?;
    let config = stage.path("fleet.toml");
    let running = stage.start(runinit(&["--config", &config], &[]))?;
    let place = format!("/proc/{}/root/run/runinit/control.sock", running.init()?.pid);
    running.wait_for("the socket", || UnixStream::connect(&place).is_ok())?;
    let mode = std::fs::metadata(&place).map_err(|e| e.to_string())?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    stop(running, 0)?;
    let stage = Stage::new(Place::Below)?.with("--tmpfs", "/run=1m");
    let running = stage.start(runinit(&[], &["sh", "-c", "echo ready; exec sleep 1000"]))?;
    running.wait_until_ready()?;
    running.settle()?;
    let run = format!("/proc/{}/root/run", running.init()?.pid);
    let left = std::fs::read_dir(&run).map_err(|e| e.to_string())?.count();
    ensure!(left == 0, "{left} things in /run");
    stop(running, 143)?;
    let stage = Stage::new(Place::Below)?;
    let socket = stage.path("control");
    let running = stage.start(runinit(&["--control", &socket], &["sleep", "1000"]))?;
    running.wait_for("the socket", || connect(&running).is_ok())?;
    ensure!(one(&running, "sleep")?["state"] == "running", "asked for");
    Ok(stop(running, 143)?)
}

#[test]
fn the_second_default_place_is_the_user_s_own() -> Tested {
    let stage = Stage::new(Place::Below)?.with("--tmpfs", "/run=1m").with("--read-only", "/run");
    let own = stage.path("");
    let stage = stage.env("XDG_RUNTIME_DIR", own.trim_end_matches('/'));
    stage.write("fleet.toml", &sleeper("web", ""), 0o644)?;
    let config = stage.path("fleet.toml");
    let running = stage.start(runinit(&["--config", &config], &[]))?;
    running.wait_for("the socket", || UnixStream::connect(running.file("runinit/control.sock")).is_ok())?;
    Ok(stop(running, 0)?)
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_a_living_one_is_not() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let socket = stage.path("control");
    drop(UnixListener::bind(&socket).map_err(|e| e.to_string())?);
    let first = fleet_at(stage, &sleeper("first", ""))?;
    first.wait_for("the socket", || connect(&first).is_ok())?;
    let stage = Stage::new(Place::Below)?;
    stage.write("fleet.toml", &sleeper("second", ""), 0o644)?;
    let config = stage.path("fleet.toml");
    let second = stage.start(runinit(&["--config", &config, "--control", &socket], &[]))?;
    second.wait_for("a word of it", || second.stderr().contains("another runinit listens there"))?;
    stop(second, 0)?;
    ensure!(one(&first, "first")?["state"] == "running", "it was stolen");
    Ok(stop(first, 0)?)
}

#[test]
fn without_a_place_it_goes_on_without_a_socket() -> Tested {
    for place in ["/proc/control", "/no/such/directory/control", &"x".repeat(200)] {
        let stage = Stage::new(Place::Below)?;
        let directory = stage.path("");
        let stage = stage.in_directory(directory);
        stage.write("fleet.toml", &sleeper("web", ""), 0o644)?;
        let config = stage.path("fleet.toml");
        let running = stage.start(runinit(&["--config", &config, "--control", place], &[]))?;
        running.wait_for("a word of it", || {
            running.stderr().contains("warning: ") && running.stderr().contains("no control socket")
        })?;
        stop(running, 0)?;
    }
    Ok(())
}

#[test]
fn others_are_not_answered() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    let binary = running.file("client");
    std::fs::copy(env!("CARGO_BIN_EXE_runinit"), &binary).map_err(|e| e.to_string())?;
    // However open the file is.
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(running.file("control"), open).map_err(|e| e.to_string())?;
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
    other.args(["status", "--control"]).arg(running.file("control")).env_clear();
    let said = other.output().map_err(|e| format!("setpriv: {e}"))?;
    let why = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.code() == Some(1) && why.contains("only root and runinit's own user"), "{said:?}");
    ensure!(done(&running, &["status"])?.contains("running"), "root");
    Ok(stop(running, 0)?)
}

#[test]
fn another_users_runinit_says_what_to_run_and_nobody_runs_it() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let own = stage.copy(env!("CARGO_BIN_EXE_runinit"), "runinit", 0o755)?;
    let agent = "[[program]]\nname = \"a\"\ncommand = [\"sleep\", \"1000\"]\ntmux = { session = \"s\" }\n";
    stage.write("fleet.toml", agent, 0o644)?;
    let [directory, ran] = ["", "ran"].map(|name| stage.path(name));
    stage.write("tmux", &format!("#!/bin/sh\n: >{ran}\n"), 0o755)?;
    let mut argv = vec![own];
    for (option, name) in [("--config", "fleet.toml"), ("--state-file", "record"), ("--control", "control")] {
        argv.extend([option.into(), stage.path(name).into()]);
    }
    let stage = stage.env("TMUX_TMPDIR", &directory).with("--uid", "1234567");
    let running = begun(stage.start(argv)?)?;
    wait_for_state(&running, "a", "running")?;
    let output = command(&running, &["attach", "a"]).env("PATH", &directory).output();
    let said = output.map_err(|e| e.to_string())?;
    let why = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.code() == Some(1) && !running.file("ran").exists(), "{said:?}");
    ensure!(why.contains("another user's") && why.contains("attach-session -t =s"), "{why}");
    Ok(stop(running, 0)?)
}

#[test]
fn garbage_is_refused_and_changes_nothing() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    let before = descriptors(&running)?;
    for garbage in [
        &b"\n"[..],
        b"hello\n",
        b"{}\n",
        b"[1,2\n",
        b"\xff\xfe\x00\n",
        b"{\"v\":1}\n",
        b"{\"v\":2,\"command\":\"status\"}\n",
        b"{\"v\":1,\"command\":\"explode\"}\n",
        b"{\"v\":1,\"command\":\"stop\"}\n",
        b"{\"v\":1,\"command\":\"stop\",\"program\":7}\n",
        b"{\"v\":1,\"command\":\"signal\",\"program\":\"web\",\"signal\":\"\"}\n",
        b"{\"v\":1,\"command\":\"add\",\"program\":{}}\n",
    ] {
        let said = say(&running, garbage)?;
        ensure!(said["ok"] == false && said["error"].is_string() && said["v"] == 1, "{garbage:?}: {said}");
    }
    let deep = "[".repeat(60_000);
    ensure!(say(&running, format!("{deep}\n").as_bytes())?["ok"] == false, "deep");
    let long = vec![b'x'; 70_000];
    let said = say(&running, &long)?;
    ensure!(said["error"].as_str().is_some_and(|why| why.contains("shorter than 65536")), "{said}");
    // The end of the input counts as the end of the line.
    let mut half = connect(&running)?;
    half.write_all(b"{\"v\":1,\"command\":\"health\"}").map_err(|e| e.to_string())?;
    half.shutdown(std::net::Shutdown::Write).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    half.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    ensure!(answer.contains("\"healthy\":true"), "{answer}");
    ensure!(one(&running, "web")?["state"] == "running", "web");
    running.wait_for("everybody to be gone", || descriptors(&running).is_ok_and(|count| count == before))?;
    Ok(stop(running, 0)?)
}

#[test]
fn those_who_only_connect_are_dropped_and_there_is_a_limit() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    let before = descriptors(&running)?;
    let idle: Vec<UnixStream> = (0..40).map(|_| connect(&running)).collect::<Result<_, _>>()?;
    let mut turned_away = 0;
    for stream in &idle {
        let mut answer = String::new();
        // The first ones are kept until they are dropped, without a word.
        BufReader::new(stream).read_line(&mut answer).map_err(|e| e.to_string())?;
        turned_away += usize::from(answer.contains("others are connected"));
    }
    ensure!(turned_away == 8, "{turned_away} were turned away");
    ensure!(done(&running, &["status"])?.contains("running"), "after them");
    running.wait_for("everybody to be gone", || descriptors(&running).is_ok_and(|count| count == before))?;
    Ok(stop(running, 0)?)
}

#[test]
fn those_who_follow_leave_room_for_those_who_ask() -> Tested {
    let running = fleet(&program("web", "echo line; exec sleep 1000", "output = \"prefix\""))?;
    running.wait_for("its line", || done(&running, &["logs", "web"]).is_ok_and(|said| said == "line\n"))?;
    let (mut followers, mut turned_away) = (Vec::new(), 0);
    for _ in 0..40 {
        let mut stream = connect(&running)?;
        stream
            .write_all(b"{\"v\":1,\"command\":\"logs\",\"program\":\"web\",\"follow\":true}\n")
            .map_err(|e| e.to_string())?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).map_err(|e| e.to_string())?;
        turned_away += usize::from(answer.contains("24 others wait, or follow"));
        followers.push(stream);
    }
    ensure!(turned_away == 16, "{turned_away} were turned away");
    ensure!(done(&running, &["health"]).is_ok(), "health");
    // Nothing is done for whoever cannot be answered.
    ensure!(refused(&running, &["stop", "web"])?.contains("--no-wait"), "stop");
    ensure!(one(&running, "web")?["state"] == "running", "web");
    done(&running, &["stop", "web", "--no-wait"])?;
    wait_for_state(&running, "web", "stopped")?;
    Ok(stop(running, 0)?)
}

#[test]
fn forty_who_ask_are_all_answered_in_the_end() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    let clients: Vec<Child> = (0..40)
        .map(|_| command(&running, &["status"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn())
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    for client in clients {
        let said = client.wait_with_output().map_err(|e| e.to_string())?;
        let is_turned_away = String::from_utf8_lossy(&said.stderr).contains("others are connected");
        ensure!(said.status.success() || is_turned_away, "{said:?}");
    }
    ensure!(done(&running, &["status"])?.contains("running"), "after them");
    Ok(stop(running, 0)?)
}

#[test]
fn a_flood_does_not_delay_the_stop() -> Tested {
    let mut running = fleet(&(sleeper("web", "") + &sleeper("other", "after = [\"web\"]")))?;
    let path = running.file("control");
    let over = std::sync::atomic::AtomicBool::new(false);
    let lateness = support::Lateness::watch();
    std::thread::scope(|scope| -> Outcome {
        let long = vec![b'x'; 100_000];
        for line in [b"{\"v\":1,\"command\":\"status\"}\n".to_vec(), b"garbage\n".to_vec(), long] {
            let (path, over) = (&path, &over);
            scope.spawn(move || {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    if let Ok(mut stream) = UnixStream::connect(path) {
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
                        let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
                        let _ = stream.write_all(&line);
                        let _ = stream.read(&mut [0; 64]);
                    }
                }
            });
        }
        let ended = running.wait_for("the flood", || status(&running).is_ok_and(|s| s["phase"] == "running"));
        let ended = ended.and_then(|()| running.signal(SIGTERM)).and_then(|()| running.end_with(0));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        ended
    })?;
    let took = running.record()?.number("elapsed_ms")?;
    ensure!(took < 500 + lateness.allowed_ms(), "it took {took} ms");
    Ok(())
}

#[test]
fn an_open_socket_wakes_nobody_up() -> Tested {
    let running = fleet(&sleeper("web", ""))?;
    done(&running, &["status"])?;
    let pid = running.init()?.pid;
    let sleeps = || process(pid).map(|process| process.sleeps);
    // Nobody is connected once the last client has been let go of.
    let mut before = sleeps();
    running.wait_for("it to be quiet", || {
        let began = Instant::now();
        let woken = until(HANG, || sleeps() != before);
        before = sleeps();
        !woken && began.elapsed() >= HANG
    })?;
    Ok(stop(running, 0)?)
}

#[test]
fn one_that_was_killed_leaves_a_socket_that_the_next_one_takes() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let socket = stage.path("control");
    let other = Stage::new(Place::Below)?;
    let running = fleet_at(stage, &sleeper("first", ""))?;
    running.wait_for("the socket", || connect(&running).is_ok())?;
    running.signal(SIGKILL)?;
    running.wait_for("its end", || UnixStream::connect(&socket).is_err())?;
    ensure!(std::path::Path::new(&socket).exists(), "nothing is left");
    other.write("fleet.toml", &sleeper("second", ""), 0o644)?;
    let config = other.path("fleet.toml");
    let second = other.start(runinit(&["--config", &config, "--control", &socket], &[]))?;
    second.wait_for("the socket", || UnixStream::connect(&socket).is_ok())?;
    ensure!(one(&running, "second")?["state"] == "running", "second");
    Ok(stop(second, 0)?)
}
