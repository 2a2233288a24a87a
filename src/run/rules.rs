//! A run's questions to the plan's rules, about its last observation: whether hosts may be taken beside those that are
//! out already, and which of them may serve.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, HostId, ProbeKey, SubsystemName, Time};
use crate::plan::{
    Claim, Inputs, LedgerView, OtherRun, PlanDocument, Settings, Stage, SubsystemCapacity, Taking, Violation,
    capacities, may_serve, measure, verify,
};

use super::machine::Machine;
use super::reason::Reason;

impl Machine {
    /// The plan that was confirmed.
    pub(super) fn document(&self) -> &PlanDocument {
        self.spec.confirmed.document()
    }

    /// The strictest settings of everything that the run touches and watches.
    pub(super) fn settings(&self) -> &Settings {
        self.spec.confirmed.settings()
    }

    /// Whether the newest observation may still be acted on.
    pub(super) fn is_young(&self, now: Time) -> bool {
        self.observed.is_young(self.spec.bounds, now)
    }

    /// The rules that taking `hosts` would violate, beside the hosts that are out already.
    ///
    /// # Errors
    ///
    /// [`Reason::Fleet`]: nothing can be said.
    pub(super) fn violations(
        &self,
        hosts: BTreeSet<HostId>,
        stage: Stage,
        now: Time,
    ) -> Result<Vec<Violation>, Reason> {
        let Some(record) = &self.observed.record else {
            return Err(Reason::Fleet("the ledger was not read".to_owned()));
        };
        let Some(snapshot) = &self.observed.fleet else {
            return Err(Reason::Fleet("the fleet was not observed".to_owned()));
        };
        let view = record.view(Some(&self.spec.identity.run), &BTreeSet::new(), now);
        let none = BTreeMap::new();
        let inputs = self.inputs(snapshot, &view, &none, now);
        let out = self.reservations.hosts.values().filter(|host| host.is_out()).map(|host| host.id.clone()).collect();
        verify(&inputs, &Taking { hosts, out }, stage).map_err(|error| Reason::Fleet(error.to_string()))
    }

    /// Those of the hosts that serve, or may; all of them where nothing can be said.
    pub(super) fn may_serve(&self, hosts: &BTreeSet<HostId>, now: Time) -> BTreeSet<HostId> {
        let (Some(record), Some(snapshot)) = (&self.observed.record, &self.observed.fleet) else {
            return hosts.clone();
        };
        let view = record.view(Some(&self.spec.identity.run), &BTreeSet::new(), now);
        let none = BTreeMap::new();
        may_serve(&self.inputs(snapshot, &view, &none, now), hosts)
    }

    /// Capacity as the plan had it before, with what the last complete observation shows as remaining; where none showed
    /// all that the run watches, as the plan had it.
    pub(super) fn measured(&self, now: Time) -> Vec<SubsystemCapacity> {
        let before = self.document().subsystems.clone();
        let (Some(snapshot), Some(record)) = (&self.observed.fleet, &self.observed.record) else { return before };
        if !snapshot.is_whole() && self.observed.surroundings.is_none() {
            return before;
        }
        let view = record.view(None, &BTreeSet::new(), now);
        let none = BTreeMap::new();
        let inputs = self.inputs(snapshot, &view, &none, now);
        measure(&inputs, &before).unwrap_or(before)
    }

    /// The capacity of every subsystem that the run touches or watches, as the last complete observation shows it.
    pub(super) fn capacity(&self, now: Time) -> BTreeMap<SubsystemName, u64> {
        let (Some(snapshot), Some(record)) = (&self.observed.fleet, &self.observed.record) else {
            return BTreeMap::new();
        };
        let view = record.view(None, &BTreeSet::new(), now);
        capacities(&self.inputs(snapshot, &view, &BTreeMap::new(), now), &self.spec.identity.watched)
    }

    /// The capacity of every subsystem of the plan as the last complete observation shows it, and what would be left of it
    /// without these hosts.
    pub(super) fn left_by(&self, hosts: &BTreeSet<HostId>, now: Time) -> Vec<SubsystemCapacity> {
        let before = self.document().subsystems.clone();
        let (Some(snapshot), Some(record)) = (&self.observed.fleet, &self.observed.record) else { return before };
        let (silent, none) = (BTreeSet::new(), BTreeMap::new());
        let mut view = record.view(None, &silent, now);
        let measured = |view: &LedgerView| measure(&self.inputs(snapshot, view, &none, now), &before);
        let Ok(is) = measured(&view) else { return before };
        let run = self.spec.identity.run.clone();
        view.claims.extend(hosts.iter().map(|host| (host.clone(), Claim::Reserved { run: run.clone() })));
        let Ok(mut left) = measured(&view) else { return before };
        for (left, is) in left.iter_mut().zip(is) {
            left.capacity = is.remaining;
            left.headroom = is.remaining.saturating_sub(left.minimum);
            for (zone, is) in left.zones.iter_mut().zip(is.zones) {
                zone.capacity = is.remaining;
            }
        }
        left
    }

    /// The runs of others that touch or watch what this one does, as the record has them.
    pub(super) fn others(&self, now: Time) -> Vec<OtherRun> {
        let Some(record) = &self.observed.record else { return Vec::new() };
        let identity = &self.spec.identity;
        let view = record.view(Some(&identity.run), &BTreeSet::new(), now);
        view.others.into_iter().filter(|run| run.concerns(&identity.watched)).collect()
    }

    /// The planner's inputs. Probes are judged by the run's own watch.
    fn inputs<'a>(
        &'a self,
        snapshot: &'a FleetSnapshot,
        view: &'a LedgerView,
        none: &'a BTreeMap<ProbeKey, String>,
        now: Time,
    ) -> Inputs<'a> {
        Inputs {
            policies: &self.spec.policies,
            snapshot,
            ledger: view,
            bad_probes: none,
            identity: &self.spec.fleet,
            bounds: self.spec.bounds,
            credentials_end: self.spec.credentials_end,
            prove: Inputs::PROVE,
            now,
        }
    }
}
