//! Scripts that complete runinit's words, for shells.

use super::surface::{Opt, SURFACE, Subcommand, names};
use crate::core::signal::Signal;
use std::fmt::Write;

/// The script for a shell; `None` for one that is not known.
pub fn completions(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// Those that somebody would type.
fn signals() -> String {
    let named = Signal::all().map(|signal| signal.to_string()).take(31);
    named.collect::<Vec<_>>().join(" ")
}

/// Every way to write an option.
fn spellings(opt: &Opt) -> impl Iterator<Item = String> {
    let short = opt.short.map(|letter| format!("-{letter}"));
    short.into_iter().chain(opt.long.map(|word| format!("--{word}")))
}

fn words(subcommand: &Subcommand) -> String {
    let options = subcommand.options().flat_map(spellings);
    let words: Vec<String> = subcommand.words.iter().copied().map(str::to_owned).chain(options).collect();
    words.join(" ")
}

/// The options of all subcommands whose value is called so, as a pattern of `case`.
fn with_value(is_it: impl Fn(&str) -> bool) -> String {
    let options = SURFACE.iter().flat_map(Subcommand::options);
    let mut found: Vec<String> =
        options.filter(|opt| opt.value.is_some_and(&is_it)).flat_map(spellings).collect();
    found.sort_unstable();
    found.dedup();
    found.join("|")
}

fn bash() -> String {
    let mut cases = String::new();
    // Writing to a string does not fail.
    for subcommand in SURFACE.iter().filter(|subcommand| !subcommand.name.is_empty()) {
        // Where a file is wanted, nothing else is offered for a word that has not begun.
        let only_if = if subcommand.takes_file() { "[[ $word == -* ]] && " } else { "" };
        let _ = writeln!(cases, "    {}) {only_if}words='{}' ;;", subcommand.name, words(subcommand));
    }
    let all: Vec<&str> = names().collect();
    format!(
        "\
# bash completion for runinit: source <(runinit completions bash)
_runinit() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${{COMP_WORDS[i]}} == -- ]] || continue
    # A command of somebody else's.
    if declare -F _command_offset >/dev/null; then
      _command_offset $((i + 1))
    elif ((COMP_CWORD == i + 1)); then
      mapfile -t COMPREPLY < <(compgen -c -- \"$word\")
    fi
    return
  done
  case $before in
    # Nothing is a file's name, by -o default.
    {}) return ;;
    {}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\"); return ;;
  esac
  case ${{COMP_WORDS[1]}} in
{cases}    *) words='{}'; if ((COMP_CWORD == 1)); then words+=' {}'; fi ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")
}}
complete -o default -F _runinit runinit
",
        with_value(|value| value != "SIG"),
        with_value(|value| value == "SIG"),
        signals(),
        words(&SURFACE[0]),
        all.join(" "),
    )
}

fn zsh() -> String {
    let mut cases = String::new();
    for subcommand in SURFACE.iter().filter(|subcommand| !subcommand.name.is_empty()) {
        let _ = writeln!(
            cases,
            "  {})\n    shift words; ((CURRENT--))\n    _arguments -s {}",
            subcommand.name,
            arguments(subcommand)
        );
        cases.push_str("    ;;\n");
    }
    let described: Vec<String> = SURFACE
        .iter()
        .filter(|subcommand| !subcommand.name.is_empty())
        .map(|subcommand| {
            // _arguments(1) evaluates these once more.
            let meaning = subcommand.usages[0].1.replace('\'', "\\'").replace(' ', "\\ ");
            format!("{}\\:{}", subcommand.name, quoted(&meaning))
        })
        .collect();
    format!(
        "\
#compdef runinit
# zsh completion for runinit: put it into a directory of $fpath as _runinit
_runinit() {{
  case ${{words[2]}} in
{cases}  *)
    _arguments -s {} '1:subcommand:(({}))' '*::command:_normal'
    ;;
  esac
}}
compdef _runinit runinit
",
        arguments(&SURFACE[0]),
        described.join(" "),
    )
}

/// The specs of a subcommand's options and words, as _arguments(1) reads them.
fn arguments(subcommand: &Subcommand) -> String {
    let mut specs: Vec<String> = subcommand.options().map(spec).collect();
    if !subcommand.words.is_empty() {
        specs.push(format!("'1:word:({})'", subcommand.words.join(" ")));
    } else if subcommand.takes_file() {
        specs.push("'*:file:_files'".to_owned());
    }
    specs.join(" ")
}

fn spec(opt: &Opt) -> String {
    let value = match opt.value {
        None => String::new(),
        Some("FILE") => ":file:_files".to_owned(),
        Some("SIG") => format!(":signal:({})", signals()),
        Some(value) => format!(":{}: ", quoted(value)),
    };
    let told = format!("[{}]{value}", quoted(opt.meaning));
    let all: Vec<String> = spellings(opt).collect();
    match all.as_slice() {
        [one] => format!("'{one}{told}'"),
        all => format!("'({})'{{{}}}'{told}'", all.join(" "), all.join(",")),
    }
}

/// For the inside of a spec in single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:").replace('[', "\\[").replace(']', "\\]")
}

fn fish() -> String {
    let all: Vec<&str> = names().collect();
    let all = all.join(" ");
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut text = format!(
        "\
# fish completion for runinit: runinit completions fish | source
function __runinit_in
    set -l words (commandline -poc)
    contains -- -- $words; and return 1
    contains -- \"$words[2]\" {all}; or set words[2] ''
    test \"$words[2]\" = \"$argv\"
end
# A command of somebody else's.
function __runinit_command
    set -l words (commandline -poc)
    set -e words[1..(contains -i -- -- $words)]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c runinit -f
complete -c runinit -n 'contains -- -- (commandline -poc)' -a '(__runinit_command)'
"
    );
    for subcommand in SURFACE {
        if !subcommand.name.is_empty() {
            let told = escaped(subcommand.usages[0].1);
            let _ = writeln!(
                text,
                "complete -c runinit -n 'test (count (commandline -poc)) -eq 1' -a {} -d '{told}'",
                subcommand.name
            );
        }
        let condition = format!("__runinit_in {}", subcommand.name);
        let condition = condition.trim_end();
        if subcommand.takes_file() {
            let _ = writeln!(text, "complete -c runinit -n '{condition}' -F");
        }
        if !subcommand.words.is_empty() {
            let _ =
                writeln!(text, "complete -c runinit -n '{condition}' -a '{}'", subcommand.words.join(" "));
        }
        for opt in subcommand.options() {
            let mut line = format!("complete -c runinit -n '{condition}'");
            line.extend(opt.short.map(|letter| format!(" -s {letter}")));
            line.extend(opt.long.map(|word| format!(" -l {word}")));
            let value = match opt.value {
                None => String::new(),
                Some("FILE") => " -r -F".to_owned(),
                Some("SIG") => format!(" -x -a '{}'", signals()),
                Some(_) => " -x".to_owned(),
            };
            line.push_str(&value);
            let _ = writeln!(text, "{line} -d '{}'", escaped(opt.meaning));
        }
    }
    text
}
