//! The run: a pure state machine, its journal, and recovery by folding the journal.

mod document;
mod journal;

pub use document::{BatchReport, BatchState, Cause, CauseKind, Outcome, RunDocument};
pub use journal::{JournalRecord, Past};
