//! Lines of a log, which are dropped and counted where nobody reads them.

use super::outlet::{AT_ONCE, Outlet};
use std::io::{Result, Write};
use std::os::fd::RawFd;

/// Where log lines go.
#[derive(Debug)]
pub struct LogSink {
    number: RawFd,
    /// Asked for with the first line: most runs of a wrapper never write one.
    outlet: Option<Outlet>,
    dropped: u64,
}

impl LogSink {
    /// Standard error.
    pub fn stderr() -> Self {
        Self { number: 2, outlet: None, dropped: 0 }
    }

    /// Standard output.
    pub fn stdout() -> Self {
        Self { number: 1, outlet: None, dropped: 0 }
    }
}

impl Write for LogSink {
    /// Takes one whole line; one that finds no room is counted, and the count is told once there is room again.
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let outlet = self.outlet.get_or_insert_with(|| Outlet::find(self.number));
        if self.dropped > 0 {
            let told =
                format!("runinit: warning: {} log lines found no reader and were dropped\n", self.dropped);
            if outlet.write(told.as_bytes()).is_err() {
                self.dropped += 1;
                return Ok(line.len());
            }
            self.dropped = 0;
        }
        if outlet.write(&line[..line.len().min(AT_ONCE)]).is_err() {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
