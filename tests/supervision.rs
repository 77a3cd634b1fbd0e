//! Readiness, restarts and health, with real programs.

mod support;

use libc::{SIGCONT, SIGSTOP, SIGTERM};
use serde_json::json;
use support::{Outcome, Place, Running, Stage, Tested, ensure, runinit, send, words};

/// Starts a fleet. In its text `@say` is a shell's words that append a line to the file `said`, and `@dir` is where that
/// is.
fn fleet(text: &str) -> Result<Running, String> {
    fleet_by(&[], text)
}

/// The same, by a command that becomes its arguments.
fn fleet_by(by: &[&str], text: &str) -> Result<Running, String> {
    let stage = Stage::new(Place::Below)?;
    let text = text.replace("@say", ">>@dir/said echo").replace("@dir", stage.path("").trim_end_matches('/'));
    stage.write("fleet.toml", &text, 0o644)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let mut command = words(by.iter().copied());
    command.extend(runinit(&["--config", &config, "--state-file", &record], &[]));
    stage.start(command)
}

fn program(name: &str, shell: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nshell = '''{shell}'''\n{more}\n")
}

/// One that says that it is there, and stays.
fn sayer(name: &str, more: &str) -> String {
    program(name, &format!("@say {name}; exec sleep 1000"), more)
}

fn times_said(running: &Running, line: &str) -> usize {
    running.text("said").lines().filter(|said| *said == line).count()
}

fn stop(mut running: Running, code: i32) -> Outcome {
    running.signal(SIGTERM)?;
    running.end_with(code)
}

/// The second program starts, and only after the first has said `ready`.
fn starts_after_ready(ready: &str, shell: &str) -> Outcome {
    let first = program("first", &format!("{shell}; exec sleep 1000"), &format!("ready = {ready}"));
    let running = fleet(&(first + &sayer("second", "after = [\"first\"]")))?;
    running.wait_for_line("said", "second")?;
    let said = running.text("said");
    if said != "ready\nsecond\n" {
        return Err(running.explain(&format!("said {said:?}")));
    }
    stop(running, 0)
}

#[test]
fn a_file_makes_ready() -> Tested {
    Ok(starts_after_ready("{ file = \"@dir/up\" }", "sleep 0.2; @say ready; touch @dir/up")?)
}

#[test]
fn a_check_that_cannot_be_run_is_told_once_in_each_start() -> Tested {
    let more = "ready = { exec = [\"/nowhere/check\"], timeout = \"1s\" }\nrestart = \"on-failure\"\n\
                backoff = { first = \"0s\", burst = 1 }";
    let mut running = fleet(&sayer("first", more))?;
    running.end_with(1)?;
    let told = running.stderr().matches("first: its check: cannot run /nowhere/check").count();
    ensure!(told == 2, "{}", running.explain(&format!("told {told} times")));
    Ok(())
}

#[test]
fn a_command_makes_ready() -> Tested {
    Ok(starts_after_ready(
        "{ exec = [\"test\", \"-e\", \"@dir/up\"] }",
        "sleep 0.2; @say ready; touch @dir/up",
    )?)
}

#[test]
fn a_delay_makes_ready() -> Tested {
    Ok(starts_after_ready("{ delay = \"300ms\" }", "@say ready")?)
}

#[test]
fn a_newline_on_a_descriptor_makes_ready() -> Tested {
    Ok(starts_after_ready("{ fd = 7 }", "sleep 0.2; printf almost >&7; @say ready; echo >&7; exec 7>&-")?)
}

#[test]
fn a_word_on_the_notify_socket_makes_ready() -> Tested {
    let say = r#"python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"STATUS=soon\nREADY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])'"#;
    Ok(starts_after_ready("{ notify = true }", &format!("sleep 0.2; @say ready; {say}"))?)
}

#[test]
fn a_daemon_speaks_for_the_program_that_it_has_left() -> Tested {
    let say = r#"import os, socket, time
# Until nobody is above it who is of the program.
while open("/proc/%d/comm" % os.getppid()).read() != "runinit\n": time.sleep(0.01)
open("@dir/said", "a").write("ready\n")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])
time.sleep(1000)"#;
    let shell = format!("(setsid python3 -c '{say}' &); exec sleep 1000");
    Ok(starts_after_ready("{ notify = true }", &shell)?)
}

#[test]
fn the_last_word_of_one_that_has_ended_is_heard_before_its_end() -> Tested {
    // More than runinit serves in one round; what they say and their ends come to it at once.
    const COUNT: usize = 8;
    let says = |how: &str| {
        format!(
            "exec python3 -c 'import os, socket, time\nwhile not os.path.exists(\"@dir/go\"): time.sleep(0.01)\n{how}'"
        )
    };
    let pipe = "os.write(7, b\"\\n\")";
    let socket = "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  s.sendto(b\"READY=1\", \"\\0\" + os.environ[\"NOTIFY_SOCKET\"][1:])";
    for (ready, how) in [("{ fd = 7 }", pipe), ("{ notify = true }", socket)] {
        let shell = says(how);
        let mut text = String::new();
        for n in 0..COUNT {
            text += &program(&format!("first{n}"), &shell, &format!("ready = {ready}"));
            text += &sayer(&format!("second{n}"), &format!("after = [\"first{n}\"]"));
        }
        let running = fleet(&text)?;
        let init = running.init()?.pid;
        let states = || running.programs().into_iter().map(|program| program.state).collect::<Vec<_>>();
        running.wait_for("the programs", || running.stderr().matches(": started").count() == COUNT)?;
        send(init, SIGSTOP)?;
        std::fs::write(running.file("go"), "").map_err(|e| e.to_string())?;
        let are_over = running.wait_for("their ends", || states() == ['Z'; COUNT]);
        send(init, SIGCONT)?;
        are_over?;
        for n in 0..COUNT {
            running.wait_for_line("said", &format!("second{n}"))?;
        }
        stop(running, 0)?;
    }
    Ok(())
}

#[test]
fn a_silence_that_runinit_could_not_hear_is_held_against_nobody() -> Tested {
    const COUNT: usize = 6;
    const WORDS: usize = 15;
    let say = r#"import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
s.setblocking(False)
s.send(b"READY=1\nWATCHDOG_USEC=1000000")
while True:
    time.sleep(0.1)
    print(os.environ["NAME"], flush=True)
    try: s.send(b"WATCHDOG=1")
    except BlockingIOError: pass"#;
    let each = |n: usize| {
        let shell = format!("NAME=p{n} exec python3 -c '{say}' >>@dir/said");
        program(&format!("p{n}"), &shell, "ready = { notify = true }")
    };
    let running = fleet(&(0..COUNT).map(each).collect::<String>())?;
    let wait_for_words = || {
        let before: Vec<usize> = (0..COUNT).map(|n| times_said(&running, &format!("p{n}"))).collect();
        let have_said_more = || {
            before
                .iter()
                .enumerate()
                .all(|(n, before)| times_said(&running, &format!("p{n}")) > before + WORDS)
        };
        running.wait_for("their words", have_said_more)
    };
    running.wait_for("the programs", || running.stderr().matches("is ready").count() == COUNT)?;
    let init = running.init()?.pid;
    send(init, SIGSTOP)?;
    let said = wait_for_words();
    send(init, SIGCONT)?;
    said.and_then(|()| wait_for_words())?;
    ensure!(!running.stderr().contains("silent"), "{}", running.explain("somebody was stopped"));
    Ok(stop(running, 0)?)
}

#[test]
fn more_descriptors_than_there_is_room_for_do_not_drown_the_word_that_they_come_with() -> Tested {
    let say = r#"import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
for word in (b"STATUS=soon", b"READY=1"):
    socket.send_fds(s, [word], [0] * 200)
time.sleep(1000)"#;
    let text = program("first", &format!("exec python3 -c '{say}'"), "ready = { notify = true }")
        + &sayer("second", "after = [\"first\"]");
    let running = fleet_by(&["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"], &text)?;
    running.wait_for_line("said", "second")?;
    let open = std::fs::read_dir(format!("/proc/{}/fd", running.init()?.pid)).map_err(|e| e.to_string())?;
    let count = open.count();
    ensure!(count < 32, "{count} descriptors are open");
    Ok(stop(running, 0)?)
}

#[test]
fn another_user_s_word_is_heard_where_nobody_can_be_looked_at() -> Tested {
    let say = r#"import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
if os.fork() == 0:
    s.send(b"READY=1")
    os._exit(0)
time.sleep(1000)"#;
    let text =
        program("first", &format!("exec python3 -c '{say}'"), "user = 1234\nready = { notify = true }")
            + &sayer("second", "after = [\"first\"]");
    let without_proc = "mount -t tmpfs none /proc && exec \"$@\"";
    let running = fleet_by(&["unshare", "--mount", "sh", "-c", without_proc, "sh"], &text)?;
    running.wait_for_line("said", "second")?;
    Ok(stop(running, 0)?)
}

#[test]
fn one_that_falls_silent_is_started_again() -> Tested {
    let say = r#"import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
s.send(b"READY=1\nWATCHDOG_USEC=400000")
for _ in range(8):
    time.sleep(0.1)
    s.send(b"WATCHDOG=1")
open("@dir/said", "a").write("silent\n")
time.sleep(1000)"#;
    let more = "ready = { notify = true }\nrestart = \"on-failure\"\nbackoff = { first = \"1ms\" }";
    let running = fleet(&program("web", &format!("exec python3 -c '{say}'"), more))?;
    running.wait_for("a second silence", || times_said(&running, "silent") >= 2)?;
    let told = running.stderr();
    ensure!(told.contains("web: silent for longer than its WATCHDOG_USEC; stopping it"), "{told}");
    Ok(stop(running, 0)?)
}

#[test]
fn a_listener_makes_ready() -> Tested {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| e.to_string())?
        .port();
    let listen = format!(
        "python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", {port})); time.sleep(1000)'"
    );
    Ok(starts_after_ready(
        &format!("{{ tcp = \"localhost:{port}\" }}"),
        &format!("sleep 0.2; @say ready; exec {listen}"),
    )?)
}

#[test]
fn another_programs_word_is_not_heard() -> Tested {
    let shout = r#"python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", "\0" + open("@dir/address").read().strip()[1:])'; @say shouted; exec sleep 1000"#;
    let text = program(
        "first",
        "echo $NOTIFY_SOCKET > @dir/address.new; mv @dir/address.new @dir/address; exec sleep 1000",
        "ready = { notify = true }",
    ) + &sayer("second", "after = [\"first\"]")
        + &program("other", &format!("while [ ! -e @dir/address ]; do sleep 0.01; done; {shout}"), "");
    let running = fleet(&text)?;
    running.wait_for_line("said", "shouted")?;
    running.wait_for("a warning about it", || running.stderr().contains("a message for another program"))?;
    ensure!(times_said(&running, "second") == 0, "{}", running.explain("believed"));
    Ok(stop(running, 0)?)
}

#[test]
fn one_that_is_never_ready_is_named_and_those_after_it_are_told() -> Tested {
    let text = program("slow", "exec sleep 1000", "ready = { file = \"/nowhere\", timeout = \"300ms\" }")
        + &sayer("second", "after = [\"slow\"]");
    let mut running = fleet(&text)?;
    running.end_with(1)?;
    let stderr = running.stderr();
    ensure!(stderr.contains("slow: not ready in time"), "{stderr}");
    ensure!(stderr.contains("second: not started: it comes after slow"), "{stderr}");
    Ok(())
}

#[test]
fn a_stop_in_the_middle_of_the_start_starts_nothing_more() -> Tested {
    let text = sayer("first", "ready = { file = \"/nowhere\" }") + &sayer("second", "after = [\"first\"]");
    let mut running = fleet(&text)?;
    running.wait_for_line("said", "first")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.text("said") == "first\n", "{}", running.explain("more was started"));
    Ok(())
}

#[test]
fn a_oneshot_is_ready_when_it_has_exited_well() -> Tested {
    let text = program("migrate", "sleep 0.2; @say migrated", "oneshot = true")
        + &sayer("app", "after = [\"migrate\"]");
    let running = fleet(&text)?;
    running.wait_for_line("said", "app")?;
    ensure!(running.text("said") == "migrated\napp\n", "{}", running.explain("the order"));
    Ok(stop(running, 0)?)
}

#[test]
fn a_crash_is_restarted_until_it_is_too_often() -> Tested {
    let backoff = "backoff = { first = \"20ms\", max = \"40ms\", burst = 3, within = \"60s\" }";
    let more = format!("restart = \"on-failure\"\n{backoff}\non_failure = \"shutdown\"");
    let mut running = fleet(&(program("crash", "@say crash; exit 9", &more) + &sayer("other", "")))?;
    running.end_with(9)?;
    ensure!(times_said(&running, "crash") == 4, "{}", running.explain("one start and three restarts"));
    let record = running.record()?;
    ensure!(record.text("reason")? == "program_failed", "{record:?}");
    ensure!(record.program("crash")?.number("restarts")? == 3, "{record:?}");
    Ok(())
}

#[test]
fn nothing_of_the_old_run_is_alive_when_the_new_one_begins() -> Tested {
    let shell = "sh -c 'trap \"sleep 0.3; @say old-ends; exit\" TERM; while :; do sleep 0.01; done' & @say start; \
                 sleep 0.1; [ -e @dir/again ] && exec sleep 1000; touch @dir/again; exit 1";
    let more = "restart = \"on-failure\"\nbackoff = { first = \"10ms\" }";
    let running = fleet(&program("p", shell, more))?;
    running.wait_for("the second start", || times_said(&running, "start") == 2)?;
    ensure!(running.text("said").starts_with("start\nold-ends\nstart\n"), "{}", running.explain("too early"));
    Ok(stop(running, 0)?)
}

#[test]
fn nobody_is_waited_for_who_is_dead_and_not_reaped() -> Tested {
    // The parent of the zombie in the group has left that, and with its environment the mark of its program.
    let fork = "import os, time
a = os.fork()
if a == 0:
    b = os.fork()
    if b == 0: os._exit(0)
    os.waitid(os.P_PID, b, os.WEXITED | os.WNOWAIT)
    os.setsid()
    os.execve('/bin/sleep', ['sleep', '1000'], {})
while open('/proc/%d/comm' % a).read() != 'sleep\\n': time.sleep(0.01)
os._exit(4)";
    let more = "restart = \"on-failure\"\nbackoff = { first = \"10ms\", burst = 1000 }\n\
                stop = [{ signal = \"SIGTERM\", wait = \"60s\" }, { signal = \"SIGKILL\", wait = \"60s\" }]";
    let text = program("p", &format!("@say start; exec python3 -c \"{fork}\""), more);
    let running = fleet(&(text + &program("other", "exec sleep 1000", "")))?;
    running.wait_for("the third start", || times_said(&running, "start") >= 3)?;
    ensure!(!running.stderr().contains("still there"), "{}", running.stderr());
    Ok(stop(running, 0)?)
}

#[test]
fn what_is_unwell_is_stopped_and_started_again() -> Tested {
    let more = "restart = \"always\"\nbackoff = { first = \"10ms\" }\n\
                health = { exec = [\"test\", \"-e\", \"@dir/well\"], every = \"50ms\", timeout = \"5s\", failures = 2 }";
    let running = fleet(&program("p", "touch @dir/well; @say start; exec sleep 1000", more))?;
    running.wait_for_line("said", "start")?;
    std::fs::remove_file(running.file("well")).map_err(|e| e.to_string())?;
    running.wait_for("the second start", || times_said(&running, "start") == 2)?;
    ensure!(running.stderr().contains("p: unhealthy"), "{}", running.stderr());
    Ok(stop(running, 0)?)
}

#[test]
fn a_check_that_hangs_is_ended_with_all_its_children() -> Tested {
    let check = "[\"sh\", \"-c\", \"echo $$ >> @dir/checks; sleep 1000 & wait\"]";
    let more =
        format!("health = {{ exec = {check}, every = \"20ms\", timeout = \"100ms\", failures = 1000 }}");
    let running = fleet(&program("p", "exec sleep 1000", &more))?;
    running.wait_for("three checks", || running.text("checks").lines().count() >= 3)?;
    let sleepers =
        support::descendants(running.init()?.pid).into_iter().filter(|p| p.name == "sleep").count();
    ensure!(sleepers <= 2, "{}", running.explain("checks were left behind"));
    Ok(stop(running, 0)?)
}

#[test]
fn what_a_check_prints_is_not_what_the_program_has_printed() -> Tested {
    let check = "[\"sh\", \"-c\", \"echo page; echo page >&2; echo >>@dir/checks\"]";
    let more =
        format!("output = \"prefix\"\nhealth = {{ exec = {check}, every = \"5ms\", timeout = \"5s\" }}");
    let mut running = fleet(&program("p", "echo its own; exec sleep 1000", &more))?;
    running.wait_for("three checks", || running.text("checks").lines().count() >= 3)?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(record.program("p")?.list("last_output")? == &[json!("its own")], "{record:?}");
    ensure!(
        !running.stdout().contains("page") && !running.stderr().contains("page"),
        "{}",
        running.explain("a page")
    );
    Ok(())
}

#[test]
fn descriptors_stay_as_many_as_they_were() -> Tested {
    let more = "ready = { notify = true }\nrestart = \"always\"\n\
                backoff = { first = \"1ms\", max = \"1ms\", burst = 1000, within = \"60s\" }";
    let with_pipe = more.replace("{ notify = true }", "{ fd = 5 }");
    let text = program("a", "@say a; exit 0", more) + &program("b", "@say b; exit 0", &with_pipe);
    let running = fleet(&text)?;
    let descriptors = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    running.wait_for("some restarts", || times_said(&running, "a") > 5 && times_said(&running, "b") > 5)?;
    let pid = running.init()?.pid;
    let before = descriptors(pid);
    running.wait_for("many restarts", || times_said(&running, "a") > 50 && times_said(&running, "b") > 50)?;
    // In the middle of a start there are some more.
    running.wait_for(&format!("{before} descriptors again"), || descriptors(pid) <= before)?;
    Ok(stop(running, 0)?)
}

#[test]
fn a_reload_touches_only_what_has_changed() -> Tested {
    let head = "[init]\nreload_signal = \"HUP\"\n";
    let running =
        fleet(&format!("{head}{}{}{}", sayer("same", ""), sayer("changed", ""), sayer("gone", "")))?;
    for name in ["same", "changed", "gone"] {
        running.wait_for_line("said", name)?;
    }
    let config = running.file("fleet.toml");
    let before = std::fs::read_to_string(&config).map_err(|e| e.to_string())?;
    let said = running.file("said").display().to_string();
    let changed = before.replace("echo changed", "echo changed-now").replace("gone", "new");
    let write = |text: &str| std::fs::write(&config, text).map_err(|e| e.to_string());

    write(&changed.replace("shell", "shel"))?;
    running.signal(libc::SIGHUP)?;
    running.wait_for("why it is refused", || running.stderr().contains("unknown key \"shel\""))?;

    write(&changed)?;
    running.signal(libc::SIGHUP)?;
    running.wait_for_line("said", "changed-now")?;
    running.wait_for_line("said", "new")?;
    running.wait_for("the end of the program that is gone", || {
        running.stderr().contains("gone: died of SIGTERM")
    })?;
    ensure!(times_said(&running, "same") == 1, "{} was started again, see {said}", "same");
    ensure!(
        running.stderr().contains("read again: 1 the same, 1 changed, 1 new, 1 gone"),
        "{}",
        running.stderr()
    );
    Ok(stop(running, 0)?)
}
