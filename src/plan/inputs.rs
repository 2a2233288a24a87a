//! What a decision may depend on, about which hosts it is, and when it is made.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Bounds, FleetIdentity, FleetSnapshot, HostId, ProbeKey, Time};
use crate::policy::PolicySet;

use super::claims::LedgerView;

/// All that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The policy directory.
    pub policies: &'a PolicySet,
    /// The fleet, observed once and completely.
    pub snapshot: &'a FleetSnapshot,
    /// What the ledger knows.
    pub ledger: &'a LedgerView,
    /// Probes of watched subsystems that are bad now, with what was measured (rule `unhealthy-now`).
    pub bad_probes: &'a BTreeMap<ProbeKey, String>,
    /// Which fleet.
    pub identity: &'a FleetIdentity,
    /// The provider's bounds.
    pub bounds: Bounds,
    /// The time of the decision.
    pub now: Time,
}

/// When the hosts are judged: some rules are for the first step only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before a batch is reserved: every rule, budgets and intervals apart (see [`super::waits`]).
    Grant,
    /// While hosts are held, before a cordon, at each sample of a bake and before a termination: capacity rules
    /// (with what the run took out counted as taken), halts, windows, loosened policies, foreign ledgers.
    Hold,
}

/// Hosts that a run takes, for the choke point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taking {
    /// About to be taken: judged by the observation alone.
    pub hosts: BTreeSet<HostId>,
    /// Already out of service for this run, and serving when they were granted, or perhaps serving: every constraint
    /// that they belong to must hold without them, whatever the observation says of them.
    pub out: BTreeSet<HostId>,
}
