//! Processes outside all groups that a shutdown met and had to stop, whether a program is known for them or not.

use super::event::Other;
use super::plan::ProgramId;
use super::process::Pid;
use super::program::StoppedBy;
use super::signal::Signal;
use std::collections::BTreeMap;

/// Those that are remembered; more are signalled all the same.
const LIMIT: usize = 1000;

/// A process that had left its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The program whose it is, if one is known.
    pub program: Option<ProgramId>,
    /// Its command line, cut short.
    pub command: String,
    /// What was sent to it last.
    pub sent: Signal,
    /// It was there when the killing began.
    is_killed: bool,
    /// It is gone.
    pub gone: bool,
}

impl Stray {
    /// What it took to end it.
    pub fn stopped_by(&self) -> StoppedBy {
        match (self.gone, self.is_killed) {
            (true, true) => StoppedBy::KILL,
            (true, false) => StoppedBy::Signal(self.sent),
            (false, _) => StoppedBy::Nothing,
        }
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Strays(BTreeMap<Pid, Stray>);

impl Strays {
    /// Them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Pid, &Stray)> {
        self.0.iter().map(|(pid, stray)| (*pid, stray))
    }

    /// What was sent to a process last, if it is one of them.
    pub(super) fn sent(&self, pid: Pid) -> Option<Signal> {
        self.0.get(&pid).map(|stray| stray.sent)
    }

    /// A signal is sent to one.
    pub(super) fn told(&mut self, other: &Other, program: Option<ProgramId>, signal: Signal) {
        let known = self.0.remove(&other.pid).filter(|stray| !stray.gone);
        if self.0.len() < LIMIT {
            // The command is from the first look: a process that is dying has none any more.
            let command = known.map_or_else(|| other.command.clone(), |known| known.command);
            let is_killed = signal == Signal::KILL;
            self.0.insert(other.pid, Stray { program, command, sent: signal, is_killed, gone: false });
        }
    }

    /// Whoever is not there is gone; who comes back is another one with the same number.
    pub(super) fn see(&mut self, others: &[Other]) {
        let is_there = |pid: &Pid| others.iter().any(|other| other.pid == *pid);
        self.0.retain(|pid, stray| !stray.gone || !is_there(pid));
        for (pid, stray) in &mut self.0 {
            stray.gone = !is_there(pid);
        }
    }

    /// As [`see`](Self::see), for those of one program.
    pub(super) fn see_of(&mut self, program: ProgramId, others: &[Other]) {
        let of_it = self.0.iter_mut().filter(|(_, stray)| stray.program == Some(program));
        for (pid, stray) in of_it {
            stray.gone |= !others.iter().any(|other| other.pid == *pid);
        }
    }

    /// It was reaped: whoever has its number from now on is another one.
    pub(super) fn ended(&mut self, pid: Pid) {
        if let Some(stray) = self.0.get_mut(&pid) {
            stray.gone = true;
        }
    }

    /// How many have gone since everybody was killed, and had not got a SIGKILL of their own; from now on they have.
    pub(super) fn ended_with_all(&mut self) -> u32 {
        let mut count = 0;
        for stray in self.0.values_mut().filter(|s| s.gone && s.is_killed && s.sent != Signal::KILL) {
            stray.sent = Signal::KILL;
            count += 1;
        }
        count
    }

    /// Everybody who is there gets SIGKILL.
    pub(super) fn killed(&mut self) {
        self.0.values_mut().for_each(|stray| stray.is_killed |= !stray.gone);
    }
}
