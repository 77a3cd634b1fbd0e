//! How the time that is left is shared when the cascades need more.

use std::time::Duration;

/// The wait that a step gets: its own, or its part of what is `left` when the whole chain it belongs to (itself, the
/// steps after it, the programs that can only stop after those) needs more.
///
/// Every step of a chain is cut by the same part, so nobody is left without a first signal, and time that an earlier
/// step did not use goes to the later ones.
pub fn wait(own: Duration, rest_of_chain: Duration, left: Option<Duration>) -> Duration {
    let Some(left) = left else { return own };
    let chain = own.saturating_add(rest_of_chain);
    if chain <= left {
        return own;
    }
    left.mul_f64(own.as_secs_f64() / chain.as_secs_f64()).min(own).min(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn enough_time_changes_nothing() {
        assert_eq!(wait(S(5), S(3), Some(S(8))), S(5));
        assert_eq!(wait(S(5), S(3), None), S(5));
    }

    #[test]
    fn too_little_time_is_shared_by_need() {
        assert_eq!(wait(S(6), S(2), Some(S(4))), S(3));
        assert_eq!(wait(S(6), S(2), Some(S(0))), S(0));
    }

    proptest! {
        #[test]
        fn a_chain_never_needs_more_than_is_left(waits in prop::collection::vec(0u64..u64::MAX / 1000, 1..20), left: u32) {
            let waits: Vec<Duration> = waits.into_iter().map(Duration::from_nanos).collect();
            let mut left = Duration::from_millis(left.into());
            for (i, own) in waits.iter().enumerate() {
                let rest = waits[i + 1..].iter().sum();
                let got = wait(*own, rest, Some(left));
                prop_assert!(got <= left && got <= *own);
                left -= got;
            }
        }
    }
}
