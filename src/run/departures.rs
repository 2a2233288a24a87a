//! Hosts that leave while a run is under way and that the record does not explain: a reason to stop and look.
//!
//! A group that evens out its zones, a scaling policy, another tool, or a person takes them. Whatever it is goes on while
//! this run takes hosts too, and the run's own rules see it only once a minimum is reached.

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::FleetRecord;
use crate::model::{FleetSnapshot, GroupName, Host, HostId, HostState, SubsystemName, Time};
use crate::plan::in_service;

use super::machine::Machine;
use super::present::Place;

/// The most hosts that one message names.
const NAMED: usize = 5;

impl Machine {
    /// The hosts that left since the last observation without anybody's removal in the record, in words. `None` if there is
    /// none, and before the first grant: a host that left before concerns the plan, not the run.
    ///
    /// The run's own hosts are not among them: one that leaves by itself is dropped from the plan.
    pub(super) fn departed(&mut self, snapshot: &FleetSnapshot, now: Time) -> Option<String> {
        if !self.begun {
            return None;
        }
        let left = self.left_since(snapshot);
        let record = self.observed.record.as_ref()?;
        let view = record.view(Some(&self.spec.identity.run), &BTreeSet::new(), now);
        let ours = self.planned();
        let unexplained: Vec<String> = left
            .into_iter()
            .filter(|(id, ..)| !(ours.contains(id) || view.claims.contains_key(id) || is_removed(record, id)))
            .map(|(id, place, how)| told(&id, &place, &how, snapshot))
            .collect();
        if unexplained.is_empty() {
            return None;
        }
        let (named, more) = (unexplained.len().min(NAMED), unexplained.len().saturating_sub(NAMED));
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        Some(format!(
            "{}{more}. Neither this run nor another one in the ledger removed {}",
            unexplained[..named].join("; "),
            if unexplained.len() == 1 { "it" } else { "them" }
        ))
    }

    /// From the first grant on the hosts are looked after that are in service then.
    pub(super) fn look_after(&mut self, snapshot: &FleetSnapshot) {
        self.left_since(snapshot);
    }

    fn left_since(&mut self, snapshot: &FleetSnapshot) -> Vec<(HostId, Place, String)> {
        let mut seen: BTreeMap<HostId, Place> = BTreeMap::new();
        let place = |host: &Host| Place { group: host.group.clone(), subsystems: BTreeSet::new() };
        for (host, name) in in_service(&self.spec.policies, snapshot, &self.spec.identity.watched) {
            seen.entry(host.id.clone()).or_insert_with(|| place(host)).subsystems.insert(name.clone());
        }
        let groups: BTreeSet<&GroupName> = self
            .document()
            .batches
            .iter()
            .flat_map(|batch| &batch.hosts)
            .filter_map(|host| host.group.as_ref())
            .collect();
        let of_groups = |host: &&Host| host.group.as_ref().is_some_and(|group| groups.contains(group));
        for host in snapshot.hosts().filter(|host| host.state == HostState::InService).filter(of_groups) {
            seen.entry(host.id.clone()).or_insert_with(|| place(host));
        }
        self.present.update(seen, snapshot)
    }

    /// Every host of the plan that was confirmed.
    fn planned(&self) -> BTreeSet<&HostId> {
        self.document().batches.iter().flat_map(|batch| &batch.hosts).map(|host| &host.id).collect()
    }
}

/// Whether a run that the record remembers removed it, or gave it up.
fn is_removed(record: &FleetRecord, host: &HostId) -> bool {
    record.removals.iter().any(|removal| removal.host == *host)
}

fn told(id: &HostId, place: &Place, how: &str, snapshot: &FleetSnapshot) -> String {
    let subsystems: Vec<&str> = place.subsystems.iter().map(SubsystemName::as_str).collect();
    let mut of = Vec::new();
    if !subsystems.is_empty() {
        of.push(subsystems.join(", "));
    }
    of.extend(place.group.as_ref().map(|group| format!("group {group}")));
    let of = if of.is_empty() { String::new() } else { format!(" ({})", of.join("; ")) };
    let why =
        snapshot.departure(id).map(|departure| format!(" (the provider says: {})", departure.why)).unwrap_or_default();
    format!("host {id}{of} {how}, seen at {}{why}", snapshot.begun_at)
}
