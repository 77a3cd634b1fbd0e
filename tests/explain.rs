//! `runinit explain`: the same records give the same pictures, and real runs are explained as they went.

mod support;

use libc::{SIGKILL, SIGTERM};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::pty::Pty;
use support::{Outcome, PATIENCE, Place, Running, Stage, Tested, ensure, probe, runinit, send, until};

/// Records of which the picture is drawn in plain ASCII as well, and those of which it is drawn as SVG.
const ASCII: [&str; 2] = ["ignored", "many"];
const SVG: [&str; 2] = ["ignored", "wrong-first-step"];

/// runinit with these words and no other environment than this.
fn run(words: &[&str], environment: &[(&str, &str)]) -> Result<Output, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
    command.args(words).env_clear().envs(environment.iter().copied());
    command.output().map_err(|e| e.to_string())
}

/// What it prints, if all is well.
fn explained(words: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let output = run(words, environment)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// It ends with this code and these words on standard error.
fn refused(words: &[&str], code: i32, wanted: &[&str]) -> Outcome {
    let output = run(words, &[])?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code) && output.stdout.is_empty(), "{words:?}: {output:?}");
    ensure!(wanted.iter().all(|word| stderr.contains(word)), "{words:?}: wanted {wanted:?}, got {stderr}");
    Ok(())
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

/// Compares a text with a file; `RUNINIT_TESTS_WRITE=1` writes the file anew.
fn is_as_written(name: &str, text: &str) -> Outcome {
    let path = directory().join(name);
    if std::env::var_os("RUNINIT_TESTS_WRITE").is_some() {
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
    }
    let written = std::fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))?;
    ensure!(written == text, "{name} is old, RUNINIT_TESTS_WRITE=1 writes it anew; now it is\n{text}");
    Ok(())
}

#[test]
fn every_record_has_its_picture() -> Tested {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(directory()).map_err(|e| e.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".json").map(str::to_owned));
    }
    names.sort_unstable();
    ensure!(names.len() >= 10, "only {names:?}");
    for name in &names {
        let record = directory().join(format!("{name}.json")).display().to_string();
        is_as_written(&format!("{name}.txt"), &explained(&["explain", &record], &[("LANG", "C.UTF-8")])?)?;
        if ASCII.contains(&name.as_str()) {
            let text = explained(&["explain", &record], &[("LANG", "C.UTF-8"), ("LC_ALL", "C")])?;
            ensure!(text.is_ascii(), "{text}");
            is_as_written(&format!("{name}.ascii.txt"), &text)?;
        }
        let stage = tempfile::tempdir().map_err(|e| e.to_string())?;
        let svg = stage.path().join("picture.svg").display().to_string();
        explained(&["explain", &record, "--svg", &svg], &[])?;
        let svg = std::fs::read_to_string(svg).map_err(|e| e.to_string())?;
        is_well_formed(&svg).map_err(|why| format!("{name}: {why} in\n{svg}"))?;
        if SVG.contains(&name.as_str()) {
            is_as_written(&format!("{name}.svg"), &svg)?;
        }
    }
    Ok(())
}

/// A small part of XML, and nothing outside of it: elements that nest, attributes in double quotes, the five entities.
fn is_well_formed(text: &str) -> Outcome {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.trim();
    let mut elements = 0;
    while !rest.is_empty() {
        let Some(tag) = rest.strip_prefix('<') else {
            let end = rest.find('<').ok_or("text after the end")?;
            ensure!(!open.is_empty() || rest[..end].trim().is_empty(), "text outside of everything");
            is_plain(&rest[..end])?;
            rest = &rest[end..];
            continue;
        };
        let end = tag.find('>').ok_or("a tag without an end")?;
        let (inside, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            ensure!(open.pop() == Some(name), "</{name}> closes something else");
            continue;
        }
        ensure!(elements == 0 || !open.is_empty(), "a second root: <{inside}>");
        elements += 1;
        let (inside, is_empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let name = inside.split(' ').next().unwrap_or_default();
        ensure!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()), "<{inside}>");
        let parts: Vec<&str> = inside[name.len()..].split('"').collect();
        ensure!(parts.len() % 2 == 1 && parts.last() == Some(&""), "quotes in <{inside}>");
        for attribute in parts.chunks_exact(2) {
            let key = attribute[0].strip_prefix(' ').and_then(|key| key.strip_suffix('='));
            ensure!(key.is_some_and(|key| !key.is_empty()), "an attribute in <{inside}>");
            is_plain(attribute[1])?;
        }
        if !is_empty {
            open.push(name);
        }
    }
    ensure!(open.is_empty() && elements > 0, "{open:?} is never closed");
    Ok(())
}

fn is_plain(text: &str) -> Outcome {
    ensure!(text.chars().all(|c| c == '\n' || !c.is_control()), "a control character in {text:?}");
    for (at, _) in text.match_indices('&') {
        let is_entity = ["&amp;", "&lt;", "&gt;"].iter().any(|entity| text[at..].starts_with(entity));
        ensure!(is_entity, "a bare & in {text:?}");
    }
    Ok(())
}

/// A fleet with one that does not hear, one that waits for it, and one that ends at once.
fn fleet(stage: &Stage) -> Result<String, String> {
    let hear = |name: &str, end: &str| {
        Ok::<_, String>(format!("[\"{}\", \"hear\", \"-o\", \"{}\"{end}]", probe()?, stage.path(name)))
    };
    let text = format!(
        "[init]\nstate_file = \"{}\"\n[defaults]\nstop = [{{ signal = \"SIGTERM\", wait = \"600ms\" }}]\n\
         [[program]]\nname = \"db\"\ncommand = {}\n\
         [[program]]\nname = \"web\"\nafter = [\"db\"]\nshell = '''trap '' TERM; trap 'exit 0' QUIT; echo ready >{}
         while :; do sleep 0.01; done'''\n\
         [[program]]\nname = \"mail\"\nafter = [\"db\"]\ncommand = {}\n",
        stage.path("record"),
        hear("db", ", \"--end\", \"15\"")?,
        stage.path("web"),
        hear("mail", ", \"--end\", \"15\"")?,
    );
    stage.write("fleet.toml", &text, 0o644)?;
    Ok(stage.path("fleet.toml"))
}

fn started() -> Result<(Running, String), String> {
    let stage = Stage::new(Place::Pid1)?;
    let config = fleet(&stage)?;
    let running = stage.start(runinit(&["--config", &config], &[]))?;
    for name in ["db", "web", "mail"] {
        running.wait_for_line(name, "ready")?;
    }
    Ok((running, config))
}

#[test]
fn the_one_who_does_not_hear_is_named_and_so_is_who_waited_for_it() -> Tested {
    let (mut running, config) = started()?;
    running.signal(SIGTERM)?;
    running.end_with(0)?;
    let record = running.file("record").display().to_string();
    let text = explained(&["explain", &record], &[])?;
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    ensure!(text.starts_with("Stopped in ") && text.contains(" of 9s, exit code 0: SIGTERM from "), "{text}");
    let (web, db, mail) = (line("! web"), line("  db"), line("  mail"));
    ensure!(web.contains("T=") && web.contains('K') && web.contains("SIGKILL, 6"), "{text}");
    ensure!(db.contains("...T") && db.contains("SIGTERM, ") && db.ends_with(", after web"), "{text}");
    ensure!(mail.contains("SIGTERM, ") && !mail.contains("after"), "{text}");
    ensure!(text.contains("\nweb ignored SIGTERM for 6") && text.contains(". It handles SIGQUIT"), "{text}");
    ensure!(text.contains("\n    stop = [{ signal = \"SIGQUIT\", wait = \"1s\" }, "), "{text}");

    // The same without a name: the environment or the fleet's file say where it is.
    ensure!(explained(&["explain"], &[("RUNINIT_STATE_FILE", &record)])? == text, "another by the variable");
    ensure!(explained(&["explain", "--config", &config], &[])? == text, "another by the fleet");
    let both = explained(&["explain", "--config", &config], &[("RUNINIT_STATE_FILE", "/nowhere/at/all")]);
    ensure!(both.is_err(), "a run takes the variable before the fleet's word");
    ensure!(
        explained(&["explain"], &[("RUNINIT_CONFIG", &config)])? == text,
        "another by the fleet's variable"
    );
    Ok(())
}

#[test]
fn a_run_that_goes_on_is_told_from_one_that_was_killed() -> Tested {
    let (mut running, _) = started()?;
    running.wait_for_phase("running")?;
    let record = running.file("record").display().to_string();
    let text = explained(&["explain", &record], &[])?;
    ensure!(
        text.starts_with("This run goes on: nobody has asked it to stop.") && text.contains("ran, pid"),
        "{text}"
    );
    send(running.init()?.pid, SIGKILL)?;
    running.end()?;
    let text = explained(&["explain", &record], &[])?;
    ensure!(text.starts_with("This run was killed while it ran: nobody had asked it to stop."), "{text}");
    Ok(())
}

#[test]
fn an_exit_code_is_explained_with_the_record_of_its_run() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let record = stage.path("record");
    let mut running =
        stage.start(runinit(&["--grace", "1s", "--state-file", &record], &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.end_with(137)?;
    let text = explained(&["explain", "137", &record], &[])?;
    ensure!(
        text.starts_with("137: SIGKILL (128 + 9)\nprobe got SIGKILL from runinit, after SIGTERM had "),
        "{text}"
    );
    ensure!(text.contains("not from the OOM killer"), "{text}");
    let text = explained(&["explain", "143", &record], &[])?;
    ensure!(text.contains("that of another run: it has exit code 137"), "{text}");
    let text = explained(&["explain", "127"], &[("RUNINIT_STATE_FILE", "/nowhere/at/all")])?;
    ensure!(text.starts_with("127: the command does not exist"), "{text}");
    Ok(())
}

#[test]
fn a_signal_by_hand_is_told_from_a_stranger_s() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let (record, control) = (stage.path("record"), stage.path("control"));
    let words = ["--state-file", &record, "--control", &control];
    let mut running = stage.start(runinit(&words, &[&probe()?, "hear"]))?;
    running.wait_until_ready()?;
    // The program starts before runinit listens.
    let is_sent = || explained(&["signal", "--control", &control, "probe", "KILL"], &[]).is_ok();
    ensure!(until(PATIENCE, is_sent), "{}", running.explain("nobody answers"));
    running.end_with(137)?;
    let text = explained(&["explain", "137", &record], &[])?;
    ensure!(text.contains("\nprobe died of SIGKILL ") && text.contains("somebody had asked"), "{text}");
    Ok(())
}

#[test]
fn what_cannot_be_explained_is_refused() -> Tested {
    let stage = Stage::new(Place::Below)?;
    let file = |name: &str, text: &str| {
        stage.write(name, text, 0o644)?;
        Ok::<_, String>(stage.path(name))
    };
    refused(&["explain", "/nowhere/at/all"], 1, &["/nowhere/at/all: No such file"])?;
    refused(&["explain", "9", "/nowhere/at/all"], 1, &["/nowhere/at/all: No such file"])?;
    let other = file("other", &json!({"schema": 2, "phase": "stopped"}).to_string())?;
    refused(&["explain", &other], 1, &[&other, "its schema is 2, and this runinit knows 1 only"])?;
    let none = file("none", "hello")?;
    refused(&["explain", &none], 1, &[&none, "no record of runinit"])?;
    refused(&["explain", "256"], 100, &["256 is no exit code: they go from 0 to 255"])?;
    refused(&["explain", "a", "b"], 100, &["one record at a time; what is \"b\"?"])?;
    refused(&["explain", "--colour"], 100, &["unknown option --colour"])?;
    let config = file("fleet.toml", "[initt]\n")?;
    refused(&["explain", "--config", &config], 100, &["fleet.toml:1:2", "did you mean \"init\"?"])?;
    let record = directory().join("polite.json").display().to_string();
    refused(&["explain", &record, "--svg", "/nowhere/at/all"], 1, &["/nowhere/at/all: No such file"])?;
    Ok(())
}

#[test]
fn colours_are_for_terminals_only() -> Tested {
    let record = directory().join("ignored.json").display().to_string();
    let own = env!("CARGO_BIN_EXE_runinit");
    let shown = |environment: &str| {
        let mut pty = Pty::start(&["env", environment, own, "explain", &record], &directory())?;
        pty.expect("SIGHUP: try")?;
        Ok::<_, String>(pty.everything().to_owned())
    };
    let coloured = shown("A=B")?;
    ensure!(coloured.contains("\x1b[1;31m"), "{coloured:?}");
    let plain = shown("NO_COLOR=1")?;
    ensure!(!plain.contains('\x1b') && plain.contains("! web"), "{plain:?}");
    Ok(())
}
