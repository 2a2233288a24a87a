//! Calls that a journal tells of.

use std::collections::BTreeMap;

use crate::model::{Call, CallOutcome};

use super::{JournalRecord, Past};

/// Calls that were intended and of which no answer says what became of them, by number: each may take effect until its
/// deadline.
pub(crate) fn open_calls(journal: &[JournalRecord]) -> BTreeMap<u64, &Call> {
    let mut open = BTreeMap::new();
    for record in journal {
        match &record.event {
            Past::CallIntended { call, intent } => _ = open.insert(*call, intent),
            Past::CallAnswered { call, outcome: CallOutcome::Done | CallOutcome::Refused { .. } } => {
                open.remove(call);
            }
            _ => {}
        }
    }
    open
}
