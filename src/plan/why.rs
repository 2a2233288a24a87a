//! [`Why`]: the part of a refused plan's document that names the constraints that exclude the count, and what would
//! allow it.
//!
//! It explains and decides nothing: `violations` are what refuses. `would_allow` is in the order in which somebody on
//! call should think: fewer hosts, later, in several runs, more capacity. What a policy would have to say comes last,
//! as a fact and not as advice.

use serde::{Deserialize, Serialize};

use crate::model::{GroupName, SubsystemName, Time, ZoneName};

use super::rule::Rule;

/// Why a count is refused, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// Together they exclude the count. Never empty.
    pub(crate) constraints: Vec<Constraint>,
    /// Whether the count would be possible without any one of them. If not, some may not be needed: proving that took too
    /// long.
    #[serde(rename = "minimal", default)]
    pub(crate) is_minimal: bool,
    /// Each alone would make the count possible, or (`fewer-hosts`) is possible as it is. Windows that are closed
    /// now stay closed, except for `later`.
    pub(crate) would_allow: Vec<WouldAllow>,
}

/// One of the constraints that exclude the count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Constraint {
    /// Which rule.
    pub(crate) rule: Rule,
    /// The subsystem, if the rule is a subsystem's.
    pub(crate) subsystem: Option<SubsystemName>,
    /// The zone, if the rule is a zone's; for `zone-loss`, the zone that might be lost.
    pub(crate) zone: Option<ZoneName>,
    /// The group, if the rule is a group's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) group: Option<GroupName>,
    /// What it allows to go now: units, or hosts for `run-size`, `budget`, `group-minimum` and `too-few-candidates`. A
    /// closed gate allows nothing to go.
    pub(crate) allows: u64,
    /// The whole sentence for people, with the numbers.
    pub(crate) message: String,
}

/// Something that would make the count possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum WouldAllow {
    /// This many hosts can go now.
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
    /// The same count, in several runs one after the other.
    SeveralRuns {
        /// In order; at least two.
        runs: Vec<LaterRun>,
        /// For people.
        message: String,
    },
    /// More units of the subsystem in service.
    MoreCapacity {
        /// Which subsystem.
        subsystem: SubsystemName,
        /// In this zone; without `zone` and `outside_zone`, in any of its zones.
        zone: Option<ZoneName>,
        /// In any of its zones but this one.
        outside_zone: Option<ZoneName>,
        /// The smallest number of units that is enough in whichever of these zones they are added.
        units: u64,
        /// For people.
        message: String,
    },
    /// Another policy of the subsystem. A fact, not advice.
    Policy {
        /// Which subsystem.
        subsystem: SubsystemName,
        /// All of these changes together.
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
        /// Hosts; the highest value that would be enough.
        would_be: u64,
        /// For people.
        message: String,
    },
}

impl WouldAllow {
    /// The sentence for people, without a capital letter and without a full stop.
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
    /// When budgets and intervals allow it to start, if the runs before it take as long as planned; `None` means now.
    pub(crate) not_before: Option<Time>,
}

/// One field of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyEdit {
    /// `minimum`, `minimum_per_zone`, `max_hosts_per_run` or `budgets` (every budget of `is` hosts).
    pub(crate) field: String,
    /// Units or hosts.
    pub(crate) is: u64,
    /// Units or hosts: the strictest value that would be enough.
    pub(crate) would_be: u64,
}
