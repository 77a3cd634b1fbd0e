//! In turn: A B C D A B C D, so that whatever drifts on the machine hits all alike.

use crate::context::Result;

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
    for round in 0..warm_up + rounds {
        for (participant, samples) in participants.iter().zip(&mut all) {
            let Ok(kept) = samples else { continue };
            match once(participant) {
                Ok(sample) if round >= warm_up => kept.push(sample),
                Ok(_) => {}
                Err(why) => *samples = Err(why),
            }
        }
    }
    all
}
