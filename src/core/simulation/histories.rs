//! Every short history of every small plan: a handful of moves in every order, and then to the end.

use super::small::{self, Temper};
use super::trace::Trace;
use super::world::World;
use crate::core::plan::{Plan, ProgramId};
use crate::core::process::Exit;
use crate::core::signal::Signal;

/// Something that happens next.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// The leader of this program ends well or badly.
    End(usize, u8),
    Signal(Signal),
    /// Nothing, until the core's deadline.
    Deadline,
}

const MOVES: [Move; 6] = [
    Move::End(0, 0),
    Move::End(0, 1),
    Move::End(1, 1),
    Move::Signal(Signal::TERM),
    Move::Signal(Signal::HUP),
    Move::Deadline,
];
/// Moves of the longest histories; `RUNINIT_SIM_MOVES` sets another number.
const LONGEST: u64 = 3;

/// A small world, again and again.
struct Histories<'a> {
    plan: &'a Plan,
    temper: Temper,
    is_init: bool,
    longest: usize,
    count: usize,
}

impl Histories<'_> {
    fn world(&self, trace: Trace) -> World {
        World::new(small::scenario(self.plan.clone(), self.temper, self.is_init), 0, trace)
    }

    /// These moves, to the end of the world; and then those that go on from them, unless the last one did nothing.
    fn play_all(&mut self, moves: &mut Vec<Move>) -> Result<(), String> {
        self.count += 1;
        let did_something = play(&mut self.world(Trace::default()), moves).map_err(|wrong| {
            let mut again = self.world(Trace::on());
            let _ = play(&mut again, moves);
            let kind = (self.temper, self.is_init);
            format!("{moves:?} {kind:?}\n{}\n{wrong}", again.trace.text())
        })?;
        if !did_something || moves.len() == self.longest {
            return Ok(());
        }
        for next in MOVES {
            moves.push(next);
            self.play_all(moves)?;
            moves.pop();
        }
        Ok(())
    }
}

/// False if the last move did nothing.
fn play(world: &mut World, moves: &[Move]) -> Result<bool, String> {
    world.begin()?;
    let mut did_something = true;
    for next in moves {
        did_something = world.checker.finished().is_none() && do_move(world, *next);
        world.round()?;
    }
    if did_something {
        world.run_on()?;
    }
    Ok(did_something)
}

fn do_move(world: &mut World, next: Move) -> bool {
    match next {
        Move::End(program, code) => world.end_leader(ProgramId(program), Exit::Code(code)),
        Move::Signal(signal) => {
            world.signal(signal);
            true
        }
        Move::Deadline => world.pass_deadline(),
    }
}

#[test]
fn every_short_history_keeps_every_promise() {
    let longest = super::setting("RUNINIT_SIM_MOVES").unwrap_or(LONGEST);
    for (name, plan) in &small::plans() {
        for temper in [Temper::Good, Temper::Stubborn, Temper::LeavesOthers] {
            for is_init in [true, false] {
                let longest = usize::try_from(longest).unwrap_or(usize::MAX);
                let mut histories = Histories { plan, temper, is_init, longest, count: 0 };
                let verdict = histories.play_all(&mut Vec::new());
                println!("{name}, {temper:?}, is init: {is_init}: {} histories", histories.count);
                if let Err(wrong) = verdict {
                    panic!("{name}: {wrong}");
                }
            }
        }
    }
}
