//! [`ordered`]: hosts by id, with names that they share.

use std::collections::BTreeMap;

use super::{Host, HostId, ZoneName};

/// The hosts by id. Each zone's name is kept once: one text that all hosts share is read more quickly than as many copies.
///
/// # Errors
///
/// The id of a host that is there twice.
pub(super) fn ordered(mut hosts: Vec<Host>) -> Result<BTreeMap<HostId, Host>, HostId> {
    let mut zones: BTreeMap<ZoneName, ZoneName> = BTreeMap::new();
    for Host { zone, .. } in &mut hosts {
        *zone = zones.entry(zone.clone()).or_insert_with(|| zone.clone()).clone();
    }
    hosts.sort_by(|one, other| one.id.cmp(&other.id));
    match hosts.array_windows().find(|[one, other]| one.id == other.id) {
        Some([twice, _]) => Err(twice.id.clone()),
        // Of a list in order, a map is made at once.
        None => Ok(hosts.into_iter().map(|host| (host.id.clone(), host)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::testing::host;

    proptest! {
        #[test]
        fn hosts_are_as_they_were_listed_in_any_order_and_never_twice(
            listed in prop::collection::vec((0..40_u8, "[abc]"), 0..20),
        ) {
            let hosts: Vec<Host> = listed.iter().map(|(id, zone)| host(&format!("i-{id}"), zone, &[])).collect();
            let ids: BTreeSet<u8> = listed.iter().map(|(id, _)| *id).collect();
            match ordered(hosts.clone()) {
                Ok(ordered) => {
                    prop_assert_eq!(ids.len(), listed.len());
                    prop_assert_eq!(ordered.len(), listed.len());
                    for host in &hosts {
                        prop_assert_eq!(ordered.get(&host.id), Some(host));
                    }
                }
                Err(twice) => prop_assert!(hosts.iter().filter(|host| host.id == twice).count() > 1),
            }
        }
    }
}
