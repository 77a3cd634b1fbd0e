//! The command line and the environment.

mod support;

use libc::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::ffi::OsString;
use std::fs::{Permissions, set_permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use support::{
    End, Lateness, Outcome, PATIENCE, Place, Running, Stage, Tested, descendants, ensure, probe, runinit,
    send, until, words,
};

/// Runs runinit to its end with nothing but these words.
fn run(options: &[&str], command: &[&str]) -> Result<(Running, End), String> {
    let mut running = Stage::new(Place::Below)?.start(runinit(options, command))?;
    let end = running.end()?;
    Ok((running, end))
}

/// Bad usage: exit code 100, these words on standard error, nothing on standard output.
fn refused(options: &[&str], command: &[&str], words: &[&str]) -> Outcome {
    let (running, end) = run(options, command)?;
    ensure!(end.code == Some(100), "{}", running.explain(&format!("{options:?}: {end:?}")));
    let (stderr, stdout) = (running.stderr(), running.stdout());
    ensure!(words.iter().all(|word| stderr.contains(word)), "{options:?}: wanted {words:?}, got {stderr:?}");
    ensure!(stdout.is_empty(), "{options:?}: {stdout:?} on standard output");
    Ok(())
}

#[test]
fn the_version_is_told() -> Tested {
    for option in ["--version", "-V"] {
        let (running, end) = run(&[option], &[])?;
        ensure!(end.code == Some(0), "{end:?}");
        ensure!(
            running.stdout() == concat!("runinit ", env!("CARGO_PKG_VERSION"), "\n"),
            "{}",
            running.stdout()
        );
    }
    Ok(())
}

#[test]
fn help_names_every_option_and_variable() -> Tested {
    for option in ["--help", "-h"] {
        let (running, end) = run(&[option], &[])?;
        ensure!(
            end.code == Some(0) && running.stderr().is_empty(),
            "{}",
            running.explain(&format!("{end:?}"))
        );
        let help = running.stdout();
        for word in [
            "--config",
            "RUNINIT_CONFIG",
            "--grace",
            "RUNINIT_GRACE",
            "--stop-signal",
            "RUNINIT_STOP_SIGNAL",
            "--rewrite",
            "--single-child",
            "--state-file",
            "RUNINIT_STATE_FILE",
            "-v",
            "-q",
            "RUNINIT_LOG",
            "--version",
            "--help",
            "check",
            "forever",
            "100",
            "111",
            "70",
            "126",
            "127",
        ] {
            ensure!(help.contains(word), "{word} is missing:\n{help}");
        }
        ensure!(help.lines().all(|line| line.chars().count() <= 110), "lines too long:\n{help}");
    }
    Ok(())
}

#[test]
fn a_program_that_has_left_its_group_hears_signals_all_the_same() -> Tested {
    let probe = probe()?;
    for place in Place::BOTH {
        // runinit leads a group: that which it is born into is outside of the namespace, where no number reaches.
        let mut argv = words(["setsid"]);
        argv.extend(runinit(&[], &[&probe, "hear", "--join", "--end", "15", "--code", "7"]));
        let mut running = Stage::new(place)?.start(argv)?;
        running.wait_until_ready()?;
        running.signal(SIGUSR1)?;
        running.wait_for_line("stdout", "10")?;
        running.signal(SIGTERM)?;
        running.end_with(7)?;
    }
    Ok(())
}

#[test]
fn a_reader_that_has_gone_is_met_without_a_word() -> Tested {
    for option in ["--version", "--help"] {
        let mut running = Stage::new(Place::Below)?.with("--broken", "1").start(runinit(&[option], &[]))?;
        let end = running.end()?;
        // None: SIGPIPE ended it, as it ends most programs.
        ensure!(matches!(end.code, None | Some(0)), "{}", running.explain(&format!("{end:?}")));
        ensure!(running.stderr().is_empty(), "{}", running.explain("it complains"));
    }
    Ok(())
}

#[test]
fn what_cannot_be_written_is_an_error() -> Tested {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let fleet = directory.path().join("fleet.toml");
    std::fs::write(&fleet, "[[program]]\nname = \"a\"\ncommand = [\"a\"]\n").map_err(|e| e.to_string())?;
    let fleet = fleet.display().to_string();
    for line in [
        &["--version"][..],
        &["--help"],
        &["man"],
        &["completions", "zsh"],
        &["explain", "3"],
        &["check", &fleet],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").map_err(|e| e.to_string())?;
        let mut asked = std::process::Command::new(env!("CARGO_BIN_EXE_runinit"));
        let said = asked.env_clear().args(line).stdout(full).output().map_err(|e| e.to_string())?;
        let stderr = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.code() == Some(1), "{line:?}: {said:?}");
        ensure!(stderr.starts_with("runinit: standard output: "), "{line:?}: {stderr}");
    }
    Ok(())
}

#[test]
fn a_bare_command_is_refused_with_a_hint() -> Tested {
    refused(&["sleep", "10"], &[], &["runinit -- sleep 10"])?;
    refused(&["-v", "sleep", "10"], &[], &["runinit -- sleep 10"])?;
    Ok(refused(&["/bin/true"], &["sh", "-c", "exit 0"], &["/bin/true"])?)
}

#[test]
fn nothing_to_run_is_bad_usage() -> Tested {
    refused(&[], &[], &["runinit -- sleep 10"])?;
    refused(&["--"], &[], &["runinit -- sleep 10"])?;
    Ok(refused(&["-v", "--grace", "5s"], &[], &["runinit -- sleep 10"])?)
}

#[test]
fn what_is_no_option_is_named() -> Tested {
    for (options, word) in [
        (&["--grase", "9s"][..], "--grase"),
        (&["-x"], "-x"),
        (&["--grace"], "--grace"),
        (&["--state-file"], "--state-file"),
        (&["--single-child=yes"], "--single-child"),
        (&["--help=yes"], "--help"),
        (&["--version=yes"], "--version"),
        (&["check", "--help=yes"], "--help"),
        (&["explain", "--help=yes"], "--help"),
        (&["drill", "--help=yes"], "--help"),
        (&["status", "--help=yes"], "--help"),
    ] {
        refused(options, &["sh", "-c", "echo started"], &[word])?;
    }
    Ok(())
}

#[test]
fn an_empty_value_is_refused_by_the_name_of_its_option() -> Tested {
    for (words, said) in [
        (&["--grace", ""][..], "--grace: \"\" is no duration: it is empty"),
        (&["--grace="], "--grace: \"\" is no duration: it is empty"),
        (&["--stop-signal", ""], "--stop-signal: there is no signal \"\""),
        (&["--rewrite", ""], "--rewrite \"\": write it as FROM:TO"),
        (&["--rewrite", ":0"], "--rewrite \":0\": there is no signal \"\""),
        (&["--state-file", ""], "--state-file: \"\" names no file"),
        (&["--control", ""], "--control: \"\" names no file"),
        (&["--config", ""], "--config: \"\" names no file"),
        (&["-c", ""], "-c: \"\" names no file"),
        (&["check", ""], "FILE: \"\" names no file"),
        (&["hygiene", ""], "FILE: \"\" names no file"),
        (&["drill", ""], "FILE: \"\" names no file"),
        (&["drill", "--svg", "", "a"], "--svg: \"\" names no file"),
        (&["explain", ""], "FILE: \"\" names no file"),
        (&["explain", "--svg="], "--svg: \"\" names no file"),
        (&["status", "--control", ""], "--control: \"\" names no file"),
        (&["status", "--config", ""], "--config: \"\" names no file"),
        (&["status", "--timeout", ""], "--timeout: \"\" is no duration: it is empty"),
        (&["logs", "web", "-n", ""], "-n \"\": how many lines?"),
    ] {
        refused(words, &[], &[said])?;
    }
    Ok(())
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() -> Tested {
    let mut stage = Stage::new(Place::Below)?;
    for name in ["CONFIG", "GRACE", "STOP_SIGNAL", "STATE_FILE", "CONTROL", "LOG"] {
        stage = stage.env(&format!("RUNINIT_{name}"), "");
    }
    let mut running = stage.start(runinit(&[], &["sh", "-c", "exit 23"]))?;
    running.end_with(23)?;
    ensure!(running.stderr().is_empty(), "{}", running.stderr());
    Ok(())
}

#[test]
fn bad_durations_are_refused_wherever_they_come_from() -> Tested {
    for text in ["9", "soon", "-1s", "1x", "9s and a bit", "never", "18446744073709551615s"] {
        refused(&["--grace", text], &["sh", "-c", "echo started"], &["--grace", text])?;
        let mut running =
            Stage::new(Place::Below)?.env("RUNINIT_GRACE", text).start(runinit(&[], &["echo", "x"]))?;
        running.end_with(100)?;
        let stderr = running.stderr();
        ensure!(
            stderr.contains("RUNINIT_GRACE") && stderr.contains(text) && running.stdout().is_empty(),
            "{stderr}"
        );
    }
    Ok(())
}

#[test]
fn bad_signals_are_refused_wherever_they_come_from() -> Tested {
    for text in ["TERMS", "0", "65", "-1", "SIGRTMIN+31", "SIGRTMAX+1", "SIG"] {
        refused(&["--stop-signal", text], &["sh", "-c", "echo started"], &["--stop-signal", text])?;
        let stage = Stage::new(Place::Below)?.env("RUNINIT_STOP_SIGNAL", text);
        let mut running = stage.start(runinit(&[], &["echo", "started"]))?;
        running.end_with(100)?;
        let stderr = running.stderr();
        ensure!(stderr.contains("RUNINIT_STOP_SIGNAL") && stderr.contains(text), "{stderr}");
    }
    Ok(())
}

#[test]
fn a_variable_that_an_option_stands_for_may_make_no_sense() -> Tested {
    let stage = Stage::new(Place::Below)?.env("RUNINIT_GRACE", "soon").env("RUNINIT_STOP_SIGNAL", "SIGNO");
    let options = ["--grace", "5s", "--stop-signal", "TERM"];
    stage.start(runinit(&options, &["sh", "-c", "exit 23"]))?.end_with(23)?;
    let mut help = Stage::new(Place::Below)?.env("RUNINIT_GRACE", "soon").start(runinit(&["--help"], &[]))?;
    Ok(help.end_with(0)?)
}

#[test]
fn bad_rewrites_are_refused() -> Tested {
    for text in ["", "TERM", "TERM:", ":INT", "TERM:FOO", "FOO:TERM", "0:TERM", "15:2:3"] {
        refused(&["--rewrite", text], &["sh", "-c", "echo started"], &["--rewrite", text])?;
    }
    for (text, why) in [
        ("KILL:TERM", "SIGKILL is never forwarded"),
        ("19:0", "SIGSTOP is never forwarded"),
        ("CHLD:USR1", "SIGCHLD is never forwarded"),
        ("TSTP:STOP", "SIGTSTP is never forwarded"),
        ("TTIN:0", "SIGTTIN is never forwarded"),
        ("SIGTTOU:CONT", "SIGTTOU is never forwarded"),
    ] {
        refused(&["--rewrite", text], &["sh", "-c", "echo started"], &["--rewrite", text, why])?;
    }
    Ok(())
}

/// The budget in the record of a run with these options and variables.
fn budget(options: &[&str], variables: &[(&str, &str)]) -> Result<Option<i64>, String> {
    let mut stage = Stage::new(Place::Below)?;
    for (name, value) in variables {
        stage = stage.env(name, *value);
    }
    let record = stage.path("record");
    let mut all = vec!["--state-file", &record];
    all.extend(options);
    let mut running = stage.start(runinit(&all, &["sh", "-c", "exit 0"]))?;
    running.end_with(0)?;
    Ok(running.record()?.at("budget_ms").as_i64())
}

#[test]
fn the_grace_is_read_in_every_spelling() -> Tested {
    for (text, ms) in [("500ms", 500), ("2s", 2_000), ("1m30s", 90_000), ("7d", 604_800_000)] {
        let got = budget(&["--grace", text], &[])?;
        ensure!(got == Some(ms), "{text}: {got:?}");
        let got = budget(&[&format!("--grace={text}")], &[])?;
        ensure!(got == Some(ms), "--grace={text}: {got:?}");
    }
    let got = budget(&["--grace", "forever"], &[])?;
    ensure!(got.is_none(), "forever is {got:?} ms");
    Ok(())
}

#[test]
fn the_grace_is_nine_seconds_and_in_kubernetes_twenty_nine() -> Tested {
    let kubernetes = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    for (options, variables, ms) in [
        (&[][..], &[][..], 9_000),
        (&[], &[kubernetes], 29_000),
        (&[], &[("RUNINIT_GRACE", "5s")], 5_000),
        (&[], &[("RUNINIT_GRACE", "5s"), kubernetes], 5_000),
        (&["--grace", "7s"], &[("RUNINIT_GRACE", "5s"), kubernetes], 7_000),
    ] {
        let got = budget(options, variables)?;
        ensure!(got == Some(ms), "{options:?} {variables:?}: {got:?}");
    }
    Ok(())
}

/// A hearing program: for each signal that is sent, what it has to hear; 0 is nothing. The last one ends it.
fn hears(stage: Stage, options: &[&str], pairs: &[(i32, i32)]) -> Outcome {
    let last = pairs.last().map(|(_, heard)| heard.to_string()).unwrap_or_default();
    let running = stage.start(runinit(options, &[&probe()?, "hear", "--end", &last]))?;
    running.wait_until_ready()?;
    let heard = || -> Vec<i32> {
        let lines = running.stdout();
        lines.lines().skip(1).filter_map(|line| line.parse().ok()).filter(|n| *n != libc::SIGCONT).collect()
    };
    let mut wanted = Vec::new();
    for (sent, hears) in pairs {
        running.signal(*sent)?;
        if *hears == 0 {
            running.settle()?;
        } else {
            wanted.push(*hears);
        }
        running.wait_for(&format!("{wanted:?} instead of {:?}", heard()), || heard() == wanted)?;
    }
    Ok(())
}

#[test]
fn the_stop_signal_replaces_the_one_that_came() -> Tested {
    for (text, signal) in
        [("SIGUSR1", 10), ("usr1", 10), ("10", 10), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("64", 64)]
    {
        hears(Stage::new(Place::Pid1)?, &["--stop-signal", text], &[(SIGTERM, signal)])?;
        hears(Stage::new(Place::Below)?.env("RUNINIT_STOP_SIGNAL", text), &[], &[(SIGTERM, signal)])?;
    }
    // The option wins, and only the shutdown's signal is replaced.
    let stage = Stage::new(Place::Below)?.env("RUNINIT_STOP_SIGNAL", "USR2");
    Ok(hears(stage, &["--stop-signal", "QUIT"], &[(SIGHUP, SIGHUP), (SIGTERM, 3)])?)
}

#[test]
fn the_two_signals_of_the_c_library_are_signals_too() -> Tested {
    for (text, signal) in [("32", 32), ("SIG33", 33)] {
        // No program of this C library can hear them.
        let rewrite = format!("{text}:USR1");
        hears(Stage::new(Place::Below)?, &["--rewrite", &rewrite], &[(signal, 10), (SIGTERM, 15)])?;
        let stage = Stage::new(Place::Below)?;
        let record = stage.path("record");
        let options = ["--stop-signal", text, "--state-file", &record];
        let mut running = stage.start(runinit(&options, &["sh", "-c", "echo ready; sleep 100"]))?;
        running.wait_for_line("stdout", "ready")?;
        running.signal(SIGTERM)?;
        running.end_with(128 + signal)?;
        let record = running.record()?;
        ensure!(record.text("programs.0.stopped_by")? == format!("SIG{signal}"), "{record:?}");
    }
    Ok(())
}

#[test]
fn signals_are_rewritten_and_dropped() -> Tested {
    let options = ["--rewrite", "HUP:USR1", "--rewrite", "SIGUSR2:0", "--rewrite=34:SIGRTMIN+5"];
    let pairs = [(SIGHUP, 10), (SIGUSR2, 0), (34, 39), (SIGUSR1, 10), (SIGTERM, 15)];
    hears(Stage::new(Place::Pid1)?, &options, &pairs)?;
    // The shutdown begins all the same, and so its signal is rewritten, too.
    hears(Stage::new(Place::Below)?, &["--rewrite", "TERM:QUIT"], &[(SIGTERM, 3)])?;
    Ok(())
}

#[test]
fn sigint_without_a_terminal_begins_the_shutdown() -> Tested {
    let late = Lateness::watch();
    for (signal, name) in [(SIGINT, "SIGINT"), (libc::SIGQUIT, "SIGQUIT")] {
        let stage = Stage::new(Place::Pid1)?;
        let record = stage.path("record");
        let mut running =
            stage.start(runinit(&["--grace", "2s", "--state-file", &record], &[&probe()?, "hear"]))?;
        running.wait_until_ready()?;
        running.signal(signal)?;
        running.end_with(137)?;
        ensure!(running.has_line("stdout", &signal.to_string()), "{}", running.explain("it did not hear it"));
        let record = running.record()?;
        ensure!(record.text("signal.name")? == name && late.in_time(&record)?, "{record:?}");
    }
    Ok(())
}

/// timeout(1) hands on what it gets: to its child, and at once again to the group that both are in.
#[test]
fn what_timeout_sends_twice_is_one_request() -> Tested {
    let script = "trap 'sleep 0.05; echo clean; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    for _ in 0..10 {
        let mut argv: Vec<OsString> = ["timeout", "1h"].map(Into::into).into();
        argv.extend(runinit(&["-v"], &["sh", "-c", script]));
        let mut running = Stage::new(Place::Below)?.start(argv)?;
        running.wait_until_ready()?;
        // Until timeout waits for its child it does not know whom to signal, and just ends.
        running.settle()?;
        running.signal(SIGTERM)?;
        running.end_with(3)?;
        ensure!(running.stdout().contains("clean"), "{}", running.explain("it was killed"));
    }
    Ok(())
}

/// For a moment a new process is in runinit's own group, and runinit waits for it.
#[test]
fn a_stop_signal_in_the_middle_of_a_start_stops_nobody_for_ever() -> Tested {
    for _ in 0..20 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
        let mut child = command.args(["--", "true"]).process_group(0).spawn().map_err(|e| e.to_string())?;
        let group = child.id().cast_signed();
        // Before that it is stopped itself, as any program is.
        let status = format!("/proc/{group}/status");
        while std::fs::read_to_string(&status).is_ok_and(|text| text.contains("SigBlk:\t0000000000000000")) {}
        let has_ended = until(PATIENCE, || {
            // ESRCH: it has just ended.
            (0..5_000).take_while(|_| send(-group, SIGTSTP).is_ok()).for_each(drop);
            matches!(child.try_wait(), Ok(Some(_)))
        });
        if !has_ended {
            descendants(group).iter().try_for_each(|process| send(process.pid, SIGKILL))?;
            child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
        }
        ensure!(has_ended, "it waits for a program that was stopped before it began");
    }
    Ok(())
}

#[test]
fn other_signals_begin_no_shutdown() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let record = stage.path("record");
    let running = stage.start(runinit(&["--grace", "1s", "--state-file", &record], &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    for signal in [SIGHUP, SIGUSR1, SIGUSR2, 34, 64] {
        running.signal(signal)?;
        running.wait_for_line("stdout", &signal.to_string())?;
    }
    running.settle()?;
    running.wait_for_phase("running")?;
    Ok(())
}

#[test]
fn everything_behind_the_dashes_is_the_commands() -> Tested {
    let mut running = Stage::new(Place::Below)?.start(runinit(&[], &["echo", "--help", "--", "-v", ""]))?;
    running.end_with(0)?;
    ensure!(running.stdout() == "--help -- -v \n", "{:?}", running.stdout());
    // Not even an empty command is anything else.
    let mut running = Stage::new(Place::Below)?.start(runinit(&[], &[""]))?;
    running.end_with(127)?;
    let said = "runinit: error: main: cannot run \"\": the command is empty\n";
    ensure!(running.stderr() == said, "{:?}", running.stderr());
    Ok(())
}

#[test]
fn a_command_of_any_name_is_told_in_one_line_of_plain_text() -> Tested {
    let mut running = Stage::new(Place::Below)?.start(runinit(&[], &["/no/a\r\n\u{1b}[31mb"]))?;
    running.end_with(127)?;
    let said = "runinit: error: a\\r\\n\\u{1b}[31mb: cannot run /no/a\\r\\n\\u{1b}[31mb: no such command\n";
    ensure!(running.stderr() == said, "{:?}", running.stderr());
    Ok(())
}

#[test]
fn bytes_that_are_no_text_go_through() -> Tested {
    let strange = OsString::from_vec(b"\xff\x80 \n".to_vec());
    let mut argv = runinit(&[], &["sh", "-c", "printf %s \"$1$V\" | od -An -v -tx1", "sh"]);
    argv.push(strange.clone());
    let mut running = Stage::new(Place::Below)?.env("V", strange).start(argv)?;
    running.end_with(0)?;
    ensure!(running.stdout().trim() == "ff 80 20 0a ff 80 20 0a", "{}", running.stdout());
    Ok(())
}

#[test]
fn its_own_variables_are_handed_on_like_all_others() -> Tested {
    let script = "[ \"$RUNINIT_GRACE\" = 5s ] && [ \"$RUNINIT_LOG\" = info ] && exit 21";
    let stage = Stage::new(Place::Below)?.env("RUNINIT_GRACE", "5s").env("RUNINIT_LOG", "info");
    Ok(stage.start(runinit(&[], &["sh", "-c", script]))?.end_with(21)?)
}

#[test]
fn it_says_nothing_as_long_as_all_is_well() -> Tested {
    for place in Place::BOTH {
        let stage = Stage::new(place)?.with("--tmpfs", "/run=1m");
        let mut running = stage.start(runinit(&[], &[&probe()?, "hear", "--end", "15"]))?;
        running.wait_until_ready()?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        ensure!(running.stderr().is_empty(), "{}", running.stderr());
    }
    Ok(())
}

/// What is said of a shutdown in which a program has to be killed, by a second SIGTERM.
fn story(stage: Stage, options: &[&str]) -> Result<String, String> {
    let mut all = vec!["--grace", "1m"];
    all.extend(options);
    let mut running = stage.start(runinit(&all, &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    running.signal(SIGTERM)?;
    running.end_with(137)?;
    Ok(running.stderr())
}

#[test]
fn more_or_less_is_said_on_request() -> Tested {
    let below = || Stage::new(Place::Below);
    let told = story(below()?, &["-v"])?;
    for word in ["SIGTERM", "killed", "probe", "1m"] {
        ensure!(told.contains(word), "{word} is missing in the story:\n{told}");
    }
    ensure!(told.lines().count() <= 12, "a long story:\n{told}");
    ensure!(story(below()?.env("RUNINIT_LOG", "info"), &[])?.contains("SIGTERM"), "RUNINIT_LOG does nothing");
    ensure!(story(below()?, &["-vv"])?.lines().count() >= told.lines().count(), "-vv says less than -v");
    ensure!(story(below()?, &["-qq"])?.is_empty(), "-qq says something");
    let off = story(below()?.env("RUNINIT_LOG", "off"), &[])?;
    ensure!(off.is_empty(), "RUNINIT_LOG=off says {off}");
    Ok(())
}

#[test]
fn a_log_filter_that_makes_no_sense_stops_nothing() -> Tested {
    let stage = Stage::new(Place::Below)?.env("RUNINIT_LOG", "no=such=level,,");
    let mut running = stage.start(runinit(&[], &["sh", "-c", "exit 22"]))?;
    running.end_with(22)?;
    let stderr = running.stderr();
    ensure!(stderr.starts_with("runinit: warning: RUNINIT_LOG: ") && stderr.lines().count() == 1, "{stderr}");
    let full = std::fs::File::options().write(true).open("/dev/full").map_err(|e| e.to_string())?;
    let stage = Stage::new(Place::Below)?.env("RUNINIT_LOG", "a=b").complaining_to(full);
    Ok(stage.start(runinit(&[], &["sh", "-c", "exit 22"]))?.end_with(22)?)
}

#[test]
fn a_command_whose_interpreter_is_missing_is_looked_for_further_on() -> Tested {
    let stage = Stage::new(Place::Below)?;
    for (directory, text) in [("first", "#!/no/such/interpreter\n"), ("second", "#!/bin/sh\nexit 7\n")] {
        std::fs::create_dir(stage.file(directory)).map_err(|e| e.to_string())?;
        stage.write(&format!("{directory}/tool"), text, 0o755)?;
    }
    for (directories, code) in [(vec!["first", "second"], 7), (vec!["first", "none"], 126)] {
        let path = directories.iter().map(|name| stage.path(name)).collect::<Vec<_>>().join(":");
        let stage = Stage::new(Place::Below)?.env("PATH", &path);
        stage.start(runinit(&[], &["tool"]))?.end_with(code)?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_run_is_named() -> Tested {
    for (command, code) in
        [("/no/such/command", 127), ("no-such-command", 127), ("/etc/passwd", 126), ("/", 126)]
    {
        let (running, end) = run(&[], &[command])?;
        ensure!(end.code == Some(code), "{}", running.explain(&format!("{end:?}")));
        ensure!(running.stderr().contains(command), "{}", running.explain("not a word of it"));
    }
    Ok(())
}

#[test]
fn lines_that_nobody_read_are_counted() -> Tested {
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| e.to_string())?;
    // Not one byte more fits: a pipe holds 64 KiB unless somebody says otherwise.
    writer.write_all(&vec![b'.'; 1 << 16]).map_err(|e| e.to_string())?;
    let stage = Stage::new(Place::Below)?.complaining_to(writer);
    let mut running = stage.start(runinit(&["-v", "--grace", "1m"], &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.wait_for_line("stdout", "15")?;
    running.settle()?;
    let mut filling = vec![0; 1 << 16];
    reader.read_exact(&mut filling).map_err(|e| e.to_string())?;
    running.signal(SIGTERM)?; // now there is more to say
    running.end_with(137)?;
    let mut told = String::new();
    reader.read_to_string(&mut told).map_err(|e| e.to_string())?;
    ensure!(filling.iter().all(|byte| *byte == b'.'), "it wrote where there was no room");
    ensure!(told.contains("dropped"), "not a word of what is missing: {told:?}");
    Ok(())
}

#[test]
fn a_program_that_never_found_room_can_be_stopped() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let fifo = stage.file("occupant");
    mkfifo(&fifo, Mode::S_IRWXU | Mode::S_IROTH).map_err(|e| e.to_string())?;
    set_permissions(&fifo, Permissions::from_mode(0o644)).map_err(|e| e.to_string())?;
    let mut argv = runinit(&["--grace", "1h", "--"], &[]);
    argv[0] = stage.copy(env!("CARGO_BIN_EXE_runinit"), "runinit", 0o755)?;
    argv.extend([stage.copy(probe()?, "probe", 0o755)?, "hear".into()]);
    // Room for the occupant and for runinit.
    let user = (3_000_000 + std::process::id()).to_string();
    let stage = stage.with("--uid", user).with("--limit", "nproc=2").with("--occupant", &fifo);
    let mut running = stage.start(argv)?;
    running.wait_for("a complaint", || !running.stderr().is_empty())?;
    running.signal(SIGTERM)?;
    let end = running.end()?;
    ensure!(end.code.is_some() && end.left.is_empty(), "{}", running.explain(&format!("{end:?}")));
    ensure!(running.stdout().is_empty(), "{}", running.explain("it did start"));
    Ok(())
}
