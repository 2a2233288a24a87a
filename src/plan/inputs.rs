//! What a decision may depend on, which hosts it is about, and when it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Bounds, FleetIdentity, FleetSnapshot, HostId, ProbeKey, Time};
use crate::policy::PolicySet;

use super::claims::LedgerView;

/// Everything that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The policy directory.
    pub policies: &'a PolicySet,
    /// The fleet, observed once and completely.
    pub snapshot: &'a FleetSnapshot,
    /// The ledger's state.
    pub ledger: &'a LedgerView,
    /// Probes of watched subsystems that are bad now, with what was measured (rule `unhealthy-now`).
    pub bad_probes: &'a BTreeMap<ProbeKey, String>,
    /// Which fleet.
    pub identity: &'a FleetIdentity,
    /// The provider's bounds.
    pub bounds: Bounds,
    /// When the caller's credentials end, if they do and cannot be renewed (rule `credentials`).
    pub credentials_end: Option<Time>,
    /// The effort for finding and proving how many hosts can go, as the time that it takes on one core, roughly. It is
    /// counted in operations, so the answer does not depend on the machine.
    pub prove: Duration,
    /// The time of the decision.
    pub now: Time,
}

impl Inputs<'_> {
    /// The effort where nobody asks for another one.
    pub const PROVE: Duration = Duration::from_secs(10);

    /// Whether nobody has seen yet that nothing takes the place of what goes, where that must be seen.
    pub(crate) fn is_first_removal(&self) -> bool {
        self.snapshot.proves_removals && !self.ledger.removal_seen
    }
}

/// When the hosts are judged: some rules apply only to the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before a batch is reserved: every rule except waits for budgets and intervals (see [`super::waits`]).
    Grant,
    /// While hosts are held: before a cordon, at each sample of a bake and before a termination. Judges capacity rules
    /// (hosts that the run took out count as taken), halts, windows, loosened policies and foreign ledgers.
    Hold,
}

/// The hosts that a run takes, for the preflight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taking {
    /// About to be taken: judged by the observation alone.
    pub hosts: BTreeSet<HostId>,
    /// Already out of service for this run; they served, or perhaps served, when they were granted. Every constraint
    /// that they belong to must hold without them, whatever the observation says about them.
    pub out: BTreeSet<HostId>,
}
