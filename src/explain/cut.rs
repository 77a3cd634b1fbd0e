//! Text that has to fit.

/// A text in so many letters at most; `more` is the last where there would be more of them.
pub(super) fn cut(text: &str, most: usize, more: char) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_fit_is_cut() {
        assert_eq!(["", "four", "fivee"].map(|text| cut(text, 4, '~')), ["", "four", "fiv~"]);
    }
}
