//! What happened when, bounded.

use super::budget::Moment;
use super::plan::ProgramId;
use std::collections::VecDeque;

/// The newest entries that are kept: the end of a run tells more than its beginning.
const LIMIT: usize = 1000;

/// The newest of the things that happened.
#[derive(Debug, Default)]
pub struct Timeline(VecDeque<Entry>);

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// To which program, if to one.
    pub program: Option<ProgramId>,
    /// What, in a few words.
    pub event: String,
}

impl Timeline {
    pub(super) fn add(&mut self, at: Moment, program: Option<ProgramId>, event: String) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(Entry { at, program, event });
    }

    /// True if anything is still told of this program.
    pub(super) fn mentions(&self, id: ProgramId) -> bool {
        self.0.iter().any(|entry| entry.program == Some(id))
    }

    /// In order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut timeline = Timeline::default();
        for n in 0..=LIMIT {
            timeline.add(Moment::ZERO, None, n.to_string());
        }
        assert_eq!(timeline.entries().count(), LIMIT);
        assert_eq!(timeline.entries().next().unwrap().event, "1");
    }
}
