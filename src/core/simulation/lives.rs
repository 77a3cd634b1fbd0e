//! Random lives: programs, what they leave behind, stop commands.

use super::life::{Deed, Deeds, Life, Place};
use super::random::Random;
use crate::core::event::Notice;
use crate::core::plan::ProgramId;
use crate::core::process::Exit;
use crate::core::signal::Signal;
use std::rc::Rc;
use std::time::Duration;

/// How processes are disposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Every signal that asks ends it soon.
    Cooperative,
    /// Anything.
    Mixed,
    /// It does not want to end.
    Hostile,
}

/// Signals that programs have handlers for; each ends a process that has none.
const ASKING: [i32; 7] = [1, 2, 3, 10, 12, 15, 37];
/// Times on a coarse grid, so that things happen at the same moment.
const GRID_MS: [u64; 9] = [0, 1, 10, 50, 100, 200, 500, 1000, 5000];

pub(super) struct Lives<'a> {
    pub(super) random: &'a mut Random,
    pub(super) mood: Mood,
    /// How many generations there may still be.
    generations: usize,
}

/// A leader, its children and theirs, and those whom they leave behind.
const GENERATIONS: usize = 2;

impl<'a> Lives<'a> {
    pub(super) fn new(random: &'a mut Random, mood: Mood) -> Self {
        Self { random, mood, generations: GENERATIONS }
    }

    /// Some time up to `longest`, often a round one.
    pub(super) fn time(&mut self, longest: Duration) -> Duration {
        if self.random.chance(60) {
            Duration::from_millis(self.random.pick(&GRID_MS)).min(longest)
        } else {
            self.random.time(longest)
        }
    }

    /// The leader of a program.
    pub(super) fn leader(&mut self) -> Rc<Life> {
        let mut life = self.member();
        life.reads = self.random.chance(70);
        if self.random.chance(25) {
            let end = self.end();
            let after = self.time(Duration::from_secs(20));
            life = life.does(after, Deed::End(end));
        }
        if self.random.chance(50) {
            for _ in 0..self.random.between(1, 4) {
                let after = self.time(Duration::from_secs(3));
                let child = self.child();
                life = life.does(after, child);
            }
        }
        if self.random.chance(75) {
            let after = self.reaction_time();
            let end = self.end();
            life.when_asked = vec![(after, Deed::End(end))];
        }
        Rc::new(self.talkative(life))
    }

    /// It says how it is.
    fn talkative(&mut self, mut life: Life) -> Life {
        if self.random.chance(60) {
            let after = self.time(Duration::from_millis(500));
            life = life.does(after, Deed::Say(Notice::Ready));
        }
        if self.random.chance(10) {
            let after = self.time(Duration::from_secs(20));
            let longer = self.time(Duration::from_mins(1));
            let notices = [
                Notice::Ready,
                Notice::Stopping,
                Notice::Status("busy".to_owned()),
                Notice::Extend(longer),
                Notice::Unwell,
                Notice::Watchdog(longer),
                Notice::Alive,
            ];
            life = life.does(after, Deed::Say(self.random.pick(&notices)));
        }
        life
    }

    /// A process of a program: how it takes signals.
    fn member(&mut self) -> Life {
        let mut life = Life::endless();
        match self.mood {
            Mood::Cooperative => {
                for signal in signals(&ASKING) {
                    if self.random.chance(50) {
                        let after = self.reaction_time();
                        life = life.on(signal, vec![(after, Deed::End(Exit::Code(0)))]);
                    }
                }
                return life;
            }
            Mood::Mixed => {
                for signal in signals(&ASKING) {
                    if self.random.chance(60) {
                        let deeds = self.reaction(signal);
                        life = life.on(signal, deeds);
                    }
                }
            }
            // It dies of one signal at most.
            Mood::Hostile => {
                let ears = self.random.pick(&ASKING);
                let deaf: Vec<i32> = ASKING.into_iter().filter(|number| *number != ears).collect();
                life = life.ignores(signals(&deaf));
                if self.random.chance(50) {
                    life = life.ignores(signals(&[ears]));
                }
            }
        }
        life.neglects_children = self.random.chance(20);
        life.is_unmarked = self.random.chance(10);
        self.trouble(life)
    }

    /// Now and then it is stopped, hangs in the kernel, or becomes another user.
    fn trouble(&mut self, mut life: Life) -> Life {
        let after = self.time(Duration::from_secs(3));
        if self.random.chance(6) {
            life = life.does(after, Deed::Stop);
        }
        if self.random.chance(4) {
            life = life.does(after, Deed::Stick);
            if self.random.chance(60) {
                let until = after + self.time(Duration::from_secs(30));
                life = life.does(until, Deed::Unstick);
            }
        }
        if self.random.chance(3) {
            life = life.does(after, Deed::BecomeAnother);
        }
        life
    }

    fn reaction_time(&mut self) -> Duration {
        let longest = if self.mood == Mood::Cooperative { 300 } else { 8000 };
        self.time(Duration::from_millis(longest))
    }

    fn reaction(&mut self, signal: Signal) -> Deeds {
        let after = self.reaction_time();
        let kinds = if self.generations > 0 { 6 } else { 4 };
        match self.random.below(kinds) {
            0 | 1 => Deeds::new(),
            2 => vec![(after, Deed::End(Exit::Signal(signal)))],
            3 => vec![(after, Deed::End(self.end()))],
            4 => vec![(after, self.child())],
            _ => {
                let child = self.child();
                let end = self.end();
                vec![(Duration::ZERO, child), (after, Deed::End(end))]
            }
        }
    }

    fn end(&mut self) -> Exit {
        let codes = [0, 0, 0, 1, 2, 126, 137, 143, 255].map(Exit::Code);
        let deaths = [6, 9, 11, 37].into_iter().filter_map(Signal::new).map(Exit::Signal);
        let ends: Vec<Exit> = codes.into_iter().chain(deaths).collect();
        self.random.pick(&ends)
    }

    /// Somebody who is started by a process of a program.
    fn child(&mut self) -> Deed {
        self.generations -= 1;
        let child = self.child_of_next_generation();
        self.generations += 1;
        child
    }

    fn child_of_next_generation(&mut self) -> Deed {
        let mut life = self.member();
        if self.random.chance(30) {
            let after = self.time(Duration::from_secs(10));
            life = life.ends(after, 0);
        }
        match self.random.below(8) {
            0 => Deed::Fork(Rc::new(life), Place::OwnSession),
            1 => Deed::Fork(Rc::new(life), Place::OwnGroup),
            // A daemon: its parent ends at once.
            2 => {
                let daemon = Deed::Fork(Rc::new(life), Place::OwnSession);
                fork(Life::default().does(Duration::ZERO, daemon).ends(Duration::ZERO, 0))
            }
            // A child that leaves the group later.
            3 => {
                let after = self.time(Duration::from_secs(2));
                fork(life.does(after, Deed::LeaveGroup))
            }
            4 => self.runner(),
            // A grandchild whose parent goes elsewhere: nobody tells runinit when it ends.
            5 => {
                let after = self.time(Duration::from_secs(1));
                let parent = self.member().does(Duration::ZERO, fork(life));
                fork(parent.does(after, Deed::LeaveGroup))
            }
            _ => fork(life),
        }
    }

    /// A stray that forks again and again and ends each time; in the end it tires.
    fn runner(&mut self) -> Deed {
        let every = Duration::from_millis(self.random.pick(&[1, 20, 90, 200]));
        let mut runner = self.member();
        for _ in 0..self.random.between(1, 6) {
            let next = Deed::Fork(Rc::new(runner), Place::OwnSession);
            runner = self.member();
            if self.random.chance(50) {
                runner = runner.on(Signal::TERM, vec![(Duration::ZERO, next.clone())]);
            }
            runner = runner.does(every, next).ends(every, 0);
        }
        Deed::Fork(Rc::new(runner), Place::OwnSession)
    }

    /// A stop command for a program.
    pub(super) fn stop_command(&mut self, id: ProgramId) -> Rc<Life> {
        let after = self.reaction_time();
        let life = Life::endless();
        Rc::new(match self.random.below(9) {
            0..=2 => life.does(after / 2, Deed::Ask(id)).ends(after, 0),
            3 => life.ends(after, 0),
            4 => life.ends(after, 1),
            5 => life.does(after, Deed::End(Exit::Signal(Signal::KILL))),
            6 => life.ignores(signals(&ASKING)),
            7 => {
                let hanging = Life::endless().ignores(signals(&ASKING));
                life.does(Duration::ZERO, fork(hanging)).ends(after, 0)
            }
            _ => life.does(Duration::ZERO, Deed::Stick),
        })
    }

    /// A command that says whether a program is ready or well; `None` if it cannot start.
    pub(super) fn check_command(&mut self, is_well: bool) -> Option<Rc<Life>> {
        let after = self.time(Duration::from_millis(200));
        let life = Life::endless();
        match self.random.below(20) {
            0 => None,
            1 => Some(Rc::new(life.ignores(signals(&ASKING)))),
            2 => Some(Rc::new(life.does(Duration::ZERO, fork(Life::endless())).ends(after, 1))),
            _ => Some(Rc::new(life.ends(after, u8::from(!is_well)))),
        }
    }

    /// A pass of hygiene; `None` if it cannot start.
    pub(super) fn pass(&mut self) -> Option<Rc<Life>> {
        let after = self.time(Duration::from_secs(2));
        let life = Life::endless();
        match self.random.below(10) {
            0 => None,
            1 => Some(Rc::new(life.ignores(signals(&ASKING)))),
            2 => Some(Rc::new(life.does(Duration::ZERO, fork(Life::endless())).ends(after, 0))),
            3 => Some(Rc::new(
                life.does(Duration::ZERO, Deed::Stick).does(after * 3, Deed::Unstick).ends(after, 0),
            )),
            4 => Some(Rc::new(life.ends(after, 1))),
            _ => Some(Rc::new(life.ends(after / 20, 0))),
        }
    }

    /// Another answer to such a question, and after how long it comes.
    pub(super) fn answer(&mut self, is_well: bool) -> (Duration, bool) {
        (self.time(Duration::from_secs(2)), is_well ^ self.random.chance(10))
    }

    /// Somebody from outside.
    pub(super) fn neighbour(&mut self) -> Rc<Life> {
        let mut life = self.member();
        if self.random.chance(50) {
            let after = self.time(Duration::from_secs(20));
            life = life.ends(after, 0);
        }
        Rc::new(life)
    }
}

fn fork(life: Life) -> Deed {
    Deed::Fork(Rc::new(life), Place::Group)
}

fn signals(numbers: &[i32]) -> impl Iterator<Item = Signal> {
    numbers.iter().copied().filter_map(Signal::new)
}
