//! `safe-remove/plan/v1`: what a plan says to programs and to people (contract section 7).

use serde::{Deserialize, Serialize};

use crate::model::{
    BatchNumber, FleetIdentity, FleetName, GroupName, HostId, PlanDigest, RequestId, SubsystemName, Time, ZoneName,
};

use super::{OtherRun, Violation, Why};

/// Whether a plan may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may not: see the violations.
    Refused,
}

/// The request as the plan understood it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDocument {
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// How many, where a count was given.
    pub(crate) count: Option<u64>,
    /// Which, where hosts were named.
    pub(crate) hosts: Option<Vec<HostId>>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// The idempotency key.
    pub(crate) request_id: Option<RequestId>,
    /// Hosts that must still serve afterwards, exactly, where that was said: asked again where somebody goes on with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) expect_remaining: Option<u64>,
}

/// A host that the plan takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHost {
    /// Its id.
    pub id: HostId,
    /// Its zone.
    pub(crate) zone: ZoneName,
    /// Its group.
    pub(crate) group: Option<GroupName>,
    /// Everything it serves, by name.
    pub(crate) subsystems: Vec<SubsystemName>,
    /// What it counts for, in units of the named subsystem.
    pub(crate) units: u64,
    /// Whether it serves now.
    pub(crate) serving: bool,
    /// It is unhealthy, and may serve all the same: no capacity, and not free to take. Left out where it is not so.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) doubtful: bool,
}

/// Hosts that are cordoned, baked and terminated together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// From 1.
    pub(crate) number: BatchNumber,
    /// Never empty.
    pub hosts: Vec<PlannedHost>,
}

/// A zone of a subsystem, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZoneCapacity {
    /// The zone.
    pub(crate) name: ZoneName,
    /// Units that serve now.
    pub(crate) capacity: u64,
    /// Units that would serve afterwards.
    pub(crate) remaining: u64,
    /// Units that must remain; 0 where the policy sets none.
    pub(crate) minimum: u64,
}

/// A subsystem that the plan touches, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubsystemCapacity {
    /// Its name.
    pub(crate) name: SubsystemName,
    /// Units that serve now.
    pub(crate) capacity: u64,
    /// Units that would serve afterwards.
    pub(crate) remaining: u64,
    /// Units that must remain.
    pub(crate) minimum: u64,
    /// Capacity less the minimum, now; 0 where it is short.
    pub(crate) headroom: u64,
    /// By zone.
    pub(crate) zones: Vec<ZoneCapacity>,
}

/// The plan document. Field names are the contract's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// `safe-remove/plan/v1`
    pub(crate) schema: String,
    /// Digest over fleet, policies and the hosts of each batch.
    pub(crate) plan: PlanDigest,
    /// The fleet's name.
    pub(crate) fleet: FleetName,
    /// Which fleet, in the provider's terms.
    pub(crate) provider: FleetIdentity,
    /// What was asked.
    pub(crate) request: RequestDocument,
    /// When the observation began.
    pub(crate) observed_at: Time,
    /// After this the plan is not run.
    pub(crate) expires_at: Time,
    /// Whether it may run.
    pub verdict: Verdict,
    /// Why not; empty where it may.
    pub(crate) violations: Vec<Violation>,
    /// Where a count is refused and constraints exclude it: which, and what would allow it. Explains, decides nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) why: Option<Why>,
    /// The largest count that would be allowed now, budgets taken as empty; `None` where hosts were named.
    pub(crate) largest_allowed_count: Option<u64>,
    /// What would go, in order. Where refused: the choice that the preferences would make.
    pub batches: Vec<Batch>,
    /// Every subsystem that a host of the plan belongs to, and the named one.
    pub(crate) subsystems: Vec<SubsystemCapacity>,
    /// Whose health is watched.
    pub(crate) watched: Vec<SubsystemName>,
    /// Runs of others that touch or watch one of these subsystems, the first in line first.
    #[serde(default)]
    pub(crate) others: Vec<OtherRun>,
    /// What should be looked at.
    pub(crate) warnings: Vec<String>,
    /// A budget asks to wait until then before the last batch can start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) not_before: Option<Time>,
}
