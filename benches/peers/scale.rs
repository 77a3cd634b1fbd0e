//! From values to pixels, logarithmically.

/// The room that zero gets below the smallest power of ten: it has no logarithm.
const ZERO_ROOM: f64 = 24.0;

/// An axis from one value to another one.
pub(crate) struct Scale {
    low: f64,
    high: f64,
    /// Where the values `low` and `high` lie.
    from: f64,
    to: f64,
    /// Where zero lies, if there is one.
    zero: Option<f64>,
}

impl Scale {
    /// From the smallest to the largest of these values.
    pub(crate) fn exact(values: &[f64], from: f64, to: f64) -> Self {
        let (low, high) = ends(values);
        Self { low, high, from, to, zero: None }
    }

    /// Upwards in whole powers of ten around these values, with a place for zero below them if it is among them.
    pub(crate) fn decades(values: &[f64], bottom: f64, top: f64) -> Self {
        let (low, high) = ends(values);
        let (first, last) = (low.log10().floor(), high.log10().ceil());
        let zero = values.iter().any(|value| *value <= 0.0).then_some(bottom);
        let from = if zero.is_some() { bottom - ZERO_ROOM } else { bottom };
        Self { low: 10_f64.powf(first), high: 10_f64.powf(last.max(first + 1.0)), from, to: top, zero }
    }

    pub(crate) fn zero(&self) -> Option<f64> {
        self.zero
    }

    /// Where a value lies.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.zero {
            Some(zero) if value <= 0.0 => zero,
            _ if self.low >= self.high => f64::midpoint(self.from, self.to),
            _ => {
                let share = (value / self.low).log10() / (self.high / self.low).log10();
                self.from + share * (self.to - self.from)
            }
        }
    }

    /// The powers of ten on this axis.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = f64> {
        let beyond = self.high * 1.01;
        std::iter::successors(Some(self.low), |value| Some(value * 10.0))
            .take_while(move |value| *value < beyond)
    }
}

/// The smallest and the largest of those that have a logarithm.
fn ends(values: &[f64]) -> (f64, f64) {
    let positive = values.iter().copied().filter(|value| *value > 0.0);
    let ends = positive.fold(None, |ends: Option<(f64, f64)>, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    ends.unwrap_or((1.0, 1.0))
}
