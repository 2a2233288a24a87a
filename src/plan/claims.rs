//! What the ledger knows, as far as planning needs it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{HostId, LedgerId, RunId, SubsystemName, Time};
use crate::policy::SubsystemPolicy;

/// Why a host neither counts as capacity nor may be taken, whatever the provider says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "kebab-case")]
pub enum Claim {
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
    pub host: HostId,
    /// The run that took it.
    pub run: RunId,
    /// The subsystems it belonged to.
    pub subsystems: BTreeSet<SubsystemName>,
    /// When its removal was observed; `None` while it is reserved, which counts as removed now (S4).
    pub at: Option<Time>,
}

/// The ledger's state as a planner sees it, made from the record by `coordination`.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerView {
    /// Whose record this is.
    pub ledger: LedgerId,
    /// Hosts that neither count nor may be taken.
    pub claims: BTreeMap<HostId, Claim>,
    /// Everything that budgets may count, of any run.
    pub removals: Vec<Removal>,
    /// Last verified termination per subsystem, by any run: intervals run from it.
    pub last_termination: BTreeMap<SubsystemName, Time>,
    /// Halts in force: the subsystem, or `None` for the whole fleet, and why.
    pub halts: Vec<(Option<SubsystemName>, String)>,
    /// Each subsystem's policy as the last granted run relied on it. Empty before the first run of a fleet.
    pub accepted: BTreeMap<SubsystemName, SubsystemPolicy>,
    /// The largest completed removal of the last 90 days, in hosts, per named subsystem.
    pub largest_removal: BTreeMap<SubsystemName, u64>,
}

impl LedgerView {
    /// A ledger that nobody has used yet.
    pub fn empty(ledger: LedgerId) -> Self {
        Self {
            ledger,
            claims: BTreeMap::new(),
            removals: Vec::new(),
            last_termination: BTreeMap::new(),
            halts: Vec::new(),
            accepted: BTreeMap::new(),
            largest_removal: BTreeMap::new(),
        }
    }
}
