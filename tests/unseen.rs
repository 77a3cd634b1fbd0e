//! Strays below PID 1 where there is no descriptor left to read /proc with.

mod support;

use support::{Place, Stage, Tested, ensure, runinit, words};

/// runinit with this limit, and a stray that its program leaves behind.
fn start(stage: Stage, limit: &str, grace: &str) -> Result<support::Running, String> {
    // No redirections: dash has no descriptor for one.
    let script =
        "setsid sleep 2000 & until [ \"$(cat /proc/$!/comm)\" = sleep ]; do sleep 0.01; done; exit 2";
    let mut all = words(["sh", "-c", &format!("ulimit {limit} && exec \"$@\""), "sh"]);
    all.extend(runinit(&["-v", "--grace", grace], &["sh", "-c", script]));
    stage.start(all)
}

#[test]
fn a_stray_is_found_where_room_can_be_made_for_the_look() -> Tested {
    let mut running = start(Stage::new(Place::Below)?, "-Sn 5", "10m")?;
    let end = running.end()?;
    ensure!(end.code == Some(2) && end.left.is_empty(), "{}", running.explain(&format!("{end:?}")));
    Ok(())
}

#[test]
fn a_stray_that_cannot_be_seen_is_told_of() -> Tested {
    let mut running = start(Stage::new(Place::Below)?, "-n 5", "500ms")?;
    let end = running.end()?;
    ensure!(end.code == Some(2) && end.left.len() == 1, "{}", running.explain(&format!("{end:?}")));
    ensure!(running.stderr().contains("processes are left that cannot be seen"), "{}", running.stderr());
    Ok(())
}
