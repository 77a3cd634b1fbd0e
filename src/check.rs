//! What `runinit check FILE` prints: how a plan starts, how it stops, and whether the time is enough.

use crate::core::budget::Budget;
use crate::core::confinement::{Identity, User};
use crate::core::duration::ms;
use crate::core::order::Order;
use crate::core::plan::{KILL_WAIT, Plan, Program, ProgramId, Stdin, Step, StepAction, default_stop};
use crate::core::share;
use crate::hygiene;
use crate::readable::readable;
use humantime::format_duration;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::time::Duration;

/// Longer texts are cut in the picture of a cascade.
const LONGEST_TEXT: usize = 40;

/// The plan in words, as plain text.
pub fn describe(plan: &Plan) -> String {
    let mut plan = plan.clone();
    for program in &mut plan.programs {
        // That of a tmux server has its socket in it.
        program.name = readable(&program.name);
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&plan, &mut text);
    text
}

fn write_all(plan: &Plan, out: &mut String) -> fmt::Result {
    if plan.programs.is_empty() {
        return writeln!(out, "There is nothing to run.");
    }
    let width = plan.programs.iter().map(|p| p.name.len()).max().unwrap_or_default();
    writeln!(out, "Start order:")?;
    for (level, number) in levels(&plan.programs).iter().zip(1..) {
        let names: Vec<String> = level.iter().map(|p| named(p)).collect();
        writeln!(out, "  {number}. {}", names.join(", "))?;
    }
    write_identities(&plan.programs, width, out)?;
    writeln!(out, "\nHow each program is stopped:")?;
    for program in &plan.programs {
        writeln!(out, "  {:width$}  {}", program.name, cascade(&program.stop, plan.budget))?;
    }
    let hears_nothing_else = |program: &&Program| program.main && program.launch.stdin == Stdin::Pipe;
    if let Some(main) = plan.programs.iter().find(hears_nothing_else) {
        let name = &main.name;
        writeln!(
            out,
            "  {name} reads what its stdin step writes and nothing else, not runinit's own standard input."
        )?;
    }
    if let Some(hygiene) = &plan.hygiene {
        writeln!(out, "\n{}", hygiene::describe(hygiene).join("\n  "))?;
    }
    writeln!(out, "\nThe worst case:")?;
    match plan.budget.time_to_kill() {
        None => write_forever(plan, width, out),
        Some(time) => write_worst_case(plan, time, width, out),
    }
}

fn named(program: &Program) -> String {
    if program.main { format!("{} (main)", program.name) } else { program.name.clone() }
}

/// One line for each program that runs as somebody else.
fn write_identities(programs: &[Program], width: usize, out: &mut String) -> fmt::Result {
    let mut title = "\nAs whom:\n";
    for program in programs {
        let Some(Identity { user, gid }) = &program.launch.confinement.identity else { continue };
        write!(out, "{title}  {:width$}  ", program.name)?;
        title = "";
        match user {
            None => writeln!(out, "group {gid}")?,
            Some(User { name, uid, groups }) => {
                let others: Vec<String> = groups.iter().filter(|g| *g != gid).map(u32::to_string).collect();
                let also = if others.is_empty() { "" } else { ", also in " };
                writeln!(out, "{name} (user {uid}, group {gid}{also}{})", others.join(", "))?;
            }
        }
    }
    Ok(())
}

/// The programs that start together: each level needs only those before it.
fn levels(programs: &[Program]) -> Vec<Vec<&Program>> {
    let mut level_of = vec![0; programs.len()];
    for ProgramId(id) in Order::new(programs).dependencies_first() {
        let level = programs[id].after.iter().map(|d| level_of[d.0] + 1).max();
        level_of[id] = level.unwrap_or(0);
    }
    let mut levels: Vec<Vec<&Program>> = Vec::new();
    for (program, level) in programs.iter().zip(level_of) {
        levels.resize(levels.len().max(level + 1), Vec::new());
        levels[level].push(program);
    }
    levels
}

/// A cascade in one line.
fn cascade(steps: &[Step], budget: Budget) -> String {
    let mut parts: Vec<String> =
        steps.iter().map(|s| format!("{} ({})", action(&s.action), duration(s.wait))).collect();
    if !steps.iter().any(Step::is_kill) && budget != Budget::Forever {
        // The default says so (README, `stop`); elsewhere the budget says how long.
        let wait = if steps == default_stop() { duration(KILL_WAIT) } else { "implied".to_owned() };
        parts.push(format!("SIGKILL ({wait})"));
    }
    parts.join(" -> ")
}

fn action(action: &StepAction) -> String {
    match action {
        StepAction::Run(argv) => format!("run {}", command(argv)),
        StepAction::Stdin(text) => format!("stdin {}", shortened(&format!("{text:?}"))),
        StepAction::Keys(keys) => format!("keys {}", shortened(&format!("{:?}", keys.join(" ")))),
        StepAction::Signal(signal) => signal.to_string(),
        StepAction::Received => "the signal that came".to_owned(),
    }
}

/// A command as somebody would type it; an argument that a shell would split is in quotes.
fn command(argv: &[OsString]) -> String {
    let plain = |text: &str| {
        let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
        if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
    };
    let words: Vec<String> = argv.iter().map(|word| plain(&word.to_string_lossy())).collect();
    shortened(&words.join(" "))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_TEXT - 3).collect();
    format!("{start}...")
}

fn write_forever(plan: &Plan, width: usize, out: &mut String) -> fmt::Result {
    writeln!(out, "  The budget is forever: nothing is killed because of time.")?;
    let killed: Vec<&Program> = plan.programs.iter().filter(|p| p.stop.iter().any(Step::is_kill)).collect();
    if !killed.is_empty() {
        writeln!(out, "  A SIGKILL that a cascade asks for is still sent, so long after its first step:")?;
    }
    for program in killed {
        writeln!(out, "  {:width$}  {}", program.name, duration(program.patience_from(0)))?;
    }
    Ok(())
}

fn write_worst_case(plan: &Plan, time: Duration, width: usize, out: &mut String) -> fmt::Result {
    let programs = &plan.programs;
    let budget = plan.budget.length().unwrap_or_default();
    writeln!(
        out,
        "  The budget is {}: {} for the cascades, {} kept for the last SIGKILLs and the record.",
        duration(budget),
        duration(time),
        duration(plan.budget.reserve())
    )?;
    let written = killed_at(programs, Duration::MAX);
    let cut = killed_at(programs, time);
    for ((program, written), cut) in programs.iter().zip(&written).zip(&cut) {
        let (written, cut) = (duration(*written), duration(*cut));
        let note = if cut == written { String::new() } else { format!(" ({written} as written)") };
        writeln!(out, "  {:width$}  SIGKILL after {cut}{note}", program.name)?;
    }
    let longest = written.iter().max().copied().unwrap_or_default();
    let chain = longest_chain(programs, &written).join(", then ");
    if longest <= time {
        return writeln!(out, "  The longest chain is {chain}: {}. It fits.", duration(longest));
    }
    writeln!(
        out,
        "  The longest chain is {chain}: {}, which is {} more than there is. Its waits are cut to {} %.",
        duration(longest),
        duration(longest.saturating_sub(time)),
        time.as_millis() * 100 / longest.as_millis().max(1)
    )
}

/// For each program, when it gets its SIGKILL if no program ends before it must, counted from the beginning of the
/// shutdown. A program begins to stop when all that depend on it are dead, and then has its share of what is left of the
/// time: its own waits against those of the longest chain from it on.
fn killed_at(programs: &[Program], time: Duration) -> Vec<Duration> {
    let order = Order::new(programs);
    let time_after = order.time_after(|id| programs[id.0].patience_from(0));
    let mut killed_at = vec![Duration::ZERO; programs.len()];
    for id in order.dependencies_first().rev() {
        let begins = order.dependents(id).iter().map(|d| killed_at[d.0]).max().unwrap_or_default();
        let left = time.saturating_sub(begins);
        let share = share::wait(programs[id.0].patience_from(0), time_after[id.0], Some(left));
        killed_at[id.0] = begins.saturating_add(share);
    }
    killed_at
}

/// The programs that stop one after another until the last SIGKILL, in this order.
fn longest_chain<'a>(programs: &'a [Program], killed_at: &[Duration]) -> Vec<&'a str> {
    let order = Order::new(programs);
    let latest = |id: &ProgramId| (killed_at[id.0], std::cmp::Reverse(*id));
    let mut chain = Vec::new();
    let mut last = (0..programs.len()).map(ProgramId).max_by_key(latest);
    while let Some(id) = last {
        chain.push(programs[id.0].name.as_str());
        last = order.dependents(id).iter().copied().max_by_key(latest);
    }
    chain.reverse();
    chain
}

/// A duration without the digits that nobody reads.
fn duration(duration: Duration) -> String {
    let readable =
        if duration < Duration::from_millis(1) { duration } else { Duration::from_millis(ms(duration)) };
    format_duration(readable).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::Launch;
    use crate::core::signal::Signal;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn program(name: &str, after: &[usize], stop: Vec<Step>) -> Program {
        let mut program = Program::new(name, Launch::default());
        program.after = after.iter().copied().map(ProgramId).collect();
        program.stop = stop;
        program
    }

    fn plan(budget: Budget, programs: Vec<Program>) -> Plan {
        Plan::new(programs, budget)
    }

    fn fleet() -> Vec<Program> {
        let run = StepAction::Run(["api-ctl", "quit now"].map(OsString::from).to_vec());
        let stdin = StepAction::Stdin(format!("quit\n{}", "x".repeat(100)));
        let mut api = program(
            "api",
            &[1],
            vec![
                Step { action: run, wait: S(2) },
                Step::signal(Signal::TERM, S(5)),
                Step::signal(Signal::KILL, S(2)),
            ],
        );
        api.main = true;
        vec![
            api,
            program("db", &[], vec![Step::signal(Signal::TERM, S(5)), Step::signal(Signal::KILL, S(2))]),
            program("mail", &[], vec![Step { action: stdin, wait: Duration::from_millis(500) }]),
        ]
    }

    #[test]
    fn a_chain_that_is_too_long_is_named_and_cut() {
        let expected = "\
Start order:
  1. db, mail
  2. api (main)

How each program is stopped:
  api   run api-ctl \"quit now\" (2s) -> SIGTERM (5s) -> SIGKILL (2s)
  db    SIGTERM (5s) -> SIGKILL (2s)
  mail  stdin \"quit\\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... (500ms) -> SIGKILL (implied)

The worst case:
  The budget is 9s: 8s 100ms for the cascades, 900ms kept for the last SIGKILLs and the record.
  api   SIGKILL after 4s 725ms (7s as written)
  db    SIGKILL after 8s 100ms (12s as written)
  mail  SIGKILL after 500ms
  The longest chain is api, then db: 12s, which is 3s 900ms more than there is. Its waits are cut to 67 %.
";
        assert_eq!(describe(&plan(Budget::Within(S(9)), fleet())), expected);
    }

    #[test]
    fn a_name_does_nothing_to_a_terminal() {
        let text = describe(&plan(Budget::Forever, vec![program("tmux:\u{1b}[31mS\n", &[], Vec::new())]));
        assert!(text.starts_with("Start order:\n  1. tmux:\\u{1b}[31mS\\n\n\n"), "{text}");
    }

    #[test]
    fn who_runs_as_somebody_else_is_named() {
        let mut programs = fleet();
        let user = User { name: "app".to_owned(), uid: 1000, groups: vec![1000, 4, 27] };
        programs[0].launch.confinement.identity = Some(Identity { user: Some(user), gid: 1000 });
        programs[2].launch.confinement.identity = Some(Identity { user: None, gid: 8 });
        let text = describe(&plan(Budget::Within(S(9)), programs));
        let expected =
            "\n\nAs whom:\n  api   app (user 1000, group 1000, also in 4, 27)\n  mail  group 8\n\nHow";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_main_program_that_is_written_to_hears_nothing_else() {
        let mut programs = fleet();
        programs[0].launch.stdin = Stdin::Pipe;
        let text = describe(&plan(Budget::Within(S(9)), programs));
        let expected = "\n  api reads what its stdin step writes and nothing else, not runinit's own standard input.\n\nThe worst";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_chain_that_fits_is_left_as_it_is() {
        let text = describe(&plan(Budget::Within(S(60)), fleet()));
        assert!(text.ends_with(
            "\
  The budget is 1m: 59s for the cascades, 1s kept for the last SIGKILLs and the record.
  api   SIGKILL after 7s
  db    SIGKILL after 12s
  mail  SIGKILL after 500ms
  The longest chain is api, then db: 12s. It fits.
"
        ));
    }

    #[test]
    fn forever_kills_nothing_that_did_not_ask_for_it() {
        let text = describe(&plan(Budget::Forever, fleet()));
        assert!(!text.contains("implied"));
        assert!(text.ends_with(
            "\
  The budget is forever: nothing is killed because of time.
  A SIGKILL that a cascade asks for is still sent, so long after its first step:
  api   7s
  db    5s
"
        ));
    }

    #[test]
    fn a_wrapper_s_first_step_is_the_signal_that_came() {
        let step = Step { action: StepAction::Received, wait: S(8) };
        let text = describe(&plan(Budget::Within(S(9)), vec![program("sleep", &[], vec![step])]));
        assert!(text.contains("  sleep  the signal that came (8s) -> SIGKILL (implied)\n"), "{text}");
        assert_eq!(describe(&plan(Budget::Forever, Vec::new())), "There is nothing to run.\n");
    }

    #[test]
    fn however_the_programs_depend_the_last_sigkill_is_in_time() {
        // 0 stops last, 3 first; 2 is short and 1 long, and what 2 does not use goes to nobody.
        let waits = |s| vec![Step::signal(Signal::TERM, S(s))];
        let programs = [
            program("a", &[], waits(4)),
            program("b", &[0], waits(6)),
            program("c", &[0], waits(1)),
            program("d", &[1, 2], waits(10)),
        ];
        assert_eq!(killed_at(&programs, S(10)), [10, 8, 6, 5].map(S));
        assert_eq!(killed_at(&programs, S(0)), [Duration::ZERO; 4]);
        assert_eq!(killed_at(&programs, S(20)), [20, 16, 11, 10].map(S));
        assert_eq!(longest_chain(&programs, &killed_at(&programs, S(100))), ["d", "b", "a"]);
    }
}
