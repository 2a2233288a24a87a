//! Who may take a run over, and from when: answered from the journal and the record alone.
//!
//! A takeover appends its fence ([`Event::RunTakenOver`]) to the run's journal, raises the run's epoch in the record, reads
//! both again, and only then acts (protocol section 6). Nothing here acts.

use std::time::Duration;

use crate::coordination::{FleetRecord, MEMORY, ProcessId};
use crate::model::{Bounds, RunId, Time};

use super::{Event, JournalRecord, RunHistory};

/// Appends that a run which lives makes at least once in this many sampling periods (protocol section 6, "Silence").
const SILENT_PERIODS: u32 = 3;

/// A run without a journal counts as alive for this long: two writes, with their retries.
const OPENING: Duration = Duration::from_secs(30);

/// The status of a run, as a takeover sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunStatus {
    /// Neither the record nor a journal knows it.
    Unknown,
    /// It ended and holds nothing.
    Ended,
    /// It ended, holds nothing, and the record was not told: its process died in between.
    Unclosed,
    /// It ended, and left hosts that nobody could put back, or something else that a person was called for.
    Holding,
    /// It was confirmed and is not in the record: it was granted nothing, and its process died before it stood in line.
    Unlisted,
    /// The record knows it and its journal is lost: what became of its hosts cannot be told.
    Lost,
    /// It has not ended.
    UnderWay,
}

/// The status of a run.
pub(crate) fn run_status(journal: &[JournalRecord], record: &FleetRecord, run: &RunId) -> RunStatus {
    let history = RunHistory::of(journal);
    let is_opened = history.opening.is_some();
    match record.runs.get(run) {
        Some(_) if !is_opened => RunStatus::Lost,
        Some(entry) if !entry.reservations.is_empty() && (entry.ended_at.is_some() || history.has_ended()) => {
            RunStatus::Holding
        }
        // It could not tell the record all that it did: whoever takes it over observes again.
        Some(_) if history.needed_attention() => RunStatus::Holding,
        Some(_) if history.has_ended() => RunStatus::Unclosed,
        Some(_) => RunStatus::UnderWay,
        None if history.has_ended() => RunStatus::Ended,
        None if is_opened && !history.was_granted() => RunStatus::Unlisted,
        // The record let go of it, and its process died before the last line of its journal.
        None if is_opened => RunStatus::UnderWay,
        None => RunStatus::Unknown,
    }
}

/// Whether the latest attempt ended and took nothing: then its request id is as good as new.
pub(crate) fn took_nothing(journal: &[JournalRecord]) -> bool {
    RunHistory::of(journal).took_nothing()
}

/// The epoch of the next takeover, or of the next attempt with a request id: above every one that the record or the journal has seen.
pub(crate) fn next_epoch(journal: &[JournalRecord], record: &FleetRecord, run: &RunId) -> u64 {
    let entry = record.runs.get(run).map(|entry| entry.epoch);
    let ended = record.ended.get(run).map(|ended| ended.epoch);
    let seen = RunHistory::of(journal).epoch;
    seen.into_iter().chain(entry).chain(ended).max().unwrap_or(0).saturating_add(1)
}

/// Who took the run over last, in words, if that is not this process.
pub(crate) fn taken_over_by(journal: &[JournalRecord], us: &ProcessId) -> Option<String> {
    if let Some(words) = super::pruned::in_words(journal) {
        return Some(words);
    }
    let taken = RunHistory::of(journal).last_takeover.filter(|taken| taken.process != us)?;
    let verb = match taken.purpose {
        super::Purpose::Resume => "resumed",
        super::Purpose::Abandon => "abandoned",
    };
    let (process, at, epoch) = (taken.process, taken.at, taken.epoch);
    Some(format!("{verb} by {}, process {} on {}, at {at} (epoch {epoch})", taken.operator, process.pid, process.host))
}

/// From when on nothing that this journal's writers have sent can take effect any more: the deadline of every call of
/// which no answer says what became of it, and `offline_until`, each by clocks that may disagree.
pub(crate) fn quiet_from(journal: &[JournalRecord], bounds: Bounds) -> Time {
    // A run that was never opened has sent nothing, and puts nothing back.
    let history = RunHistory::of(journal);
    let opened = history.opening.zip(history.last);
    let offline_until = opened.map(|(opening, last)| last.at.plus(opening.settings.offline_limit));
    let deadlines = history.open_calls().into_iter().map(|(_, call)| call.not_after);
    let last = deadlines.chain(offline_until).max().unwrap_or(Time::from_millis(i64::MIN));
    last.plus(bounds.tolerance)
}

/// From when on the process that acts for a run counts as silent: three sampling periods after its last append, and
/// after `offline_until`. One that said how long it waits is not expected to write before that is over.
pub(crate) fn silent_from(journal: &[JournalRecord], enlisted_at: Time) -> Time {
    let history = RunHistory::of(journal);
    let settings = history.opening.map(|opening| opening.settings);
    let silence = settings.map_or(OPENING, |of| of.every.saturating_mul(SILENT_PERIODS).max(of.offline_limit));
    let expected = match history.last {
        // No wait is longer than the record remembers: one that is was reckoned by a clock that was years ahead.
        Some(JournalRecord { at, event: Event::Waiting { until, .. }, .. }) => (*at).max((*until).min(at.plus(MEMORY))),
        Some(last) => last.at,
        None => enlisted_at,
    };
    expected.plus(silence)
}
