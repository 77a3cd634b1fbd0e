//! Hygiene: what is ended and deleted behind agents, and above all what is not. With a real tmux.

mod support;

use libc::{SIGSTOP, SIGTERM};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use support::{Lateness, Outcome, Place, Running, Stage, Tested, ensure, runinit, send, words};

const REGISTRY: &str = "AGENT_REGISTRY.json";

/// A stage with workspaces, and sessions that are there before the init is.
struct Scene {
    stage: Stage,
    sessions: String,
}

impl Scene {
    fn new(place: Place) -> Result<Self, String> {
        let stage = Stage::new(place)?;
        let directory = stage.path("");
        std::fs::create_dir(stage.file("ws")).map_err(|e| e.to_string())?;
        let scene = Self { stage: stage.env("TMUX_TMPDIR", directory), sessions: String::new() };
        tmux(&scene.stage.file("tmux"), &["-V"]).map_err(|e| format!("{e}: apt-get install tmux"))?;
        Ok(scene)
    }

    fn workspace(&self, name: &str) -> PathBuf {
        self.stage.file("ws").join(name)
    }

    /// A workspace with this registry.
    fn task(self, name: &str, registry: &Value) -> Result<Self, String> {
        self.task_of_text(name, &registry.to_string())
    }

    fn task_of_text(self, name: &str, registry: &str) -> Result<Self, String> {
        let workspace = self.workspace(name);
        std::fs::create_dir(&workspace).map_err(|e| e.to_string())?;
        std::fs::write(workspace.join(REGISTRY), registry).map_err(|e| e.to_string())?;
        Ok(self)
    }

    /// The registry was written so many days ago.
    fn aged(self, name: &str, days: u64) -> Result<Self, String> {
        let then = SystemTime::now() - Duration::from_hours(24 * days);
        let file = File::options().append(true).open(self.workspace(name).join(REGISTRY));
        file.and_then(|file| file.set_modified(then)).map_err(|e| e.to_string())?;
        Ok(self)
    }

    /// A session in which a shell runs these words.
    fn session(mut self, name: &str, shell: &str) -> Self {
        // Writing to a string does not fail.
        let _ = writeln!(self.sessions, "tmux -f /dev/null new-session -d -s '{name}' '{shell}' || exit 9");
        self
    }

    /// Starts the init when the sessions are there.
    fn start(self, hygiene: &str) -> Result<Running, String> {
        let ws = self.stage.path("ws");
        let text = format!(
            "[[program]]\nname = \"p\"\nshell = \"exec sleep 1000\"\n[hygiene]\n{}\n",
            hygiene.replace("@sessions", &format!("prefix = \"claude-agent-\", workspaces = \"{ws}\""))
        );
        self.stage.write("fleet.toml", &text, 0o644)?;
        let (config, record) = (self.stage.path("fleet.toml"), self.stage.path("record"));
        let script = format!("{}exec \"$0\" \"$@\"", self.sessions);
        let mut all = words(["sh", "-c", &script]);
        all.extend(runinit(&["--config", &config, "--state-file", &record], &[]));
        let running = self.stage.start(all)?;
        running.wait_for("the program", || said(&running, "p: started") == 1)?;
        Ok(running)
    }
}

fn agents(agents: &[(&str, &str)]) -> Value {
    let agents: Vec<Value> = agents.iter().map(|(id, status)| json!({"id": id, "status": status})).collect();
    json!({"status": "active", "agents": agents})
}

/// What tmux answers on the default socket of this directory.
fn tmux(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("tmux").args(arguments).env("TMUX_TMPDIR", directory).env_remove("TMUX").output();
    let output = output.map_err(|e| format!("cannot run tmux: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ask(running: &Running, arguments: &[&str]) -> Result<String, String> {
    tmux(&running.file(""), arguments)
}

/// The names of all sessions, sorted.
fn sessions(running: &Running) -> Result<Vec<String>, String> {
    let names = ask(running, &["list-sessions", "-F", "#{session_name}"])?;
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

fn wait_for_sessions(running: &Running, expected: &[&str]) -> Outcome {
    running.wait_for(&format!("the sessions to be {expected:?}"), || {
        sessions(running).is_ok_and(|found| found == expected)
    })
}

/// Passes take place until one after all that was there before has ended a session of nobody's.
fn wait_for_a_pass(running: &Running, name: &str) -> Outcome {
    let name = format!("claude-agent-nobody-{name}");
    ask(running, &["new-session", "-d", "-s", &name, "sleep 1000"])?;
    running.wait_for(&format!("{name} to be ended"), || said(running, &format!("ended session {name}:")) == 1)
}

/// How often the init has said this.
fn said(running: &Running, text: &str) -> usize {
    running.stderr().lines().filter(|line| line.contains(text)).count()
}

fn registry(running: &Running, workspace: &str) -> String {
    running.text(&format!("ws/{workspace}/{REGISTRY}"))
}

/// How many processes were started by this path.
fn count(path: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let lines = entries.flatten().filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let name = path.display().to_string().into_bytes();
    lines.filter(|line| line.split(|&byte| byte == 0).any(|word| word == name)).count()
}

#[test]
fn orphans_are_ended_and_everybody_else_stays() -> Tested {
    const LONG: &str = "TASK-20251029-225319-45548b6a";
    let mut scene = Scene::new(Place::Below)?
        .task("T1", &agents(&[("a", "running"), ("ab", "completed"), ("b-error", "error"), ("c", "failed")]))?
        .task(LONG, &agents(&[("builder-1-abc", "running"), ("builder-1", "terminated")]))?
        .task("TASK-20251029", &agents(&[]))?
        .task("T2", &agents(&[]))?;
    std::fs::create_dir(scene.workspace("T3")).map_err(|e| e.to_string())?;
    let kept = [
        "claude-agent-T1-a".to_owned(),
        format!("claude-agent-{LONG}-builder-1-abc"),
        "other-agent-T9-x".to_owned(),
    ];
    let orphans =
        ["T1-ab", "T1-b-error", "T1-c", "T2-not-listed", "T3-no-registry", "T9-no-workspace", "T11-a"];
    let orphans = orphans.map(|name| format!("claude-agent-{name}"));
    let ended = format!("claude-agent-{LONG}-builder-1");
    for name in kept.iter().chain(&orphans).chain([&ended]) {
        scene = scene.session(name, "exec sleep 1000");
    }
    let mut running = scene.start("every = \"1h\"\nsessions = { @sessions }")?;
    wait_for_sessions(&running, &kept.each_ref().map(String::as_str))?;
    running.wait_for("all to be told", || said(&running, "ended session") == orphans.len() + 1)?;
    ensure!(registry(&running, "T1").contains("completed"), "the registry was not to be touched");
    running.signal(SIGTERM)?;
    ensure!(running.end()?.code == Some(0), "the stop failed");
    let more = said(&running, "ended session") - orphans.len() - 1;
    ensure!(more == 0, "{}", running.explain("the last pass has ended others"));
    Ok(())
}

/// tmux escapes them, in a way of each version's own.
#[test]
fn what_is_escaped_in_a_session_s_name_is_nobody_s_orphan_and_keeps_its_workspace() -> Tested {
    let tasks = ["a\\b", "T", "tab\tx"];
    let mut scene = Scene::new(Place::Below)?;
    for task in tasks {
        let agents = json!([{"id": "cost$usd", "status": "running"}]);
        scene = scene.task(task, &json!({"status": "completed", "agents": agents}))?.aged(task, 8)?;
        scene = scene.session(&format!("claude-agent-{task}-cost$usd"), "exec sleep 1000");
    }
    let scene = scene.task("over", &json!({"status": "completed"}))?.aged("over", 8)?;
    let running =
        scene.start("every = \"100ms\"\nsessions = { @sessions }\nworkspaces = { older_than = \"7d\" }")?;
    running.wait_for("over to be deleted", || said(&running, "deleted workspace over") == 1)?;
    for pass in ["one", "two"] {
        wait_for_a_pass(&running, pass)?;
    }
    ensure!(sessions(&running)?.len() == tasks.len(), "{}", running.explain("one was ended"));
    for task in tasks {
        ensure!(running.file("ws").join(task).exists(), "{}", running.explain(&format!("{task:?} is gone")));
    }
    let times = said(&running, "tmux has escaped something in its name");
    ensure!(times == tasks.len(), "{}", running.explain(&format!("told {times} times")));
    Ok(())
}

#[test]
fn nothing_of_an_orphan_is_left_whatever_it_ignores() -> Tested {
    let scene = Scene::new(Place::Below)?;
    let sleeper = scene.stage.copy("/bin/sleep", "sleeper", 0o755)?;
    let sleeper = PathBuf::from(sleeper);
    let path = sleeper.display();
    // A job in a group of its own, one that hears nothing, and a shell that ends by SIGHUP alone.
    let stubborn = format!("trap \"\" TERM HUP; set -m; {path} 1000 & {path} 1001 & wait; wait");
    let scene = scene.session("claude-agent-T-a", &stubborn).session("claude-agent-T-b", "bash -i");
    let scene = scene.session("mine", &format!("exec {path} 1002"));
    let running = scene.start("every = \"1h\"\nsessions = { @sessions }")?;
    running.wait_for("the sleepers", || count(&sleeper) == 3)?;
    wait_for_sessions(&running, &["mine"])?;
    ensure!(count(&sleeper) == 1, "{}", running.explain("somebody is left"));
    Ok(())
}

#[test]
fn a_registry_that_is_not_understood_keeps_all_and_is_told_once() -> Tested {
    let scene = Scene::new(Place::Below)?
        .task_of_text("bad", "{\"status\": \"completed\", \"agents\": [")?
        .task_of_text("empty", "")?
        .task("list", &json!({"status": "completed", "agents": {"a": 1}}))?
        .aged("bad", 30)?;
    let link = scene.workspace("link");
    symlink("bad", link).map_err(|e| e.to_string())?;
    let kept = ["bad", "empty", "link", "list"].map(|task| format!("claude-agent-{task}-a"));
    let scene = kept.iter().fold(scene, |scene, name| scene.session(name, "exec sleep 1000"));
    let running =
        scene.start("every = \"100ms\"\nsessions = { @sessions }\nworkspaces = { older_than = \"1d\" }")?;
    for pass in ["one", "two"] {
        wait_for_a_pass(&running, pass)?;
    }
    ensure!(sessions(&running)? == kept, "{:?} are left", sessions(&running)?);
    for task in ["bad", "empty", "link", "list"] {
        let times = said(&running, &format!("ws/{task}/{REGISTRY}"));
        ensure!(times == 1, "{}", running.explain(&format!("{task} was told {times} times")));
        ensure!(running.file(&format!("ws/{task}")).exists(), "{task} was deleted");
    }
    Ok(())
}

#[test]
fn a_registry_that_is_locked_is_waited_for_but_not_for_long() -> Tested {
    let scene = Scene::new(Place::Below)?
        .task("T1", &agents(&[("a", "completed")]))?
        .session("claude-agent-T1-a", "exec sleep 1000");
    let file = File::options().read(true).write(true).open(scene.workspace("T1").join(REGISTRY));
    let file = file.map_err(|e| e.to_string())?;
    let orchestrator = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| e.to_string())?;
    let running = scene.start("every = \"100ms\"\nsessions = { @sessions, update = true }")?;
    wait_for_a_pass(&running, "one")?;
    ensure!(sessions(&running)?.contains(&"claude-agent-T1-a".to_owned()), "it was ended");
    ensure!(said(&running, "somebody has it locked") == 1, "{}", running.explain("told otherwise"));
    drop(orchestrator);
    running.wait_for("it to be ended", || registry(&running, "T1").contains("terminated"))?;
    wait_for_sessions(&running, &[])?;
    Ok(())
}

#[test]
fn a_registry_is_changed_in_place_and_everything_else_is_kept() -> Tested {
    let text = "{\"version\": 1.0,\n \"status\":\"active\", \"agents\": [\n  {\"status\":\"failed\", \"zeta\": [1, 2],\n   \
                \"id\":\"a\", \"alpha\": null},\n  {\"id\": \"b\", \"status\": \"completed\"}\n ], \"extra\": {\"k\": 1e3}}\n";
    let scene =
        Scene::new(Place::Below)?.task_of_text("T1", text)?.session("claude-agent-T1-a", "exec sleep 1000");
    let path = scene.workspace("T1").join(REGISTRY);
    let inode = |path: &Path| std::fs::metadata(path).map(|m| m.ino()).map_err(|e| e.to_string());
    let before = inode(&path)?;
    let running = scene.start("every = \"1h\"\nsessions = { @sessions, update = true }")?;
    running.wait_for("the update", || said(&running, "a is terminated now") == 1)?;
    ensure!(registry(&running, "T1") == text.replace("failed", "terminated"), "{}", registry(&running, "T1"));
    ensure!(inode(&path)? == before, "another file");
    Ok(())
}

#[test]
fn finished_workspaces_are_deleted_and_nothing_else_is() -> Tested {
    let done = |status: &str| json!({"status": status, "agents": []});
    let scene = Scene::new(Place::Below)?
        .task("old", &done("completed"))?
        .aged("old", 8)?
        .task("new", &done("completed"))?
        .aged("new", 6)?
        .task("active", &done("active"))?
        .aged("active", 8)?
        .task("used", &json!({"status": "completed", "agents": [{"id": "a", "status": "running"}]}))?
        .aged("used", 8)?
        .session("claude-agent-used-a", "exec sleep 1000");
    let outside = scene.stage.file("outside");
    let made = std::fs::create_dir_all(scene.workspace("old").join("deep/er"))
        .and_then(|()| std::fs::create_dir(scene.workspace("bare")))
        .and_then(|()| std::fs::create_dir(&outside))
        .and_then(|()| std::fs::write(outside.join("file"), "untouched"))
        .and_then(|()| std::fs::write(outside.join(REGISTRY), done("completed").to_string()))
        .and_then(|()| symlink(&outside, scene.workspace("old").join("deep/link")))
        .and_then(|()| symlink(&outside, scene.workspace("linked")))
        .and_then(|()| std::fs::write(scene.workspace("bare").join("file"), "untouched"));
    made.map_err(|e| e.to_string())?;
    let running =
        scene.start("every = \"1h\"\nsessions = { @sessions }\nworkspaces = { older_than = \"7d\" }")?;
    running.wait_for("old to be deleted", || said(&running, "deleted workspace") == 1)?;
    ensure!(!running.file("ws/old").exists(), "old is there");
    for kept in ["ws/new", "ws/active", "ws/used", "ws/bare/file", "ws/linked", "outside/file"] {
        ensure!(running.file(kept).exists(), "{}", running.explain(&format!("{kept} is gone")));
    }
    Ok(())
}

#[test]
fn what_is_mounted_in_a_workspace_is_not_entered() -> Tested {
    let scene = Scene::new(Place::Below)?
        .task("old", &json!({"status": "completed"}))?
        .aged("old", 8)?
        .task("mount", &json!({"status": "completed"}))?
        .aged("mount", 8)?;
    let (inside, mount) = (scene.workspace("old").join("inside"), scene.workspace("mount"));
    let outside = scene.stage.file("outside");
    let made = std::fs::create_dir(&inside)
        .and_then(|()| std::fs::create_dir(&outside))
        .and_then(|()| std::fs::write(outside.join("file"), "untouched"));
    made.map_err(|e| e.to_string())?;
    let bind = |place: &Path, what: &Path| format!("{}={}", place.display(), what.display());
    let stage = scene.stage.with("--bind", bind(&inside, &outside)).with("--bind", bind(&mount, &mount));
    let running = Scene { stage, ..scene }
        .start("every = \"1h\"\nsessions = { @sessions }\nworkspaces = { older_than = \"7d\" }")?;
    running.wait_for("both to be refused", || said(&running, "cannot delete workspace") == 2)?;
    for kept in ["outside/file", "ws/mount/AGENT_REGISTRY.json", "ws/old/AGENT_REGISTRY.json"] {
        ensure!(running.file(kept).exists(), "{}", running.explain(&format!("{kept} is gone")));
    }
    Ok(())
}

#[test]
fn a_dry_run_only_says_what_it_would_do() -> Tested {
    let scene = Scene::new(Place::Below)?
        .task("T1", &json!({"status": "completed", "agents": [{"id": "a", "status": "error"}]}))?
        .task("old", &json!({"status": "completed"}))?
        .aged("old", 8)?
        .task("used", &json!({"status": "completed", "agents": [{"id": "a", "status": "terminated"}]}))?
        .aged("used", 8)?
        .session("claude-agent-T1-a", "exec sleep 1000")
        .session("claude-agent-used-a", "exec sleep 1000");
    let mut running = scene.start(
        "every = \"1h\"\nsessions = { @sessions, update = true }\nworkspaces = { older_than = \"7d\" }\ndry_run = true",
    )?;
    let used = "would delete workspace used";
    running.wait_for("the workspaces to be told", || said(&running, used) == 1)?;
    for told in [
        "would end session claude-agent-T1-a: T1 says that a is error",
        "ws/T1/AGENT_REGISTRY.json that a is terminated",
        "would delete workspace old",
    ] {
        ensure!(said(&running, told) == 1, "{}", running.explain(&format!("untold: {told}")));
    }
    ensure!(sessions(&running)? == ["claude-agent-T1-a", "claude-agent-used-a"], "one was ended");
    running.signal(SIGTERM)?;
    ensure!(running.end()?.code == Some(0), "the stop failed");
    ensure!(said(&running, "ended session") == 0, "{}", running.explain("it was ended"));
    for workspace in ["ws/old", "ws/used"] {
        ensure!(running.file(workspace).exists(), "{workspace} was deleted");
    }
    ensure!(registry(&running, "T1").contains("error"), "it was changed");
    Ok(())
}

/// A registry that is written to is as new as can be, so its workspace stays.
#[test]
fn a_dry_run_says_what_the_pass_after_it_does() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = |name: &str| directory.path().join(name);
    let workspace = path("ws").join("T1");
    std::fs::create_dir_all(&workspace).map_err(|e| e.to_string())?;
    let registry = workspace.join(REGISTRY);
    let agent = |id: &str, status: &str| json!({"id": id, "status": status});
    let agents = json!({"status": "completed", "agents": [agent("a", "completed"), agent("b", "error")]});
    std::fs::write(&registry, agents.to_string()).map_err(|e| e.to_string())?;
    let then = SystemTime::now() - Duration::from_hours(24 * 8);
    let file = File::options().append(true).open(&registry);
    file.and_then(|file| file.set_modified(then)).map_err(|e| e.to_string())?;
    let text = format!(
        "[[program]]\nname = \"p\"\ncommand = [\"true\"]\n[hygiene]\nsessions = {{ prefix = \"claude-agent-\", \
         workspaces = {:?}, update = true }}\nworkspaces = {{ older_than = \"7d\" }}\n",
        path("ws")
    );
    std::fs::write(path("fleet.toml"), text).map_err(|e| e.to_string())?;
    let _server = Server::start(directory.path(), "claude-agent-T1-a")?;
    let pass = |more: &[&str]| pass_by_hand(directory.path(), more);
    let (path, why) = (registry.display(), "claude-agent-T1-a: T1 says that a is completed");
    let said = pass(&["--dry-run"])?;
    ensure!(
        said == format!("would end session {why}\nwould write to {path} that a is terminated\n"),
        "{said}"
    );
    let said = pass(&[])?;
    ensure!(said == format!("ended session {why}\na is terminated now in {path}\n"), "{said}");
    ensure!(registry.exists(), "the workspace is gone");
    Ok(())
}

#[test]
fn agents_that_go_with_the_init_are_terminated_in_the_registry() -> Tested {
    let scene = Scene::new(Place::Pid1)?
        .task("T1", &agents(&[("a", "running"), ("b", "running")]))?
        .session("claude-agent-T1-a", "exec sleep 1000")
        .session("mine", "exec sleep 1000");
    let mut running = scene.start("every = \"1h\"\nsessions = { @sessions, update = true }")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let expected = agents(&[("a", "terminated"), ("b", "running")]).to_string();
    ensure!(registry(&running, "T1") == expected, "{}", running.explain(&registry(&running, "T1")));
    Ok(())
}

#[test]
fn a_tmux_that_hangs_delays_a_stop_by_little() -> Tested {
    let scene = Scene::new(Place::Below)?.session("mine", "exec sleep 1000");
    let mut running = scene.start("every = \"100ms\"\nsessions = { @sessions }")?;
    let server = ask(&running, &["display-message", "-p", "-t", "=mine:", "#{pid}"])?;
    let server = outer(&running, server.trim().parse().map_err(|_| format!("strange: {server:?}"))?)?;
    send(server, SIGSTOP)?;
    running.wait_for("tmux to be missed", || said(&running, "tmux does not answer") == 1)?;
    let lateness = Lateness::watch();
    running.signal(SIGTERM)?;
    ensure!(running.end()?.code == Some(0), "the stop failed");
    let took = running.record()?.number("elapsed_ms")?;
    ensure!(took < 2000 + lateness.allowed_ms(), "{}", running.explain(&format!("it took {took} ms")));
    Ok(())
}

/// The number that a process of the stage has here.
fn outer(running: &Running, inner: i32) -> Result<i32, String> {
    let init = running.init()?;
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = namespace(init.pid);
    let entries = std::fs::read_dir("/proc").map_err(|e| e.to_string())?;
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut near = numbers.filter(|pid| namespace(*pid) == wanted).filter_map(support::process);
    near.find(|p| p.inner_pid == inner).map(|p| p.pid).ok_or_else(|| format!("no process {inner}"))
}

#[test]
fn a_server_in_another_namespace_is_left_alone() -> Tested {
    let scene = Scene::new(Place::Below)?;
    let directory = scene.stage.file("");
    let _server = Server::start(&directory, "claude-agent-T1-a")?;
    let running = scene.start("every = \"1h\"\nsessions = { @sessions }")?;
    running.wait_for("it to be told", || said(&running, "it is in another PID namespace") == 1)?;
    ensure!(sessions(&running)? == ["claude-agent-T1-a"], "it was ended");
    Ok(())
}

#[test]
fn own_programs_are_no_orphans_and_are_terminated_in_the_registry_when_they_are_stopped() -> Tested {
    let scene = Scene::new(Place::Below)?
        .task("T1", &agents(&[("stopped", "running"), ("over", "running"), ("other", "running")]))?;
    let agent = |name: &str, session: &str, shell: &str| {
        format!(
            "[[program]]\nname = \"{name}\"\nshell = \"{shell}\"\ntmux = {{ session = \"claude-agent-{session}\" }}\n"
        )
    };
    let programs = [
        agent("stopped", "T1-stopped", "exec sleep 1000"),
        agent("over", "T1-over", "exit 0"),
        agent("unlisted", "T9-unlisted", "exec sleep 1000"),
    ];
    let hygiene = format!(
        "every = \"100ms\"\nsessions = {{ @sessions, socket = \"runinit\", update = true }}\n{}",
        programs.concat()
    );
    let mut running = scene.start(&hygiene)?;
    for agent in ["stopped", "unlisted"] {
        running.wait_for(&format!("{agent} to run"), || said(&running, &format!("{agent}: started")) == 1)?;
    }
    let nobody = ["-L", "runinit", "new-session", "-d", "-s", "claude-agent-T9-nobody", "sleep 1000"];
    ask(&running, &nobody)?;
    running.wait_for("a pass", || said(&running, "ended session claude-agent-T9-nobody:") == 1)?;
    ensure!(said(&running, "ended session") == 1, "{}", running.explain("others were ended"));
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let expected =
        agents(&[("stopped", "terminated"), ("over", "running"), ("other", "running")]).to_string();
    ensure!(registry(&running, "T1") == expected, "{}", running.explain(&registry(&running, "T1")));
    Ok(())
}

#[test]
fn the_workspace_of_an_own_program_is_kept_whatever_socket_it_lives_on() -> Tested {
    let done = |agent: &str| json!({"status": "completed", "agents": [{"id": agent, "status": "completed"}]});
    let mut scene = Scene::new(Place::Below)?.session("mine", "exec sleep 1000");
    for task in ["T1", "T2"] {
        scene = scene.task(task, &done("own"))?.aged(task, 10)?;
    }
    let own = "[[program]]\nname = \"own\"\nshell = \"exec sleep 1000\"\ntmux = { session = \"claude-agent-T1-own\" }\n\
               [tmux]\nsocket = \"runinit\"\n";
    let hygiene = "every = \"100ms\"\nsessions = { @sessions, socket = \"default\" }\n\
                   workspaces = { older_than = \"7d\" }\n";
    let running = scene.start(&format!("{hygiene}{own}"))?;
    running.wait_for("T2 to be deleted", || said(&running, "deleted workspace T2") == 1)?;
    for pass in ["one", "two"] {
        wait_for_a_pass(&running, pass)?;
    }
    ensure!(running.file("ws/T1").exists(), "{}", running.explain("T1 is gone"));
    Ok(())
}

/// A tmux server of the test's own.
struct Server(i32);

impl Server {
    fn start(directory: &Path, session: &str) -> Result<Self, String> {
        let words = ["-f", "/dev/null", "new-session", "-d", "-s", session, "sleep 1000"];
        tmux(directory, &words)?;
        let pid = tmux(directory, &["display-message", "-p", "-t", &format!("={session}:"), "#{pid}"])?;
        pid.trim().parse().map(Self).map_err(|_| format!("strange: {pid:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By its number: the directory with its socket may be gone before it. It may have ended with its last session.
        let _ = send(self.0, SIGTERM);
    }
}

#[test]
fn a_session_that_shows_the_windows_of_another_is_no_orphan() -> Tested {
    let mut scene = Scene::new(Place::Below)?
        .task("T1", &agents(&[("a", "running")]))?
        .session("claude-agent-T1-a", "exec sleep 1000");
    scene.sessions += "tmux new-session -d -t claude-agent-T1-a -s claude-agent-T1-a-1\n";
    let running = scene.start("every = \"100ms\"\nsessions = { @sessions }")?;
    wait_for_a_pass(&running, "one")?;
    let kept = ["claude-agent-T1-a", "claude-agent-T1-a-1"];
    ensure!(sessions(&running)? == kept, "{:?} are left", sessions(&running)?);
    Ok(())
}

#[test]
fn each_zombie_is_told_once() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        // The second one is there only when the first has been told, so that there have been more passes than one.
        let told = "until grep -q zombie @dir/stderr; do sleep 0.01; done";
        let text = format!(
            "[[program]]\nname = \"p\"\nshell = \"sleep 0 & ({told}) & exec sleep 1000\"\n[hygiene]\nevery = \"100ms\"\n"
        );
        stage.write("fleet.toml", &text.replace("@dir", stage.path("").trim_end_matches('/')), 0o644)?;
        let config = stage.path("fleet.toml");
        let mut running = stage.start(runinit(&["--config", &config], &[]))?;
        let told = |running: &Running| said(running, "1 zombie is not reaped by its parent");
        running.wait_for("both zombies to be told", || told(&running) == 2)?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        ensure!(told(&running) == 2, "{}", running.explain("told again"));
    }
    Ok(())
}

#[test]
fn a_pass_by_hand_spares_the_programs_that_were_added_to_the_fleet_that_runs() -> Tested {
    let scene = Scene::new(Place::Below)?;
    let stage = &scene.stage;
    let (socket, ws) = (stage.path("control"), stage.path("ws"));
    // Nothing but what hygiene needs to know.
    let init = format!("[init]\ncontrol_socket = {socket:?}\n");
    let sessions =
        format!("sessions = {{ prefix = \"claude-agent-\", socket = \"runinit\", workspaces = {ws:?} }}");
    stage.write("hand.toml", &format!("{init}[hygiene]\n{sessions}\n"), 0o644)?;
    let (runinit_path, said_path) = (env!("CARGO_BIN_EXE_runinit"), stage.path("said"));
    let (by_hand, config) = (stage.path("hand.toml"), stage.path("fleet.toml"));
    let script = format!(
        "until {runinit_path} start --control {socket} --name added --tmux claude-agent-T9-added -- sleep 1000; do sleep 0.05; done
        tmux -L runinit new-session -d -s claude-agent-T9-nobody \"sleep 1000\"
        {runinit_path} hygiene --config {by_hand} >{said_path} 2>&1; echo done >>{said_path}; exec sleep 1000"
    );
    let agent =
        "[[program]]\nname = \"agent\"\nshell = \"exec sleep 1000\"\ntmux = { session = \"agent\" }\n";
    let hand = format!("[[program]]\nname = \"hand\"\nafter = [\"agent\"]\nshell = '''\n{script}\n'''\n");
    stage.write("fleet.toml", &format!("{init}{agent}{hand}"), 0o644)?;
    let running = scene.stage.start(runinit(&["--config", &config], &[]))?;
    running.wait_for_line("said", "done")?;
    let expected = "ended session claude-agent-T9-nobody: its workspace does not exist\ndone\n";
    ensure!(running.text("said") == expected, "{}", running.explain(&running.text("said")));
    Ok(())
}

/// A fleet without workspaces, for passes by hand.
fn write_fleet(directory: &Path) -> Outcome {
    let ws = directory.join("ws");
    let text = format!(
        "[hygiene]\nsessions = {{ prefix = \"claude-agent-\", workspaces = \"{}\" }}\n",
        ws.display()
    );
    let written = std::fs::create_dir(&ws).and_then(|()| std::fs::write(directory.join("fleet.toml"), text));
    written.map_err(|e| e.to_string())
}

/// What a pass says by the fleet in a directory, where its sessions are, too; but for the zombies of this machine.
fn pass_by_hand(directory: &Path, more: &[&str]) -> Result<String, String> {
    // As under a parent that ignores its own children's ends.
    let output = Command::new("env")
        .args(["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_runinit"), "hygiene", "--config"])
        .arg(directory.join("fleet.toml"))
        .args(more)
        .env("TMUX_TMPDIR", directory)
        .output();
    let output = output.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.split_inclusive('\n').filter(|line| !line.contains(" not reaped by ")).collect())
}

#[test]
fn a_pass_by_hand_that_cannot_do_all_says_so_by_its_exit_code() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    write_fleet(directory.path())?;
    let code = || {
        let pass = Command::new(env!("CARGO_BIN_EXE_runinit"))
            .args(["hygiene", "--config"])
            .arg(directory.path().join("fleet.toml"))
            .env("TMUX_TMPDIR", directory.path())
            .output();
        pass.map(|pass| pass.status.code()).map_err(|e| e.to_string())
    };
    ensure!(code()? == Some(0), "all is there");
    std::fs::remove_dir(directory.path().join("ws")).map_err(|e| e.to_string())?;
    ensure!(code()? == Some(1), "the workspaces are missing");
    Ok(())
}

#[test]
fn a_pass_by_hand_that_nobody_reads_is_done_to_its_end() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    write_fleet(directory.path())?;
    let _server = Server::start(directory.path(), "claude-agent-T1-a")?;
    tmux(directory.path(), &["new-session", "-d", "-s", "claude-agent-T2-a", "sleep 1000"])?;
    let (reader, writer) = std::io::pipe().map_err(|e| e.to_string())?;
    drop(reader);
    // The test itself ignores it.
    let status = Command::new("env")
        .args(["--default-signal=PIPE", env!("CARGO_BIN_EXE_runinit"), "hygiene", "--config"])
        .arg(directory.path().join("fleet.toml"))
        .env("TMUX_TMPDIR", directory.path())
        .stdout(writer)
        .status();
    let status = status.map_err(|e| e.to_string())?;
    ensure!(status.success(), "{status}");
    ensure!(tmux(directory.path(), &["list-sessions"])?.is_empty(), "one is there");
    Ok(())
}

#[test]
fn a_pass_by_hand_says_what_it_does() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    write_fleet(directory.path())?;
    let _server = Server::start(directory.path(), "claude-agent-T1-a")?;
    let pass = |more: &[&str]| pass_by_hand(directory.path(), more);
    let why = "session claude-agent-T1-a: its workspace does not exist";
    let said = pass(&["--dry-run"])?;
    ensure!(said.lines().any(|line| line == format!("would end {why}")), "{said}");
    let said = pass(&[])?;
    ensure!(said.lines().any(|line| line == format!("ended {why}")), "{said}");
    ensure!(tmux(directory.path(), &["list-sessions"])?.is_empty(), "it is there");
    Ok(())
}
