use super::*;
use crate::core::confinement::{Capabilities, Confinement, Identity, Limit, User};
use crate::core::hygiene::{Sessions, Workspaces};
use crate::core::plan::{OnFailure, Output, OutputFile, ProgramId, Stdin, Step, StepAction};
use crate::core::policy::Restart;
use crate::core::signal::Signal;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::Duration;

fn parsed(text: &str) -> Result<Fleet, Vec<Diagnostic>> {
    static ETC: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let etc = tempfile::tempdir().unwrap();
        std::fs::write(etc.path().join("passwd"), PASSWD).unwrap();
        std::fs::write(etc.path().join("group"), GROUP).unwrap();
        etc
    });
    parse_with(Report::new(Path::new("c.toml"), text, Reading::AtStart), MainCommand::InFile, ETC.path())
}

/// Who is known where these tests are read.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/srv/app:\n4242:x:7:8:::/bin/false\n";
const GROUP: &str = "root:x:0:\nadm:x:4:app,root\nwww:x:33:app\napp:x:1000:\n4242:x:9:\n";

fn good(text: &str) -> Fleet {
    parsed(text).unwrap_or_else(|found| panic!("{}", shown(&found).join("\n")))
}

/// The diagnostics without the file's name.
fn shown(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|d| d.to_string().replace("c.toml:", "").trim_start().to_owned()).collect()
}

fn refusals(text: &str) -> Vec<String> {
    shown(&parsed(text).err().unwrap_or_default())
}

/// Each program line stands on line 4, after a program that is right.
fn program(line: &str) -> String {
    format!("[[program]]\nname = \"a\"\ncommand = [\"a\"]\n{line}\n")
}

#[test]
fn every_slip_in_a_program_is_told_exactly() {
    for (line, expected) in [
        ("comand = 1", "4:1: unknown key \"comand\" (did you mean \"command\"?)"),
        ("environment = {}", "4:1: unknown key \"environment\" (did you mean \"env\"?)"),
        ("after = \"b\"", "4:9: \"after\" must be an array of strings, not a string"),
        ("after = [1]", "4:10: \"after\" must be an array of strings, not an integer"),
        ("after = [\"postgres\"]", "4:10: there is no program \"postgres\""),
        ("after = [\"a\"]", "4:10: \"a\" cannot start after itself"),
        ("main = \"yes\"", "4:8: \"main\" must be true or false, not a string"),
        ("shell = \"b\"", "4:1: there are both \"command\" and \"shell\"; keep one"),
        ("cwd = \"\"", "4:7: \"cwd\" is empty"),
        ("cwd = \"a\\u0000\"", "4:7: \"cwd\" must not hold a NUL character"),
        ("clear_env = 1", "4:13: \"clear_env\" must be true or false, not an integer"),
        ("env = [\"A=1\"]", "4:7: \"env\" must be a table, not an array"),
        ("env = { A = 80 }", "4:13: \"A\" must be a string, not an integer"),
        ("env = { \"A=B\" = \"\" }", "4:9: \"A=B\" cannot be the name of a variable"),
        ("env_file = 3.5", "4:12: \"env_file\" must be a string, not a float"),
        ("on_failure = \"stop\"", "4:14: \"on_failure\" must be \"ignore\" or \"shutdown\", not \"stop\""),
        (
            "on_failure = \"shutdwon\"",
            "4:14: \"on_failure\" must be \"ignore\" or \"shutdown\", not \"shutdwon\" (did you mean \"shutdown\"?)",
        ),
        ("success_codes = 0", "4:17: \"success_codes\" must be an array of exit codes, not an integer"),
        ("success_codes = [0, 256]", "4:21: \"success_codes\" must be 0 to 255, not 256"),
        ("success_codes = [-1]", "4:18: \"success_codes\" must be 0 to 255, not -1"),
        (
            "success_codes = [99999999999999999999]",
            "4:18: \"success_codes\" must be 0 to 255, not 99999999999999999999",
        ),
        (
            "signals = { SIGHUPP = \"drop\" }",
            "4:13: there is no signal \"SIGHUPP\" (did you mean \"SIGHUP\"?)",
        ),
        ("signals = { HUP = \"USR3\" }", "4:19: there is no signal \"USR3\" (did you mean \"SIGUSR1\"?)"),
        ("signals = { SIGKILL = \"drop\" }", "4:13: SIGKILL is never forwarded: no process can catch it"),
        (
            "signals = { TSTP = \"TERM\" }",
            "4:13: SIGTSTP is never forwarded: it is a terminal's, for job control",
        ),
        (
            "signals = { TERM = \"QUIT\" }",
            "4:13: SIGTERM begins the shutdown; say in \"stop\" which signal this program gets",
        ),
        ("signals = { HUP = \"drop\", SIGHUP = \"drop\" }", "4:27: SIGHUP is rewritten twice"),
        ("signals = { HUP = true }", "4:19: \"HUP\" must be a signal such as \"SIGTERM\", not a boolean"),
    ] {
        assert_eq!(refusals(&program(line)), [expected], "{line}");
    }
}

#[test]
fn every_slip_in_a_cascade_is_told_exactly() {
    let one_of = "a stop step has one of run, stdin, keys or signal; this has";
    for (stop, expected) in [
        ("[]", "4:8: \"stop\" is empty: it needs at least one step".to_owned()),
        (
            "\"SIGTERM\"",
            "4:8: \"stop\" must be an array of steps such as { signal = \"SIGTERM\", wait = \"5s\" }, not a string"
                .to_owned(),
        ),
        (
            "[\"SIGTERM\"]",
            "4:9: \"stop\" must be an array of steps such as { signal = \"SIGTERM\", wait = \"5s\" }, not a string"
                .to_owned(),
        ),
        ("[{ wait = \"1s\" }]", format!("4:9: {one_of} none")),
        ("[{ run = [\"a\"], signal = \"TERM\", wait = \"1s\" }]", format!("4:9: {one_of} run and signal")),
        ("[{ signal = \"TERM\" }]", "4:9: a stop step needs \"wait\"".to_owned()),
        ("[{ run = [], wait = \"1s\" }]", "4:17: \"run\" is empty: it needs at least the program to run".to_owned()),
        ("[{ run = [\"\"], wait = \"1s\" }]", "4:18: \"run\" names no program to run".to_owned()),
        ("[{ run = \"a b\", wait = \"1s\" }]", "4:17: \"run\" must be an array of strings, not a string".to_owned()),
        ("[{ stdin = \"\", wait = \"1s\" }]", "4:19: \"stdin\" is empty: nothing would be written".to_owned()),
        ("[{ signal = \"TREM\", wait = \"1s\" }]", "4:20: there is no signal \"TREM\" (did you mean \"SIGTERM\"?)".to_owned()),
        ("[{ signal = 65, wait = \"1s\" }]", "4:20: there is no signal 65; they are 1 to 64".to_owned()),
        ("[{ signal = \"TERM\", wait = 5 }]", "4:35: \"wait\" must be a duration such as \"2s\", not an integer".to_owned()),
        (
            "[{ signal = \"TERM\", wait = \"5\" }]",
            "4:35: \"wait\": \"5\" is no duration: 5 has no unit; write it as \"500ms\", \"10s\" or \"1m 30s\""
                .to_owned(),
        ),
        (
            "[{ signal = \"TERM\", wait = \"11years\" }]",
            "4:35: \"wait\": \"11years\" is no duration: it is longer than 3650 days; write it as \"500ms\", \"10s\" or \"1m 30s\"".to_owned(),
        ),
        (
            "[{ signal = \"TERM\", wait = \"1s\", kill = true }]",
            "4:41: unknown key \"kill\"; a stop step has run, stdin, signal, keys and wait".to_owned(),
        ),
        (
            "[{ signal = \"KILL\", wait = \"1s\" }, { signal = \"TERM\", wait = \"1s\" }]",
            "4:43: this step never runs: nothing outlives SIGKILL".to_owned(),
        ),
        ("[{ keys = \"x\", wait = \"1s\" }]", "4:18: \"keys\" needs \"tmux\"".to_owned()),
    ] {
        assert_eq!(refusals(&program(&format!("stop = {stop}"))), [expected], "{stop}");
    }
    let input =
        |length| program(&format!("stop = [{{ stdin = \"{}\", wait = \"1s\" }}]", "x".repeat(length)));
    assert_eq!(
        refusals(&input(4097)),
        ["4:19: \"stdin\" is 4097 bytes long; no more than 4096 can be written without waiting"]
    );
    good(&input(4096));
}

#[test]
fn every_slip_between_programs_is_told_exactly() {
    for (text, expected) in [
        (
            "",
            vec![
                " there is no [[program]] in this file, so nothing to run; add one, or give a command after `--`",
            ],
        ),
        (
            "program = []",
            vec![
                " there is no [[program]] in this file, so nothing to run; add one, or give a command after `--`",
            ],
        ),
        (
            "[[programs]]\nname = \"a\"\ncommand = [\"a\"]",
            vec!["1:3: unknown key \"programs\" (did you mean \"program\"?)"],
        ),
        (
            "[program]\nname = \"a\"",
            vec!["1:1: \"program\" must be an array of tables ([[program]]), not a table"],
        ),
        (
            "[[program]]\nname = \"db\"\nshell = \"db\"\n[[program]]\nname = \"a\"\nshell = \"a\"\nafter = [\"dbb\"]",
            vec!["7:10: there is no program \"dbb\" (did you mean \"db\"?)"],
        ),
        (
            "[[program]]\nname = \"a b\"\nshell = \"x\"\n[[program]]\nname = \"a\"\nshell = \"a\"\nafter = [\"a b\"]",
            vec!["2:8: \"name\" may hold A-Z, a-z, 0-9, - and _ only, not \"a b\""],
        ),
        ("program = [1]", vec!["1:12: \"program\" must be an array of tables ([[program]]), not an integer"]),
        (
            "[[program]]",
            vec!["1:1: [[program]] needs \"name\"", "1:1: [[program]] needs \"command\" or \"shell\""],
        ),
        (
            "[[program]]\nname = \"a b\"\ncommand = []",
            vec![
                "2:8: \"name\" may hold A-Z, a-z, 0-9, - and _ only, not \"a b\"",
                "3:11: \"command\" is empty: it needs at least the program to run",
            ],
        ),
        (
            "[[program]]\nname = \"\"\nshell = \" \"",
            vec!["2:8: \"name\" is empty", "3:9: \"shell\" is empty: it needs a command line"],
        ),
        (
            "[[program]]\nname = \"a\"\nshell = \"a\"\n[[program]]\nname = \"a\"\nshell = \"a\"",
            vec!["5:1: there are two programs \"a\"; the first is on line 2"],
        ),
        (
            "[[program]]\nname = \"a\"\nshell = \"a\"\nmain = true\n[[program]]\nname = \"b\"\nshell = \"b\"\nmain = true",
            vec!["8:1: only one program can be main, and \"a\" is (line 4)"],
        ),
        (
            "[[program]]\nname = \"a\"\nshell = \"a\"\nafter = [\"b\"]\n[[program]]\nname = \"b\"\nshell = \"b\"\nafter = [\"a\"]",
            vec!["4:10: \"after\" goes round in a circle: a -> b -> a"],
        ),
        (
            "[defaults]\nname = \"a\"\nmain = true\nnice = \"x\"\n[[program]]\nname = \"a\"\nshell = \"a\"\nnice = 1",
            vec![
                "2:1: \"name\" cannot be a default: every program has its own",
                "3:1: \"main\" cannot be a default: every program has its own",
                "4:8: \"nice\" must be an integer, not a string",
            ],
        ),
        (
            "[defaults]\nafter = [\"db\"]\n[[program]]\nname = \"db\"\nshell = \"db\"\n[[program]]\nname = \"a\"\nshell = \"a\"",
            vec!["2:10: by this default, \"db\" would start after itself; give it an \"after\" of its own"],
        ),
        (
            "[defaults]\nstop = []\n[[program]]\nname = \"a\"\nshell = \"a\"\n[[program]]\nname = \"b\"\nshell = \"b\"",
            vec!["2:8: \"stop\" is empty: it needs at least one step"],
        ),
    ] {
        assert_eq!(refusals(text), expected.iter().map(|e| e.trim_start()).collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn circles_are_found_each_once_and_nothing_else_is() {
    let fleet = |after: &[(&str, &str)]| -> String {
        let one = |(name, after): &(&str, &str)| {
            let after: Vec<String> = after.split_whitespace().map(|a| format!("{a:?}")).collect();
            format!("[[program]]\nname = {name:?}\nshell = \"x\"\nafter = [{}]\n", after.join(", "))
        };
        after.iter().map(one).collect()
    };
    good(&fleet(&[("a", "b c"), ("b", "d d"), ("c", "d"), ("d", "")]));
    assert_eq!(
        refusals(&fleet(&[
            ("x", "a"),
            ("a", "y b"),
            ("b", "c"),
            ("c", "a"),
            ("y", ""),
            ("p", "q"),
            ("q", "p b")
        ])),
        [
            "8:15: \"after\" goes round in a circle: a -> b -> c -> a",
            "24:10: \"after\" goes round in a circle: p -> q -> p",
        ]
    );
    let long: Vec<(String, String)> = (0..5000).map(|i| (format!("p{i}"), format!("p{}", i + 1))).collect();
    let mut long: Vec<(&str, &str)> = long.iter().map(|(n, a)| (n.as_str(), a.as_str())).collect();
    long.push(("p5000", ""));
    assert_eq!(good(&fleet(&long)).programs.len(), 5001);
}

#[test]
fn a_signal_s_number_is_in_any_base() {
    for number in ["21", "0x15", "0o25", "0b1_0101"] {
        let fleet = good(&program(&format!("stop = [{{ signal = {number}, wait = \"1s\" }}]")));
        assert_eq!(
            fleet.programs[0].stop[0].action,
            StepAction::Signal(Signal::new(21).unwrap()),
            "{number}"
        );
    }
}

#[test]
fn hints_about_names_are_made_for_the_first_few() {
    let program = |name: &str, after: &str| format!("[[program]]\nname = {name:?}\nshell = \"x\"\n{after}");
    let fleet: String = (100..1100).map(|n| program(&format!("agent-{n}"), "")).collect();
    let wrong: Vec<String> = (100..3100).map(|n| format!("agnet-{n}")).collect();
    let found = refusals(&(fleet.clone() + &program("late", &format!("after = {wrong:?}"))));
    assert_eq!(found.len(), 101);
    assert!(
        found[0].ends_with("there is no program \"agnet-100\" (did you mean \"agent-100\"?)"),
        "{}",
        found[0]
    );
    assert_eq!(found.iter().filter(|told| told.contains("did you mean")).count(), 20);
    let found = refusals(&(String::from("[defaults]\nafter = [\"agnet-100\"]\n") + &fleet));
    assert_eq!(found, ["2:10: there is no program \"agnet-100\" (did you mean \"agent-100\"?)"]);
}

#[test]
fn every_slip_outside_of_programs_is_told_exactly() {
    for (line, expected) in [
        ("[progam]", "1:2: unknown key \"progam\" (did you mean \"program\"?)"),
        ("x = 1", "1:1: unknown key \"x\"; the file has init, shutdown, defaults, program, tmux and hygiene"),
        ("init = 1", "1:8: \"init\" must be a table, not an integer"),
        ("[init]\nstate-file = \"x\"", "2:1: unknown key \"state-file\" (did you mean \"state_file\"?)"),
        ("[init]\nstate_file = \"\"", "2:14: \"state_file\" is empty"),
        ("[init]\nreload_signal = \"TERM\"", "2:17: SIGTERM cannot be the signal to reload on"),
        ("[init]\nreload_signal = \"HUB\"", "2:17: there is no signal \"HUB\" (did you mean \"SIGHUP\"?)"),
        ("[shutdown]\nbudget = 9", "2:10: \"budget\" must be a duration such as \"2s\", not an integer"),
        (
            "[shutdown]\nbudget = \"soon\"",
            "2:10: \"budget\": \"soon\" is no duration: 's' stands where a number has to be; write it as \"500ms\", \"10s\" or \"1m 30s\", or \"forever\"",
        ),
        ("[tmux]\nleftovers = \"keep\"", "2:13: \"leftovers\" must be \"stop\" or \"adopt\", not \"keep\""),
        ("[tmux]\nhistory = -1", "2:11: \"history\" must be 0 to 100000, not -1"),
        ("[hygiene]\nevery = \"99ms\"", "2:9: \"every\" must be 100ms or more"),
        (
            "[hygiene]\nsessions = { prefix = \"p\", workspaces = \"/w\", update = 1 }",
            "2:56: \"update\" must be true or false, not an integer",
        ),
        ("[hygiene]\nsessions = { prefix = \"p\" }", "2:12: \"sessions\" needs \"workspaces\""),
        ("[hygiene]\nsessions = { workspaces = \"/w\" }", "2:12: \"sessions\" needs \"prefix\""),
        (
            "[hygiene]\nsessions = { prefix = \"a.b\", workspaces = \"/w\" }",
            "2:23: \"prefix\" must not hold \".\" or \":\", as \"a.b\" does",
        ),
        (
            "[hygiene]\nsessions = { prefix = \"$a\", workspaces = \"/w\" }",
            "2:23: \"prefix\" must not hold '$', which means something to tmux, as \"$a\" does",
        ),
        (
            "[hygiene]\nsessions = { prefix = \"p\", workspaces = \"/w\", registry = \"../R\" }",
            "2:58: \"registry\" is the name of a file in each workspace, not \"../R\"",
        ),
        (
            "[hygiene]\nworkspaces = { older_than = \"7d\" }",
            "2:1: \"workspaces\" needs \"sessions\", which says where the workspaces are",
        ),
        (
            "[hygiene]\nsessions = { prefix = \"p\", workspaces = \"/w\" }\nworkspaces = {}",
            "3:14: \"workspaces\" needs \"older_than\"",
        ),
        (
            "[hygiene]\nsessions = { prefix = \"p\", workspaces = \"/w\" }\nworkspaces = { older_than = \"7d\", statuses = [] }",
            "3:46: \"statuses\" is empty: no workspace would ever be deleted",
        ),
    ] {
        assert_eq!(refusals(&format!("{line}\n{}", program(""))), [expected], "{line}");
    }
}

#[test]
fn hygiene_is_read_with_its_defaults() {
    let hygiene = |text: &str| good(&format!("[hygiene]\n{text}\n{}", program(""))).hygiene;
    assert_eq!(good(&program("")).hygiene, None);
    let nothing = Hygiene { every: Duration::from_mins(5), sessions: None, workspaces: None, dry_run: false };
    assert_eq!(hygiene(""), Some(nothing));
    let sessions = Sessions {
        prefix: "p-".to_owned(),
        socket: "default".to_owned(),
        workspaces: "/w".into(),
        registry: "AGENT_REGISTRY.json".to_owned(),
        update: false,
    };
    let workspaces = Workspaces {
        older_than: Duration::from_hours(7 * 24),
        statuses: vec!["completed".to_owned(), "terminated".to_owned()],
    };
    let few = "sessions = { prefix = \"p-\", workspaces = \"/w\" }\nworkspaces = { older_than = \"7d\" }";
    let read = hygiene(few).unwrap();
    assert_eq!((read.sessions, read.workspaces), (Some(sessions), Some(workspaces)));
    let all = "every = \"1s\"\ndry_run = true\nsessions = { prefix = \"p-\", socket = \"/s\", workspaces = \"/w\", \
               registry = \"R\", update = true }";
    let read = hygiene(all).unwrap();
    assert!(read.dry_run && read.every == Duration::from_secs(1));
    let sessions = read.sessions.unwrap();
    assert!(sessions.update && (sessions.socket.as_str(), sessions.registry.as_str()) == ("/s", "R"));
}

#[test]
fn slips_around_restarts_and_checks_are_told_exactly() {
    for (line, expected) in [
        (
            "restart = \"alwys\"",
            "4:11: \"restart\" must be \"never\", \"on-failure\" or \"always\", not \"alwys\" (did you mean \"always\"?)",
        ),
        ("oneshot = 1", "4:11: \"oneshot\" must be true or false, not an integer"),
        ("ready = {}", "4:9: \"ready\" has one of notify, fd, tcp, exec, file or delay; this has none"),
        ("ready = { notify = false }", "4:20: \"notify\" can only be true"),
        ("ready = { fd = 2 }", "4:16: \"fd\" must be 3 to 1023, not 2"),
        (
            "ready = { tcp = \"localhost\" }",
            "4:17: \"tcp\" must be ADDRESS:PORT such as \"127.0.0.1:80\", \"[::1]:80\" or \"localhost:80\", not \"localhost\"",
        ),
        ("health = { every = \"1s\" }", "4:10: \"health\" has one of exec, tcp or file; this has none"),
        (
            "health = { exec = [\"a\"], every = \"0s\" }",
            "4:34: \"every\": \"0s\" is too short: it has to be longer than nothing",
        ),
        (
            "oneshot = true\nready = { delay = \"1s\" }",
            "5:1: \"ready\" has no meaning beside \"oneshot\": ready is then to have exited with 0",
        ),
        (
            "oneshot = true\nhealth = { file = \"f\" }",
            "5:1: \"health\" has no meaning beside \"oneshot\": nobody is asked who is to end",
        ),
        (
            "ready = { delay = \"1s\", timeout = \"2s\" }",
            "4:25: \"timeout\" has no meaning beside \"delay\", which is how long it takes to be ready",
        ),
        (
            "oneshot = true\nrestart = \"always\"",
            "5:1: \"restart\" = \"always\" and \"oneshot\" do not go together; \"on-failure\" does",
        ),
        ("health = { exec = [\"a\"], failures = 0 }", "4:37: \"failures\" must be 1 or more, not 0"),
        (
            "backoff = { first = \"10s\", max = \"1s\" }",
            "4:28: \"max\" is shorter than \"first\": no wait would be as long as that",
        ),
        ("backoff = { fist = \"1s\" }", "4:13: unknown key \"fist\" (did you mean \"first\"?)"),
        (
            "output = \"nul\"",
            "4:10: \"output\" must be \"inherit\", \"prefix\", \"json\" or \"null\", not \"nul\" (did you mean \"null\"?)",
        ),
        (
            "output = { file = \"l\", max = \"10 parsecs\" }",
            "4:30: \"max\" must be a size in B, KB, MB or GB, such as \"10MB\", not \"10 parsecs\"",
        ),
        ("tmux = { session = \"a.b\" }", "4:20: \"session\" must not hold \".\" or \":\", as \"a.b\" does"),
    ] {
        assert_eq!(refusals(&program(line)), [expected], "{line}");
    }
}

#[test]
fn a_default_that_a_oneshot_cannot_have_is_for_the_others() {
    let defaults =
        "[defaults]\nready = { delay = \"1s\" }\nhealth = { file = \"f\" }\nrestart = \"always\"\n";
    let other = program("").replace("\"a\"", "\"b\"");
    let fleet = good(&format!("{defaults}{}{other}", program("oneshot = true")));
    let [oneshot, other] = &fleet.programs[..] else { panic!() };
    assert_eq!((&oneshot.ready, &oneshot.health, oneshot.restart), (&None, &None, Restart::Never));
    assert!(other.ready.is_some() && other.health.is_some() && other.restart == Restart::Always);
    let own = format!("[defaults]\noneshot = true\n{}", program("ready = { delay = \"1s\" }"));
    let expected = "6:1: \"ready\" has no meaning beside \"oneshot\": ready is then to have exited with 0 (\"oneshot\" is true by [defaults])";
    assert_eq!(refusals(&own), [expected]);
}

#[test]
fn what_is_unknown_and_near_to_nothing_is_told_what_there_is() {
    let [told] = &refusals(&program("colour = 1"))[..] else { panic!() };
    let begins =
        "4:1: unknown key \"colour\"; [[program]] has name, main, command, shell, after, tmux, stop,";
    assert!(told.starts_with(begins) && told.ends_with("and output") && !told.contains('\n'), "{told}");
}

#[test]
fn output_goes_where_it_is_told_to() {
    let file = |path: &str, max, keep| Output::File(OutputFile { path: path.into(), max, keep });
    for (text, expected) in [
        ("\"inherit\"", Output::Inherit),
        ("\"prefix\"", Output::Prefix),
        ("\"json\"", Output::Json),
        ("\"null\"", Output::Null),
        ("{ file = \"/l\", max = \"2 KB\", keep = 0 }", file("/l", 2_000, 0)),
        ("{ file = \"/l\", max = \"50kB\", keep = 0 }", file("/l", 50_000, 0)),
        ("{ file = \"/l\" }", file("/l", 10_000_000, 3)),
    ] {
        let fleet = good(&program(&format!("output = {text}")));
        assert_eq!(fleet.programs[0].launch.output, expected, "{text}");
    }
    assert_eq!(refusals(&program("output = { max = \"1MB\" }")), ["4:10: \"output\" needs \"file\""]);
}

#[test]
fn every_slip_in_a_confinement_is_told_exactly() {
    for (line, expected) in [
        ("user = \"ap\"", "4:8: there is no user \"ap\" in /etc/passwd (did you mean \"app\"?)"),
        ("user = \"postgres\"", "4:8: there is no user \"postgres\" in /etc/passwd"),
        ("user = \"\"", "4:8: \"user\" is empty"),
        ("user = -1", "4:8: \"user\" must be 0 to 4294967294, not -1"),
        ("user = 4294967295", "4:8: \"user\" must be 0 to 4294967294, not 4294967295"),
        ("user = \"4294967295\"", "4:8: there is no user \"4294967295\" in /etc/passwd"),
        ("user = true", "4:8: \"user\" must be a string, not a boolean"),
        (
            "user = \"app\"\ngroup = \"wwww\"",
            "5:9: there is no group \"wwww\" in /etc/group (did you mean \"www\"?)",
        ),
        ("umask = \"999\"", "4:9: \"umask\" must be octal, \"000\" to \"777\", not \"999\""),
        ("umask = \"1000\"", "4:9: \"umask\" must be octal, \"000\" to \"777\", not \"1000\""),
        ("umask = 27", "4:9: \"umask\" must be a string, not an integer"),
        ("nice = 20", "4:8: \"nice\" must be -20 to 19, not 20"),
        ("oom_score_adj = -1001", "4:17: \"oom_score_adj\" must be -1000 to 1000, not -1001"),
        ("limits = { nofiles = 1 }", "4:12: there is no limit \"nofiles\" (did you mean \"nofile\"?)"),
        (
            "limits = { nofile = \"much\" }",
            "4:21: \"nofile\" must be a number or \"unlimited\", not \"much\"",
        ),
        ("limits = { nofile = -1 }", "4:21: \"nofile\" must be 0 or more, not -1"),
        ("no_new_privs = 1", "4:16: \"no_new_privs\" must be true or false, not an integer"),
        ("capabilities = [\"net bind\"]", "4:17: there is no capability \"net bind\""),
        (
            "capabilities = [\"chown\", \"net_bind_servic\"]",
            "4:26: there is no capability \"net_bind_servic\" (did you mean \"NET_BIND_SERVICE\"?)",
        ),
    ] {
        assert_eq!(refusals(&program(line)), [expected], "{line}");
    }
}

#[test]
fn whom_a_program_runs_as_is_looked_up() {
    for (lines, user, gid) in [
        ("user = \"app\"", Some(("app", 1000, &[1000, 4, 33][..])), 1000),
        ("user = 1000", Some(("app", 1000, &[1000, 4, 33])), 1000),
        ("user = \"1000\"", Some(("app", 1000, &[1000, 4, 33])), 1000),
        ("user = \"app\"\ngroup = \"www\"", Some(("app", 1000, &[33, 4])), 33),
        ("user = \"app\"\ngroup = 5", Some(("app", 1000, &[5, 4, 33])), 5),
        ("user = 1234", Some(("1234", 1234, &[0])), 0),
        ("user = 1234\ngroup = 5", Some(("1234", 1234, &[5])), 5),
        ("user = \"4242\"\ngroup = \"4242\"", Some(("4242", 7, &[9])), 9),
        ("user = 4242", Some(("4242", 4242, &[0])), 0),
        ("group = \"www\"", None, 33),
        ("group = \"33\"", None, 33),
    ] {
        let user = user.map(|(name, uid, groups)| User { name: name.into(), uid, groups: groups.into() });
        let identity = good(&program(lines)).programs[0].launch.confinement.identity.clone();
        assert_eq!(identity, Some(Identity { user, gid }), "{lines}");
    }
}

#[test]
fn a_user_comes_with_variables_and_env_wins() {
    let environment = |lines: &str| {
        let env = good(&program(lines)).programs[0].launch.env.clone();
        env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect::<Vec<_>>()
    };
    assert_eq!(environment("user = \"app\""), ["HOME=/srv/app", "USER=app", "LOGNAME=app", "SHELL=/bin/sh"]);
    assert_eq!(environment("user = 1234"), ["HOME=/", "USER=1234", "LOGNAME=1234", "SHELL=/bin/sh"]);
    assert_eq!(
        environment("user = \"root\"\nenv = { HOME = \"/tmp\", A = \"1\" }"),
        ["USER=root", "LOGNAME=root", "SHELL=/bin/bash", "A=1", "HOME=/tmp"]
    );
    assert_eq!(environment("group = \"www\""), [""; 0]);
}

#[test]
fn a_default_user_is_everybody_s_and_is_complained_about_once() {
    let fleet = |user: &str| {
        format!("[defaults]\nuser = \"{user}\"\n{}{}", program(""), program("").replace("\"a\"", "\"b\""))
    };
    let uids: Vec<Option<u32>> = good(&fleet("app"))
        .programs
        .iter()
        .map(|program| Some(program.launch.confinement.identity.as_ref()?.user.as_ref()?.uid))
        .collect();
    assert_eq!(uids, [Some(1000), Some(1000)]);
    assert_eq!(refusals(&fleet("x")), ["2:8: there is no user \"x\" in /etc/passwd"]);
}

#[test]
fn what_a_program_may_do_is_read() {
    let lines = "umask = \"027\"\nnice = -5\noom_score_adj = 500\nno_new_privs = true\n\
                 limits = { nofile = 1024, core = \"unlimited\" }\ncapabilities = [\"CAP_KILL\", \"chown\"]";
    let expected = Confinement {
        identity: None,
        umask: Some(0o027),
        nice: Some(-5),
        oom_score_adj: Some(500),
        limits: vec![Limit { name: "core", value: None }, Limit { name: "nofile", value: Some(1024) }],
        no_new_privs: true,
        capabilities: Some(Capabilities(1 << 5 | 1)),
    };
    assert_eq!(good(&program(lines)).programs[0].launch.confinement, expected);
    let none = good(&program("capabilities = []\nno_new_privs = false"));
    let expected = Confinement { capabilities: Some(Capabilities(0)), ..Confinement::default() };
    assert_eq!(none.programs[0].launch.confinement, expected);
    assert_eq!(good(&program("")).programs[0].launch.confinement, Confinement::default());
}

#[test]
fn what_changes_nothing_is_accepted() {
    good(&format!(
        "[tmux]\nsocket = \"runinit\"\nhistory = 200\nleftovers = 'stop'\n[hygiene]\ndry_run = false\n{}",
        program(
            "restart = \"never\"\noneshot = false\nno_new_privs = false\noutput = \"inherit\"\nclear_env = false\n\
             main = false\non_failure = \"ignore\"\nafter = []\nsignals = {}\nenv = {}"
        )
    ));
}

#[test]
fn syntax_is_told_line_by_line_and_nothing_is_guessed_around_it() {
    for (text, expected) in [
        (
            "a = \nb = 1\nc = [1,\n",
            vec![
                "1:5: string values must be quoted, expected literal string",
                "3:8: unclosed array, expected `]`",
            ],
        ),
        ("[[program]\nname = 1", vec!["1:11: unclosed array table, expected `]`"]),
        ("[init]\n[init]", vec!["2:2: duplicate key"]),
        ("a = 1 b = 2", vec!["1:9: unexpected key or value, expected newline, `#`"]),
    ] {
        assert_eq!(refusals(text), expected, "{text}");
    }
}

#[test]
fn all_errors_of_a_file_come_at_once_and_in_its_order() {
    let text = "\
[shutdown]
budget = true

[[program]]
after = [\"nobody\"]
name = \"a\"
comand = [\"x\"]
stop = [
  { signal = \"SIGTERN\", wait = \"5s\" },
  { wait = 1 },
]

[[program]]
name = \"a\"
shell = \"é\" # ü
restart = \"always\"

[int]
";
    assert_eq!(
        refusals(text),
        [
            "2:10: \"budget\" must be a duration such as \"2s\", not a boolean",
            "4:1: [[program]] needs \"command\" or \"shell\"",
            "5:10: there is no program \"nobody\"",
            "7:1: unknown key \"comand\" (did you mean \"command\"?)",
            "9:14: there is no signal \"SIGTERN\" (did you mean \"SIGTERM\"?)",
            "10:3: a stop step has one of run, stdin, keys or signal; this has none",
            "10:12: \"wait\" must be a duration such as \"2s\", not an integer",
            "14:1: there are two programs \"a\"; the first is on line 6",
            "18:2: unknown key \"int\" (did you mean \"init\"?)",
        ]
    );
}

#[test]
fn a_diagnostic_reads_like_a_compiler_s() {
    let found = parse(Path::new("/etc/c.toml"), &program("comand = 1"), MainCommand::InFile).unwrap_err();
    assert_eq!(found[0].to_string(), "/etc/c.toml:4:1: unknown key \"comand\" (did you mean \"command\"?)");
}

#[test]
fn a_whole_fleet_is_read() {
    let fleet = good(
        "
[init]
state_file = \"/run/state.json\"
termination_log = \"/dev/termination-log\"

[shutdown]
budget = \"1m30s\"

[defaults]
env = { A = \"1\" }
on_failure = \"shutdown\"
stop = [{ stdin = \"quit\\n\", wait = \"1s\" }]

[[program]]
name = \"web\"
main = true
shell = \"a | b\"
after = [\"db\"]
env = { B = \"2\" }
stop = [
  { run = [\"ctl\", \"stop it\"], wait = \"2s\" },
  { signal = \"INT\", wait = \"500ms\" },
  { signal = 9, wait = \"0s\" },
]
signals = { SIGHUP = \"SIGUSR1\", INT = \"drop\", RTMIN = \"RTMAX\", 32 = \"SIG33\" }
success_codes = [0, 143]

[[program]]
name = \"db\"
command = [\"db\", \"--x\"]
clear_env = true
cwd = \"/srv\"
on_failure = \"ignore\"

[[program]]
name = \"log\"
command = [\"log\"]
stop = [{ signal = \"SIGTERM\", wait = \"5s\" }]
",
    );
    assert_eq!(fleet.init.state_file.as_deref(), Some(Path::new("/run/state.json")));
    assert_eq!(fleet.init.termination_log.as_deref(), Some(Path::new("/dev/termination-log")));
    assert_eq!(fleet.budget, Some(Budget::Within(Duration::from_secs(90))));
    let [web, db, log] = &fleet.programs[..] else { panic!() };
    assert_eq!((web.name.as_str(), web.main, &web.after[..]), ("web", true, &[ProgramId(1)][..]));
    assert_eq!(web.launch.argv, ["/bin/sh", "-c", "a | b"]);
    assert_eq!(web.launch.env, [("B".into(), "2".into())]);
    assert_eq!((web.launch.stdin, web.launch.foreground), (Stdin::Inherit, true));
    assert_eq!(web.on_failure, OnFailure::Shutdown);
    assert_eq!(web.success_codes, [0, 143]);
    assert_eq!(
        web.stop,
        [
            Step {
                action: StepAction::Run(vec!["ctl".into(), "stop it".into()]),
                wait: Duration::from_secs(2)
            },
            Step::signal(Signal::INT, Duration::from_millis(500)),
            Step::signal(Signal::KILL, Duration::ZERO),
        ]
    );
    assert_eq!(web.signals[&Signal::INT], None);
    assert_eq!(web.signals[&Signal::HUP], Signal::parse("USR1"));
    assert_eq!(web.signals[&Signal::new(34).unwrap()], Signal::new(64));
    assert_eq!(web.signals[&Signal::new(32).unwrap()], Signal::new(33));
    assert_eq!((&db.launch.argv[..], db.launch.clear_env), (&["db".into(), "--x".into()][..], true));
    assert_eq!(db.launch.cwd.as_deref(), Some(Path::new("/srv")));
    assert_eq!(db.launch.env, [("A".into(), "1".into())]);
    assert_eq!((db.launch.stdin, db.launch.foreground), (Stdin::Pipe, false));
    assert_eq!((db.on_failure, &db.success_codes[..]), (OnFailure::Ignore, &[0][..]));
    assert_eq!(log.launch.stdin, Stdin::Null);
    assert_eq!(
        good(&format!("[shutdown]\nbudget = \"forever\"\n{}", program(""))).budget,
        Some(Budget::Forever)
    );
}

#[test]
fn a_command_line_may_bring_the_main_program() {
    let given = |text| parse(Path::new("c.toml"), text, MainCommand::Given);
    let text = "[defaults]\nafter = [\"db\"]\ncwd = \"/srv\"\n[[program]]\nname = \"db\"\nshell = \"db\"\nafter = []\n\
                [[program]]\nname = \"late\"\nshell = \"x\"\nafter = [\"main\"]\n";
    let programs = given(text).unwrap().programs;
    let [_, late, main] = &programs[..] else { panic!("{programs:?}") };
    assert_eq!((main.name.as_str(), main.main, &main.after[..]), ("main", true, &[ProgramId(0)][..]));
    assert_eq!((main.launch.cwd.as_deref(), main.launch.stdin), (Some(Path::new("/srv")), Stdin::Inherit));
    assert_eq!(late.after, [ProgramId(2)]);
    assert_eq!(given("").unwrap().programs.len(), 1);
    let bare_main = "[[program]]\nname = \"web\"\nmain = true\n";
    assert!(given(bare_main).unwrap().programs[0].launch.argv.is_empty());
    assert_eq!(refusals(bare_main), ["1:1: [[program]] needs \"command\" or \"shell\""]);
    let taken = "[[program]]\nname = \"main\"\nshell = \"x\"\n";
    assert_eq!(
        shown(&given(taken).unwrap_err()),
        ["2:1: \"main\" is the name of the command given on the command line; \
          choose another, or let that replace this one with main = true"]
    );
    good(taken);
}

#[test]
fn the_environment_is_the_file_s_with_the_table_over_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.toml");
    std::fs::write(directory.path().join("e"), "A=file\nexport B='file'\n").unwrap();
    std::fs::write(&config, program("env_file = \"e\"\nenv = { B = \"table\", C = \"table\" }")).unwrap();
    let fleet = load(&config, MainCommand::InFile, Reading::AtStart).unwrap();
    let expected = [("A", "file"), ("B", "table"), ("C", "table")];
    assert_eq!(fleet.programs[0].launch.env, expected.map(|(name, value)| (name.into(), value.into())));

    std::fs::write(directory.path().join("e"), "A=1\n  secret\n").unwrap();
    let found = load(&config, MainCommand::InFile, Reading::AtStart).unwrap_err();
    let at = directory.path().join("e");
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!("{}:2:3: there is no \"=\" in this line; write NAME=value", at.display())]
    );

    // What two programs share is wrong once.
    let second = "[[program]]\nname = \"second\"\ncommand = [\"b\"]\nenv_file = \"e\"\n";
    std::fs::write(&config, program("env_file = \"e\"\n") + second).unwrap();
    std::fs::write(directory.path().join("e"), b"A=1\nB=\xff\n").unwrap();
    let found = load(&config, MainCommand::InFile, Reading::AtStart).unwrap_err();
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!("{}:2:3: this is not UTF-8; save the file as UTF-8", at.display())]
    );
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let shown =
        |path: &str| load(Path::new(path), MainCommand::InFile, Reading::AtStart).unwrap_err()[0].to_string();
    assert_eq!(
        shown("/nowhere/c.toml"),
        "/nowhere/c.toml: No such file or directory (os error 2); name a file that runinit can read"
    );
    assert_eq!(shown("/"), "/: Is a directory (os error 21); name a file that runinit can read");
    assert_eq!(
        refusals(&program("env_file = \"/nowhere/e\"")),
        [
            "4:12: \"env_file\" /nowhere/e: No such file or directory (os error 2); name a file that runinit can read"
        ]
    );
    // Neither does anything to a terminal.
    assert!(refusals(&program("env_file = \"/nowhere/\\u001b[31m\""))[0].contains("/nowhere/\\u{1b}[31m: "));
    assert!(shown("/nowhere/\u{1b}[31m").starts_with("/nowhere/\\u{1b}[31m: "));
}

#[test]
fn the_example_loads() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let fleet = load(&example, MainCommand::InFile, Reading::AtStart).map_err(|found| shown(&found));
    assert!(fleet.unwrap().programs.len() > 2);
}

#[test]
fn the_page_about_hygiene_loads() {
    let page = include_str!("../../docs/hygiene.md");
    let (_, text) = page.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let hygiene = good(&format!("{text}\n{}", program(""))).hygiene.unwrap();
    assert!(hygiene.workspaces.is_some() && hygiene.sessions.unwrap().update);
}

/// A file with every key of the contract, to be broken in every way.
const EVERYTHING: &str = include_str!("everything.toml");

#[test]
fn every_key_is_known_and_right_in_itself() {
    let found = refusals(EVERYTHING);
    assert!(found.is_empty(), "{found:#?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parsed(&text);
    }

    #[test]
    fn no_broken_file_makes_it_panic(
        breaks in prop::collection::vec((0..EVERYTHING.len(), 0..30usize, "[\\[\\]{}=\",.\n a-z0-9é\\\\\u{0}]{0,8}"), 1..6)
    ) {
        let mut text = EVERYTHING.to_owned();
        for (at, length, new) in breaks {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &new);
        }
        let found = parsed(&text).err().unwrap_or_default();
        prop_assert!(found.is_sorted_by_key(|d| d.at));
    }

    #[test]
    fn any_value_under_any_key_is_answered(
        (line, value) in (
            prop::sample::select(EVERYTHING.lines().filter(|l| l.contains(" = ")).collect::<Vec<_>>()),
            prop::sample::select(vec![
                "1", "-1", "0", "1.5", "true", "\"\"", "\"x\"", "[]", "{}", "[[]]", "[{}]", "[1]", "[\"\"]", "1979-05-27", "{ x = 1 }",
            ]),
        )
    ) {
        let (key, _) = line.split_once(" = ").unwrap();
        let _ = parsed(&EVERYTHING.replacen(line, &format!("{key} = {value}"), 1));
    }
}

#[test]
fn where_the_socket_is_can_be_read_beside_other_mistakes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let socket = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        control_socket(file.path())
    };
    assert_eq!(socket("[init]\ncontrol_socket = \"/s\"\nmood = 3\n"), Ok(Some("/s".into())));
    assert_eq!(socket("[init]\ncontrol_socket = \"/s\"\n[program\n"), Ok(Some("/s".into())));
    assert_eq!(socket("[[program]]\nname = 3\n"), Ok(None));
    for text in ["[init]\ncontrol_socket = 3\n", "init = 3\n", "[program\n"] {
        assert!(socket(text).is_err(), "{text:?}");
    }
    assert!(control_socket(Path::new("/nowhere/at/all")).is_err());
}
