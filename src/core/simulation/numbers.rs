//! Which number a new process gets.

/// How numbers are given out. Both reuse them far sooner than a kernel with four million of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// The lowest that is free.
    Lowest,
    /// The next that is free after the last one, up to a small highest number, then from the beginning, as kernels do.
    Next {
        /// The last that was given out.
        last: i32,
    },
}

/// The highest number before they begin again.
const HIGHEST: i32 = 40;
/// 1 is an init's, whoever that is.
const FIRST: i32 = 2;

impl Numbers {
    /// The next number for which `is_free`.
    pub(super) fn take(&mut self, is_free: impl Fn(i32) -> bool) -> i32 {
        let after = match *self {
            Self::Lowest => FIRST - 1,
            Self::Next { last } => last,
        };
        // Beyond the highest the range is open: a fake kernel never runs out.
        let candidates = (after + 1..=HIGHEST).chain(FIRST..i32::MAX);
        let number = candidates.into_iter().find(|&number| is_free(number)).unwrap_or(i32::MAX);
        if let Self::Next { last } = self {
            *last = number;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_reused_at_once() {
        assert_eq!(Numbers::Lowest.take(|number| number != 2), 3);
    }

    #[test]
    fn the_next_number_begins_again_after_the_highest() {
        let mut numbers = Numbers::Next { last: HIGHEST - 1 };
        assert_eq!(numbers.take(|_| true), HIGHEST);
        assert_eq!(numbers.take(|_| true), FIRST);
        assert_eq!(numbers.take(|number| number > HIGHEST), HIGHEST + 1);
    }
}
