//! What the record says to a planner, and to a run that begins while others are under way.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostId, ProbeKey, RunId, SubsystemName, Time};
use crate::plan::{Claim, LedgerView, Removal};

use super::{FleetRecord, HoldState, MEMORY};

impl FleetRecord {
    /// The record as a planner sees it.
    ///
    /// What `own` holds is no claim against itself: it judges these hosts as its `Taking::out`. It counts against
    /// budgets all the same, as every held host does: removed now (S4).
    pub fn view(&self, own: Option<&RunId>, now: Time) -> LedgerView {
        let mut claims: BTreeMap<HostId, Claim> = self
            .removed
            .iter()
            .map(|(host, removal)| {
                let at = removal.at.unwrap_or(self.written_at);
                (host.clone(), Claim::Removed { run: removal.run.clone(), at })
            })
            .collect();
        let mut removals = self.removals.clone();
        for (run, entry) in &self.runs {
            for (host, hold) in &entry.holds {
                removals.push(Removal {
                    host: host.clone(),
                    run: run.clone(),
                    subsystems: hold.subsystems.clone(),
                    at: None,
                });
                if Some(run) != own {
                    let claim = match hold.state {
                        HoldState::Reserved | HoldState::Terminating => Claim::Reserved { run: run.clone() },
                        HoldState::Settling { until } => Claim::Settling { run: run.clone(), until },
                    };
                    claims.insert(host.clone(), claim);
                }
            }
        }
        let remembered = now.minus(MEMORY);
        LedgerView {
            ledger: self.ledger.clone(),
            claims,
            removals,
            last_termination: self.last_termination.clone(),
            halts: self.halts.iter().map(|halt| (halt.subsystem.clone(), halt.why())).collect(),
            accepted: self.accepted.iter().map(|(name, accepted)| (name.clone(), accepted.policy.clone())).collect(),
            largest_removal: self
                .completed
                .iter()
                .filter_map(|(name, counts)| {
                    let recent = counts.iter().filter(|count| count.at >= remembered);
                    recent.map(|count| count.hosts).max().map(|most| (name.clone(), most))
                })
                .collect(),
        }
    }

    /// The reference that runs under way took before they took anything, of the probes of `watched`: the oldest
    /// run's where several have one. `None` where no other run watches any of these subsystems: then `run` samples
    /// its own. A probe that is missing from it is watched by no run under way and may be sampled.
    ///
    /// Two runs would otherwise each call the other's damage normal (design section 4).
    pub fn reference_for(&self, run: &RunId, watched: &BTreeSet<SubsystemName>) -> Option<BTreeMap<ProbeKey, f64>> {
        let own_start = self.runs.get(run).map(|entry| entry.started_at);
        let mut older: Vec<_> = self
            .runs
            .iter()
            .filter(|(other, entry)| {
                *other != run
                    && !entry.watched.is_disjoint(watched)
                    && own_start.is_none_or(|own| (entry.started_at, *other) < (own, run))
            })
            .collect();
        older.sort_by_key(|(other, entry)| (entry.started_at, *other));
        if older.is_empty() {
            return None;
        }
        let mut reference = BTreeMap::new();
        for (_, entry) in older {
            for (key, value) in entry.reference.iter().filter(|(key, _)| watched.contains(&key.subsystem)) {
                reference.entry(key.clone()).or_insert(*value);
            }
        }
        Some(reference)
    }
}
