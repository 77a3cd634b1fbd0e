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
    let taken = name.chars().find(|c| TAKEN.contains(c) || c.is_control())?;
    Some(match taken {
        // tmux would make "_" of them, and the session would have another name than the one written.
        '.' | ':' => format!("must not hold \".\" or \":\", as {name:?} does"),
        taken => format!("must not hold {taken:?}, which means something to tmux, as {name:?} does"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tmux_would_change_are_refused() {
        for name in ["claude-agent-TASK-20251029-225319-45548b6a-builder-1", "a b", "é", "-x", "@z", "a*"] {
            assert_eq!(refusal(name), None, "{name}");
        }
        for name in ["", "a.b", "a:b", "$q", "a#{x}", "tab\tx", "back\\slash", "it's"] {
            assert!(refusal(name).is_some(), "{name}");
        }
    }
}
