//! `runinit drill`: a fleet that stops well passes, any other fails and is told why, and nothing is left of either.

mod support;

use libc::{SIGINT, SIGKILL, SIGTERM};
use nix::unistd::geteuid;
use std::path::Path;
use support::{
    End, Outcome, PATIENCE, Place, Running, Stage, Tested, ensure, probe, process, runinit, send, until,
    words,
};

/// A fleet's file in the stage's directory. In its text `@dir` is that directory, and `@hear NAME` a probe that hears
/// signals into a file of this name there.
fn write(stage: &Stage, text: &str) -> Outcome {
    let hear = format!("exec {} hear -o @dir/", probe()?);
    let text = text.replace("@hear ", &hear).replace("@dir", stage.path("").trim_end_matches('/'));
    stage.write("fleet.toml", &text, 0o644).map(drop)
}

fn start(stage: Stage, text: &str, options: &[&str]) -> Result<Running, String> {
    write(&stage, text)?;
    let (config, temporary) = (stage.path("fleet.toml"), stage.path("tmp"));
    std::fs::create_dir(&temporary).map_err(|e| e.to_string())?;
    let mut words = vec!["drill", &config];
    words.extend(options);
    stage.env("TMPDIR", temporary).start(runinit(&words, &[]))
}

/// Drills a fleet to the end; the code, and what was said.
fn drilled(text: &str, options: &[&str]) -> Result<(Option<i32>, String), String> {
    let mut running = start(Stage::new(Place::Below)?, text, options)?;
    let End { code, left, .. } = running.end()?;
    ensure!(left.is_empty(), "{}", running.explain(&format!("somebody is left: {left:?}")));
    nothing_is_left(&running)?;
    Ok((code, running.stdout()))
}

fn nothing_is_left(running: &Running) -> Outcome {
    let left = std::fs::read_dir(running.file("tmp")).map_err(|e| e.to_string())?.flatten().count();
    ensure!(left == 0, "{}", running.explain("its directory is still there"));
    Ok(())
}

/// It fails, and says so in these words.
fn fails(text: &str, options: &[&str], words: &[&str]) -> Outcome {
    let (code, said) = drilled(text, options)?;
    ensure!(code == Some(1), "code {code:?}: {said}");
    let verdict = said.split("drill: FAILED:").nth(1).unwrap_or_default();
    ensure!(words.iter().all(|word| verdict.contains(word)), "wanted {words:?}: {said}");
    Ok(())
}

/// A program that says its own number and its parent's.
const TALKER: &str = "[[program]]\nname = \"p\"\nready = { file = \"@dir/ready\", timeout = \"30s\" }\n\
                      shell = '''trap 'exit 0' TERM; echo $$ $PPID; : >@dir/ready; while :; do sleep 0.01; done'''\n";

#[test]
fn a_fleet_that_stops_well_passes() -> Tested {
    let ready = |name: &str| format!("ready = {{ file = \"@dir/{name}\", timeout = \"30s\" }}\n");
    let db = format!("[[program]]\nname = \"db\"\nshell = '@hear db --end 15'\n{}", ready("db"));
    let web = format!(
        "[[program]]\nname = \"web\"\nafter = [\"db\"]\nshell = '@hear web --end 15'\n{}",
        ready("web")
    );
    let mut running = start(Stage::new(Place::Below)?, &(db + &web), &[])?;
    running.end_with(0)?;
    let said = running.stdout();
    ensure!(said.ends_with("\ndrill: passed\n") && said.contains("\n  web  "), "{said}");
    ensure!(running.stderr().contains("web: is ready"), "the fleet itself: {}", running.stderr());
    ensure!(running.has_line("web", "15") && running.has_line("db", "15"), "nobody was asked: {said}");
    Ok(nothing_is_left(&running)?)
}

#[test]
fn where_it_is_allowed_the_fleet_has_a_namespace_of_its_own() -> Tested {
    ensure!(geteuid().is_root(), "root is needed");
    let (code, said) = drilled(TALKER, &[])?;
    ensure!(code == Some(0) && said.starts_with("2 1\n"), "{code:?}: {said}");

    // Nobody may do that, and it goes without.
    let stage = Stage::new(Place::Below)?;
    let own = stage.copy(env!("CARGO_BIN_EXE_runinit"), "runinit", 0o755)?;
    write(&stage, TALKER)?;
    let config = stage.path("fleet.toml");
    let mut running = stage.with("--uid", "1234567").start(vec![own, "drill".into(), config.into()])?;
    running.end_with(0)?;
    let said = running.stdout();
    ensure!(!said.starts_with("2 1\n") && said.ends_with("\ndrill: passed\n"), "{said}");
    Ok(())
}

#[test]
fn one_that_needs_sigkill_fails_it() -> Tested {
    let stop = "stop = [{ signal = \"SIGTERM\", wait = \"300ms\" }]";
    let text = format!("[[program]]\nname = \"web\"\nshell = '@hear web'\n{stop}\n");
    fails(&text, &[], &["web needed SIGKILL"])?;
    // Somebody who has left the program's group is still the program's.
    let stray = "[[program]]\nname = \"cron\"\nshell = '@hear stray --detach & wait; @hear cron --end 15'\n\
                 ready = { file = \"@dir/cron\", timeout = \"30s\" }\n";
    let (code, said) = drilled(stray, &["--grace", "1s"])?;
    ensure!(
        code == Some(1)
            && said.contains("- cron needed SIGKILL")
            && said.contains("what it had started was there"),
        "{said}"
    );
    ensure!(said.contains("the budget of 1s was used up"), "{said}");
    Ok(())
}

#[test]
fn one_that_fails_before_the_stop_fails_it() -> Tested {
    let failing = "[[program]]\nname = \"job\"\noneshot = true\nshell = 'exit 3'\n\
                   [[program]]\nname = \"other\"\nshell = '@hear other --end 15'\n";
    fails(failing, &[], &["before the stop: job: exited with code 3"])?;
    let missing = "[[program]]\nname = \"job\"\ncommand = [\"/nowhere/at/all\"]\n\
                   [[program]]\nname = \"other\"\nshell = '@hear other --end 15'\n";
    fails(missing, &[], &["before the stop: job: could not start"])?;
    let never = "[[program]]\nname = \"db\"\nshell = '@hear db --end 15'\nready = { file = \"/nowhere/at/all\", timeout = \"30s\" }\n";
    fails(never, &["--ready-within", "300ms"], &["not ready within 300ms: db"])?;
    // Before its runinit listens, which as PID 1 would never hear of a signal.
    fails(never, &["--ready-within", "1ns"], &["not ready within 1ns: db"])?;
    // One that fails for good is not waited for, whatever else may become ready.
    let again = "[[program]]\nname = \"job\"\nshell = 'exit 3'\nrestart = \"on-failure\"\n\
                 backoff = { first = \"10ms\", burst = 2 }\n";
    let (code, said) = drilled(&format!("{again}{never}"), &["--ready-within", "10m"])?;
    let times = said.matches("before the stop: job: exited with code 3").count();
    ensure!(code == Some(1) && times == 3 && !said.contains("not ready within"), "{said}");
    let killed = failing.replace("exit 3'", "kill $$; sleep 100'");
    fails(&killed, &[], &["before the stop: job: died of SIGTERM"])?;
    for (failing, code) in [(failing, 3), (killed.as_str(), 143)] {
        let welcome = failing.replace("oneshot", &format!("success_codes = [0, {code}]\noneshot"));
        let (code, said) = drilled(&welcome, &[])?;
        ensure!(code == Some(0), "{said}");
    }
    Ok(())
}

#[test]
fn a_fleet_that_ends_by_itself_is_told_so() -> Tested {
    let ending = |code: &str| {
        format!("[[program]]\nname = \"job\"\nmain = true\noneshot = true\nshell = 'exit {code}'\n")
    };
    let (code, said) = drilled(&ending("0"), &[])?;
    ensure!(
        code == Some(0) && said.contains("The fleet ended by itself, before it was asked to stop."),
        "{said}"
    );
    fails(&ending("5"), &[], &["job: exited with code 5", "the fleet ended with exit status: 5"])?;
    Ok(())
}

#[test]
fn a_bad_file_starts_nothing() -> Tested {
    let mut running =
        start(Stage::new(Place::Below)?, "[[program]]\nname = \"web\"\nafter = [\"bd\"]\n", &[])?;
    running.end_with(100)?;
    ensure!(running.stderr().contains("there is no program \"bd\""), "{}", running.stderr());
    for (words, wanted) in [
        (vec!["drill"], "which fleet?"),
        (vec!["drill", "a", "b"], "what is \"b\"?"),
        (vec!["drill", "--ready-within", "soon", "a"], "--ready-within: \"soon\" is no duration"),
        (vec!["drill", "--ready-within", "11years", "a"], "longer than 3650 days"),
        (vec!["drill", "--ready-within", "0s", "a"], "longer than nothing"),
        (vec!["drill", "--stop-signal", "15", "a"], "unknown option --stop-signal"),
        (vec!["drill", "/dev/stdin"], "/dev/stdin has to be a regular file"),
        (vec!["drill", "/dev"], "/dev has to be a regular file"),
    ] {
        let mut running = Stage::new(Place::Below)?.start(runinit(&words, &[]))?;
        running.end_with(100)?;
        ensure!(running.stderr().contains(wanted), "{words:?}: {}", running.stderr());
    }
    Ok(())
}

#[test]
fn quiet_leaves_the_picture_alone_and_svg_writes_it() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let svg = stage.path("picture.svg");
    let mut running = start(stage, TALKER, &["--quiet", "--svg", &svg])?;
    running.end_with(0)?;
    let said = running.stdout();
    ensure!(said.starts_with("\nStopped in ") && running.stderr().is_empty(), "{said}{}", running.stderr());
    ensure!(running.text("picture.svg").starts_with("<svg ") && Path::new(&svg).exists(), "no picture");

    let (code, said) = drilled(TALKER, &["--quiet", "--svg", "/nowhere/at/all"])?;
    ensure!(code == Some(1) && said.contains("\ndrill: passed\n"), "{code:?}: {said}");
    ensure!(said.contains("cannot be written: /nowhere/at/all: No such file"), "{said}");
    Ok(())
}

#[test]
fn nothing_is_cleaned_up_and_nobody_is_told_why_it_ended() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let workspace = stage.file("ws/T1");
    std::fs::create_dir_all(&workspace).map_err(|e| e.to_string())?;
    std::fs::write(workspace.join("AGENT_REGISTRY.json"), r#"{"status":"completed","agents":[]}"#)
        .map_err(|e| e.to_string())?;
    stage.write("termination", "", 0o644)?;
    let text = "[init]\ntermination_log = \"@dir/termination\"\n\
                [hygiene]\nsessions = { prefix = \"p-\", workspaces = \"@dir/ws\" }\n\
                workspaces = { older_than = \"0s\" }\n\
                [[program]]\nname = \"p\"\nshell = '@hear p --end 15'\n\
                ready = { file = \"@dir/p\", timeout = \"30s\" }\n";
    let mut running = start(stage, text, &[])?;
    running.end_with(0)?;
    ensure!(workspace.exists(), "{}", running.explain("a workspace is gone"));
    let told = std::fs::read_to_string(running.file("termination")).map_err(|e| e.to_string())?;
    ensure!(told.is_empty(), "{}", running.explain(&told));
    Ok(())
}

#[test]
fn a_drill_that_is_killed_takes_its_fleet_along() -> Tested {
    let text = "[[program]]\nname = \"p\"\nshell = '@hear p --end 15'\n[[program]]\nname = \"q\"\n\
                shell = '@hear q --end 15'\nready = { file = \"/nowhere/at/all\", timeout = \"1m\" }\n";
    for signal in [SIGTERM, SIGKILL] {
        let stage = Stage::new(Place::Below)?;
        write(&stage, text)?;
        // One that gets SIGKILL leaves its directory behind.
        let temporary = stage.path("");
        let stage = stage.env("TMPDIR", temporary);
        // Somebody who stays when the drill is gone: the end of the stage would be everybody's.
        let script = format!(
            "{} drill {} & while :; do sleep 0.01; done",
            env!("CARGO_BIN_EXE_runinit"),
            stage.path("fleet.toml")
        );
        let running = stage.start(words(["sh", "-c", &script]))?;
        running.wait_for_line("p", "ready")?;
        running.wait_for_line("q", "ready")?;
        let fleet: Vec<_> = running
            .programs()
            .into_iter()
            .filter(|one| one.name == "runinit" || one.name == "probe")
            .collect();
        let drill = fleet.iter().filter(|one| one.name == "runinit").min_by_key(|one| one.pid);
        send(drill.ok_or("no drill")?.pid, signal)?;
        running.wait_for_line("p", "15")?;
        running.wait_for_line("q", "15")?;
        let is_gone = || fleet.iter().all(|one| process(one.pid).is_none_or(|p| p.state == 'Z'));
        ensure!(
            fleet.len() == 4 && until(PATIENCE, is_gone),
            "{}",
            running.explain("its fleet is still there")
        );
    }
    Ok(())
}

#[test]
fn one_that_is_interrupted_stops_its_fleet_and_tidies_up() -> Tested {
    let text = "[[program]]\nname = \"p\"\nshell = '@hear p --end 15'\n\
                ready = { file = \"/nowhere/at/all\", timeout = \"1m\" }\n";
    for signal in [SIGINT, SIGTERM] {
        let mut running = start(Stage::new(Place::Below)?, text, &[])?;
        running.wait_for_line("p", "ready")?;
        running.signal(signal)?;
        let End { code, left, .. } = running.end()?;
        ensure!(left.is_empty(), "{}", running.explain(&format!("somebody is left: {left:?}")));
        ensure!(code == Some(1), "{}", running.explain(&format!("code {code:?}")));
        ensure!(
            running.stderr().contains("drill: interrupted by SIG"),
            "{}",
            running.explain("nobody says why")
        );
        running.wait_for_line("p", "15")?;
        nothing_is_left(&running)?;
    }
    Ok(())
}
