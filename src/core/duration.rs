//! How long something may take, as people write it.

use humantime::DurationError as Error;
use std::time::Duration;

/// Ten years without leap days: whoever wants more means for ever. Times that go no further can be added up without a thought.
pub const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads `500ms`, `10s` or `1m 30s`.
///
/// # Errors
/// What is wrong with the text and how it is written, for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err(refusal(text, "it is longer than 3650 days")),
        read => read.map_err(|error| refusal(text, &reason(text, &error))),
    }
}

/// Reads a duration in which something may happen.
///
/// # Errors
/// What is wrong with the text and how it is written, for people.
pub fn parse_some(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err(format!("{text:?} is too short: it has to be longer than nothing")),
        some => Ok(some),
    }
}

fn refusal(text: &str, why: &str) -> String {
    format!("{text:?} is no duration: {why}; write it as \"500ms\", \"10s\" or \"1m 30s\"")
}

fn reason(text: &str, error: &Error) -> String {
    let found = |at: usize, what: &str| match text.get(at..).and_then(|rest| rest.chars().next()) {
        Some(found) => format!("{found:?} {what}"),
        None => "it ends too early".to_owned(),
    };
    match error {
        Error::Empty => "it is empty".to_owned(),
        Error::UnknownUnit { unit, value, .. } if unit.is_empty() => format!("{value} has no unit"),
        Error::UnknownUnit { unit, .. } => format!("there is no unit {unit:?}"),
        Error::NumberExpected(at) => found(*at, "stands where a number has to be"),
        Error::InvalidCharacter(at) => found(*at, "has no place in it"),
        Error::NumberOverflow => "its number has too many digits".to_owned(),
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
    fn a_duration_is_numbers_with_units() {
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("3650days"), Ok(LONGEST));
        assert!(parse_some("0s").unwrap_err().starts_with("\"0s\" is too short: "));
    }

    #[test]
    fn what_is_no_duration_or_has_no_end_is_refused_with_the_reason() {
        for (wrong, why) in [
            ("", "it is empty"),
            (" ", "it is empty"),
            ("9", "9 has no unit"),
            ("1m 9", "9 has no unit"),
            ("9 sekunden", "there is no unit \"sekunden\""),
            ("soon", "'s' stands where a number has to be"),
            ("-1s", "'-' stands where a number has to be"),
            ("9s\u{1b}", "'\\u{1b}' has no place in it"),
            ("1,5s", "',' has no place in it"),
            ("1. ", "it ends too early"),
            ("99999999999999999999s", "its number has too many digits"),
            ("3651days", "it is longer than 3650 days"),
            ("10years", "it is longer than 3650 days"),
            ("18446744073709551615s", "it is longer than 3650 days"),
        ] {
            let said =
                format!("{wrong:?} is no duration: {why}; write it as \"500ms\", \"10s\" or \"1m 30s\"");
            assert_eq!(parse(wrong), Err(said));
        }
    }
}
