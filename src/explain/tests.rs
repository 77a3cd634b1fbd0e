//! What holds for every picture, and what exit codes mean.

use super::codes;
use super::course::courses;
use super::picture::picture;
use super::{Screen, Told, bounded, svg, terminal};
use crate::record::{Entry, Exit, Phase, Program, Record, Signals, Step, Stray, Survivor};
use proptest::prelude::*;

const PLAIN: Screen = Screen { width: 80, unicode: false, colours: false };

fn step(step: &str, at_ms: i64, waited_ms: u64) -> Step {
    Step { step: step.to_owned(), at_ms, waited_ms }
}

fn program(name: &str, exit: Exit, stopped_by: &str, steps: Vec<Step>) -> Program {
    Program {
        name: name.to_owned(),
        pid: Some(7),
        exit: Some(exit),
        stopped_by: Some(stopped_by.to_owned()),
        steps,
        ..Program::default()
    }
}

fn signal(name: &str) -> Exit {
    Exit::Signal(name.to_owned())
}

fn ended_with(code: u8, programs: Vec<Program>) -> Record {
    let budget_ms = Some(9000);
    Record {
        schema: 1,
        phase: Phase::Stopped,
        exit_code: Some(code),
        budget_ms,
        programs,
        ..Record::default()
    }
}

fn killed() -> Record {
    let steps = vec![step("SIGTERM", 0, 8100), step("SIGKILL", 8100, 20)];
    let mut web = program("web", signal("SIGKILL"), "SIGKILL", steps);
    web.signals = Some(Signals { ignored: vec!["SIGTERM".to_owned()], ..Signals::default() });
    ended_with(137, vec![web])
}

#[test]
fn a_stop_that_goes_on_has_lasted_until_now_and_nobody_has_cut_it_short() {
    let shutdown_time = Some("2026-11-21T12:00:00.500Z".to_owned());
    let web = Program { steps: vec![step("SIGTERM", 0, 0)], pid: Some(7), ..Program::default() };
    let record = Record { phase: Phase::Stopping, shutdown_time, ..ended_with(0, vec![web]) };
    let now = humantime::parse_rfc3339("2026-11-21T12:00:02.500Z").unwrap();
    let record = super::up_to(record, now);
    assert_eq!(record.elapsed_ms, 2000);
    assert_eq!(picture(&record, true).rows[0].outcome, "still there after 2s");
    let advice = |is_written| picture(&record, is_written).advice;
    let blames = |all: Vec<super::Advice>| all.iter().any(|advice| advice.text.contains("killed runinit"));
    assert!(blames(advice(false)) && !blames(advice(true)));
}

#[test]
fn runinit_s_own_sigkill_is_told_from_the_oom_killer_s() {
    assert_eq!(
        codes::explain(137, Some(&killed()), false, Some(3)),
        [
            "137: SIGKILL (128 + 9)",
            "web got SIGKILL from runinit, after SIGTERM had been ignored for 8.1s; not from the OOM killer."
        ]
    );
    let by_itself = ended_with(137, vec![program("web", signal("SIGKILL"), "itself", Vec::new())]);
    let words = |kills| codes::explain(137, Some(&by_itself), false, kills).pop().unwrap();
    assert!(words(None).contains("web got SIGKILL, and not from runinit. Whether it was the OOM killer"));
    assert!(words(Some(0)).contains("It was not the OOM killer"));
    assert!(words(Some(2)).contains("The OOM killer has killed 2 in this cgroup"));
}

#[test]
fn a_cascade_that_reaches_the_shutdown_counts_from_its_first_step() {
    // Cut to milliseconds, the first step ends a little before the shutdown or with it.
    for at_ms in [-101, -100] {
        let steps = vec![step("SIGTERM", at_ms, 100), step("SIGKILL", 0, 1)];
        let web = ended_with(137, vec![program("web", signal("SIGKILL"), "SIGKILL", steps)]);
        let words = codes::explain(137, Some(&web), false, None).pop().unwrap();
        assert!(words.contains(", after SIGTERM had not ended it in 100ms;"), "{words}");
    }
    let steps = vec![step("SIGTERM", -101, 100)];
    let before = ended_with(143, vec![program("web", signal("SIGTERM"), "SIGTERM", steps)]);
    assert_eq!(picture(&before, false).rows[0].marks, []);
}

#[test]
fn a_code_without_a_record_of_its_run_is_told_by_its_number() {
    for (code, word) in [
        (0, "all is well"),
        (1, "a program failed"),
        (3, "the program's own"),
        (70, "a bug in runinit"),
        (100, "bad usage"),
        (111, "refused"),
        (126, "cannot be run"),
        (127, "does not exist"),
        (143, "SIGTERM (128 + 15)"),
        (192, "SIGRTMIN+30 (128 + 64)"),
        (255, "the program's own"),
    ] {
        let lines = codes::explain(code, None, false, None);
        assert!(lines[0].starts_with(&format!("{code}: ")) && lines[0].contains(word), "{lines:?}");
    }
    let lines = codes::explain(3, Some(&killed()), false, None);
    assert_eq!(lines[1], "The record is that of another run: it has exit code 137.");
}

#[test]
fn whose_code_it_is_is_told() {
    let mut web = program("web", Exit::Code(3), "itself", Vec::new());
    let mut record = ended_with(3, Vec::new());
    record.timeline =
        vec![Entry { at_ms: -20, program: Some("web".to_owned()), event: "exited with code 3".to_owned() }];
    record.programs.push(std::mem::take(&mut web));
    assert_eq!(
        codes::explain(3, Some(&record), false, None)[1],
        "web exited with code 3 20ms before the shutdown."
    );
    // In the very millisecond in which it began, and by its first step.
    let mut record = ended_with(7, Vec::new());
    record.timeline =
        vec![Entry { at_ms: 0, program: Some("web".to_owned()), event: "exited with code 7".to_owned() }];
    record.programs.push(program("web", Exit::Code(7), "SIGTERM", vec![step("SIGTERM", 0, 0)]));
    assert_eq!(
        codes::explain(7, Some(&record), false, None)[1],
        "web exited with code 7 0ms into the shutdown."
    );
    let term = program("web", signal("SIGTERM"), "SIGTERM", vec![step("SIGTERM", 0, 4)]);
    let lines = codes::explain(143, Some(&ended_with(143, vec![term])), false, None);
    assert_eq!(lines[1], "web died of the SIGTERM that runinit sent to stop it, 4ms later.");
    let segv = program("web", signal("SIGSEGV"), "itself", Vec::new());
    let lines = codes::explain(139, Some(&ended_with(139, vec![segv])), false, None);
    assert_eq!(lines[1], "web died of SIGSEGV, which runinit did not send to stop it.");
    let nameless = program("web", signal("SIG32"), "itself", Vec::new());
    let lines = codes::explain(160, Some(&ended_with(160, vec![nameless])), false, None);
    assert_eq!(lines[1], "web died of SIG32, which runinit did not send to stop it.");
    let lines = codes::explain(1, Some(&ended_with(1, Vec::new())), false, None);
    assert_eq!(lines[1], "No program of the run ended with it: it is runinit's own.");
}

/// What the timeline tells of `web`.
fn of_web(at_ms: i64, event: &str) -> Entry {
    Entry { at_ms, program: Some("web".to_owned()), event: event.to_owned() }
}

#[test]
fn a_main_program_that_ends_by_itself_while_others_stop_ends_after_the_shutdown_began() {
    let mut record = ended_with(5, vec![program("web", Exit::Code(5), "itself", Vec::new())]);
    for (at_ms, when) in [(1502, "1.5s into"), (0, "0ms before"), (-20, "20ms before")] {
        record.timeline = vec![of_web(at_ms, "exited with code 5")];
        let lines = codes::explain(5, Some(&record), false, None);
        assert_eq!(lines[1], format!("web exited with code 5 {when} the shutdown."));
    }
}

#[test]
fn a_signal_that_somebody_asked_runinit_for_is_no_stranger_s() {
    let timeline = |events: &[&str]| events.iter().map(|event| of_web(-5, event)).collect();
    let words = |events: &[&str]| {
        let programs = vec![program("web", signal("SIGKILL"), "itself", Vec::new())];
        let record = Record { timeline: timeline(events), ..ended_with(137, programs) };
        codes::explain(137, Some(&record), false, Some(0)).pop().unwrap()
    };
    let (asked, died) = ("SIGKILL: somebody asked", "died of SIGKILL");
    assert_eq!(
        words(&["started", asked, died]),
        "web died of SIGKILL 5ms before the shutdown: somebody had asked for that (runinit signal)."
    );
    for others in [["started", died], ["SIGUSR1: somebody asked", died]] {
        assert!(words(&others).contains("and not from runinit. It was not the OOM killer"));
    }
    assert!(words(&["started", asked, died, "restart in 1s", "started", died]).contains("not from runinit"));
}

#[test]
fn what_has_come_back_is_not_missing() {
    let programs = vec![program("web", Exit::Code(0), "itself", Vec::new())];
    let mut record = ended_with(0, programs);
    for (event, missing) in [
        ("not started: db is missing", Some("db is missing")),
        ("waits again", None),
        ("started", None),
        ("not started: cache is missing", Some("cache is missing")),
    ] {
        record.timeline.push(of_web(-5, event));
        assert_eq!(courses(&record)[0].missing(), missing, "{event}");
    }
}

#[test]
fn a_record_that_was_never_finished_says_who_was_killed() {
    let words = |code, phase, is_written| {
        let record = Record { phase, elapsed_ms: 3000, ..killed() };
        codes::explain(code, Some(&record), is_written, Some(2))[1..].join("\n")
    };
    let running = words(137, Phase::Running, false);
    assert!(
        running.starts_with("runinit itself was killed while it was running. The OOM killer has killed 2"),
        "{running}"
    );
    let stopping = words(137, Phase::Stopping, false);
    assert!(stopping.starts_with("runinit itself was killed while it was stopping. "), "{stopping}");
    assert!(stopping.contains("\nSomething killed runinit before its budget was over"), "{stopping}");
    assert!(words(137, Phase::Running, true).contains("no exit code yet: it is running"));
    assert!(
        words(3, Phase::Stopping, false).contains("that of another run: it was killed while it was stopping")
    );
}

/// Two of which the second stops after the first, which ends late.
fn chain(first: Program) -> Record {
    let db = program("db", signal("SIGTERM"), "SIGTERM", vec![step("SIGTERM", 8100, 5)]);
    let first = Program { after: vec!["db".to_owned()], ..first };
    let active_tasks = vec!["web".to_owned(), "db".to_owned()];
    Record { elapsed_ms: 8105, active_tasks, ..ended_with(0, vec![first, db]) }
}

#[test]
fn only_waits_that_were_cut_are_said_to_have_been_cut() {
    let is_told = |record: &Record| {
        let all = picture(record, false).advice;
        all.iter().any(|advice| advice.text.contains("waits were cut"))
    };
    let mut record = chain(program("web", Exit::Code(0), "SIGTERM", vec![step("SIGTERM", 0, 8100)]));
    assert!(is_told(&record));
    record.survivors.push(Survivor { pid: 7, command: "web".to_owned(), state: 'S' });
    assert!(!is_told(&record), "a survivor");
    let mut record = chain(program("web", Exit::Code(0), "SIGTERM", vec![step("SIGTERM", 0, 2000)]));
    record.programs[1].steps = vec![step("SIGTERM", 2000, 5)];
    let event = "SIGTERM to 1 strays".to_owned();
    record.timeline.push(Entry { at_ms: 2005, program: None, event });
    assert!(!is_told(&record), "strays");
}

#[test]
fn an_option_for_the_main_program_is_advised_for_that_alone() {
    for main in [true, false] {
        let mut record = killed();
        record.programs[0].main = main;
        let text = &picture(&record, false).advice[0].text;
        assert_eq!(text.contains("--stop-signal"), main, "{text}");
    }
}

#[test]
fn a_command_that_took_its_time_is_not_to_be_thrown_away() {
    let steps = vec![step("run", 0, 2000), step("SIGTERM", 2000, 1)];
    let record = ended_with(0, vec![program("web", signal("SIGTERM"), "SIGTERM", steps)]);
    let all = picture(&record, false).advice;
    let text =
        "web took 2.0s to end: 2s of it were the wait of its `run` step; SIGTERM then ended it in 1ms.";
    assert_eq!(all, [super::Advice::from(text.to_owned())]);
    let steps = vec![step("run", 0, 2000), step("SIGINT", 2000, 3000), step("SIGTERM", 5000, 1)];
    let record = ended_with(0, vec![program("web", signal("SIGTERM"), "SIGTERM", steps)]);
    let all = picture(&record, false).advice;
    let text = "web did not end on SIGINT in 3s; SIGTERM then ended it in 1ms.";
    assert_eq!(all, [super::Advice::from(text.to_owned())]);
    let mut record = killed();
    record.programs[0].steps.insert(0, step("run", 0, 2000));
    let advice = picture(&record, false).advice.remove(0);
    assert!(advice.text.ends_with("try it in place of SIGTERM.") && advice.try_this.is_none(), "{advice:?}");
}

#[test]
fn whoever_is_to_blame_is_in_the_picture_of_a_large_fleet() {
    let gentle = |n| program(&format!("w{n}"), signal("SIGTERM"), "SIGTERM", vec![step("SIGTERM", 0, 2)]);
    let mut record = ended_with(0, (0..60).map(gentle).collect());
    record.programs.extend(killed().programs);
    // As it is with a chain: its turn comes when all others have ended.
    record.programs[60].steps = vec![step("SIGTERM", 2, 2), step("SIGKILL", 4, 0)];
    let picture = picture(&record, false);
    let names: Vec<&str> = picture.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!((names.len(), names[0], names[39], picture.left_out), (40, "w21", "web", 21));
}

fn stray(pid: i32, command: &str, program: Option<&str>) -> Stray {
    let program = program.map(str::to_owned);
    Stray { pid, command: command.to_owned(), program, stopped_by: "SIGKILL".to_owned() }
}

/// Strays that are no program's got this.
fn got(at_ms: i64, signal: &str) -> Entry {
    Entry { at_ms, program: None, event: format!("{signal} to 1 strays") }
}

#[test]
fn strays_are_said_not_to_have_ended_on_what_they_got_and_on_nothing_else() {
    // Its leader ended by SIGINT; what had left the group heard of that and of what came after it.
    let steps = vec![step("SIGHUP", 0, 100), step("SIGINT", 100, 900), step("SIGKILL", 1000, 1)];
    let mut record = ended_with(0, vec![program("w", signal("SIGINT"), "SIGKILL", steps)]);
    let event = "died of SIGINT".to_owned();
    record.timeline = vec![Entry { at_ms: 101, program: Some("w".to_owned()), event }];
    record.strays = vec![stray(9, "of-w", Some("w")), stray(10, "nobody-s", None)];
    let blamed = |record: &Record| {
        let strays = picture(record, false).rows.into_iter().find(|row| row.name.ends_with("stray)"));
        strays.map(|row| row.is_to_blame)
    };
    let told = |record: &Record| {
        let texts = picture(record, false).advice.into_iter().map(|advice| advice.text);
        texts.filter(|text| text.contains("had left the group")).collect::<Vec<_>>()
    };
    let is_told = |text: &str, who: &str, what: &str| {
        text.starts_with(who) && text.contains(&format!("did not end on {what}. Make"))
    };
    let words = told(&record);
    assert!(
        words.len() == 1 && is_told(&words[0], "of-w (pid 9) had left the group of w ", "SIGINT"),
        "{words:?}"
    );

    // Nobody's got nothing but what a second signal means.
    record.timeline.push(got(1000, "SIGKILL"));
    assert_eq!((told(&record), blamed(&record)), (words, Some(false)));
    record.timeline.insert(1, got(500, "SIGTERM"));
    record.timeline.insert(1, got(600, "SIGTERM"));
    let words = told(&record);
    assert!(words.len() == 2 && is_told(&words[1], "nobody-s (pid 10) had", "SIGTERM"), "{words:?}");
    assert_eq!(blamed(&record), Some(true));

    record.programs[0].steps.drain(..2);
    record.strays.pop();
    assert_eq!(told(&record), [""; 0]);
}

#[test]
fn there_is_no_more_to_explain_than_a_picture_can_hold() {
    let steps = (0..1000).map(|n| step(&format!("{n}"), 0, 1)).collect();
    let mut web = program("web", Exit::Code(0), "run", steps);
    web.signals = Some(Signals { ignored: vec!["SIGHUP".to_owned(); 1000], ..Signals::default() });
    let record = bounded(ended_with(0, vec![web]));
    assert_eq!(record.programs[0].signals.as_ref().map(|signals| signals.ignored.len()), Some(64));
    let legend = picture(&record, false).legend;
    assert_eq!((legend.len(), legend.last().cloned()), (11, Some(('?', "others".to_owned()))));
}

#[test]
fn what_has_no_place_in_xml_is_not_in_the_picture() {
    let mut record = killed();
    record.timeline.push(got(0, "SIGTERM"));
    record.strays.push(stray(9, "a<b&\u{1}\u{ffff}", None));
    let svg = svg::draw(&picture(&record, false));
    assert!(svg.contains("a&lt;b&amp;??"), "{svg}");
}

#[test]
fn names_do_not_steer_the_terminal_that_a_code_is_explained_on() {
    let evil = "evil\u{1b}]0;pwned\u{7}\nruninit: forged";
    let steps = vec![step("\u{1b}[5mX", 0, 10), step("SIGKILL", 10, 0)];
    let killed = program(evil, signal("SIGKILL"), "SIGKILL", steps);
    for (code, program) in [(3, program(evil, Exit::Code(3), "itself", Vec::new())), (137, killed)] {
        let told = Told { record: ended_with(code, vec![program]), is_written: false };
        let text = super::explain_code(code, Some(&told));
        assert!(text.lines().count() == 2 && !text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn long_names_leave_room_for_the_picture() {
    let name = "n".repeat(60);
    let mut record = chain(program(&name, Exit::Code(0), "SIGTERM", vec![step("SIGTERM", 0, 8100)]));
    record.budget_ms = None;
    let db = Program { after: vec!["db".to_owned()], ..program(&name, Exit::Code(0), "SIGTERM", Vec::new()) };
    for record in [record, Record { phase: Phase::Running, ..ended_with(0, vec![db]) }] {
        let picture = picture(&record, false);
        let text = terminal::draw(&picture, PLAIN);
        let rows = text.lines().filter(|line| line.starts_with("  ") || line.starts_with('!'));
        assert!(rows.clone().count() > 0 && rows.clone().all(|line| line.chars().count() <= 80), "{text}");
        let svg = svg::draw(&picture);
        let rows = svg.lines().filter(|line| line.starts_with("<text") && line.contains('\u{2026}'));
        let letters = |line: &str| line.split(['<', '>']).nth(2).map(|text| text.chars().count());
        assert!(rows.clone().count() > 0 && rows.clone().all(|line| letters(line) == Some(40)), "{svg}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let told = Told { record: killed(), is_written: false };
    assert!(!told.draw(PLAIN).contains('\x1b'));
    let coloured = told.draw(Screen { colours: true, ..PLAIN });
    assert!(coloured.contains("\x1b[1;31m! \x1b[0m\x1b[1;31mweb\x1b[0m"), "{coloured:?}");
}

fn some_step() -> impl Strategy<Value = Step> {
    let names = prop::sample::select(vec!["SIGTERM", "SIGKILL", "run", "stdin", "SIGTRAP", "", "\u{e9}"]);
    (names, any::<i64>(), any::<u64>()).prop_map(|(name, at_ms, waited_ms)| step(name, at_ms, waited_ms))
}

fn some_program() -> impl Strategy<Value = Program> {
    let names = || prop::sample::select(vec!["a", "b", "c", "a-rather-long-name-for-a-program"]);
    let by =
        prop::option::of(prop::sample::select(vec!["itself", "SIGTERM", "SIGKILL", "sweep", "nothing", "?"]));
    let exit = prop::option::of(prop_oneof![any::<u8>().prop_map(Exit::Code), Just(signal("SIGKILL"))]);
    let masks =
        prop::option::of(prop::sample::subsequence(vec!["SIGTERM", "SIGQUIT", "SIGINT", "SIGHUP"], 0..4));
    let steps = prop::collection::vec(some_step(), 0..4);
    let after = prop::collection::vec(names(), 0..3);
    (names(), by, exit, masks, steps, after, any::<Option<i32>>()).prop_map(
        |(name, by, exit, masks, steps, after, pid)| Program {
            name: name.to_owned(),
            after: after.into_iter().map(str::to_owned).collect(),
            stopped_by: by.map(str::to_owned),
            signals: masks.map(|masks| Signals {
                ignored: masks.into_iter().map(str::to_owned).collect(),
                caught: vec!["SIGINT".to_owned()],
                blocked: vec!["SIGHUP".to_owned()],
            }),
            pid,
            exit,
            steps,
            ..Program::default()
        },
    )
}

fn some_entry() -> impl Strategy<Value = Entry> {
    let events = vec![
        "SIGTERM to 3 strays",
        "a second signal: now",
        "exited with code 1",
        "stop command died of SIGKILL",
        "not started: b is missing",
    ];
    let programs = prop::option::of(prop::sample::select(vec!["a", "b"]));
    (any::<i64>(), programs, prop::sample::select(events)).prop_map(|(at_ms, program, event)| Entry {
        at_ms,
        program: program.map(str::to_owned),
        event: event.to_owned(),
    })
}

fn some_record() -> impl Strategy<Value = Record> {
    let phases = prop::sample::select(vec![Phase::Running, Phase::Stopping, Phase::Stopped]);
    let programs = prop::collection::vec(some_program(), 0..60);
    let timeline = prop::collection::vec(some_entry(), 0..5);
    let strays = prop::collection::vec(prop::sample::select(vec!["SIGKILL", "SIGTERM"]), 0..3);
    (phases, programs, timeline, strays, any::<u64>(), any::<Option<u64>>(), any::<Option<u8>>()).prop_map(
        |(phase, programs, timeline, strays, elapsed_ms, budget_ms, exit_code)| Record {
            schema: 1,
            phase,
            programs,
            timeline,
            elapsed_ms,
            budget_ms,
            exit_code,
            active_tasks: vec!["a".to_owned(), "b".to_owned()],
            strays: strays
                .into_iter()
                .map(|by| Stray { pid: 1, command: "x".to_owned(), program: None, stopped_by: by.to_owned() })
                .collect(),
            ..Record::default()
        },
    )
}

proptest! {
    /// A record may be anybody's: whatever it says, it is drawn, and text for a plain terminal is plain.
    #[test]
    fn every_record_can_be_drawn(record in some_record(), width in 0_usize..300) {
        let record = bounded(record);
        let picture = picture(&record, false);
        prop_assert!(picture.rows.len() <= 40);
        let text = terminal::draw(&picture, Screen { width, ..PLAIN });
        prop_assert!(text.chars().all(|c| c == '\n' || (c.is_ascii() && !c.is_control())));
        prop_assert!(text.lines().all(|line| !line.ends_with(' ')));
        terminal::draw(&picture, Screen { width, unicode: true, colours: true });
        svg::draw(&picture);
        for code in [0, 1, 137] {
            codes::explain(code, Some(&record), false, None);
        }
    }
}
