//! What programs print: labelled, as objects, to files that rotate; and what happens when nobody reads it.

mod support;

use libc::{SIGHUP, SIGTERM, SIGUSR1};
use serde_json::Value;
use std::io::{PipeReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use support::pty::Pty;
use support::{Init, Place, Record, Running, Stage, Tested, ensure, probe, process, runinit, words};

/// Starts a fleet. In its text `@dir` is the stage's directory and `@probe` the probe.
fn fleet(text: &str) -> Result<Running, String> {
    start(Stage::new(Place::Below)?, text)
}

fn start(stage: Stage, text: &str) -> Result<Running, String> {
    write(&stage, text)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    stage.start(runinit(&["--config", &config, "--state-file", &record], &[]))
}

fn write(stage: &Stage, text: &str) -> Result<(), String> {
    let text = text.replace("@dir", stage.path("").trim_end_matches('/')).replace("@probe", &probe()?);
    stage.write("fleet.toml", &text, 0o644).map(drop)
}

fn program(name: &str, shell: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nshell = '''{shell}'''\n{more}\n")
}

/// The lines of a program behind its label.
fn said<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(label)?.strip_prefix("| ")).collect()
}

fn last_output(record: &Record, name: &str) -> Result<Vec<String>, String> {
    let program = record.program(name)?;
    let lines = program.list("last_output")?.iter();
    Ok(lines.map(|line| line.as_str().unwrap_or_default().to_owned()).collect())
}

/// The numbers from 1 to `last`, one a line.
fn numbers(last: usize) -> String {
    (1..=last).fold(String::new(), |text, n| text + &n.to_string() + "\n")
}

/// A fleet whose standard output is a pipe that nobody reads yet.
fn stalled(text: &str) -> Result<(Running, PipeReader), String> {
    let (reader, writer) = std::io::pipe().map_err(|e| e.to_string())?;
    Ok((start(Stage::new(Place::Below)?.printing_to(writer), text)?, reader))
}

/// The processor time that a process has used, in clock ticks.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|n| fields.get(*n)?.parse::<u64>().ok()).sum()
}

/// Waits until the init does nothing any more, though it has what nobody takes.
fn wait_until_quiet(running: &Running) -> Tested {
    let init = running.init()?;
    let sleeps = || process(init.pid).map(|process| process.sleeps);
    running.wait_for("the init to be quiet", || {
        let before = sleeps();
        std::thread::sleep(Duration::from_millis(200));
        before == sleeps()
    })?;
    Ok(())
}

#[test]
fn lines_are_labelled_and_aligned() -> Tested {
    let mut running = fleet(
        &(program("a", "echo one; echo two >&2; printf three", "output = \"prefix\"")
            + &program("longer", "printf '\\nfour\\n'", "output = \"prefix\"")
            + &program("longest-of-all", "echo plain", "")),
    )?;
    running.end_with(0)?;
    let (stdout, stderr) = (running.stdout(), running.stderr());
    ensure!(said(&stdout, "a      ") == ["one", "three"], "{stdout}");
    ensure!(said(&stdout, "longer ") == ["", "four"], "{stdout}");
    ensure!(stdout.lines().any(|line| line == "plain"), "{stdout}");
    ensure!(said(&stderr, "a      ") == ["two"], "{stderr}");
    ensure!(!stdout.contains('\x1b') && !stderr.contains('\x1b'), "colours in a file: {stdout:?}");
    Ok(())
}

#[test]
fn long_lines_are_cut_and_every_part_is_labelled() -> Tested {
    let shell = "head -c 150000 /dev/zero | tr '\\0' x; echo; echo end";
    let mut running = fleet(&program("a", shell, "output = \"prefix\""))?;
    running.end_with(0)?;
    let stdout = running.stdout();
    let lengths: Vec<usize> = said(&stdout, "a ").iter().map(|line| line.len()).collect();
    ensure!(lengths == [65536, 65536, 150_000 - 2 * 65536, 3], "{lengths:?}");
    Ok(())
}

#[test]
fn colours_are_for_terminals() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let more = "output = \"prefix\"";
    write(&stage, &(program("a", "echo one; echo two >&2", more) + &program("b", "echo three", more)))?;
    let config = stage.path("fleet.toml");
    let command = runinit(&["--config", &config], &[]);
    let mut pty = Pty::start(&command, &stage.file(""))?;
    pty.end()?;
    let seen = pty.everything();
    for line in ["\x1b[36ma |\x1b[0m one\r\n", "\x1b[36ma |\x1b[0m two\r\n", "\x1b[33mb |\x1b[0m three\r\n"] {
        ensure!(seen.contains(line), "{line:?} is not in {seen:?}");
    }
    let mut plain = words(["env", "NO_COLOR=1"]);
    plain.extend(command.clone());
    let mut pty = Pty::start(&plain, &stage.file(""))?;
    pty.end()?;
    ensure!(pty.everything().contains("a | one\r\n"), "{:?}", pty.everything());
    // Only the one that is no terminal goes without.
    let mut half = words(["sh", "-c", "exec \"$@\" 2>stderr", "sh"]);
    half.extend(command);
    let mut pty = Pty::start(&half, &stage.file(""))?;
    pty.end()?;
    ensure!(pty.everything().contains("\x1b[36ma |\x1b[0m one\r\n"), "{:?}", pty.everything());
    let stderr = std::fs::read_to_string(stage.file("stderr")).map_err(|e| e.to_string())?;
    ensure!(said(&stderr, "a ") == ["two"], "{stderr:?}");
    Ok(())
}

#[test]
fn every_line_is_an_object() -> Tested {
    let shell = "echo 'a \"b\" \\'; printf 'tab\\there\\n' >&2; printf 'no \\377 text\\n'; printf 'last \\342\\202\\254'";
    let mut running = fleet(&program("a", shell, "output = \"json\""))?;
    running.end_with(0)?;
    let mut texts = Vec::new();
    for line in running.stdout().lines() {
        let object: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line:?}"))?;
        let keys: Vec<&String> = object.as_object().ok_or("no object")?.keys().collect();
        ensure!(keys == ["program", "stream", "text", "time"], "{line}");
        let time = object["time"].as_str().unwrap_or_default();
        ensure!(object["program"] == "a" && time.len() == 24 && time.ends_with('Z'), "{line}");
        texts.push((object["stream"].clone(), object["text"].clone()));
    }
    for (stream, text) in [
        ("stdout", "a \"b\" \\"),
        ("stderr", "tab\there"),
        ("stdout", "no \u{fffd} text"),
        ("stdout", "last €"),
    ] {
        ensure!(texts.contains(&(stream.into(), text.into())), "{text:?} is not in {texts:?}");
    }
    ensure!(texts.len() == 4, "{texts:?}");
    Ok(())
}

#[test]
fn nothing_is_left_of_null() -> Tested {
    let text = program("a", "echo one; echo two >&2; exit 3", "output = \"null\"");
    for stage in [Stage::new(Place::Below)?, Stage::new(Place::Below)?.with("--tmpfs", "/dev=4k")] {
        let mut running = start(stage, &text)?;
        running.end_with(1)?;
        ensure!(
            running.stdout().is_empty() && !running.stderr().contains("two"),
            "{}",
            running.explain("heard")
        );
        ensure!(last_output(&running.record()?, "a")?.is_empty(), "{}", running.explain("recorded"));
    }
    Ok(())
}

#[test]
fn rotation_loses_nothing() -> Tested {
    let more = "output = { file = \"@dir/log\", max = \"20KB\", keep = 100 }";
    let mut running = fleet(&program("a", "seq 1 50000; exec seq 50001 50100 >&2", more))?;
    running.end_with(0)?;
    let name = |n: usize| if n == 0 { "log".to_owned() } else { format!("log.{n}") };
    let count = (0..=100).take_while(|n| running.file(&name(*n)).exists()).count();
    ensure!(count > 10, "only {count} files");
    let mut all = String::new();
    for n in (0..count).rev() {
        let text = running.text(&name(n));
        ensure!(text.len() <= 20_000 && text.ends_with('\n'), "{}: {} bytes", name(n), text.len());
        all += &text;
    }
    ensure!(all == numbers(50_100), "lines are lost or moved");
    Ok(())
}

#[test]
fn only_so_many_older_files_are_kept() -> Tested {
    let more = "output = { file = \"@dir/log\", max = \"1KB\", keep = 2 }";
    let mut running = fleet(&program("a", "seq 1 5000", more))?;
    running.end_with(0)?;
    let all = running.text("log.2") + &running.text("log.1") + &running.text("log");
    ensure!(numbers(5000).ends_with(&all), "the newest are not kept: {all}");
    ensure!(all.len() > 2000 && !running.file("log.3").exists(), "{} bytes", all.len());
    Ok(())
}

#[test]
fn programs_share_a_file_line_by_line() -> Tested {
    let output = "[defaults]\noutput = { file = \"@dir/log\", max = \"1GB\" }\n";
    let shells = (0..8).map(|n| program(&format!("p{n}"), &format!("seq {n}0001 {n}2000"), ""));
    let mut running = fleet(&(output.to_owned() + &shells.collect::<String>()))?;
    running.end_with(0)?;
    let text = running.text("log");
    let mut lines: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    lines.sort_unstable();
    ensure!(lines == (0..8).flat_map(|n| n * 10_000 + 1..=n * 10_000 + 2000).collect::<Vec<_>>(), "{text}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_opened_is_told_before_the_program_runs() -> Tested {
    for (path, why) in [
        ("@dir/nowhere/log", "No such file"),
        ("@dir/link", "it is a symbolic link, which is not followed; name the file itself"),
        ("/dev/null", "no regular file"),
    ] {
        let stage = Stage::new(Place::Below)?;
        std::os::unix::fs::symlink(stage.file("victim"), stage.file("link")).map_err(|e| e.to_string())?;
        let more = format!("main = true\noutput = {{ file = \"{path}\" }}");
        let mut running = start(stage, &program("a", "touch @dir/ran", &more))?;
        running.end_with(126)?;
        ensure!(running.stderr().contains(why), "{}", running.explain(&format!("{why:?} is not told")));
        ensure!(!running.file("ran").exists() && !running.file("victim").exists(), "{path}");
    }
    Ok(())
}

#[test]
fn a_full_disk_is_told_once_and_stops_nobody() -> Tested {
    let stage = Stage::new(Place::Below)?;
    std::fs::create_dir(stage.file("disk")).map_err(|e| e.to_string())?;
    let disk = format!("{}=64k", stage.path("disk"));
    let more = "output = { file = \"@dir/disk/log\", max = \"1GB\" }";
    // What could be written is looked at inside, as the mount is not seen from outside.
    let look = "cp @dir/disk/log @dir/copy";
    let shell = format!("seq 1 100000; sleep 0.3; {look}; exit 7");
    let mut running =
        start(stage.with("--tmpfs", disk), &program("a", &shell, &format!("main = true\n{more}")))?;
    running.end_with(7)?;
    let stderr = running.stderr();
    ensure!(stderr.matches("lines are lost: No space left").count() == 1, "{stderr}");
    let lost =
        stderr.lines().find_map(|line| line.strip_suffix(" lines of programs were lost")?.rsplit(' ').next());
    let copy = running.text("copy");
    ensure!(numbers(100_000).starts_with(&copy) && copy.len() > 50_000, "{} bytes", copy.len());
    ensure!(copy.ends_with('\n'), "a line is torn");
    let lost: usize = lost.and_then(|n| n.parse().ok()).ok_or_else(|| running.explain("no count"))?;
    ensure!(copy.lines().count() + lost == 100_000, "{lost} are lost, {} are there", copy.lines().count());
    Ok(())
}

#[test]
fn a_limit_on_files_is_runinits_own_affair() -> Tested {
    let stage = Stage::new(Place::Below)?.with("--limit", "fsize=8192");
    let shell = "seq 1 10000; sleep 0.3; exit 7";
    let mut running = start(stage, &program("a", shell, "main = true\noutput = { file = \"@dir/log\" }"))?;
    running.end_with(7)?;
    let log = running.text("log");
    ensure!(numbers(10_000).starts_with(&log) && log.len() > 8000, "{} bytes", log.len());
    ensure!(running.stderr().matches("lines are lost: File too large").count() == 1, "{}", running.stderr());
    Ok(())
}

#[test]
fn a_reader_that_stalls_stalls_programs_and_nothing_else() -> Tested {
    let text = "[shutdown]\nbudget = \"3s\"\n".to_owned()
        + &program("noise", "exec yes", "output = \"prefix\"")
        + &program("objects", "exec yes", "output = \"json\"")
        + &program("ears", "exec @probe hear -o @dir/heard --end 15", "output = \"prefix\"");
    let (mut running, reader) = stalled(&text)?;
    running.wait_for_line("heard", "ready")?;
    wait_until_quiet(&running)?;
    let used = ticks(running.init()?.pid);
    for _ in 0..3 {
        running.signal(SIGUSR1)?;
    }
    running.wait_for_line("heard", &SIGUSR1.to_string())?;
    wait_until_quiet(&running)?;
    ensure!(ticks(running.init()?.pid) - used < 10, "it is busy while nobody reads");
    let began = Instant::now();
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(3), "it took {took:?}");
    let record = running.record()?;
    ensure!(record.text("phase")? == "stopped", "{record:?}");
    ensure!(last_output(&record, "noise")?.last().map(String::as_str) == Some("y"), "{record:?}");
    drop(reader);
    Ok(())
}

#[test]
fn a_reader_that_comes_back_misses_nothing() -> Tested {
    let more = "output = \"prefix\"";
    let names = ["a", "b", "c"];
    let text: String = names.iter().map(|name| program(name, "exec seq 1 100000", more)).collect();
    let (mut running, mut reader) = stalled(&text)?;
    wait_until_quiet(&running)?;
    ensure!(running.programs().len() == names.len(), "a program did not wait for the reader");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    running.end_with(0)?;
    let text = reading.join().map_err(|_| "the reader broke")?.map_err(|e| e.to_string())?;
    for name in names {
        let lines = said(&text, &format!("{name} ")).join("\n") + "\n";
        ensure!(lines == numbers(100_000), "{name}: {} lines", lines.lines().count());
    }
    Ok(())
}

#[test]
fn those_who_connect_at_the_end_make_nobody_busy_while_the_reader_is_waited_for() -> Tested {
    let control = "[init]\ncontrol_socket = \"@dir/control\"\n".to_owned();
    let (mut running, _reader) =
        stalled(&(control + &program("a", "exec seq 1 1000000", "output = \"prefix\"")))?;
    wait_until_quiet(&running)?;
    let init = running.init()?.pid;
    let before = ticks(init);
    running.signal(SIGTERM)?;
    let (mut clients, mut used) = (Vec::new(), 0);
    running.wait_for("the end", || {
        // No more than can wait there, or this would wait too.
        if clients.len() < 50 {
            clients.extend(UnixStream::connect(running.file("control")));
        }
        used = used.max(ticks(init));
        running.has_ended()
    })?;
    running.end_with(0)?;
    ensure!(!clients.is_empty(), "nobody has connected");
    ensure!(used - before < 20, "it was busy for {} ticks", used - before);
    Ok(())
}

#[test]
fn a_reader_that_goes_away_stops_nobody() -> Tested {
    let shell = "seq 1 100000; echo done >@dir/done; sleep 1000";
    let (mut running, reader) = stalled(&program("a", shell, "output = \"prefix\""))?;
    wait_until_quiet(&running)?;
    drop(reader);
    running.wait_for_line("done", "done")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let stderr = running.stderr();
    ensure!(stderr.matches("lines of programs are lost on standard output").count() == 1, "{stderr}");
    Ok(())
}

#[test]
fn printing_without_end_does_not_delay_a_stop() -> Tested {
    for output in ["\"prefix\"", "\"json\"", "{ file = \"@dir/log\", max = \"1MB\", keep = 1 }"] {
        let text = "[shutdown]\nbudget = \"5s\"\n".to_owned()
            + &program(
                "a",
                "trap '' TERM USR1; yes | head -c 100000000; exec yes",
                &format!("output = {output}"),
            )
            + &program("b", "exec @probe hear -o @dir/heard --end 15", "");
        let mut running = fleet(&text)?;
        running.wait_for_line("heard", "ready")?;
        running.wait_for("much to be printed", || {
            let size = |name| std::fs::metadata(running.file(name)).map_or(0, |file| file.len());
            size("stdout") > 10_000_000 || size("log.1") > 0
        })?;
        let began = Instant::now();
        running.signal(SIGUSR1)?;
        running.wait_for_line("heard", &SIGUSR1.to_string())?;
        let heard = began.elapsed();
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let took = began.elapsed();
        ensure!(heard < Duration::from_secs(1), "{output}: a signal was heard after {heard:?}");
        ensure!(took < Duration::from_millis(5500), "{output}: it took {took:?}");
        let record = running.record()?;
        ensure!(record.program("a")?.text("stopped_by")? == "SIGKILL", "{record:?}");
        ensure!(last_output(&record, "a")?.len() == 50, "{record:?}");
    }
    Ok(())
}

#[test]
fn two_hundred_programs_are_heard_with_few_descriptors() -> Tested {
    let names: Vec<String> = (0..200).map(|n| format!("p{n:03}")).collect();
    let shell = "ulimit -Sn; seq 1 200; echo error >&2";
    let text: String = names.iter().map(|name| program(name, shell, "output = \"prefix\"")).collect();
    let stage = Stage::new(Place::Below)?;
    write(&stage, &text)?;
    let mut command = words(["sh", "-c", "ulimit -Sn 256 && exec \"$@\"", "sh"]);
    command.extend(runinit(&["--config", &stage.path("fleet.toml")], &[]));
    let mut running = stage.start(command)?;
    running.end_with(0)?;
    let (stdout, stderr) = (running.stdout(), running.stderr());
    let expected = "256\n".to_owned() + &numbers(200);
    for name in names {
        let lines = said(&stdout, &format!("{name} ")).join("\n") + "\n";
        ensure!(lines == expected, "{name}: {lines}");
        ensure!(said(&stderr, &format!("{name} ")) == ["error"], "{stderr}");
    }
    Ok(())
}

#[test]
fn programs_that_a_reload_brings_are_heard_with_few_descriptors_too() -> Tested {
    let one = |n: usize| program(&format!("p{n}"), "ulimit -Sn; exec sleep 1000", "output = \"prefix\"");
    let fleet =
        |count| "[init]\nreload_signal = \"SIGHUP\"\n".to_owned() + &(0..count).map(one).collect::<String>();
    let stage = Stage::new(Place::Below)?;
    write(&stage, &fleet(1))?;
    let mut command = words(["sh", "-c", "ulimit -Sn 256 && exec \"$@\"", "sh"]);
    command.extend(runinit(&["--config", &stage.path("fleet.toml")], &[]));
    let (config, count) = (stage.file("fleet.toml"), 160);
    let mut running = stage.start(command)?;
    let heard = || running.stdout().lines().filter(|line| line.ends_with("| 256")).count();
    running.wait_for("the first", || heard() == 1)?;
    std::fs::write(config, fleet(count)).map_err(|e| e.to_string())?;
    running.signal(SIGHUP)?;
    running.wait_for("all of them", || heard() == count)?;
    running.signal(SIGTERM)?;
    Ok(running.end_with(0)?)
}

#[test]
fn the_last_words_of_a_crash_are_in_the_record() -> Tested {
    let mut text = String::new();
    for (name, output) in
        [("p", "\"prefix\""), ("j", "\"json\""), ("f", "{ file = \"@dir/log\" }"), ("i", "\"inherit\"")]
    {
        let shell = "seq 1 5000; printf 'panic: no more' >&2; kill -SEGV $$";
        text += &program(name, shell, &format!("output = {output}"));
    }
    let mut running = fleet(&text)?;
    running.end_with(1)?;
    let record = running.record()?;
    for name in ["p", "j", "f"] {
        let lines = last_output(&record, name)?;
        ensure!(lines.len() == 50, "{name}: {} lines", lines.len());
        ensure!(lines.contains(&"panic: no more".to_owned()), "{name}: {lines:?}");
        ensure!(lines.contains(&"5000".to_owned()), "{name}: {lines:?}");
        ensure!(record.program(name)?.at("exit.signal") == "SIGSEGV", "{record:?}");
    }
    ensure!(last_output(&record, "i")?.is_empty(), "nobody has heard it");
    Ok(())
}

#[test]
fn whoever_keeps_the_pipe_is_heard_but_not_waited_for() -> Tested {
    let stray = "(setsid sh -c 'touch @dir/away; until test -e @dir/go; do sleep 0.02; done; echo stray; sleep 1000' &)";
    let shell = format!("{stray}; until test -e @dir/away; do sleep 0.02; done; printf partial");
    let text = program("a", &shell, "output = \"prefix\"") + &program("b", "sleep 1000", "main = true");
    let mut running = fleet(&text)?;
    // It is over, and its last line is not kept back for whoever else might write.
    running.wait_for_line("stdout", "a | partial")?;
    std::fs::write(running.file("go"), "").map_err(|e| e.to_string())?;
    running.wait_for_line("stdout", "a | stray")?;
    let began = Instant::now();
    running.signal(SIGTERM)?;
    running.end_with(143)?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(5), "it took {took:?}");
    Ok(())
}

#[test]
fn restarts_leave_no_descriptors_behind() -> Tested {
    let more =
        "restart = \"always\"\nbackoff = { first = \"1ms\", max = \"1ms\", burst = 1000, within = \"1s\" }\n";
    let mut text = String::new();
    for (name, output) in [("p", "\"prefix\""), ("f", "{ file = \"@dir/log\" }"), ("n", "\"null\"")] {
        let shell = format!("echo x >>@dir/starts-{name}; echo hello");
        text += &program(name, &shell, &format!("{more}output = {output}"));
    }
    // Each run leaves somebody behind that keeps its pipe, but only so many are heard. It bears no mark, so no restart ends it.
    let away = "rm -f @dir/away; (env -i setsid sh -c 'touch @dir/away; exec sleep 1000' &)";
    let leaver = format!("echo x >>@dir/starts-l; {away}; until test -e @dir/away; do sleep 0.01; done");
    text += &program("l", &leaver, &format!("{more}output = \"prefix\""));
    let mut running = fleet(&text)?;
    let starts = |name: &str| running.text(&format!("starts-{name}")).lines().count();
    let count = || {
        std::fs::read_dir(format!("/proc/{}/fd", running.init()?.pid))
            .map(Iterator::count)
            .map_err(|e| e.to_string())
    };
    let all = ["p", "f", "n", "l"];
    running.wait_for("thirty starts", || all.iter().all(|name| starts(name) >= 30))?;
    let before = count()?;
    ensure!(before > 16, "only {before} descriptors: no pipe is left behind");
    let now = starts("p");
    running.wait_for("sixty more starts", || all.iter().all(|name| starts(name) >= now.max(30) + 60))?;
    // A run that goes on has some of its own, so it is the fewest that tell.
    running.wait_for("no more descriptors than before", || count().is_ok_and(|after| after <= before))?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    Ok(())
}

#[test]
fn stop_commands_print_where_their_program_does() -> Tested {
    let stop = "stop = [ { run = [\"sh\", \"-c\", \"echo stopping; kill -9 0\"], wait = \"1s\" }, { signal = \"SIGTERM\", wait = \"1s\" } ]";
    let mut running = fleet(&program("a", "echo up; sleep 1000", &format!("output = \"json\"\n{stop}")))?;
    running.wait_for("the program to be up", || running.stdout().contains("\"up\""))?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    for line in running.stdout().lines() {
        let object: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line:?}"))?;
        ensure!(object["program"] == "a", "{line}");
    }
    ensure!(
        running.stdout().contains("\"stopping\""),
        "{}",
        running.explain("its stop command is not heard")
    );
    Ok(())
}

#[test]
fn a_program_that_is_heard_can_open_dev_stdout() -> Tested {
    let more = "output = \"prefix\"\nuser = \"65534\"";
    let mut running = fleet(&program("a", "echo one >/dev/stdout; echo two >/dev/stderr", more))?;
    running.end_with(0)?;
    ensure!(said(&running.stdout(), "a ") == ["one"], "{}", running.explain("not heard"));
    ensure!(said(&running.stderr(), "a ") == ["two"], "{}", running.explain("not heard"));
    Ok(())
}

#[test]
fn nothing_is_opened_for_those_who_are_not_heard() -> Tested {
    // The control socket finds no place, and so needs nothing either.
    let stage = Stage::new(Place::Below)?.with("--tmpfs", "/run=1m").with("--read-only", "/run");
    let running = start(stage, &program("a", "echo ready; exec sleep 1000", ""))?;
    running.wait_for_line("stdout", "ready")?;
    let links = std::fs::read_dir(format!("/proc/{}/fd", running.init()?.pid)).map_err(|e| e.to_string())?;
    let targets: Vec<_> = links.flatten().filter_map(|link| std::fs::read_link(link.path()).ok()).collect();
    let is_own = |path: &Path| {
        path.to_string_lossy().contains("pipe:") || path.to_string_lossy().contains("eventpoll")
    };
    ensure!(!targets.iter().any(|path| is_own(path)), "{targets:?}");
    ensure!(Init::Runinit.path().is_ok(), "no runinit");
    Ok(())
}
