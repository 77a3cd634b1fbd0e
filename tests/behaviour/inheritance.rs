//! What a program is given.

use super::exits::probing;
use crate::support::{How, Init, Outcome, Place, Stage, ensure};
use libc::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1,
    SIGUSR2,
};
use serde_json::{Value, json};

/// Runs a reporting program in both places and hands what it reports to a check.
fn reported(init: Init, set: impl Fn(Stage) -> Stage, check: impl Fn(&Value) -> Outcome) -> Outcome {
    for place in Place::BOTH {
        let stage = set(Stage::new(place)?);
        let file = stage.file("report").display().to_string();
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["report", "-o", &file, "two words", ""])?);
        let mut running = stage.start(argv)?;
        running.end_with(0)?;
        let report = serde_json::from_str(&running.text("report")).map_err(|e| e.to_string())?;
        check(&report).map_err(|why| running.explain(&why))?;
    }
    Ok(())
}

/// Compares one field, and says what is missing and what is too much.
fn same(report: &Value, field: &str, wanted: &[i32]) -> Outcome {
    let got: Vec<i64> = report[field].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    let wanted: Vec<i64> = wanted.iter().copied().map(i64::from).collect();
    let lost: Vec<_> = wanted.iter().filter(|n| !got.contains(n)).collect();
    let added: Vec<_> = got.iter().filter(|n| !wanted.contains(n)).collect();
    ensure!(lost.is_empty(), "{field}: lost {lost:?}, added {added:?}");
    ensure!(added.is_empty(), "{field}: added {added:?}");
    Ok(())
}

pub(crate) fn blocked(init: Init) -> Outcome {
    for set in [&[SIGUSR1, 40, 63][..], &[SIGINT, SIGQUIT, SIGTERM, SIGTSTP], &[SIGCHLD]] {
        reported(init, |stage| stage.blocking(set), |report| same(report, "blocked", set))?;
    }
    Ok(())
}

pub(crate) fn ignored(init: Init) -> Outcome {
    let set = [
        SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
        SIGIO, 34, 64,
    ];
    reported(init, |stage| stage.ignoring(&set), |report| same(report, "ignored", &set))
}

pub(crate) fn ignored_chld(init: Init) -> Outcome {
    // An init that hangs here after its program's end has handed it on all the same, so its end is not waited for.
    for place in Place::BOTH {
        let stage = Stage::new(place)?.ignoring(&[SIGCHLD]);
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["report"])?);
        let running = stage.start(argv)?;
        running.wait_for("the report", || running.stdout().ends_with('\n'))?;
        let report: Value = serde_json::from_str(&running.stdout()).map_err(|e| e.to_string())?;
        same(&report, "ignored", &[SIGCHLD]).map_err(|why| running.explain(&why))?;
    }
    Ok(())
}

pub(crate) fn clean(init: Init) -> Outcome {
    reported(init, |stage| stage, |report| same(report, "ignored", &[]).and(same(report, "blocked", &[])))
}

pub(crate) fn descriptors(init: Init) -> Outcome {
    reported(init, |stage| stage, |report| same(report, "descriptors", &[0, 1, 2]))
}

pub(crate) fn given(init: Init) -> Outcome {
    let seven = |stage: Stage| stage.with("--extra", "7").with("--extra", "200");
    reported(init, seven, |report| same(report, "descriptors", &[0, 1, 2, 7, 200]))
}

pub(crate) fn group(init: Init) -> Outcome {
    let leads = |report: &Value| {
        ensure!(
            report["pgid"] == report["pid"],
            "the group is {}, the program is {}",
            report["pgid"],
            report["pid"]
        );
        Ok(())
    };
    reported(init, |stage| stage, leads)
}

/// A serial line, say, of which a byte of 3 would be Ctrl-C from then on, and a hang-up the end.
pub(crate) fn terminal(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["terminal"])?);
        Stage::new(place)?.start(argv)?.end_with(0)?;
    }
    Ok(())
}

pub(crate) fn environment(init: Init) -> Outcome {
    let path = std::env::var("PATH").map_err(|e| e.to_string())?;
    let wanted = json!({"PATH": path, "EMPTY": "", "SPACED": " a  b\n", "RUNINIT_OTHER": "1"});
    let set = |stage: Stage| {
        let stage = stage.env("EMPTY", "").env("SPACED", " a  b\n").env("RUNINIT_OTHER", "1");
        stage.in_directory("/usr/bin")
    };
    let check = |report: &Value| {
        let (environment, size) = (&report["environment"], &report["environment_size"]);
        ensure!(*environment == wanted && *size == 4, "the environment is {environment}");
        ensure!(report["cwd"] == "/usr/bin", "the directory is {}", report["cwd"]);
        let tail: Vec<_> = report["argv"].as_array().into_iter().flatten().skip(4).collect();
        ensure!(tail == ["two words", ""], "the arguments are {}", report["argv"]);
        Ok(())
    };
    reported(init, set, check)
}
