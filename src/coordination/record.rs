//! [`FleetRecord`]: the shared state of one fleet, written only by compare-and-swap.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{
    FleetIdentity, FleetName, GroupName, HostId, LedgerId, OperatorId, Process, RunId, SubsystemName, Time,
};
use crate::plan::Removal;
use crate::policy::SubsystemPolicy;

use super::{Reservation, RunEntry};

/// The schema of [`FleetRecord`]. Any field that is added raises it: an older version that rewrote the record
/// would drop what it does not know, and a ledger that holds such a field is refused as newer.
///
/// v2: the fleet's identity, the line of runs with what they claim, the age of references, `largest_removals` and
/// `last_end`; request ids left it (a run's journal has them).
/// v3: stop orders without a reason; a run's pause, the question about its next batch, and who let it go on; a policy's `confirm.between_batches` and
/// `answer_within`.
/// v4: `removal_seen`.
/// v5: a run's reference is samples; a policy's `health.reference`, `bake_max` and levels, and `failures` only where they are
/// given.
pub(crate) const RECORD_SCHEMA: &str = "safe-remove/ledger/v5";

/// Everything that all operators of one fleet must agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// `safe-remove/ledger/v5`; a newer one is refused (exit 10).
    pub schema: String,
    /// The ledger's identity, written beside the hosts.
    pub ledger: LedgerId,
    /// The fleet of this record.
    pub fleet: FleetName,
    /// Which fleet that is, in the provider's terms, from the first change on.
    pub identity: Option<FleetIdentity>,
    /// When it was last changed by somebody whose clock the provider had vouched for by an observation. A clock behind it
    /// by more than the tolerance refuses what goes forward.
    pub written_at: Time,
    /// The last place in line that was given away.
    pub tickets: u64,
    /// Runs that were confirmed and have not ended, or that still hold something.
    pub runs: BTreeMap<RunId, RunEntry>,
    /// Hosts that were removed; kept until two complete inventories no longer list them.
    pub removed: BTreeMap<HostId, Removal>,
    /// Removals that budgets may still count; older ones are dropped.
    pub removals: Vec<Removal>,
    /// When hosts of a subsystem last went, or came back: intervals run from it.
    pub last_end: BTreeMap<SubsystemName, Time>,
    /// The largest completed removals of the last 90 days, per named subsystem, for `unusual`: only those that no later
    /// one reaches, the oldest first.
    pub largest_removals: BTreeMap<SubsystemName, Vec<TerminationCount>>,
    /// Stop orders in force.
    pub halts: Vec<Halt>,
    /// Each subsystem's policy as the last granted run relied on it. Empty before the first run.
    pub accepted: BTreeMap<SubsystemName, AcceptedPolicy>,
    /// Processes suspended on groups, and for whom.
    pub groups: BTreeMap<GroupName, ProcessSuspension>,
    /// Runs that ended lately and hold nothing: a process of such a run that wakes up late is not registered again.
    pub ended: BTreeMap<RunId, EndedRun>,
    /// Removed hosts that a complete inventory no longer listed, and when the first such inventory was complete.
    pub absent_since: BTreeMap<HostId, Time>,
    /// Set once it was seen that this fleet's provider launches nothing in place of a host that was terminated.
    pub removal_seen: Option<RemovalSeen>,
}

/// A termination that nothing answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalSeen {
    /// The run that saw it.
    pub(crate) run: RunId,
    /// The host that went.
    pub(crate) host: HostId,
    /// The group that launched nothing in its place.
    pub(crate) group: GroupName,
    /// When.
    pub(crate) at: Time,
}

impl FleetRecord {
    /// The record of a fleet that nobody has touched yet.
    pub(crate) fn new(ledger: LedgerId, fleet: FleetName, now: Time) -> Self {
        Self {
            schema: RECORD_SCHEMA.to_owned(),
            ledger,
            fleet,
            identity: None,
            written_at: now,
            tickets: 0,
            runs: BTreeMap::new(),
            removed: BTreeMap::new(),
            removals: Vec::new(),
            last_end: BTreeMap::new(),
            largest_removals: BTreeMap::new(),
            halts: Vec::new(),
            accepted: BTreeMap::new(),
            groups: BTreeMap::new(),
            ended: BTreeMap::new(),
            absent_since: BTreeMap::new(),
            removal_seen: None,
        }
    }

    /// The size of its text in a ledger, in bytes.
    pub(crate) fn size(&self) -> u64 {
        // A record that is no text is refused by every engine.
        serde_json::to_string(self).map_or(u64::MAX, |text| text.len() as u64)
    }

    /// The run that holds a host, and the hold.
    pub(crate) fn hold_of(&self, host: &HostId) -> Option<(&RunId, &Reservation)> {
        self.runs.iter().find_map(|(run, entry)| entry.reservations.get(host).map(|reservation| (run, reservation)))
    }
}

/// The number of hosts that the largest run of a day removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminationCount {
    /// When that run ended.
    pub(crate) at: Time,
    /// Hosts.
    pub(crate) hosts: u64,
}

/// A stop order in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// `None` is the whole fleet.
    pub subsystem: Option<SubsystemName>,
    /// Who.
    pub operator: OperatorId,
    /// Why, if it was said.
    pub reason: Option<String>,
    /// Since when.
    pub at: Time,
}

/// A policy as the last granted run relied on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptedPolicy {
    /// Whole.
    pub(crate) policy: SubsystemPolicy,
    /// Who accepted it.
    pub(crate) by: OperatorId,
    /// When.
    pub(crate) at: Time,
    /// Why, where somebody was asked.
    pub reason: Option<String>,
}

/// Processes suspended on a group while runs need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSuspension {
    /// The processes that were suspended before the first of the runs came. The last run does not resume them.
    pub(crate) suspended_before: BTreeSet<Process>,
    /// Which runs need it. Empty only while it is being resumed.
    pub(crate) runs: BTreeSet<RunId>,
    /// Set while the last run that needed it puts back what was there before.
    #[serde(default)]
    pub(crate) resuming: Option<Resuming>,
}

/// A resume on its way: until it can no longer land, no other run may rely on the group being suspended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resuming {
    /// The run that resumes.
    pub(crate) run: RunId,
    /// The provider refuses its calls later than this.
    pub(crate) until: Time,
}

/// A run that ended and holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRun {
    /// Its last epoch.
    pub(crate) epoch: u64,
    /// When.
    pub(crate) at: Time,
}
