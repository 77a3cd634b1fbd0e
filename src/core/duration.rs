//! How long something may take, as people write it.

use std::time::Duration;

/// Ten years: whoever wants more means for ever. Times that go no further can be added up without a thought.
pub const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads `500ms`, `2s` or `1m30s`.
///
/// # Errors
/// What is wrong with the text, for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("longer than ten years".to_owned()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// Reads a duration in which something may happen.
///
/// # Errors
/// What is wrong with the text, for people.
pub fn parse_some(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("it has to be longer than nothing".to_owned()),
        some => Ok(some),
    }
}

/// Whole milliseconds.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_duration_or_has_no_end_is_refused() {
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("3650days"), Ok(LONGEST));
        for endless in ["3651days", "18446744073709551615s"] {
            assert_eq!(parse(endless).unwrap_err(), "longer than ten years");
        }
        for wrong in ["", "9", "soon", "-1s", "99999999999999999999s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
