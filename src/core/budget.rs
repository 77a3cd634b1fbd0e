//! The time a whole shutdown may take.

use super::duration;
use std::time::Duration;

/// A point in time: how long after runinit's own start, by the monotonic clock.
pub type Moment = Duration;

/// The kernel needs a moment to end killed processes, so no budget is shorter than this.
const SHORTEST: Duration = Duration::from_millis(100);
/// The most of a budget that is kept back for the last record alone.
const LONGEST_RECORD: Duration = Duration::from_millis(50);
/// The most of a budget that is kept back for the last SIGKILLs and the record.
const LONGEST_RESERVE: Duration = Duration::from_secs(1);

/// The grace: everything is dead and recorded by the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// As long as it takes; nothing is killed because of time.
    Forever,
    /// This long from the beginning of the shutdown.
    Within(Duration),
}

impl Budget {
    /// Reads `9s`, `1m30s` or `forever`.
    ///
    /// # Errors
    /// What is wrong with the text, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        duration::parse(text).map(Self::Within).map_err(|why| why + ", or \"forever\"")
    }

    /// The length, or `None` for ever.
    pub fn length(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::Within(length) => Some(length.max(SHORTEST)),
        }
    }

    /// The part at the end that belongs to the last SIGKILLs and the record: a tenth, at most a second.
    pub fn reserve(self) -> Duration {
        self.length().map_or(Duration::ZERO, |length| (length / 10).min(LONGEST_RESERVE))
    }

    /// How long there is until the last record is written, which has to be on the disk by the end.
    pub fn time_to_record(self) -> Option<Duration> {
        let length = self.length()?;
        Some(length.saturating_sub((length / 50).min(LONGEST_RECORD)))
    }

    /// How long programs have, from the beginning of the shutdown, until the last of them is killed.
    pub fn time_to_kill(self) -> Option<Duration> {
        self.length().map(|length| length.saturating_sub(self.reserve()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_kept_back_but_at_most_a_second() {
        let seconds = |s| Budget::Within(Duration::from_secs(s));
        assert_eq!(seconds(9).time_to_kill(), Some(Duration::from_millis(8100)));
        assert_eq!(seconds(60).time_to_kill(), Some(Duration::from_secs(59)));
        assert_eq!(Budget::Forever.time_to_kill(), None);
    }

    #[test]
    fn no_budget_is_too_short_to_kill_in() {
        assert_eq!(Budget::parse("0s").unwrap().length(), Some(SHORTEST));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        assert_eq!(Budget::parse("forever"), Ok(Budget::Forever));
        assert!(Budget::parse("soon").unwrap_err().ends_with("or \"1m 30s\", or \"forever\""));
        assert!(Budget::parse("11years").is_err());
    }
}
