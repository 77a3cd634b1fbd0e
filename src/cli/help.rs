//! What `--help` prints.

/// How runinit is used.
pub const HELP: &str = "\
runinit: the init for containers that stops everything on time and says why

    runinit [OPTIONS] -- COMMAND [ARG...]                  one main program
    runinit [OPTIONS] --config FILE [-- COMMAND [ARG...]]  a fleet; COMMAND is its main program
    runinit check FILE [-- COMMAND [ARG...]]               what a fleet would do, and when

Options, each with its environment variable:
    -c, --config FILE       RUNINIT_CONFIG       the fleet, in TOML
        --grace DURATION    RUNINIT_GRACE        the whole shutdown's time [9s; 29s in Kubernetes]; \"forever\"
                                                 never kills
        --stop-signal SIG   RUNINIT_STOP_SIGNAL  the main program's first signal [the one that came]
        --rewrite FROM:TO                        change a signal that is forwarded; FROM:0 drops it
        --single-child                           signal the program itself, not its group
        --state-file FILE   RUNINIT_STATE_FILE   the record [/run/runinit/shutdown_state.json as PID 1]
    -v, -q                  RUNINIT_LOG          say more, or less
    -V, --version
    -h, --help

Durations are 500ms, 2s, 1m30s; signals are SIGTERM, TERM or 15.
Exit code: the program's own; 128 + n if signal n ended it; 126 or 127 if it cannot be run or found;
100 for bad usage or configuration; 111 if the system refused; 70 for a bug.
";
