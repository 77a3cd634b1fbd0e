//! The few numbers taken from many.

/// A number, and where it could as well have come out: the ends of its 95 % confidence interval.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Number {
    /// The same number above another one.
    pub(crate) fn above(self, base: f64) -> Self {
        Self { value: self.value - base, low: self.low - base, high: self.high - base }
    }
}

impl From<f64> for Number {
    /// A number that is known exactly.
    fn from(value: f64) -> Self {
        Self { value, low: value, high: value }
    }
}

/// The value below which a share (0 to 1) of the samples lies. NaN without samples.
pub(crate) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (share.clamp(0.0, 1.0) * length(&sorted[..sorted.len().saturating_sub(1)])).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The one in the middle: a few rounds that were disturbed do not move it. Its interval needs no assumption about how
/// the samples are spread: how many of them lie below the true median is a matter of tossing coins.
pub(crate) fn median(samples: &[f64]) -> Number {
    let half_width = 0.98 / length(samples).sqrt();
    Number {
        value: quantile(samples, 0.5),
        low: quantile(samples, 0.5 - half_width),
        high: quantile(samples, 0.5 + half_width),
    }
}

/// The least disturbed round.
pub(crate) fn minimum(samples: &[f64]) -> Number {
    quantile(samples, 0.0).into()
}

/// Counts and nanoseconds here are far below 2^52, so nothing is lost.
#[expect(clippy::cast_precision_loss)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

fn length(samples: &[f64]) -> f64 {
    float(samples.len() as u64)
}
