//! Programs that live in tmux sessions: their panes, and the clients that ask about them.

use super::Runtime;
use crate::core::action::{Question, Target};
use crate::core::budget::Moment;
use crate::core::calling;
use crate::core::event::{Event, GroupState, SpawnFailure, SpawnFailureKind};
use crate::core::plan::{Kind, Launch, ProgramId};
use crate::core::process::{Exit, Pgid, Pid};
use crate::core::program::{Fate, Hold, Program};
use crate::core::signal::Signal;
use crate::os::kernel_session::{self, KernelSession};
use crate::os::poller::{Interest, Token};
use crate::os::spawn::{self, Surroundings};
use crate::os::{control_socket, kill, pipe, processes};
use crate::tmux::{self, Ended, Pane, Session, Version};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer answers are cut: a screen of the most lines there may be, all of them long.
const LONGEST_ANSWER: usize = 4 << 20;

/// What is known of sessions and asked about them.
#[derive(Debug, Default)]
pub(super) struct Tmux {
    /// Since a program's start and until its session is closed.
    panes: BTreeMap<ProgramId, Pane>,
    /// Readable once the process that leads a program has ended, and gone then.
    ends: BTreeMap<ProgramId, OwnedFd>,
    /// Where each client that runs writes what it has to say; one for each program at most.
    calls: BTreeMap<ProgramId, (Asked, OwnedFd)>,
    /// The last screen of each program whose session was closed.
    screens: BTreeMap<ProgramId, Vec<String>>,
    /// Panes that had ended before they could be watched.
    ended: Vec<ProgramId>,
    /// The servers whose sessions were closed, and until when those of them that have no other one may take to end.
    closing: BTreeMap<Pid, Instant>,
}

/// How long a server may take to end when its last session is closed.
const SERVER_ENDS: Duration = Duration::from_millis(200);

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Whether a program that may be there already is.
    Whether,
    /// Which tmux a server is that somebody else has started.
    Version,
    /// Who serves already where a server is to be started.
    Occupant,
    About(Question),
}

impl Tmux {
    pub(super) fn take_ended(&mut self) -> impl Iterator<Item = Event> + use<> {
        std::mem::take(&mut self.ended).into_iter().map(Event::PaneEnded)
    }

    pub(super) fn screen(&self, id: ProgramId) -> Option<Vec<String>> {
        self.screens.get(&id).cloned()
    }

    /// The server in which a program's pane is.
    pub(super) fn server_of(&self, id: ProgramId) -> Option<Pid> {
        self.panes.get(&id).map(|pane| pane.server)
    }

    /// Another program may have its place.
    pub(super) fn forget(&mut self, id: ProgramId) {
        self.panes.remove(&id);
        self.ends.remove(&id);
        self.calls.remove(&id);
        self.screens.remove(&id);
    }
}

impl Runtime {
    /// Starts a program, or the client that starts it or that says whether it can be started.
    pub(super) fn begin_start(&mut self, id: ProgramId) -> Event {
        if let Some(pid) = self.take_orphan(id) {
            return Event::Spawned(id, Ok(pid));
        }
        let spec = &self.core.plan().programs[id];
        let question = match (&spec.kind, spec.runs_as) {
            (Kind::TmuxServer(socket), Some(_)) => tmux::server(socket),
            (Kind::Agent(session), Some(_)) => tmux::look(session),
            _ => return self.start_anew(id),
        };
        self.ask_to_start(id, Asked::Whether, question)
    }

    /// An agent of a run before this one that has outlived its server, if it is there: tmux knows nothing of it.
    fn take_orphan(&mut self, id: ProgramId) -> Option<Pid> {
        let spec = &self.core.plan().programs[id];
        let pid = spec.runs_as.filter(|_| spec.is_agent() && self.is_only_to_be_stopped(id))?;
        // First, so that it is still the same when it has been looked at.
        let end = kernel_session::watch(pid).ok()?;
        if !self.marks.is_orphan(pid, &spec.name) {
            return None;
        }
        self.hold_end(id, Ok(end));
        Some(pid)
    }

    /// True for one that is not started if it is not there.
    fn is_only_to_be_stopped(&self, id: ProgramId) -> bool {
        let is_to_go = |program: &Program| program.fate != Fate::Stays || program.hold == Hold::Stopped;
        self.core.shutdown().is_some() || self.core.program(id).is_some_and(is_to_go)
    }

    fn start_anew(&mut self, id: ProgramId) -> Event {
        let (asked, argv) = match &self.core.plan().programs[id].kind {
            Kind::Process => return Event::Spawned(id, self.spawn(id)),
            Kind::TmuxServer(socket) => (Asked::Occupant, tmux::server(socket)),
            Kind::Agent(session) if session.socket.is_private() => return self.start_session(id),
            Kind::Agent(session) => (Asked::Version, tmux::server_version(&session.socket)),
        };
        self.ask_to_start(id, asked, argv)
    }

    fn ask_to_start(&mut self, id: ProgramId, asked: Asked, argv: Vec<OsString>) -> Event {
        match self.spawn_client(id, asked, argv) {
            Ok(pid) => Event::Called(id, Some(pid)),
            Err(failure) => Event::Spawned(id, Err(failure)),
        }
    }

    fn start_session(&mut self, id: ProgramId) -> Event {
        let Kind::Agent(session) = self.core.plan().programs[id].kind.clone() else {
            return self.start_anew(id);
        };
        match self.start_in(id, &session) {
            Ok(argv) => self.ask_to_start(id, Asked::About(Question::Start), argv),
            Err(failure) => Event::Spawned(id, Err(failure)),
        }
    }

    /// A server that is too old is asked for nothing more. Why one has no answer, the start tells.
    fn hear_version(&mut self, id: ProgramId, answer: Option<&str>) -> Event {
        match answer.and_then(Version::parse).and_then(Version::refusal) {
            Some(message) => {
                let kind = SpawnFailureKind::NotExecutable;
                Event::Spawned(id, Err(SpawnFailure { kind, errno: 0, message }))
            }
            None => self.start_session(id),
        }
    }

    /// A server beside another would not start but be that one's client, and ask it to end what is not runinit's.
    fn hear_occupant(&mut self, id: ProgramId, answer: Option<&str>) -> Event {
        let Kind::TmuxServer(socket) = &self.core.plan().programs[id].kind else {
            return self.start_anew(id);
        };
        let Some(pid) = answer.map(str::trim) else {
            return self.ask_to_start(id, Asked::About(Question::Start), tmux::version());
        };
        let message = format!(
            "another tmux server (pid {pid}) has the socket {socket:?}: end it (tmux -L {socket} kill-server), or give this \
             fleet another `socket` in [tmux]",
            socket = socket.to_string()
        );
        let kind = SpawnFailureKind::NotExecutable;
        Event::Spawned(id, Err(SpawnFailure { kind, errno: 0, message }))
    }

    /// Takes over what is there, or starts it if it is not only to be stopped.
    fn hear_whether(&mut self, id: ProgramId, answer: &str) -> Event {
        let spec = &self.core.plan().programs[id];
        let panes = tmux::panes(answer).into_iter().map(|(pane, _)| pane);
        let pane = panes.into_iter().find(|pane| spec.is_agent() && Some(pane.pid) == spec.runs_as);
        if let Some(pane) = pane.filter(|pane| self.is_near(pane)) {
            return Event::Spawned(id, Ok(self.watch(id, pane)));
        }
        let server = answer.trim().parse().ok().and_then(Pid::new);
        if let Some(pid) = server.filter(|pid| spec.is_server() && Some(*pid) == spec.runs_as) {
            self.watch_process(id, pid);
            return Event::Spawned(id, Ok(pid));
        }
        if self.is_only_to_be_stopped(id) {
            if let Some(pid) = self.take_orphan(id) {
                return Event::Spawned(id, Ok(pid));
            }
            let message = "is not there any more".to_owned();
            let kind = SpawnFailureKind::NotFound;
            return Event::Spawned(id, Err(SpawnFailure { kind, errno: 0, message }));
        }
        self.start_anew(id)
    }

    /// The command line that starts a session. What tmux would not tell of is looked at before: it starts in another directory
    /// if it has to, and knows a command that is not there by its exit alone.
    fn start_in(&mut self, id: ProgramId, session: &Session) -> Result<Vec<OsString>, SpawnFailure> {
        kernel_session::watch(self.realm.own()).map_err(|errno| {
            spawn::refused("cannot watch a program in tmux (pidfd_open, Linux 5.3 or later)", errno)
        })?;
        spawn::look_before(&self.core.plan().programs[id].launch)?;
        let voice = self
            .give_voice(id)
            .map_err(|errno| spawn::refused("cannot open what it says that it is ready by", errno))?;
        let launch = &self.core.plan().programs[id].launch;
        let mut env = launch.env.clone();
        env.extend(voice.environment);
        // Its server's own is not for it.
        env.extend(self.mark(id));
        Ok(tmux::start(session, &launch.argv, &env, launch.cwd.as_deref(), self.marks.run()))
    }

    #[inline(never)]
    pub(super) fn call(&mut self, id: ProgramId, question: Question) -> Event {
        let Some(argv) = self.words_of(id, question) else { return without_tmux(id, question) };
        if question == Question::End {
            self.wake_server(id);
        }
        let client = self.spawn_client(id, Asked::About(question), argv);
        if let Err(failure) = &client {
            log::warn!("{}: {}", self.core.plan().programs[id].name, failure.message);
        }
        Event::Called(id, client.ok())
    }

    /// tmux may have missed the end: libutempter, which it calls when it closes a terminal, has SIGCHLD ignored for that moment.
    /// Another one has it look. The server is the parent; if that is runinit, there is none any more.
    fn wake_server(&self, id: ProgramId) {
        let Some((_, pane)) = self.session(id) else { return };
        let parent = processes::parent(self.realm.own(), pane.pid).and_then(Pid::new);
        if let Some(server) = parent.filter(|server| *server != self.realm.own()) {
            // It may end at any moment (ESRCH); then runinit hears of the pane's end by itself.
            let _ = kill::process(server, Signal::CHLD);
        }
    }

    fn words_of(&self, id: ProgramId, question: Question) -> Option<Vec<OsString>> {
        let session = self.core.plan().programs[id].session()?;
        let pane = || self.tmux.panes.get(&id);
        match question {
            Question::Start => None,
            Question::TakeBack => Some(tmux::take_back(session, self.marks.run())),
            Question::End => Some(tmux::end(&session.socket, pane()?)),
            Question::Close { waits } => Some(tmux::close(session, pane()?, waits)),
        }
    }

    /// True for a server that still has the session of a program, or ends with the last of them: one that tmux has started itself
    /// is below runinit.
    pub(super) fn is_in_use(&self, server: Pid) -> bool {
        let has_session = |id: ProgramId| self.core.program(id).is_some_and(|program| !program.is_over());
        let mut panes = self.tmux.panes.iter();
        panes.any(|(id, pane)| pane.server == server && has_session(*id))
            || self.tmux.closing.get(&server).is_some_and(|until| Instant::now() < *until)
    }

    fn session(&self, id: ProgramId) -> Option<(&Session, &Pane)> {
        let Kind::Agent(session) = &self.core.plan().programs[id].kind else { return None };
        Some((session, self.tmux.panes.get(&id)?))
    }

    fn spawn_client(
        &mut self,
        id: ProgramId,
        asked: Asked,
        argv: Vec<OsString>,
    ) -> Result<Pid, SpawnFailure> {
        let (pid, answer) = self.run_client(argv)?;
        self.tmux.calls.insert(id, (asked, answer));
        Ok(pid)
    }

    fn run_client(&self, argv: Vec<OsString>) -> Result<(Pid, OwnedFd), SpawnFailure> {
        let refused = |errno| spawn::refused("cannot ask tmux", errno);
        let answer = pipe::to_read_at_the_end().map_err(refused)?;
        let nothing = pipe::nothing_to_read().map_err(refused)?;
        let launch = Launch { argv, ..Launch::default() };
        let surroundings = Surroundings {
            inherited: self.inherited.without_signals(),
            variables: &[],
            cgroup: None,
            standard: [Some(nothing.as_fd()), Some(answer.as_fd()), Some(answer.as_fd())],
            descriptor: None,
            terminal: None,
        };
        spawn::spawn(&launch, surroundings).map(|pid| (pid, answer))
    }

    /// A client has ended: takes in what it has said.
    #[inline(never)]
    pub(super) fn hear(&mut self, id: ProgramId, exit: Exit) -> Option<Event> {
        let (asked, answer) = self.tmux.calls.remove(&id)?;
        let answer = pipe::read_at_the_end(answer, LONGEST_ANSWER);
        let is_well = exit == Exit::Code(0);
        let question = match asked {
            Asked::Whether => return Some(self.hear_whether(id, &answer)),
            Asked::Version => return Some(self.hear_version(id, is_well.then_some(answer.as_str()))),
            Asked::Occupant => return Some(self.hear_occupant(id, is_well.then_some(answer.as_str()))),
            Asked::About(question) => question,
        };
        match question {
            Question::Start => Some(Event::Spawned(id, self.hear_start(id, is_well, &answer))),
            Question::TakeBack => Some(Event::Spawned(id, Err(calling::unanswered()))),
            Question::End => {
                let ended = self.session(id).map(|(_, pane)| tmux::read_end(&answer, pane));
                Some(Event::EndTold(id, ended.filter(|_| is_well).unwrap_or_else(|| self.untold_end(id))))
            }
            Question::Close { .. } => {
                let history = self.session(id).map_or(0, |(session, _)| session.history);
                let is_closed = match tmux::read_close(&answer, history) {
                    None => false,
                    Some(screen) if is_well => {
                        self.tmux.screens.insert(id, screen);
                        true
                    }
                    // There is no such server any more.
                    Some(_) => true,
                };
                if is_closed && let Some(pane) = self.tmux.panes.remove(&id) {
                    let now = Instant::now();
                    self.tmux.closing.retain(|_, until| now < *until);
                    self.tmux.closing.insert(pane.server, now + SERVER_ENDS);
                }
                Some(Event::Closed(id, is_closed))
            }
        }
    }

    /// Without a server the pane's process is runinit's own child, and is reaped in a moment; of one that was taken over nobody
    /// is left who knew.
    fn untold_end(&self, id: ProgramId) -> Ended {
        let own = self.realm.own();
        let Some((_, pane)) = self.session(id).filter(|_| processes::is_own_proc(own)) else {
            return Ended::NotYet;
        };
        let parent = processes::parent(own, pane.pid);
        let may_tell = [own, pane.server].map(Pid::number);
        if parent.is_some_and(|parent| may_tell.contains(&parent)) { Ended::NotYet } else { Ended::Unknown }
    }

    fn hear_start(&mut self, id: ProgramId, is_well: bool, answer: &str) -> Result<Pid, SpawnFailure> {
        let failure = |kind, message| SpawnFailure { kind, errno: 0, message };
        match &self.core.plan().programs[id].kind {
            Kind::TmuxServer(_) => match Version::parse(answer).and_then(Version::refusal) {
                Some(refusal) => Err(failure(SpawnFailureKind::NotExecutable, refusal)),
                None => self.spawn(id),
            },
            Kind::Agent(_) | Kind::Process => match tmux::read_start(answer) {
                Ok(pane) if !self.is_near(&pane) => {
                    self.take_back(id);
                    let is_there = processes::parent(self.realm.own(), pane.server).is_some();
                    // One that ended just now leaves its panes to others, and may come back.
                    let (kind, why) = if is_there {
                        (SpawnFailureKind::NotExecutable, "its server is in another PID namespace")
                    } else {
                        (SpawnFailureKind::NoRoom, "its server has ended, or is in another PID namespace")
                    };
                    Err(failure(kind, format!("cannot start its tmux session: {why}")))
                }
                // Whatever came of the options behind it: it is there.
                Ok(pane) => Ok(self.watch(id, pane)),
                Err(why) if is_well => Err(failure(SpawnFailureKind::NotExecutable, why)),
                Err(_) => Err(no_session(answer)),
            },
        }
    }

    /// Nobody waits for the answer: the start has failed already.
    fn take_back(&self, id: ProgramId) {
        if let Some(session) = self.core.plan().programs[id].session() {
            let _ = self.run_client(tmux::take_back(session, self.marks.run()));
        }
    }

    /// False for one whose number is somebody else's here: its server, which is its parent, runs in another PID namespace.
    fn is_near(&self, pane: &Pane) -> bool {
        let parent = processes::parent(self.realm.own(), pane.pid);
        parent.is_none_or(|parent| parent == pane.server.number())
    }

    fn watch(&mut self, id: ProgramId, pane: Pane) -> Pid {
        let pid = pane.pid;
        self.watch_process(id, pid);
        self.tmux.panes.insert(id, pane);
        pid
    }

    fn watch_process(&mut self, id: ProgramId, pid: Pid) {
        self.hold_end(id, kernel_session::watch(pid));
    }

    fn hold_end(&mut self, id: ProgramId, end: nix::Result<OwnedFd>) {
        let end = end.and_then(|end| {
            self.poller.set(end.as_fd(), Token::Pane(id.0), Interest::Read)?;
            Ok(end)
        });
        match end {
            Ok(end) => {
                self.tmux.ends.insert(id, end);
            }
            Err(errno) => {
                if errno != Errno::ESRCH {
                    let name = &self.core.plan().programs[id].name;
                    log::error!("{name}: cannot be watched: {}", errno.desc());
                }
                self.tmux.ended.push(id);
            }
        }
    }

    /// The process of a pane has ended.
    pub(super) fn hear_end(&mut self, id: ProgramId, now: Moment) {
        self.tmux.ends.remove(&id);
        self.handle(Event::PaneEnded(id), now);
    }

    /// Presses the keys of a step; `None` if that could not be begun.
    pub(super) fn press(&mut self, id: ProgramId, keys: &[String]) -> Option<Pid> {
        let (session, pane) = self.session(id)?;
        let argv = tmux::keys(&session.socket, pane, keys);
        self.spawn_command(id, argv, "keys")
    }

    /// Whether the server that answers on its socket is the one that was started.
    pub(super) fn ask_server(&self, id: ProgramId) -> Option<Pid> {
        let Kind::TmuxServer(socket) = &self.core.plan().programs[id].kind else { return None };
        let argv = tmux::is_server(socket, self.core.program(id)?.leader()?);
        // What it says does not matter: it says that there is no server until there is one.
        self.run_client(argv).ok().map(|(pid, _)| pid)
    }

    pub(super) fn kernel_session(&self, id: ProgramId, number: Pgid) -> KernelSession {
        let is_led = self.tmux.ends.contains_key(&id);
        KernelSession { number, is_led }
    }

    pub(super) fn probe(&self, id: ProgramId, pgid: Pgid) -> GroupState {
        let spec = &self.core.plan().programs[id];
        // A server that was taken over may be nobody's child who reaps it: its zombie is not there.
        if spec.is_agent() || spec.is_server() {
            self.kernel_session(id, pgid).probe()
        } else if self.core.program(id).is_some_and(Program::may_be_zombies) {
            kill::probe_closely(pgid)
        } else {
            kill::probe(pgid)
        }
    }

    pub(super) fn send(&self, id: ProgramId, target: Target, signal: Signal) -> nix::Result<()> {
        match target {
            Target::Group(pgid) if self.core.plan().programs[id].is_agent() => {
                self.kernel_session(id, pgid).signal(signal)
            }
            Target::Group(_) | Target::Leader(_) | Target::Escapee(_) => kill::signal(target, signal),
        }
    }

    /// A server that a killed run has left may not have had its turn, if tmux did not answer in time. It is only told: nobody
    /// waits for it.
    pub(super) fn end_left_servers(&self) {
        for (_, spec, program) in self.core.programs() {
            if let (Some(pid), None, true) = (spec.runs_as, program.pid, spec.is_server())
                && self.marks.is_left(pid, &spec.name)
            {
                let _ = kill::process(pid, Signal::TERM);
            }
        }
    }

    /// tmux leaves its sockets behind. One on which somebody listens is another server's.
    pub(super) fn remove_sockets(&self) {
        let directory = std::env::var_os("TMUX_TMPDIR").filter(|directory| !directory.is_empty());
        for (_, spec, program) in self.core.programs() {
            if let (Kind::TmuxServer(socket), Some(_), None) = (&spec.kind, program.pid, program.group()) {
                let path = socket.path(directory.as_deref().map(Path::new), nix::unistd::getuid().as_raw());
                // It may never have been made.
                let _ = control_socket::remove_dead(&path);
            }
        }
    }
}

/// Why tmux has not started a session, in its own words.
fn no_session(answer: &str) -> SpawnFailure {
    let why = match answer.lines().last().unwrap_or("tmux said nothing") {
        // The most that its client hands over (`MAX_IMSGSIZE`, imsg.h).
        "command too long" => {
            "command and environment are too long for tmux, which takes 16 KiB of both together"
        }
        why => why,
    };
    // "no server running on", "server exited unexpectedly", "lost server", "error connecting to"
    let is_gone = why.contains("server") || why.starts_with("error connecting");
    let kind = if is_gone { SpawnFailureKind::NoRoom } else { SpawnFailureKind::NotExecutable };
    SpawnFailure { kind, errno: 0, message: format!("cannot start its tmux session: {why}") }
}

/// The answer for a program without a pane: there is nothing to tell of it, and nothing to close.
fn without_tmux(id: ProgramId, question: Question) -> Event {
    match question {
        Question::Start | Question::TakeBack => Event::Called(id, None),
        Question::End => Event::EndTold(id, Ended::Unknown),
        Question::Close { .. } => Event::Closed(id, true),
    }
}
