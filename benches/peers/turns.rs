//! In turn: A B C D, C A D B, ..., so that whatever drifts on the machine hits all alike. The order changes from round to
//! round, since each leaves the kernel work that the next one has to wait for.

use crate::context::{Context, Result};
use crate::sys;

/// Every sample of one participant, or why there are none.
pub(crate) type Samples<S> = Result<Vec<S>>;

/// Runs `once` for every participant in turn, for so many rounds, after a few that are thrown away. A participant that
/// fails is out, with its reason; the others go on.
pub(crate) fn in_turn<P, S>(
    participants: &[P],
    rounds: usize,
    mut once: impl FnMut(&P) -> Result<S>,
) -> Vec<Samples<S>> {
    let mut all: Vec<Samples<S>> = participants.iter().map(|_| Ok(Vec::with_capacity(rounds))).collect();
    let warm_up = rounds / 20;
    let mut order: Vec<usize> = (0..participants.len()).collect();
    let mut random = Random(1);
    for round in 0..warm_up + rounds {
        random.shuffle(&mut order);
        for index in &order {
            let Ok(kept) = &mut all[*index] else { continue };
            match once(&participants[*index]) {
                Ok(sample) if round >= warm_up => kept.push(sample),
                Ok(_) => {}
                Err(why) => all[*index] = Err(why),
            }
        }
    }
    all
}

/// The same numbers in every run: xorshift (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit
    }

    /// Fisher and Yates.
    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last + 1));
        }
    }
}

/// Does the work with nobody on a CPU interrupted by another one who is measured, where that is allowed. Also returns the
/// sentence that says so.
///
/// dumb-init's program has a session of its own. To the kernel that is a group of its own with its own share of the CPU
/// (autogroup, sched(7)), so that it would interrupt dumb-init as soon as it is signalled and seem to be told sooner, and
/// be interrupted by it for each orphan that ends.
pub(crate) fn uninterrupted<T>(work: impl FnOnce() -> T) -> Result<(T, &'static str)> {
    if sys::run_uninterrupted(true).is_err() {
        return Ok((
            work(),
            "Who runs first is the scheduler's affair, and differs (SCHED_FIFO was refused).",
        ));
    }
    let done = work();
    sys::run_uninterrupted(false).while_doing("sharing the CPU again")?;
    Ok((done, "Each does its part before the next one runs (SCHED_FIFO)."))
}
