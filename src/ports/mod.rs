//! What the pure core needs of the world: the traits that the shell implements.

mod intent;

use std::collections::BTreeMap;

use async_trait::async_trait;
use thiserror::Error;

use crate::coordination::{FleetRecord, Life, ProcessId};
use crate::model::{
    Bounds, CallOutcome, FleetIdentity, FleetSnapshot, HostId, InventoryError, Nonce, Protection, RunId, Sample,
    SubsystemName, Time,
};
use crate::policy::ProbeSpec;
use crate::run::JournalRecord;

pub use intent::{RecordedCall, append};

/// A provider of hosts.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Which fleet this is, established when it was opened (wrong account: refused then).
    fn identity(&self) -> &FleetIdentity;

    /// How far its answers and its clock can be relied on.
    fn bounds(&self) -> Bounds;

    /// What a person types to resume AZRebalance of a group, with `GROUP` for its name; `None` where nobody types anything.
    fn resume_by_hand(&self) -> Option<&'static str> {
        None
    }

    /// Reads the whole fleet: every page, every group, every host that is not gone.
    ///
    /// # Errors
    ///
    /// [`FleetError`] where anything is missing or contradicts itself; never a part (S3).
    async fn observe(&self) -> Result<FleetSnapshot, FleetError>;

    /// Protections of these hosts that an observation cannot show, because the provider tells them one host at a
    /// time only: for the hosts of a plan, not for a fleet. Later observations show what was found.
    ///
    /// # Errors
    ///
    /// [`FleetError::Provider`].
    async fn protections(&self, _hosts: &[HostId]) -> Result<BTreeMap<HostId, Protection>, FleetError> {
        Ok(BTreeMap::new())
    }

    /// Sends one call, once. Never retries by itself where the effect may have happened.
    async fn perform(&self, call: RecordedCall) -> CallOutcome;
}

/// Why the fleet's state cannot be established: exit 5.
#[derive(Debug, Error)]
pub enum FleetError {
    /// The lists contradict each other or are partial.
    #[error("the inventory contradicts itself")]
    Inventory(#[from] InventoryError),
    /// The provider did not answer in time or refused to.
    #[error("{tried}")]
    Provider {
        /// What was tried on what.
        tried: String,
        /// What to do about it.
        hint: Option<String>,
        /// The provider's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another account, region or fleet than the policy names.
    #[error("{0}")]
    WrongFleet(String),
    /// The provider's clock and this machine's disagree by more than the tolerance.
    #[error("the clocks disagree: {ours} here, {theirs} at the provider")]
    Clock {
        /// This machine's.
        ours: Time,
        /// The provider's.
        theirs: Time,
    },
}

/// A number that a ledger raises with every write to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// How a conditional write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<T> {
    /// It is there, for good.
    Acknowledged(T),
    /// Somebody else's write is there instead.
    Conflict,
}

/// Shared state: a record with compare-and-swap, and a journal per run. Nothing else.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The record and its version. A ledger that was just created holds a fresh record.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: exit 10 before the first effect.
    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError>;

    /// The record's text as it is stored, whether or not it can be understood: for an export. `None` where there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    async fn stored(&self) -> Result<Option<String>, LedgerError>;

    /// Writes the record if its version is still `at`. A repeat with the same nonce is acknowledged, not a conflict.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; after [`LedgerError::InDoubt`] the write may be there: only looking for the nonce tells.
    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError>;

    /// Appends to a run's journal at the record's `seq`. A taken seq is a conflict, unless the nonce is the same.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], as above.
    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError>;

    /// A run's journal in order of seq; empty for a run that is not known.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError>;

    /// Puts one record, of seq 0, in place of a run's whole journal; nothing can be appended to that any more: whoever tries
    /// meets a conflict. When the journal was begun stays as it was. A run without a journal is left without one. To
    /// repeat it does no harm, and completes what a process that died in it left.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the journal is then whole, or is that record: never a part.
    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError>;

    /// How many bytes the engine takes of a record; `None` where it takes more than a record can have.
    fn room(&self) -> Option<u64>;

    /// Runs whose journal was begun at or after `since`, newest first.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError>;
}

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// It cannot be reached, or is read-only, full or locked for too long: nothing was written.
    #[error("the ledger {place} cannot be {tried}")]
    Unreachable {
        /// Where it is.
        place: String,
        /// `opened`, `read`, `written`
        tried: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The write may or may not be there.
    #[error("a write to the ledger {place} is in doubt")]
    InDoubt {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a newer version of this tool.
    #[error("the ledger {place} is of schema {found}, newer than this version reads ({known})")]
    Newer {
        /// Where it is.
        place: String,
        /// Its schema.
        found: String,
        /// The newest that is known.
        known: String,
    },
    /// It is a copy, or it knows less than it did: what was written since is not in it. A ledger that is lost, never
    /// one that another process has changed.
    #[error("the ledger {place} is a copy, or an older state of it was put back")]
    PutBack {
        /// Where it is.
        place: String,
        /// Which, and how that shows.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It cannot be understood: fails closed.
    #[error("the ledger {place} is corrupt")]
    Corrupt {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Reads probes.
#[async_trait]
pub(crate) trait Prober: Send + Sync {
    /// Reads one probe once, within its `timeout`. Whatever goes wrong is a bad sample, never an error.
    async fn sample(&self, subsystem: &SubsystemName, probe: &ProbeSpec) -> Sample;
}

/// The clock that a run goes by: the machine's, or the simulated fleet's.
#[async_trait]
pub(crate) trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Time;

    /// Sleeps until then; returns at once for a time that is past.
    async fn sleep_until(&self, until: Time);
}

/// What can be known of the processes that act for other runs.
pub(crate) trait Processes: Send + Sync {
    /// How a process stands, as far as that can be told from here.
    fn life(&self, process: &ProcessId) -> Life;
}
