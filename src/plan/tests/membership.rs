//! The index of hosts and subsystems against matching every host on its own.

use proptest::prelude::*;

use crate::model::{FleetSnapshot, GroupName, Host, Tags};
use crate::plan::Membership;
use crate::plan::testing::{World, host, policy};

proptest! {
    /// Hosts that share their tags, hosts with equal tags of their own, in groups and outside, listed in any order.
    #[test]
    fn every_host_is_matched_as_if_it_were_alone(
        wanted in prop::collection::vec((0..4_usize, 0..3_usize, any::<bool>(), 0..3_usize, any::<u64>()), 0..150),
    ) {
        let mut world = World::new(["billing", "index", "placement"].map(|name| policy(name, 0)));
        world.policy_mut("index").hosts.auto_scaling_groups = ["a*".to_owned()].into();
        world.policy_mut("placement").hosts.tags.clear();
        world.policy_mut("placement").hosts.auto_scaling_groups = ["b".to_owned(), "aa".to_owned()].into();
        let tags = |own: &[(&str, &str)]| -> Tags { own.iter().copied().collect() };
        let shared = [
            tags(&[]),
            tags(&[("billing", "1")]),
            tags(&[("billing", "1"), ("index", "2"), ("keep", "for-good")]),
            tags(&[("index", "1")]),
        ];
        let mut order: Vec<(u64, Host)> = wanted.iter().enumerate().map(|(number, &(kind, zone, shares, group, place))| {
            let mut made = host(&format!("i-{number:03}"), ["z1", "z2", "z3"][zone], &[]);
            made.tags = if shares { shared[kind].clone() } else { shared[kind].iter().collect() };
            made.group = [None, Some("aa"), Some("b")][group].map(Into::into);
            (place, made)
        }).collect();
        order.sort_by_key(|(place, _)| *place);
        world.hosts = order.into_iter().map(|(_, host)| host).collect();
        let snapshot = world.snapshot();
        // As they are read from a file, where no two hosts share a text.
        let text = serde_json::to_string(&world.hosts).expect("serializable");
        world.hosts = serde_json::from_str(&text).expect("the same");
        let read = world.snapshot();
        // Tags of their own are now those of the observations alone.
        world.hosts.clear();
        for snapshot in [&snapshot, &read] {
            is_right(&world, snapshot)?;
        }
    }
}

/// Whether every host and every list is as a look at each host alone says.
fn is_right(world: &World, snapshot: &FleetSnapshot) -> Result<(), TestCaseError> {
    let matcher = world.policies.matcher();
    let membership = Membership::new(&world.policies, snapshot);
    prop_assert_eq!(membership.hosts(), snapshot.hosts().len());
    for (index, host) in snapshot.hosts().enumerate() {
        prop_assert_eq!(membership.find(&host.id), Some(index));
        let alone = matcher.membership(host);
        let names: Vec<_> = membership.of(index).map(|s| membership.subsystem(s).name.clone()).collect();
        prop_assert_eq!(&names, &alone.subsystems);
        prop_assert_eq!(membership.never(index), alone.never.as_ref());
        prop_assert_eq!(membership.zones()[membership.zone_of(index)], &host.zone);
        prop_assert_eq!(membership.group_of(index).map(|group| membership.groups()[group]), host.group.as_ref());
        let listed = host.group.as_ref().and_then(|group| snapshot.group(group));
        prop_assert_eq!(membership.group(index), listed);
    }
    let which = |is: &dyn Fn(usize, &Host) -> bool| -> Vec<usize> {
        snapshot.hosts().enumerate().filter(|(index, host)| is(*index, host)).map(|(index, _)| index).collect()
    };
    for subsystem in 0..membership.subsystems().len() {
        let members = which(&|index, _| membership.belongs(index, subsystem));
        prop_assert_eq!(membership.members(subsystem).collect::<Vec<_>>(), members);
    }
    for name in ["aa", "b", "c"].map(GroupName::from) {
        prop_assert_eq!(
            membership.group_members(&name).collect::<Vec<_>>(),
            which(&|_, host| host.group.as_ref() == Some(&name))
        );
    }
    prop_assert!(membership.zones().is_sorted_by(|one, next| one < next), "each name once");
    prop_assert!(membership.groups().is_sorted_by(|one, next| one < next), "each name once");
    Ok(())
}
