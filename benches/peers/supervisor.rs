//! What runs a fleet: runinit and supervisord with a configuration, s6 with a directory of services.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bench::Bench;
use crate::context::{Context, Result};
use crate::subject::{Role, in_path};

/// The name the goals know s6 by.
pub(crate) const S6: &str = "s6";

/// What a peer is called, and what is started.
type Peer = (&'static str, &'static str, fn(PathBuf) -> Kind);

const PEERS: [Peer; 2] = [
    (S6, "s6-svscan", |scanner| Kind::S6 { scanner }),
    ("supervisord", "supervisord", |program| Kind::Supervisord { program }),
];

/// How long programs that ignore SIGTERM have, under each.
pub(crate) const GRACE_MS: u32 = 2000;

/// One that can run many programs.
pub(crate) struct Supervisor {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    kind: Kind,
}

enum Kind {
    Runinit { program: PathBuf, options: Vec<String> },
    S6 { scanner: PathBuf },
    Supervisord { program: PathBuf },
}

/// A fleet that is ready to be started. Its files are gone when this is.
pub(crate) struct Prepared {
    pub(crate) command: Vec<OsString>,
    _dir: TempDir,
}

/// runinit, and the peers that are installed.
pub(crate) fn find(bench: &Bench) -> Vec<Supervisor> {
    let program = bench.runinit.clone();
    let options = bench.options.fleet_args.clone();
    let ours = Supervisor { name: "runinit", role: Role::Ours, kind: Kind::Runinit { program, options } };
    let peers = PEERS.into_iter().filter_map(|(name, program, kind)| {
        Some(Supervisor { name, role: Role::Peer, kind: kind(in_path(program)?) })
    });
    std::iter::once(ours).chain(peers).collect()
}

/// The peers that are not installed.
pub(crate) fn missing() -> impl Iterator<Item = &'static str> {
    PEERS.into_iter().filter(|(_, program, _)| in_path(program).is_none()).map(|(name, ..)| name)
}

impl Supervisor {
    /// Writes down a fleet of so many copies of one program.
    pub(crate) fn prepare(&self, count: usize, program: &Path) -> Result<Prepared> {
        let dir = in_memory()?;
        let command = match &self.kind {
            Kind::Runinit { program: runinit, options } => {
                let config = dir.path().join("fleet.toml");
                fs::write(&config, configuration(count, program)?).while_doing(config.display())?;
                let grace = format!("{GRACE_MS}ms");
                let mut command =
                    vec![runinit.into(), "--grace".into(), grace.into(), "--config".into(), config.into()];
                command.extend(options.iter().map(OsString::from));
                command
            }
            Kind::S6 { scanner } => {
                services(dir.path(), count, program)?;
                let limit = (count + 10).to_string(); // its default limit is 1,000
                vec![scanner.into(), "-c".into(), limit.into(), dir.path().into()]
            }
            Kind::Supervisord { program: supervisord } => {
                let config = dir.path().join("supervisord.conf");
                fs::write(&config, sections(dir.path(), count, program)?).while_doing(config.display())?;
                vec![supervisord.into(), "-n".into(), "-c".into(), config.into()]
            }
        };
        Ok(Prepared { command, _dir: dir })
    }
}

/// s6 keeps its directories in memory, as /run is: so does this.
fn in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    TempDir::with_prefix_in("runinit-bench-", parent).while_doing("making a directory for a fleet")
}

fn configuration(count: usize, program: &Path) -> Result<String> {
    let mut text = String::new();
    for index in 0..count {
        writeln!(text, "[[program]]\nname = \"p{index}\"\ncommand = [\"{}\"]\n", program.display())
            .while_doing("writing the configuration")?;
    }
    Ok(text)
}

/// The program itself is each service's `run`: nothing is faster under s6.
fn services(dir: &Path, count: usize, program: &Path) -> Result<()> {
    for index in 0..count {
        let service = dir.join(format!("p{index}"));
        let make = || {
            fs::create_dir(&service)?;
            symlink(program, service.join("run"))?;
            fs::write(service.join("timeout-kill"), format!("{GRACE_MS}\n"))
        };
        make().while_doing(service.display())?;
    }
    Ok(())
}

/// supervisord as a container runs it: in the foreground, what programs write goes on to its own standard output,
/// where it says nothing itself.
///
/// One group, because it stops groups one after another: without it a thousand programs that ignore SIGTERM would have
/// a thousand times the grace. No socket, no log, no second in which a program is only "starting": nothing is faster
/// under it.
fn sections(dir: &Path, count: usize, program: &Path) -> Result<String> {
    let dir = dir.display();
    let names: Vec<String> = (0..count).map(|index| format!("p{index}")).collect();
    let mut text = format!(
        "[supervisord]\nsilent = true\nlogfile = /dev/null\nlogfile_maxbytes = 0\npidfile = {dir}/pid\n\
         childlogdir = {dir}\n\n[group:fleet]\nprograms = {}\n",
        names.join(",")
    );
    let (program, wait) = (program.display(), GRACE_MS / 1000);
    for name in names {
        write!(
            text,
            "\n[program:{name}]\ncommand = {program}\nstartsecs = 0\nstopwaitsecs = {wait}\nredirect_stderr = true\n\
             stdout_logfile = /dev/fd/1\nstdout_logfile_maxbytes = 0\n"
        )
        .while_doing("writing the configuration")?;
    }
    Ok(text)
}
