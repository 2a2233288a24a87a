//! `safe-remove/plan/v1`: the plan as programs and people see it (contract section 7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    BatchNumber, FleetIdentity, FleetName, GroupName, HostId, PlanDigest, RequestId, SubsystemName, Time, ZoneName,
};

use super::certificate::Certificate;
use super::{OtherRun, Rule, Violation, Why};

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
    /// How many hosts, if a count was given.
    pub(crate) count: Option<u64>,
    /// Which hosts, if hosts were named.
    pub(crate) hosts: Option<Vec<HostId>>,
    /// The reason given.
    pub(crate) reason: Option<String>,
    /// The idempotency key.
    pub(crate) request_id: Option<RequestId>,
    /// The exact number of hosts that must still serve afterwards, if given: checked again when somebody continues the
    /// run.
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
    /// Every subsystem that it serves, by name.
    pub(crate) subsystems: Vec<SubsystemName>,
    /// The units that it counts for in the named subsystem.
    pub(crate) units: u64,
    /// Whether it serves now.
    pub(crate) serving: bool,
    /// It is unhealthy but may still serve: not capacity, and not free to take. Left out if false.
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
    /// Units that would serve after the plan.
    pub(crate) remaining: u64,
    /// Units that must remain; 0 if the policy sets no minimum.
    pub(crate) minimum: u64,
}

/// A subsystem that the plan touches, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubsystemCapacity {
    /// Its name.
    pub(crate) name: SubsystemName,
    /// Whom to ask about it, by its policy; always there, null where the policy does not say.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// Units that serve now.
    pub(crate) capacity: u64,
    /// Units that would serve after the plan.
    pub(crate) remaining: u64,
    /// Units that must remain.
    pub(crate) minimum: u64,
    /// Current capacity minus the minimum; 0 if the subsystem is short.
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
    /// The request.
    pub(crate) request: RequestDocument,
    /// When the observation began.
    pub(crate) observed_at: Time,
    /// The plan may not be run after this time.
    pub(crate) expires_at: Time,
    /// Whether it may run.
    pub verdict: Verdict,
    /// Why it may not run; empty if it may.
    pub(crate) violations: Vec<Violation>,
    /// The constraints that exclude a refused count, and what would allow it. It explains, and decides nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) why: Option<Why>,
    /// The largest count that would be allowed now, budgets taken as empty; `None` if hosts were named.
    pub largest_allowed_count: Option<u64>,
    /// Whether it is proved that no larger count is possible; otherwise `largest_allowed_count` means "at least".
    #[serde(default)]
    pub exact: bool,
    /// Why the count cannot go, for a program to check; there only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) certificate: Option<Certificate>,
    /// The hosts that would go, in order. If the plan is refused: the choice that the preferences would make.
    pub batches: Vec<Batch>,
    /// Every subsystem that a host of the plan belongs to, and the named one.
    pub(crate) subsystems: Vec<SubsystemCapacity>,
    /// The subsystems whose health is watched.
    pub(crate) watched: Vec<SubsystemName>,
    /// Whom to ask about a subsystem that is touched or watched, where its policy says so.
    #[serde(default)]
    pub(crate) owners: BTreeMap<SubsystemName, String>,
    /// Runs of others that touch or watch one of these subsystems, in the order of the line.
    #[serde(default)]
    pub(crate) others: Vec<OtherRun>,
    /// What a person should look at.
    pub(crate) warnings: Vec<String>,
    /// The waits of the batches if the run began now, in words.
    #[serde(default)]
    pub(crate) waits: Vec<String>,
    /// A budget requires waiting until then before the last batch can start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) not_before: Option<Time>,
}

impl PlanDocument {
    /// Takes in a certificate, where the plan says that numbers exclude its count. A plan that says that nothing was proved
    /// takes in none: a document must not say both.
    ///
    /// # Errors
    ///
    /// Those of `certify`.
    pub(crate) fn certified<E>(&mut self, certify: impl FnOnce() -> Result<Option<Certificate>, E>) -> Result<(), E> {
        if self.is_too_many() {
            self.certificate = certify()?;
            if self.certificate.is_none() {
                let warning = "no certificate: making it takes more effort than the proof did; --prove gives more";
                self.warnings.push(warning.to_owned());
            }
        }
        Ok(())
    }

    /// Whether it is proved that so many cannot go, whatever is open or closed now.
    fn is_too_many(&self) -> bool {
        let is_more = self.largest_allowed_count.zip(self.request.count).is_some_and(|(most, count)| count > most);
        is_more && self.violations.iter().all(|violation| violation.rule != Rule::NotProved)
    }

    /// The largest count that would be allowed, in words: `3`, or `at least 3` where it is not proved that no more can
    /// go. `None` if hosts were named.
    pub(crate) fn largest_text(&self) -> Option<String> {
        self.largest_allowed_count.map(|largest| at_least(largest, self.exact))
    }
}

/// `3`, or `at least 3` where it is not proved that no more can go.
pub(crate) fn at_least(count: u64, exact: bool) -> String {
    if exact { count.to_string() } else { format!("at least {count}") }
}
