//! How a program is stopped: the cascade of steps.

use super::value::Value;
use crate::core::plan::{Step, StepAction};

/// A pipe takes this much in one write at least (`PIPE_BUF`), however slowly its program reads.
const LONGEST_INPUT: usize = 4096;

/// `has_tmux`: there is a terminal to press keys in.
pub(super) fn cascade(value: Value<'_>, has_tmux: bool) -> Option<Vec<Step>> {
    let wanted = "an array of steps such as { signal = \"SIGTERM\", wait = \"5s\" }";
    let elements = value.elements_as(wanted)?;
    if elements.is_empty() {
        return value.refuse("\"stop\" is empty: it needs at least one step".to_owned());
    }
    let mut steps = Vec::new();
    for element in elements {
        if steps.last().is_some_and(Step::is_kill) {
            element.complain("this step never runs: nothing outlives SIGKILL".to_owned());
            break;
        }
        steps.extend(step(element, wanted, has_tmux));
    }
    Some(steps)
}

fn step(value: Value<'_>, wanted: &str, has_tmux: bool) -> Option<Step> {
    let mut table = value.table_as(wanted, "a stop step")?;
    let run = table.read("run", Value::command).map(StepAction::Run);
    let stdin =
        table.read("stdin", |v| v.input(LONGEST_INPUT)).map(|text| StepAction::Stdin(text.to_owned()));
    let signal = table.read("signal", Value::signal).map(StepAction::Signal);
    let keys = table
        .read("keys", |v| if has_tmux { keys(v) } else { v.refuse("\"keys\" needs \"tmux\"".to_owned()) });
    let wait = table.need("wait", Value::duration);
    table.need_one_of(&["run", "stdin", "keys", "signal"]);
    table.finish();
    Some(Step { action: run.or(stdin).or(keys).or(signal)?, wait: wait? })
}

/// Keys as `tmux send-keys` takes them, with blanks between: names such as `Enter` and `C-c`, else text.
fn keys(value: Value<'_>) -> Option<StepAction> {
    let keys: Vec<String> = value.filled()?.split_whitespace().map(str::to_owned).collect();
    if keys.is_empty() {
        return value.refuse("\"keys\" holds no key".to_owned());
    }
    Some(StepAction::Keys(keys))
}
