//! What is on its way to runinit's own standard output or standard error.

use super::lines;
use crate::os::outlet::Outlet;
use crate::os::poller::{Interest, Poller, Token};
use nix::errno::Errno;
use std::os::fd::AsFd;

/// With this much on its way, no more is read for it. One more reading may have come before that.
const LIMIT: usize = 64 * 1024;

/// A standard descriptor and the lines that it has not taken yet.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// 0 for standard output, 1 for standard error.
    index: usize,
    /// Found with the first line.
    outlet: Option<Outlet>,
    lines: Vec<u8>,
    /// How much of them has been taken.
    taken: usize,
    /// The poller waits for room.
    is_waiting: bool,
    /// Nobody waits for the reader any more: everything is lost.
    is_given_up: bool,
    lost_lines: u64,
    /// Taken in the whole run.
    pub(super) taken_bytes: u64,
}

impl Outgoing {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            outlet: None,
            lines: Vec::new(),
            taken: 0,
            is_waiting: false,
            is_given_up: false,
            lost_lines: 0,
            taken_bytes: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn over(index: usize, outlet: Outlet) -> Self {
        Self { outlet: Some(outlet), ..Self::new(index) }
    }

    /// For lines to be added.
    pub(super) fn lines(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() - self.taken >= LIMIT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The poller waits for nothing any more.
    pub(super) fn stop_waiting(&mut self) {
        self.is_waiting = false;
    }

    /// From now on everything is lost that the reader does not take at once.
    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
    }

    /// Lines that nobody has taken.
    pub(super) fn lost_lines(&self) -> u64 {
        self.lost_lines
    }

    /// Hands over as much as is taken at once, and has the poller wait for room for the rest.
    pub(super) fn flush(&mut self, poller: &mut Poller) {
        if self.lines.is_empty() {
            return;
        }
        let outlet = self.outlet.take().unwrap_or_else(|| Outlet::find(if self.index == 0 { 1 } else { 2 }));
        let trouble = self.hand_over(&outlet);
        let token = Token::Standard(self.index);
        let is_done = match trouble {
            Some(Errno::EAGAIN) if !self.is_given_up => {
                // Where even waiting is impossible (ENOMEM), nothing would ever go on.
                self.is_waiting =
                    self.is_waiting || poller.set(outlet.as_fd(), token, Interest::Write).is_ok();
                !self.is_waiting
            }
            _ => true,
        };
        if is_done {
            self.lose(trouble);
            if std::mem::take(&mut self.is_waiting) {
                let _ = poller.set(outlet.as_fd(), token, Interest::Nothing);
            }
            self.lines.clear();
            self.lines.shrink_to(LIMIT);
            self.taken = 0;
        } else if self.taken >= LIMIT {
            self.lines.drain(..self.taken);
            self.taken = 0;
        }
        self.outlet = Some(outlet);
    }

    fn hand_over(&mut self, outlet: &Outlet) -> Option<Errno> {
        while self.taken < self.lines.len() {
            match outlet.write(next(&self.lines[self.taken..], outlet.longest)) {
                Ok(count) => {
                    self.taken += count;
                    self.taken_bytes += count as u64;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Some(errno),
            }
        }
        None
    }

    /// The program goes on, as it would with a reader.
    fn lose(&mut self, trouble: Option<Errno>) {
        let Some(errno) = trouble else { return };
        if self.lost_lines == 0 {
            let name = if self.index == 0 { "output" } else { "error" };
            let why = if errno == Errno::EAGAIN { "nobody reads them" } else { errno.desc() };
            log::warn!("lines of programs are lost on standard {name}: {why}");
        }
        self.lost_lines += lines::count(&self.lines[self.taken..]);
    }
}

/// As many whole lines as fit. One that does not comes in parts, and others' may come between them.
fn next(lines: &[u8], longest: usize) -> &[u8] {
    if lines.len() <= longest {
        return lines;
    }
    let whole = lines[..longest].iter().rposition(|&byte| byte == b'\n');
    &lines[..whole.map_or(longest, |newline| newline + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_go_together() {
        assert_eq!(next(b"ab\ncd\nef\n", 7), b"ab\ncd\n");
        assert_eq!(next(b"ab\ncd\n", 6), b"ab\ncd\n");
        assert_eq!(next(b"abcdef\n", 4), b"abcd");
    }
}
