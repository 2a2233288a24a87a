//! The run: a pure state machine, its journal, and recovery by folding the journal.

mod journal;

pub use journal::{JournalRecord, Past};
