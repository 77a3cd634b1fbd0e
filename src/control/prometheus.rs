//! The status as text for Prometheus: a scraper's answer, or a file for the textfile collector.
//!
//! The format is <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use super::protocol::{Program, State, Status};
use crate::record::Phase;
use std::fmt::{self, Write};

/// A number of one program; `None` where there is none.
type Read = fn(&Program) -> Option<String>;

const OF_PROGRAMS: [(&str, &str, &str, Read); 8] = [
    ("ready", "gauge", "Those that come after it may start.", |p| Some(flag(p.ready))),
    ("healthy", "gauge", "Its health checks and its watchdog are well.", |p| p.healthy.map(flag)),
    ("uptime_seconds", "gauge", "How long it runs.", |p| p.uptime_ms.map(seconds)),
    ("restarts_total", "counter", "How often it was started again.", |p| Some(p.restarts.to_string())),
    ("resident_memory_bytes", "gauge", "Resident memory of all its processes.", |p| {
        p.rss_kb.map(|kb| kb.saturating_mul(1024).to_string())
    }),
    ("cpu_seconds", "gauge", "Time on a processor of all its processes.", |p| p.cpu_ms.map(seconds)),
    ("processes", "gauge", "How many processes it has.", |p| p.processes.map(|count| count.to_string())),
    ("added", "gauge", "It was added while runinit ran.", |p| Some(flag(p.added))),
];

/// All metrics.
pub(super) fn text(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(status, &mut out);
    out
}

fn write_all(status: &Status, out: &mut String) -> fmt::Result {
    let stopping = flag(status.phase != Phase::Running);
    for (name, kind, help, value) in [
        ("uptime_seconds", "gauge", "How long runinit runs.", seconds(status.uptime_ms)),
        ("stopping", "gauge", "A shutdown has begun.", stopping),
        (
            "zombie_processes",
            "gauge",
            "Dead processes that nobody has reaped.",
            status.zombie_processes.to_string(),
        ),
        ("tmux_sessions", "gauge", "tmux sessions of programs.", status.tmux_sessions.to_string()),
        ("active_agents", "gauge", "Programs in tmux that run.", status.active_agents.to_string()),
    ] {
        head(name, kind, help, out)?;
        writeln!(out, "runinit_{name} {value}")?;
    }
    head("reaped_total", "counter", "Children reaped.", out)?;
    writeln!(out, "runinit_reaped_total{{whose=\"program\"}} {}", status.reaped.programs)?;
    writeln!(out, "runinit_reaped_total{{whose=\"orphan\"}} {}", status.reaped.orphans)?;
    head("program_state", "gauge", "1 for the state that the program is in.", out)?;
    for program in &status.programs {
        for state in State::ALL {
            let (name, is_in) = (escaped(&program.name), flag(state == program.state));
            let state = state.name();
            writeln!(out, "runinit_program_state{{program=\"{name}\",state=\"{state}\"}} {is_in}")?;
        }
    }
    for (metric, kind, help, read) in OF_PROGRAMS {
        head(&format!("program_{metric}"), kind, help, out)?;
        for program in &status.programs {
            if let Some(value) = read(program) {
                writeln!(out, "runinit_program_{metric}{{program=\"{}\"}} {value}", escaped(&program.name))?;
            }
        }
    }
    Ok(())
}

fn head(name: &str, kind: &str, help: &str, out: &mut String) -> fmt::Result {
    writeln!(out, "# HELP runinit_{name} {help}\n# TYPE runinit_{name} {kind}")
}

fn flag(flag: bool) -> String {
    u8::from(flag).to_string()
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::status;
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let text = text(&status());
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("runinit_") && value.parse::<f64>().is_ok(), "{line}");
        }
        for line in [
            "runinit_program_state{program=\"web\",state=\"running\"} 1",
            "runinit_program_state{program=\"a\\\"b\",state=\"running\"} 0",
            "runinit_program_resident_memory_bytes{program=\"web\"} 20971520",
            "runinit_program_cpu_seconds{program=\"web\"} 1.250",
            "runinit_reaped_total{whose=\"orphan\"} 5",
            "# TYPE runinit_program_restarts_total counter",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing:\n{text}");
        }
        assert!(!text.contains("runinit_program_healthy{program=\"a"), "it has no health checks");
    }
}
