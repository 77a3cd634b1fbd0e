//! Running a command line to its end, without a stage.

use crate::support::{Init, PATIENCE, until};
use std::io::{Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};

/// How a command line ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// 128 + n if signal n ended the init itself.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs an init, called by its plain name, with nothing in its environment but PATH and this.
pub(crate) fn run(init: Init, environment: &[(&str, &str)], words: &[&str]) -> Result<Ran, String> {
    let broken = |e: std::io::Error| format!("{} {words:?}: {e}", init.name());
    let (mut out, mut err) = (tempfile::tempfile().map_err(broken)?, tempfile::tempfile().map_err(broken)?);
    let mut command = Command::new(init.path()?);
    command.arg0(init.name()).args(words).current_dir("/usr");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command.stdout(out.try_clone().map_err(broken)?).stderr(err.try_clone().map_err(broken)?);
    let mut child = command.spawn().map_err(broken)?;
    let mut status = None;
    until(PATIENCE, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    let Some(status) = status else {
        let _ = child.kill().and_then(|()| child.wait());
        return Err(format!("{} {words:?} does not end", init.name()));
    };
    let mut ran = Ran {
        code: status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(-1),
        stdout: String::new(),
        stderr: String::new(),
    };
    for (file, text) in [(&mut out, &mut ran.stdout), (&mut err, &mut ran.stderr)] {
        file.rewind().and_then(|()| file.read_to_string(text)).map_err(broken)?;
    }
    Ok(ran)
}

/// Runs a command line, which has to end with this code.
pub(crate) fn ends_with(
    init: Init,
    environment: &[(&str, &str)],
    words: &[&str],
    code: i32,
) -> Result<Ran, String> {
    let ran = run(init, environment, words)?;
    if ran.code == code {
        Ok(ran)
    } else {
        Err(format!("{} {environment:?} {words:?}: not {code}: {ran:?}", init.name()))
    }
}
