//! Command lines, good and bad: the code, and what is said where.

use super::ran::{Ran, run};
use crate::support::Name::{Catatonit, DumbInit, Tini};
use crate::support::table::is_there;
use crate::support::{Init, Name, Outcome};
use std::fmt::Write as _;
use std::io::Write as _;

/// What has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    /// The code and every word.
    All,
    /// The code, and whether anything is said on standard output and error: the words are runinit's own.
    Code,
}
use Same::{All, Code};

type Environment = &'static [(&'static str, &'static str)];

/// Whose, what has to be the same, the real one's code, the environment, the words.
type Line = (Name, Same, i32, Environment, &'static [&'static str]);

#[rustfmt::skip]
const LINES: &[Line] = &[
    // Where the options end.
    (Tini, All, 3, &[("TINI_SUBREAPER", "")], &["--", "sh", "-c", "exit 3"]),
    (Tini, Code, 1, &[], &["sh", "-c", "exit 3"]),
    (Tini, All, 0, &[("TINI_SUBREAPER", "")], &["echo", "-g", "a", "-w", "--", "-g"]),
    (Tini, All, 0, &[("TINI_SUBREAPER", ""), ("POSIXLY_CORRECT", "")], &["-g", "echo", "-g", "a", "--"]),
    (Tini, All, 0, &[], &["-s", "--", "echo", "--", "-h"]),
    (Tini, Code, 1, &[], &["--"]),
    (Tini, Code, 1, &[], &[]),
    (Tini, All, 127, &[], &["-s", "-"]),
    // Bundled, repeated, attached.
    (Tini, All, 0, &[], &["-sgg", "true"]),
    (Tini, All, 0, &[], &["-ssgwe3", "--", "sh", "-c", "exit 3"]),
    (Tini, All, 3, &[], &["-se4", "-e", "5", "--", "sh", "-c", "exit 3"]),
    (Tini, All, 0, &[], &["-vs", "--", "sh", "-c", "exit 0"]),
    (Tini, All, 0, &[], &["-s", "-pSIGKILL", "true"]),
    (Tini, All, 0, &[], &["-s", "-p", "SIGTERM", "-pSIGSYS", "true"]),
    // What is wrong.
    (Tini, Code, 1, &[], &["-z"]),
    (Tini, Code, 1, &[], &["-gz", "true"]),
    (Tini, Code, 1, &[], &["--foo"]),
    (Tini, Code, 1, &[], &["-e"]),
    (Tini, Code, 1, &[], &["-p"]),
    (Tini, All, 1, &[], &["-e", "256", "true"]),
    (Tini, All, 1, &[], &["-e", "-1", "true"]),
    (Tini, All, 1, &[], &["-e", "0x3", "true"]),
    (Tini, All, 1, &[], &["-e", "3 ", "true"]),
    (Tini, All, 1, &[], &["-e99999999999999999999", "true"]),
    (Tini, All, 0, &[], &["-s", "-e", " +3", "--", "sh", "-c", "exit 3"]),
    (Tini, All, 3, &[], &["-s", "-e", "", "--", "sh", "-c", "exit 3"]),
    (Tini, All, 1, &[], &["-p", "KILL", "true"]),
    (Tini, All, 1, &[], &["-p", "9", "true"]),
    (Tini, All, 1, &[], &["-p", "sigkill", "true"]),
    (Tini, All, 1, &[], &["-p", "SIGIO", "true"]),
    (Tini, All, 1, &[], &["-p", "SIGPWR", "true"]),
    (Tini, All, 1, &[], &["-p", "SIGRTMIN", "true"]),
    (Tini, All, 1, &[], &["-p", "", "true"]),
    // Questions.
    (Tini, Code, 0, &[], &["--version"]),
    (Tini, Code, 1, &[], &["--version", "true"]),
    (Tini, Code, 1, &[], &["-g", "--version"]),
    (Tini, Code, 0, &[], &["-h"]),
    (Tini, Code, 0, &[], &["-gh", "-z"]),
    (Tini, Code, 1, &[], &["-z", "-h"]),
    (Tini, Code, 0, &[], &["-l"]),
    (Tini, Code, 0, &[], &["true", "-l"]),
    // The environment.
    (Tini, Code, 0, &[], &["true"]),
    (Tini, All, 0, &[("TINI_VERBOSITY", "0")], &["true"]),
    (Tini, All, 0, &[("TINI_VERBOSITY", "")], &["-vvv", "true"]),
    (Tini, All, 0, &[("TINI_VERBOSITY", " 2x"), ("TINI_SUBREAPER", "0")], &["true"]),
    (Tini, Code, 0, &[("TINI_VERBOSITY", "-1")], &["-s", "true"]),
    (Tini, Code, 0, &[("TINI_VERBOSITY", "1")], &["true"]),
    // Commands that do not start.
    (Tini, All, 127, &[], &["-s", "no-such-command"]),
    (Tini, All, 127, &[], &["-s", "/no/such/command"]),
    (Tini, All, 127, &[], &["-s", ""]),
    (Tini, All, 126, &[], &["-s", "/etc/passwd"]),
    (Tini, All, 126, &[], &["-s", "/"]),
    (Tini, All, 1, &[], &["-s", "/etc/passwd/x"]),

    // Where the options end.
    (DumbInit, All, 0, &[], &["echo", "-v"]),
    (DumbInit, All, 0, &[], &["--", "echo", "--", "-v"]),
    (DumbInit, All, 0, &[], &["-c", "--", "echo", "-v"]),
    (DumbInit, All, 1, &[], &[]),
    (DumbInit, All, 1, &[], &["--"]),
    (DumbInit, All, 1, &[("DUMB_INIT_DEBUG", "1"), ("DUMB_INIT_SETSID", "0")], &[]),
    (DumbInit, All, 2, &[], &["-"]),
    // Bundled, repeated, attached, cut short.
    (DumbInit, All, 0, &[], &["-cr15:2", "-r", "1:0", "echo", "a"]),
    (DumbInit, All, 0, &[], &["-ccvc", "true"]),
    (DumbInit, All, 0, &[], &["--single-child", "--verbose", "--rewrite=15:2", "--rewrite", "1:2", "true"]),
    (DumbInit, All, 0, &[], &["--rew", "15:2", "--sin", "echo", "a"]),
    (DumbInit, All, 0, &[], &["--r=15:2", "--s", "echo", "a"]),
    // What is wrong.
    (DumbInit, All, 1, &[], &["--v", "true"]),
    (DumbInit, All, 1, &[], &["--ver", "true"]),
    (DumbInit, All, 1, &[], &["--yolo", "true"]),
    (DumbInit, All, 1, &[], &["--yolo=1", "true"]),
    (DumbInit, All, 1, &[], &["--help=x"]),
    (DumbInit, All, 1, &[], &["--single=", "true"]),
    (DumbInit, All, 1, &[], &["--rewrite"]),
    (DumbInit, All, 1, &[], &["-r"]),
    (DumbInit, All, 1, &[], &["-z"]),
    (DumbInit, All, 1, &[], &["-cz", "true"]),
    (DumbInit, All, 1, &[], &["-r", "echo", "oh,", "hi"]),
    (DumbInit, All, 1, &[], &["-r", "", "true"]),
    (DumbInit, All, 1, &[], &["-r", "herp", "true"]),
    (DumbInit, All, 1, &[], &["-r", "herp:derp", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15::12", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15:derp", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15 :2", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15:12", "-r"]),
    (DumbInit, All, 1, &[], &["-r", "15:12", "-r", "0", "true"]),
    (DumbInit, All, 1, &[], &["-r", "15:12", "-r", "1:32", "true"]),
    (DumbInit, All, 1, &[], &["-r", "0:1", "true"]),
    (DumbInit, All, 1, &[], &["-r", "32:1", "true"]),
    (DumbInit, All, 1, &[], &["-r", "1:-1", "true"]),
    (DumbInit, All, 1, &[], &["-r", "TERM:INT", "true"]),
    (DumbInit, All, 0, &[], &["-r", " 15: +2 and more", "echo", "a"]),
    // Questions.
    (DumbInit, Code, 0, &[], &["-h"]),
    (DumbInit, Code, 0, &[], &["--help"]),
    (DumbInit, Code, 0, &[], &["-ch", "-z"]),
    (DumbInit, Code, 0, &[], &["-V"]),
    (DumbInit, Code, 0, &[], &["--version", "true"]),
    // The environment.
    (DumbInit, All, 0, &[("DUMB_INIT_DEBUG", "1"), ("DUMB_INIT_SETSID", "0")], &["true"]),
    (DumbInit, All, 0, &[("DUMB_INIT_DEBUG", "true"), ("DUMB_INIT_SETSID", "")], &["true"]),
    (DumbInit, All, 0, &[("DUMB_INIT_SETSID", "0")], &["-vr15:0", "true"]),
    (DumbInit, Code, 0, &[], &["-v", "true"]),
    // Commands that do not start.
    (DumbInit, All, 2, &[], &["no-such-command"]),
    (DumbInit, All, 2, &[], &["--", "/doesnotexist"]),
    (DumbInit, All, 2, &[], &["-c", "/doesnotexist"]),
    (DumbInit, All, 2, &[], &["--single-child", "--", "/doesnotexist"]),
    (DumbInit, All, 2, &[], &[""]),
    (DumbInit, All, 2, &[], &["/etc/passwd"]),
    (DumbInit, All, 2, &[], &["/etc/passwd/x"]),
    (DumbInit, All, 137, &[], &["sh", "-c", "kill -9 $$"]),

    // Where the options end.
    (Catatonit, All, 0, &[], &["echo", "-g", "a", "--", "-g"]),
    (Catatonit, All, 0, &[("POSIXLY_CORRECT", "1")], &["echo", "-g", "--", "-g"]),
    (Catatonit, All, 7, &[], &["-gg", "--", "sh", "-c", "exit 7"]),
    (Catatonit, All, 1, &[], &["sh", "-c", "exit 7"]),
    (Catatonit, All, 1, &[], &[]),
    (Catatonit, All, 1, &[], &["-g", "--"]),
    (Catatonit, All, 1, &[], &["-"]),
    // What is wrong.
    (Catatonit, All, 1, &[], &["-z"]),
    (Catatonit, All, 1, &[], &["-gz", "true"]),
    (Catatonit, All, 1, &[], &["--foo"]),
    (Catatonit, All, 1, &[], &["--version=3"]),
    (Catatonit, All, 1, &[("CATATONIT_LOG", "")], &["-h"]),
    // Questions.
    (Catatonit, Code, 0, &[], &["-h"]),
    (Catatonit, Code, 0, &[], &["-V"]),
    (Catatonit, Code, 0, &[], &["--version"]),
    (Catatonit, Code, 0, &[], &["--v", "-z"]),
    (Catatonit, Code, 0, &[], &["-P", "true", "--version"]),
    (Catatonit, Code, 0, &[], &["-gL"]),
    // The environment.
    (Catatonit, Code, 0, &[("CATATONIT_DEBUG", "")], &["true"]),
    // Commands that do not start.
    (Catatonit, All, 1, &[], &["no-such-command"]),
    (Catatonit, All, 1, &[], &["/etc/passwd"]),
    (Catatonit, All, 1, &[], &["/"]),
    (Catatonit, All, 137, &[], &["--", "sh", "-c", "kill -9 $$"]),
];

/// Runs every line with the real one and with runinit under its name, and prints both.
pub(crate) fn compare() -> Outcome {
    let (mut table, mut wrong) =
        (String::from("| command line | real | runinit |\n| --- | --- | --- |\n"), String::new());
    for &(name, same, code, environment, words) in LINES {
        let shown = show(name, environment, words);
        let ours = without_numbers(run(Init::RuninitAs(name), environment, words)?);
        let mut told = ours.code.to_string();
        if ours.code != code {
            let _ = writeln!(wrong, "\n{shown}: runinit: not {code}: {ours:?}");
        }
        if is_there(name.real())? {
            let real = without_numbers(run(name.real(), environment, words)?);
            told = real.code.to_string();
            if !is_same(same, &real, &ours) {
                let _ = writeln!(wrong, "\n{shown}:\n  real    {real:?}\n  runinit {ours:?}");
            }
        }
        let _ = writeln!(table, "| `{shown}` | {told} | {} |", ours.code);
    }
    let _ = writeln!(std::io::stderr(), "\n{table}");
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn is_same(same: Same, real: &Ran, ours: &Ran) -> bool {
    let streams = |ran: &Ran| (ran.stdout.is_empty(), ran.stderr.is_empty());
    real == ours || same == Code && real.code == ours.code && streams(real) == streams(ours)
}

fn show(name: Name, environment: Environment, words: &[&str]) -> String {
    let quote = |word: &str| {
        let is_plain =
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+=:/.,_".contains(&b));
        if is_plain { word.to_owned() } else { format!("'{word}'") }
    };
    let environment = environment
        .iter()
        .map(|(name, value)| format!("{name}={}", if value.is_empty() { "" } else { value }));
    let words = words.iter().map(|word| quote(word));
    environment.chain([name.real().name().to_owned()]).chain(words).collect::<Vec<_>>().join(" ")
}

/// Process ids are different every time.
fn without_numbers(mut ran: Ran) -> Ran {
    for text in [&mut ran.stdout, &mut ran.stderr] {
        for mark in ["tini (", "pid '", "PID ", "pid=", "catatonit:", "pid1 ("] {
            let mut parts = text.split(mark);
            let first = parts.next().unwrap_or_default().to_owned();
            let rest =
                parts.map(|part| format!("{mark}N{}", part.trim_start_matches(|c: char| c.is_ascii_digit())));
            *text = first + &rest.collect::<String>();
        }
    }
    ran
}
