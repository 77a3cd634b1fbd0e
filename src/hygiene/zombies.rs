//! Processes that have ended and that their parents do not reap: nobody else can.

use super::pass::Pass;
use crate::core::event::Other;
use crate::core::process::Pid;
use crate::os::processes;
use std::time::Duration;

/// Seen twice, so far apart, before it counts: its parent may only just be coming for it.
const LASTS: Duration = Duration::from_millis(100);
/// So many are named.
const NAMED: usize = 5;

/// Tells of those that have not been told of yet.
pub(super) fn count(pass: &mut Pass<'_>) {
    let Some(init) = Pid::new(pass.errand.init) else { return };
    let first = processes::neglected(pass.own, init);
    if first.iter().all(|zombie| !pass.is_news(&key(zombie))) {
        return;
    }
    std::thread::sleep(LASTS);
    let mut found = processes::neglected(pass.own, init);
    found.retain(|zombie| first.contains(zombie) && pass.is_news(&key(zombie)));
    if let Some(text) = describe(&found) {
        pass.warn_of(found.iter().map(key).collect(), &text);
    }
}

fn key(zombie: &Other) -> String {
    format!("zombie {} {}", zombie.pid, zombie.command)
}

fn describe(found: &[Other]) -> Option<String> {
    let named: Vec<String> =
        found.iter().take(NAMED).map(|zombie| format!("{} {}", zombie.pid, zombie.command)).collect();
    let more = if found.len() > NAMED { ", ..." } else { "" };
    let text = match found.len() {
        0 => return None,
        1 => "1 zombie is not reaped by its parent".to_owned(),
        count => format!("{count} zombies are not reaped by their parents"),
    };
    Some(format!("{text}: {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named() {
        let zombie = |pid| Other {
            pid: Pid::new(pid).unwrap(),
            pgid: None,
            command: "[x]".to_owned(),
            state: 'Z',
            program: None,
        };
        let many: Vec<Other> = (1..9).map(zombie).collect();
        assert_eq!(describe(&[]), None);
        assert_eq!(describe(&many[..1]).unwrap(), "1 zombie is not reaped by its parent: 1 [x]");
        let expected = "8 zombies are not reaped by their parents: 1 [x], 2 [x], 3 [x], 4 [x], 5 [x], ...";
        assert_eq!(describe(&many).unwrap(), expected);
    }
}
