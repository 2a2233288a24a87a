//! Pruning: which journals may go, and the record that takes the place of one.

use crate::coordination::FleetRecord;
use crate::model::{OperatorId, Time};

use super::{EVENT_SCHEMA, Event, JournalRecord, RunHistory, is_pruned, report};

/// Why a journal is not pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It is of no run: a stop order, an adoption. It is one record already.
    OfNoRun,
    /// It was pruned before.
    Pruned,
    /// The record names the run, or its journal does not say that it ended: somebody has yet to write there.
    UnderWay,
    /// It ended at that point in time or later.
    Late,
    /// It took nothing, and has a request id: the next call with that id goes on in it.
    Repeatable,
}

/// The record that takes the place of a journal which ended before that time.
///
/// # Errors
///
/// [`Stays`]: the journal is left as it is.
pub(crate) fn prune(
    journal: &[JournalRecord],
    record: &FleetRecord,
    before: Time,
    now: Time,
    operator: &OperatorId,
    file: &str,
) -> Result<JournalRecord, Stays> {
    if is_pruned(journal) {
        return Err(Stays::Pruned);
    }
    let Some(document) = report(journal) else { return Err(Stays::OfNoRun) };
    let history = RunHistory::of(journal);
    let Some(opening) = history.opening else { return Err(Stays::OfNoRun) };
    let (run, request) = (document.run.clone(), opening.plan.request.clone());
    // S7: what has not ended is somebody's to write, whatever its last time.
    if record.runs.contains_key(&run) || !history.has_ended() {
        return Err(Stays::UnderWay);
    }
    if document.ended_at >= before {
        return Err(Stays::Late);
    }
    // S9: such a journal goes on with the next call of that id.
    if history.took_nothing() && document.request_id.is_some() {
        return Err(Stays::Repeatable);
    }
    let event = Event::JournalPruned {
        document: Box::new(document),
        request,
        records: journal.len() as u64,
        file: file.to_owned(),
        operator: operator.clone(),
        pruned_at: now,
    };
    let begun = journal.first().map_or(now, |first| first.at);
    Ok(JournalRecord { schema: EVENT_SCHEMA.to_owned(), run, seq: 0, at: begun, event })
}
