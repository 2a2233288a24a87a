//! A journal that was pruned: one record in place of all, from which the run's document and the answer to its request id
//! still come. Its other records are in the file that the record names.

use crate::coordination::FleetRecord;
use crate::model::{OperatorId, Time};

use super::{EVENT_SCHEMA, Event, JournalRecord, RunDocument, RunHistory, report};

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

/// Whether the journal is one record in place of one that was pruned.
pub(crate) fn is_pruned(journal: &[JournalRecord]) -> bool {
    pruned(journal).is_some()
}

/// How many records were written to the journal, those that were pruned included.
pub(crate) fn records_ever(journal: &[JournalRecord]) -> u64 {
    match journal {
        [JournalRecord { event: Event::JournalPruned { records, .. }, .. }] => *records,
        _ => journal.len() as u64,
    }
}

/// The document of a run whose journal was pruned, with a word on where the rest is.
pub(super) fn pruned(journal: &[JournalRecord]) -> Option<RunDocument> {
    let [record] = journal else { return None };
    let Event::JournalPruned { document, records, file, operator, pruned_at, .. } = &record.event else { return None };
    let mut document = RunDocument::clone(document);
    document.warnings.push(format!(
        "the journal of this run was pruned at {pruned_at} by {operator}: its {records} records are in the file {file} that was \
         made then"
    ));
    Some(document)
}

/// What became of a run whose journal was pruned, for a process of it that wakes up that late.
pub(super) fn in_words(journal: &[JournalRecord]) -> Option<String> {
    let document = pruned(journal)?;
    let took =
        document.taken_over_by.last().map(|taken| format!("{} by {} at {}; ", taken.how, taken.operator, taken.at));
    let ended = format!("it ended at {}, and its journal was pruned since", document.ended_at);
    Some(took.unwrap_or_default() + &ended)
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
