//! How late this machine is.
//!
//! A budget is kept to the millisecond, but only by a machine that gives runinit the processor. So a thread of the test
//! sleeps in short turns meanwhile, and as late as it was woken, so late anybody may be.

use super::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const TURN: Duration = Duration::from_millis(5);
/// Several things have to happen in turn at the end of a budget, and each may be late.
const TIMES: u64 = 4;

/// Watches until it is dropped.
pub(crate) struct Lateness {
    most_ms: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Lateness {
    pub(crate) fn watch() -> Self {
        let (most_ms, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (most, stop) = (Arc::clone(&most_ms), Arc::clone(&over));
        let watcher = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(TURN);
                let late = began.elapsed().saturating_sub(TURN).as_millis();
                most.fetch_max(late.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { most_ms, over, watcher: Some(watcher) }
    }

    /// By how many milliseconds something may be too late.
    pub(crate) fn allowed_ms(&self) -> i64 {
        (self.most_ms.load(Ordering::Relaxed) * TIMES).try_into().unwrap_or(i64::MAX)
    }

    /// True if everything was over inside the budget.
    pub(crate) fn in_time(&self, record: &Record) -> Result<bool, String> {
        Ok(record.number("elapsed_ms")? <= record.number("budget_ms")? + self.allowed_ms())
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.watcher.take().map(JoinHandle::join);
    }
}
