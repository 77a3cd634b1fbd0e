//! Names of sessions that tmux takes as they are.

/// Characters that tmux changes, or that mean something else in a target, a format or a command of its own.
const TAKEN: [char; 9] = ['.', ':', '#', '$', '\\', '\'', '"', '`', ';'];
/// Longer ones do not fit the status line, nor any list.
const LONGEST: usize = 200;

/// Why a session cannot have this name, if it cannot.
pub fn refusal(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > LONGEST {
        return Some(format!("is longer than {LONGEST} bytes"));
    }
    if let Some(taken) = name.chars().find(|c| TAKEN.contains(c)) {
        return Some(refusal_of(taken, name));
    }
    // tmux writes what its C library cannot print in another way (vis(3)). That is what Rust escapes as well, and less.
    let is_printed = name.escape_debug().eq(name.chars());
    (!is_printed).then(|| format!("must hold only what can be printed, unlike {name:?}"))
}

fn refusal_of(taken: char, name: &str) -> String {
    match taken {
        // tmux would make "_" of them, and the session would have another name than the one written.
        '.' | ':' => format!("must not hold \".\" or \":\", as {name:?} does"),
        taken => format!("must not hold {taken:?}, which means something to tmux, as {name:?} does"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tmux_would_change_are_refused() {
        for name in [
            "claude-agent-TASK-20251029-225319-45548b6a-builder-1",
            "a b",
            "é",
            "漢",
            "e\u{301}",
            "-x",
            "@z",
            "a*",
        ] {
            assert_eq!(refusal(name), None, "{name}");
        }
        for name in [
            "",
            "a.b",
            "a:b",
            "$q",
            "a#{x}",
            "tab\tx",
            "back\\slash",
            "it's",
            "a\u{2028}b",
            "a\u{378}b",
            "a\u{85}",
        ] {
            assert!(refusal(name).is_some(), "{name}");
        }
    }
}
