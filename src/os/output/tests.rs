use super::opening::PIPES_PER_PROGRAM;
use super::*;
use crate::core::plan::{Launch, Output, OutputFile, Program};
use crate::os::outlet::Outlet;
use crate::os::pipe;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use proptest::prelude::*;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A runtime of its own: programs that print, and somebody who reads what comes out.
struct World {
    outputs: Outputs,
    poller: Poller,
    /// Nobody signals.
    signals: (OwnedFd, OwnedFd),
    reader: OwnedFd,
    heard: Vec<u8>,
    width: usize,
}

impl World {
    fn new(names: &[&str]) -> Self {
        Self::with_refusals(names, 0)
    }

    fn with_refusals(names: &[&str], refusals: u64) -> Self {
        let (reader, writer) = pipe::to_read_without_waiting().unwrap();
        never_wait(writer.as_fd());
        let mut outputs = Outputs::default();
        outputs.own[0] = Outgoing::over(0, Outlet::over(writer, refusals));
        outputs.coloured = Some([false; 2]);
        let signals = nix::unistd::pipe().unwrap();
        Self {
            outputs,
            poller: Poller::default(),
            signals,
            reader,
            heard: Vec::new(),
            width: names.iter().map(|name| name.len()).max().unwrap_or(0),
        }
    }

    fn open(&mut self, id: usize, name: &str, output: Output) -> Writers {
        let program = Program::new(name, Launch { output, ..Launch::default() });
        let writers =
            self.outputs.open(ProgramId(id), &program, self.width, &mut self.poller).unwrap().unwrap();
        never_wait(writers.stdout());
        writers
    }

    /// A round of the loop; false if nothing was ready.
    fn round(&mut self) -> bool {
        let mut ready = Vec::new();
        self.poller.wait(self.signals.0.as_fd(), Some(Duration::ZERO), &mut ready);
        // The loop has nothing to do then, either.
        if !ready.is_empty() {
            self.serve(&ready);
        }
        !ready.is_empty()
    }

    fn serve(&mut self, ready: &[Token]) {
        for token in ready {
            if let Token::Output(place) = token {
                self.outputs.serve(*place, &mut self.poller);
            }
        }
        self.outputs.end_round(&mut self.poller);
    }

    fn read(&mut self, most: usize) {
        let mut buffer = vec![0; most];
        let count = nix::unistd::read(&self.reader, &mut buffer).unwrap_or(0);
        self.heard.extend(&buffer[..count]);
    }

    /// Reads until nothing comes any more.
    fn read_all(&mut self) {
        loop {
            let (is_ready, before) = (self.round(), self.heard.len());
            self.read(1 << 20);
            if !is_ready && self.heard.len() == before {
                return;
            }
        }
    }

    /// Reads until the end, or until nobody would be told that there is room.
    fn drain_all(&mut self) {
        loop {
            let rest = self.outputs.drain(&mut self.poller);
            self.read(1 << 20);
            let mut ready = Vec::new();
            if rest == Rest::NoRoom {
                self.poller.wait(self.signals.0.as_fd(), Some(Duration::ZERO), &mut ready);
            }
            if rest == Rest::Nothing || rest == Rest::NoRoom && ready.is_empty() {
                return;
            }
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.heard).unwrap()
    }

    fn open_pipes(&self) -> usize {
        self.outputs.pipes.iter().flatten().count()
    }
}

fn never_wait(descriptor: BorrowedFd<'_>) {
    fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

fn print(writers: &Writers, text: &[u8]) -> usize {
    nix::unistd::write(writers.stdout(), text).unwrap_or(0)
}

#[test]
fn an_end_of_the_pipe_ends_the_line() {
    let mut world = World::new(&["a"]);
    let writers = world.open(0, "a", Output::Prefix);
    print(&writers, b"one\ntwo");
    world.read_all();
    assert_eq!(world.text(), "a | one\n");
    drop(writers);
    world.read_all();
    assert_eq!(world.text(), "a | one\na | two\n");
    assert_eq!(world.open_pipes(), 0);
    assert!(!world.round(), "nothing is ready any more");
    assert_eq!(world.outputs.last_lines(ProgramId(0)), ["one", "two"]);
}

#[test]
fn who_has_gone_is_heard_to_its_last_word_and_then_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = || Output::File(OutputFile { path: path.clone(), max: 1 << 20, keep: 1 });
    let mut world = World::new(&["a", "b"]);
    let writers = world.open(0, "a", file());
    let other = world.open(1, "b", file());
    print(&writers, b"one\n");
    world.outputs.forget(ProgramId(0), None);
    assert_eq!(world.outputs.last_lines(ProgramId(0)), [""; 0]);
    drop(writers);
    world.read_all();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
    assert_eq!((world.outputs.voices.len(), world.outputs.files.len()), (1, 1), "b writes to it");
    drop(other);
    world.read_all();
    world.outputs.forget(ProgramId(1), Some("b"));
    assert_eq!((world.outputs.voices.len(), world.outputs.files.len()), (1, 1), "its successor goes on");
    world.outputs.forget(ProgramId(1), Some("c"));
    assert_eq!((world.outputs.voices.len(), world.outputs.files.len()), (0, 0));
}

#[test]
fn an_end_of_the_program_ends_the_line_though_others_keep_the_pipe() {
    let mut world = World::new(&["a"]);
    let writers = world.open(0, "a", Output::Prefix);
    print(&writers, b"one");
    world.outputs.end(ProgramId(0), &mut world.poller);
    world.outputs.end_round(&mut world.poller);
    world.read_all();
    assert_eq!(world.text(), "a | one\n");
    print(&writers, b"two\n");
    world.read_all();
    assert_eq!(world.text(), "a | one\na | two\n");
}

#[test]
fn only_so_many_pipes_of_a_program_are_kept() {
    let mut world = World::new(&["a", "b"]);
    let _other = world.open(1, "b", Output::Prefix);
    let all: Vec<Writers> = (0..40).map(|_| world.open(0, "a", Output::Prefix)).collect();
    assert_eq!(world.open_pipes(), PIPES_PER_PROGRAM + 2);
    let newest = all.last().unwrap();
    print(newest, b"heard\n");
    world.read_all();
    assert_eq!(world.text(), "a | heard\n");
}

#[test]
fn a_stalled_reader_means_that_nothing_is_ready_or_read() {
    let mut world = World::new(&["a"]);
    let writers = world.open(0, "a", Output::Prefix);
    let mut printed = 0;
    for _ in 0..1000 {
        printed += print(&writers, &b"line\n".repeat(1000));
        world.round();
    }
    assert!(!world.round(), "a loop would be busy");
    assert_eq!(print(&writers, b"x\n"), 0, "the program waits");
    assert!(world.outputs.own[0].lines().len() < 200_000);
    world.read_all();
    assert!(world.text().lines().all(|line| line == "a | line"));
    assert_eq!(world.text().lines().count(), printed / 5);
}

/// A reader may make room at any moment, also between two looks at it.
#[test]
fn one_that_has_ended_waits_once_for_a_stalled_reader() {
    let mut world = World::new(&["a"]);
    let writers = world.open(0, "a", Output::Prefix);
    while print(&writers, &[b'x'; 4096]) > 0 || world.round() {}
    for _ in 0..99 {
        world.outputs.end(ProgramId(0), &mut world.poller);
        world.outputs.end_round(&mut world.poller);
    }
    assert_eq!(world.outputs.held[0].len(), 1);
    drop(writers);
    world.drain_all();
    assert_eq!(world.open_pipes(), 0);
}

#[test]
fn room_that_comes_between_two_looks_is_not_missed() {
    // Few words become many, so that there is often no room.
    let name = "a-name-that-is-much-longer-than-what-it-says";
    for every in 2..9 {
        for refused in 1..every {
            // Of so many looks, the first ones find no room.
            let refusals = (0..64).filter(|n| n % every < refused).fold(0, |bits, n| bits | 1 << n);
            let mut world = World::with_refusals(&[name], refusals);
            // All of them can be read between two looks.
            fcntl(&world.reader, FcntlArg::F_SETPIPE_SZ(1 << 20)).unwrap();
            let all: Vec<Writers> = (0..8).map(|id| world.open(id, name, Output::Prefix)).collect();
            for writers in &all {
                assert_eq!(print(writers, &b"y\n".repeat(10_000)), 20_000);
            }
            drop(all);
            if every % 2 == 0 {
                world.read_all();
            } else {
                world.outputs.begin_end(&mut world.poller);
                world.drain_all();
            }
            assert_eq!(world.open_pipes(), 0, "{refused} of {every}: everybody waits for everybody else");
            assert_eq!(lines::count(&world.heard), 8 * 10_000);
        }
    }
}

#[test]
fn one_that_prints_without_end_leaves_the_others_their_turns() {
    let mut world = World::new(&["a", "b"]);
    let endless: Vec<Writers> = (0..50).map(|n| world.open(n, "a", Output::Prefix)).collect();
    let quiet = world.open(99, "b", Output::Prefix);
    print(&quiet, b"here\n");
    let mut rounds = 0;
    while !world.text().contains("b | here") {
        for writers in &endless {
            print(writers, &b"noise\n".repeat(10_000));
        }
        world.round();
        world.read(100_000);
        rounds += 1;
        assert!(rounds < 200, "it is not heard");
    }
}

#[test]
fn at_the_end_only_room_is_waited_for() {
    let mut world = World::new(&["a"]);
    let writers = world.open(0, "a", Output::Prefix);
    let line = [&[b'x'; 999][..], b"\n"].concat();
    let mut printed = 0;
    while print(&writers, &line) == line.len() || world.round() {
        printed += 1;
    }
    assert!(printed > 64, "the reader's pipe, what is on its way, and the program's pipe are full");
    world.outputs.begin_end(&mut world.poller);
    assert_eq!(world.outputs.drain(&mut world.poller), Rest::NoRoom);
    assert_eq!(world.outputs.drain(&mut world.poller), Rest::NoRoom);
    world.outputs.give_up();
    while world.outputs.drain(&mut world.poller) != Rest::Nothing {}
    assert!(world.outputs.lost_lines() > 0);
    assert_eq!(world.open_pipes(), 0, "though a writer is left");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever the pace of programs and of the reader, every line arrives, whole and in order.
    #[test]
    fn no_line_is_lost_torn_or_moved(
        lengths in prop::collection::vec(prop::collection::vec(0usize..9000, 0..60), 1..5),
        refusals: u64,
        paces in prop::collection::vec((1usize..30_000, 0usize..60_000), 1..20),
    ) {
        let names = ["a", "bb", "ccc", "dddd", "eeeee"];
        // Now and then there has to be room.
        let mut world = World::with_refusals(&names, refusals & !1);
        let lines: Vec<Vec<String>> = lengths.iter().map(|lengths| {
            (0..).zip(lengths).map(|(n, length)| format!("{n}{}", "x".repeat(*length))).collect()
        }).collect();
        let texts: Vec<String> = lines.iter().map(|lines| lines.join("\n")).collect();
        let mut writers: Vec<Option<Writers>> =
            (0..lines.len()).map(|id| Some(world.open(id, names[id], Output::Prefix))).collect();
        let mut printed = vec![0; lines.len()];
        let mut rounds = 0;
        while world.open_pipes() > 0 {
            rounds += 1;
            prop_assert!(rounds < 10_000, "everybody waits for everybody else");
            for (written_at_once, read_at_once) in &paces {
                for id in 0..lines.len() {
                    let rest = &texts[id].as_bytes()[printed[id]..];
                    if rest.is_empty() {
                        writers[id] = None;
                    } else if let Some(writers) = &writers[id] {
                        printed[id] += print(writers, &rest[..rest.len().min(*written_at_once)]);
                    }
                }
                world.round();
                world.read(*read_at_once);
            }
            world.read(4096);
        }
        world.read_all();
        for (id, lines) in lines.iter().enumerate() {
            let label = format!("{:5} | ", names[id]);
            let said: Vec<&str> = world.text().lines().filter_map(|line| line.strip_prefix(&label)).collect();
            prop_assert_eq!(&said, lines);
        }
        prop_assert_eq!(world.outputs.lost_lines(), 0);
    }
}
