//! What tmux answers.

use crate::core::process::{Exit, Pid};
use crate::core::signal::Signal;
use std::fmt;

/// The oldest tmux that works: the first that tells the signal by which a pane's program died.
pub const OLDEST: Version = Version { major: 3, minor: 3 };

/// A version of tmux, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The 3 of 3.3a.
    pub major: u32,
    /// The 3 after the point.
    pub minor: u32,
}

impl Version {
    /// Reads what `tmux -V` says: `tmux 3.3a`, `tmux next-3.6`, `tmux openbsd-7.0`. `None`: one without a number that can be compared.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim();
        let word = word.strip_prefix("tmux ").unwrap_or(word);
        let word = word.strip_prefix("next-").unwrap_or(word);
        let (major, rest) = word.split_once('.')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(Self { major: major.parse().ok()?, minor: rest[..digits].parse().ok()? })
    }

    /// What is wrong with it, if it is too old.
    pub fn refusal(self) -> Option<String> {
        (self < OLDEST).then(|| format!("tmux {self} is too old: {OLDEST} or later is needed"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A pane, as its server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pane {
    /// The server's process.
    pub server: Pid,
    /// The session's id: `$3`.
    pub session: String,
    /// Its own: `%5`.
    pub id: String,
    /// The process in it, which leads a kernel session and a group of the same number (`forkpty(3)`).
    pub pid: Pid,
}

/// What is known of a pane's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// So its program ended.
    With(Exit),
    /// The pane is not there any more; nobody knows.
    Unknown,
    /// tmux has not noticed yet.
    NotYet,
}

/// The pane of a session that was started, or what is wrong.
///
/// # Errors
/// For people.
pub fn read_start(answer: &str) -> Result<Pane, String> {
    let line = answer.lines().next().unwrap_or_default();
    let (version, rest) = line.split_once(' ').unwrap_or_default();
    if let Some(refusal) = Version::parse(version).and_then(Version::refusal) {
        return Err(refusal);
    }
    let mut words = rest.split(' ');
    pane(&mut words).ok_or_else(|| format!("tmux says {line:?}"))
}

/// How the program of a pane has ended.
pub fn read_end(answer: &str, pane: &Pane) -> Ended {
    let words: Vec<&str> = answer.lines().next().unwrap_or_default().split(' ').collect();
    let [pid, status, signal] = words[..] else { return Ended::Unknown };
    if pid != pane.pid.to_string() {
        return Ended::Unknown;
    }
    let code = status.parse().ok().map(Exit::Code);
    // A number, or a name where the C library knows names (tmux(1)).
    let signal = Signal::parse(signal).map(Exit::Signal);
    // The end of a pane's terminal is often seen before that of its process (`pane_dead`), and says nothing.
    code.or(signal).map_or(Ended::NotYet, Ended::With)
}

/// The last screen of a session that is closed; `None`: tmux has not noticed the end yet, so it is still there. At most
/// `lines` lines, the newest ones, without the empty ones at the end.
pub fn read_close(answer: &str, lines: u32) -> Option<Vec<String>> {
    let (first, screen) = answer.split_once('\n').unwrap_or((answer, ""));
    if first == "1 " && screen.is_empty() {
        return None;
    }
    let screen: Vec<&str> = screen.trim_end().lines().collect();
    let newest = screen.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    Some(screen[newest..].iter().map(|line| line.trim_end().to_owned()).collect())
}

/// The panes of a list, each with the name of its session.
pub fn panes(answer: &str) -> Vec<(Pane, String)> {
    let read = |line: &str| {
        let mut words = line.splitn(5, ' ');
        Some((pane(&mut words)?, words.next()?.to_owned()))
    };
    answer.lines().filter_map(read).collect()
}

fn pane<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Pane> {
    let server = Pid::new(words.next()?.parse().ok()?)?;
    let session = words.next().filter(|id| id.starts_with('$'))?.to_owned();
    let id = words.next().filter(|id| id.starts_with('%'))?.to_owned();
    Some(Pane { server, session, id, pid: Pid::new(words.next()?.parse().ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_pane() -> Pane {
        read_start("3.3a 7 $3 %5 4711\n").unwrap()
    }

    #[test]
    fn versions_are_told_apart() {
        for (text, is_old) in [
            ("tmux 3.3a", false),
            ("tmux 3.2a", true),
            ("tmux next-3.6", false),
            ("tmux 2.9", true),
            ("3.10", false),
        ] {
            assert_eq!(Version::parse(text).unwrap().refusal().is_some(), is_old, "{text}");
        }
        assert_eq!(Version::parse("tmux master"), None);
    }

    #[test]
    fn a_start_tells_its_pane_or_what_is_wrong() {
        let pane = some_pane();
        assert_eq!((pane.session.as_str(), pane.id.as_str(), pane.pid.number()), ("$3", "%5", 4711));
        assert!(read_start("3.1 7 $3 %5 4711").unwrap_err().contains("too old"));
        assert!(read_start("").is_err());
        assert!(read_start("3.3a 7 $3 %5 x").is_err());
    }

    #[test]
    fn an_end_is_a_code_a_signal_or_not_known() {
        let pane = some_pane();
        for (answer, ended) in [
            ("4711 7 \n", Ended::With(Exit::Code(7))),
            ("4711  KILL\n", Ended::With(Exit::Signal(Signal::KILL))),
            ("4711  9\n", Ended::With(Exit::Signal(Signal::KILL))),
            ("4711  \n", Ended::NotYet),
            ("4712 7 \n", Ended::Unknown),
            ("  \n", Ended::Unknown),
            ("", Ended::Unknown),
        ] {
            assert_eq!(read_end(answer, &pane), ended, "{answer:?}");
        }
    }

    #[test]
    fn the_last_screen_has_so_many_lines_and_none_that_are_empty_at_the_end() {
        assert_eq!(read_close("1 \n", 9), None);
        assert_eq!(read_close("0 \n", 9), Some(Vec::new()));
        let screen = read_close("1 1\na\n\nb  \nc\n\n\n", 3).unwrap();
        assert_eq!(screen, ["", "b", "c"]);
    }

    #[test]
    fn a_list_of_panes_has_names_with_blanks() {
        let list = panes("7 $1 %1 50 a b\n7 $2 %2 51 c\nnonsense\n");
        assert_eq!(list.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["a b", "c"]);
    }
}
