//! The subcommands that ask a runinit that runs.

use super::Command;
use super::options::{Environment, only, path, refused};
use super::surface::subcommand;
use crate::config::signal_named;
use crate::control::protocol::{Request, Target};
use crate::control::{Ask, Show, What, Where};
use crate::core::duration;
use crate::core::signal::Signal;
use lexopt::{Arg, Parser};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// Answers that come at once come within this, or something is wrong.
const SOON: Duration = Duration::from_secs(5);

/// The options as they were given.
#[derive(Debug, Default)]
struct Given {
    control: Option<PathBuf>,
    config: Option<PathBuf>,
    timeout: Option<Duration>,
    no_wait: bool,
    show: Option<Show>,
    follow: bool,
    lines: Option<usize>,
    /// The keys of a program to add.
    keys: Map<String, Value>,
    words: Vec<String>,
    command: Vec<String>,
}

pub(super) fn parse(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Command, String> {
    let usages = subcommand(name).usages.iter();
    let usage = |usage: &str| format!("runinit {name} {usage}").trim_end().to_owned();
    let usages: Vec<String> = usages.map(|(words, _)| usage(words)).collect();
    let usage = usages.join(", or ");
    let Some(given) = read(name, arguments).map_err(|why| format!("{why}; usage: {usage}"))? else {
        return Ok(Command::Help(subcommand(name)));
    };
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let place = Where {
        control: given.control.clone().or_else(|| variable("RUNINIT_CONTROL")),
        config: given.config.clone().or_else(|| variable("RUNINIT_CONFIG")),
        runtime_directory: environment("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()),
        no_color: variable("NO_COLOR").is_some(),
    };
    let timeout = given.timeout;
    let what = what(name, given).map_err(|why| format!("{why}; usage: {usage}"))?;
    let takes_time = matches!(&what, What::Do(request) if !matches!(request, Request::Signal { .. }));
    let timeout = timeout.or((!takes_time).then_some(SOON));
    Ok(Command::Ask(Ask { place, what, timeout }))
}

/// `None`: help is asked for.
fn read(name: &str, arguments: impl Iterator<Item = OsString>) -> Result<Option<Given>, String> {
    let arguments: Vec<OsString> = arguments.collect();
    let dashes = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let mut given = Given::default();
    for word in arguments.get(dashes + 1..).unwrap_or_default() {
        given.command.push(text(word)?);
    }
    let mut parser = Parser::from_args(arguments[..dashes].iter().cloned());
    while let Some(argument) = parser.next().map_err(|e| refused(&e))? {
        let option = match argument {
            Arg::Short('h') | Arg::Long("help") => return only(&mut parser, None),
            Arg::Value(word) => {
                given.words.push(text(&word)?);
                continue;
            }
            Arg::Short(letter) => format!("-{letter}"),
            Arg::Long(word) => format!("--{word}"),
        };
        given.take(name, &option, &mut parser)?;
    }
    Ok(Some(given))
}

impl Given {
    fn take(&mut self, name: &str, option: &str, parser: &mut Parser) -> Result<(), String> {
        let mut value = || parser.value().map_err(|e| refused(&e));
        let waits = ["stop", "start", "restart", "reload", "remove"].contains(&name);
        match (name, option) {
            (_, "--control") => self.control = Some(path(value()?, "--control")?),
            (_, "-c" | "--config") => self.config = Some(path(value()?, option)?),
            (_, "--timeout") => self.timeout = Some(timeout(&text(&value()?)?)?),
            (_, "--no-wait") if waits => self.no_wait = true,
            ("status", "--json") => self.show(Show::Json)?,
            ("status", "--prometheus") => self.show(Show::Prometheus)?,
            ("status", "--watch") => self.show(Show::Watch)?,
            ("logs", "-f" | "--follow") => self.follow = true,
            ("logs", "-n" | "--lines") => self.lines = Some(number(&text(&value()?)?)?),
            ("start", "--name") => self.set("name", text(&value()?)?.into()),
            ("start", "--tmux") => self.set("tmux", json!({"session": text(&value()?)?})),
            ("start", "--cwd") => self.set("cwd", text(&value()?)?.into()),
            ("start", "--env") => self.add_variable(&text(&value()?)?)?,
            ("start", "--stop") => self.set("stop", cascade(&text(&value()?)?)?),
            ("start", "--set") => self.set_key(&text(&value()?)?)?,
            _ => return Err(format!("unknown option {option}")),
        }
        Ok(())
    }

    fn show(&mut self, show: Show) -> Result<(), String> {
        if self.show.replace(show).is_some_and(|other| other != show) {
            return Err("one of --json, --prometheus and --watch at a time".to_owned());
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value) {
        self.keys.insert(key.to_owned(), value);
    }

    fn add_variable(&mut self, text: &str) -> Result<(), String> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("--env {text:?}: write it as NAME=VALUE"))?;
        let variables = self.keys.entry("env").or_insert_with(|| json!({})).as_object_mut();
        let variables = variables.ok_or_else(|| format!("--env {text:?}: \"env\" is no table here"))?;
        variables.insert(name.to_owned(), value.into());
        Ok(())
    }

    /// What is no JSON is a string: `--set restart=always`, `--set 'after=["db"]'`.
    fn set_key(&mut self, text: &str) -> Result<(), String> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| format!("--set {text:?}: write it as KEY=VALUE"))?;
        self.set(key, serde_json::from_str(value).unwrap_or_else(|_| value.into()));
        Ok(())
    }

    /// The only word.
    fn name(&self) -> Result<String, String> {
        match self.words.as_slice() {
            [] => Err("which program?".to_owned()),
            [name] => Ok(name.clone()),
            [_, second, ..] => Err(format!("one program at a time; what is {second:?}?")),
        }
    }
}

fn what(name: &str, given: Given) -> Result<What, String> {
    if name != "start" && !given.command.is_empty() {
        return Err(format!("{name} takes no command"));
    }
    let wait = !given.no_wait;
    let target = || given.name().map(|program| Target { program, wait });
    if let ("status" | "health" | "reload", Some(word)) = (name, given.words.first()) {
        return Err(format!("{name} takes no name; what is {word:?}?"));
    }
    Ok(match name {
        "status" => What::Status(given.show.unwrap_or(Show::Table)),
        "health" => What::Health,
        "stop" => What::Do(Request::Stop(target()?)),
        "start" if given.keys.is_empty() && given.command.is_empty() => What::Do(Request::Start(target()?)),
        "start" => What::Do(added(given)?),
        "restart" => What::Do(Request::Restart(target()?)),
        "signal" => What::Do(signal(&given.words)?),
        "logs" => What::Logs { program: given.name()?, lines: given.lines, follow: given.follow },
        "attach" => What::Attach(given.name()?),
        "reload" => What::Do(Request::Reload { wait }),
        _ => What::Do(Request::Remove(target()?)),
    })
}

fn added(mut given: Given) -> Result<Request, String> {
    if let Some(word) = given.words.first() {
        return Err(format!("a new program is named with --name; what is {word:?}?"));
    }
    if !given.keys.contains_key("name") {
        return Err("a new program needs --name NAME".to_owned());
    }
    if !given.command.is_empty() {
        given.keys.insert("command".to_owned(), given.command.into());
    }
    Ok(Request::Add { program: given.keys, wait: !given.no_wait })
}

/// `NAME SIGNAL`, or the other way round where that is plain.
fn signal(words: &[String]) -> Result<Request, String> {
    let [first, second] = words else { return Err("which program, and which signal?".to_owned()) };
    let is_turned = Signal::parse(second).is_none() && Signal::parse(first).is_some();
    let (program, signal) = if is_turned { (second, first) } else { (first, second) };
    signal_named(signal)?;
    Ok(Request::Signal { program: program.clone(), signal: signal.clone() })
}

/// `TERM:5s,KILL:2s`, or an array as in the configuration, in JSON.
fn cascade(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("--stop: {error}"));
    }
    let step = |step: &str| {
        let (signal, wait) = step.trim().split_once(':')?;
        Some(json!({"signal": signal, "wait": wait}))
    };
    let steps: Option<Vec<Value>> = text.split(',').map(step).collect();
    steps.map(Value::from).ok_or_else(|| format!("--stop {text:?}: write it as TERM:5s,KILL:2s"))
}

fn text(word: &OsStr) -> Result<String, String> {
    word.to_str().map(str::to_owned).ok_or_else(|| format!("{} is no UTF-8", word.display()))
}

fn timeout(text: &str) -> Result<Duration, String> {
    duration::parse_some(text).map_err(|why| format!("--timeout: {why}"))
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("-n {text:?}: how many lines?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Result<Ask, String> {
        let mut words = words.split(' ');
        let name = words.next().unwrap();
        match parse(name, words.map(OsString::from), &|_| None)? {
            Command::Ask(ask) => Ok(ask),
            other => Err(format!("{other:?}")),
        }
    }

    fn keys(words: &str) -> Value {
        match asked(words).unwrap().what {
            What::Do(Request::Add { program, .. }) => Value::Object(program),
            what => panic!("{what:?}"),
        }
    }

    #[test]
    fn a_new_program_is_what_its_options_say() {
        let words = "start --name x --tmux s --env A=b=c --env D= --stop TERM:5s,KILL:2s --set after=[\"db\"] \
                     --set restart=always --set nice=3 -- sleep 10";
        let wanted = json!({
            "name": "x", "tmux": {"session": "s"}, "env": {"A": "b=c", "D": ""}, "after": ["db"],
            "stop": [{"signal": "TERM", "wait": "5s"}, {"signal": "KILL", "wait": "2s"}],
            "restart": "always", "nice": 3, "command": ["sleep", "10"],
        });
        assert_eq!(keys(words), wanted);
        let stop = r#"[{"keys":"/exit","wait":"1s"}]"#;
        assert_eq!(keys(&format!("start --name x --stop {stop} -- a"))["stop"][0]["keys"], "/exit");
    }

    #[test]
    fn answers_that_take_their_time_are_waited_for() {
        assert_eq!(asked("status").unwrap().timeout, Some(SOON));
        assert_eq!(asked("signal web HUP").unwrap().timeout, Some(SOON));
        assert_eq!(asked("stop web").unwrap().timeout, None);
        assert_eq!(asked("stop web --timeout 3s").unwrap().timeout, Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_the_usage() {
        for (words, why) in [
            ("stop", "which program?"),
            ("stop a b", "what is \"b\"?"),
            ("stop web --json", "unknown option --json"),
            ("stop web --timeout 0s", "longer than nothing"),
            ("stop web -- sleep", "takes no command"),
            ("health web", "takes no name"),
            ("status --json --prometheus", "one of --json"),
            ("start --name x y -- a", "what is \"y\"?"),
            ("start -- a", "needs --name"),
            ("start --name x --env A -- a", "NAME=VALUE"),
            ("start --name x --set env=A --env B=c -- a", "\"env\" is no table here"),
            ("start --name x --stop TERM -- a", "TERM:5s,KILL:2s"),
            ("signal web", "which signal?"),
            ("signal web TREM", "did you mean \"SIGTERM\"?"),
            ("logs web -n many", "how many lines?"),
        ] {
            let said = asked(words).unwrap_err();
            assert!(said.contains(why) && said.contains("; usage: runinit "), "{words}: {said}");
        }
    }
}
