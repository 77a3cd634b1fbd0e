//! Times as people read them.

/// `206ms`, `5.0s`, `9s`, `2m05s`.
pub(super) fn time(ms: i64) -> String {
    match ms {
        ..1000 => format!("{ms}ms"),
        1000..60_000 if ms % 1000 == 0 => format!("{}s", ms / 1000),
        1000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ if ms % 60_000 < 1000 => format!("{}m", ms / 60_000),
        _ => format!("{}m{:02}s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// A time on an axis, which begins with a bare 0.
pub(super) fn label(ms: i64) -> String {
    if ms == 0 { "0".to_owned() } else { time(ms) }
}

/// A wait as somebody would write it into a configuration, and probably had written it.
pub(super) fn written(ms: u64) -> String {
    format!("{}s", (ms.saturating_add(500) / 1000).max(1))
}

/// An unsigned time as a signed one.
pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_lose_the_digits_that_nobody_reads() {
        let times = [0, 999, 1000, 1001, 8149, 59_999, 60_000, 125_000].map(time);
        assert_eq!(times, ["0ms", "999ms", "1s", "1.0s", "8.1s", "59.9s", "1m", "2m05s"]);
        assert_eq!([0, 1, 4980, 5003, 5600].map(written), ["1s", "1s", "5s", "5s", "6s"]);
    }
}
