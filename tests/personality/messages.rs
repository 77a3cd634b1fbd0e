//! What is said, and that saying it stops nothing.

use super::ran::run;
use super::signals::line;
use crate::support::{Init, Outcome, Place, Stage, ensure, words};

pub(crate) fn verbose(init: Init) -> Outcome {
    let (option, marks): (&str, &[&str]) = match init.name() {
        "tini" => (
            "-vvvs",
            &[
                "Spawned child process 'echo' with pid '",
                "Received SIGCHLD",
                "Reaped child with pid: '",
                "Main child exited normally (with status '0')",
            ],
        ),
        _ => (
            "-v",
            &[
                "[dumb-init] Child spawned with PID ",
                "[dumb-init] Received signal 17.\n",
                "[dumb-init] A child with PID ",
                " exited with exit status 0.\n",
                "[dumb-init] Forwarded signal 15 to children.\n",
                "[dumb-init] Child exited with status 0. Goodbye.\n",
            ],
        ),
    };
    for option in [option, "--verbose"] {
        if option == "--verbose" && init.name() == "tini" {
            continue;
        }
        let ran = run(init, &[], &[option, "echo", "oh,", "hi"])?;
        let told = if init.name() == "tini" { &ran.stdout } else { &ran.stderr };
        let mut rest = told.as_str();
        for mark in marks {
            let Some(at) = rest.find(mark) else { return Err(format!("{mark:?} is missing: {ran:?}")) };
            rest = &rest[at + mark.len()..];
        }
        ensure!(ran.code == 0 && ran.stdout.contains("oh, hi\n"), "{ran:?}");
        ensure!(init.name() == "tini" || told.contains("[dumb-init] setsid complete.\n"), "{ran:?}");
    }
    Ok(())
}

pub(crate) fn silent(init: Init) -> Outcome {
    let mut running = Stage::new(Place::Pid1)?.start(line(init, &[], words(["sh", "-c", "exit 3"]))?)?;
    running.end_with(3)?;
    let said = running.stdout() + &running.stderr();
    ensure!(said.is_empty(), "{}", running.explain("it talks"));
    Ok(())
}
