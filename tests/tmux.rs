//! Programs in tmux sessions, with a real tmux.
//!
//! tmux closes a terminal as soon as its program has ended, and what the kernel has not handed over by then is lost. So
//! programs whose last words are looked for take a moment before they end.

mod support;

use libc::{SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
use std::process::Command;
use support::{
    Lateness, Outcome, Place, Process, Record, Running, Stage, Tested, ensure, runinit, send, words,
};

/// A stage with tmux's sockets in its own directory, and a fleet's file. In that, `@dir` is the directory.
fn stage(place: Place, text: &str) -> Result<Stage, String> {
    let found =
        Command::new("tmux").arg("-V").output().map_err(|e| format!("tmux: {e}; apt-get install tmux"))?;
    if !found.status.success() {
        return Err(format!("tmux -V: {}", String::from_utf8_lossy(&found.stderr)));
    }
    let stage = Stage::new(place)?;
    let text = text.replace("@dir", stage.path("").trim_end_matches('/'));
    stage.write("fleet.toml", &text, 0o644)?;
    let directory = stage.path("");
    Ok(stage.env("TMUX_TMPDIR", directory))
}

fn fleet(text: &str) -> Result<Running, String> {
    fleet_at(Place::Below, text)
}

fn fleet_at(place: Place, text: &str) -> Result<Running, String> {
    let stage = stage(place, text)?;
    let command = command_line(&stage);
    stage.start(runinit(&command.each_ref().map(String::as_str), &[]))
}

fn command_line(stage: &Stage) -> [String; 4] {
    ["--config".into(), stage.path("fleet.toml"), "--state-file".into(), stage.path("record")]
}

/// A fleet that a script starts, as `"$@"`, when it has prepared what is there before.
fn start_by(stage: Stage, script: &str) -> Result<Running, String> {
    let command = command_line(&stage);
    let mut argv = words(["sh", "-c", script, "sh"]);
    argv.extend(runinit(&command.each_ref().map(String::as_str), &[]));
    stage.start(argv)
}

/// An agent whose script is given to a shell.
fn agent(name: &str, shell: &str, more: &str) -> String {
    format!(
        "[[program]]\nname = \"{name}\"\nshell = '''{shell}'''\ntmux = {{ session = \"agent-{name}\" }}\n{more}\n"
    )
}

/// One that says on its screen and in the file `said` that it is there, and stays.
fn sayer(name: &str, more: &str) -> String {
    agent(name, &format!("echo {name}; echo {name} >> @dir/said; exec sleep 1000"), more)
}

fn rewrite(running: &Running, text: &str) -> Outcome {
    std::fs::write(running.file("fleet.toml"), text).map_err(|e| e.to_string())
}

fn stop(mut running: Running, code: i32) -> Outcome {
    running.signal(SIGTERM)?;
    running.end_with(code)
}

/// What tmux answers on the private server.
fn ask(running: &Running, question: &[&str]) -> String {
    ask_at(running, &["-L", "runinit"], question)
}

fn ask_at(running: &Running, server: &[&str], question: &[&str]) -> String {
    let mut tmux = Command::new("tmux");
    tmux.env("TMUX_TMPDIR", running.file("")).args(server).arg("-N").args(question);
    tmux.output()
        .map_or_else(|e| e.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names of the sessions on a server, a line each.
fn sessions(running: &Running, socket: &str) -> String {
    ask_at(running, &["-S", socket], &["list-sessions", "-F", "#{session_name}"])
}

fn server(running: &Running) -> Result<Process, String> {
    let mut found = None;
    running.wait_for("the tmux server", || {
        let mut servers = running.programs().into_iter().filter(|p| p.name == "tmux: server");
        found = servers.next();
        found.is_some()
    })?;
    found.ok_or_else(|| running.explain("no server"))
}

fn times_said(running: &Running, line: &str) -> usize {
    running.text("said").lines().filter(|said| *said == line).count()
}

/// An agent may be there before runinit has heard so from tmux.
fn wait_for_pids(running: &Running, names: &[&str]) -> Outcome {
    running.wait_for("their pids in the record", || {
        let has_pid = |name: &&str| running.record()?.program(name)?.number("pid");
        names.iter().all(|name| has_pid(name).is_ok())
    })
}

fn screen(running: &Running, name: &str) -> Result<Vec<String>, String> {
    let program = running.record()?.program(name)?;
    let lines = program.list("last_output")?;
    Ok(lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect())
}

const BACK_SOON: &str = "restart = \"on-failure\"\nbackoff = { first = \"10ms\" }";

#[test]
fn three_agents_from_their_start_to_the_record() -> Tested {
    let crash = "echo up >> @dir/said; if [ -e @dir/again ]; then echo second life; exec sleep 1000; fi; \
                 touch @dir/again; echo first life; exit 3";
    let ignore =
        "trap \"\" TERM HUP INT QUIT; echo I will not go; echo stays >> @dir/said; while :; do sleep 1; done";
    let polite = "echo ready for a word; echo polite >> @dir/said; while read -r line; do case $line in \
                  /exit) echo goodbye; sleep 0.1; exit 0;; esac; done";
    let text = agent("crash", crash, BACK_SOON)
        + &agent(
            "stays",
            ignore,
            "stop = [{ signal = \"TERM\", wait = \"300ms\" }, { signal = \"KILL\", wait = \"2s\" }]",
        )
        + &agent("polite", polite, "stop = [{ keys = \"/exit Enter\", wait = \"20s\" }]\n");
    for place in Place::BOTH {
        let mut running = fleet_at(place, &("[shutdown]\nbudget = \"60s\"\n".to_owned() + &text))?;
        running.wait_for("both lives", || times_said(&running, "up") == 2)?;
        running.wait_for_line("said", "stays")?;
        running.wait_for_line("said", "polite")?;
        running.wait_for("the restart in the record", || {
            running
                .record()
                .and_then(|r| r.program("crash"))
                .is_ok_and(|p| p.at("exit").is_null() && p.number("restarts") == Ok(1))
        })?;
        wait_for_pids(&running, &["stays", "polite"])?;
        let list = ask(&running, &["list-sessions", "-F", "#{session_name}"]);
        ensure!(list.lines().count() == 3, "{}", running.explain(&list));
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        for (name, by, exit) in [("crash", "SIGTERM", "SIGTERM"), ("stays", "SIGKILL", "SIGKILL")] {
            let program = record.program(name)?;
            ensure!(program.text("stopped_by")? == by && program.text("exit.signal")? == exit, "{program:?}");
        }
        let polite = record.program("polite")?;
        ensure!(polite.text("stopped_by")? == "keys" && polite.number("exit.code")? == 0, "{polite:?}");
        ensure!(polite.text("kind")? == "tmux" && polite.text("session")? == "agent-polite", "{polite:?}");
        ensure!(polite.number("pid")? == polite.number("pgid")?, "{polite:?}");
        ensure!(record.program("crash")?.number("restarts")? == 1, "{record:?}");
        ensure!(record.list("active_tasks")?.len() == 3, "{record:?}");
        ensure!(screen(&running, "crash")? == ["second life"], "{record:?}");
        ensure!(screen(&running, "stays")? == ["I will not go"], "{record:?}");
        ensure!(screen(&running, "polite")? == ["ready for a word", "/exit", "goodbye"], "{record:?}");
        let sockets = std::fs::read_dir(running.file(&format!("tmux-{}", nix::unistd::getuid())));
        ensure!(sockets.is_ok_and(|mut left| left.next().is_none()), "the socket is left");
    }
    Ok(())
}

#[test]
fn an_end_is_known_however_soon_it_comes() -> Tested {
    let mut text = sayer("other", "");
    for code in [0, 1, 7, 126, 255] {
        text += &agent(&format!("code-{code}"), &format!("echo last words; sleep 0.1; exit {code}"), "");
    }
    for signal in [6, 9, 15] {
        text += &agent(&format!("signal-{signal}"), &format!("kill -{signal} $$"), "");
    }
    text += "[[program]]\nname = \"true\"\ncommand = [\"true\"]\ntmux = { session = \"agent-true\" }\n";
    let running = fleet(&text)?;
    let exit =
        |name: &str| running.record().and_then(|record| record.program(name)).map(|p| p.at("exit").clone());
    let is_known = |name: String| exit(&name).is_ok_and(|exit| !exit.is_null());
    for name in ["code-0", "code-255", "signal-6", "signal-15", "true"] {
        running.wait_for("its end in the record", || is_known(name.to_owned()))?;
    }
    for code in [0, 1, 7, 126, 255] {
        running.wait_for("its end", || is_known(format!("code-{code}")))?;
        ensure!(exit(&format!("code-{code}"))?["code"] == code, "{}", running.explain("another code"));
        running.wait_for("its screen", || {
            screen(&running, &format!("code-{code}")).is_ok_and(|s| s == ["last words"])
        })?;
    }
    for (signal, name) in [(6, "SIGABRT"), (9, "SIGKILL"), (15, "SIGTERM")] {
        running.wait_for("its end", || is_known(format!("signal-{signal}")))?;
        ensure!(
            exit(&format!("signal-{signal}"))?["signal"] == name,
            "{}",
            running.explain("another signal")
        );
    }
    ensure!(exit("true")?["code"] == 0, "{}", running.explain("true"));
    Ok(stop(running, 0)?)
}

#[test]
fn a_main_agent_ends_everything_with_its_code() -> Tested {
    let text = sayer("other", "")
        + &agent("main", "while [ ! -s @dir/said ]; do sleep 0.01; done; exit 42", "main = true");
    let mut running = fleet(&text)?;
    running.end_with(42)?;
    ensure!(running.record()?.text("reason")? == "main_exited", "{:?}", running.record());
    Ok(())
}

#[test]
fn an_end_is_known_though_sigchld_came_in_blocked() -> Tested {
    let stage = stage(Place::Below, &agent("a", "exit 3", "main = true"))?;
    let stage = stage.with("--block", libc::SIGCHLD.to_string());
    let command = command_line(&stage);
    let mut running = stage.start(runinit(&command.each_ref().map(String::as_str), &[]))?;
    Ok(running.end_with(3)?)
}

#[test]
fn a_command_that_is_not_there_is_told_as_for_any_program() -> Tested {
    let text = "[[program]]\nname = \"main\"\nmain = true\ncommand = [\"/no/such\", \"x\"]\ntmux = { session = \"s\" }\n";
    let mut running = fleet(text)?;
    running.end_with(127)?;
    ensure!(running.stderr().contains("main: cannot run /no/such: no such command"), "{}", running.stderr());
    let mut running = fleet(
        &text.replace("/no/such", "/bin/true").replace("main = true", "main = true\ncwd = \"/nowhere\""),
    )?;
    running.end_with(126)?;
    ensure!(running.stderr().contains("cannot start /bin/true in /nowhere"), "{}", running.stderr());
    Ok(())
}

#[test]
fn words_and_environment_and_directory_come_as_they_were_written() -> Tested {
    let text = "[[program]]\nname = \"a\"\ncommand = [\"sh\", \"-c\", 'for w; do echo \"<$w>\" >> @dir/said; done; \
                echo \"$K in $PWD $(stty size)\" >> @dir/said; exec sleep 1000', \"x\", \"a b\", \"$HOME\", \"'\", \";\", \"y;\", \"#{pid}\", \"-t\"]\n\
                env = { K = \"v w;#{pid}\" }\ncwd = \"/usr\"\ntmux = { session = \"a b\", size = \"91x17\" }\n";
    let running = fleet(text)?;
    running.wait_for_line("said", "v w;#{pid} in /usr 17 91")?;
    let said = running.text("said");
    ensure!(
        said.starts_with("<a b>\n<$HOME>\n<'>\n<;>\n<y;>\n<#{pid}>\n<-t>\n"),
        "{}",
        running.explain(&said)
    );
    Ok(stop(running, 0)?)
}

#[test]
fn what_is_too_long_for_tmux_is_told_with_its_limit() -> Tested {
    let text = agent("main", "exec sleep 1000", "main = true");
    let mut running = fleet(&(text + &format!("env = {{ K = \"{}\" }}\n", "v".repeat(20_000))))?;
    running.end_with(126)?;
    ensure!(
        running.stderr().contains("which takes 16 KiB of both together"),
        "{}",
        running.explain("unsaid")
    );
    Ok(())
}

#[test]
fn an_interactive_shell_stops_without_waiting_for_the_whole_cascade() -> Tested {
    let text = "[shutdown]\nbudget = \"60s\"\n[[program]]\nname = \"bash\"\ncommand = [\"bash\", \"--norc\", \"-i\"]\n\
                tmux = { session = \"s\" }\nstop = [{ signal = \"TERM\", wait = \"50s\" }]\n";
    let running = fleet(text)?;
    running
        .wait_for("the prompt", || ask(&running, &["capture-pane", "-p", "-t", "=s:"]).contains("bash"))?;
    let record = {
        let mut running = running;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        running.record()?
    };
    ensure!(record.program("bash")?.text("stopped_by")? == "SIGTERM", "{record:?}");
    ensure!(record.number("elapsed_ms")? < 20_000, "{record:?}");
    Ok(())
}

#[test]
fn a_signal_reaches_every_job_of_a_session_and_stopped_means_all_of_it() -> Tested {
    // Each job has a group of its own; one ignores SIGTERM, and none is told by the shell.
    let shell = "exec bash -c 'set -m; (trap \"\" TERM HUP; echo job >> @dir/said; while :; do sleep 1; done) & \
                 (trap \"echo told >> @dir/said; exit\" TERM; echo second >> @dir/said; while :; do sleep 0.01; done) & \
                 trap \"exit 5\" TERM; echo up >> @dir/said; while :; do sleep 0.01; done'";
    let more = "stop = [{ signal = \"TERM\", wait = \"500ms\" }, { signal = \"KILL\", wait = \"5s\" }]";
    let mut running = fleet(&agent("jobs", shell, more))?;
    running.wait_for_line("said", "up")?;
    running.wait_for_line("said", "job")?;
    running.wait_for_line("said", "second")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    let program = record.program("jobs")?;
    ensure!(program.number("exit.code")? == 5 && program.text("stopped_by")? == "SIGKILL", "{program:?}");
    ensure!(record.list("strays")?.is_empty(), "{record:?}");
    ensure!(times_said(&running, "told") == 1, "{}", running.explain("not told"));
    Ok(())
}

#[test]
fn signals_are_forwarded_into_the_session_and_not_to_the_server() -> Tested {
    let shell = "trap \"echo hup >> @dir/said\" HUP; echo up >> @dir/said; while :; do sleep 0.01; done";
    let running = fleet(&agent("a", shell, ""))?;
    running.wait_for_line("said", "up")?;
    let before = server(&running)?.pid;
    // It may have said so before runinit knows that it has started: then it hears it a moment later.
    running.signal(SIGHUP)?;
    running.wait_for_line("said", "hup")?;
    ensure!(server(&running)?.pid == before, "{}", running.explain("the server was signalled"));
    Ok(stop(running, 0)?)
}

#[test]
fn when_the_server_dies_its_agents_come_back_with_it() -> Tested {
    let text = sayer("a", BACK_SOON)
        + &agent("deaf", "trap \"\" HUP; echo deaf >> @dir/said; while :; do sleep 0.01; done", BACK_SOON)
        + &sayer("gone", "");
    let running = fleet(&text)?;
    running.wait_for("all", || ["a", "deaf", "gone"].iter().all(|name| times_said(&running, name) == 1))?;
    wait_for_pids(&running, &["a", "deaf", "gone"])?;
    let old = server(&running)?;
    send(old.pid, SIGKILL)?;
    running.wait_for("both again", || times_said(&running, "a") == 2 && times_said(&running, "deaf") == 2)?;
    ensure!(server(&running)?.pid != old.pid, "{}", running.explain("the same server"));
    let gone = || running.record().and_then(|record| record.program("gone"));
    running
        .wait_for("an end by SIGHUP", || gone().is_ok_and(|gone| gone.text("exit.signal") == Ok("SIGHUP")))?;
    Ok(stop(running, 0)?)
}

#[test]
fn a_server_that_hangs_delays_neither_signals_nor_the_end() -> Tested {
    let lateness = Lateness::watch();
    let budget = "[shutdown]\nbudget = \"6s\"\n";
    let text = budget.to_owned()
        + &agent(
            "a",
            "trap \"echo hup >> @dir/said\" HUP; echo a >> @dir/said; while :; do sleep 0.01; done",
            "",
        )
        + &agent(
            "b",
            "trap \"\" TERM HUP; echo b >> @dir/said; while :; do sleep 0.01; done",
            "stop = [{ keys = \"x\", wait = \"500ms\" }, { signal = \"TERM\", wait = \"500ms\" }]",
        )
        + "[[program]]\nname = \"p\"\nshell = \"echo p >> @dir/said; exec sleep 1000\"\n";
    let mut running = fleet(&text)?;
    for name in ["a", "b", "p"] {
        running.wait_for_line("said", name)?;
    }
    wait_for_pids(&running, &["a", "b"])?;
    send(server(&running)?.pid, SIGSTOP)?;
    running.signal(SIGHUP)?;
    running.wait_for_line("said", "hup")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(lateness.in_time(&record)?, "{record:?}");
    ensure!(record.program("a")?.text("stopped_by")? == "SIGTERM", "{record:?}");
    ensure!(record.program("b")?.text("stopped_by")? == "SIGKILL", "{record:?}");
    Ok(())
}

#[test]
fn fifty_agents_start_and_stop_together() -> Tested {
    let lateness = Lateness::watch();
    let text: String = (0..50).map(|n| sayer(&format!("a{n}"), "")).collect();
    let mut running = fleet(&text)?;
    running.wait_for("all fifty", || running.text("said").lines().count() == 50)?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(lateness.in_time(&record)?, "{record:?}");
    for n in 0..50 {
        ensure!(record.program(&format!("a{n}"))?.text("stopped_by")? == "SIGTERM", "{record:?}");
        ensure!(
            screen(&running, &format!("a{n}"))? == [format!("a{n}")],
            "{}",
            running.explain("its screen")
        );
    }
    Ok(())
}

#[test]
fn a_persons_sessions_on_a_shared_server_stay() -> Tested {
    let text = "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &sayer("a", "");
    let stage = stage(Place::Below, &text)?;
    let socket = stage.path("shared");
    // The server is a daemon that was there before; "agent-ab" begins with the name of the agent's session.
    let tmux = format!("tmux -S {socket} -f /dev/null");
    let script =
        format!("{tmux} new-session -d -s agent-ab cat; {tmux} new-session -d -s mine cat; exec \"$@\"");
    let mut running = start_by(stage, &script)?;
    running.wait_for_line("said", "a")?;
    let list = sessions(&running, &socket);
    ensure!(list == "agent-a\nagent-ab\nmine\n", "{}", running.explain(&list));
    running.signal(SIGTERM)?;
    let end = running.end()?;
    ensure!(end.code == Some(0), "{}", running.explain("its end"));
    let tmux = end.left.iter().filter(|left| left.contains("tmux")).count();
    ensure!(tmux == 1 && end.left.len() == 3, "{:?}", end.left);
    Ok(())
}

/// Its processes are the server's children, and none of runinit's.
#[test]
fn what_an_agent_on_a_shared_server_uses_is_told() -> Tested {
    let text = "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &sayer("a", "");
    let stage = stage(Place::Below, &text)?;
    let control = stage.path("control");
    let options = [&command_line(&stage)[..], &["--control".to_owned(), control.clone()]].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let script =
        format!("tmux -S {} -f /dev/null new-session -d -s mine cat; exec \"$@\"", stage.path("shared"));
    let mut argv = words(["sh", "-c", &script, "sh"]);
    argv.extend(runinit(&options, &[]));
    let mut running = stage.start(argv)?;
    running.wait_for_line("said", "a")?;
    running.wait_for("the socket", || running.file("control").exists())?;
    let status = || -> Result<serde_json::Value, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
        let output = command.args(["status", "--json", "--control", &control]).output();
        let said = output.map_err(|e| e.to_string())?.stdout;
        serde_json::from_slice(&said).map_err(|e| e.to_string())
    };
    running.wait_for("the agent's pid", || {
        status().is_ok_and(|status| status["programs"][0]["pid"].is_number())
    })?;
    let agent = &status()?["programs"][0];
    ensure!(agent["processes"] == 1 && agent["rss_kb"].as_u64() > Some(0), "{agent}");
    running.signal(SIGTERM)?;
    running.end()?;
    Ok(())
}

#[test]
fn a_session_that_is_somebody_elses_is_not_taken() -> Tested {
    let text =
        "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &agent("a", "exec sleep 1000", "main = true");
    let stage = stage(Place::Below, &text)?;
    let script =
        format!("tmux -S {} -f /dev/null new-session -d -s agent-a cat; exec \"$@\"", stage.path("shared"));
    let mut running = start_by(stage, &script)?;
    let end = running.end()?;
    ensure!(end.code == Some(126), "{}", running.explain("its code"));
    ensure!(running.stderr().contains("duplicate session: agent-a"), "{}", running.stderr());
    ensure!(end.left.iter().any(|left| left.contains("cat")), "{:?}", end.left);
    Ok(())
}

/// A tmux whose server hangs as soon as it is asked for a session, for the first time.
const HANGING_TMUX: &str = "#!/bin/bash\ncd \"${0%/*}\"\nif [[ \" $* \" = *\" new-session \"* && ! -e hangs ]]; then\n\
                            touch hangs; kill -STOP $(cat server)\nfi\nPATH=${PATH#*:} exec tmux \"$@\"\n";

/// tmux does what it was asked for even if nobody waits for it any more.
#[test]
fn a_session_that_a_shared_server_starts_too_late_is_taken_back() -> Tested {
    let text = "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &sayer("a", "");
    let stage = stage(Place::Below, &text)?;
    stage.write("tmux", HANGING_TMUX, 0o755)?;
    let socket = stage.path("shared");
    let path = format!("{}:{}", stage.path(""), std::env::var("PATH").unwrap_or_default());
    let script = format!(
        "tmux -S {socket} -f /dev/null new-session -d -s mine cat; tmux -S {socket} display-message -p '#{{pid}}' > {}; \
         PATH='{path}'; exec \"$@\"",
        stage.path("server")
    );
    let mut running = start_by(stage, &script)?;
    running.wait_for("the start to be given up", || {
        running.stderr().contains("a: cannot start: tmux does not answer; trying again")
    })?;
    let everybody = running.everybody();
    let server = everybody.iter().find(|p| p.name == "tmux: server").ok_or("no server")?;
    send(server.pid, SIGCONT)?;
    running.wait_for("a start", || running.stderr().contains("a: started"))?;
    let list = sessions(&running, &socket);
    ensure!(list == "agent-a\nmine\n", "{}", running.explain(&list));
    running.signal(SIGTERM)?;
    let end = running.end()?;
    ensure!(end.code == Some(0), "{}", running.explain("its end"));
    ensure!(end.left.len() == 2, "a server and its cat: {:?}", end.left);
    Ok(())
}

/// A tmux that says that it is older than it is.
const OLD_TMUX: &str = "#!/bin/bash\n[ \"$1\" = -V ] && exec echo tmux 3.2a\n\
                        PATH=${PATH#*:} exec tmux \"${@//'#{version}'/3.2a}\"\n";

#[test]
fn a_tmux_that_is_too_old_is_refused_before_anything_is_made() -> Tested {
    // Without its server a private one's agent is missing something; a shared one's cannot be started itself.
    for (socket, code) in [("@dir/shared", 126), ("runinit", 1)] {
        let text = format!("[tmux]\nsocket = \"{socket}\"\n") + &sayer("a", "main = true");
        let stage = stage(Place::Below, &text)?;
        stage.write("tmux", OLD_TMUX, 0o755)?;
        let path = format!("{}:{}", stage.path(""), std::env::var("PATH").unwrap_or_default());
        let script = format!(
            "tmux -S {} -f /dev/null new-session -d -s mine cat; PATH='{path}'; exec \"$@\"",
            stage.path("shared")
        );
        let mut running = start_by(stage, &script)?;
        let end = running.end()?;
        ensure!(end.code == Some(code), "{}", running.explain("its code"));
        let refusal = "tmux 3.2 is too old: 3.3 or later is needed";
        ensure!(running.stderr().contains(refusal), "{}", running.explain("no refusal"));
        ensure!(running.text("said").is_empty(), "{}", running.explain("the agent ran"));
        ensure!(end.left.len() == 2, "a server and its cat: {:?}", end.left);
    }
    Ok(())
}

#[test]
fn a_shared_server_that_is_not_there_is_told_as_tmux_tells_it() -> Tested {
    let running =
        fleet(&("[tmux]\nsocket = \"default\"\n[shutdown]\nbudget = \"1s\"\n".to_owned() + &sayer("a", "")))?;
    running.wait_for("tmux's own words", || {
        running.stderr().contains("a: cannot start its tmux session: error connecting to ")
    })?;
    Ok(stop(running, 0)?)
}

#[test]
fn a_server_on_a_path_is_started_if_none_is_there() -> Tested {
    for place in Place::BOTH {
        let text = "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &sayer("a", "main = true");
        let mut running = fleet_at(place, &text)?;
        running.wait_for_line("said", "a")?;
        running.signal(SIGTERM)?;
        let end = running.end()?;
        ensure!(end.left.is_empty(), "{}", running.explain("a server is left"));
        let record = running.record()?;
        ensure!(record.list("strays")?.is_empty(), "{record:?}");
    }
    Ok(())
}

#[test]
fn a_server_in_another_pid_namespace_is_refused() -> Tested {
    let text = "[tmux]\nsocket = \"@dir/shared\"\n".to_owned() + &sayer("a", "main = true");
    let stage = stage(Place::Below, &text)?;
    // Whatever number the agent has there, somebody has it here.
    let script = "for i in $(seq 40); do sleep 1001 & done
        unshare --pid --fork --mount-proc sh -c 'tmux -S \"$0\" -f /dev/null new-session -d cat; exec sleep 1002' @shared &
        until tmux -S @shared has-session 2>/dev/null; do sleep 0.05; done
        exec \"$@\"";
    let script = script.replace("@shared", &stage.path("shared"));
    let mut running = start_by(stage, &script)?;
    let end = running.end()?;
    ensure!(end.code == Some(126), "{}", running.explain("its code"));
    let refusal = "a: cannot start its tmux session: its server is in another PID namespace";
    ensure!(running.stderr().contains(refusal), "{}", running.explain("no refusal"));
    Ok(())
}

#[test]
fn what_waits_for_an_agent_starts_when_it_is_ready() -> Tested {
    let text = sayer("first", "ready = { exec = [\"test\", \"-e\", \"@dir/said\"] }")
        + &sayer("second", "after = [\"first\"]");
    let running = fleet(&text)?;
    running.wait_for_line("said", "second")?;
    ensure!(running.text("said") == "first\nsecond\n", "{}", running.explain("the order"));
    Ok(stop(running, 0)?)
}

/// A run that is killed, and then another one with another file. Tells what agents have said.
fn killed_and_started_again(leftovers: &str) -> Result<Running, String> {
    let second =
        format!("[tmux]\nleftovers = \"{leftovers}\"\n{}{}", telling("a"), sayer("c", "after = [\"a\"]"));
    let running = killed(&(telling("a") + &telling("b")), "--config @dir/second.toml", &second)?;
    running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
    wait_for_pids(&running, &["a", "b"])?;
    let old = server(&running)?.pid;
    kill_first(&running)?;
    running.wait_for_line("said", "c")?;
    let is_same = server_of(&running).is_some_and(|server| server == old);
    ensure_same(is_same == (leftovers == "adopt"), &running)?;
    Ok(running)
}

/// An agent that says when it is told to stop.
fn telling(name: &str) -> String {
    let trap = format!("trap \"echo {name} told >> @dir/said; exit 0\" TERM");
    agent(name, &format!("{trap}; echo {name} >> @dir/said; while :; do sleep 0.01; done"), "")
}

/// A run of a fleet that is to be killed, and then another one with these words and this file.
fn killed(first: &str, words_of_second: &str, second: &str) -> Result<Running, String> {
    let stage = stage(Place::Below, first)?;
    let dir = stage.path("");
    let dir = dir.trim_end_matches('/');
    stage.write("second.toml", &second.replace("@dir", dir), 0o644)?;
    let record = format!("--state-file {dir}/record");
    let both = [format!("--config {dir}/fleet.toml"), words_of_second.replace("@dir", dir)];
    let [first, second] = both.map(|more| format!("{} {record} {more}", env!("CARGO_BIN_EXE_runinit")));
    stage.start(words(["sh", "-c", &format!("{first} & wait; exec {second}")]))
}

/// The run that is to be killed.
fn first(running: &Running) -> Result<i32, String> {
    let first = running.programs().into_iter().find(|process| process.name == "runinit");
    first.map(|first| first.pid).ok_or_else(|| running.explain("no runinit"))
}

fn kill_first(running: &Running) -> Outcome {
    send(first(running)?, SIGKILL)
}

fn server_of(running: &Running) -> Option<i32> {
    // The old one is a child of the first process of the stage by now.
    let pid = ask(running, &["display-message", "-p", "#{pid}"]).trim().parse::<i32>().ok()?;
    running.everybody().into_iter().find(|process| process.inner_pid == pid).map(|process| process.pid)
}

fn ensure_same(holds: bool, running: &Running) -> Outcome {
    if holds { Ok(()) } else { Err(running.explain("the wrong server")) }
}

#[test]
fn what_a_killed_run_has_left_is_stopped_before_anything_is_started() -> Tested {
    let running = killed_and_started_again("stop")?;
    let said = running.text("said");
    let in_order: Vec<&str> = said.lines().skip(2).collect();
    let mut stopped = in_order[..2].to_vec();
    stopped.sort_unstable();
    ensure!(stopped == ["a told", "b told"] && in_order[2..] == ["a", "c"], "{}", running.explain(&said));
    ensure!(running.stderr().contains("the last run was killed while running"), "{}", running.stderr());
    Ok(stop(running, 0)?)
}

#[test]
fn what_a_killed_run_has_left_is_taken_over_if_that_is_wanted() -> Tested {
    let mut running = killed_and_started_again("adopt")?;
    let said = running.text("said");
    ensure!(said.lines().skip(2).collect::<Vec<_>>() == ["b told", "c"], "{}", running.explain(&said));
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(times_said(&running, "a told") == 1, "{}", running.explain("not stopped"));
    let record = running.record()?;
    let program = record.program("a")?;
    ensure!(program.text("stopped_by")? == "SIGTERM" && program.number("exit.code")? == 0, "{program:?}");
    ensure!(record.program("b").is_err(), "{record:?}");
    Ok(())
}

#[test]
fn what_a_killed_run_has_left_is_stopped_by_a_fleet_without_tmux_too() -> Tested {
    let second = "[[program]]\nname = \"c\"\nshell = \"echo c >> @dir/said; exec sleep 1000\"\n";
    let running = killed(&(telling("a") + &telling("b")), "--config @dir/second.toml", second)?;
    running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
    wait_for_pids(&running, &["a", "b"])?;
    kill_first(&running)?;
    for line in ["c", "a told", "b told"] {
        running.wait_for_line("said", line)?;
    }
    running.wait_for("the old server's end", || {
        !running.everybody().iter().any(|process| process.name.starts_with("tmux"))
    })?;
    running.wait_for("a record without them", || {
        let programs = running.record().and_then(|record| record.list("programs").cloned());
        programs.is_ok_and(|programs| programs.len() == 1)
    })?;
    Ok(stop(running, 0)?)
}

/// The end of everything waits for them, and for their server.
#[test]
fn what_a_killed_run_has_left_is_stopped_by_a_fleet_that_ends_at_once_too() -> Tested {
    let second = "[[program]]\nname = \"a\"\ncommand = [\"true\"]\n";
    let mut running = killed(&(telling("a") + &telling("b")), "--config @dir/second.toml", second)?;
    running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
    wait_for_pids(&running, &["a", "b"])?;
    kill_first(&running)?;
    running.end_with(0)?;
    ensure!(times_said(&running, "a told") == 1, "{}", running.explain("a was not told"));
    ensure!(times_said(&running, "b told") == 1, "{}", running.explain("b was not told"));
    Ok(())
}

#[test]
fn the_server_of_a_killed_run_does_not_outlive_one_that_is_stopped_before_its_turn() -> Tested {
    let stage = stage(
        Place::Below,
        &agent("a", "trap \"\" TERM HUP; echo a >> @dir/said; while :; do sleep 0.01; done", ""),
    )?;
    let dir = stage.path("");
    let dir = dir.trim_end_matches('/');
    // No agent, so that it does not wait for what is left.
    let web = "[[program]]\nname = \"web\"\nshell = '''echo web >> @dir/said; exec sleep 1000'''\n";
    stage.write("second.toml", &web.replace("@dir", dir), 0o644)?;
    let [first_run, second_run] = ["fleet", "second"].map(|file| {
        format!("{} --state-file {dir}/record --config {dir}/{file}.toml", env!("CARGO_BIN_EXE_runinit"))
    });
    let is_there = "tmux -L runinit display-message -p x >/dev/null 2>&1";
    let script = format!(
        "{first_run} & wait; {second_run}; while {is_there}; do :; done; echo gone >> {dir}/said; exec sleep 1000"
    );
    let running = stage.start(words(["sh", "-c", &script]))?;
    running.wait_for_line("said", "a")?;
    wait_for_pids(&running, &["a"])?;
    kill_first(&running)?;
    running.wait_for_line("said", "web")?;
    // Its turn comes first, and it does not go.
    running.wait_for("the agent to be found", || running.stderr().contains("a: taken over"))?;
    send(first(&running)?, SIGTERM)?;
    running.wait_for_line("said", "gone")?;
    ensure!(!running.stderr().contains("is left by the last run"), "{}", running.stderr());
    Ok(())
}

/// What is to be taken over waits for the end of what is not, and the stop comes before that.
#[test]
fn what_waits_to_be_taken_over_is_stopped_in_its_turn_too() -> Tested {
    let deaf = agent("b", "trap \"\" TERM HUP; echo b >> @dir/said; while :; do sleep 0.01; done", "");
    let second = format!("[tmux]\nleftovers = \"adopt\"\n{}", telling("a"));
    let mut running = killed(&(telling("a") + &deaf), "--config @dir/second.toml --grace 2s", &second)?;
    running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
    wait_for_pids(&running, &["a", "b"])?;
    let old = running.record()?;
    let pid = |record: &Record, name| record.program(name).and_then(|program| program.number("pid"));
    kill_first(&running)?;
    running.wait_for("b to be found", || running.stderr().contains("b: taken over"))?;
    running.wait_for("a record that still knows a", || {
        let record = running.record();
        record.is_ok_and(|record| pid(&record, "b").is_ok() && pid(&record, "a") == pid(&old, "a"))
    })?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(times_said(&running, "a told") == 1, "{}", running.explain("a was not told"));
    let record = running.record()?;
    ensure!(record.program("a")?.text("stopped_by")? == "SIGTERM", "{record:?}");
    ensure!(record.program("b")?.text("stopped_by")? == "SIGKILL", "{record:?}");
    ensure!(record.list("active_tasks")?.len() == 2, "{record:?}");
    let [timeline, server] = [record.list("timeline")?, record.list("tmux_servers")?];
    let of_server = |entry: &&serde_json::Value| entry["program"] == "tmux:runinit";
    ensure!(
        timeline.iter().rfind(of_server).is_some_and(|entry| entry["event"] != "taken over"),
        "{record:?}"
    );
    ensure!(server.len() == 1, "{record:?}");
    Ok(())
}

/// Their server dies with them, and they are nobody's children who could tell how they have ended.
#[test]
fn what_was_taken_over_and_is_killed_with_its_server_is_gone_at_once() -> Tested {
    let deaf = agent("a", "trap \"\" TERM HUP; echo a >> @dir/said; while :; do sleep 0.01; done", "");
    let second = format!("[tmux]\nleftovers = \"adopt\"\n{deaf}");
    let mut running = killed(&deaf, "--config @dir/second.toml", &second)?;
    running.wait_for_line("said", "a")?;
    wait_for_pids(&running, &["a"])?;
    kill_first(&running)?;
    running.wait_for("a to be found", || running.stderr().contains("a: taken over"))?;
    running.signal(SIGTERM)?;
    running.wait_for("the stop", || running.stderr().contains("stopping: "))?;
    running.signal(SIGINT)?;
    running.end_with(0)?;
    ensure!(!running.stderr().contains("is still there"), "{}", running.stderr());
    ensure!(running.record()?.program("a")?.text("stopped_by")? == "SIGKILL", "{}", running.text("record"));
    Ok(())
}

/// A stop that does not get an answer from tmux in its time ends none of them, but the next run knows of them.
#[test]
fn what_could_not_be_looked_for_is_found_by_the_run_after_the_next() -> Tested {
    let adopts = format!("[tmux]\nleftovers = \"adopt\"\n{}", telling("a"));
    let stage = stage(Place::Below, &telling("a"))?;
    let dir = stage.path("");
    let dir = dir.trim_end_matches('/');
    stage.write("second.toml", &adopts.replace("@dir", dir), 0o644)?;
    let run = |file: &str, more: &str| {
        let runinit = env!("CARGO_BIN_EXE_runinit");
        format!("{runinit} --state-file {dir}/record --config {dir}/{file}.toml {more}")
    };
    let [first_run, second_run, third_run] =
        [run("fleet", ""), run("second", "--grace 200ms"), run("second", "")];
    let script = format!(
        "{first_run} & wait; {second_run}; cp {dir}/record {dir}/second; until [ -e {dir}/go ]; do sleep 0.01; done; \
         exec {third_run}"
    );
    let mut running = stage.start(words(["sh", "-c", &script]))?;
    running.wait_for_line("said", "a")?;
    wait_for_pids(&running, &["a"])?;
    let tmux = server(&running)?;
    send(tmux.pid, SIGSTOP)?;
    kill_first(&running)?;
    running.wait_for("the next run", || running.stderr().contains("the last run was killed"))?;
    running.wait_for("the next run", || first(&running).is_ok())?;
    send(first(&running)?, SIGTERM)?;
    running.wait_for("its end", || !running.text("second").is_empty())?;
    ensure!(running.stderr().contains("a: is left by the last run"), "{}", running.stderr());
    let second = Record::read(&running.file("second"))?;
    ensure!(second.text("phase")? == "stopped", "{second:?}");
    ensure!(second.number("tmux_servers.0.pid")? == i64::from(tmux.inner_pid), "{second:?}");
    send(tmux.pid, SIGCONT)?;
    std::fs::write(running.file("go"), "").map_err(|e| e.to_string())?;
    running.wait_for("another start", || first(&running).is_err())?;
    running.wait_for("a", || {
        let record = running.record();
        record.is_ok_and(|record| record.at("phase") == "running" && !record.at("programs.0.pid").is_null())
    })?;
    running.signal(SIGTERM)?;
    let end = running.end()?;
    ensure!(end.code == Some(0) && end.left.is_empty(), "{:?} {}", end.left, running.stderr());
    ensure!(times_said(&running, "a told") == 1, "{}", running.explain("a was not told"));
    Ok(())
}

/// It has no terminal to be taken over with, so it is stopped whatever is wanted of leftovers.
#[test]
fn an_agent_that_has_outlived_runinit_and_its_server_is_stopped_before_it_starts_again() -> Tested {
    let deaf = |name: &str| {
        let trap = format!("trap \"\" HUP; trap \"echo {name} told >> @dir/said; exit 0\" TERM");
        agent(name, &format!("{trap}; echo {name} >> @dir/said; while :; do sleep 0.01; done"), "")
    };
    for leftovers in ["stop", "adopt"] {
        let second = format!("[tmux]\nleftovers = \"{leftovers}\"\n{}", deaf("a"));
        let running = killed(&(deaf("a") + &deaf("b")), "--config @dir/second.toml", &second)?;
        running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
        wait_for_pids(&running, &["a", "b"])?;
        // It must not see the server's end: it would stop them itself.
        let server = server(&running)?.pid;
        send(first(&running)?, SIGSTOP)?;
        send(server, SIGKILL)?;
        running.wait_for("their terminal to go", || !has_terminal(&running))?;
        kill_first(&running)?;
        running.wait_for("a new life", || times_said(&running, "a") == 2)?;
        let said = running.text("said");
        let mut since: Vec<&str> = said.lines().skip(2).collect();
        ensure!(since.pop() == Some("a"), "{}", running.explain(&said));
        since.sort_unstable();
        ensure!(since == ["a told", "b told"], "{}", running.explain(&said));
        ensure!(!running.stderr().contains("does not answer"), "{}", running.explain("tmux was asked"));
        stop(running, 0)?;
    }
    Ok(())
}

/// True while one of the agents has a terminal.
fn has_terminal(running: &Running) -> bool {
    let shells = running.everybody().into_iter().filter(|process| process.name == "sh");
    let stats = shells.filter_map(|shell| std::fs::read_to_string(format!("/proc/{}/stat", shell.pid)).ok());
    let mut terminals =
        stats.filter_map(|stat| Some(stat.rsplit_once(") ")?.1.split(' ').nth(4)?.to_owned()));
    terminals.any(|terminal| terminal != "0")
}

/// A record in which every one of them stands, as their run has left it.
const OTHERS: &str = r#"
    cd @dir
    left() { programs="$programs{\"name\": \"$1\", \"pid\": $2, \"session\": \"s\", \"socket\": \"runinit\"}, "; }
    behind() { "$@" > /dev/null 2>&1 & echo $!; }
    leads() { until [ "$(ps -o sid= -p $1 | tr -d ' ')" = $1 ]; do :; done; }
    pid=$(behind setsid sleep 1001); leads $pid; left a $pid
    pid=$(behind env RUNINIT_PROGRAM=bb@1.1 setsid sleep 1002); leads $pid; left b $pid
    pid=$(behind env RUNINIT_PROGRAM=c@1.1 sleep 1003); left c $pid
    pid=$(behind env RUNINIT_PROGRAM='x@2.2 d@1.1' setsid sleep 1004); leads $pid; left d $pid
    pid=$(behind env RUNINIT_PROGRAM=e@1.1 setsid sleep 1005); leads $pid; left e $pid
    # In a terminal: an agent of somebody else.
    RUNINIT_PROGRAM=f@1.1 tmux -S other -f /dev/null new-session -d -s f sleep 1006
    left f $(tmux -S other display-message -p -t f '#{pane_pid}')
    echo "{\"schema\": 1, \"phase\": \"running\", \"programs\": [${programs%, }]}" > record
    exec "$@"
"#;

/// Numbers of a record are others' by the time it is read.
#[test]
fn nobody_who_has_the_number_of_what_was_left_is_taken_for_it() -> Tested {
    let stage = stage(Place::Below, "[[program]]\nname = \"p\"\ncommand = [\"sleep\", \"1000\"]\n")?;
    let script = OTHERS.replace("@dir", &stage.path(""));
    let mut running = start_by(stage, &script)?;
    running.wait_for("the end of what was left", || {
        let programs = running.record().and_then(|record| record.list("programs").cloned());
        programs.is_ok_and(|programs| programs.len() == 1)
    })?;
    running.signal(SIGTERM)?;
    let end = running.end()?;
    let is_left = |number: u32| end.left.iter().any(|left| left.contains(&format!("sleep {number}")));
    for number in [1001, 1002, 1003, 1004, 1006] {
        ensure!(is_left(number), "{number} is gone: {:?} {}", end.left, running.stderr());
    }
    ensure!(!is_left(1005), "{:?} {}", end.left, running.stderr());
    Ok(())
}

#[test]
fn a_new_program_of_the_same_name_has_nothing_to_do_with_what_is_left() -> Tested {
    let slow = "trap \"echo a told >> @dir/said; sleep 0.3; exit 0\" TERM; echo a >> @dir/said; \
                while :; do sleep 0.01; done";
    let daemon = "trap \"echo daemon told >> @dir/said\" TERM; echo daemon >> @dir/said; \
                  while :; do sleep 0.01; done";
    let second =
        format!("[[program]]\nname = \"a\"\nshell = '''(setsid sh -c '{daemon}' &); exec sleep 1000'''\n");
    let running = killed(&agent("a", slow, ""), "--config @dir/second.toml", &second)?;
    running.wait_for_line("said", "a")?;
    wait_for_pids(&running, &["a"])?;
    kill_first(&running)?;
    running.wait_for_line("said", "daemon")?;
    // The record of the run that was killed has one program, too.
    running.wait_for_line("said", "a told")?;
    running.wait_for("the end of what was left", || {
        let programs = running.record().and_then(|record| record.list("programs").cloned());
        programs.is_ok_and(|programs| programs.len() == 1)
    })?;
    ensure!(times_said(&running, "daemon told") == 0, "{}", running.explain("the daemon was told"));
    Ok(())
}

/// A wrapper asks nobody and ends nothing, but it writes over the record that names them.
#[test]
fn a_wrapper_names_what_a_killed_run_has_left() -> Tested {
    let mut running = killed(&(telling("a") + &telling("b")), "-- sleep 1000", "")?;
    running.wait_for("both", || times_said(&running, "a") == 1 && times_said(&running, "b") == 1)?;
    wait_for_pids(&running, &["a", "b"])?;
    let (record, server) = (running.record()?, server(&running)?);
    kill_first(&running)?;
    running.wait_for("a warning", || running.stderr().contains("still there"))?;
    let stderr = running.stderr();
    for name in ["a", "b"] {
        let pid = record.program(name)?.number("pid")?;
        ensure!(stderr.contains(&format!("{name} (pid {pid})")), "{}", running.explain("it is not named"));
    }
    let inner = format!("tmux:runinit (pid {})", server.inner_pid);
    ensure!(stderr.contains(&inner), "{}", running.explain("the server is not named"));
    running.signal(SIGTERM)?;
    let end = running.end()?;
    ensure!(times_said(&running, "a told") == 0 && end.left.len() >= 3, "{:?}", end.left);
    Ok(())
}

/// What people do with an agent, and an orchestrator: one is added, somebody looks at its terminal, and it goes again.
#[test]
fn an_agent_is_added_seen_and_removed_by_hand() -> Tested {
    let stage = stage(Place::Below, "[[program]]\nname = \"other\"\ncommand = [\"sleep\", \"1000\"]\n")?;
    let options = [&command_line(&stage)[..], &["--control".to_owned(), stage.path("control")]].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let running = stage.start(runinit(&options, &[]))?;
    running.wait_for("the socket", || running.file("control").exists())?;
    let (control, directory) = (running.file("control"), running.file(""));
    let ask = |words: &[&str]| -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
        command.args(words).env("RUNINIT_CONTROL", &control).env("TMUX_TMPDIR", &directory);
        let output = command.output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(running.explain(&said)) }
    };
    let echo = "read line; echo \"heard: $line\"; exec sleep 1000";
    // Behind --, so that it is the command's.
    let start = ["start", "--name", "a", "--tmux", "s", "--control"];
    let control_text = control.display().to_string();
    ask(&[&start[..], &[control_text.as_str(), "--", "sh", "-c", echo]].concat())?;
    // What is typed below comes faster than by hand; tmux would take it for a paste, in which its prefix means nothing.
    self::ask(&running, &["set-option", "-g", "assume-paste-time", "0"]);
    let status: serde_json::Value =
        serde_json::from_str(&ask(&["status", "--json"])?).map_err(|e| e.to_string())?;
    ensure!(status["tmux_sessions"] == 1 && status["active_agents"] == 1, "{status}");
    let programs = status["programs"].as_array().ok_or("no programs")?;
    ensure!(programs.len() == 2, "the server is no program: {status}");
    ensure!(programs[1]["kind"] == "tmux" && programs[1]["session"] == "s", "{status}");
    let variables = [("TMUX_TMPDIR", directory.display().to_string()), ("TERM", "xterm".to_owned())];
    let mut attach = vec!["env".to_owned()];
    attach.extend(variables.map(|(name, value)| format!("{name}={value}")));
    let runinit = env!("CARGO_BIN_EXE_runinit");
    attach.extend([runinit, "attach", "a", "--control", &control_text].map(str::to_owned));
    let mut pty = support::pty::Pty::start(&attach, &directory)?;
    pty.type_in("hello\r")?;
    pty.expect("heard: hello")?;
    // Ctrl-b d, tmux's own way to leave.
    pty.type_in("\x02d")?;
    pty.end()?;
    let clash = ask(&["start", "--name", "b", "--tmux", "s", "--", "sleep", "1000"]);
    ensure!(clash.as_ref().is_err_and(|why| why.contains("a is in that tmux session already")), "{clash:?}");
    let unseen = ask(&["logs", "a"]);
    ensure!(unseen.as_ref().is_err_and(|why| why.contains("runinit attach a shows that")), "{unseen:?}");
    ask(&["restart", "a"])?;
    // Outlives a reload, so nobody of the file may be where it is.
    let in_file = agent("c", "exec sleep 1000", "").replace("agent-c", "s");
    let before = running.text("fleet.toml");
    rewrite(&running, &(before.clone() + &in_file))?;
    let clash = ask(&["reload"]);
    ensure!(
        clash.as_ref().is_err_and(|why| why.contains("c cannot be in the tmux session of a")),
        "{clash:?}"
    );
    rewrite(&running, &before)?;
    ask(&["stop", "a"])?;
    let nobody = ask(&["attach", "a"]);
    ensure!(nobody.as_ref().is_err_and(|why| why.contains("a does not run")), "{nobody:?}");
    // What was on it when it was closed.
    ask(&["logs", "a"])?;
    ask(&["remove", "a"])?;
    let status = ask(&["status"])?;
    ensure!(status.contains("1 program"), "{status}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_session_with_another_program_s_name_starts_when_that_has_left_it() -> Tested {
    let stays = "trap \"sleep 0.3; echo left >> @dir/said; exit 0\" TERM; trap \"echo hup >> @dir/said\" HUP; \
                 echo first >> @dir/said; while :; do sleep 0.02; done";
    let first = agent("a", stays, "");
    let running = fleet(&(format!("[init]\nreload_signal = \"SIGHUP\"\n{first}")))?;
    running.wait_for_line("said", "first")?;
    wait_for_pids(&running, &["a"])?;
    let next = agent("b", &format!("echo second >> {}; exec sleep 1000", running.file("said").display()), "");
    let next = next.replace("agent-b", "agent-a");
    rewrite(&running, &format!("[init]\nreload_signal = \"SIGHUP\"\n{next}"))?;
    running.signal(SIGHUP)?;
    running.wait_for_line("said", "second")?;
    ensure!(running.text("said") == "first\nleft\nsecond\n", "{}", running.explain(&running.text("said")));
    Ok(stop(running, 0)?)
}

/// Somebody at a terminal who looks at a session.
fn watcher(running: &Running, session: &str) -> Result<support::pty::Pty, String> {
    let tmux_dir = format!("TMUX_TMPDIR={}", running.file("").display());
    let target = format!("={session}");
    let attach = ["env", &tmux_dir, "TERM=xterm", "tmux", "-L", "runinit", "-N", "attach", "-t", &target];
    support::pty::Pty::start(&attach, &running.file(""))
}

/// To tmux, a session that is not there is the one that somebody looks at.
#[test]
fn sessions_come_and_go_while_somebody_looks_at_another() -> Tested {
    let crash = "echo up >> @dir/said; until [ -e @dir/go ]; do sleep 0.01; done; exit 3";
    let running = fleet(&(sayer("watched", "") + &agent("other", crash, BACK_SOON)))?;
    running.wait_for("both", || times_said(&running, "up") == 1 && times_said(&running, "watched") == 1)?;
    let mut person = watcher(&running, "agent-watched")?;
    person.expect("watched")?;
    std::fs::write(running.file("go"), "").map_err(|e| e.to_string())?;
    running.wait_for("three lives more", || times_said(&running, "up") > 3)?;
    ensure!(
        times_said(&running, "watched") == 1,
        "{}",
        running.explain("who is looked at was started again")
    );
    ensure!(!running.stderr().contains("cannot start"), "{}", running.stderr());
    Ok(stop(running, 0)?)
}

/// Another fleet, or a person, may have a server on the same socket.
#[test]
fn a_server_that_is_another_s_is_left_alone_and_named() -> Tested {
    let stage = stage(Place::Below, &sayer("a", ""))?;
    let command = command_line(&stage);
    let directory = stage.path("");
    let script = format!(
        "TMUX_TMPDIR={directory} tmux -L runinit -f /dev/null new-session -d -s mine 'exec sleep 1001'; exec \"$@\""
    );
    let mut argv = words(["sh", "-c", &script, "sh"]);
    argv.extend(runinit(&command.each_ref().map(String::as_str), &[]));
    let mut running = stage.start(argv)?;
    let end = running.end()?;
    ensure!(end.code == Some(1), "{}", running.explain(&format!("{end:?}")));
    let stderr = running.stderr();
    ensure!(stderr.contains("another tmux server (pid "), "{}", running.explain("it is not named"));
    ensure!(!stderr.contains("is ready"), "{}", running.explain("it was taken for its own"));
    ensure!(times_said(&running, "a") == 0, "{}", running.explain("the agent was started there"));
    let is_left = |what: &str| end.left.iter().any(|left| left.contains(what));
    ensure!(is_left("sleep 1001") && is_left("tmux"), "{:?}", end.left);
    ensure!(running.file(&format!("tmux-{}/runinit", nix::unistd::getuid())).exists(), "its socket is gone");
    Ok(())
}

#[test]
fn what_an_agent_has_opened_beside_its_pane_stops_with_it() -> Tested {
    let deaf = "trap \"\" HUP; trap \"echo told >> @dir/said\" TERM; echo beside >> @dir/said; \
                while :; do sleep 0.01; done";
    let shell = "tmux split-window -d \"sh @dir/deaf\"; echo a >> @dir/said; exec sleep 1000";
    let stop_at_once =
        "stop = [{ signal = \"TERM\", wait = \"200ms\" }, { signal = \"KILL\", wait = \"2s\" }]";
    let text = agent("a", shell, stop_at_once);
    for socket in ["runinit", "@dir/shared"] {
        let text =
            format!("[init]\ncontrol_socket = \"@dir/control\"\n[tmux]\nsocket = \"{socket}\"\n{text}");
        let stage = stage(Place::Below, &text)?;
        let directory = stage.path("");
        stage.write("deaf", &deaf.replace("@dir", &directory), 0o644)?;
        let script = format!(
            "tmux -S {directory}shared -f /dev/null new-session -d -s keeps 'exec sleep 1001'; exec \"$@\""
        );
        let mut running = start_by(stage, &script)?;
        running.wait_for("both panes", || {
            times_said(&running, "beside") == 1 && times_said(&running, "a") == 1
        })?;
        wait_for_pids(&running, &["a"])?;
        let mut restart = Command::new(env!("CARGO_BIN_EXE_runinit"));
        restart.args(["restart", "a"]).env("RUNINIT_CONTROL", running.file("control"));
        let restarted = restart.output().map_err(|e| e.to_string())?;
        ensure!(restarted.status.success(), "{restarted:?} {}", running.explain("restart"));
        ensure!(times_said(&running, "told") == 1, "{}", running.explain("the other pane was not told"));
        running.wait_for("both panes again", || {
            times_said(&running, "beside") == 2 && times_said(&running, "a") == 2
        })?;
        let beside = || running.everybody().into_iter().filter(|process| process.name == "sh").count();
        // Each has a child from time to time, which is a shell at first.
        running.wait_for("the end of the first run's pane", || beside() == 1)?;
        running.signal(SIGTERM)?;
        let end = running.end()?;
        ensure!(end.code == Some(0), "{}", running.explain(&format!("{end:?}")));
        ensure!(!end.left.iter().any(|left| left.contains("deaf")), "{socket}: {:?}", end.left);
    }
    Ok(())
}

#[test]
fn nothing_in_an_agent_s_words_means_anything_to_tmux() -> Tested {
    let stage = stage(Place::Below, "")?;
    let odd = "odd #S;";
    std::fs::create_dir(stage.file(odd)).map_err(|e| e.to_string())?;
    let text = format!(
        "{}cwd = \"@dir/{odd}\"\nenv = {{ PROMPT = \"do this; then that;\" }}\n",
        agent("a", "echo \"$PROMPT $PWD\" > @dir/said; exec sleep 1000", "")
    );
    let directory = stage.path("");
    stage.write("fleet.toml", &text.replace("@dir", directory.trim_end_matches('/')), 0o644)?;
    let command = command_line(&stage);
    let running = stage.start(runinit(&command.each_ref().map(String::as_str), &[]))?;
    running.wait_for("its words", || running.text("said").ends_with('\n'))?;
    let said = running.text("said");
    ensure!(said.trim_end() == format!("do this; then that; {directory}{odd}"), "{said}");
    Ok(stop(running, 0)?)
}
