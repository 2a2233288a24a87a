//! The planner's view of the record: held, claimed and removed hosts, each with its run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostId, RunId, Time};
use crate::plan::{Claim, LedgerView, OtherRun, Removal};

use super::{FleetRecord, MEMORY, ReservationState, RunEntry};

impl FleetRecord {
    /// The record as a planner sees it. `silent` names runs whose process is known to be dead or silent: what they hold
    /// stays theirs, what they merely claim does not.
    ///
    /// What `own` holds is no claim against itself: it judges these hosts as its `Taking::out`. It counts against
    /// budgets all the same, as every held host does: removed now (S4).
    pub(crate) fn view(&self, own: Option<&RunId>, silent: &BTreeSet<RunId>, now: Time) -> LedgerView {
        let mut claims: BTreeMap<HostId, Claim> = self
            .removed
            .iter()
            .map(|(host, removal)| {
                let at = removal.at.unwrap_or(self.written_at);
                (host.clone(), Claim::Removed { run: removal.run.clone(), at })
            })
            .collect();
        let mut removals = self.removals.clone();
        let mut claimed_by_others = BTreeMap::new();
        let mut others = Vec::new();
        for (run, entry) in &self.runs {
            for (host, reservation) in &entry.reservations {
                removals.push(Removal {
                    host: host.clone(),
                    run: run.clone(),
                    subsystems: reservation.subsystems.clone(),
                    units: reservation.units.clone(),
                    at: None,
                });
                if Some(run) != own {
                    let claim = match reservation.state {
                        ReservationState::Reserved | ReservationState::Terminating => {
                            Claim::Reserved { run: run.clone() }
                        }
                        ReservationState::Settling { until } => Claim::Settling { run: run.clone(), until },
                    };
                    claims.insert(host.clone(), claim);
                }
            }
            if Some(run) != own {
                let is_silent = is_silent(run, entry, silent);
                let claimed = entry.has_claims(now) && !is_silent;
                if claimed {
                    claimed_by_others.extend(entry.claims.keys().map(|host| (host.clone(), run.clone())));
                }
                if claimed || !entry.reservations.is_empty() {
                    others.push((entry.ticket, other(run, entry, is_silent)));
                }
            }
        }
        others.sort_by_key(|(ticket, _)| *ticket);
        let remembered = now.minus(MEMORY);
        LedgerView {
            ledger: self.ledger.clone(),
            claims,
            claimed_by_others,
            others: others.into_iter().map(|(_, other)| other).collect(),
            removals,
            last_end: self.last_end.clone(),
            removal_seen: self.removal_seen.is_some(),
            halts: self.halts.iter().map(|halt| (halt.subsystem.clone(), halt.why())).collect(),
            accepted: self.accepted.iter().map(|(name, accepted)| (name.clone(), accepted.policy.clone())).collect(),
            largest_removal: self
                .largest_removals
                .iter()
                .filter_map(|(name, counts)| {
                    let recent = counts.iter().filter(|count| count.at >= remembered);
                    recent.map(|count| count.hosts).max().map(|most| (name.clone(), most))
                })
                .collect(),
        }
    }

    /// The record as if no other run that lives held, claimed or had lately removed anything: what is still refused on
    /// it is no race (S9).
    pub(crate) fn alone(&self, own: Option<&RunId>, silent: &BTreeSet<RunId>) -> Self {
        let mut alone = self.clone();
        alone.runs.retain(|run, entry| Some(run) == own || is_silent(run, entry, silent));
        alone.removed.retain(|_, removal| Some(&removal.run) == own);
        alone
    }
}

/// Nobody waits for it: its process is dead or silent, or has said its last word.
pub(super) fn is_silent(run: &RunId, entry: &RunEntry, silent: &BTreeSet<RunId>) -> bool {
    entry.ended_at.is_some() || silent.contains(run)
}

fn other(run: &RunId, entry: &RunEntry, silent: bool) -> OtherRun {
    OtherRun {
        run: run.clone(),
        operator: entry.operator.clone(),
        subsystem: entry.subsystem.clone(),
        since: entry.enlisted_at,
        touches: entry.touched.clone(),
        watches: entry.watched.clone(),
        holds: entry.reservations.len() as u64,
        claims: entry.claims.len() as u64,
        holds_of: entry.holds_of(),
        silent,
    }
}
