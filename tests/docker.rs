//! In a container FROM scratch, started and stopped by a Docker engine.
//!
//! Nothing is pulled: the image holds runinit and Debian's busybox-static, and it is removed at the end.

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use support::{Lateness, PATIENCE, Record, Tested, ensure, goes_without, until};

const RECORD: &str = "/run/runinit/shutdown_state.json";
const BUSYBOX: &str = "/bin/busybox";
/// A program that ends by SIGTERM, and one that does not.
const POLITE: &str = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.1; done";
const STUBBORN: &str = "trap '' TERM INT; echo ready; while :; do sleep 0.1; done";

fn docker(arguments: &[&str]) -> Result<Output, String> {
    Command::new("docker").args(arguments).output().map_err(|e| format!("docker: {e}"))
}

/// Runs docker, which has to succeed, and returns what it prints.
fn docker_says(arguments: &[&str]) -> Result<String, String> {
    let output = docker(arguments)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("docker {}: {}", arguments.join(" "), text(&output.stderr)))
}

/// True if there is an engine; false if there is none, where that is allowed.
fn is_there() -> Result<bool, String> {
    let why = match docker_says(&["version", "--format", "{{.Server.Os}}"]) {
        Ok(os) if os == "linux" && Path::new(BUSYBOX).exists() => return Ok(true),
        Ok(os) => format!("an engine for {os}, busybox-static at {BUSYBOX}: {}", Path::new(BUSYBOX).exists()),
        Err(why) => why,
    };
    goes_without("RUNINIT_TESTS_WITHOUT_DOCKER", &format!("no container can be started: {why}"))
}

/// A name that no other process of the tests uses.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("runinit-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An image, until it is dropped.
struct Image(String);

impl Image {
    fn build() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let root = dir.path().join("root");
        fill(&root).map_err(|e| e.to_string())?;
        let lines = "FROM scratch\nCOPY root /\nENV PATH=/bin\nENTRYPOINT [\"/runinit\"]\n";
        std::fs::write(dir.path().join("Dockerfile"), lines).map_err(|e| e.to_string())?;
        let name = unique();
        // No cache: another test that removes its image would take shared steps out of this one's hands.
        let options = ["build", "--quiet", "--no-cache", "--force-rm", "--tag", &name];
        docker_says(&[&options[..], &[&dir.path().display().to_string()]].concat())?;
        Ok(Self(name))
    }
}

/// The image's files: two static binaries and the names of a few commands.
fn fill(root: &Path) -> std::io::Result<()> {
    let bin: PathBuf = root.join("bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy(env!("CARGO_BIN_EXE_runinit"), root.join("runinit"))?;
    std::fs::copy(BUSYBOX, bin.join("busybox"))?;
    ["sh", "sleep", "setsid", "cat", "mkdir"].iter().try_for_each(|name| symlink("busybox", bin.join(name)))
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

/// A container, until it is dropped.
struct Container {
    name: String,
}

impl Container {
    /// Starts runinit, with these arguments, as the container's PID 1.
    fn start(image: &Image, options: &[&str], arguments: &[&str]) -> Result<Self, String> {
        let container = Self { name: unique() };
        let all = ["run", "--detach", "--network", "none", "--name", &container.name];
        docker_says(&[&all[..], options, &[&image.0], arguments].concat())?;
        Ok(container)
    }

    fn says(&self, text: &str) -> bool {
        docker(&["logs", &self.name]).is_ok_and(|output| {
            [output.stdout, output.stderr].iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
        })
    }

    fn wait_for(&self, text: &str) -> Result<(), String> {
        if until(PATIENCE, || self.says(text)) {
            Ok(())
        } else {
            Err(self.explain(&format!("never said {text:?}")))
        }
    }

    /// Waits for the container's end: its exit code.
    fn end(&self) -> Result<i32, String> {
        docker_says(&["wait", &self.name])?.parse().map_err(|e| self.explain(&format!("no exit code: {e}")))
    }

    /// `docker stop`, with the engine's own ten seconds.
    fn stop(&self) -> Result<i32, String> {
        docker_says(&["stop", &self.name])?;
        self.end()
    }

    fn record(&self) -> Result<Record, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let file = dir.path().join("record");
        docker_says(&["cp", &format!("{}:{RECORD}", self.name), &file.display().to_string()])?;
        Record::read(&file)
    }

    fn explain(&self, message: &str) -> String {
        let logs = docker(&["logs", &self.name]).map(|output| {
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
        });
        format!("{message}\n{}", logs.unwrap_or_default())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

#[test]
fn a_container_has_its_programs_exit_code() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let image = Image::build()?;
    for (script, code) in [("exit 42", 42), ("kill -9 $$", 137), ("exec /no/such/command", 127)] {
        let container = Container::start(&image, &[], &["--", "sh", "-c", script])?;
        let got = container.end()?;
        ensure!(got == code, "{}", container.explain(&format!("{script}: {got}")));
    }
    let container = Container::start(&image, &[], &["--", "/no/such/command"])?;
    ensure!(container.end()? == 127, "{}", container.explain("a missing command"));
    Ok(())
}

#[test]
fn docker_stop_ends_a_polite_program_at_once() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let image = Image::build()?;
    let container = Container::start(&image, &[], &["--", "sh", "-c", POLITE])?;
    container.wait_for("ready")?;
    let code = container.stop()?;
    ensure!(code == 4, "{}", container.explain(&format!("exit code {code}")));
    let record = container.record()?;
    ensure!(
        record.text("phase")? == "stopped" && record.text("reason")? == "graceful_shutdown",
        "{record:?}"
    );
    ensure!(
        record.text("signal.name")? == "SIGTERM" && record.number("signal.sender_pid")? == 0,
        "{record:?}"
    );
    ensure!(record.number("elapsed_ms")? < 1500, "there was nothing to wait for: {record:?}");
    Ok(())
}

#[test]
fn docker_stop_never_has_to_kill() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let late = Lateness::watch();
    let image = Image::build()?;
    let container = Container::start(&image, &[], &["--", "sh", "-c", STUBBORN])?;
    container.wait_for("ready")?;
    // The engine would kill after ten seconds; by then all is over and recorded, without any option.
    let code = container.stop()?;
    ensure!(code == 137, "{}", container.explain(&format!("exit code {code}")));
    let record = container.record()?;
    ensure!(record.text("phase")? == "stopped" && record.number("exit_code")? == 137, "{record:?}");
    ensure!(record.number("elapsed_ms")? >= 8100 && late.in_time(&record)?, "{record:?}");
    ensure!(record.text("programs.0.stopped_by")? == "SIGKILL", "{record:?}");
    Ok(())
}

#[test]
fn a_stopsignal_other_than_sigterm_works() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let late = Lateness::watch();
    let options = ["--stop-signal", "SIGINT", "--env", "RUNINIT_GRACE=2s"];
    let image = Image::build()?;
    let container = Container::start(&image, &options, &["--", "sh", "-c", STUBBORN])?;
    container.wait_for("ready")?;
    let code = container.stop()?;
    ensure!(code == 137, "{}", container.explain(&format!("exit code {code}")));
    let record = container.record()?;
    ensure!(record.text("signal.name")? == "SIGINT" && late.in_time(&record)?, "{record:?}");
    Ok(())
}

#[test]
fn what_daemonised_itself_is_asked_to_end() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let script = "setsid sh -c \"trap 'echo stray hears; exit 0' TERM; echo stray ready; while :; do sleep 0.1; done\" & wait";
    let image = Image::build()?;
    let script = format!("trap 'exit 5' TERM; {script}");
    let container = Container::start(&image, &[], &["--", "sh", "-c", &script])?;
    container.wait_for("stray ready")?;
    let code = container.stop()?;
    ensure!(
        code == 5 && container.says("stray hears"),
        "{}",
        container.explain(&format!("exit code {code}"))
    );
    let record = container.record()?;
    ensure!(record.list("strays")?.iter().any(|stray| stray["stopped_by"] == "SIGTERM"), "{record:?}");
    Ok(())
}

#[test]
fn a_fleet_stops_in_order() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let text = |name: &str, more: &str| {
        let script =
            format!("trap 'echo {name} ends; exit 0' TERM; echo {name} ready; while :; do sleep 0.1; done");
        format!("[[program]]\nname = \"{name}\"\nshell = \"{script}\"\n{more}\n")
    };
    // The image has no file for it, and a volume would have to be where the engine is: the shell writes it.
    let fleet = text("db", "") + &text("web", "after = ['db']");
    let script = format!(
        "cat >/fleet.toml <<'END'\n{fleet}END\nexec /runinit --config /fleet.toml --state-file {RECORD}"
    );
    let script = format!("mkdir -p /run/runinit; {script}");
    let image = Image::build()?;
    let container = Container::start(&image, &["--entrypoint", "/bin/sh"], &["-c", &script])?;
    container.wait_for("db ready")?;
    container.wait_for("web ready")?;
    let code = container.stop()?;
    ensure!(code == 0, "{}", container.explain(&format!("exit code {code}")));
    let logs = container.explain("");
    ensure!(logs.find("web ends") < logs.find("db ends") && logs.contains("web ends"), "{logs}");
    let record = container.record()?;
    ensure!(record.list("active_tasks")?.len() == 2 && record.number("elapsed_ms")? < 3000, "{record:?}");
    Ok(())
}

#[test]
fn a_locked_down_container_changes_nothing() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let options =
        ["--read-only", "--cap-drop", "ALL", "--user", "12345:12345", "--security-opt", "no-new-privileges"];
    let image = Image::build()?;
    let container = Container::start(&image, &options, &["--", "sh", "-c", POLITE])?;
    container.wait_for("ready")?;
    let code = container.stop()?;
    ensure!(code == 4, "{}", container.explain(&format!("exit code {code}")));
    ensure!(!container.says("runinit:"), "{}", container.explain("it complains"));
    Ok(())
}

#[test]
fn few_pids_are_enough() -> Tested {
    if !is_there()? {
        return Ok(());
    }
    let started = Instant::now();
    let image = Image::build()?;
    let script = "sleep 0.1; exit 11";
    let container = Container::start(&image, &["--pids-limit", "4"], &["--", "sh", "-c", script])?;
    let code = container.end()?;
    ensure!(code == 11, "{}", container.explain(&format!("exit code {code} after {:?}", started.elapsed())));
    Ok(())
}
