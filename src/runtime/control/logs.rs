//! What programs print, for those who want to see it.

use super::super::Runtime;
use super::client::{Dialogue, Served};
use crate::control::protocol::{self, Attach, Lines};
use crate::core::budget::Moment;
use crate::core::plan::{Output, ProgramId};
use crate::core::program::{Program, State};
use crate::os::output::last_lines_of;
use std::collections::BTreeSet;

impl Runtime {
    /// The last lines, and for somebody who follows no end.
    pub(super) fn show_logs(
        &mut self,
        index: usize,
        name: &str,
        count: Option<usize>,
        is_following: bool,
        now: Moment,
    ) -> Served {
        let found = self.find(name).and_then(|id| Ok((id, self.last_lines(id, count, is_following)?)));
        let (id, lines) = match found {
            Ok(found) => found,
            Err(why) => return self.reply(index, &protocol::refusal(&why), now),
        };
        let line = protocol::answer(&Lines { lines, lost: 0 });
        if !is_following {
            return self.reply(index, &line, now);
        }
        if let Some(why) = self.why_nobody_may_stay() {
            return self.reply(index, &protocol::refusal(&why), now);
        }
        // What those who follow already have not been told is in these lines.
        self.tell_followers(now);
        let Some(client) = self.client(index) else { return Served::Over };
        client.dialogue = Dialogue::Following(id, 0);
        client.until = None;
        let served = client.say(&line, now);
        // From this moment on, so that no line is missing in between.
        self.note_followers();
        served
    }

    fn last_lines(
        &self,
        id: ProgramId,
        count: Option<usize>,
        is_following: bool,
    ) -> Result<Vec<String>, String> {
        let spec = &self.core.plan().programs[id];
        let name = &spec.name;
        let unseen = |why| format!("{name}: {why}; set output = \"prefix\", \"json\" or {{ file = \"..\" }}");
        let mut lines = self.outputs.last_lines(id);
        match &spec.launch.output {
            _ if spec.is_agent() => {
                // Its terminal is closed.
                let is_over = self.core.program(id).is_some_and(|program| program.state == State::Ended);
                let screen = self.tmux.screen(id).filter(|_| is_over && !is_following);
                let why = format!("{name}: it is in a tmux session; runinit attach {name} shows that");
                lines = screen.ok_or(why)?;
            }
            Output::Inherit => {
                return Err(unseen("it writes to runinit's own output, which runinit does not see"));
            }
            Output::Null => return Err(unseen("what it prints goes nowhere")),
            Output::File(file) if count.is_none_or(|count| count > lines.len()) => {
                let more = last_lines_of(&file.path, count.unwrap_or(usize::MAX)).unwrap_or_default();
                // A file that was just put aside holds less.
                if more.len() > lines.len() {
                    lines = more;
                }
            }
            Output::File(_) | Output::Prefix | Output::Json => {}
        }
        let surplus = count.map_or(0, |count| lines.len().saturating_sub(count));
        Ok(lines.split_off(surplus))
    }

    /// Hands on what has come in this round.
    pub(super) fn tell_followers(&mut self, now: Moment) {
        for id in self.note_followers() {
            let news = self.outputs.news(id);
            let count = self.control.as_ref().map_or(0, |control| control.clients.len());
            for index in 0..count {
                self.tell(index, id, &news.lines, news.lost, now);
            }
        }
    }

    fn tell(&mut self, index: usize, id: ProgramId, lines: &[String], lost: u64, now: Moment) {
        let Some(client) = self.client(index) else { return };
        let has_room = client.has_room();
        let Dialogue::Following(followed, missed) = &mut client.dialogue else { return };
        if *followed != id || lines.is_empty() && lost + *missed == 0 {
            return;
        }
        if !has_room {
            *missed += lines.len() as u64 + lost;
            return;
        }
        // Those that this round had no room for come after its lines, and so before the next ones.
        let lost_before = std::mem::replace(missed, lost);
        let line = protocol::answer(&Lines { lines: lines.to_vec(), lost: lost_before });
        let served = client.say(&line, now);
        self.after_serving(index, &served);
    }

    pub(super) fn note_followers(&mut self) -> BTreeSet<ProgramId> {
        let clients = self.control.iter().flat_map(|control| control.clients.iter().flatten());
        let followed = clients.filter_map(|client| match client.dialogue {
            Dialogue::Following(id, _) => Some(id),
            Dialogue::Asking(_) | Dialogue::Waiting(_) | Dialogue::Answered => None,
        });
        let ids: BTreeSet<ProgramId> = followed.collect();
        self.outputs.follow(&ids);
        ids
    }

    /// How somebody can see a program's terminal.
    pub(super) fn attach(&mut self, index: usize, name: &str, now: Moment) -> Served {
        let argv = self.find(name).and_then(|id| {
            let spec = &self.core.plan().programs[id];
            let argv =
                super::status::attach(spec).ok_or_else(|| format!("{name} is not in a tmux session"))?;
            let is_there = self.core.program(id).is_some_and(Program::is_there);
            if is_there { Ok(argv) } else { Err(format!("{name} does not run")) }
        });
        let line = match argv {
            Ok(argv) => protocol::answer(&Attach { argv }),
            Err(why) => protocol::refusal(&why),
        };
        self.reply(index, &line, now)
    }
}
