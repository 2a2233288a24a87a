//! Ledgers: the shared record by compare-and-swap, and a journal per run. Nothing else.
//!
//! Each engine is one file (or folder) that implements [`crate::ports::Ledger`] and passes the conformance suite
//! (`tests/all/ledger_conformance.rs`). What a record *means* is `coordination`'s; no engine may look into it
//! beyond what [`codec`] does.

mod codec;
mod sqlite;

pub use sqlite::SqliteLedger;
