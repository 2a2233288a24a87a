//! Which part of the fleet a run has to see: the hosts of all that it touches or watches, and their groups with all
//! members. Nothing else has a part in its rules, so nothing else need be read for every sample.
//!
//! The whole fleet is looked at first, and again now and then while nothing is out: hosts and groups that are new may
//! belong to what the run watches. One that is not seen yet is not counted as capacity, so the rules only refuse more.

use crate::model::{FleetSnapshot, Scope, Time};
use crate::plan::hosts_of;

use super::knowledge::Surroundings;
use super::machine::Machine;

impl Machine {
    /// What the next observation has to show; `None` for the whole fleet.
    pub(crate) fn scope(&self, now: Time) -> Option<Scope> {
        let mut scope = match &self.observed.surroundings {
            // S2: while hosts are out samples must not be far apart, and a look at everything may take long.
            Some(known) if known.is_old(now) && !self.is_stopping() && !self.has_reservations() => return None,
            Some(known) => known.scope.clone(),
            // S7: whoever took a run over and cannot see everything still sees, and puts back, what is out.
            None if self.is_stopping() && self.observed.whole_failed => Scope::default(),
            None => return None,
        };
        let planned = || self.document().batches.iter().flat_map(|batch| &batch.hosts);
        scope.hosts.extend(planned().map(|host| host.id.clone()));
        scope.groups.extend(planned().filter_map(|host| host.group.clone()));
        scope.hosts.extend(self.reservations.hosts.keys().cloned());
        scope.groups.extend(self.reservations.hosts.values().filter_map(|host| host.granted.group.clone()));
        scope.groups.extend(self.reservations.groups.keys().cloned());
        let held = self.reservations.hosts.values();
        scope.target_groups.extend(held.flat_map(|host| host.granted.target_groups.iter().cloned()));
        // The record forgets a host once it is seen to be gone, whoever removed it.
        let removed = self.observed.record.iter().flat_map(|record| record.removed.keys());
        scope.hosts.extend(removed.cloned());
        Some(scope)
    }

    /// Takes in which hosts and groups there are.
    pub(super) fn survey(&mut self, snapshot: &FleetSnapshot) {
        let known = self.observed.surroundings.as_mut();
        if !snapshot.is_whole() {
            // Whoever was seen is looked for by its id from now on, wherever it goes.
            if let Some(known) = known {
                known.scope.hosts.extend(snapshot.hosts().map(|host| host.id.clone()));
            }
            return;
        }
        if known.is_some_and(|known| !known.is_old(snapshot.begun_at)) {
            return;
        }
        let mut scope = Scope::default();
        for (host, _) in hosts_of(&self.spec.policies, snapshot, &self.spec.identity.watched) {
            scope.groups.extend(host.group.clone());
            scope.hosts.insert(host.id.clone());
        }
        let planned = self.document().batches.iter().flat_map(|batch| &batch.hosts);
        scope.groups.extend(planned.filter_map(|host| host.group.clone()));
        let of_groups =
            snapshot.hosts().filter(|host| host.group.as_ref().is_some_and(|name| scope.groups.contains(name)));
        let members: Vec<_> = of_groups.map(|host| host.id.clone()).collect();
        scope.hosts.extend(members);
        self.observed.surroundings = Some(Surroundings { at: snapshot.begun_at, scope });
    }

    /// A look that failed: the next one at the whole fleet can wait, what is out cannot.
    pub(super) fn survey_later(&mut self, now: Time) {
        match self.observed.surroundings.as_mut() {
            Some(known) => known.at = now,
            None => self.observed.whole_failed = true,
        }
    }
}
