//! The C library's getopt(3) and `getopt_long(3)`, as the programs use them whose names runinit can bear.

use super::Call;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The options a program takes.
pub(super) struct Grammar {
    /// Its letters; a colon follows one that takes a value.
    pub(super) short: &'static str,
    /// Long names, each with the letter that it stands for.
    pub(super) long: &'static [(&'static str, char)],
    /// Options are also found behind the first word that is none, unless `POSIXLY_CORRECT` is set.
    pub(super) permutes: bool,
}

/// An option as it was given.
pub(super) struct Given {
    pub(super) letter: char,
    /// Empty for one that takes none.
    pub(super) value: OsString,
}

/// The words of a command line while they are read.
pub(super) struct Words<'a> {
    grammar: &'a Grammar,
    /// The program's own name, for messages.
    name: String,
    permutes: bool,
    left: VecDeque<OsString>,
    /// What is left of a word of several letters.
    letters: VecDeque<u8>,
    skipped: Vec<OsString>,
}

impl<'a> Words<'a> {
    pub(super) fn new(grammar: &'a Grammar, call: &Call<'_>) -> Self {
        Self {
            grammar,
            name: call.name.to_string_lossy().into_owned(),
            permutes: grammar.permutes && (call.environment)("POSIXLY_CORRECT").is_none(),
            left: call.words.iter().cloned().collect(),
            letters: VecDeque::new(),
            skipped: Vec::new(),
        }
    }

    /// The next option, or the C library's words about what is none.
    pub(super) fn next(&mut self) -> Option<Result<Given, String>> {
        while self.letters.is_empty() {
            let word = self.left.pop_front()?;
            match word.as_bytes() {
                b"--" => return None,
                [b'-', b'-', long @ ..] if !self.grammar.long.is_empty() => {
                    return Some(self.long(&String::from_utf8_lossy(long)));
                }
                [b'-', letters @ ..] if !letters.is_empty() => self.letters.extend(letters),
                _ if self.permutes => self.skipped.push(word),
                _ => {
                    self.left.push_front(word);
                    return None;
                }
            }
        }
        let letter = self.letters.pop_front().map(char::from)?;
        Some(self.short(letter))
    }

    /// What is no option, once there are no more of them.
    pub(super) fn command(self) -> Vec<OsString> {
        self.skipped.into_iter().chain(self.left).collect()
    }

    fn short(&mut self, letter: char) -> Result<Given, String> {
        match self.takes_value(letter) {
            None => Err(format!("{}: invalid option -- '{letter}'\n", self.name)),
            Some(false) => Ok(Given { letter, value: OsString::new() }),
            Some(true) if !self.letters.is_empty() => {
                Ok(Given { letter, value: OsString::from_vec(self.letters.drain(..).collect()) })
            }
            Some(true) => {
                let missing = || format!("{}: option requires an argument -- '{letter}'\n", self.name);
                self.left.pop_front().ok_or_else(missing).map(|value| Given { letter, value })
            }
        }
    }

    fn long(&mut self, word: &str) -> Result<Given, String> {
        let (name, attached) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let own = &self.name;
        let known = self.grammar.long;
        let exact = known.iter().copied().find(|(long, _)| *long == name);
        let begun: Vec<_> = known.iter().copied().filter(|(long, _)| long.starts_with(name)).collect();
        let (long, letter) = match (exact, begun.as_slice()) {
            (Some(found), _) => found,
            (None, [found]) => *found,
            (None, []) => return Err(format!("{own}: unrecognized option '--{word}'\n")),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|(long, _)| format!("'--{long}'")).collect();
                let names = names.join(" ");
                return Err(format!("{own}: option '--{word}' is ambiguous; possibilities: {names}\n"));
            }
        };
        match (self.takes_value(letter), attached) {
            (Some(true), Some(value)) => Ok(Given { letter, value: value.into() }),
            (Some(true), None) => {
                let missing = || format!("{own}: option '--{long}' requires an argument\n");
                self.left.pop_front().ok_or_else(missing).map(|value| Given { letter, value })
            }
            (_, Some(_)) => Err(format!("{own}: option '--{long}' doesn't allow an argument\n")),
            (_, None) => Ok(Given { letter, value: OsString::new() }),
        }
    }

    /// Whether a letter is an option that takes a value; `None`: it is no option.
    fn takes_value(&self, letter: char) -> Option<bool> {
        let rest = self.grammar.short.split_once(letter).filter(|_| letter != ':')?.1;
        Some(rest.starts_with(':'))
    }
}

/// A number as strtol(3) reads it, after white space and with a sign, and what stands behind it; `None` without a digit.
pub(super) fn number(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let value = digits.parse().unwrap_or(i64::MAX);
    (!digits.is_empty()).then_some((sign * value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: Grammar =
        Grammar { short: "ab:", long: &[("all", 'a'), ("alone", 'a'), ("be", 'b')], permutes: true };

    /// The options that were found, the last one perhaps wrong, and the command.
    fn read(line: &str, posix: bool) -> (String, String) {
        let environment = |_: &str| posix.then(OsString::new);
        let words = line.split(' ').map(OsString::from).collect();
        let mut words = Words::new(&GRAMMAR, &Call { name: "x".into(), words, environment: &environment });
        let mut found = Vec::new();
        while let Some(option) = words.next() {
            match option {
                Ok(Given { letter, value }) => found.push(format!("{letter}{}", value.display())),
                Err(why) => {
                    found.push(why.trim_end().to_owned());
                    return (found.join(" "), String::new());
                }
            }
        }
        (found.join(" "), words.command().join(" ".as_ref()).into_string().unwrap())
    }

    fn good(line: &str) -> (String, String) {
        read(line, false)
    }

    #[test]
    fn letters_are_bundled_and_values_attached_or_apart() {
        assert_eq!(good("-aab1 -b 2 c"), ("a a b1 b2".into(), "c".into()));
        assert_eq!(good("-b -- -a c"), ("b-- a".into(), "c".into()));
    }

    #[test]
    fn options_are_found_behind_other_words_unless_posix_is_wanted() {
        assert_eq!(good("c -a - -b1 d -- -a"), ("a b1".into(), "c - d -a".into()));
        assert_eq!(read("-a c -a", true), ("a".into(), "c -a".into()));
    }

    #[test]
    fn long_names_may_be_cut_short_while_they_are_clear() {
        assert_eq!(good("--all --b=1 --be 2 c"), ("a b1 b2".into(), "c".into()));
        assert_eq!(good("--al").0, "x: option '--al' is ambiguous; possibilities: '--all' '--alone'");
        assert_eq!(good("--no").0, "x: unrecognized option '--no'");
        assert_eq!(good("--all=1").0, "x: option '--all' doesn't allow an argument");
        assert_eq!(good("--be").0, "x: option '--be' requires an argument");
    }

    #[test]
    fn what_is_no_option_is_refused() {
        assert_eq!(good("-ax").0, "a x: invalid option -- 'x'");
        assert_eq!(good("-:").0, "x: invalid option -- ':'");
        assert_eq!(good("-b").0, "x: option requires an argument -- 'b'");
    }

    #[test]
    fn numbers_are_read_as_strtol_does() {
        assert_eq!(number(" +15x"), Some((15, "x")));
        assert_eq!(number("-1"), Some((-1, "")));
        assert_eq!(number("99999999999999999999"), Some((i64::MAX, "")));
        assert_eq!(number("+ 1"), None);
        assert_eq!(number(""), None);
    }
}
