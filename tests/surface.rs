//! The command line as it is told: help, completions and the manual, all of one table, and the parsers that know it.

mod support;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use support::{Outcome, Tested, ensure};

use runinit::cli::surface::{Opt, SURFACE, Subcommand};

/// runinit with these words, which is to print something.
fn printed(words: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_runinit")).args(words).env_clear().output();
    let output = output.map_err(|e| e.to_string())?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// A program that gets this on its standard input.
fn fed(command: &mut Command, input: &str) -> Result<Output, String> {
    let name = format!("{command:?}");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("{name}: {e}; tests/run installs what is missing"))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    written.transpose().map_err(|e| format!("{name}: {e}"))?;
    child.wait_with_output().map_err(|e| format!("{name}: {e}"))
}

/// Every option, with the words that reach it, in each of its spellings.
fn options() -> impl Iterator<Item = (&'static Subcommand, &'static Opt, String)> {
    SURFACE.iter().flat_map(|subcommand| {
        subcommand.options().flat_map(move |opt| {
            let short = opt.short.map(|letter| format!("-{letter}"));
            let long = opt.long.map(|word| format!("--{word}"));
            [short, long].into_iter().flatten().map(move |spelling| (subcommand, opt, spelling))
        })
    })
}

#[test]
fn the_parsers_take_every_option_of_the_table() -> Tested {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?; // one of them is told to write a picture
    for (subcommand, opt, spelling) in options() {
        let mut words = vec![subcommand.name, &spelling];
        // A value that every option takes, or refuses for what it is.
        words.extend(opt.value.map(|_| "TERM:INT"));
        words.retain(|word| !word.is_empty());
        let mut command = Command::new(env!("CARGO_BIN_EXE_runinit"));
        let output = command.args(&words).env_clear().current_dir(&dir).output();
        let output = output.map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_known = !["unknown option", "no shell", "takes nothing"].iter().any(|no| said.contains(no));
        ensure!(is_known, "{words:?}: {said}");
    }
    Ok(())
}

#[test]
fn the_parsers_take_no_other_option() -> Tested {
    let mut all: Vec<String> = options().map(|(_, _, spelling)| spelling).collect();
    all.extend(('a'..='z').chain('A'..='Z').map(|letter| format!("-{letter}")));
    for subcommand in SURFACE.iter().filter(|subcommand| subcommand.options().count() > 1) {
        for spelling in &all {
            if options().any(|(other, _, known)| other.name == subcommand.name && known == *spelling) {
                continue;
            }
            let mut words = vec![subcommand.name, spelling.as_str(), "--help"];
            words.retain(|word| !word.is_empty());
            let output = Command::new(env!("CARGO_BIN_EXE_runinit")).args(&words).env_clear().output();
            let output = output.map_err(|e| e.to_string())?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(said.contains("unknown option") || said.contains("nothing to run"), "{words:?}: {said}");
            ensure!(output.status.code() == Some(100), "{words:?}: {output:?}");
        }
    }
    Ok(())
}

#[test]
fn help_and_manual_tell_of_everything() -> Tested {
    let manual = printed(&["man"])?;
    for subcommand in SURFACE {
        let mut words = vec![subcommand.name, "--help"];
        words.retain(|word| !word.is_empty());
        let help = printed(&words)?;
        ensure!(printed(&[&words[..words.len() - 1], &["-h"]].concat())? == help, "-h says something else");
        ensure!(help.lines().all(|line| line.chars().count() <= 110), "a long line in {help}");
        for (usage, meaning) in subcommand.usages {
            ensure!(help.contains(usage) && help.contains(meaning), "{usage:?} is missing in {help}");
            ensure!(manual.contains(&usage.replace('-', "\\-")), "{usage:?} is missing in {manual}");
        }
    }
    let all = printed(&["--help"])?;
    for (subcommand, opt, spelling) in options() {
        let told =
            if subcommand.name.is_empty() { all.clone() } else { printed(&[subcommand.name, "--help"])? };
        ensure!(
            told.contains(&spelling) && told.contains(opt.variable.unwrap_or_default()),
            "{spelling}: {told}"
        );
        ensure!(manual.contains(&spelling.replace('-', "\\-")), "{spelling} is missing in the manual");
    }
    Ok(())
}

#[test]
fn the_manual_is_one() -> Tested {
    let page = printed(&["man"])?;
    let output = fed(Command::new("groff").args(["-man", "-ww", "-Tutf8", "-P-cbou"]), &page)?;
    let (text, warnings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && warnings.is_empty(), "groff: {warnings}");
    for word in [
        "RUNINIT(1)",
        "--stop-signal SIG",
        "Environment: RUNINIT_GRACE.",
        "runinit drill [OPTIONS] FILE",
        "128 + n",
    ] {
        ensure!(text.contains(word), "{word:?} is missing in {text}");
    }
    Ok(())
}

/// What bash would put in place of the last of these words.
fn completed(script: &str, words: &[&str]) -> Result<Vec<String>, String> {
    let count = words.len() - 1;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let quoted = quoted.join(" ");
    let ask = format!(
        "{script}\nCOMP_WORDS=({quoted}) COMP_CWORD={count}\n_runinit\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = fed(Command::new("bash").args(["--noprofile", "--norc", "-s"]), &ask)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "bash: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_completes() -> Tested {
    let script = printed(&["completions", "bash"])?;
    let checked = fed(Command::new("bash").arg("-n"), &script)?;
    ensure!(checked.status.success() && checked.stderr.is_empty(), "bash -n: {checked:?}");
    let is = |words: &[&str], wanted: &[&str]| -> Outcome {
        let found = completed(&script, words)?;
        ensure!(found == wanted, "{words:?}: {found:?}");
        Ok(())
    };
    is(&["runinit", "ex"], &["explain"])?;
    is(&["runinit", "--gr"], &["--grace"])?;
    is(&["runinit", "drill", "--"], &["--ready-within", "--grace", "--quiet", "--svg", "--help"])?;
    is(&["runinit", "explain", "--stop"], &[])?;
    is(
        &["runinit", "check", "--stop-signal", "SIGT"],
        &["SIGTRAP", "SIGTERM", "SIGTSTP", "SIGTTIN", "SIGTTOU"],
    )?;
    is(&["runinit", "completions", ""], &["bash", "zsh", "fish", "-h", "--help"])?;
    is(&["runinit", "--config", ""], &[])?;
    is(&["runinit", "drill", "fleet"], &[])?;
    for takes_file in ["check", "drill", "explain"] {
        is(&["runinit", takes_file, ""], &[])?;
    }
    let commands = completed(&script, &["runinit", "--", "bas"])?;
    ensure!(commands.iter().any(|command| command == "bash"), "{commands:?}");
    for subcommand in SURFACE {
        let words = ["runinit", subcommand.name, "-"].into_iter().filter(|word| !word.is_empty());
        let found = completed(&script, &words.collect::<Vec<_>>())?;
        let of_it = options().filter(|(other, ..)| other.name == subcommand.name);
        for (_, _, spelling) in of_it {
            ensure!(found.contains(&spelling), "{} {spelling}: {found:?}", subcommand.name);
        }
    }
    Ok(())
}

#[test]
fn zsh_and_fish_accept_their_scripts() -> Tested {
    for (shell, options) in [("zsh", ["-f", "-n"]), ("fish", ["--no-config", "--no-execute"])] {
        let script = printed(&["completions", shell])?;
        let checked = fed(Command::new(shell).args(options), &script)?;
        ensure!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
    }
    Ok(())
}

#[test]
fn zsh_completes() -> Tested {
    let script = printed(&["completions", "zsh"])?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = dir.path().join("_runinit");
    std::fs::write(&file, script).map_err(|e| e.to_string())?;
    // A shell on a terminal, and somebody who types a line and a tab and waits for what comes of it.
    let begin = format!(
        "zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z 'PROMPT=; autoload -U compinit; compinit -u -D; source {}; \
         print REA''DY'\nzpty -r z seen '*READY*'\n",
        file.display()
    );
    let lines = [
        ("runinit ex", "runinit explain"),
        ("runinit --gr", "runinit --grace"),
        ("runinit drill --re", "runinit drill --ready-within"),
        ("runinit completions z", "runinit completions zsh"),
        ("runinit --stop-signal SIGTE", "runinit --stop-signal SIGTERM"),
    ];
    let typed = lines.map(|(line, wanted)| {
        format!("zpty -w -n z '{line}'$'\\t'; zpty -r z seen '*{wanted}*' || exit 1; zpty -w -n z $'\\x15'\n")
    });
    let typist = begin + &typed.concat();
    let output = fed(Command::new("timeout").args(["30", "zsh", "-f"]).env("TERM", "dumb"), &typist)?;
    ensure!(output.status.success(), "zsh: {output:?}");
    Ok(())
}

/// What fish offers after this line.
fn offered(script: &str, line: &str) -> Result<Vec<String>, String> {
    let ask = format!("{script}\ncomplete --do-complete '{line}'\n");
    let output = fed(Command::new("fish").args(["--no-config"]), &ask)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "fish: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect())
}

#[test]
fn fish_completes() -> Tested {
    let script = printed(&["completions", "fish"])?;
    for (line, wanted) in [
        ("runinit ex", "explain"),
        ("runinit --gr", "--grace"),
        ("runinit drill --re", "--ready-within"),
        ("runinit completions z", "zsh"),
        ("runinit --stop-signal SIGTE", "SIGTERM"),
    ] {
        let found = offered(&script, line)?;
        ensure!(found.iter().any(|word| word == wanted), "{line:?}: {found:?}");
    }
    // After -- comes a command, and a subcommand is the first word.
    let found = offered(&script, "runinit -- sl")?;
    ensure!(found.iter().any(|word| word == "sleep"), "no command: {found:?}");
    for (line, unwanted) in [("runinit -- si", "signal"), ("runinit --grace 5s che", "check")] {
        let found = offered(&script, line)?;
        ensure!(!found.iter().any(|word| word == unwanted), "{line:?}: {found:?}");
    }
    Ok(())
}

#[test]
fn another_shell_is_refused() -> Tested {
    for (words, wanted) in [
        (vec!["completions", "tcsh"], "\"tcsh\" is no shell that is known"),
        (vec!["completions"], "for which shell?"),
        (vec!["man", "7"], "takes nothing; what is \"7\"?"),
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_runinit")).args(&words).output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(100) && said.contains(wanted), "{words:?}: {output:?}");
    }
    Ok(())
}
