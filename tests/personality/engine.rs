//! `docker run --init` with runinit as the engine's own init: a second engine, beside whatever engine there is, with its
//! own directories, socket and containerd, and no network. Nothing is pulled: the image holds Debian's busybox-static.

use crate::support::{Outcome, PATIENCE, ensure, goes_without, until};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";
const IMAGE: &str = "runinit-init-test";

/// An engine, until it is dropped.
struct Engine {
    daemon: Child,
    dir: TempDir,
}

impl Engine {
    fn start() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("runinit-engine-").tempdir().map_err(|e| e.to_string())?;
        // By this name it is asked for its version; in containers it has it whatever the file is called.
        let init = dir.path().join("docker-init");
        symlink(env!("CARGO_BIN_EXE_runinit"), &init).map_err(|e| e.to_string())?;
        let config = dir.path().join("daemon.json");
        std::fs::write(&config, "{}").map_err(|e| e.to_string())?;
        let log = std::fs::File::create(dir.path().join("log")).map_err(|e| e.to_string())?;
        let path = |name: &str| dir.path().join(name);
        let daemon = Command::new("dockerd")
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--storage-driver=vfs",
                "--config-file",
            ])
            .arg(&config)
            .arg("--init-path")
            .arg(&init)
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("socket").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("dockerd: {e}"))?;
        let engine = Self { daemon, dir };
        let answers = until(PATIENCE, || engine.docker(&["version"]).is_ok_and(|o| o.status.success()));
        ensure!(answers, "the engine does not start: {}", engine.log());
        engine.build()?;
        Ok(engine)
    }

    fn build(&self) -> Outcome {
        let context = self.path("context");
        fill(&context).map_err(|e| e.to_string())?;
        self.says(&["build", "--quiet", "--tag", IMAGE, &context.display().to_string()]).map(drop)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    fn docker(&self, arguments: &[&str]) -> Result<Output, String> {
        let host = format!("unix://{}", self.path("socket").display());
        let mut command = Command::new("docker");
        command
            .args(arguments)
            .env("DOCKER_HOST", host)
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_CONFIG", self.dir.path());
        command.output().map_err(|e| format!("docker: {e}"))
    }

    /// Runs docker, which has to succeed, and returns what it prints.
    fn says(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.docker(arguments)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs a container with `--init` to its end: its code, and what it has printed.
    fn run(&self, options: &[&str], command: &[&str]) -> Result<(i32, String), String> {
        let fixed = ["run", "--rm", "--init", "--network", "none"];
        let all: Vec<&str> = fixed.iter().chain(options).chain(&[IMAGE]).chain(command).copied().collect();
        let output = self.docker(&all)?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.code().unwrap_or(-1), text))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for container in self.says(&["ps", "--all", "--quiet"]).unwrap_or_default().lines() {
            let _ = self.docker(&["rm", "--force", container]);
        }
        // It takes its containerd along, which SIGKILL would not.
        let _ = crate::support::send(self.daemon.id().cast_signed(), libc::SIGTERM);
        let mut is_over = false;
        until(PATIENCE, || {
            is_over = matches!(self.daemon.try_wait(), Ok(Some(_)));
            is_over
        });
        if !is_over {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }
}

/// The image's files.
fn fill(context: &Path) -> std::io::Result<()> {
    let bin = context.join("bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy(BUSYBOX, bin.join("busybox"))?;
    for name in ["sh", "sleep", "grep", "readlink", "cat", "true"] {
        symlink("busybox", bin.join(name))?;
    }
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY bin /bin\nENV PATH=/bin\n")
}

/// True if a second engine can be started; false if not, where that is allowed.
fn can_start() -> Result<bool, String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let is_found = |name: &str| std::env::split_paths(&paths).any(|dir| dir.join(name).exists());
    let missing: Vec<&str> =
        ["dockerd", "containerd", "docker"].into_iter().filter(|name| !is_found(name)).collect();
    if missing.is_empty() && Path::new(BUSYBOX).exists() {
        return Ok(true);
    }
    let why = format!("missing are {missing:?}; busybox-static is there: {}", Path::new(BUSYBOX).exists());
    goes_without("RUNINIT_TESTS_WITHOUT_DOCKER", &format!("no second engine can be started: {why}"))
}

/// Everything that `docker run --init` is there for.
pub(crate) fn runs_containers() -> Outcome {
    if !can_start()? {
        return Ok(());
    }
    let engine = Engine::start()?;
    is_known(&engine)?;
    is_pid_1(&engine)?;
    tells_codes(&engine)?;
    reaps(&engine)?;
    stops(&engine)
}

/// The engine understands its version, and complains about nothing.
fn is_known(engine: &Engine) -> Outcome {
    let told = engine.says(&[
        "version",
        "--format",
        "{{range .Server.Components}}{{.Name}}={{.Version}};{{end}}",
    ])?;
    let version = format!("docker-init=0.19.0 (runinit {});", env!("CARGO_PKG_VERSION"));
    ensure!(told.contains(&version), "{told}");
    let binary = engine.says(&["info", "--format", "{{.InitBinary}}"])?;
    ensure!(binary.ends_with("/docker-init"), "{binary}");
    let log = std::fs::read_to_string(engine.path("log")).unwrap_or_default();
    let complaint = log.lines().find(|line| line.contains("docker-init") && line.contains("level=warning"));
    ensure!(complaint.is_none(), "{complaint:?}");
    Ok(())
}

fn is_pid_1(engine: &Engine) -> Outcome {
    let (code, told) = engine
        .run(&[], &["sh", "-c", "cat /proc/1/comm; readlink /proc/1/exe; /sbin/docker-init --version"])?;
    let version = format!("tini version 0.19.0 (runinit {})", env!("CARGO_PKG_VERSION"));
    let lines: Vec<&str> = told.lines().collect();
    ensure!(code == 0 && lines == ["docker-init", "/sbin/docker-init", version.as_str()], "{code}: {told}");
    Ok(())
}

fn tells_codes(engine: &Engine) -> Outcome {
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no-such-command"], 127),
        (&["/bin"], 126),
    ] {
        let (got, told) = engine.run(&[], command)?;
        ensure!(got == code, "{command:?}: {got} instead of {code}: {told}");
    }
    Ok(())
}

/// Orphans come to PID 1, and not one zombie stays.
fn reaps(engine: &Engine) -> Outcome {
    let script = "for n in 1 2 3 4 5 6 7 8 9; do (sleep 1000 & echo $! >/pid$n); done
        for n in 1 2 3 4 5 6 7 8 9; do grep -q '^PPid:.1$' /proc/$(cat /pid$n)/status || exit 3; done
        for n in 1 2 3 4 5 6 7 8 9; do kill $(cat /pid$n); done
        for n in 1 2 3 4 5 6 7 8 9; do while [ -e /proc/$(cat /pid$n) ]; do sleep 0.01; done; done";
    let (code, told) = engine.run(&[], &["sh", "-c", script])?;
    ensure!(code == 0, "{code}: {told}");
    Ok(())
}

/// `docker stop` is heard, and nobody has to be killed.
fn stops(engine: &Engine) -> Outcome {
    let script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    let start = ["run", "--detach", "--init", "--network", "none", IMAGE, "sh", "-c", script];
    let container = engine.says(&start)?;
    let ready = until(PATIENCE, || engine.says(&["logs", &container]).is_ok_and(|log| log == "ready"));
    ensure!(ready, "never ready");
    // Longer than anybody waits: a code of 137 would be the engine's own SIGKILL.
    engine.says(&["stop", "-t", "60", &container])?;
    let code = engine.says(&["inspect", "--format", "{{.State.ExitCode}}", &container])?;
    ensure!(code == "4", "{code}");
    // Without a trap the shell is no PID 1 any more, and dies of what it does nothing about.
    let container =
        engine.says(&["run", "--detach", "--init", "--network", "none", IMAGE, "sleep", "1000"])?;
    engine.says(&["stop", "-t", "60", &container])?;
    let code = engine.says(&["inspect", "--format", "{{.State.ExitCode}}", &container])?;
    ensure!(code == "143", "{code}");
    Ok(())
}
