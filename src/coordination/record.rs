//! [`FleetRecord`]: the shared state of one fleet, written only by compare-and-swap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    FleetIdentity, FleetName, GroupName, HostId, LedgerId, OperatorId, PlanDigest, ProbeKey, Process, RunId,
    SubsystemName, TargetGroupId, Time,
};
use crate::plan::Removal;
use crate::policy::SubsystemPolicy;

use super::Refusal;

/// The schema of [`FleetRecord`]. Any field that is added raises it: an older version that rewrote the record
/// would drop what it does not know, and a ledger that holds such a field is refused as newer.
///
/// v2: the fleet's identity, the line of runs with what they claim, the age of references, `largest_removals` and
/// `last_end`; request ids left it (a run's journal has them).
pub(crate) const RECORD_SCHEMA: &str = "safe-remove/ledger/v2";

/// How long the record remembers the largest completed removals: `unusual` looks back 90 days (contract section 4).
pub(crate) const MEMORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long removals are remembered where no budget asks for longer: whoever confirmed a plan before them is told that
/// they came in between, and a plan lives for a quarter of an hour.
pub(super) const RECENT: Duration = Duration::from_secs(3600);

/// How old a reference may be when it is handed to an overlapping run (contract section 8, "Sampling"), and
/// how old a run's own may be at its first grant.
pub(crate) const REFERENCE_LIFE: Duration = Duration::from_secs(3600);

/// Everything that all operators of one fleet must agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetRecord {
    /// `safe-remove/ledger/v2`; a newer one is refused (exit 10).
    pub schema: String,
    /// The ledger's identity, written beside the hosts.
    pub ledger: LedgerId,
    /// Whose record this is.
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
    pub groups: BTreeMap<GroupName, GroupHold>,
    /// Runs that ended lately and hold nothing: a process of such a run that wakes up late is not registered again.
    pub ended: BTreeMap<RunId, EndedRun>,
    /// Removed hosts that a complete inventory no longer listed, and when the first such inventory was complete.
    pub absent_since: BTreeMap<HostId, Time>,
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
        }
    }

    /// Whether this is the record of the fleet that somebody looks at.
    ///
    /// # Errors
    ///
    /// [`Refusal::OtherFleet`]: another region, account or simulated fleet stands behind the same name (S3, S8).
    pub(crate) fn is_of(&self, seen: &FleetIdentity) -> Result<(), Refusal> {
        match &self.identity {
            Some(known) if !known.is_same_fleet(seen) => {
                let (known, seen) = (Box::new(known.clone()), Box::new(seen.clone()));
                Err(Refusal::OtherFleet { known, seen })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What it takes in a ledger, in bytes of its text.
    pub(crate) fn size(&self) -> u64 {
        // A record that is no text is refused by every engine.
        serde_json::to_string(self).map_or(u64::MAX, |text| text.len() as u64)
    }

    /// The run that holds a host, and the hold.
    pub(crate) fn hold_of(&self, host: &HostId) -> Option<(&RunId, &Hold)> {
        self.runs.iter().find_map(|(run, entry)| entry.holds.get(host).map(|hold| (run, hold)))
    }
}

/// A process that acts for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The machine.
    pub(crate) host: String,
    /// Its pid there.
    pub(crate) pid: u32,
    /// Tells two processes of the same pid apart: random, made at start.
    pub(crate) token: String,
    /// Where the pid means something: one boot of one machine, and one pid namespace of it. Two containers of one host
    /// name have the same pids and not this. `None` where it is not known: such a process cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) pid_space: Option<String>,
}

/// A run that was confirmed: it stands in line, is under way, or ended and still holds something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Raised by every takeover; commands of an older epoch are refused.
    pub(crate) epoch: u64,
    /// The process that acts for it.
    pub(crate) process: ProcessId,
    /// Who asked.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// Whose hosts it takes.
    pub(crate) touched: BTreeSet<SubsystemName>,
    /// Whose health it watches.
    pub(crate) watched: BTreeSet<SubsystemName>,
    /// The plan that was confirmed.
    pub(crate) plan: PlanDigest,
    /// Its place in line: a smaller one came first.
    pub(crate) ticket: u64,
    /// When the fleet was observed that the plan was made on.
    pub(crate) planned_at: Time,
    /// When it was confirmed.
    pub(crate) enlisted_at: Time,
    /// What it has confirmed and not yet taken, with the batch of each host: capacity, and nobody else's candidates.
    pub(crate) claims: BTreeMap<HostId, u64>,
    /// Without a grant its claims are nobody's from then on: the plan has expired.
    pub(crate) lapses_at: Time,
    /// First grant.
    pub(crate) granted_at: Option<Time>,
    /// The reference of each probe, from before its first batch: overlapping runs take it over.
    pub(crate) reference: BTreeMap<ProbeKey, f64>,
    /// When the first sample of the reference was taken, by whichever run took it.
    pub(crate) reference_at: Option<Time>,
    /// What it holds.
    pub(crate) holds: BTreeMap<HostId, Hold>,
    /// Hosts of it that are verified gone.
    pub(crate) terminated: u64,
    /// Set when the run has ended but a host of it is still in doubt or cordoned.
    pub(crate) ended_at: Option<Time>,
}

impl RunEntry {
    /// One of `index` that stands in line and holds nothing: for tests that only need one to be there.
    #[cfg(test)]
    pub(crate) fn in_line() -> Self {
        let start = Time::from_millis(0);
        Self {
            epoch: 1,
            process: ProcessId { host: "h".to_owned(), pid: 1, token: "t".to_owned(), pid_space: None },
            operator: "ann".into(),
            subsystem: "index".into(),
            touched: BTreeSet::new(),
            watched: BTreeSet::new(),
            plan: "d".into(),
            ticket: 1,
            planned_at: start,
            enlisted_at: start,
            claims: BTreeMap::new(),
            lapses_at: start,
            granted_at: None,
            reference: BTreeMap::new(),
            reference_at: None,
            holds: BTreeMap::new(),
            terminated: 0,
            ended_at: None,
        }
    }

    /// Whether others must leave what it claims to it. Whether its process lives is not for the record to know.
    pub(crate) fn has_claims(&self, now: Time) -> bool {
        !self.claims.is_empty() && self.ended_at.is_none() && (self.granted_at.is_some() || now < self.lapses_at)
    }

    /// The subsystems whose hosts it has out, or may have.
    pub(crate) fn holds_of(&self) -> BTreeSet<SubsystemName> {
        self.holds.values().flat_map(|hold| hold.subsystems.iter().cloned()).collect()
    }

    /// The hosts of its next batch.
    pub(super) fn next_batch(&self) -> BTreeSet<HostId> {
        let next = self.claims.values().min();
        self.claims.iter().filter(|(_, batch)| Some(*batch) == next).map(|(host, _)| host.clone()).collect()
    }
}

/// A host that a run holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// The batch it was granted for.
    pub(crate) batch: u64,
    /// The subsystems it belongs to, as judged at the grant.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
    /// What it counts for in each of them, in units; none where it did not serve.
    pub(crate) units: BTreeMap<SubsystemName, u64>,
    /// The group it is in.
    pub(crate) group: Option<GroupName>,
    /// The target groups that a restore must bring it back into.
    pub(crate) target_groups: BTreeSet<TargetGroupId>,
    /// Whether it served when it was granted: then it is back only where it serves again.
    pub(crate) serving: bool,
    /// Whether it served, or that it did not was not established: then capacity is judged as if it were taken.
    pub(crate) may_serve: bool,
    /// When it was granted.
    pub(crate) granted_at: Time,
    /// How far it is.
    pub(crate) state: HoldState,
}

/// How far a held host is. Holds last until the outcome is known, however long their process is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum HoldState {
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

/// How many hosts the largest run of a day removed.
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
    /// Why.
    pub reason: String,
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
pub struct GroupHold {
    /// What was suspended before the first of the runs came: not resumed by the last.
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
