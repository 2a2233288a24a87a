//! Whether the process of a run may still act for it: by how it stands here, and else by how long it wrote nothing
//! (protocol section 6, "Silence").

use std::time::Duration;

use crate::coordination::{FleetRecord, Life, RunEntry};
use crate::model::{Bounds, RunId, Time};

use super::takeover::silent_from;
use super::{JournalRecord, RunHistory};

/// Whether a process may still act for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayLive {
    /// It is dead, or silent, or there is none.
    No,
    /// It lives.
    Yes,
    /// It cannot be seen from here, and wrote lately.
    Unseen {
        /// In how long it counts as silent.
        silent_in: Duration,
    },
}

/// Whether the process of a run may still act for it. `life` is how it stands, as far as that can be told from here.
pub(crate) fn may_live(
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    life: Life,
    bounds: Bounds,
    now: Time,
) -> MayLive {
    let entry = record.runs.get(run);
    if entry.map(|entry| &entry.process).or(RunHistory::of(journal).actor).is_none() {
        return MayLive::No;
    }
    match life {
        Life::Running | Life::Stopped => MayLive::Yes,
        Life::Dead => MayLive::No,
        Life::Elsewhere => {
            let enlisted_at = entry.map_or(now, |entry| entry.enlisted_at);
            let silent_in = silent_at(journal, enlisted_at, bounds).since(now);
            if silent_in.is_zero() { MayLive::No } else { MayLive::Unseen { silent_in } }
        }
    }
}

/// Whether a call that is retried may go on with the run. Its process must not live, and the run must be silent even where
/// that process is known to be dead: of two retries the second one sees what the first one wrote, and waits for its end.
pub(crate) fn may_be_retried(
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    life: Life,
    bounds: Bounds,
    now: Time,
) -> bool {
    let enlisted_at = record.runs.get(run).map_or(now, |entry| entry.enlisted_at);
    match life {
        Life::Running | Life::Stopped => false,
        Life::Dead | Life::Elsewhere => silent_at(journal, enlisted_at, bounds) <= now,
    }
}

/// Whether a run that is in the way of others is silent: it ended, or wrote nothing for longer than one that lives leaves it.
pub(crate) fn is_silent(journal: &[JournalRecord], entry: &RunEntry, bounds: Bounds, now: Time) -> bool {
    RunHistory::of(journal).has_ended() || silent_at(journal, entry.enlisted_at, bounds) <= now
}

/// The process's clock may be ahead of this one.
fn silent_at(journal: &[JournalRecord], enlisted_at: Time, bounds: Bounds) -> Time {
    silent_from(journal, enlisted_at).plus(bounds.tolerance)
}
