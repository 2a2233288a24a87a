//! The parts of the ledger's state that planning needs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{HostId, LedgerId, OperatorId, RunId, SubsystemName, Time};
use crate::policy::SubsystemPolicy;

/// Why a host neither counts as capacity nor may be taken, whatever the provider says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "kebab-case")]
pub(crate) enum Claim {
    /// Another run holds it.
    Reserved {
        /// Which run.
        run: RunId,
    },
    /// It was removed; the provider may still list it.
    Removed {
        /// Which run removed it.
        run: RunId,
        /// When its removal was observed.
        at: Time,
    },
    /// It was restored, or its outcome is in doubt, and the provider's answers do not yet prove where it is.
    Settling {
        /// Which run holds it.
        run: RunId,
        /// When a read can prove it.
        until: Time,
    },
}

/// One removal that counts against budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The host.
    pub(crate) host: HostId,
    /// The run that took it.
    pub(crate) run: RunId,
    /// The subsystems it belonged to.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
    /// The units that it counted for in each of them when it was granted; none where it did not serve.
    #[serde(default)]
    pub(crate) units: BTreeMap<SubsystemName, u64>,
    /// When its removal was observed; `None` while it is reserved, which counts as removed now (S4).
    pub(crate) at: Option<Time>,
}

/// Another run, as it is shown to a run that plans beside it (`others` in plan/v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OtherRun {
    /// Which run.
    pub(crate) run: RunId,
    /// Who asked for it.
    pub(crate) operator: OperatorId,
    /// The subsystem that the run names.
    pub(crate) subsystem: SubsystemName,
    /// When it joined the line.
    pub(crate) since: Time,
    /// The subsystems whose hosts it takes.
    pub(crate) touches: BTreeSet<SubsystemName>,
    /// The subsystems whose health it watches.
    pub(crate) watches: BTreeSet<SubsystemName>,
    /// Hosts that it has out of service, or that are in doubt.
    pub(crate) holds: u64,
    /// Hosts that it has confirmed but not yet taken.
    pub(crate) claims: u64,
    /// The subsystems whose hosts it has out. As long as it does, no other run takes hosts of these subsystems.
    pub(crate) holds_of: BTreeSet<SubsystemName>,
    /// Its process is dead or silent, or it ended with hosts in doubt: nobody waits for it, and a person must look.
    pub(crate) silent: bool,
}

impl OtherRun {
    /// Whether it touches or watches one of these subsystems.
    pub(crate) fn concerns(&self, watched: &BTreeSet<SubsystemName>) -> bool {
        !self.watches.is_disjoint(watched) || !self.touches.is_disjoint(watched)
    }
}

/// The ledger's state as a planner sees it; `coordination` derives it from the record.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerView {
    /// The ledger whose record this is.
    pub(crate) ledger: LedgerId,
    /// Hosts that neither count as capacity nor may be taken.
    pub(crate) claims: BTreeMap<HostId, Claim>,
    /// Hosts that other live runs have confirmed but not yet taken: still capacity, but nobody else's candidates.
    pub(crate) claimed_by_others: BTreeMap<HostId, RunId>,
    /// Every other run on record, the first in line first.
    pub(crate) others: Vec<OtherRun>,
    /// Every removal that budgets may count, of any run.
    pub(crate) removals: Vec<Removal>,
    /// When hosts of a subsystem last went or came back, in any run: intervals start from it.
    pub(crate) last_end: BTreeMap<SubsystemName, Time>,
    /// Whether it was seen that nothing takes the place of a host that was terminated.
    pub(crate) removal_seen: bool,
    /// Halts in force: the subsystem, or `None` for the whole fleet, and why.
    pub(crate) halts: Vec<(Option<SubsystemName>, String)>,
    /// Each subsystem's policy as the last granted run relied on it. Empty before a fleet's first run.
    pub accepted: BTreeMap<SubsystemName, SubsystemPolicy>,
    /// The largest completed removal of the last 90 days, in hosts, by named subsystem.
    pub(crate) largest_removal: BTreeMap<SubsystemName, u64>,
}

impl LedgerView {
    /// A ledger that nobody has used yet.
    pub fn empty(ledger: LedgerId) -> Self {
        Self {
            ledger,
            claims: BTreeMap::new(),
            claimed_by_others: BTreeMap::new(),
            others: Vec::new(),
            removals: Vec::new(),
            last_end: BTreeMap::new(),
            removal_seen: false,
            halts: Vec::new(),
            accepted: BTreeMap::new(),
            largest_removal: BTreeMap::new(),
        }
    }
}
