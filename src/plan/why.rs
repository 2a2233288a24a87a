//! [`Why`]: the part of a refused plan's document that names the constraints in the way, and what would allow the
//! count.
//!
//! It explains and decides nothing: `violations` are what refuses. The order of `would_allow` is the one in which
//! somebody on call should think: fewer hosts, later, in several runs, more capacity first. What a policy would have to
//! say comes last, as a fact and not as advice.

use serde::{Deserialize, Serialize};

use crate::model::{GroupName, SubsystemName, Time, ZoneName};

use super::rule::Rule;

/// Why a count is refused, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// Together they exclude the count; without any one of them it would be possible, unless to prove that took too
    /// long. Never empty.
    pub(crate) constraints: Vec<Constraint>,
    /// Each alone would make it possible, or (`fewer-hosts`) what is possible as it is. What is closed now stays so.
    pub(crate) would_allow: Vec<WouldAllow>,
}

/// One constraint that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Constraint {
    /// Which rule.
    pub(crate) rule: Rule,
    /// Of which subsystem, where the rule is a subsystem's.
    pub(crate) subsystem: Option<SubsystemName>,
    /// In which zone, where the rule is a zone's; with `zone-loss`, the zone that might be lost.
    pub(crate) zone: Option<ZoneName>,
    /// Of which group, where the rule is a group's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) group: Option<GroupName>,
    /// What it lets go now: units, or hosts with `run-size`, `budget`, `group-minimum` and `too-few-candidates`. What
    /// is closed lets nothing go.
    pub(crate) allows: u64,
    /// The whole sentence for people, with the numbers.
    pub(crate) message: String,
}

/// Something that would make the count possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum WouldAllow {
    /// So many can go now.
    FewerHosts {
        /// Hosts, at least 1.
        count: u64,
        /// For people.
        message: String,
    },
    /// The same count, once windows have opened.
    Later {
        /// When.
        at: Time,
        /// For people.
        message: String,
    },
    /// The same count by one run after the other.
    SeveralRuns {
        /// In order; at least two.
        runs: Vec<LaterRun>,
        /// For people.
        message: String,
    },
    /// More units of the subsystem in service.
    MoreCapacity {
        /// Of which subsystem.
        subsystem: SubsystemName,
        /// In this zone; without `zone` and `outside_zone`, in any of its zones.
        zone: Option<ZoneName>,
        /// In any of its zones but this one.
        outside_zone: Option<ZoneName>,
        /// The least number of units that do in whichever of these zones they are added.
        units: u64,
        /// For people.
        message: String,
    },
    /// Another policy of the subsystem. A fact, not advice.
    Policy {
        /// Whose.
        subsystem: SubsystemName,
        /// All of them together.
        changes: Vec<PolicyEdit>,
        /// For people.
        message: String,
    },
    /// A lower minimum of the group at the provider. A fact, not advice.
    GroupMinimum {
        /// Which group.
        group: GroupName,
        /// Hosts.
        is: u64,
        /// Hosts; the highest that would do.
        would_be: u64,
        /// For people.
        message: String,
    },
}

impl WouldAllow {
    /// The sentence for people, without a capital and without a full stop.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::FewerHosts { message, .. }
            | Self::Later { message, .. }
            | Self::SeveralRuns { message, .. }
            | Self::MoreCapacity { message, .. }
            | Self::Policy { message, .. }
            | Self::GroupMinimum { message, .. } => message,
        }
    }
}

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaterRun {
    /// Hosts.
    pub(crate) count: u64,
    /// When budgets and intervals let it start, if those before it take as long as is planned; `None` is now.
    pub(crate) not_before: Option<Time>,
}

/// One field of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyEdit {
    /// `minimum`, `minimum_per_zone`, `max_hosts_per_run` or `budgets` (every budget of `is` hosts).
    pub(crate) field: String,
    /// Units or hosts.
    pub(crate) is: u64,
    /// Units or hosts: the strictest that would do.
    pub(crate) would_be: u64,
}
