//! The whole command line in one table. What `--help` prints, the completions and the man page are made from it, and the
//! parsers know no option that is not in it.

/// A subcommand, or, without a name, runinit without one.
#[derive(Debug)]
pub struct Subcommand {
    /// Its name.
    pub name: &'static str,
    /// What follows the name, and what that means.
    pub usages: &'static [(&'static str, &'static str)],
    /// More about it, in sentences.
    pub about: &'static str,
    /// Words that can follow it, apart from options and files.
    pub words: &'static [&'static str],
    /// In the order in which they are told.
    pub options: &'static [&'static [Opt]],
}

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// `-c`.
    pub short: Option<char>,
    /// `--config`.
    pub long: Option<&'static str>,
    /// What its value is called: `FILE`, `SIG`, `DURATION`; `None`: it has none.
    pub value: Option<&'static str>,
    /// The environment variable that stands in for it.
    pub variable: Option<&'static str>,
    /// What it does.
    pub meaning: &'static str,
    /// What holds without it.
    pub default: Option<&'static str>,
}

const PLAIN: Opt = Opt { short: None, long: None, value: None, variable: None, meaning: "", default: None };

const HELP: &[Opt] = &[Opt {
    short: Some('h'),
    long: Some("help"),
    meaning: "how it is used; also after a subcommand",
    ..PLAIN
}];
const VERSION: &[Opt] =
    &[Opt { short: Some('V'), long: Some("version"), meaning: "which version it is", ..PLAIN }];
const CONFIG: Opt = Opt {
    short: Some('c'),
    long: Some("config"),
    value: Some("FILE"),
    variable: Some("RUNINIT_CONFIG"),
    meaning: "the fleet, in TOML",
    ..PLAIN
};
const GRACE: Opt = Opt {
    long: Some("grace"),
    value: Some("DURATION"),
    variable: Some("RUNINIT_GRACE"),
    meaning: "the whole shutdown's time; \"forever\" has no end, and only a SIGKILL that a \"stop\" asks for is sent",
    default: Some("9s; 29s in Kubernetes"),
    ..PLAIN
};
const SVG: Opt =
    Opt { long: Some("svg"), value: Some("FILE"), meaning: "write the picture there as well", ..PLAIN };

const CONTROL: Opt = Opt {
    long: Some("control"),
    value: Some("SOCKET"),
    variable: Some("RUNINIT_CONTROL"),
    meaning: "where a fleet that runs is asked",
    default: Some("/run/runinit/control.sock"),
    ..PLAIN
};
/// What every subcommand understands that asks a fleet.
const ASKING: &[Opt] = &[
    CONTROL,
    Opt { meaning: "the fleet's file, if that names the socket", ..CONFIG },
    Opt {
        long: Some("timeout"),
        value: Some("DURATION"),
        meaning: "how long an answer is waited for",
        default: Some("5s; without end for what takes its time"),
        ..PLAIN
    },
];
const NO_WAIT: &[Opt] =
    &[Opt { long: Some("no-wait"), meaning: "return at once, not when it is done", ..PLAIN }];

const RUN: &[Opt] = &[
    CONFIG,
    GRACE,
    Opt {
        long: Some("stop-signal"),
        value: Some("SIG"),
        variable: Some("RUNINIT_STOP_SIGNAL"),
        meaning: "the main program's first signal",
        default: Some("the one that came"),
        ..PLAIN
    },
    Opt {
        long: Some("rewrite"),
        value: Some("FROM:TO"),
        meaning: "change a signal that is forwarded; FROM:0 drops it",
        ..PLAIN
    },
    Opt { long: Some("single-child"), meaning: "signal the program itself, not its group", ..PLAIN },
    Opt {
        long: Some("state-file"),
        value: Some("FILE"),
        variable: Some("RUNINIT_STATE_FILE"),
        meaning: "the record",
        default: Some("/run/runinit/shutdown_state.json as PID 1"),
        ..PLAIN
    },
    CONTROL,
    Opt {
        short: Some('v'),
        variable: Some("RUNINIT_LOG"),
        meaning: "say more; the variable is a filter as for env_logger",
        default: Some("warn; info for a fleet"),
        ..PLAIN
    },
    Opt { short: Some('q'), meaning: "say less", ..PLAIN },
];

/// runinit without a subcommand, then the subcommands.
pub const SURFACE: &[Subcommand] = &[
    Subcommand {
        name: "",
        usages: &[
            ("[OPTIONS] -- COMMAND [ARG...]", "one main program"),
            ("[OPTIONS] --config FILE [-- COMMAND [ARG...]]", "a fleet; COMMAND is its main program"),
        ],
        about: "Runs one program or a fleet of them as PID 1 or anywhere below it: forwards every signal, reaps every \
                orphan, stops everything within one time limit and writes down what it took.",
        words: &[],
        options: &[RUN, VERSION, HELP],
    },
    Subcommand {
        name: "check",
        usages: &[("FILE [-- COMMAND [ARG...]]", "what a fleet would do, and when")],
        about: "Reads a fleet's file and prints the order of the start, how each program is stopped and the worst case \
                against the budget. Starts nothing. The options are those of a run.",
        words: &[],
        options: &[RUN, HELP],
    },
    Subcommand {
        name: "explain",
        usages: &[
            ("[FILE]", "draws a record: who took how long to stop, why"),
            ("CODE [FILE]", "what an exit code means"),
        ],
        about: "Draws the record of a run as a picture: a bar for each program, each step of its stop where it was \
                taken, whom it had to wait for, and what could be done better. FILE is the record; without it the one \
                where a run of this environment would have put it. With a number from 0 to 255 it says what such an \
                exit code means, and with a record how it came about.",
        words: &[],
        options: &[&[Opt { meaning: "the fleet whose record it is", ..CONFIG }, SVG], HELP],
    },
    Subcommand {
        name: "drill",
        usages: &[(
            "[OPTIONS] FILE [-- COMMAND [ARG...]]",
            "starts a fleet, stops it, and says how that went",
        )],
        about: "A test of how a fleet stops, for a CI job. Starts it with a record of its own and, where that is \
                allowed, in a PID namespace of its own; waits until every program is ready; stops it by SIGTERM; draws \
                what explain draws. Exits with 1 if anything needed SIGKILL, the budget was used up, or a program had \
                failed before.",
        words: &[],
        options: &[
            &[
                Opt {
                    long: Some("ready-within"),
                    value: Some("DURATION"),
                    meaning: "how long the programs may take until all are ready",
                    default: Some("60s"),
                    ..PLAIN
                },
                GRACE,
                Opt { long: Some("quiet"), meaning: "nothing from the fleet itself", ..PLAIN },
                SVG,
            ],
            HELP,
        ],
    },
    Subcommand {
        name: "hygiene",
        usages: &[("--config FILE [--dry-run]", "cleans up behind agents, and says what was done")],
        about: "One pass of what [hygiene] in a fleet's file asks for: ends orphaned tmux sessions, deletes finished \
                workspaces, keeps registries true, tells of zombies. What cannot be known is kept.",
        words: &[],
        options: &[
            &[CONFIG, Opt { long: Some("dry-run"), meaning: "only say what would be done", ..PLAIN }],
            HELP,
        ],
    },
    Subcommand {
        name: "status",
        usages: &[("[OPTIONS]", "how everything is")],
        about: "Asks a fleet that runs and draws a table: state, pid, memory, processor time and what each program waits for.",
        words: &[],
        options: &[
            &[
                Opt { long: Some("json"), meaning: "all fields as JSON", ..PLAIN },
                Opt {
                    long: Some("prometheus"),
                    meaning: "metrics for a scraper or the textfile collector",
                    ..PLAIN
                },
                Opt { long: Some("watch"), meaning: "draw it again every second", ..PLAIN },
            ],
            ASKING,
            HELP,
        ],
    },
    Subcommand {
        name: "health",
        usages: &[("", "exit code 0 when everything is ready and well")],
        about: "For Docker's HEALTHCHECK and exec probes: one line, and 1 unless everything that has to run is ready and well.",
        words: &[],
        options: &[ASKING, HELP],
    },
    Subcommand {
        name: "stop",
        usages: &[("NAME", "stops a program and those that come after it")],
        about: "By its cascade, and it stays stopped until somebody starts it. The end of a main program is the fleet's end.",
        words: &[],
        options: &[NO_WAIT, ASKING, HELP],
    },
    Subcommand {
        name: "start",
        usages: &[
            ("NAME", "starts a program and what it comes after"),
            ("--name NAME [OPTIONS] -- COMMAND [ARG...]", "adds a program and starts it"),
        ],
        about: "Waits until it is ready. One that is added outlives a reload and is forgotten by remove.",
        words: &[],
        options: &[
            &[
                Opt {
                    long: Some("name"),
                    value: Some("NAME"),
                    meaning: "what the new program is called",
                    ..PLAIN
                },
                Opt {
                    long: Some("env"),
                    value: Some("NAME=VALUE"),
                    meaning: "a variable of its environment",
                    ..PLAIN
                },
                Opt { long: Some("cwd"), value: Some("DIR"), meaning: "where it starts", ..PLAIN },
                Opt {
                    long: Some("tmux"),
                    value: Some("SESSION"),
                    meaning: "the tmux session it lives in",
                    ..PLAIN
                },
                Opt {
                    long: Some("stop"),
                    value: Some("STEPS"),
                    meaning: "TERM:5s,KILL:2s, or an array as in the file, in JSON",
                    ..PLAIN
                },
                Opt {
                    long: Some("set"),
                    value: Some("KEY=VALUE"),
                    meaning: "any other key of a [[program]]; the value is JSON, or a string",
                    ..PLAIN
                },
            ],
            NO_WAIT,
            ASKING,
            HELP,
        ],
    },
    Subcommand {
        name: "restart",
        usages: &[("NAME", "stops a program and starts it at once")],
        about: "Those that come after it stop before it and come back.",
        words: &[],
        options: &[NO_WAIT, ASKING, HELP],
    },
    Subcommand {
        name: "signal",
        usages: &[("NAME SIGNAL", "sends a program's group a signal")],
        about: "As it is, without the rewrites of forwarded ones.",
        words: &[],
        options: &[ASKING, HELP],
    },
    Subcommand {
        name: "logs",
        usages: &[("NAME", "what a program has printed last")],
        about: "Where runinit sees it: output = prefix, json or a file.",
        words: &[],
        options: &[
            &[
                Opt {
                    short: Some('f'),
                    long: Some("follow"),
                    meaning: "and what it goes on to print",
                    ..PLAIN
                },
                Opt {
                    short: Some('n'),
                    long: Some("lines"),
                    value: Some("LINES"),
                    meaning: "at most so many",
                    ..PLAIN
                },
            ],
            ASKING,
            HELP,
        ],
    },
    Subcommand {
        name: "attach",
        usages: &[("NAME", "the terminal of a program in tmux")],
        about: "Becomes tmux attach with the right socket and session.",
        words: &[],
        options: &[ASKING, HELP],
    },
    Subcommand {
        name: "reload",
        usages: &[("", "the configuration is read again")],
        about: "What has not changed in it is not touched; a bad file changes nothing.",
        words: &[],
        options: &[NO_WAIT, ASKING, HELP],
    },
    Subcommand {
        name: "remove",
        usages: &[("NAME", "stops a program that was added, and forgets it")],
        about: "Programs of the file are stopped with stop, or taken out there.",
        words: &[],
        options: &[NO_WAIT, ASKING, HELP],
    },
    Subcommand {
        name: "completions",
        usages: &[("bash|zsh|fish", "a script that completes words in a shell")],
        about: "Prints the script. For bash: source <(runinit completions bash).",
        words: &["bash", "zsh", "fish"],
        options: &[HELP],
    },
    Subcommand {
        name: "man",
        usages: &[("", "the manual page, for man -l -")],
        about: "Prints the manual page in man(7).",
        words: &[],
        options: &[HELP],
    },
];

/// What an exit code of runinit says.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("the program's own", "the main program exited"),
    ("128 + n", "signal n ended the main program"),
    ("126, 127", "the command cannot be run, does not exist"),
    (
        "0, 1",
        "a fleet without a main program: it was asked to stop or all ended well; all ended and one failed",
    ),
    ("the failed program's", "a program with on_failure = \"shutdown\" failed"),
    ("100", "bad usage or configuration; nothing was started"),
    ("111", "the system refused something that runinit cannot start without"),
    ("70", "a bug in runinit; everything was still stopped and recorded"),
];

impl Subcommand {
    /// All its options.
    pub fn options(&self) -> impl Iterator<Item = &'static Opt> + use<> {
        self.options.iter().copied().flatten()
    }

    /// True if there is such an option, written without its dashes.
    pub(super) fn knows(&self, option: &str) -> bool {
        self.options()
            .any(|opt| opt.long == Some(option) || opt.short.is_some_and(|c| option.chars().eq([c])))
    }

    /// True if a file can follow it.
    pub(super) fn takes_file(&self) -> bool {
        !self.name.is_empty()
            && self
                .usages
                .iter()
                .any(|(usage, _)| usage.split(' ').any(|word| word.trim_matches(['[', ']']) == "FILE"))
    }
}

impl Opt {
    /// `-c, --config FILE`.
    pub(super) fn written(&self) -> String {
        let short = self.short.map(|letter| format!("-{letter}"));
        let long = self.long.map(|word| format!("--{word}"));
        let names: Vec<String> = [short, long].into_iter().flatten().collect();
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("{}{value}", names.join(", "))
    }

    /// What it does, and in brackets what holds without it.
    pub(super) fn told(&self) -> String {
        let default = self.default.map_or_else(String::new, |default| format!(" [{default}]"));
        format!("{}{default}", self.meaning)
    }
}

/// The subcommand of this name, or runinit without one.
pub(super) fn subcommand(name: &str) -> &'static Subcommand {
    SURFACE.iter().find(|subcommand| subcommand.name == name).unwrap_or(&SURFACE[0])
}

/// All names, without the empty one.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SURFACE.iter().map(|subcommand| subcommand.name).filter(|name| !name.is_empty())
}
