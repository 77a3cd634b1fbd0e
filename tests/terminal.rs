//! At home on a terminal: with runinit before a command, everything is as without it.

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::path::Path;
use support::pty::Pty;
use support::{Init, PATIENCE, Tested, ensure, probe, process, until, words};
use tempfile::TempDir;

/// A person's shell on a terminal, in a directory with `runinit` and `probe` in it.
struct Desk {
    shell: Pty,
    dir: TempDir,
}

impl Desk {
    fn new() -> Result<Self, String> {
        let dir = tools()?;
        let mut shell = Pty::start(&["bash", "--norc", "--noprofile", "--noediting", "-i"], dir.path())?;
        shell.expect("$ ")?;
        Ok(Self { shell, dir })
    }

    fn write_fleet(&self, text: &str) -> Result<(), String> {
        std::fs::write(self.dir.path().join("fleet.toml"), text).map_err(|e| e.to_string())
    }

    /// Types a line and waits for something on the screen; the echo of the line does not count.
    fn run(&mut self, line: &str, expected: &str) -> Result<(), String> {
        self.shell.type_in(&format!("{line}\n"))?;
        self.shell.expect(&format!("{line}\r\n"))?;
        self.shell.expect(expected)
    }

    /// A program of this name leads the group in the foreground.
    fn has_given(&mut self, name: &str) -> Result<(), String> {
        let in_front = || self.shell.foreground().and_then(process).map(|process| process.name);
        if until(PATIENCE, || in_front().as_deref() == Some(name)) {
            return Ok(());
        }
        let who = in_front();
        Err(format!(
            "{name} has not got the terminal, but {who:?}; on the screen: {:?}",
            self.shell.everything()
        ))
    }

    /// This process has stopped, and the shell says so.
    fn has_stopped(&mut self, job: i32) -> Result<(), String> {
        if !until(PATIENCE, || process(job).is_some_and(|process| process.state == 'T')) {
            return Err(format!("{job} does not stop"));
        }
        self.run("jobs", "Stopped")
    }

    /// Stops what is in front, and the shell says so.
    fn type_ctrl_z(&mut self) -> Result<(), String> {
        self.shell.type_in("\x1a")?;
        self.shell.expect("Stopped")?;
        self.shell.expect("$ ")
    }

    /// The shell is there and has the terminal.
    fn is_back(&mut self) -> Result<(), String> {
        // Its echo may be torn apart by a prompt.
        self.shell.type_in("echo back-$((40 + 2))\n")?;
        self.shell.expect("back-42")?;
        self.shell.expect("$ ")
    }

    fn touch(&self, file: &str) -> Result<(), String> {
        std::fs::write(self.dir.path().join(file), "").map_err(|e| e.to_string())
    }

    /// Something has been written to this file.
    fn waits_for(&self, file: &str) -> Result<(), String> {
        let path = self.dir.path().join(file);
        let is_there = until(PATIENCE, || std::fs::read(&path).is_ok_and(|text| !text.is_empty()));
        if is_there { Ok(()) } else { Err(format!("nothing was written to {file}")) }
    }

    fn pid_in(&self, file: &str) -> Result<i32, String> {
        let path = self.dir.path().join(file);
        let mut pid = None;
        until(PATIENCE, || {
            pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            pid.is_some()
        });
        pid.ok_or_else(|| format!("nothing was written to {file}"))
    }
}

fn tools() -> Result<TempDir, String> {
    let dir = TempDir::new().map_err(|e| e.to_string())?;
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, dir.path().join(name)).map_err(|e| e.to_string())
    };
    link(&Init::Runinit.path()?, "runinit")?;
    link(Path::new(&probe()?), "probe")?;
    Ok(dir)
}

/// This process has been continued: whoever was to do so has heard of it.
fn goes_on(pid: i32) -> Result<(), String> {
    let has_gone_on = until(PATIENCE, || process(pid).is_some_and(|process| process.state != 'T'));
    if has_gone_on { Ok(()) } else { Err(format!("{pid} does not go on")) }
}

#[test]
fn ctrl_c_arrives_exactly_once() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -- ./probe hear --end 3", "ready")?;
    desk.shell.expect("\n")?;
    desk.shell.type_in("\x03")?;
    desk.shell.expect("2\r\n")?;
    desk.shell.type_in("\x1c")?;
    desk.shell.expect("3\r\n")?;
    desk.is_back()?;
    let screen = desk.shell.everything().to_owned();
    // The first is behind the terminal's own ^C; the pid of the probe may end with a 2 as well.
    ensure!(screen.matches("^C2\r\n").count() == 1 && !screen.contains("\n2\r\n"), "heard more: {screen:?}");
    Ok(())
}

#[test]
fn ctrl_c_ends_the_program_and_its_code_is_told() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -- sh -c 'echo up; exec sleep 1000'", "up")?;
    desk.shell.type_in("\x03")?;
    desk.shell.expect("$ ")?;
    desk.run("echo code $?", "code 130")?;
    Ok(())
}

/// A command that starts when there is a file of this name.
fn after(file: &str, command: &str) -> String {
    format!("(until test -s {file}; do sleep 0.05; done; exec {command})")
}

#[test]
fn ctrl_c_ends_the_whole_job() -> Tested {
    let last = "sh -c 'echo > up; exec sleep 1000'";
    let sleep = after("up", "./runinit -- sleep 1000");
    for (job, codes) in [
        (format!("./runinit -- sleep 1000 | {last}"), "130 130"),
        (format!("(echo > up; sleep 1000; echo late) | {sleep}"), "130 130"),
        (format!("./runinit -- {last} | {sleep}"), "130 130"),
        (format!("./runinit -- sh -c './runinit -- sleep 1000; exit 3' | {last}"), "130 130"),
        ("./runinit -- sleep 1000 | ./probe hear -o up --end 2 --code 7".to_owned(), "130 7"),
    ] {
        let mut desk = Desk::new()?;
        desk.run(&job, "")?;
        desk.waits_for("up")?;
        desk.has_given("sleep")?;
        desk.shell.type_in("\x03")?;
        desk.shell.expect("$ ").map_err(|why| format!("{job}: {why}"))?;
        desk.run("echo codes ${PIPESTATUS[*]}", &format!("codes {codes}\r\n"))?;
    }
    Ok(())
}

#[test]
fn a_signal_that_somebody_asked_runinit_for_is_not_the_jobs() -> Tested {
    let mut desk = Desk::new()?;
    let program = "./runinit -- sh -c 'echo $PPID > job; exec sleep 1000'";
    desk.run(&format!("{program} | (trap 'echo hea''rd' INT; cat; echo e''nd)"), "")?;
    desk.has_given("sleep")?;
    let job = desk.pid_in("job")?;
    kill(Pid::from_raw(job), Signal::SIGINT).map_err(|errno| format!("runinit: {errno}"))?;
    desk.shell.expect("end\r\n")?;
    let screen = desk.shell.everything().to_owned();
    ensure!(!screen.contains("heard\r\n"), "on the screen: {screen:?}");
    Ok(())
}

#[test]
fn ctrl_z_stops_the_wrapper_with_the_program_and_fg_continues_both() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -- cat", "")?;
    desk.run("one", "one\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("jobs", "Stopped")?;
    desk.shell.expect("$ ")?;
    desk.run("fg", "./runinit -- cat")?;
    desk.run("two", "two\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("fg", "./runinit -- cat")?;
    desk.run("three", "three\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

/// A job that is over when there is a file `end`, and says so in a word that is not in its line. Not of dash, which Ctrl-Z
/// does not stop between its vfork and the exec of a command.
const WAITS: &str = "./runinit -- bash -c 'echo u''p; until test -e end; do sleep 0.05; done; echo do''ne'";

#[test]
fn a_job_that_goes_on_in_the_background_leaves_the_shell_its_terminal() -> Tested {
    let mut desk = Desk::new()?;
    desk.run(WAITS, "up\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("bg", "$ ")?;
    desk.run("touch end", "done\r\n")?;
    desk.is_back()?;
    desk.run("wait; jobs; rm end", "$ ")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_stopped_job_that_is_ended_leaves_another_its_terminal() -> Tested {
    let mut desk = Desk::new()?;
    desk.run(WAITS, "up\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("jobs -p > job; (tail --pid=$(cat job) -f /dev/null; echo go''ne) & kill %1; cat", "gone\r\n")?;
    desk.run("one", "one\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn fg_continues_all_of_a_program_whose_leader_alone_hears_signals() -> Tested {
    let mut desk = Desk::new()?;
    desk.run(&WAITS.replace("--", "--single-child --"), "up\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("touch end; fg", "done\r\n")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn ctrl_z_stops_a_job_that_has_come_back_from_the_background() -> Tested {
    let mut desk = Desk::new()?;
    desk.run(WAITS, "up\r\n")?;
    let program = desk.shell.foreground().ok_or("nobody is in front")?;
    desk.type_ctrl_z()?;
    for _ in 0..2 {
        desk.run("bg", "$ ")?;
        goes_on(program)?;
        // It runs already, so that nobody tells it.
        desk.run("fg", "")?;
        desk.has_given("runinit")?;
        desk.type_ctrl_z()?;
    }
    desk.run("touch end; fg", "done\r\n")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_stop_signal_to_the_job_stops_it() -> Tested {
    let mut desk = Desk::new()?;
    desk.run(&format!("{WAITS} & echo $! > job"), "up\r\n")?;
    let job = desk.pid_in("job")?;
    desk.run("kill -TSTP %1", "$ ")?;
    desk.has_stopped(job)?;
    desk.run("touch end; fg", "done\r\n")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_program_that_was_brought_to_the_front_reads_there() -> Tested {
    let reads = "sh -c 'echo u''p; until test -e end; do sleep 0.05; done; read x; echo g''ot $x'";
    for init in ["./runinit --", "./runinit -- ./runinit --"] {
        let mut desk = Desk::new()?;
        desk.run(&format!("{init} {reads} &"), "up\r\n")?;
        desk.run("fg", "")?;
        desk.has_given("runinit")?;
        desk.touch("end")?;
        desk.run("something", "got something\r\n")?;
        desk.is_back()?;
    }
    Ok(())
}

#[test]
fn the_terminal_is_shared_with_the_neighbours_in_a_pipeline() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("cat | ./runinit -- sed -u s/^/got-/", "")?;
    desk.run("one", "got-one\r\n")?;
    desk.run("two", "got-two\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_pipeline_stops_as_one_where_a_neighbour_misses_the_terminal() -> Tested {
    let mut desk = Desk::new()?;
    // Not before all are there: the terminal stops those of the group who are.
    let cat = "(until test -e up; do sleep 0.05; done; exec cat)";
    let sed = "./runinit -- sh -c 'touch up; exec sed -u s/^/got-/'";
    desk.run(&format!("{cat} | {sed} & echo $! > job"), "$ ")?;
    let job = desk.pid_in("job")?;
    desk.has_stopped(job)?;
    desk.shell.expect("$ ")?;
    desk.run("fg", "sed")?;
    desk.shell.expect("\n")?;
    desk.run("one", "got-one\r\n")?;
    desk.type_ctrl_z()?;
    desk.run("fg", "sed")?;
    desk.shell.expect("\n")?;
    desk.run("two", "got-two\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_pipeline_of_several_runinits_hands_the_terminal_to_whoever_reads() -> Tested {
    const OTHERS: usize = 5;
    let script = "echo > up-last; until test -e go; do sleep 0.05; done; read x < /dev/tty; echo got $x; exec sleep 1000";
    let first = "./runinit -- sh -c 'echo > first; exec tail -f /dev/null'";
    // Between them are those who neither have it nor want it.
    let others: Vec<_> = (0..OTHERS)
        .map(|n| after("first", &format!("./runinit -- sh -c 'echo > up-{n}; exec cat'")))
        .collect();
    for last in ["./runinit -- sh last", "sh last"] {
        let mut desk = Desk::new()?;
        std::fs::write(desk.dir.path().join("last"), script).map_err(|e| e.to_string())?;
        desk.run(&format!("{first} | {} | {}", others.join(" | "), after("first", last)), "")?;
        desk.has_given("tail")?;
        (0..OTHERS).try_for_each(|n| desk.waits_for(&format!("up-{n}")))?;
        desk.waits_for("up-last")?;
        desk.touch("go")?;
        desk.has_given(if last == "sh last" { "runinit" } else { "sh" })?;
        desk.shell.type_in("something\n")?;
        desk.shell.expect("got something\r\n")?;
        let screen = desk.shell.everything().to_owned();
        ensure!(!screen.contains("Stopped"), "on the screen: {screen:?}");
        desk.shell.type_in("\x03")?;
        desk.is_back()?;
    }
    Ok(())
}

#[test]
fn a_neighbour_hears_a_ctrl_z_once() -> Tested {
    let mut desk = Desk::new()?;
    // It reads the keyboard, so that its own group is in front, and that of the program no more.
    let neighbour = "until test -e go; do sleep 0.05; done; read x < /dev/tty; exec ./probe hear -o heard";
    std::fs::write(desk.dir.path().join("neighbour"), neighbour).map_err(|e| e.to_string())?;
    desk.run("./runinit -- sleep 1000 | sh neighbour", "")?;
    desk.has_given("sleep")?;
    desk.touch("go")?;
    desk.has_given("runinit")?;
    let job = desk.shell.foreground().ok_or("nobody is in front")?;
    desk.shell.type_in("something\n")?;
    let heard = || std::fs::read_to_string(desk.dir.path().join("heard")).unwrap_or_default();
    ensure!(until(PATIENCE, || heard().ends_with('\n')), "the neighbour does not read");
    let ready = heard();
    let neighbour =
        ready.trim_start_matches("ready ").trim().parse().map_err(|_| format!("heard: {ready:?}"))?;
    desk.shell.type_in("\x1a")?;
    ensure!(
        until(PATIENCE, || process(job).is_some_and(|process| process.state == 'T')),
        "runinit does not stop"
    );
    // Its number is higher, so that a stop that has come is heard before it.
    kill(Pid::from_raw(neighbour), Signal::SIGURG).map_err(|errno| format!("the neighbour: {errno}"))?;
    let is_all = until(PATIENCE, || heard().ends_with("\n23\n"));
    ensure!(is_all && heard() == format!("{ready}20\n23\n"), "heard: {:?}", heard());
    Ok(())
}

#[test]
fn a_start_in_the_background_never_takes_the_terminal() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -- sh -c 'echo $$ > pid; exec cat' &", "$ ")?;
    let program = desk.pid_in("pid")?;
    desk.is_back()?;
    // It reads from the background, so both are stopped, and the shell says so.
    ensure!(
        until(PATIENCE, || process(program).is_some_and(|p| p.state == 'T')),
        "cat reads in the background"
    );
    desk.run("wait -n; jobs", "Stopped")?;
    desk.shell.expect("$ ")?;
    desk.run("fg", "exec cat")?;
    desk.run("in front now", "in front now\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_start_in_the_background_of_a_script_leaves_that_the_terminal() -> Tested {
    let script = "trap 'echo hea''rd; kill $!; exit' INT; ./runinit -- sleep 1000 & echo u''p; read x; echo g''ot $x; kill $!; wait";
    for start in [script.to_owned(), script.replace("./runinit --", "./tini -s --")] {
        let mut desk = Desk::new()?;
        std::os::unix::fs::symlink(Init::Runinit.path()?, desk.dir.path().join("tini"))
            .map_err(|e| e.to_string())?;
        std::fs::write(desk.dir.path().join("script"), start).map_err(|e| e.to_string())?;
        desk.run("sh script", "up\r\n")?;
        desk.has_given("sh")?;
        desk.run("line", "got line\r\n")?;
        desk.is_back()?;
        desk.run("sh script", "up\r\n")?;
        desk.shell.type_in("\x03")?;
        desk.shell.expect("heard\r\n")?;
        desk.is_back()?;
    }
    Ok(())
}

#[test]
fn ctrl_c_in_a_script_is_not_about_what_runs_in_its_background() -> Tested {
    let fleet = r#"
        [init]
        state_file = "record.json"
        [[program]]
        name = "main"
        main = true
        shell = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    "#;
    let program = "sh -c 'trap \"echo saved; exit 0\" TERM; echo up; while :; do sleep 0.05; done'";
    for start in [format!("./runinit -- {program}"), "./runinit -q --config fleet.toml".to_owned()] {
        let mut desk = Desk::new()?;
        desk.write_fleet(fleet)?;
        let script = format!(
            "trap 'kill -TERM $pid; wait $pid; echo code $?; exit' INT\n{start} & pid=$!\nwait $pid\n"
        );
        std::fs::write(desk.dir.path().join("script"), script).map_err(|e| e.to_string())?;
        desk.run("sh script", "up\r\n")?;
        desk.shell.type_in("\x03")?;
        desk.shell.expect("saved\r\n")?;
        desk.shell.expect("code 0\r\n")?;
        desk.is_back()?;
        if let Ok(record) = std::fs::read_to_string(desk.dir.path().join("record.json")) {
            ensure!(record.contains("\"name\": \"SIGTERM\""), "the record: {record}");
        }
    }
    Ok(())
}

#[test]
fn a_program_in_the_background_prints_without_being_stopped() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -v -- sh -c 'echo from behind; exit 7' & wait $!; echo code $?", "code 7")?;
    let screen = desk.shell.everything().to_owned();
    ensure!(screen.contains("from behind\r\n"), "on the screen: {screen:?}");
    Ok(())
}

#[test]
fn an_interactive_shell_has_job_control() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("PS1='inner> ' ./runinit -- bash --norc --noprofile --noediting -i", "inner> ")?;
    desk.run("echo $$ > inner; cat", "")?;
    desk.run("typed", "typed\r\n")?;
    desk.shell.type_in("\x1a")?;
    desk.shell.expect("Stopped")?;
    desk.shell.expect("inner> ")?;
    desk.run("kill %1; wait; echo inner-$((40 + 2))", "inner-42")?;
    desk.shell.expect("inner> ")?;
    // Not `exit`, which asks again while the shell still counts the job as stopped.
    desk.run("exec sh -c 'exit 5'", "$ ")?;
    desk.run("echo code $?", "code 5")?;
    let screen = desk.shell.everything().to_owned();
    ensure!(!screen.contains("no job control"), "on the screen: {screen:?}");
    Ok(())
}

#[test]
fn the_terminal_comes_back_as_it_was_from_a_program_that_was_killed() -> Tested {
    let mut desk = Desk::new()?;
    let before = desk.shell.stty(&["-a"])?;
    desk.shell.type_in("./runinit -- sh -c 'stty raw -echo; kill -9 $$'\n")?;
    desk.shell.expect("$ ")?;
    desk.is_back()?;
    let after = desk.shell.stty(&["-a"])?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

#[test]
fn a_change_of_size_is_heard() -> Tested {
    let mut desk = Desk::new()?;
    desk.run("./runinit -- ./probe hear --end 3", "ready")?;
    desk.shell.stty(&["rows", "50", "cols", "150"])?;
    desk.shell.expect("28\r\n")?;
    desk.shell.type_in("\x1c")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_terminal_that_vanishes_ends_things() -> Tested {
    let dir = tools()?;
    let command = words([OsString::from("./runinit"), "--".into(), "sh".into(), "-c".into()]);
    let script = OsString::from("trap 'echo heard > hup; exit 3' HUP; echo up; while :; do sleep 0.1; done");
    let mut pty = Pty::start(&[command, vec![script]].concat(), dir.path())?;
    pty.expect("up")?;
    pty.vanish();
    let status = pty.end()?;
    ensure!(dir.path().join("hup").exists(), "the program did not hear SIGHUP");
    ensure!(status.code() == Some(3), "{status}");
    Ok(())
}

/// As `docker run -it` starts it: the leader of the session, with nobody who could continue it.
#[test]
fn ctrl_z_is_nothing_where_nobody_could_continue() -> Tested {
    let dir = tools()?;
    let command =
        words(["./runinit", "--", "sh", "-c", "echo up; while read -r line; do echo \"got $line\"; done"]);
    let mut pty = Pty::start(&command, dir.path())?;
    pty.expect("up")?;
    pty.type_in("\x1a")?;
    pty.type_in("hello\n")?;
    pty.expect("got hello")?;
    pty.type_in("\x04")?;
    ensure!(pty.end()?.code() == Some(0), "the program's own code");
    Ok(())
}

#[test]
fn ctrl_c_stops_a_fleet_in_order() -> Tested {
    let mut desk = Desk::new()?;
    let fleet = r#"
        [init]
        state_file = "record.json"
        [[program]]
        name = "db"
        shell = "trap 'echo db-ends; exit 0' TERM; touch up; while :; do sleep 0.05; done"
        ready = { file = "up" }
        [[program]]
        name = "web"
        after = ["db"]
        shell = "trap 'echo web-ends; exit 0' TERM; echo web-up; while :; do sleep 0.05; done"
    "#;
    desk.write_fleet(fleet)?;
    desk.run("./runinit -q --config fleet.toml", "web-up")?;
    desk.shell.type_in("\x03")?;
    desk.shell.expect("web-ends")?;
    desk.shell.expect("db-ends")?;
    desk.shell.expect("$ ")?;
    desk.run("echo code $?", "code 0")?;
    let record = std::fs::read_to_string(desk.dir.path().join("record.json")).map_err(|e| e.to_string())?;
    ensure!(record.contains("\"name\": \"SIGINT\""), "the record: {record}");
    Ok(())
}

#[test]
fn a_typed_main_program_of_a_fleet_has_the_terminal() -> Tested {
    let mut desk = Desk::new()?;
    desk.write_fleet("[[program]]\nname = \"a\"\nshell = \"exec sleep 1000\"\n")?;
    desk.run("./runinit -q --config fleet.toml -- cat", "")?;
    desk.run("typed", "typed\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_typed_main_program_keeps_the_terminal_when_another_cannot_start() -> Tested {
    let fleet = r#"
        [[program]]
        name = "first"
        shell = "exec sleep 1000"
        ready = { file = "typed" }
        [[program]]
        name = "late"
        command = ["/no/such/command"]
        after = ["first"]
    "#;
    let mut desk = Desk::new()?;
    desk.write_fleet(fleet)?;
    desk.run("./runinit --config fleet.toml -- sh -c 'echo u''p; read x; touch $x; cat'", "up\r\n")?;
    desk.run("typed", "late: cannot run /no/such/command")?;
    desk.run("read on", "read on\r\n")?;
    desk.shell.type_in("\x04")?;
    desk.is_back()?;
    Ok(())
}

#[test]
fn a_typed_main_program_that_is_started_again_has_the_terminal_again() -> Tested {
    let fleet = r#"
        [init]
        control_socket = "control.sock"
        [[program]]
        name = "main"
        main = true
        command = ["true"]
        restart = "on-failure"
        backoff = { first = "10ms" }
        [[program]]
        name = "other"
        shell = "exec sleep 1000"
    "#;
    let typed = "./runinit -q --config fleet.toml -- sh -c 'echo u''p; read x; echo g''ot $x; test $x = two'";
    let mut desk = Desk::new()?;
    desk.write_fleet(fleet)?;
    desk.run(typed, "up\r\n")?;
    desk.run("one", "got one\r\n")?;
    desk.shell.expect("up\r\n")?;
    desk.run("two", "got two\r\n")?;
    desk.is_back()?;
    // With nobody behind it who could continue it, it would even end.
    let command = words(["sh", "-c", &format!("exec {typed}")]);
    let mut pty = Pty::start(&command, desk.dir.path())?;
    pty.expect("up\r\n")?;
    pty.type_in("one\n")?;
    pty.expect("got one\r\n")?;
    pty.expect("up\r\n")?;
    pty.type_in("two\n")?;
    pty.expect("got two\r\n")?;
    ensure!(pty.end()?.code() == Some(0), "the program's own code");
    Ok(())
}

#[test]
fn ctrl_c_is_heard_while_strays_are_waited_for() -> Tested {
    let dir = tools()?;
    let script = "setsid sh -c 'trap : TERM; echo up; while :; do sleep 0.05; done' & read x";
    let command = words(["./runinit", "--grace", "1000s", "--", "sh", "-c", script]);
    let mut pty = Pty::start(&command, dir.path())?;
    pty.expect("up")?;
    pty.type_in("\n")?;
    ensure!(until(PATIENCE, || pty.foreground() == Some(pty.pid())), "the terminal is not taken back");
    // The first joins a shutdown that is under way, the second means now. Two at once are one.
    let has_ended = until(PATIENCE, || {
        let _ = pty.type_in("\x03");
        process(pty.pid()).is_none_or(|process| process.state == 'Z')
    });
    ensure!(has_ended, "Ctrl-C does nothing");
    Ok(())
}
