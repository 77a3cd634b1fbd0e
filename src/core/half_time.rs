//! When half of the budget is used up, one line names those who are still there: while somebody can still look at them.

use super::Core;
use super::action::Action;
use super::budget::Moment;
use super::children::Child;
use super::event::Other;
use super::masks::Masks;
use super::plan::ProgramId;
use super::process::Pid;
use super::program::{Program, State};
use super::shutdown::format_ms;
use super::signal::Signal;
use log::Level;

/// So many are named; the others are counted.
pub const NAMED: usize = 5;
/// The letters of a command line that are told.
const COMMAND_LETTERS: usize = 100;

/// Those who are still there at half time.
#[derive(Clone, Debug, Default)]
pub struct Remaining {
    /// The first of them, at most [`NAMED`]: in the order of the programs, strays last.
    pub named: Vec<Late>,
    /// How many more there are.
    pub more: usize,
    /// /proc is missing or shows another namespace, so nobody is named.
    pub blind: bool,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Late {
    /// Who it is.
    pub process: Other,
    /// What it does with signals, if that could be seen.
    pub masks: Option<Masks>,
}

impl Core {
    /// Once in a shutdown, and only while those who are there have not been killed.
    pub(super) fn look_at_half_time(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(shutdown) = self.shutdown.as_mut().filter(|_| !self.finished) else { return };
        let is_half_time = shutdown.half_at.take_if(|at| *at <= now).is_some();
        if is_half_time && shutdown.kill_at.is_some_and(|at| now < at) {
            out.push(Action::LookForLate);
        }
    }

    #[inline(never)]
    pub(super) fn on_remaining(&mut self, remaining: &Remaining, now: Moment, out: &mut Vec<Action>) {
        let (Some(shutdown), Some(length)) = (&self.shutdown, self.plan.budget.length()) else { return };
        let count = remaining.named.len() + remaining.more;
        let (who, many) = if remaining.blind {
            let there = self.programs().filter(|(_, _, program)| program.group().is_some());
            let names: Vec<&str> = there.map(|(_, spec, _)| spec.name.as_str()).collect();
            (several(&names), "some".to_owned())
        } else {
            let mut who: Vec<String> = remaining.named.iter().map(|late| self.describe(late)).collect();
            who.extend((remaining.more > 0).then(|| format!("and {} more", remaining.more)));
            (who.join(", "), count.to_string())
        };
        if who.is_empty() {
            return;
        }
        let after = format_ms(now.saturating_sub(shutdown.began));
        let text = format!("after {after} of {} still there: {who}", format_ms(length));
        self.tell(Level::Warn, text, out);
        self.note(now, None, format!("half of the budget: {many} still there"));
        self.record_soon(now);
    }

    /// `web: 12 python app.py (S, ignores SIGTERM)`
    fn describe(&self, late: &Late) -> String {
        let Late { process: Other { pid, command, state, .. }, masks } = late;
        let command: String = command.chars().take(COMMAND_LETTERS).collect();
        let (name, sent) = match self.owner(&late.process) {
            Some(Child::Leader(id)) => {
                let program = &self.programs[id];
                if matches!(program.state, State::Running { .. }) {
                    return format!("{}: {pid} {command} ({state}, not its turn yet)", self.name(id));
                }
                (format!("{}: ", self.name(id)), last_polite(program))
            }
            Some(Child::StopCommand(id)) => (format!("{}'s stop command: ", self.name(id)), None),
            Some(Child::CheckCommand(id)) => (format!("{}'s check: ", self.name(id)), None),
            Some(Child::TmuxClient(id)) => (format!("{}'s tmux client: ", self.name(id)), None),
            Some(Child::Pass) => ("hygiene: ".to_owned(), None),
            None => (String::new(), self.sent_to_stray(*pid)),
        };
        let refusal = sent.zip(*masks).and_then(|(sent, masks)| Some((masks.refusal(sent)?, sent)));
        let refusal = refusal.map(|(refuses, sent)| format!(", {refuses} {sent}")).unwrap_or_default();
        format!("{name}{pid} {command} ({state}{refusal})")
    }

    /// Whose it is: by its group, which a program or a command leads.
    fn owner(&self, process: &Other) -> Option<Child> {
        let pgid = process.pgid?;
        let program = self.programs.iter().position(|program| program.group() == Some(pgid));
        let command = || Pid::new(pgid.number()).and_then(|leader| self.children.get(leader));
        program.map(|place| Child::Leader(ProgramId(place))).or_else(command)
    }

    fn sent_to_stray(&self, pid: Pid) -> Option<Signal> {
        self.shutdown.as_ref()?.strays.sent(pid)
    }
}

/// The last signal of its cascade that a process can refuse.
fn last_polite(program: &Program) -> Option<Signal> {
    program.taken.iter().rev().find_map(|taken| taken.what.polite())
}

fn several(names: &[&str]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, program};
    use super::*;
    use crate::core::budget::Budget;
    use crate::core::event::{Event, Received};
    use crate::core::masks::SignalSet;
    use crate::core::plan::{Plan, Program};
    use crate::core::process::Pgid;
    use std::time::Duration;

    fn who(pid: i32, group: i32, command: &str, ignores: u64) -> Late {
        let command = command.to_owned();
        let process =
            Other { pid: Pid::new(pid).unwrap(), pgid: Pgid::new(group), program: None, command, state: 'S' };
        let masks = Masks { ignored: SignalSet::from_bits(ignores), ..Masks::default() };
        Late { process, masks: Some(masks) }
    }

    /// Two programs that are being stopped, `db` after `web`.
    fn bench(budget: Budget) -> Bench {
        let web = Program { after: vec![ProgramId(1)], ..program("web") };
        let mut bench = Bench::of(Plan::new(vec![web, program("db")], budget));
        bench.is_alone = false;
        bench.step(Event::Signal(Received::from_kernel(Signal::TERM)));
        bench.asked();
        bench
    }

    fn said(bench: &mut Bench, remaining: Remaining) -> Vec<String> {
        let mut out = Vec::new();
        bench.core.step(Event::Remaining(remaining), bench.now, &mut out);
        let texts = out.into_iter().filter_map(|action| match action {
            Action::Say(_, text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    const TEN_SECONDS: Budget = Budget::Within(Duration::from_secs(10));

    #[test]
    fn they_are_looked_for_once_and_at_half_time() {
        let mut bench = bench(TEN_SECONDS);
        bench.at(4_999);
        assert!(!bench.asked().contains(&Action::LookForLate));
        bench.at(5_000);
        assert!(bench.asked().contains(&Action::LookForLate));
        bench.at(20_000);
        assert!(!bench.asked().contains(&Action::LookForLate));
    }

    #[test]
    fn nobody_is_looked_for_without_an_end_nor_when_all_are_killed() {
        let mut endless = bench(Budget::Forever);
        endless.at(3_600_000);
        assert!(!endless.asked().contains(&Action::LookForLate));
        let mut impatient = bench(TEN_SECONDS);
        impatient.signal(Signal::TERM);
        impatient.at(20_000);
        assert!(!impatient.asked().contains(&Action::LookForLate));
    }

    #[test]
    fn each_is_named_with_what_it_does() {
        let mut bench = bench(TEN_SECONDS);
        bench.at(5_000);
        let (web, db) = (bench.program(0).pid.unwrap().number(), bench.program(1).pid.unwrap().number());
        let named =
            vec![who(web, web, "python app.py", 1 << 14), who(db, db, "db", 0), who(7, 7, "stray", 0)];
        let said = said(&mut bench, Remaining { named, more: 2, blind: false });
        let line = format!(
            "after 5s of 10s still there: web: {web} python app.py (S, ignores SIGTERM), \
             db: {db} db (S, not its turn yet), 7 stray (S), and 2 more"
        );
        assert_eq!(said, [line]);
        let told = bench.core.timeline().entries().last().unwrap();
        assert_eq!(told.event, "half of the budget: 5 still there");
    }

    #[test]
    fn without_proc_the_programs_are_named() {
        let mut bench = bench(TEN_SECONDS);
        bench.at(5_000);
        let said = said(&mut bench, Remaining { blind: true, ..Remaining::default() });
        assert_eq!(said, ["after 5s of 10s still there: web, db"]);
    }

    #[test]
    fn when_nobody_is_there_nothing_is_said() {
        let mut bench = bench(TEN_SECONDS);
        bench.at(5_000);
        assert!(said(&mut bench, Remaining::default()).is_empty());
    }
}
