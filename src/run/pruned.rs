//! A journal that was pruned: one record in place of all, from which the run's document and the answer to its request id
//! still come. Its other records are in the file that the record names.

use super::{Event, JournalRecord, RunDocument};

/// Whether the journal is one record in place of one that was pruned.
pub(crate) fn is_pruned(journal: &[JournalRecord]) -> bool {
    pruned(journal).is_some()
}

/// The number of records ever written to the journal, pruned ones included.
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

/// The end of a run whose journal was pruned, for a process of it that wakes up that late.
pub(super) fn in_words(journal: &[JournalRecord]) -> Option<String> {
    let document = pruned(journal)?;
    let took =
        document.taken_over_by.last().map(|taken| format!("{} by {} at {}; ", taken.how, taken.operator, taken.at));
    let ended = format!("it ended at {}, and its journal was pruned since", document.ended_at);
    Some(took.unwrap_or_default() + &ended)
}
