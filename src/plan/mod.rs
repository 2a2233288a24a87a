//! From a request, a snapshot, the policies and the ledger's state to a [`Plan`]: which hosts, in which
//! batches, or why not. Pure.

mod claims;
mod document;

pub use claims::{Claim, LedgerView, Removal};
pub use document::{
    Batch, PlanDocument, PlannedHost, RequestDocument, Rule, SubsystemCapacity, Verdict, Violation, ZoneCapacity,
};

use std::collections::BTreeMap;

use crate::model::{Bounds, FleetIdentity, FleetSnapshot, HostId, ProbeKey, RequestId, SubsystemName, Time};
use crate::policy::PolicySet;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The subsystem named.
    pub subsystem: SubsystemName,
    /// How many, or which.
    pub selection: Selection,
    /// `--reason`
    pub reason: Option<String>,
    /// `--request-id`
    pub request_id: Option<RequestId>,
    /// `--expect-remaining`: hosts of the named subsystem that must still serve afterwards, exactly.
    pub expect_remaining: Option<u64>,
}

/// How many hosts, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// So many, at least 1; the planner chooses.
    Count(u64),
    /// These; never empty, no repeats.
    Hosts(Vec<HostId>),
}

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
