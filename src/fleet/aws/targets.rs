//! The registrations of instances in target groups, and what the target groups report of them. Main type:
//! [`Registrations`]. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aws_sdk_elasticloadbalancingv2::types::{
    AdministrativeOverride, TargetAdministrativeOverrideStateEnum as Override, TargetGroup, TargetHealth as Health,
    TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};

use super::addresses::{Addresses, Named};
use crate::model::{TargetGroupId, TargetHealth};

/// The health of one instance, by one target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// No load balancer uses the target group: it sends no work and reports no health.
    Silent,
    /// A load balancer uses the target group, and reports this.
    Says(TargetHealth),
}

impl Word {
    /// Combines the reports on two ports of one instance. Where they differ, nothing is sure.
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Says(TargetHealth::Unsure) }
    }
}

/// The registrations of an instance in one target group.
#[derive(Debug)]
struct Active {
    word: Word,
    /// The addresses by which it is registered; nothing stands for its id.
    by: BTreeSet<Option<IpAddr>>,
}

/// Everything that the target groups of a region report, by instance.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    /// By instance, why work is kept from it although its checks may pass.
    shifted: BTreeMap<String, String>,
    active: BTreeMap<String, BTreeMap<TargetGroupId, Active>>,
    draining: BTreeMap<String, BTreeSet<TargetGroupId>>,
    /// By instance: target groups that list an address like one of its, and whose it is cannot be told.
    perhaps: BTreeMap<String, BTreeMap<TargetGroupId, Word>>,
}

impl Registrations {
    /// Indexes every target group that may hold instances, by id or by address, with the health of all its targets.
    pub(super) fn new(groups: &[(TargetGroup, Vec<TargetHealthDescription>)], addresses: &Addresses<'_>) -> Self {
        let mut all = Self::default();
        for (group, targets) in groups {
            let Some(arn) = group.target_group_arn() else { continue };
            let used = !group.load_balancer_arns().is_empty();
            for target in targets {
                let health = target.target_health();
                let (id, by) = match target.target().map(|of| addresses.named(of, group.vpc_id())) {
                    Some(Named::Host(id, by)) => (id, by),
                    Some(Named::Perhaps(hosts)) if !is_draining(health) && !is_deregistered(health) => {
                        all.add_perhaps(&hosts, arn, judge(health, used));
                        continue;
                    }
                    Some(Named::Perhaps(_) | Named::Nobody) | None => continue,
                };
                if is_draining(health) {
                    all.draining.entry(id.to_owned()).or_default().insert(arn.into());
                } else if !is_deregistered(health) {
                    let mut word = judge(health, used);
                    if let Some(why) = target.administrative_override().and_then(overridden) {
                        // Its health says nothing of its work: it may be healthy and get none.
                        word = Word::Says(TargetHealth::Unsure);
                        let group = group.target_group_name().unwrap_or(arn);
                        all.shifted.entry(id.to_owned()).or_insert_with(|| format!("target group {group}: {why}"));
                    }
                    let of_host = all.active.entry(id.to_owned()).or_default();
                    let active = of_host.entry(arn.into()).or_insert(Active { word, by: BTreeSet::new() });
                    active.word = active.word.and(word);
                    active.by.insert(by);
                }
            }
        }
        all
    }

    fn add_perhaps(&mut self, hosts: &[&str], arn: &str, word: Word) {
        for host in hosts {
            let words = self.perhaps.entry((*host).to_owned()).or_default();
            words.entry(arn.into()).and_modify(|known| *known = known.and(word)).or_insert(word);
        }
    }

    /// The target groups that list an address like one of the instance's, where whose it is cannot be told.
    pub(super) fn perhaps_of(&self, instance: &str) -> impl Iterator<Item = &TargetGroupId> {
        self.perhaps.get(instance).into_iter().flat_map(BTreeMap::keys)
    }

    /// Every host with every target group that lists it, draining or not, or lists what may be one of its addresses.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = (&str, &TargetGroupId)> {
        let active = self.active.iter().flat_map(|(host, of)| of.keys().map(move |group| (host.as_str(), group)));
        let draining = self.draining.iter().flat_map(|(host, of)| of.iter().map(move |group| (host.as_str(), group)));
        let perhaps = self.perhaps.iter().flat_map(|(host, of)| of.keys().map(move |group| (host.as_str(), group)));
        active.chain(draining).chain(perhaps)
    }

    /// Its registrations, without their ports: by id, or by address.
    pub(super) fn registered(&self, instance: &str) -> impl Iterator<Item = (&TargetGroupId, Option<IpAddr>)> {
        let active = self.active.get(instance).into_iter().flatten();
        active.flat_map(|(group, active)| active.by.iter().map(move |by| (group, *by)))
    }

    /// The target groups that send the instance work, or would if it were healthy.
    pub(super) fn of(&self, instance: &str) -> BTreeSet<TargetGroupId> {
        self.active.get(instance).map(|words| words.keys().cloned().collect()).unwrap_or_default()
    }

    /// The health that each of these target groups reports, as far as a load balancer uses it.
    pub(super) fn health_of(&self, instance: &str) -> BTreeMap<TargetGroupId, TargetHealth> {
        let active = self.active.get(instance).into_iter().flatten();
        let says = |(group, active): (&TargetGroupId, &Active)| match active.word {
            Word::Silent => None,
            Word::Says(health) => Some((group.clone(), health)),
        };
        // S1: it may get work there, or none.
        let perhaps = self.perhaps.get(instance).into_iter().flatten();
        let perhaps = perhaps.filter(|(_, word)| **word != Word::Silent);
        let perhaps = perhaps.map(|(group, _)| (group.clone(), TargetHealth::Unsure));
        perhaps.chain(active.filter_map(says)).collect()
    }

    /// Why work is kept from the instance on purpose, if it is.
    pub(super) fn shifted(&self, instance: &str) -> Option<&str> {
        self.shifted.get(instance).map(String::as_str)
    }

    /// Whether the instance is still finishing work that a target group sent before it was deregistered.
    pub(super) fn is_draining(&self, instance: &str) -> bool {
        self.draining.contains_key(instance)
    }

    /// Whether nothing is reported against the instance: every target group that it is in finds it healthy (or is used
    /// by no load balancer), and it is in each of `expected`.
    pub(super) fn is_well(&self, instance: &str, expected: &[String]) -> bool {
        let active = self.active.get(instance);
        let is_in = |arn: &String| active.is_some_and(|groups| groups.contains_key(arn.as_str()));
        let own = active.into_iter().flat_map(BTreeMap::values).map(|active| active.word);
        let perhaps = self.perhaps.get(instance).into_iter().flat_map(BTreeMap::values).copied();
        let is_good = |word| matches!(word, Word::Silent | Word::Says(TargetHealth::Passes));
        expected.iter().all(is_in) && own.chain(perhaps).all(is_good)
    }
}

pub(super) fn is_draining(health: Option<&Health>) -> bool {
    matches!(
        health.and_then(|h| h.state()),
        Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining)
    )
}

/// A target that is listed although it is no longer registered.
pub(super) fn is_deregistered(health: Option<&Health>) -> bool {
    matches!(health.and_then(|h| h.reason()), Some(TargetHealthReasonEnum::NotRegistered))
}

/// Why an administrative override keeps work from a target; `None` where there is no override.
/// Source: Elastic Load Balancing API, `AdministrativeOverride`; "Zonal shift for your Application Load Balancer".
fn overridden(at: &AdministrativeOverride) -> Option<String> {
    match at.state() {
        None | Some(Override::NoOverride) => None,
        Some(Override::ZonalShiftActive) => Some("a zonal shift is active in its zone".to_owned()),
        Some(Override::ZonalShiftDelegatedToDns) => Some("a zonal shift is active in its zone, by DNS".to_owned()),
        // S3: AWS cannot tell, or says something that this version does not know.
        Some(state) => Some(format!("whether a zonal shift is active is not known ({})", state.as_str())),
    }
}

/// Judges a target's state. Only `unhealthy` says that an instance fails its checks. The other states differ in what
/// they say of its work: a target whose checks are switched off is `unavailable` and gets work; Network and Gateway
/// Load Balancers send work to a target that is still `initial`; a target in a zone that its load balancer does not
/// serve yet is `unused`, too.
/// Sources: Elastic Load Balancing API, `TargetHealth`; the guides' "Health checks for your target groups".
fn judge(health: Option<&Health>, used: bool) -> Word {
    match health.and_then(|h| h.state()) {
        Some(TargetHealthStateEnum::Healthy) => Word::Says(TargetHealth::Passes),
        Some(TargetHealthStateEnum::Unhealthy) => Word::Says(TargetHealth::Fails),
        Some(TargetHealthStateEnum::Unused)
            if !used && health.and_then(|h| h.reason()) == Some(&TargetHealthReasonEnum::NotInUse) =>
        {
            Word::Silent
        }
        // S3: this includes a state that this version does not know, and a missing one.
        _ => Word::Says(TargetHealth::Unsure),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Instance;
    use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

    use super::*;

    /// By ids alone.
    fn registrations(groups: &[(TargetGroup, Vec<TargetHealthDescription>)]) -> Registrations {
        Registrations::new(groups, &Addresses::default())
    }

    fn group(name: &str, used: bool) -> TargetGroup {
        let group = TargetGroup::builder().target_group_arn(name);
        if used { group.load_balancer_arns("lb").build() } else { group.build() }
    }

    fn target(
        id: &str,
        state: TargetHealthStateEnum,
        reason: Option<TargetHealthReasonEnum>,
    ) -> TargetHealthDescription {
        TargetHealthDescription::builder()
            .target(TargetDescription::builder().id(id).build())
            .target_health(Health::builder().state(state).set_reason(reason).build())
            .build()
    }

    #[test]
    fn every_target_group_must_agree_and_the_worst_port_counts() {
        use TargetHealthStateEnum::{Healthy, Unhealthy};
        let all = registrations(&[
            (group("web", true), vec![target("i-1", Healthy, None), target("i-2", Healthy, None)]),
            (group("api", true), vec![target("i-1", Healthy, None), target("i-1", Unhealthy, None)]),
        ]);
        assert!(!all.is_well("i-1", &[]), "one port of one group fails");
        assert!(all.is_well("i-2", &["web".to_owned()]));
        assert!(
            !all.is_well("i-2", &["api".to_owned()]),
            "its group is attached to api, but it is not registered there"
        );
        assert!(all.is_well("i-3", &[]), "nobody speaks against it");
        assert_eq!(all.of("i-1"), BTreeSet::from(["web".into(), "api".into()]));
        let says = BTreeMap::from([("web".into(), TargetHealth::Passes), ("api".into(), TargetHealth::Unsure)]);
        assert_eq!(all.health_of("i-1"), says, "of two ports one passes");
    }

    #[test]
    fn s3_states_between_and_unknown_are_not_healthy() {
        use TargetHealthStateEnum::{Initial, Unavailable, Unused};
        for state in [Initial, Unavailable, Unused, TargetHealthStateEnum::from("invented")] {
            let all = registrations(&[(group("web", true), vec![target("i-1", state.clone(), None)])]);
            assert!(!all.is_well("i-1", &[]), "{state:?}");
            // S1: nor does it say that the instance gets no work.
            assert_eq!(all.health_of("i-1"), BTreeMap::from([("web".into(), TargetHealth::Unsure)]), "{state:?}");
        }
    }

    #[test]
    fn a_target_group_without_load_balancer_says_nothing_but_one_with_a_disabled_zone_does() {
        let unused = || vec![target("i-1", TargetHealthStateEnum::Unused, Some(TargetHealthReasonEnum::NotInUse))];
        let silent = registrations(&[(group("spare", false), unused())]);
        assert!(silent.is_well("i-1", &["spare".to_owned()]));
        assert!(silent.health_of("i-1").is_empty());
        assert_eq!(silent.of("i-1").len(), 1, "a restore must still bring it back there");
        let disabled = registrations(&[(group("web", true), unused())]);
        assert!(!disabled.is_well("i-1", &[]));
    }

    #[test]
    fn draining_is_neither_in_nor_out() {
        let all = registrations(&[(group("web", true), vec![target("i-1", TargetHealthStateEnum::Draining, None)])]);
        assert!(all.of("i-1").is_empty());
        assert!(all.health_of("i-1").is_empty());
        assert!(all.is_draining("i-1"));
        assert!(!all.is_well("i-1", &["web".to_owned()]));
    }

    #[test]
    fn s1_a_target_that_a_zonal_shift_keeps_work_from_is_neither_capacity_nor_idle() {
        let with = |state: Override| {
            let target = TargetHealthDescription::builder()
                .target(TargetDescription::builder().id("i-1").build())
                .target_health(Health::builder().state(TargetHealthStateEnum::Healthy).build())
                .administrative_override(AdministrativeOverride::builder().state(state).build())
                .build();
            registrations(&[(group("web", true), vec![target])])
        };
        for state in [
            Override::ZonalShiftActive,
            Override::ZonalShiftDelegatedToDns,
            Override::UnknownValue,
            Override::from("invented"),
        ] {
            let all = with(state.clone());
            assert!(!all.is_well("i-1", &[]), "{state:?}");
            assert_eq!(all.health_of("i-1"), BTreeMap::from([("web".into(), TargetHealth::Unsure)]), "{state:?}");
            assert!(all.shifted("i-1").is_some_and(|why| why.contains("zonal shift")), "{state:?}");
        }
        let none = with(Override::NoOverride);
        assert!(none.is_well("i-1", &[]) && none.shifted("i-1").is_none());
    }

    #[test]
    fn a_target_that_is_a_hosts_address_counts_like_the_host() {
        use TargetHealthStateEnum::{Healthy, Unhealthy};
        let instance = |id: &str, vpc: &str, address: &str| {
            Instance::builder().instance_id(id).vpc_id(vpc).private_ip_address(address).build()
        };
        let fleet = [instance("i-1", "vpc-a", "10.0.0.5"), instance("i-2", "vpc-b", "10.0.0.5")];
        let of_vpc = |name: &str, vpc: &str| {
            TargetGroup::builder().target_group_arn(name).load_balancer_arns("lb").vpc_id(vpc).build()
        };
        let everywhere = TargetHealthDescription::builder()
            .target(TargetDescription::builder().id("10.0.0.5").availability_zone("all").build())
            .target_health(Health::builder().state(Healthy).build())
            .build();
        let all = Registrations::new(
            &[
                (of_vpc("ids", "vpc-a"), vec![target("i-1", Healthy, None), target("i-2", Healthy, None)]),
                (
                    of_vpc("addresses", "vpc-a"),
                    vec![target("10.0.0.5", Unhealthy, None), target("10.0.0.9", Healthy, None)],
                ),
                (of_vpc("far", "vpc-c"), vec![everywhere]),
            ],
            &Addresses::of(&fleet),
        );
        assert_eq!(all.of("i-1"), BTreeSet::from(["ids".into(), "addresses".into()]));
        assert_eq!(all.of("i-2"), BTreeSet::from(["ids".into()]), "the target group is in another VPC");
        assert!(!all.is_well("i-1", &[]) && all.is_well("i-2", &[]));
        assert_eq!(all.health_of("i-1").get("addresses"), Some(&TargetHealth::Fails));
        // Whose address it is cannot be told: nobody is deregistered there, and nobody is idle for it.
        for host in ["i-1", "i-2"] {
            assert_eq!(all.perhaps_of(host).collect::<Vec<_>>(), [&TargetGroupId::new("far")], "{host}");
            assert_eq!(all.health_of(host).get("far"), Some(&TargetHealth::Unsure), "{host}");
        }
        let by: Vec<Option<IpAddr>> = all.registered("i-1").map(|(_, by)| by).collect();
        assert_eq!(by, ["10.0.0.5".parse().ok(), None]);
    }
}
