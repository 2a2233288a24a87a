//! Hosts and groups as a provider describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GroupName, HostId, Identified, LedgerId, Obstacle, Tags, TargetGroupId, Time, ZoneName};

/// Which fleet is meant, in the provider's own terms. It is shown first in every plan and status, and kept in the
/// ledger's record, so that no command acts on another fleet of the same name (contract section 8, "Which fleet").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetIdentity {
    /// `simulated` or `aws`.
    pub(crate) kind: String,
    /// The AWS partition (`aws`, `aws-cn`, `aws-us-gov`), if any: account ids are unique only within one partition.
    /// Source: IAM User Guide, "Amazon Resource Names (ARNs)".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) partition: Option<String>,
    /// The AWS account, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) account: Option<String>,
    /// The AWS region, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) region: Option<String>,
    /// The id in a simulated fleet's state file; `None` if the fleet was not observed yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) id: Option<String>,
    /// Who acts, as the provider knows them (the AWS caller's ARN); the shell fills in `user@host` otherwise.
    #[serde(skip)]
    pub(crate) caller: Option<String>,
}

impl FleetIdentity {
    /// A simulated fleet, by the id in its state file.
    pub fn simulated(id: impl Into<String>) -> Self {
        Self { kind: "simulated".to_owned(), id: Some(id.into()), ..Self::default() }
    }

    /// Whether both name the same fleet, whoever the caller is.
    pub(crate) fn is_same_fleet(&self, other: &Self) -> bool {
        let fleet = |of: &Self| Self { caller: None, ..of.clone() };
        fleet(self) == fleet(other)
    }
}

impl fmt::Display for FleetIdentity {
    /// `aws, partition aws, account 123456789012, region us-east-1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        let parts =
            [("partition", &self.partition), ("account", &self.account), ("region", &self.region), ("id", &self.id)];
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

/// The AWS partition of a region.
/// Source: `regionRegex` of each partition in botocore's `partitions.json`.
pub(crate) fn partition_of(region: &str) -> &'static str {
    let of_prefix = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    of_prefix.into_iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Where a host is in its life cycle. A host that is gone is not in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Launching or on its way into service; neither capacity nor a candidate.
    Pending,
    /// Takes work.
    InService,
    /// Out of service but running; can be put back (AWS: Standby, or out of its target groups).
    Cordoned,
    /// On its way out, however slowly.
    Terminating,
}

/// What keeps a host from being removed. This tool never lifts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The group's scale-in protection.
    ScaleIn,
    /// The instance's own termination protection (`DisableApiTermination`).
    Termination,
}

/// What the provider says about a host's health, all of its checks taken together.
///
/// "Unhealthy" is not "idle": a load balancer whose targets all fail sends work to all of them (Elastic Load Balancing,
/// "Health checks for target groups": it fails open), and a host that fails in one target group can get work through
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Every check passes: the host's own, its group's, and that of every target group it is in.
    Healthy,
    /// Its own status checks fail: it is established that it does not serve.
    Failed,
    /// Some check does not pass, but its own checks do not fail. [`Host::target_health`] establishes whether it serves.
    Doubtful,
}

/// What a target group that a load balancer uses says about one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetHealth {
    /// It passes the health check on every port.
    Passes,
    /// It fails the health check on every port.
    Fails,
    /// Anything else: not checked yet, checks switched off, ports that differ, an unknown state.
    Unsure,
}

/// One host as observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its identity; never given to another host.
    pub id: HostId,
    /// The zone it runs in.
    pub zone: ZoneName,
    /// Its Auto Scaling group, if it is in one.
    pub group: Option<GroupName>,
    /// `m6i.large` and the like; weighs the host where the policy says so.
    pub instance_type: Arc<str>,
    /// Other people's text: escape it before showing it. Shared by hosts that have the same tags.
    pub tags: Tags,
    /// Where it is in its life cycle.
    pub state: HostState,
    /// What the provider's checks say, all taken together.
    pub health: Health,
    /// When it was launched; the longest-running go first.
    pub launched_at: Time,
    /// Set if the provider forbids its removal.
    pub protection: Option<Protection>,
    /// The ledger that the host's own mark names, if it has one (tag `safe-remove:ledger`).
    pub ledger: Option<LedgerId>,
    /// Its private address, if the provider says one.
    pub address: Option<core::net::IpAddr>,
    /// The target groups it is registered in now (draining excluded).
    pub target_groups: BTreeSet<TargetGroupId>,
    /// What each target group that a load balancer uses says about it; the other target groups send no work.
    pub target_health: BTreeMap<TargetGroupId, TargetHealth>,
    /// What the provider's settings have against taking it.
    pub obstacles: Vec<Obstacle>,
}

impl Identified for Host {
    fn id(&self) -> &HostId {
        &self.id
    }
}

impl Host {
    /// Its tags, for changing them on this host alone.
    #[cfg(test)]
    pub(crate) fn tags_mut(&mut self) -> super::tags::Changing<'_> {
        self.tags.changing()
    }

    /// Whether every check passes, according to the provider.
    pub fn is_healthy(&self) -> bool {
        self.health == Health::Healthy
    }

    /// In service and healthy according to the provider. Whether it *serves* also depends on the ledger.
    pub fn is_serving(&self) -> bool {
        self.state == HostState::InService && self.is_healthy()
    }

    /// In service, and passing the health check of this target group, so that the group's load balancer does not fail
    /// open.
    pub(crate) fn passes_in(&self, group: &TargetGroupId) -> bool {
        self.state == HostState::InService && self.target_health.get(group) == Some(&TargetHealth::Passes)
    }

    /// The target groups that send it work, if there are any and it fails the health check of every one.
    pub(crate) fn fails_everywhere(&self) -> Option<impl Iterator<Item = &TargetGroupId>> {
        let fails = |health: &TargetHealth| *health == TargetHealth::Fails;
        let all = !self.target_health.is_empty() && self.target_health.values().all(fails);
        all.then(|| self.target_health.keys())
    }
}

/// A process of an Auto Scaling group that this tool suspends while it works on the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Process {
    /// Evens out zones, and "might terminate instances in other zones" to do so
    /// (Amazon EC2 Auto Scaling User Guide, "Suspend and resume processes").
    #[serde(rename = "AZRebalance")]
    AzRebalance,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AzRebalance => f.write_str("AZRebalance"),
        }
    }
}

/// What will change a group's size by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnChanges {
    /// When each scheduled action is due next.
    pub scheduled: Vec<ScheduledChange>,
    /// What may raise desired capacity at any time, if something may: `scaling policy load`.
    pub scales_out: Option<String>,
}

/// A change of a group's size that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// When.
    pub at: Time,
    /// What does it: `scheduled action night`.
    pub what: String,
}

/// An Auto Scaling group, or a simulated pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// MinSize, in hosts: the provider refuses to go below this many members in service.
    pub min_size: u64,
    /// MaxSize, in hosts: the provider refuses to restore above it.
    pub max_size: u64,
    /// Desired capacity, in hosts (members in Standby do not count towards it).
    pub desired: u64,
    /// How many members the provider says there are, in any state: an inventory that lists
    /// fewer is partial.
    pub stated_members: u64,
    /// Why recent launches failed, if they did.
    pub launch_failure: Option<String>,
    /// The ledger that the group's mark names, if it has one.
    pub ledger: Option<LedgerId>,
    /// Processes suspended now.
    pub suspended: BTreeSet<Process>,
    /// The group is being deleted: none of its hosts is a candidate.
    pub deleting: bool,
    /// What the group's settings have against taking any of its members.
    pub obstacles: Vec<Obstacle>,
    /// What will change its size by itself.
    #[serde(default)]
    pub changes: OwnChanges,
    /// Configuration that people should know about (lifecycle hooks, warm pool, mixed weights, …), for the plan's
    /// warnings.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_in_its_partition() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("eu-central-2", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), partition, "{region}");
        }
    }
}
