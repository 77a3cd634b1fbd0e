//! The word that somebody probably meant.

/// Longer words are nobody's slip of a key, and comparing them takes time.
const LONGEST: usize = 64;

/// The known word nearest to this one, if it is near enough: one slip for every three characters.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if word.len() > LONGEST {
        return None;
    }
    let slips = (word.len() / 3).max(1);
    let distances = known.iter().map(|k| (distance(&word, k), *k));
    distances.filter(|(d, k)| *d <= slips && *d < k.len()).min_by_key(|(d, _)| *d).map(|(_, k)| k)
}

/// `(did you mean "..."?)` with a space before it, or nothing.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"))
}

/// How many characters have to be put in, left out, changed, or swapped with their neighbour.
fn distance(word: &[char], known: &str) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=word.len()).collect();
    let mut previous = None;
    for (row, k) in known.chars().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut this = vec![row + 1];
        for (column, &w) in word.iter().enumerate() {
            let changed = last[column] + usize::from(w != k);
            let mut best = changed.min(last[column + 1] + 1).min(this[column] + 1);
            if column > 0 && previous == Some(w) && word[column - 1] == k {
                best = best.min(before_last[column - 1] + 1);
            }
            this.push(best);
        }
        before_last = std::mem::replace(&mut last, this);
        previous = Some(k);
    }
    last[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["command", "env_file", "restart", "after", "cwd", "stop"];

    #[test]
    fn slips_are_understood() {
        for (slip, meant) in [
            ("comand", "command"),
            ("commandd", "command"),
            ("restrat", "restart"),
            ("env-file", "env_file"),
            ("Cwd", "cwd"),
            ("stpo", "stop"),
            ("aftre", "after"),
        ] {
            assert_eq!(nearest(slip, &KEYS), Some(meant), "{slip}");
        }
    }

    #[test]
    fn other_words_are_left_alone() {
        for word in ["", "x", "xy", "colour", "working_directory", &"c".repeat(1000)] {
            assert_eq!(nearest(word, &KEYS), None, "{word}");
        }
    }

    #[test]
    fn the_distance_counts_each_slip_once() {
        let distance = |a: &str, b| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("same", "same"), 0);
    }
}
