//! A record that was written is read back, whichever version of this schema wrote it: fields that are not known are passed
//! over, and fields that are missing, or are not what they should be, are empty.
//!
//! By hand: what serde derives for this makes the binary 57 kB larger.

use super::{
    Entry, Exit, Phase, Program, Reaped, Record, SCHEMA, Signal, Signals, Step, Stray, Survivor, TmuxServer,
};
use serde_json::Value;

/// Reads a record.
///
/// # Errors
/// It is no record, or one with fields that mean something else.
pub fn read(json: &[u8]) -> Result<Record, String> {
    let value: Value =
        serde_json::from_slice(json).map_err(|why| format!("this is no record of runinit: {why}"))?;
    let (Some(schema), Some(phase)) = (number::<u64>(&value["schema"]), phase(&value["phase"])) else {
        return Err("this is no record of runinit: it has no schema or no phase".to_owned());
    };
    if schema != u64::from(SCHEMA) {
        return Err(format!("its schema is {schema}, and this runinit knows {SCHEMA} only"));
    }
    Ok(Record {
        schema: SCHEMA,
        phase,
        shutdown_time: text(&value["shutdown_time"]),
        reason: text(&value["reason"]),
        signal_received: value["signal_received"] == true,
        signal: some(&value["signal"], signal),
        budget_ms: number(&value["budget_ms"]),
        elapsed_ms: number(&value["elapsed_ms"]).unwrap_or_default(),
        exit_code: number(&value["exit_code"]),
        active_tasks: texts(&value["active_tasks"]),
        programs: list(&value["programs"], program),
        tmux_servers: list(&value["tmux_servers"], |server| TmuxServer {
            socket: text(&server["socket"]).unwrap_or_default(),
            pid: number(&server["pid"]),
        }),
        strays: list(&value["strays"], |stray| Stray {
            pid: number(&stray["pid"]).unwrap_or_default(),
            command: text(&stray["command"]).unwrap_or_default(),
            program: text(&stray["program"]),
            stopped_by: text(&stray["stopped_by"]).unwrap_or_default(),
        }),
        survivors: list(&value["survivors"], |survivor| Survivor {
            pid: number(&survivor["pid"]).unwrap_or_default(),
            command: text(&survivor["command"]).unwrap_or_default(),
            state: survivor["state"].as_str().and_then(|state| state.chars().next()).unwrap_or('?'),
        }),
        reaped: Reaped {
            programs: number(&value["reaped"]["programs"]).unwrap_or_default(),
            orphans: number(&value["reaped"]["orphans"]).unwrap_or_default(),
        },
        timeline: list(&value["timeline"], |entry| Entry {
            at_ms: number(&entry["at_ms"]).unwrap_or_default(),
            program: text(&entry["program"]),
            event: text(&entry["event"]).unwrap_or_default(),
        }),
    })
}

fn phase(value: &Value) -> Option<Phase> {
    [Phase::Running, Phase::Stopping, Phase::Stopped].into_iter().find(|phase| *value == phase.name())
}

fn signal(value: &Value) -> Signal {
    Signal {
        name: text(&value["name"]).unwrap_or_default(),
        sender_pid: number(&value["sender_pid"]),
        sender_uid: number(&value["sender_uid"]),
        sender_command: text(&value["sender_command"]),
    }
}

fn program(value: &Value) -> Program {
    let exit = &value["exit"];
    let code = number(&exit["code"]).map(Exit::Code);
    Program {
        name: text(&value["name"]).unwrap_or_default(),
        kind: text(&value["kind"]).unwrap_or_default(),
        main: value["main"] == true,
        after: texts(&value["after"]),
        pid: number(&value["pid"]),
        pgid: number(&value["pgid"]),
        session: text(&value["session"]),
        socket: text(&value["socket"]),
        started_at: text(&value["started_at"]),
        ready: value["ready"] == true,
        restarts: number(&value["restarts"]).unwrap_or_default(),
        exit: code.or_else(|| text(&exit["signal"]).map(Exit::Signal)),
        stopped_by: text(&value["stopped_by"]),
        signals: some(&value["signals"], |signals| Signals {
            ignored: texts(&signals["ignored"]),
            caught: texts(&signals["caught"]),
            blocked: texts(&signals["blocked"]),
        }),
        steps: list(&value["steps"], |step| Step {
            step: text(&step["step"]).unwrap_or_default(),
            at_ms: number(&step["at_ms"]).unwrap_or_default(),
            waited_ms: number(&step["waited_ms"]).unwrap_or_default(),
        }),
        last_output: texts(&value["last_output"]),
    }
}

fn some<T>(value: &Value, read: impl Fn(&Value) -> T) -> Option<T> {
    value.is_object().then(|| read(value))
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map_or_else(Vec::new, |all| all.iter().map(read).collect())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    list(value, |item| text(item).unwrap_or_default())
}

fn number<N: TryFrom<i128>>(value: &Value) -> Option<N> {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))?;
    N::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_missing_or_strange_is_empty() {
        let json = br#"{"schema": 1, "phase": "stopped", "mood": "good", "timeline": 3, "exit_code": 300,
            "programs": [{"name": "web", "exit": {"signal": "SIGTERM"}, "colour": 3}]}"#;
        let record = read(json).unwrap();
        assert_eq!(record.phase, Phase::Stopped);
        assert_eq!(record.programs[0].exit, Some(Exit::Signal("SIGTERM".to_owned())));
        assert_eq!(record.programs[0].steps.len() + record.timeline.len(), 0);
        assert_eq!(record.exit_code, None);
    }

    #[test]
    fn another_schema_and_what_is_no_record_are_refused() {
        assert_eq!(
            read(br#"{"schema": 7, "phase": "stopped"}"#).unwrap_err(),
            "its schema is 7, and this runinit knows 1 only"
        );
        for json in ["{}", "[1]", "", "{\"schema\": 1, \"phase\": \"asleep\"}"] {
            assert!(
                read(json.as_bytes()).unwrap_err().starts_with("this is no record of runinit: "),
                "{json}"
            );
        }
    }

    /// Whatever a record says is there again after it was read.
    #[test]
    fn nothing_that_was_written_is_lost() {
        let step = Step { step: "SIGTERM".to_owned(), at_ms: -3, waited_ms: u64::MAX };
        let names = || vec!["SIGHUP".to_owned()];
        let program = Program {
            name: "web".to_owned(),
            kind: "process".to_owned(),
            main: true,
            after: names(),
            pid: Some(3),
            pgid: Some(4),
            session: Some("s".to_owned()),
            socket: Some("runinit".to_owned()),
            started_at: Some("then".to_owned()),
            ready: true,
            restarts: 5,
            exit: Some(Exit::Code(6)),
            stopped_by: Some("run".to_owned()),
            signals: Some(Signals { ignored: names(), caught: Vec::new(), blocked: names() }),
            steps: vec![step],
            last_output: names(),
        };
        let record = Record {
            schema: SCHEMA,
            phase: Phase::Stopping,
            shutdown_time: Some("now".to_owned()),
            reason: Some("graceful_shutdown".to_owned()),
            signal_received: true,
            signal: Some(Signal { name: "SIGTERM".to_owned(), sender_pid: Some(0), ..Signal::default() }),
            budget_ms: Some(7),
            elapsed_ms: 8,
            exit_code: Some(9),
            active_tasks: names(),
            programs: vec![program],
            tmux_servers: vec![TmuxServer { socket: "runinit".to_owned(), pid: Some(9) }],
            strays: vec![Stray {
                pid: 10,
                command: "a".to_owned(),
                program: Some("b".to_owned()),
                stopped_by: "b".to_owned(),
            }],
            survivors: vec![Survivor { pid: 11, command: "c".to_owned(), state: 'D' }],
            reaped: Reaped { programs: 12, orphans: 13 },
            timeline: vec![Entry { at_ms: -14, program: None, event: "d".to_owned() }],
        };
        let json = record.to_json();
        assert_eq!(String::from_utf8(read(&json).unwrap().to_json()), String::from_utf8(json));
    }
}
