//! The word that somebody probably meant.

/// Longer words are nobody's slip of a key, and comparing them takes time.
const LONGEST: usize = 64;

/// A word that is shorter begins too many others.
const SHORTEST_BEGINNING: usize = 3;

/// Our keys, and the words for them in systemd, Docker's Compose, supervisord and the like.
const ELSEWHERE: [(&str, &[&str]); 12] = [
    ("command", &["cmd", "exec", "args", "entrypoint", "run"]),
    ("after", &["depends_on", "requires", "needs", "wants"]),
    ("cwd", &["working_dir", "working_directory", "workdir", "dir", "directory"]),
    ("stop", &["kill_signal", "stopsignal"]),
    ("restart", &["autorestart", "respawn"]),
    ("backoff", &["startretries", "restart_delay", "restart_sec"]),
    ("output", &["log", "logs", "logfile", "stdout", "stderr", "stdout_logfile"]),
    ("every", &["interval"]),
    ("failures", &["retries"]),
    ("run", &["cmd", "command", "exec"]),
    ("wait", &["timeout"]),
    ("budget", &["grace", "timeout"]),
];

/// The known word nearest to this one, if it is near enough: one slip for every three characters.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if word.len() > LONGEST {
        return None;
    }
    let mut slips = (word.len() / 3).max(1);
    let mut rows = Rows::default();
    let mut nearest = None;
    for &known in known {
        if let Some(distance) = rows.distance(&word, known, slips).filter(|distance| *distance < known.len())
        {
            nearest = Some(known);
            // Only what is nearer still takes its place.
            match distance.checked_sub(1) {
                Some(fewer) => slips = fewer,
                None => break,
            }
        }
    }
    nearest
}

/// `(did you mean "..."?)` with a space before it, or nothing.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, did_you_mean)
}

/// As [`hint`], for a key: it may also be another tool's word for one, or a longer or shorter one.
pub(super) fn hint_of_key(word: &str, known: &[&str]) -> String {
    let found = elsewhere(word, known).or_else(|| nearest(word, known)).or_else(|| begun(word, known));
    found.map_or_else(String::new, did_you_mean)
}

fn did_you_mean(near: &str) -> String {
    format!(" (did you mean {near:?}?)")
}

/// What other tools call it.
fn elsewhere<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let means = |key: &str| {
        let words = ELSEWHERE.iter().filter(|(ours, _)| *ours == key).flat_map(|(_, theirs)| *theirs);
        words.into_iter().any(|theirs| theirs.eq_ignore_ascii_case(word))
    };
    known.iter().copied().find(|key| means(key))
}

/// The longest known key that begins the word, or the first that the word begins.
fn begun<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let is_enough = |word: &str| word.len() >= SHORTEST_BEGINNING;
    let begins = known.iter().copied().filter(|key| is_enough(key) && word.starts_with(key));
    let is_begun = |key: &&str| is_enough(word) && key.starts_with(word);
    begins.max_by_key(|key| key.len()).or_else(|| known.iter().copied().find(is_begun))
}

/// Room for a comparison, used again for the next one.
#[derive(Default)]
struct Rows {
    before_last: Vec<usize>,
    last: Vec<usize>,
    this: Vec<usize>,
}

impl Rows {
    /// How many characters have to be put in, left out, changed, or swapped with their neighbour; `None`: more than `most`.
    fn distance(&mut self, word: &[char], known: &str, most: usize) -> Option<usize> {
        if known.chars().count().abs_diff(word.len()) > most {
            return None;
        }
        let Self { before_last, last, this } = self;
        last.clear();
        last.extend(0..=word.len());
        let mut previous = None;
        for (row, k) in known.chars().map(|c| c.to_ascii_lowercase()).enumerate() {
            this.clear();
            this.push(row + 1);
            for (column, &w) in word.iter().enumerate() {
                let changed = last[column] + usize::from(w != k);
                let mut best = changed.min(last[column + 1] + 1).min(this[column] + 1);
                if column > 0 && previous == Some(w) && word[column - 1] == k {
                    best = best.min(before_last[column - 1] + 1);
                }
                this.push(best);
            }
            // No row after it has a smaller number.
            if this.iter().all(|distance| *distance > most) {
                return None;
            }
            std::mem::swap(before_last, last);
            std::mem::swap(last, this);
            previous = Some(k);
        }
        Some(last[word.len()]).filter(|distance| *distance <= most)
    }
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
    fn the_nearest_is_taken_and_of_two_the_first() {
        assert_eq!(nearest("agent-12", &["agent-99", "agent-21", "agent-13", "agent-12"]), Some("agent-12"));
        assert_eq!(nearest("agent-12", &["agent-99", "agent-21", "agent-13"]), Some("agent-21"));
    }

    #[test]
    fn other_words_are_left_alone() {
        for word in ["", "x", "xy", "colour", "working_directory", &"c".repeat(1000)] {
            assert_eq!(nearest(word, &KEYS), None, "{word}");
        }
    }

    #[test]
    fn a_key_may_be_another_tool_s_word_or_longer_or_shorter() {
        for (word, meant) in [
            ("cmd", "command"),
            ("environment", "env"),
            ("env_files", "env_file"),
            ("depends_on", "after"),
            ("working_directory", "cwd"),
            ("stop_signal", "stop"),
            ("stopsignal", "stop"),
            ("restart_policy", "restart"),
            ("comm", "command"),
        ] {
            let known = ["env", "command", "env_file", "restart", "after", "cwd", "stop"];
            assert_eq!(hint_of_key(word, &known), format!(" (did you mean {meant:?}?)"), "{word}");
        }
        assert_eq!(hint_of_key("st", &KEYS), "");
        assert_eq!(hint_of_key("timeout", &["run", "wait"]), " (did you mean \"wait\"?)");
    }

    #[test]
    fn the_distance_counts_each_slip_once() {
        let distance = |a: &str, b, most| Rows::default().distance(&a.chars().collect::<Vec<_>>(), b, most);
        for (a, b, slips) in [("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 1), ("same", "same", 0)]
        {
            assert_eq!(distance(a, b, slips), Some(slips), "{a} {b}");
            assert!(slips == 0 || distance(a, b, slips - 1).is_none(), "{a} {b}");
        }
    }
}
