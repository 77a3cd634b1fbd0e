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
        let written = if line.len() > AT_ONCE { outlet.write(&cut(line)) } else { outlet.write(line) };
        if written.is_err() {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The beginning of a line that is too long to be written at once. It is a line still.
fn cut(line: &[u8]) -> Vec<u8> {
    const END: &str = "...\n";
    let is_inside = |at: usize| line[at] & 0b1100_0000 == 0b1000_0000;
    let most = AT_ONCE - END.len();
    let length = (0..=most).rev().find(|&at| !is_inside(at)).unwrap_or(most);
    [&line[..length], END.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_stays_a_line() {
        for line in ["a".repeat(5000), "é".repeat(2500), format!("a{}", "é".repeat(2500))] {
            let cut = String::from_utf8(cut(format!("{line}\n").as_bytes())).unwrap();
            assert!(cut.len() <= AT_ONCE && cut.len() > AT_ONCE - 2, "{}", cut.len());
            assert!(cut.ends_with("...\n") && line.starts_with(&cut[..cut.len() - 4]));
        }
    }
}
