//! Ledgers: the shared record with compare-and-swap, and a journal per run. Nothing else.
//!
//! Each engine is one file or folder that implements [`crate::ports::Ledger`] and passes the conformance suite
//! (`tests/all/ledger/conformance.rs`). The meaning of a record belongs to `coordination`; an engine may look into it
//! only through [`codec`].

pub(crate) mod codec;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "etcd")]
mod etcd;
mod remembered;
mod sqlite;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamodbLedger;
#[cfg(feature = "etcd")]
pub use etcd::EtcdLedger;
pub use remembered::{Memory, remembered};
pub(crate) use sqlite::Displaced;
pub use sqlite::SqliteLedger;

/// The suite of `tests/all`. The ledger of the unit tests passes it here, because only unit tests can see that ledger.
#[cfg(test)]
#[path = "../../tests/all/ledger/conformance.rs"]
mod conformance;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
pub(crate) mod unreliable;
