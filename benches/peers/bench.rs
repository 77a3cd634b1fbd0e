//! What all measurements share: who takes part, the programs they start, where files go, which CPUs there are.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tempfile::TempDir;

use crate::context::{Context, Result};
use crate::options::Options;
use crate::release;
use crate::subject::{self, Subject};
use crate::sys;
use crate::tiny::Tiny;

/// The ground every measurement stands on.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) runinit: PathBuf,
    pub(crate) subjects: Vec<Subject>,
    /// Peers that are not installed.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) tiny: Tiny,
    /// This program, whose helper words are started under the inits.
    pub(crate) me: PathBuf,
    cpus: Vec<usize>,
    dir: TempDir,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(options: &'a Options) -> Result<Self> {
        sys::adopt_orphans().while_doing("becoming the subreaper")?;
        // Refused without privilege: the numbers are then only noisier.
        let _ = sys::raise_priority();
        let dir = TempDir::with_prefix("runinit-bench-").while_doing("making a temporary directory")?;
        // A copy, as in an image and as the peers are: the kernel maps half as much again of what a linker has just written.
        let runinit = dir.path().join("runinit");
        let built = options.runinit.clone().map_or_else(release::build, Ok)?;
        std::fs::copy(&built, &runinit).while_doing(format!("copying {}", built.display()))?;
        let (subjects, missing) = subject::find(&runinit)?;
        for binary in subjects.iter().filter_map(Subject::binary) {
            from_disk(binary).while_doing(binary.display())?;
        }
        Ok(Self {
            options,
            runinit,
            subjects,
            missing,
            tiny: Tiny::create(dir.path())?,
            me: std::env::current_exe().while_doing("finding this program")?,
            cpus: sys::cpus().while_doing("asking for the CPUs")?,
            dir,
        })
    }

    /// A line for each peer that is not there: what it would have shown is not known.
    pub(crate) fn missing_peers(&self) -> String {
        let line =
            |name: &&str| format!("MISSING PEER: {name} is not installed; nothing is measured against it\n");
        self.missing.iter().map(line).collect::<Vec<_>>().concat()
    }

    /// A place for files that is gone at the end.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// This process and all it starts from now on share one CPU, the last one: what is measured is the work, not
    /// how long another CPU takes to wake up. The first CPU is left to the machine's interrupts.
    pub(crate) fn on_one_cpu(&self) -> Result<()> {
        sys::run_on(&self.cpus[self.cpus.len() - 1..]).while_doing("pinning to a CPU")
    }

    /// This process leaves what it has started alone on its CPU, if there is another one.
    pub(crate) fn step_aside(&self) -> Result<()> {
        let others = &self.cpus[..self.cpus.len() - 1];
        if others.is_empty() { Ok(()) } else { sys::run_on(others).while_doing("leaving a CPU") }
    }

    /// This process and what it starts may run anywhere again.
    pub(crate) fn on_all_cpus(&self) -> Result<()> {
        sys::run_on(&self.cpus).while_doing("unpinning")
    }
}

/// Takes a binary out of the page cache, so that all come from the disk alike. A file lies there in small pieces or in
/// large ones, as it was written or linked or read, and that changes how much of it the kernel maps at a page fault:
/// the same binary starts a tenth slower or faster, and is a tenth larger or smaller in memory.
fn from_disk(binary: &Path) -> io::Result<()> {
    let file = File::open(binary)?;
    file.sync_all()?;
    Ok(posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}
