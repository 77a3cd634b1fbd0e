//! The program's end, and who is left then. Without a stage, which would take all of them along.

use super::signals::{line, to_group, to_one};
use crate::support::{
    HANG, Init, Outcome, PATIENCE, Place, Stage, descendants, ensure, probe, process, send, until, words,
};
use libc::{SIGHUP, SIGKILL, SIGTERM};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// An init at work, and everybody it has started; nobody survives the test.
struct Family {
    init: Child,
    members: Vec<i32>,
    dir: TempDir,
}

impl Family {
    /// Starts an init with a shell's script.
    fn start(init: Init, way: super::signals::Way, script: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let argv = line(init, way.0, words(["sh", "-c", script]))?;
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).envs(way.1.iter().copied()).stdin(Stdio::null()).stderr(Stdio::null());
        command.env("probe", probe()?).env("file", dir.path().join("file")).stdout(Stdio::null());
        let init = command.spawn().map_err(|e| e.to_string())?;
        Ok(Self { init, members: Vec::new(), dir })
    }

    fn pid(&self) -> i32 {
        self.init.id().cast_signed()
    }

    /// Waits until it has this many members, the init left out.
    fn gather(&mut self, count: usize) -> Outcome {
        let pid = self.pid();
        let complete = until(PATIENCE, || {
            self.members = descendants(pid).into_iter().map(|member| member.pid).collect();
            self.members.len() == count
        });
        ensure!(complete, "{} members instead of {count}", self.members.len());
        Ok(())
    }

    fn living(&self) -> usize {
        let lives = |pid: &&i32| process(**pid).is_some_and(|member| !matches!(member.state, 'Z' | 'X'));
        self.members.iter().filter(lives).count()
    }

    fn end(&mut self) -> Result<Option<i32>, String> {
        let mut status = None;
        until(PATIENCE, || {
            status = self.init.try_wait().ok().flatten();
            status.is_some()
        });
        status.map(|status| status.code()).ok_or_else(|| "the init does not end".to_owned())
    }

    /// What the program in the background has written.
    fn heard(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("file")).unwrap_or_default()
    }

    fn wait_until_heard(&self, line: &str) -> Outcome {
        let is_heard = until(PATIENCE, || self.heard().lines().any(|heard| heard == line));
        ensure!(is_heard, "{line} was not heard: {:?}", self.heard());
        Ok(())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.members.extend(descendants(self.pid()).iter().map(|member| member.pid));
        let _ = self.init.kill();
        let _ = self.init.wait();
        for member in &self.members {
            let _ = send(*member, SIGKILL);
        }
    }
}

/// Six processes with the init and the shell, of which one pipeline is in the background.
fn pipeline(init: Init, way: super::signals::Way) -> Result<Family, String> {
    let mut family = Family::start(init, way, "sleep 1000 | sleep 1000 & sleep 1000 | sleep 1000")?;
    family.gather(5)?;
    send(family.pid(), SIGTERM)?;
    let code = family.end()?;
    ensure!(code == Some(128 + SIGTERM), "the code is {code:?}");
    Ok(family)
}

pub(crate) fn pipeline_dies(init: Init) -> Outcome {
    for way in to_group(init) {
        let family = pipeline(init, *way)?;
        ensure!(until(PATIENCE, || family.living() == 0), "{} are left", family.living());
    }
    Ok(())
}

pub(crate) fn pipeline_survives(init: Init) -> Outcome {
    for way in to_one(init) {
        let family = pipeline(init, *way)?;
        ensure!(until(PATIENCE, || family.living() == 4), "{} are left, not 4", family.living());
    }
    Ok(())
}

/// A program that ends with code 3 and leaves one behind that hears signals into a file.
fn leaving(init: Init, way: super::signals::Way) -> Result<Family, String> {
    let script = "$probe hear -o $file & until grep -q ready $file; do sleep 0.01; done; exit 3";
    let mut family = Family::start(init, way, script)?;
    let code = family.end()?;
    ensure!(code == Some(3), "the code is {code:?}");
    let heard = family.heard();
    let pid = heard.lines().next().and_then(|line| line.strip_prefix("ready ")?.parse().ok());
    family.members.push(pid.ok_or("nobody was in the background")?);
    Ok(family)
}

pub(crate) fn term_at_the_end(init: Init) -> Outcome {
    to_group(init).iter().try_for_each(|way| leaving(init, *way)?.wait_until_heard("15"))
}

pub(crate) fn last_term_rewritten(init: Init) -> Outcome {
    leaving(init, (&["-r", "15:2"], &[]))?.wait_until_heard("2")?;
    let family = leaving(init, (&["-r", "15:0"], &[]))?;
    heard_nothing(&family)
}

/// It lives, and what it is told now is the first that it hears.
fn heard_nothing(family: &Family) -> Outcome {
    send(family.members[0], SIGHUP)?;
    family.wait_until_heard("1")?;
    let heard = family.heard();
    ensure!(heard.lines().count() == 2, "it heard more: {heard:?}");
    Ok(())
}

pub(crate) fn left_alone(init: Init) -> Outcome {
    let ways = to_one(init).iter();
    let mut all: Vec<_> = ways.collect();
    if init.name() != "dumb-init" {
        all.extend(to_group(init));
    }
    all.into_iter().try_for_each(|way| heard_nothing(&leaving(init, *way)?))
}

pub(crate) fn never_killed(init: Init) -> Outcome {
    let stage = Stage::new(Place::Pid1)?.env("RUNINIT_GRACE", "50ms");
    let argv = line(init, to_group(init)[0].0, crate::exits::probing(&["hear"])?)?;
    let mut running = stage.start(argv)?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    let end = running.end_within(HANG)?;
    ensure!(end.is_none(), "{}", running.explain(&format!("{end:?}")));
    Ok(())
}
