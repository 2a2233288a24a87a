//! [`Ordered`]: hosts, or what is known of each, by id.

use super::HostId;

/// Has the id of a host.
pub(crate) trait Identified {
    /// It never changes.
    fn id(&self) -> &HostId;
}

/// In the order of ids, none of which is there twice: one list, which is read from one end to the other more quickly than
/// the nodes of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered<T>(Vec<T>);

impl<T: Identified> Ordered<T> {
    /// # Errors
    ///
    /// The id that is there twice.
    pub(crate) fn of(mut list: Vec<T>) -> Result<Self, HostId> {
        if !list.is_sorted_by_key(|of| of.id()) {
            // Ids are smaller than what has them: these are moved once.
            list.sort_by_cached_key(|of| of.id().clone());
        }
        match list.array_windows().find(|[one, other]| one.id() == other.id()) {
            Some([twice, _]) => Err(twice.id().clone()),
            None => Ok(Self(list)),
        }
    }

    /// All of them, by id.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// All of them, by id.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    /// That of the host with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.place(id).map(|place| &self.0[place])
    }

    /// That of the host with this id.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.place(id).map(|place| &mut self.0[place])
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.0.binary_search_by(|of| of.id().as_str().cmp(id)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::Host;
    use super::*;
    use crate::plan::testing::host;

    proptest! {
        #[test]
        fn hosts_are_as_they_were_listed_in_any_order_and_never_twice(
            listed in prop::collection::vec((0..40_u8, "[abc]"), 0..20),
        ) {
            let hosts: Vec<Host> = listed.iter().map(|(id, zone)| host(&format!("i-{id}"), zone, &[])).collect();
            let ids: BTreeSet<u8> = listed.iter().map(|(id, _)| *id).collect();
            match Ordered::of(hosts.clone()) {
                Ok(mut ordered) => {
                    prop_assert_eq!(ids.len(), listed.len());
                    prop_assert_eq!(ordered.iter().len(), listed.len());
                    prop_assert!(ordered.iter().is_sorted_by_key(|host| &host.id));
                    for host in &hosts {
                        prop_assert_eq!(ordered.get(host.id.as_str()), Some(host));
                        prop_assert_eq!(ordered.get_mut(host.id.as_str()).map(|host| &*host), Some(host));
                    }
                    prop_assert_eq!(ordered.get("i-"), None);
                }
                Err(twice) => prop_assert!(hosts.iter().filter(|host| host.id == twice).count() > 1),
            }
        }
    }
}
