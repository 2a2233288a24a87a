//! From a request, a snapshot, the policies and the ledger's state to a [`Plan`]: which hosts, in which
//! batches, or why not. Pure.

mod batches;
mod capacity;
mod claims;
mod constraints;
mod digest;
mod document;
mod doubts;
mod explain;
mod gates;
mod hosts;
mod measure;
mod membership;
mod pace;
mod permit;
mod planner;
mod schedule;
mod settings;
mod solver;
mod stock;
mod verify;
mod warnings;
mod weights;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use capacity::serving_without;
pub use claims::LedgerView;
pub(crate) use claims::{Claim, OtherRun, Removal};
pub(crate) use document::{Batch, PlannedHost, RequestDocument, Rule, SubsystemCapacity, Violation, ZoneCapacity};
pub use document::{PlanDocument, Verdict};
pub(crate) use doubts::may_serve;

pub use explain::headroom::{Headroom, headroom};
pub(crate) use explain::refusal::{Constraint, Why, WouldAllow};
pub(crate) use explain::what_if::{Assumed, Assumption, UnknownAssumption, WhatIf};
pub(crate) use measure::measure;
pub(crate) use membership::Membership;
pub(crate) use pace::{Books, waits};
pub(crate) use permit::{Confirmation, Confirmed};
pub use planner::plan;
pub use verify::verify;
pub(crate) use weights::Unweighed;
pub(crate) use weights::{units, weight};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Bounds, FleetIdentity, FleetSnapshot, HostId, ProbeKey, RequestId, SubsystemName, Time, ZoneName};
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

/// What a plan makes of the policies of everything it touches and watches: the strictest of each
/// (contract section 5, "Several subsystems, one run").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Longest of everything watched.
    #[serde(with = "crate::policy::duration_ms")]
    pub(crate) bake: Duration,
    /// Shortest of everything watched.
    #[serde(with = "crate::policy::duration_ms")]
    pub(crate) every: Duration,
    /// Longest of everything touched.
    #[serde(with = "crate::policy::duration_ms")]
    pub(crate) interval: Duration,
    /// Smallest of everything touched.
    pub(crate) unattended_max: u64,
    /// Whether any policy touched finds the count unusual: it is then typed out as `NAME COUNT`.
    pub(crate) unusual: bool,
    /// How long the run may restore without its ledger. It is the run's for as long as it lives, whoever goes on with it
    /// and whatever that one's `fleet.toml` says: others wait by it (S7, schedule 7).
    #[serde(with = "crate::policy::duration_ms")]
    pub(crate) offline_limit: Duration,
}

/// A plan that can be confirmed: the document and what the run needs beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What people and programs are shown; the digest in it covers fleet, policies and hosts per batch.
    pub document: PlanDocument,
    /// The strictest settings.
    pub(crate) settings: Settings,
    /// From the decision to the last verified termination as far as is known beforehand: bakes, intervals and
    /// budgets, not the prompt and not the provider's calls.
    pub(crate) takes: Duration,
}

impl Plan {
    /// When a run that starts now is expected to end.
    pub(crate) fn expected_end(&self, now: Time) -> Time {
        now.plus(self.takes)
    }
}

/// Why nothing can be said about a fleet: exit 5.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AssessError {
    /// Weights are missing, zero or unreadable: all such hosts of one subsystem.
    #[error(
        "{} of subsystem {subsystem} without a usable weight (a positive integer): {}",
        if hosts.len() + more == 1 { "a host".to_owned() } else { format!("{} hosts", hosts.len() + more) },
        weights::listed(hosts, *more)
    )]
    Weight {
        /// The subsystem whose policy weighs them.
        subsystem: SubsystemName,
        /// The first of them, by id.
        hosts: Vec<Unweighed>,
        /// How many there are besides.
        more: usize,
    },
    /// A host is in a zone that its subsystem's policy does not list.
    #[error("host {host} of subsystem {subsystem} is in zone {zone}, which the policy's zones do not list")]
    Zone {
        /// The host.
        host: HostId,
        /// The subsystem.
        subsystem: SubsystemName,
        /// The zone.
        zone: ZoneName,
    },
    /// A plan could not be encoded for its digest.
    #[error("the plan has no digest: {0}")]
    Digest(String),
}

/// When the hosts are judged: some rules are for the first step only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before a batch is reserved: every rule, budgets and intervals apart (see [`waits`]).
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
