//! Exit codes, and commands that do not start.

use crate::support::{How, Init, Outcome, Place, Stage, ensure, probe, words};
use std::ffi::OsString;

/// Runs a command to its end, in both places; compares the code.
pub(crate) fn code_of(
    init: Init,
    stage: impl Fn(Stage) -> Stage,
    command: &[OsString],
    code: i32,
) -> Outcome {
    for place in Place::BOTH {
        let mut argv = init.words(How::Group)?;
        argv.extend_from_slice(command);
        stage(Stage::new(place)?).start(argv)?.end_with(code)?;
    }
    Ok(())
}

fn run(init: Init, command: &[OsString], code: i32) -> Outcome {
    code_of(init, |stage| stage, command, code)
}

/// A probe's command line.
pub(crate) fn probing(arguments: &[&str]) -> Result<Vec<OsString>, String> {
    let mut command = words([probe()?]);
    command.extend(words(arguments.iter().copied()));
    Ok(command)
}

pub(crate) fn every_code(init: Init) -> Outcome {
    (0..=255).try_for_each(|code: i32| {
        let command = probing(&["exit", &code.to_string()])?;
        if init == Init::Runinit {
            return run(init, &command, code);
        }
        // The peers in turn as PID 1 and below, to save time.
        let mut argv = init.words(How::Group)?;
        argv.extend(command);
        let place = if code % 2 == 0 { Place::Pid1 } else { Place::Below };
        Stage::new(place)?.start(argv)?.end_with(code)
    })
}

pub(crate) fn every_deadly_signal(init: Init) -> Outcome {
    // The others stop, continue or are ignored (signal(7)).
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    (1..=64)
        .filter(|signal| !harmless.contains(signal) && !stopping.contains(signal))
        .try_for_each(|signal| run(init, &probing(&["raise", &signal.to_string()])?, 128 + signal))
}

pub(crate) fn core_dump(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?.with("--limit", "core=100000000");
        let (here, mut argv) = (stage.file(""), init.words(How::Group)?);
        argv.extend(words(["sh", "-c", "kill -SEGV $$"]));
        stage.in_directory(here).start(argv)?.end_with(128 + libc::SIGSEGV)?;
    }
    Ok(())
}

pub(crate) fn missing(init: Init) -> Outcome {
    run(init, &words(["/no/such/command"]), 127)?;
    run(init, &words(["no-such-command-along-the-path"]), 127)
}

pub(crate) fn not_executable(init: Init) -> Outcome {
    run(init, &words(["/etc/passwd"]), 126)?;
    run(init, &words(["/"]), 126)
}

pub(crate) fn missing_interpreter(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let script = stage.write("script", "#!/no/such/interpreter\n", 0o755)?;
        let mut argv = init.words(How::Group)?;
        argv.push(script.into());
        let mut running = stage.start(argv)?;
        let end = running.end()?;
        let code = end.code.unwrap_or(-1);
        ensure!(matches!(code, 126 | 127), "{}", running.explain(&format!("exit code {code} instead")));
    }
    Ok(())
}

pub(crate) fn script(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let script = stage.write("script", "echo \"$0 $1 $2\" >\"$3\"; exit 42\n", 0o755)?;
        let heard = stage.file("heard");
        let mut argv = init.words(How::Group)?;
        argv.extend([script.clone().into(), "one".into(), "two words".into(), heard.into()]);
        let mut running = stage.start(argv)?;
        running.end_with(42)?;
        let wanted = format!("{} one two words\n", script.display());
        ensure!(running.text("heard") == wanted, "the script got {:?}", running.text("heard"));
    }
    Ok(())
}

pub(crate) fn lookup(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        stage.write("here", "#!/bin/sh\nexit 43\n", 0o755)?;
        let (here, mut argv) = (stage.file(""), init.words(How::Group)?);
        argv.push("./here".into());
        stage.in_directory(here).start(argv)?.end_with(43)?;
        let mut argv = init.words(How::Group)?;
        argv.extend(words(["sh", "-c", "exit 44"]));
        Stage::new(place)?.start(argv)?.end_with(44)?;
    }
    Ok(())
}
