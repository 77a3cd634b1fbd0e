//! Forwarding.

use super::exits::probing;
use crate::support::{
    HANG, How, Init, Outcome, PATIENCE, Place, Running, Stage, ensure, probe, send, until, words,
};
use libc::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGILL, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS,
    SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use std::ffi::OsString;

/// How often a signal is sent at the moment the child appears.
const TRIES: usize = 200;
/// The same for the peers, of which it is known that some are lost.
const TRIES_OF_PEERS: usize = 10;

/// Starts a command under an init and waits until its probe is ready.
pub(crate) fn ready(init: Init, how: How, place: Place, command: &[OsString]) -> Result<Running, String> {
    let mut argv = init.words(how)?;
    argv.extend_from_slice(command);
    let running = Stage::new(place)?.start(argv)?;
    running.wait_until_ready()?;
    Ok(running)
}

/// Sends a signal and waits until the probe that writes to standard output has heard it.
fn heard(running: &Running, signal: i32) -> Outcome {
    running.signal(signal)?;
    running.wait_for(&format!("signal {signal}"), || running.has_line("stdout", &signal.to_string()))
}

/// What the kernel sends to a program that has made a mistake, and anybody else may send, too.
const OF_ERRORS: [i32; 7] = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS];

pub(crate) fn every_signal(init: Init) -> Outcome {
    // SIGKILL and SIGSTOP cannot be caught, SIGCHLD is the init's own, the terminal's stop signals are job control, and 32 and
    // 33 belong to the C library. Those of errors are a case of their own.
    let left_out = [SIGKILL, SIGSTOP, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, 32, 33];
    let asking = [SIGTERM, SIGINT, SIGQUIT];
    for place in Place::BOTH {
        let mut running = ready(init, How::Group, place, &probing(&["hear", "--end", "15", "--code", "7"])?)?;
        for signal in
            (1..=64).filter(|n| !left_out.contains(n) && !asking.contains(n) && !OF_ERRORS.contains(n))
        {
            heard(&running, signal)?;
        }
        heard(&running, SIGTERM)?;
        running.end_with(7)?;
        for signal in [SIGINT, SIGQUIT] {
            let end = signal.to_string();
            ready(init, How::Group, place, &probing(&["hear", "--end", &end, "--code", "8"])?)
                .and_then(|mut running| heard(&running, signal).and_then(|()| running.end_with(8)))?;
        }
    }
    Ok(())
}

pub(crate) fn of_errors(init: Init) -> Outcome {
    for place in Place::BOTH {
        for signal in OF_ERRORS {
            let end = signal.to_string();
            let mut running =
                ready(init, How::Group, place, &probing(&["hear", "--end", &end, "--code", "9"])?)?;
            running.signal(signal)?;
            let end = running.end_within(init.patience())?;
            ensure!(end.is_some(), "{}", running.explain(&format!("some are lost: {signal}")));
            let code = end.as_ref().and_then(|e| e.code);
            ensure!(code == Some(9), "{}", running.explain(&format!("signal {signal} ends it: {end:?}")));
        }
    }
    Ok(())
}

pub(crate) fn reserved(init: Init) -> Outcome {
    for place in Place::BOTH {
        for signal in [32, 33] {
            let mut running =
                ready(init, How::Group, place, &probing(&["hear", "--end", &signal.to_string()])?)?;
            running.signal(signal)?;
            let end = running.end_within(init.patience())?;
            ensure!(end.is_some(), "{}", running.explain(&format!("some are lost: {signal}")));
            let code = end.as_ref().and_then(|e| e.code);
            ensure!(code == Some(0), "{}", running.explain(&format!("signal {signal} ends it: {end:?}")));
        }
    }
    Ok(())
}

pub(crate) fn group(init: Init) -> Outcome {
    for place in Place::BOTH {
        let stage = Stage::new(place)?;
        let files = ["a", "b", "c"];
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["hear", "--end", "15", "--code", "9"])?);
        for name in files {
            argv.extend(["--with".into(), stage.file(name).into()]);
        }
        let mut running = stage.start(argv)?;
        for name in files {
            running.wait_for_line(name, "ready")?;
        }
        for signal in [SIGUSR1, SIGTERM] {
            running.signal(signal)?;
            for name in files {
                running.wait_for_line(name, &signal.to_string())?;
            }
        }
        running.end_with(9)?;
    }
    Ok(())
}

pub(crate) fn single(init: Init) -> Outcome {
    for place in Place::BOTH {
        let probe = probe()?;
        let stage = Stage::new(place)?;
        let background = stage.file("background").display().to_string();
        let script = format!("{probe} hear -o {background} --end 15 & exec {probe} hear");
        let mut argv = init.words(How::Single)?;
        argv.extend(words(["sh", "-c", &script]));
        let running = stage.start(argv)?;
        running.wait_until_ready()?;
        running.wait_for_line("background", "ready")?;
        // When the program has heard the second one, the first would long have come to the other.
        heard(&running, SIGUSR1)?;
        heard(&running, SIGUSR2)?;
        let others = running.text("background");
        ensure!(
            others.lines().count() == 1,
            "{}",
            running.explain(&format!("the background heard {others:?}"))
        );
    }
    Ok(())
}

pub(crate) fn instant(init: Init) -> Outcome {
    let (tries, patience) = match init {
        init if init.is_runinit() => (TRIES, PATIENCE),
        _ => (TRIES_OF_PEERS, HANG / 10),
    };
    let mut lost = 0;
    for number in 0..tries {
        let stage =
            Stage::new(Place::BOTH[number % 2])?.with("--on-child", "15").env("RUNINIT_GRACE", "forever");
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["pause"])?);
        let mut running = stage.start(argv)?;
        let end = running.end_within(patience)?;
        if init.is_runinit() && end.is_none() {
            return Err(running.explain(&format!("it is lost, number {number} of {tries}"))); // one is enough
        }
        lost += usize::from(end.is_none_or(|end| end.code != Some(128 + SIGTERM)));
    }
    ensure!(lost == 0, "it is lost, {lost} of {tries}");
    Ok(())
}

pub(crate) fn stopped(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut running = ready(init, How::Group, place, &probing(&["hear", "--stop", "--end", "15"])?)?;
        running.wait_for("the stop", || {
            running.programs().iter().any(|p| p.name == "probe" && p.state == 'T')
        })?;
        running.signal(SIGTERM)?;
        let end = running.end_within(init.patience())?;
        ensure!(end.is_some(), "{}", running.explain("the program stays stopped"));
        ensure!(end.as_ref().and_then(|e| e.code) == Some(0), "{}", running.explain(&format!("{end:?}")));
    }
    Ok(())
}

pub(crate) fn second_term(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["hear"])?);
        let mut running = Stage::new(place)?.env("RUNINIT_GRACE", "forever").start(argv)?;
        running.wait_until_ready()?;
        heard(&running, SIGTERM)?;
        running.signal(SIGTERM)?;
        let end = running.end_within(init.patience())?;
        ensure!(end.is_some(), "{}", running.explain("it waits on"));
        ensure!(end.as_ref().and_then(|e| e.code) == Some(137), "{}", running.explain(&format!("{end:?}")));
    }
    Ok(())
}

pub(crate) fn rewrite(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut argv = words([init.path()?]);
        for rule in ["10:12", "12:0", "15:3"] {
            argv.extend(words(["--rewrite", rule]));
        }
        argv.extend(words(["--"]));
        argv.extend(probing(&["hear", "--end", "3"])?);
        let mut running = Stage::new(place)?.start(argv)?;
        running.wait_until_ready()?;
        running.signal(SIGUSR1)?;
        running.wait_for_line("stdout", "12")?;
        running.signal(SIGUSR2)?;
        running.signal(SIGTERM)?;
        running.wait_for_line("stdout", "3")?;
        running.end_with(0)?;
        let heard: Vec<String> = running.stdout().lines().skip(1).map(str::to_owned).collect();
        ensure!(heard == ["12", "3"], "{}", running.explain(&format!("heard {heard:?}")));
    }
    Ok(())
}

pub(crate) fn during_a_storm(init: Init) -> Outcome {
    for place in Place::BOTH {
        let probe = probe()?;
        let script =
            format!("while :; do {probe} orphans 200 --leave; done >/dev/null & exec {probe} hear --end 64");
        let mut running = ready(init, How::Single, place, &words(["sh", "-c", &script]))?;
        for signal in (34..=64).chain([SIGUSR1, SIGUSR2]).filter(|n| *n != 64) {
            heard(&running, signal)?;
        }
        heard(&running, 64)?;
        let end = running.end()?;
        ensure!(end.code == Some(0), "{}", running.explain(&format!("{end:?}")));
    }
    Ok(())
}

pub(crate) fn pipeline(init: Init) -> Outcome {
    for place in Place::BOTH {
        let probe = probe()?;
        let stage = Stage::new(place)?;
        let dir = stage.file("").display().to_string();
        let parts: Vec<_> =
            (1..=6).map(|n| format!("{probe} hear -o {dir}/{n} --end 15 --code {n}")).collect();
        let mut argv = init.words(How::Group)?;
        argv.extend(words(["sh", "-c", &format!("trap : TERM; {}; exit 9", parts.join(" | "))]));
        let mut running = stage.start(argv)?;
        for n in 1..=6 {
            running.wait_for_line(&n.to_string(), "ready")?;
        }
        running.signal(SIGTERM)?;
        for n in 1..=6 {
            running.wait_for_line(&n.to_string(), "15")?;
        }
        running.end_with(9)?;
    }
    Ok(())
}

pub(crate) fn queued(init: Init) -> Outcome {
    const COUNT: usize = 100;
    for place in Place::BOTH {
        let mut running = ready(init, How::Group, place, &probing(&["hear", "--end", "15"])?)?;
        for _ in 0..COUNT {
            running.signal(40)?;
        }
        let heard = || running.stdout().lines().filter(|line| *line == "40").count();
        let all = until(init.patience(), || heard() == COUNT);
        ensure!(all, "{}", running.explain(&format!("some are lost: {} of {COUNT} came", heard())));
        running.signal(SIGTERM)?;
        running.end_with(0)?;
    }
    Ok(())
}

pub(crate) fn stopped_by_itself(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut running =
            ready(init, How::Group, place, &probing(&["hear", "--stop", "--end", "10", "--code", "6"])?)?;
        let program = || running.programs().into_iter().find(|p| p.name == "probe");
        running.wait_for("the stop", || program().is_some_and(|p| p.state == 'T'))?;
        running.settle()?;
        let program = program().ok_or_else(|| running.explain("the program is gone"))?;
        send(program.pid, SIGCONT)?;
        running.wait_for_line("stdout", "18")?;
        running.signal(SIGUSR1)?;
        running.end_with(6)?;
    }
    Ok(())
}

/// By whoever sends it to the program itself. The kernel lets nobody stop in an orphaned group, one without a parent in the
/// same session (setpgid(2)).
pub(crate) fn terminal_stop(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut running = ready(init, How::Group, place, &probing(&["pause"])?)?;
        let program = || running.programs().into_iter().find(|p| p.name == "probe");
        let pid = program().ok_or_else(|| running.explain("the program is gone"))?.pid;
        send(pid, SIGTSTP)?;
        let stops = until(init.patience(), || program().is_some_and(|p| p.state == 'T'));
        ensure!(stops, "{}", running.explain("it runs on"));
        send(pid, SIGCONT)?;
        running.signal(SIGTERM)?;
        running.end_with(128 + SIGTERM)?;
    }
    Ok(())
}
