//! Reaping.

use super::exits::probing;
use crate::support::{How, Init, Outcome, Place, Stage, ensure, words};
use libc::SIGCHLD;

/// Runs a storm, after which the program looks for zombies and exits with 42 if there is none.
fn orphans(init: Init, place: Place, count: &str) -> Outcome {
    let mut argv = init.words(How::Group)?;
    argv.extend(probing(&["orphans", count, "--code", "42"])?);
    let mut running = Stage::new(place)?.start(argv)?;
    running.end_with(42)?;
    ensure!(running.stdout() == "zombies 0\n", "{}", running.explain("zombies"));
    Ok(())
}

pub(crate) fn storm(init: Init) -> Outcome {
    orphans(init, Place::Pid1, "10000")
}

pub(crate) fn storm_below(init: Init) -> Outcome {
    orphans(init, Place::Below, "2000")
}

pub(crate) fn own_code(init: Init) -> Outcome {
    for number in 0..10 {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["orphans", "200", "--leave", "--code", "41"])?);
        let mut running = Stage::new(Place::BOTH[number % 2])?.start(argv)?;
        let end = running.end()?;
        ensure!(end.code == Some(41), "{}", running.explain(&format!("{end:?}")));
    }
    Ok(())
}

pub(crate) fn ignored_sigchld(init: Init) -> Outcome {
    for place in Place::BOTH {
        let mut argv = init.words(How::Group)?;
        argv.extend(probing(&["exit", "5"])?);
        let mut running = Stage::new(place)?.ignoring(&[SIGCHLD]).start(argv)?;
        let end = running.end_within(init.patience())?;
        // Its end makes no zombie: who waits for one waits for ever, or takes it for one that never was.
        let code = end.as_ref().and_then(|e| e.code);
        ensure!(code == Some(5), "{}", running.explain(&format!("the program's end is missed: {end:?}")));
    }
    Ok(())
}

pub(crate) fn born_with_children(init: Init) -> Outcome {
    for place in Place::BOTH {
        // The shell that becomes the init leaves it a child that has ended and one that ends while the program runs.
        let script = "sh -c 'exit 3' & sh -c 'sleep 0.05; exit 4' & exec \"$@\"";
        let mut argv = words(["sh", "-c", script, "sh"]);
        argv.extend(init.words(How::Group)?);
        argv.extend(words(["sh", "-c", "sleep 0.2; exit 6"]));
        Stage::new(place)?.start(argv)?.end_with(6)?;
    }
    Ok(())
}
