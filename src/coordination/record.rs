//! [`FleetRecord`]: the shared state of one fleet, written only by compare-and-swap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    FleetName, GroupName, HostId, LedgerId, OperatorId, PlanDigest, ProbeKey, Process, RequestId, RunId, SubsystemName,
    TargetGroupId, Time,
};
use crate::plan::Removal;
use crate::policy::SubsystemPolicy;

/// The schema of [`FleetRecord`]. Any field that is added raises it: an older version that rewrote the record
/// would drop what it does not know, and a ledger that holds such a field is refused as newer.
pub const RECORD_SCHEMA: &str = "safe-remove/ledger/v1";

/// How long the record remembers what is over: completed removals (`unusual` looks back 90 days, contract
/// section 4), consumed request ids, ended runs, and removals at least. Journals are kept beyond it.
pub const MEMORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// Everything that all operators of one fleet must agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// `safe-remove/ledger/v1`; a newer one is refused (exit 10).
    pub schema: String,
    /// The ledger's identity, written beside the hosts.
    pub ledger: LedgerId,
    /// Whose record this is.
    pub fleet: FleetName,
    /// When it was last written, by the writer's clock: a clock behind it by more than the tolerance refuses.
    pub written_at: Time,
    /// Runs that have not ended, or that still hold something.
    pub runs: BTreeMap<RunId, RunEntry>,
    /// Hosts that were removed; kept until two complete inventories no longer list them.
    pub removed: BTreeMap<HostId, Removal>,
    /// Removals that budgets may still count; older ones are dropped.
    pub removals: Vec<Removal>,
    /// Last verified termination per subsystem.
    pub last_termination: BTreeMap<SubsystemName, Time>,
    /// Completed removals of the last 90 days, per named subsystem, for `unusual`.
    pub completed: BTreeMap<SubsystemName, Vec<TerminationCount>>,
    /// Stop orders in force.
    pub halts: Vec<Halt>,
    /// Each subsystem's policy as the last granted run relied on it. Empty before the first run.
    pub accepted: BTreeMap<SubsystemName, AcceptedPolicy>,
    /// Processes suspended on groups, and for whom.
    pub groups: BTreeMap<GroupName, GroupHold>,
    /// Request ids, consumed by a first grant.
    pub requests: BTreeMap<RequestId, RequestEntry>,
    /// Runs that ended and hold nothing: a process of such a run that wakes up late is refused, not registered again.
    #[serde(default)]
    pub ended: BTreeMap<RunId, EndedRun>,
    /// Removed hosts that a complete inventory no longer listed, and when the first such inventory was complete.
    #[serde(default)]
    pub absent_since: BTreeMap<HostId, Time>,
}

impl FleetRecord {
    /// The record of a fleet that nobody has touched yet.
    pub fn new(ledger: LedgerId, fleet: FleetName, now: Time) -> Self {
        Self {
            schema: RECORD_SCHEMA.to_owned(),
            ledger,
            fleet,
            written_at: now,
            runs: BTreeMap::new(),
            removed: BTreeMap::new(),
            removals: Vec::new(),
            last_termination: BTreeMap::new(),
            completed: BTreeMap::new(),
            halts: Vec::new(),
            accepted: BTreeMap::new(),
            groups: BTreeMap::new(),
            requests: BTreeMap::new(),
            ended: BTreeMap::new(),
            absent_since: BTreeMap::new(),
        }
    }

    /// The run that holds a host, and the hold.
    pub fn hold_of(&self, host: &HostId) -> Option<(&RunId, &Hold)> {
        self.runs.iter().find_map(|(run, entry)| entry.holds.get(host).map(|hold| (run, hold)))
    }
}

/// A process that acts for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The machine.
    pub host: String,
    /// Its pid there.
    pub pid: u32,
    /// Tells two processes of the same pid apart: random, made at start.
    pub token: String,
    /// Where the pid means something: one boot of one machine, and one pid namespace of it. Two containers of one host
    /// name have the same pids and not this. `None` where it is not known: such a process cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid_space: Option<String>,
}

/// A run under way, or one that ended and still holds something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Raised by every takeover; commands of an older epoch are refused.
    pub epoch: u64,
    /// The process that acts for it.
    pub process: ProcessId,
    /// Who asked.
    pub operator: OperatorId,
    /// The subsystem named.
    pub subsystem: SubsystemName,
    /// Whose hosts it takes.
    pub touched: BTreeSet<SubsystemName>,
    /// Whose health it watches.
    pub watched: BTreeSet<SubsystemName>,
    /// The plan that was confirmed.
    pub plan: PlanDigest,
    /// First grant.
    pub started_at: Time,
    /// The reference of each probe, from before its first batch: overlapping runs take it over.
    pub reference: BTreeMap<ProbeKey, f64>,
    /// What it holds.
    pub holds: BTreeMap<HostId, Hold>,
    /// Hosts of it that are verified gone.
    pub terminated: u64,
    /// Set when the run has ended but a host of it is still in doubt or cordoned.
    pub ended_at: Option<Time>,
}

/// A host that a run holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The batch it was granted for.
    pub batch: u64,
    /// The subsystems it belongs to, as judged at the grant.
    pub subsystems: BTreeSet<SubsystemName>,
    /// The group it is in.
    pub group: Option<GroupName>,
    /// The target groups that a restore must bring it back into.
    pub target_groups: BTreeSet<TargetGroupId>,
    /// Whether it served when it was granted: then capacity is judged as if it were gone.
    pub serving: bool,
    /// When it was granted.
    pub granted_at: Time,
    /// How far it is.
    pub state: HoldState,
}

/// How far a held host is. Holds last until the outcome is known, however long their process is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HoldState {
    /// Granted: may be cordoned, baked, restored.
    Reserved,
    /// The step to termination was taken: a terminate may be under way.
    Terminating,
    /// Restored or in doubt; no read can prove it before `until`.
    Settling {
        /// When a read can prove where it is.
        until: Time,
    },
}

/// How many hosts a completed run removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminationCount {
    /// When the run ended.
    pub at: Time,
    /// Hosts.
    pub hosts: u64,
}

/// A stop order in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// `None` is the whole fleet.
    pub subsystem: Option<SubsystemName>,
    /// Who.
    pub operator: OperatorId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Time,
}

/// A policy as the last granted run relied on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptedPolicy {
    /// Whole.
    pub policy: SubsystemPolicy,
    /// Who accepted it.
    pub by: OperatorId,
    /// When.
    pub at: Time,
    /// Why, where somebody was asked.
    pub reason: Option<String>,
}

/// Processes suspended on a group while runs need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupHold {
    /// What was suspended before the first of the runs came: not resumed by the last.
    pub suspended_before: BTreeSet<Process>,
    /// Which runs need it. Empty only while it is being resumed.
    pub runs: BTreeSet<RunId>,
    /// Set while the last run that needed it puts back what was there before.
    #[serde(default)]
    pub resuming: Option<Resuming>,
}

/// A resume on its way: until it can no longer land, no other run may rely on the group being suspended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resuming {
    /// The run that resumes.
    pub run: RunId,
    /// The provider refuses its calls later than this.
    pub until: Time,
}

/// A run that ended and holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRun {
    /// Its last epoch.
    pub epoch: u64,
    /// When.
    pub at: Time,
}

/// A consumed request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEntry {
    /// The same request is the same subsystem and count or host set.
    pub fingerprint: String,
    /// The run it made.
    pub run: RunId,
    /// When.
    pub at: Time,
}
