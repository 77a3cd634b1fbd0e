//! tmux in the fake kernel: starts that are answered later, ends that are told twice, and sessions that close late or never.

use super::life::Life;
use super::world::World;
use crate::core::action::Question;
use crate::core::calling::unanswered;
use crate::core::event::Event;
use crate::core::plan::ProgramId;
use crate::core::process::{Exit, Pid};
use crate::core::program::Program;
use crate::tmux::Ended;
use std::rc::Rc;
use std::time::Duration;

/// How long a client takes; longer than is waited for, now and then.
const TAKES_MS: [u64; 6] = [0, 0, 1, 5, 20, 200];
const HANGS_MS: u64 = 5000;

impl World {
    pub(super) fn start(&mut self, id: ProgramId) -> Event {
        if !self.core.plan().programs[id.0].is_agent() {
            return Event::Spawned(id, self.spawn(id));
        }
        match self.spawn_client(id, Question::Start) {
            Some(pid) => Event::Called(id, Some(pid)),
            None => Event::Spawned(id, Err(unanswered())),
        }
    }

    pub(super) fn spawn_client(&mut self, id: ProgramId, question: Question) -> Option<Pid> {
        if !self.has_room() {
            return None;
        }
        let hangs = self.random.chance(10);
        let takes = if hangs { HANGS_MS } else { self.random.pick(&TAKES_MS) };
        let code = u8::from(self.random.chance(5));
        let life = Rc::new(Life::endless().ends(Duration::from_millis(takes), code));
        let pid = self.kernel.spawn_client(id, &life);
        self.clients.insert(id, question);
        self.checker.see("a tmux that does not answer", hangs);
        self.checker.see("a start in tmux that is taken back", question == Question::TakeBack);
        pid
    }

    pub(super) fn hear_client(&mut self, id: ProgramId, exit: Exit) -> Option<Event> {
        let is_well = exit == Exit::Code(0);
        Some(match self.clients.remove(&id)? {
            Question::Start if is_well => Event::Spawned(id, self.spawn(id)),
            Question::Start | Question::TakeBack => Event::Spawned(id, Err(unanswered())),
            // Its own end comes as that of a child, too: here its server is gone, and it is runinit's.
            Question::End => Event::EndTold(id, Ended::NotYet),
            Question::Close { waits } => Event::Closed(id, is_well || !waits),
        })
    }

    /// Ends that are seen before they are reaped.
    pub(super) fn panes_that_ended(&mut self) -> Vec<ProgramId> {
        let agents = self.core.programs().filter(|(_, spec, _)| spec.is_agent());
        let ended = agents.filter_map(|(id, _, program): (_, _, &Program)| {
            let leader = program.leader()?.number();
            self.kernel.processes.get(&leader).filter(|process| process.is_zombie()).map(|_| id)
        });
        let ended: Vec<ProgramId> = ended.collect();
        ended.into_iter().filter(|_| self.random.chance(50)).collect()
    }
}
