//! Fault points: where a test ends or stops this process, to see what another one makes of it.
//!
//! There is one before and one behind every append, every change of the record and every call, those of a takeover
//! included, counted from 0 in the order in which they are reached. `SAFE_REMOVE_FAULT=kill:17` ends the process at
//! point 17 as `kill -9` does, `stop:17` stops it there until it gets a SIGCONT. Builds without debug assertions, which
//! is what operators run, have none.

/// A point is reached.
#[cfg(not(debug_assertions))]
pub(super) const fn point() {}

/// A point is reached.
#[cfg(debug_assertions)]
pub(super) fn point() {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static REACHED: AtomicU64 = AtomicU64::new(0);
    let reached = REACHED.fetch_add(1, Ordering::Relaxed);
    let Ok(wanted) = std::env::var("SAFE_REMOVE_FAULT") else { return };
    let Some((what, point)) = wanted.split_once(':') else { return };
    if point.parse() != Ok(reached) {
        return;
    }
    let signal = if what == "stop" { Signal::STOP } else { Signal::KILL };
    // A signal to this process is delivered before this returns; one that cannot be sent is a point that is not there.
    let _ = kill_process(getpid(), signal);
}
