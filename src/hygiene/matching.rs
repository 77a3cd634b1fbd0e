//! Whose session it is: from its name to a workspace and an agent.
//!
//! A session is named after its task and its agent, `{prefix}{task}-{agent}`, and both may hold hyphens. So the name is
//! never split: it is held against the workspaces that exist, and more than one may fit.
//!
//! tmux escapes what it finds strange in a name (vis(3)): `\\` for `\`, `\$x` for `$x`, `\t` for a tab, and each version
//! something else. What such a session was to be called is not guessed.

/// The workspaces that a session may belong to, the longest name first, each with what would be the agent's id.
pub(super) fn candidates<'a>(
    session: &'a str,
    prefix: &str,
    workspaces: &'a [String],
) -> Vec<(&'a str, &'a str)> {
    let Some(named) = session.strip_prefix(prefix).filter(|_| !is_escaped(session)) else {
        return Vec::new();
    };
    let agent_in = |workspace: &'a String| {
        // What tmux makes of a character is as long as the character.
        let agent = named.get(workspace.len()..)?.strip_prefix('-')?;
        (!agent.is_empty() && as_tmux_names(workspace) == named[..workspace.len()])
            .then_some((workspace.as_str(), agent))
    };
    let mut found: Vec<_> = workspaces.iter().filter_map(agent_in).collect();
    found.sort_by_key(|(workspace, _)| std::cmp::Reverse(workspace.len()));
    found
}

/// True if nobody can tell from a session's name what it was to be called.
pub(super) fn is_escaped(session: &str) -> bool {
    session.contains('\\')
}

/// True if a session may need this workspace. Up to the first escape its name is as it was to be; from there on it may be
/// anything.
pub(super) fn may_need(session: &str, prefix: &str, workspace: &str) -> bool {
    let Some(named) = session.strip_prefix(prefix) else { return false };
    let workspace = as_tmux_names(workspace);
    let is_named = named.strip_prefix(&workspace).is_some_and(|rest| rest.starts_with('-'));
    is_named || named.split_once('\\').is_some_and(|(plain, _)| workspace.starts_with(plain))
}

/// The name that tmux gives to a session that is to be called so: it keeps `.` and `:` for itself.
pub(super) fn as_tmux_names(name: &str) -> String {
    name.replace(['.', ':'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PREFIX: &str = "claude-agent-";

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn ids_with_hyphens_are_not_split() {
        let workspaces = owned(&["TASK-20251029-225319-45548b6a", "TASK-20251029", "OTHER"]);
        let session = "claude-agent-TASK-20251029-225319-45548b6a-builder-1-abc";
        let expected = [
            ("TASK-20251029-225319-45548b6a", "builder-1-abc"),
            ("TASK-20251029", "225319-45548b6a-builder-1-abc"),
        ];
        assert_eq!(candidates(session, PREFIX, &workspaces), expected);
    }

    #[test]
    fn a_task_whose_name_only_begins_the_same_is_another() {
        let workspaces = owned(&["T1", "T11", "T"]);
        assert_eq!(candidates("claude-agent-T11-a", PREFIX, &workspaces), [("T11", "a")]);
        assert_eq!(candidates("claude-agent-T1-", PREFIX, &workspaces), []);
        assert_eq!(candidates("claude-agent-T1", PREFIX, &workspaces), []);
        assert_eq!(candidates("other-T1-a", PREFIX, &workspaces), []);
    }

    #[test]
    fn names_are_compared_as_tmux_writes_them() {
        let workspaces = owned(&["v1.2", "é"]);
        assert_eq!(candidates("claude-agent-v1_2-a", PREFIX, &workspaces), [("v1.2", "a")]);
        assert_eq!(candidates("claude-agent-é-a", PREFIX, &workspaces), [("é", "a")]);
        assert_eq!(candidates("claude-agent-ü-a", PREFIX, &owned(&["e"])), []);
    }

    #[test]
    fn an_escaped_name_is_nobody_s_for_certain_and_anybody_s_who_may_have_it() {
        let workspaces = owned(&["T", "a\\b", "T\\\\x"]);
        for session in ["T-cost\\$usd", "T-tab\\tx", "a\\\\b-x", "T\\\\x-a"] {
            assert_eq!(candidates(&format!("{PREFIX}{session}"), PREFIX, &workspaces), [], "{session}");
        }
        let needed = |session: &str, workspace| may_need(&format!("{PREFIX}{session}"), PREFIX, workspace);
        assert!(needed("T-cost\\$usd", "T") && !needed("T-cost\\$usd", "T1"));
        assert!(needed("a\\\\b-x", "a\\b") && needed("u\\315\\270-x", "u\u{378}"));
        assert!(needed("v1_2\\tx-a", "v1.2\tx") && !needed("v1_2\\tx-a", "v1"));
        assert!(needed("T1-a", "T1") && !needed("T1-a", "T") && !needed("T1-a", "T1-ab"));
        assert!(!may_need("other-T-a\\\\", PREFIX, "T"));
    }

    proptest! {
        #[test]
        fn the_right_workspace_is_always_among_them_and_longer_ones_come_first(
            task in "[A-Z0-9-]{1,12}", agent in "[a-z0-9-]{1,12}",
            others in proptest::collection::vec("[A-Z0-9a-z-]{1,16}", 0..8),
        ) {
            let mut workspaces = others;
            workspaces.push(task.clone());
            let session = format!("{PREFIX}{task}-{agent}");
            let found = candidates(&session, PREFIX, &workspaces);
            prop_assert!(found.contains(&(task.as_str(), agent.as_str())));
            prop_assert!(found.is_sorted_by_key(|(workspace, _)| std::cmp::Reverse(workspace.len())));
            for (workspace, agent) in found {
                prop_assert_eq!(format!("{PREFIX}{workspace}-{agent}"), session.clone());
            }
        }
    }
}
