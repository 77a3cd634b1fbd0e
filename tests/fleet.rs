//! Fleets: the order of things, the cascades, one budget for all, and whose exit code it is.

mod support;

use libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use support::{Lateness, Outcome, Place, Record, Running, Stage, Tested, ensure, probe, runinit, words};

/// Starts a fleet. In its text `@probe` is the probe, `@dir` the stage's directory, and `@say` a shell's words that append a
/// line to the file `said` there.
fn fleet(place: Place, text: &str, options: &[&str], command: &[&str]) -> Result<Running, String> {
    start(Stage::new(place)?, text, options, command)
}

fn start(stage: Stage, text: &str, options: &[&str], command: &[&str]) -> Result<Running, String> {
    write(&stage, text)?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let mut all = vec!["--config", &config, "--state-file", &record];
    all.extend(options);
    stage.start(runinit(&all, command))
}

fn write(stage: &Stage, text: &str) -> Outcome {
    let text = text
        .replace("@probe", &probe()?)
        .replace("@say", ">>@dir/said echo")
        .replace("@dir", stage.path("").trim_end_matches('/'));
    stage.write("fleet.toml", &text, 0o644).map(|_| ())
}

/// A program that hears signals into a file of its own name and ends by SIGTERM.
fn polite(name: &str, more: &str) -> String {
    program(name, "--end 15", more)
}

/// The same, but it ends by nothing.
fn stubborn(name: &str, more: &str) -> String {
    program(name, "", more)
}

fn program(name: &str, options: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nshell = \"exec @probe hear -o @dir/{name} {options}\"\n{more}\n")
}

fn all_ready(running: &Running, names: &[&str]) -> Outcome {
    names.iter().try_for_each(|name| running.wait_for_line(name, "ready"))
}

/// What was tried on a program, and when.
fn steps(record: &Record, name: &str) -> Result<Vec<(String, i64)>, String> {
    let program = record.program(name)?;
    let step = |step: &serde_json::Value| Some((step["step"].as_str()?.to_owned(), step["at_ms"].as_i64()?));
    let steps = program.list("steps")?.iter().map(step).collect::<Option<Vec<_>>>();
    steps.ok_or_else(|| format!("strange steps: {program:?}"))
}

/// The names of the steps only.
fn tried(record: &Record, name: &str) -> Result<Vec<String>, String> {
    Ok(steps(record, name)?.into_iter().map(|(step, _)| step).collect())
}

#[test]
fn programs_start_after_what_they_depend_on() -> Tested {
    let text = ["c", "b", "a"].map(|name| match name {
        "c" => polite("c", "after = [\"b\"]"),
        "b" => polite("b", "after = [\"a\"]"),
        _ => polite("a", ""),
    });
    let mut running = fleet(Place::Pid1, &text.concat(), &[], &[])?;
    all_ready(&running, &["a", "b", "c"])?;
    let record = running.wait_for_phase("running")?;
    let pid = |name: &str| record.program(name)?.number("pid");
    ensure!(pid("a")? < pid("b")? && pid("b")? < pid("c")?, "{record:?}");
    let starts: Vec<_> =
        record.list("timeline")?.iter().filter(|e| e["event"] == "started").map(|e| &e["program"]).collect();
    ensure!(starts == ["a", "b", "c"], "{record:?}");
    running.signal(SIGTERM)?;
    Ok(running.end_with(0)?)
}

/// A program that says when it hears SIGTERM and, a little later, that it ends.
fn sayer(name: &str, more: &str) -> String {
    format!(
        "[[program]]\nname = \"{name}\"\n{more}\nshell = '''trap \"@say {name} hears; sleep 0.2; @say {name} ends; exit 0\" TERM
        @say {name} ready; while :; do sleep 0.01; done'''\n"
    )
}

fn said(running: &Running) -> Vec<String> {
    running.text("said").lines().map(str::to_owned).collect()
}

#[test]
fn dependents_stop_before_what_they_depend_on() -> Tested {
    for place in Place::BOTH {
        let text = sayer("web", "after = [\"db\"]") + &sayer("db", "");
        let mut running = fleet(place, &text, &[], &[])?;
        running.wait_for_line("said", "web ready")?;
        running.wait_for_line("said", "db ready")?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let said = said(&running)[2..].to_vec();
        ensure!(said == ["web hears", "web ends", "db hears", "db ends"], "{said:?}");
    }
    Ok(())
}

#[test]
fn programs_of_one_level_stop_together() -> Tested {
    let text = sayer("one", "after = [\"db\"]") + &sayer("two", "after = [\"db\"]") + &polite("db", "");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    all_ready(&running, &["db"])?;
    running.wait_for_line("said", "one ready")?;
    running.wait_for_line("said", "two ready")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let said = said(&running)[2..].to_vec();
    ensure!(said[..2].iter().all(|line| line.ends_with("hears")), "{said:?}");
    ensure!(said[2..].iter().all(|line| line.ends_with("ends")) && said.len() == 4, "{said:?}");
    Ok(())
}

#[test]
fn a_cooperative_fleet_stops_at_once() -> Tested {
    let names: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    let text: String = names.iter().map(|name| polite(name, "")).collect();
    let mut running = fleet(Place::Below, &text, &["--grace", "60s"], &[])?;
    all_ready(&running, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(record.number("elapsed_ms")? < 3000, "{record:?}");
    ensure!(
        record.list("active_tasks")?.len() == 30 && record.number("reaped.programs")? == 30,
        "{record:?}"
    );
    Ok(())
}

#[test]
fn sigint_and_sigquit_stop_a_fleet_too() -> Tested {
    for (signal, name) in [(SIGINT, "SIGINT"), (SIGQUIT, "SIGQUIT")] {
        let mut running = fleet(Place::Below, &polite("a", ""), &[], &[])?;
        all_ready(&running, &["a"])?;
        running.signal(signal)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.text("signal.name")? == name, "{record:?}");
        ensure!(
            tried(&record, "a")? == ["SIGTERM"],
            "the cascade is the program's, not the signal: {record:?}"
        );
    }
    Ok(())
}

#[test]
fn signals_go_to_every_program_each_with_its_rewrites() -> Tested {
    let text = polite("plain", "")
        + &polite("changed", "signals = { SIGHUP = \"SIGUSR1\", SIGUSR2 = \"drop\" }")
        + "[defaults]\nsignals = { SIGRTMIN = \"SIGRTMIN+1\" }\n";
    let mut running = fleet(Place::Pid1, &text, &[], &[])?;
    all_ready(&running, &["plain", "changed"])?;
    running.signal(SIGHUP)?;
    running.wait_for_line("plain", "1")?;
    running.wait_for_line("changed", "10")?;
    running.signal(SIGUSR2)?;
    running.wait_for_line("plain", "12")?;
    running.signal(34)?;
    running.wait_for_line("plain", "35")?;
    running.wait_for_line("changed", "34")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(
        !running.has_line("changed", "12") && !running.has_line("changed", "1"),
        "{}",
        running.text("changed")
    );
    Ok(())
}

#[test]
fn a_stop_command_can_end_a_program() -> Tested {
    for place in Place::BOTH {
        let stop = "stop = [{ run = ['sh', '-c', 'kill -USR2 $(cut -d\" \" -f2 @dir/a)'], wait = '20s' }, { signal = 'SIGTERM', wait = '1s' }]";
        let mut running = fleet(place, &program("a", "--end 12 --code 3", stop), &["--grace", "40s"], &[])?;
        all_ready(&running, &["a"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.text("programs.0.stopped_by")? == "run", "{record:?}");
        ensure!(record.number("programs.0.exit.code")? == 3 && tried(&record, "a")?.len() == 1, "{record:?}");
    }
    Ok(())
}

#[test]
fn a_stop_command_that_fails_ends_its_step() -> Tested {
    for run in ["'/no/such/command'", "'sh', '-c', 'exit 1'"] {
        let stop =
            format!("stop = [{{ run = [{run}], wait = '30s' }}, {{ signal = 'SIGTERM', wait = '1s' }}]");
        let mut running = fleet(Place::Below, &polite("a", &stop), &["--grace", "60s"], &[])?;
        all_ready(&running, &["a"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.text("programs.0.stopped_by")? == "SIGTERM", "{run}: {record:?}");
        ensure!(record.number("elapsed_ms")? < 15_000, "it was waited for: {record:?}");
    }
    Ok(())
}

#[test]
fn a_stop_command_that_cannot_be_run_is_told_each_time() -> Tested {
    let run = "{ run = ['/nowhere/ctl'], wait = '30s' }";
    let stop = format!("stop = [{run}, {run}, {{ signal = 'SIGTERM', wait = '30s' }}]");
    let mut running = fleet(Place::Below, &polite("a", &stop), &["--grace", "60s"], &[])?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let told =
        running.stderr().matches("a: its stop command: cannot run /nowhere/ctl: no such command").count();
    ensure!(told == 2, "{}", running.explain(&format!("told {told} times")));
    Ok(())
}

#[test]
fn a_stop_command_that_hangs_is_cut_with_all_its_children() -> Tested {
    for place in Place::BOTH {
        let stop = "stop = [{ run = ['sh', '-c', '@probe hear -o @dir/child & exec @probe hear -o @dir/command'], wait = '500ms' }, { signal = 'SIGTERM', wait = '20s' }]";
        // It stays until the stop command and its child are gone: whoever is cut is cut before the end of the cascade.
        let mut running = fleet(place, &program("a", "--end 15", stop), &["--grace", "30s"], &[])?;
        all_ready(&running, &["a"])?;
        running.signal(SIGTERM)?;
        all_ready(&running, &["command", "child"])?;
        running.end_with(0)?;
        let record = running.record()?;
        let steps = steps(&record, "a")?;
        ensure!(steps.len() == 2 && steps[1].1 - steps[0].1 >= 500, "{record:?}");
        ensure!(steps[1].1 < 10_000 && record.number("elapsed_ms")? < 10_000, "{record:?}");
        ensure!(record.list("survivors")?.is_empty(), "{record:?}");
    }
    Ok(())
}

#[test]
fn a_text_on_standard_input_can_end_a_program() -> Tested {
    let text = "[[program]]\nname = 'a'\nshell = '@say ready; read -r line; @say \"$line\"; exit 0'\nstop = [{ stdin = \"quit now\\n\", wait = '30s' }]\n";
    let mut running = fleet(Place::Below, text, &["--grace", "60s"], &[])?;
    running.wait_for_line("said", "ready")?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(said(&running) == ["ready", "quit now"], "{:?}", said(&running));
    let record = running.record()?;
    ensure!(record.text("programs.0.stopped_by")? == "stdin", "{record:?}");
    Ok(())
}

#[test]
fn a_program_that_does_not_read_holds_nothing_up() -> Tested {
    // 4 KiB fit into the pipe; who does not read them is not waited for beyond the step.
    let stop = format!(
        "stop = [{{ stdin = \"{}\", wait = '300ms' }}, {{ signal = 'SIGTERM', wait = '20s' }}]",
        "x".repeat(4000)
    );
    let mut running = fleet(Place::Below, &polite("a", &stop), &["--grace", "40s"], &[])?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(record.text("programs.0.stopped_by")? == "SIGTERM", "{record:?}");
    ensure!(record.number("elapsed_ms")? < 10_000, "{record:?}");
    Ok(())
}

#[test]
fn a_cascade_escalates_step_by_step() -> Tested {
    let stop = "stop = [{ signal = 'SIGHUP', wait = '200ms' }, { signal = 'INT', wait = '200ms' }, { signal = 'SIGKILL', wait = '1s' }]";
    let mut running = fleet(Place::Below, &stubborn("a", stop), &["--grace", "20s"], &[])?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    let steps = steps(&record, "a")?;
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == ["SIGHUP", "SIGINT", "SIGKILL"], "{record:?}");
    ensure!(steps.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 200), "{record:?}");
    ensure!(record.text("programs.0.stopped_by")? == "SIGKILL", "{record:?}");
    let heard: Vec<_> =
        running.text("a").lines().skip(1).filter(|line| *line != "18").map(str::to_owned).collect();
    ensure!(heard == ["1", "2"], "the stop signal itself is not forwarded: {heard:?}");
    Ok(())
}

#[test]
fn stopped_means_that_the_whole_group_is_gone() -> Tested {
    for place in Place::BOTH {
        // The leader of web leaves at once; somebody of its group stays until SIGKILL.
        let web = "[[program]]\nname = 'web'\nafter = ['db']\nshell = '''@probe hear -o @dir/rest &
            exec @probe hear -o @dir/web --end 15'''\nstop = [{ signal = 'SIGTERM', wait = '500ms' }, { signal = 'SIGKILL', wait = '5s' }]\n";
        let mut running = fleet(place, &(web.to_owned() + &polite("db", "")), &["--grace", "30s"], &[])?;
        // The child writes through a handle of its own; web hears only after its exec.
        all_ready(&running, &["web", "rest", "db"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        let web = record.program("web")?;
        ensure!(web.text("stopped_by")? == "SIGKILL" && web.number("exit.code")? == 0, "{record:?}");
        ensure!(running.has_line("rest", "15"), "{}", running.explain("the rest was not asked"));
        let db = steps(&record, "db")?;
        ensure!(
            db.first().is_some_and(|(_, at)| *at >= 500),
            "db was stopped before web was gone: {record:?}"
        );
    }
    Ok(())
}

#[test]
fn a_stopped_program_of_a_fleet_hears_its_signal() -> Tested {
    let mut running = fleet(Place::Below, &program("a", "--stop --end 15", ""), &["--grace", "20s"], &[])?;
    all_ready(&running, &["a"])?;
    running
        .wait_for("the stop", || running.programs().iter().any(|p| p.name == "probe" && p.state == 'T'))?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.record()?.text("programs.0.stopped_by")? == "SIGTERM", "{:?}", running.record());
    Ok(())
}

#[test]
fn one_budget_is_enough_for_a_long_chain() -> Tested {
    let late = Lateness::watch();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let stop = "stop = [{ signal = 'SIGTERM', wait = '5s' }, { signal = 'SIGKILL', wait = '2s' }]";
    let text: String = names
        .iter()
        .enumerate()
        .map(|(n, name)| match n {
            0 => stubborn(name, stop),
            _ => stubborn(name, &format!("after = ['{}']\n{stop}", names[n - 1])),
        })
        .collect();
    for place in Place::BOTH {
        let mut running = fleet(place, &format!("[shutdown]\nbudget = '3s'\n{text}"), &[], &[])?;
        all_ready(&running, &names)?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.number("budget_ms")? == 3000 && late.in_time(&record)?, "{record:?}");
        for name in names {
            ensure!(running.has_line(name, "15"), "{name} never heard its first signal: {record:?}");
            let steps = steps(&record, name)?;
            let shape: Vec<_> = steps.iter().map(|(step, _)| step.as_str()).collect();
            ensure!(shape == ["SIGTERM", "SIGKILL"], "{name}: {record:?}");
            ensure!(steps[0].1 < steps[1].1 && steps[1].1 <= 3000 + late.allowed_ms(), "{name}: {record:?}");
            ensure!(record.program(name)?.text("stopped_by")? == "SIGKILL", "{name}: {record:?}");
        }
        // In turn: nobody is asked before those that depend on it are gone.
        let first = |name: &str| steps(&record, name).map(|steps| steps[0].1);
        for pair in names.windows(2) {
            ensure!(first(pair[0])? > first(pair[1])?, "{pair:?}: {record:?}");
        }
    }
    Ok(())
}

#[test]
fn who_has_no_sigkill_gets_one_inside_the_budget() -> Tested {
    let late = Lateness::watch();
    let stop = "stop = [{ signal = 'SIGTERM', wait = '1h' }]";
    let mut running = fleet(Place::Below, &stubborn("a", stop), &["--grace", "2s"], &[])?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(tried(&record, "a")? == ["SIGTERM", "SIGKILL"] && late.in_time(&record)?, "{record:?}");
    Ok(())
}

#[test]
fn the_option_wins_over_the_file() -> Tested {
    let mut running = fleet(
        Place::Below,
        &format!("[shutdown]\nbudget = '1h'\n{}", polite("a", "")),
        &["--grace", "7s"],
        &[],
    )?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.record()?.number("budget_ms")? == 7000, "{:?}", running.record());
    Ok(())
}

#[test]
fn a_second_sigterm_means_now_for_everybody() -> Tested {
    for place in Place::BOTH {
        let text = stubborn("web", "after = ['db']")
            + &stubborn("db", "")
            + "[shutdown]\nbudget = '1h'\n[defaults]\nstop = [{ signal = 'SIGTERM', wait = '30m' }]\n";
        let mut running = fleet(place, &text, &[], &[])?;
        all_ready(&running, &["web", "db"])?;
        running.signal(SIGTERM)?;
        running.wait_for_line("web", "15")?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.number("elapsed_ms")? < 20_000, "{record:?}");
        for name in ["web", "db"] {
            ensure!(record.program(name)?.text("stopped_by")? == "SIGKILL", "{record:?}");
        }
    }
    Ok(())
}

#[test]
fn the_code_of_main_is_the_fleets() -> Tested {
    for (end, code) in [("exit 7", 7), ("kill -KILL $$", 137)] {
        let main = format!(
            "[[program]]\nname = 'main'\nmain = true\nafter = ['db']\nshell = 'until grep -q ready @dir/db; do sleep 0.01; done; {end}'\n"
        );
        let mut running = fleet(Place::Below, &(main + &polite("db", "")), &[], &[])?;
        running.end_with(code)?;
        let record = running.record()?;
        ensure!(
            record.text("reason")? == "main_exited" && record.at("signal_received") == false,
            "{record:?}"
        );
        ensure!(record.list("active_tasks")? == &["db"], "{record:?}");
        ensure!(running.has_line("db", "15"), "{}", running.explain("db was not asked"));
        ensure!(record.program("db")?.text("stopped_by")? == "SIGTERM", "{record:?}");
    }
    Ok(())
}

#[test]
fn a_command_given_with_a_fleet_is_its_main() -> Tested {
    let in_file = "[[program]]\nname = 'main'\nmain = true\ncommand = ['/no/such/command']\n";
    for text in [polite("db", ""), polite("db", "") + in_file] {
        let script = format!("until grep -q ready {}; do sleep 0.01; done; exit 6", "$DB");
        let stage = Stage::new(Place::Below)?;
        let db = stage.path("db");
        let mut running = start(stage.env("DB", db), &text, &[], &["sh", "-c", &script])?;
        running.end_with(6)?;
        let record = running.record()?;
        ensure!(record.text("reason")? == "main_exited" && record.list("programs")?.len() == 2, "{record:?}");
    }
    Ok(())
}

#[test]
fn main_stopped_by_a_signal_keeps_its_code() -> Tested {
    let text = program("main", "--end 15 --code 9", "main = true") + &polite("db", "");
    let mut running = fleet(Place::Pid1, &text, &[], &[])?;
    all_ready(&running, &["main", "db"])?;
    running.signal(SIGTERM)?;
    running.end_with(9)?;
    ensure!(running.record()?.text("reason")? == "graceful_shutdown", "{:?}", running.record());
    Ok(())
}

/// A program that ends with this code at once.
fn ending(name: &str, code: i32, more: &str) -> String {
    format!("[[program]]\nname = '{name}'\nshell = 'exit {code}'\n{more}\n")
}

#[test]
fn a_fleet_that_has_ended_well_is_0_and_else_1() -> Tested {
    let cases = [
        (ending("a", 0, "") + &ending("b", 0, ""), 0),
        (ending("a", 0, "") + &ending("b", 7, ""), 1),
        (ending("a", 0, "") + &ending("b", 7, "success_codes = [0, 7]"), 0),
        (ending("a", 0, "success_codes = [1]") + &ending("b", 0, ""), 1),
        ("[[program]]\nname = 'a'\nshell = 'kill -TERM $$'\n".to_owned(), 1),
        ("[[program]]\nname = 'a'\nshell = 'kill -TERM $$'\nsuccess_codes = [143]\n".to_owned(), 0),
    ];
    for (text, code) in cases {
        for place in Place::BOTH {
            let mut running = fleet(place, &text, &[], &[])?;
            running.end_with(code).map_err(|why| format!("{text}: {why}"))?;
            ensure!(running.record()?.text("reason")? == "all_exited", "{:?}", running.record());
        }
    }
    Ok(())
}

#[test]
fn a_fleet_that_was_asked_to_stop_is_0() -> Tested {
    // One dies of the signal, one had failed before: asked is asked.
    let text = "[[program]]\nname = 'a'\nshell = 'exec @probe pause'\n".to_owned() + &ending("b", 5, "");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    running.wait_until_ready()?;
    running.wait_for("b's end", || {
        running.record().is_ok_and(|r| r.program("b").is_ok_and(|b| !b.at("exit").is_null()))
    })?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.record()?;
    ensure!(record.list("active_tasks")? == &["a"], "{record:?}");
    ensure!(record.program("a")?.text("exit.signal")? == "SIGTERM", "{record:?}");
    ensure!(record.program("b")?.number("exit.code")? == 5, "{record:?}");
    Ok(())
}

#[test]
fn a_failure_can_shut_the_fleet_down_with_its_code() -> Tested {
    let waiting = "[[program]]\nname = 'bad'\non_failure = 'shutdown'\nshell = 'until grep -q ready @dir/db; do sleep 0.01; done; ";
    for (end, code) in [("exit 9'", 9), ("kill -KILL $$'", 137)] {
        let mut running = fleet(Place::Below, &format!("{waiting}{end}\n{}", polite("db", "")), &[], &[])?;
        running.end_with(code)?;
        let record = running.record()?;
        ensure!(
            record.text("reason")? == "program_failed" && record.number("exit_code")? == i64::from(code),
            "{record:?}"
        );
        ensure!(running.has_line("db", "15"), "{}", running.explain("db was not asked"));
    }
    Ok(())
}

#[test]
fn a_signal_that_comes_while_the_configuration_is_read_is_heard() -> Tested {
    let stage = Stage::new(Place::Pid1)?;
    let fifo = stage.file("fleet.toml");
    mkfifo(&fifo, Mode::S_IRWXU).map_err(|e| e.to_string())?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["--config", &config], &[]))?;
    let mut writer = None;
    running.wait_for("its reader", || {
        writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).ok();
        writer.is_some()
    })?;
    running.signal(SIGTERM)?;
    let mut writer = writer.ok_or("no writer")?;
    writer.write_all(b"[[program]]\nname = 'a'\ncommand = ['sleep', '1000']\n").map_err(|e| e.to_string())?;
    drop(writer);
    Ok(running.end_with(0)?)
}

#[test]
fn a_command_that_is_just_being_written_is_tried_again() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let command = stage.copy("/bin/true", "command", 0o755)?;
    let writer = std::fs::OpenOptions::new().append(true).open(&command).map_err(|e| e.to_string())?;
    let text = format!("[[program]]\nname = 'new'\ncommand = ['{}']\n", command.display());
    let mut running = start(stage, &text, &[], &[])?;
    let warning = "new: cannot run";
    running.wait_for("a warning", || running.stderr().contains(warning))?;
    ensure!(running.stderr().contains("Text file busy; trying again"), "{}", running.stderr());
    drop(writer);
    running.end_with(0)?;
    ensure!(running.record()?.program("new")?.number("exit.code")? == 0, "{:?}", running.record());
    Ok(())
}

#[test]
fn one_program_that_cannot_run_does_not_stop_the_others() -> Tested {
    let text = "[[program]]\nname = 'bad'\ncommand = ['/no/such/command']\n".to_owned() + &polite("good", "");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    all_ready(&running, &["good"])?;
    running.wait_for("a word of it", || running.stderr().contains("/no/such/command"))?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.record()?.list("programs")?.len() == 2, "{:?}", running.record());
    Ok(())
}

#[test]
fn a_program_that_cannot_run_can_shut_the_fleet_down() -> Tested {
    for (command, code) in [("/no/such/command", 127), ("/etc/passwd", 126)] {
        let text = format!("[[program]]\nname = 'bad'\ncommand = ['{command}']\non_failure = 'shutdown'\n")
            + &polite("good", "");
        let mut running = fleet(Place::Below, &text, &[], &[])?;
        running.end_with(code)?;
        ensure!(running.record()?.text("reason")? == "program_failed", "{:?}", running.record());
    }
    Ok(())
}

#[test]
fn strays_that_proc_hides_are_asked_too() -> Tested {
    let stage = Stage::new(Place::Pid1)?;
    let daemon = "trap \"exit 0\" TERM; while :; do sleep 0.05; done";
    let shell = "setsid sh -c \"$DAEMON\" & exec sleep 1000";
    let text =
        format!("[[program]]\nname = 'a'\nuser = 1234\nshell = '{shell}'\nenv = {{ DAEMON = '{daemon}' }}\n");
    write(&stage, &text)?;
    let hiding = "mount -o remount,hidepid=invisible /proc && exec setpriv --bounding-set -sys_ptrace \"$@\"";
    let mut argv = words(["sh", "-c", hiding, "sh"]);
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    argv.extend(runinit(&["--config", &config, "--state-file", &record, "--grace", "60s"], &[]));
    let mut running = stage.start(argv)?;
    running.wait_for("the daemon", || {
        let shells = running.everybody().iter().filter(|process| process.name == "sh").count();
        running.stderr().contains("a: started") && shells == 1
    })?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let took = running.record()?.number("elapsed_ms")?;
    ensure!(took < 20_000, "it was waited for, and not asked: {took} ms");
    Ok(())
}

#[test]
fn strays_of_a_fleet_are_swept() -> Tested {
    let cases = [("", json!("a")), ("env -u RUNINIT_PROGRAM ", json!(null))];
    for (place, (unmarked, program)) in
        Place::BOTH.into_iter().flat_map(|place| cases.clone().map(|case| (place, case)))
    {
        let shell = format!(
            "{unmarked}@probe hear --detach -o @dir/stray --end 15; exec @probe hear -o @dir/a --end 15"
        );
        let text = format!("[[program]]\nname = 'a'\nshell = '{shell}'\n");
        let mut running = fleet(place, &text, &["--grace", "20s"], &[])?;
        all_ready(&running, &["a", "stray"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(running.has_line("stray", "15"), "{}", running.explain("nobody asked it"));
        ensure!(record.list("strays")?.len() == 1, "{record:?}");
        ensure!(record.text("strays.0.stopped_by")? == "SIGTERM", "{record:?}");
        ensure!(record.text("strays.0.command")?.contains("hear --detach"), "{record:?}");
        ensure!(*record.at("strays.0.program") == program, "{record:?}");
    }
    Ok(())
}

#[test]
fn environment_and_directory_are_as_the_file_says() -> Tested {
    let stage = Stage::new(Place::Below)?.env("INHERITED", "1");
    stage.write("vars", "# of the file\nFILE=from the file\nBOTH='from the file'\nexport EMPTY=\n", 0o644)?;
    let report = |name: &str, more: &str| {
        format!(
            "[[program]]\nname = '{name}'\ncommand = ['@probe', 'report', '-o', '@dir/{name}']\ncwd = '/usr'\n{more}\n"
        )
    };
    let text = report("over", "env_file = 'vars'\nenv = { BOTH = 'from the table' }")
        + &report("alone", "env_file = '@dir/vars'\nclear_env = true\nenv = { K = 'V' }")
        + "[defaults]\nenv = { K = 'default' }\n";
    let mut running = start(stage, &text, &[], &[])?;
    running.end_with(0)?;
    let read = |name: &str| -> Result<serde_json::Value, String> {
        let mut report: serde_json::Value =
            serde_json::from_str(&running.text(name)).map_err(|e| running.explain(&e.to_string()))?;
        let mark = report["environment"].as_object_mut().and_then(|all| all.remove("RUNINIT_PROGRAM"));
        let is_its = mark.as_ref().and_then(|mark| mark.as_str()).is_some_and(|m| m.starts_with(name));
        if is_its { Ok(report) } else { Err(format!("its mark is {mark:?}")) }
    };
    let (over, alone) = (read("over")?, read("alone")?);
    let path = std::env::var("PATH").map_err(|e| e.to_string())?;
    let wanted = json!({"PATH": path, "INHERITED": "1", "FILE": "from the file", "BOTH": "from the table", "EMPTY": ""});
    ensure!(over["environment"] == wanted, "{over}");
    let wanted = json!({"FILE": "from the file", "BOTH": "from the file", "EMPTY": "", "K": "V"});
    ensure!(alone["environment"] == wanted, "{alone}");
    ensure!(over["cwd"] == "/usr" && alone["cwd"] == "/usr", "{over} {alone}");
    Ok(())
}

#[test]
fn a_directory_that_is_missing_is_a_program_that_cannot_run() -> Tested {
    let text =
        "[[program]]\nname = 'a'\nshell = 'exit 0'\ncwd = '/no/such/directory'\non_failure = 'shutdown'\n";
    let mut running = fleet(Place::Below, text, &[], &[])?;
    let end = running.end()?;
    ensure!(matches!(end.code, Some(126 | 127)), "{}", running.explain(&format!("{end:?}")));
    ensure!(running.stderr().contains("/no/such/directory"), "{}", running.explain("not a word of it"));
    Ok(())
}

#[test]
fn each_program_has_its_own_group_and_a_clean_start() -> Tested {
    let report = |name: &str| {
        format!("[[program]]\nname = '{name}'\ncommand = ['@probe', 'report', '-o', '@dir/{name}']\n")
    };
    let stage = Stage::new(Place::Pid1)?.blocking(&[SIGUSR1]).ignoring(&[SIGHUP]);
    let mut running = start(stage, &(report("a") + &report("b")), &[], &[])?;
    running.end_with(0)?;
    for name in ["a", "b"] {
        let report: serde_json::Value =
            serde_json::from_str(&running.text(name)).map_err(|e| e.to_string())?;
        ensure!(report["pgid"] == report["pid"] && report["descriptors"] == json!([0, 1, 2]), "{report}");
        ensure!(report["blocked"] == json!([SIGUSR1]) && report["ignored"] == json!([SIGHUP]), "{report}");
    }
    Ok(())
}

#[test]
fn the_environment_names_the_fleet() -> Tested {
    let stage = Stage::new(Place::Below)?;
    write(&stage, &ending("a", 3, "on_failure = 'shutdown'"))?;
    let config = stage.path("fleet.toml");
    let mut running = stage.env("RUNINIT_CONFIG", config).start(runinit(&[], &[]))?;
    Ok(running.end_with(3)?)
}

/// The variables of an image are inherited by everybody in it; without end, a fleet would start itself in itself.
#[test]
fn a_runinit_inside_a_program_does_not_take_the_outer_ones_fleet() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let runinit_ = env!("CARGO_BIN_EXE_runinit");
    let inner = "[[program]]\nname = 'inner'\ncommand = ['true']\n";
    let lasting = "[[program]]\nname = 'lasting'\ncommand = ['sleep', '1000']\n";
    stage.write("inner.toml", inner, 0o644)?;
    stage.write("lasting.toml", lasting, 0o644)?;
    let script = format!(
        "echo begins; {runinit_} -- echo wrapped; {runinit_}; echo bare $?; {runinit_} -c @dir/inner.toml --control @dir/inner; echo fleet $?; \
         {runinit_} check > @dir/checked; echo check $?; {runinit_} drill --quiet @dir/lasting.toml > @dir/drilled; \
         echo drill $?; {runinit_} status > @dir/status; echo status $?"
    );
    write(&stage, &format!("[[program]]\nname = 'p'\nshell = \"\"\"{script}\"\"\"\n"))?;
    let [config, record, control] = ["fleet.toml", "record", "control"].map(|name| stage.path(name));
    let stage = stage.env("RUNINIT_CONFIG", config).env("RUNINIT_STATE_FILE", record);
    let mut running = stage.env("RUNINIT_CONTROL", control).start(runinit(&[], &[]))?;
    running.end_with(0)?;
    let said = running.stdout();
    ensure!(
        said == "begins\nwrapped\nbare 100\nfleet 0\ncheck 0\ndrill 0\nstatus 0\n",
        "{}",
        running.explain(&said)
    );
    let stderr = running.stderr();
    ensure!(stderr.contains("RUNINIT_CONFIG does not count"), "{stderr}");
    ensure!(!stderr.contains("another runinit keeps") && !stderr.contains("listens"), "{stderr}");
    ensure!(running.text("status").contains("p  "), "{}", running.text("status"));
    ensure!(running.record()?.program("p")?.number("exit.code")? == 0, "{}", running.text("record"));
    Ok(())
}

#[test]
fn the_file_names_the_records_place_and_the_option_wins() -> Tested {
    let text = "[init]\nstate_file = '@dir/elsewhere'\n".to_owned() + &ending("a", 0, "");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    running.end_with(0)?;
    ensure!(
        running.file("record").exists() && !running.file("elsewhere").exists(),
        "the option does not win"
    );
    let stage = Stage::new(Place::Below)?;
    write(&stage, &text)?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["--config", &config], &[]))?;
    running.end_with(0)?;
    ensure!(Record::read(&running.file("elsewhere"))?.text("phase")? == "stopped", "no record there");
    Ok(())
}

#[test]
fn a_storm_of_orphans_does_not_hide_a_programs_end() -> Tested {
    let storm = "[[program]]\nname = 'storm'\nshell = 'while :; do @probe orphans 100 --leave; done'\n";
    let bad = "[[program]]\nname = 'bad'\nshell = 'sleep 0.2; exit 44'\non_failure = 'shutdown'\n";
    let mut running = fleet(Place::Pid1, &(storm.to_owned() + bad), &["--grace", "20s"], &[])?;
    Ok(running.end_with(44)?)
}

#[test]
fn a_program_without_room_is_started_when_there_is_room() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let fifo = stage.file("occupant");
    mkfifo(&fifo, Mode::S_IRWXU).map_err(|e| e.to_string())?;
    std::fs::set_permissions(&fifo, Permissions::from_mode(0o644)).map_err(|e| e.to_string())?;
    stage.copy(probe()?, "probe", 0o755)?;
    let program = |name: &str| {
        format!(
            "[[program]]\nname = '{name}'\ncommand = ['@dir/probe', 'hear', '-o', '@dir/{name}', '--end', '15']\n"
        )
    };
    write(&stage, &(program("a") + &program("b")))?;
    let (config, record) = (stage.path("fleet.toml"), stage.path("record"));
    let mut argv = runinit(&["--config", &config, "--state-file", &record], &[]);
    argv[0] = stage.copy(env!("CARGO_BIN_EXE_runinit"), "runinit", 0o755)?;
    // Room for the occupant, for runinit, and for one of the two.
    let user = (2_000_000 + std::process::id()).to_string();
    let stage = stage.with("--uid", user).with("--limit", "nproc=3").with("--occupant", &fifo);
    let mut running = stage.start(argv)?;
    all_ready(&running, &["a"])?;
    running.settle()?;
    ensure!(!running.has_line("b", "ready"), "{}", running.explain("there was room, so this shows nothing"));
    running.wait_for("the occupant", || {
        OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).is_ok()
    })?;
    all_ready(&running, &["b"])?;
    running.signal(SIGTERM)?;
    Ok(running.end_with(0)?)
}

#[test]
fn few_descriptors_stop_no_fleet() -> Tested {
    // There are not enough for the pipes of all of them; whoever starts, all of it has to end.
    let stop = "stop = [{ stdin = \"quit\\n\", wait = '100ms' }, { signal = 'SIGTERM', wait = '5s' }]";
    let names: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
    let text: String = names.iter().map(|name| polite(name, stop)).collect();
    let stage = Stage::new(Place::Below)?.with("--limit", "nofile=10");
    let mut running = start(stage, &text, &["--grace", "10s"], &[])?;
    all_ready(&running, &["p0"])?;
    running.signal(SIGTERM)?;
    Ok(running.end_with(0)?)
}

#[test]
fn a_fleet_of_which_nothing_starts_is_recorded_and_1() -> Tested {
    let bad = |name: &str, more: &str| {
        format!("[[program]]\nname = '{name}'\ncommand = ['/no/such/command']\n{more}\n")
    };
    let mut running = fleet(Place::Below, &(bad("a", "") + &bad("b", "after = ['a']")), &[], &[])?;
    running.end_with(1)?;
    let record = running.record()?;
    ensure!(record.text("reason")? == "all_exited" && record.list("programs")?.len() == 2, "{record:?}");
    Ok(())
}

#[test]
fn a_failure_in_a_shutdown_does_not_change_its_code() -> Tested {
    let text = program("a", "--end 15 --code 9", "on_failure = 'shutdown'");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    all_ready(&running, &["a"])?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    ensure!(running.record()?.text("reason")? == "graceful_shutdown", "{:?}", running.record());
    Ok(())
}

#[test]
fn nothing_of_runinit_is_left_to_programs_and_stop_commands() -> Tested {
    // One has a pipe for its standard input: that is nobody else's.
    let quitter = "[[program]]\nname = 'quitter'\nshell = '@say quitter ready; read -r line'\nstop = [{ stdin = \"quit\\n\", wait = '9s' }]\n";
    let report = |name: &str| format!("['@probe', 'report', '-o', '@dir/{name}']");
    let stop = format!(
        "stop = [{{ run = {}, wait = '500ms' }}, {{ signal = 'SIGTERM', wait = '9s' }}]",
        report("command")
    );
    let reporter =
        format!("[[program]]\nname = 'reporter'\nafter = ['quitter']\ncommand = {}\n", report("program"));
    let text = quitter.to_owned() + &reporter + &polite("stopped", &stop);
    let stage = Stage::new(Place::Pid1)?.blocking(&[SIGUSR1]).ignoring(&[SIGHUP, libc::SIGPIPE]);
    let mut running = start(stage, &text, &["--grace", "30s"], &[])?;
    all_ready(&running, &["stopped"])?;
    running.wait_for_line("said", "quitter ready")?;
    running.wait_for("the report", || running.text("program").ends_with('\n'))?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    for name in ["program", "command"] {
        let report: serde_json::Value =
            serde_json::from_str(&running.text(name)).map_err(|e| running.explain(&e.to_string()))?;
        ensure!(report["descriptors"] == json!([0, 1, 2]), "{name}: {report}");
        ensure!(report["blocked"] == json!([SIGUSR1]), "{name}: {report}");
        ensure!(report["ignored"] == json!([SIGHUP, libc::SIGPIPE]), "{name}: {report}");
        ensure!(report["pgid"] == report["pid"], "{name}: {report}");
    }
    Ok(())
}

/// A file with an error, the place it has to name, and words of the message.
const BAD: &[(&str, &str, &str)] = &[
    ("[[program]]\nname = 'a'\ncommnad = ['x']\n", "3:1", "command"),
    ("[[program]]\nname = 'a'\ncommand = []\n", "3:11", "command"),
    ("[[program]]\ncommand = ['x']\n", "1:1", "name"),
    ("[[program]]\nname = 'a b'\ncommand = ['x']\n", "2:8", "name"),
    ("[[program]]\nname = 'a'\ncommand = 'x'\n", "3:11", "command"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\n[[program]]\nname = 'a'\ncommand = ['x']\n", "5:", "a"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nafter = ['b']\n", "4:10", "b"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nafter = ['a']\n", "4:10", "a"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nsignals = { SIGFOO = 'drop' }\n", "4:13", "SIGFOO"),
    (
        "[[program]]\nname = 'a'\ncommand = ['x']\nstop = [{ signal = 'SIGTERM', wait = 'soon' }]\n",
        "4:38",
        "soon",
    ),
    (
        "[[program]]\nname = 'a'\ncommand = ['x']\nstop = [{ signal = 'TERMS', wait = '1s' }]\n",
        "4:20",
        "TERMS",
    ),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nstop = []\n", "4:8", "stop"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nmain = 'yes'\n", "4:8", "main"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\non_failure = 'explode'\n", "4:14", "shutdown"),
    (
        "[[program]]\nname = 'a'\ncommand = ['x']\nmain = true\n[[program]]\nname = 'b'\ncommand = ['x']\nmain = true\n",
        "8:",
        "main",
    ),
    ("[shutdown]\nbudget = '9 parsecs'\n", "2:10", "parsecs"),
    ("[shutdwon]\nbudget = '9s'\n", "1:2", "shutdown"),
    ("[[program]]\nname = 'a'\ncommand = ['x'\n", "", "array"),
    ("[[program]]\nname = 'a'\ncommand = ['x']\nenv_file = '/no/such/file'\n", "4:12", "/no/such/file"),
];

#[test]
fn nothing_starts_from_a_file_with_an_error() -> Tested {
    for (text, place, words) in BAD {
        let stage = Stage::new(Place::Below)?;
        // A program that would show that something was started.
        let text = format!("{text}\n[[program]]\nname = 'witness'\nshell = '>@dir/started'\n");
        let mut running = start(stage, &text, &[], &[])?;
        running.end_with(100)?;
        let (wanted, stderr) = (format!("fleet.toml:{place}"), running.stderr());
        let named = stderr.lines().any(|line| line.contains(&wanted) && line.contains(words));
        ensure!(named, "{text}\nwanted {wanted} and {words:?}, got:\n{stderr}");
        ensure!(
            !running.file("started").exists() && !running.file("record").exists(),
            "{text}: something was started"
        );
    }
    Ok(())
}

#[test]
fn a_circle_of_dependencies_is_named() -> Tested {
    let text = polite("a", "after = ['b']") + &polite("b", "after = ['c']") + &polite("c", "after = ['a']");
    let mut running = fleet(Place::Below, &text, &[], &[])?;
    running.end_with(100)?;
    let stderr = running.stderr();
    ensure!(stderr.contains("fleet.toml:") && stderr.contains("a -> b -> c -> a"), "{stderr}");
    Ok(())
}

#[test]
fn all_errors_are_told_at_once() -> Tested {
    let text = "[[program]]\nname = 'a'\ncommand = ['x']\nmian = true\nstop = [{ signal = 'FOO', wait = '1s' }]\n[shutdown]\nbudget = 'x'\n";
    let mut running = fleet(Place::Below, text, &[], &[])?;
    running.end_with(100)?;
    for place in ["fleet.toml:4:1", "fleet.toml:5:20", "fleet.toml:7:10"] {
        ensure!(running.stderr().contains(place), "{place} is missing:\n{}", running.stderr());
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_is_bad_configuration() -> Tested {
    for path in ["/no/such/file.toml", "/", "/bin/sh"] {
        let mut running = Stage::new(Place::Below)?.start(runinit(&["--config", path], &[]))?;
        running.end_with(100)?;
        ensure!(running.stderr().contains(path), "{}", running.explain("which file?"));
    }
    Ok(())
}

#[test]
fn check_prints_the_plan_and_starts_nothing() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let more = "after = ['db']\nstop = [{ run = ['api-ctl', 'quit'], wait = '2s' }, { signal = 'SIGTERM', wait = '5s' }, { signal = 'SIGKILL', wait = '2s' }]";
    write(
        &stage,
        &(program("web", "", more)
            + "[[program]]\nname = 'db'\nshell = '>@dir/started'\n[shutdown]\nbudget = '9s'\n"),
    )?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["check", &config], &[]))?;
    running.end_with(0)?;
    let plan = running.stdout();
    for word in ["web", "db", "api-ctl quit", "SIGTERM", "SIGKILL", "9s"] {
        ensure!(plan.contains(word), "{word} is missing:\n{plan}");
    }
    ensure!(plan.find("db") < plan.find("web"), "the start order:\n{plan}");
    ensure!(
        !running.file("started").exists() && running.stderr().is_empty(),
        "{}",
        running.explain("it did more")
    );
    Ok(())
}

#[test]
fn what_means_nothing_here_is_a_warning() -> Tested {
    let stage = Stage::new(Place::Below)?;
    std::os::unix::fs::symlink("elsewhere", stage.file("link")).map_err(|e| e.to_string())?;
    write(
        &stage,
        "[[program]]\nname = 'a'\nshell = 'true'\n[[program]]\nname = 'b'\nshell = 'true'\noutput.file = '@dir/link'\n",
    )?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["check", "--stop-signal", "INT", &config], &[]))?;
    running.end_with(0)?;
    for warning in [
        "warning: --stop-signal (RUNINIT_STOP_SIGNAL) is for a main program, and this fleet has none",
        "warning: not here: b: cannot write its output to ",
    ] {
        ensure!(running.stderr().contains(warning), "{}", running.explain(warning));
    }
    let stage = Stage::new(Place::Below)?.env("RUNINIT_STOP_SIGNAL", "INT");
    write(&stage, "[[program]]\nname = 'a'\nshell = 'true'\n")?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["--config", &config], &[]))?;
    running.end_with(0)?;
    ensure!(running.stderr().contains("warning: --stop-signal"), "{}", running.explain("no warning"));
    Ok(())
}

#[test]
fn check_finds_the_same_errors() -> Tested {
    let stage = Stage::new(Place::Below)?;
    write(&stage, "[[program]]\nname = 'a'\ncommnad = ['x']\n")?;
    let config = stage.path("fleet.toml");
    let mut running = stage.start(runinit(&["check", &config], &[]))?;
    running.end_with(100)?;
    ensure!(running.stderr().contains("fleet.toml:3:1"), "{}", running.stderr());
    let mut running = Stage::new(Place::Below)?.start(runinit(&["check"], &[]))?;
    Ok(running.end_with(100)?)
}

#[test]
fn the_example_runs_as_it_says() -> Tested {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let record = stage.path("record");
        let mut running = stage.start(runinit(&["--config", example, "--state-file", &record], &[]))?;
        for line in ["db: ready", "web: open", "queue: type quit to stop me"] {
            running.wait_for_line("stdout", line)?;
        }
        running.wait_for("the worker", || running.stdout().contains("worker: doing mail"))?;
        running.signal(SIGUSR1)?;
        running.wait_for_line("stdout", "db: read the configuration again")?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let stdout = running.stdout();
        let at = |line: &str| stdout.find(line).ok_or_else(|| running.explain(&format!("no {line:?}")));
        ensure!(at("web: no new requests")? < at("web: the last request is answered")?, "{stdout}");
        ensure!(at("web: the last request is answered")? < at("queue: everything is delivered")?, "{stdout}");
        ensure!(at("queue: everything is delivered")? < at("db: everything is saved")?, "{stdout}");
        let record = running.record()?;
        ensure!(record.number("elapsed_ms")? < 5000 && record.list("survivors")?.is_empty(), "{record:?}");
    }
    Ok(())
}

#[test]
fn a_signal_that_comes_with_the_first_program_stops_all_of_them() -> Tested {
    let text = ["a", "b", "c", "d", "e"].map(|name| match name {
        "a" => format!("[[program]]\nname = '{name}'\ncommand = ['@probe', 'pause']\n"),
        _ => format!("[[program]]\nname = '{name}'\ncommand = ['@probe', 'pause']\nafter = ['a']\n"),
    });
    for number in 0..40 {
        let stage = Stage::new(Place::BOTH[number % 2])?.with("--on-child", "15");
        let mut running = start(stage, &text.concat(), &["--grace", "1h"], &[])?;
        running.end_with(0)?;
        let record = running.record()?;
        for program in record.list("programs")? {
            let never_ran = program["pid"].is_null() && program["exit"].is_null();
            ensure!(never_ran || program["exit"]["signal"] == "SIGTERM", "{record:?}");
        }
    }
    Ok(())
}

#[test]
fn a_fleet_stops_in_time_though_nobody_reads_what_it_says() -> Tested {
    let late = Lateness::watch();
    for place in Place::BOTH {
        let text = stubborn("web", "after = ['db']") + &polite("db", "");
        let stage = Stage::new(place)?.with("--full", "1").with("--full", "2");
        let mut running = start(stage, &text, &["-vvv", "--grace", "2s"], &[])?;
        all_ready(&running, &["web", "db"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        ensure!(late.in_time(&running.record()?)?, "{:?}", running.record());
    }
    Ok(())
}

#[test]
fn a_fleet_works_without_proc() -> Tested {
    for place in Place::BOTH {
        let text = stubborn("web", "after = ['db']") + &polite("db", "");
        let mut running = start(Stage::new(place)?.flag("--no-proc"), &text, &["--grace", "2s"], &[])?;
        all_ready(&running, &["web", "db"])?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        let record = running.record()?;
        ensure!(record.program("web")?.text("stopped_by")? == "SIGKILL", "{record:?}");
        ensure!(record.program("db")?.text("stopped_by")? == "SIGTERM", "{record:?}");
    }
    Ok(())
}

#[test]
fn a_fleet_works_with_closed_standard_descriptors() -> Tested {
    for place in Place::BOTH {
        let stop = "stop = [{ stdin = \"quit\\n\", wait = '20s' }]";
        let text =
            format!("[[program]]\nname = 'a'\nshell = '@say ready; read -r line; @say \"$line\"'\n{stop}\n")
                + &polite("b", "after = ['a']");
        let stage = ["0", "1", "2"].iter().fold(Stage::new(place)?, |stage, fd| stage.with("--close", fd));
        let mut running = start(stage, &text, &["-v", "--grace", "40s"], &[])?;
        all_ready(&running, &["b"])?;
        running.wait_for_line("said", "ready")?;
        running.signal(SIGTERM)?;
        running.end_with(0)?;
        ensure!(said(&running) == ["ready", "quit"], "{:?}", said(&running));
        let steps = tried(&running.record()?, "a")?;
        ensure!(steps.len() == 1, "{steps:?}");
    }
    Ok(())
}

#[cfg(debug_assertions)] // a release has no faults to ask for
#[test]
fn a_bug_still_stops_a_whole_fleet() -> Tested {
    for place in Place::BOTH {
        let text = polite("web", "after = ['db']") + &stubborn("db", "");
        let stage = Stage::new(place)?.env("RUNINIT_FAULT", "panic");
        let mut running = start(stage, &text, &["--grace", "2s"], &[])?;
        running.end_with(70)?;
        let record = running.record()?;
        ensure!(
            record.text("reason")? == "internal_error" && record.text("phase")? == "stopped",
            "{record:?}"
        );
        ensure!(record.list("programs")?.len() == 2, "{record:?}");
    }
    Ok(())
}
