//! What the pure core needs from outside: the traits that the shell implements.

mod intent;
mod permissions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::coordination::{FleetRecord, Life, ProcessId};
use crate::model::{
    Bounds, CallOutcome, FleetIdentity, FleetSnapshot, GroupName, HookAnswer, HookDocument, HostId, HostTargets,
    InventoryError, Nonce, ProbeKey, Protection, RunId, Sample, Scope, Time,
};
use crate::policy::{HookSpec, ProbeSpec};
use crate::run::JournalRecord;

pub use intent::{Permit, RecordedCall, RecordedHook, append};
pub use permissions::{Lasting, Permission, Trial, Trials};

/// A provider of hosts.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Which fleet this is. It is established when the fleet is opened, and a wrong account is refused then.
    fn identity(&self) -> &FleetIdentity;

    /// How far the provider's answers and its clock can be relied on.
    fn bounds(&self) -> Bounds;

    /// The command that a person types to resume AZRebalance of a group, with `GROUP` for its name; `None` where there
    /// is no such command.
    fn resume_by_hand(&self) -> Option<&'static str> {
        None
    }

    /// What must be told to the code that describes the fleet (Terraform and the like), so that it leaves the ledger's
    /// marks alone and launches nothing again; `None` where no code describes it.
    fn infrastructure_code(&self) -> Option<&'static str> {
        None
    }

    /// Reads the whole fleet: every page, every group, every host that is not gone.
    ///
    /// # Errors
    ///
    /// [`FleetError`] where anything is missing or contradictory; never a partial result (S3).
    async fn observe(&self) -> Result<FleetSnapshot, FleetError>;

    /// Reads what is in the scope, and where that costs nothing more: for the looks of a run, which come every few
    /// seconds. What it shows is as complete as [`Fleet::observe`]: each group with every member.
    ///
    /// # Errors
    ///
    /// As [`Fleet::observe`].
    async fn observe_part(&self, _scope: &Scope) -> Result<FleetSnapshot, FleetError> {
        self.observe().await
    }

    /// Protections of these hosts that an observation cannot show, because the provider reports them for one host at a
    /// time only. Meant for the hosts of a plan, not for a whole fleet. Later observations show what was found.
    ///
    /// # Errors
    ///
    /// [`FleetError::Provider`].
    async fn protections(&self, _hosts: &[HostId]) -> Result<BTreeMap<HostId, Protection>, FleetError> {
        Ok(BTreeMap::new())
    }

    /// How long the caller's credentials last.
    async fn lasting(&self) -> Lasting {
        Lasting::Unlimited
    }

    /// Tries permissions without effect: on these groups, and on these hosts outside groups with the target groups that
    /// they are in. Empty where the provider asks for no permissions.
    ///
    /// # Errors
    ///
    /// [`FleetError::Provider`] where a trial has no clear answer.
    async fn try_permissions(
        &self,
        _trials: Trials,
        _groups: &BTreeSet<GroupName>,
        _outside: &HostTargets,
    ) -> Result<Vec<Permission>, FleetError> {
        Ok(Vec::new())
    }

    /// Sends one call, once. Never retries by itself where the effect may have happened.
    async fn perform(&self, call: RecordedCall) -> CallOutcome;
}

/// Why the fleet's state cannot be established: exit 5.
#[derive(Debug, Error)]
pub enum FleetError {
    /// The lists contradict each other or are incomplete.
    #[error("the inventory contradicts itself")]
    Inventory(#[from] InventoryError),
    /// The provider did not answer in time, or refused to answer.
    #[error("{tried}")]
    Provider {
        /// The action that failed, and its object.
        tried: String,
        /// What to do about it.
        hint: Option<String>,
        /// The provider's own message.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The account, region or fleet is not the one that the policy names.
    #[error("{0}")]
    WrongFleet(String),
    /// The provider's clock and this machine's differ by more than the tolerance.
    #[error("the clocks disagree: {ours} here, {theirs} at the provider")]
    Clock {
        /// The time of this machine's clock.
        ours: Time,
        /// The time of the provider's clock.
        theirs: Time,
    },
}

/// A number that a ledger raises with every write to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// How a conditional write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<T> {
    /// The write is there, for good.
    Acknowledged(T),
    /// Another process's write is there instead.
    Conflict,
}

/// Shared state: a record with compare-and-swap, and a journal per run. Nothing else.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The record and its version. A ledger that was just created has a fresh record.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: exit 10 before the first effect.
    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError>;

    /// The record's text as it is stored, whether or not it can be decoded; used by exports. `None` where there is no
    /// record.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    async fn stored(&self) -> Result<Option<String>, LedgerError>;

    /// Writes the record if its version is still `at`. A repeat with the same nonce is acknowledged, not a conflict.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; after [`LedgerError::InDoubt`] the write may be there: only a lookup of the nonce can tell.
    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError>;

    /// Appends to a run's journal at the record's `seq`. A seq that is taken is a conflict, unless the nonce is the
    /// same.
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

    /// Replaces a run's whole journal by one record with seq 0. Nothing can be appended to that journal any more: an
    /// attempt gets a conflict. The time at which the journal was begun does not change. A run without a journal stays
    /// without one. Repeating it does no harm, and completes a pruning whose process died.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the journal is then either whole or that record, never a part.
    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError>;

    /// How many bytes of a record the engine takes; `None` where it takes more than a record can have.
    fn room(&self) -> Option<u64>;

    /// How long the caller's credentials last.
    async fn lasting(&self) -> Lasting {
        Lasting::Unlimited
    }

    /// Tries the permissions of its place that can be tried without effect. Empty where the engine has none.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] where a trial has no clear answer.
    async fn try_permissions(&self) -> Result<Vec<Permission>, LedgerError> {
        Ok(Vec::new())
    }

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
    /// The ledger cannot be reached, or is read-only, full or locked for too long. Nothing was written.
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
    /// The ledger was written by a newer version of this tool.
    #[error("the ledger {place} is of schema {found}, newer than this version reads ({known})")]
    Newer {
        /// Where it is.
        place: String,
        /// Its schema.
        found: String,
        /// The newest schema that this version reads.
        known: String,
    },
    /// The ledger is a copy, or knows less than it did: what was written since is not in it. Such a ledger counts as
    /// lost, never as changed by another process.
    #[error("the ledger {place} is a copy, or an older state of it was put back")]
    PutBack {
        /// Where it is.
        place: String,
        /// Whether it is a copy or an older state, and how that shows.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The ledger cannot be understood: fails closed.
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
    /// Reads each of these probes once, all at the same time, each within its `timeout`: a sample of each, in any order.
    /// Any failure is a bad sample, never an error. `out`: hosts that the run has out, which a probe may want to know.
    /// `patience`: what takes longer is bad too, whatever its timeout.
    async fn round(
        &self,
        probes: &BTreeMap<ProbeKey, ProbeSpec>,
        out: &BTreeSet<HostId>,
        patience: Option<Duration>,
    ) -> Vec<Sample>;
}

/// The clock that a run uses: the machine's, or the simulated fleet's.
#[async_trait]
pub(crate) trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Time;

    /// Sleeps until then. Returns at once for a time in the past.
    async fn sleep_until(&self, until: Time);

    /// Whether no time passes while this process works: then a wait for something else must not be slept away.
    fn stands_still(&self) -> bool {
        false
    }
}

/// Hears each line of a hook's progress.
pub(crate) type HookListener = dyn Fn(&str) + Send + Sync;

/// Calls hooks.
#[async_trait]
pub(crate) trait HookCaller: Send + Sync {
    /// Calls a hook once, within its timeout. `said` hears its progress, line by line. Whatever goes wrong is an answer, which
    /// is no (S3). Dropping the future ends the hook.
    async fn call(
        &self,
        recorded: RecordedHook,
        document: HookDocument,
        spec: &HookSpec,
        said: Arc<HookListener>,
    ) -> HookAnswer;
}

/// What can be known about the processes that act for other runs.
pub(crate) trait Processes: Send + Sync {
    /// The state of a process, as far as it can be determined from here.
    fn life(&self, process: &ProcessId) -> Life;
}
