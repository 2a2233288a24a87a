//! When each batch can start, as far as known beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{HostId, Time};

use super::membership::Membership;
use super::pace::{Books, Wait, waits};
use super::{Inputs, Removal, Settings, Violation};

/// Maximum number of waits for one batch: a bound on work. Each ends when an earlier removal leaves a window.
const WAITS: usize = 1000;

/// What is known beforehand about a run's course.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Waits for budgets, with the batch (from 1) that waits.
    pub(crate) budgets: Vec<(usize, Wait)>,
    /// What the first batch waits for because of earlier runs.
    pub(crate) interval: Option<Wait>,
    /// From the decision to the last verified termination, without confirmation and calls.
    pub(crate) takes: Duration,
}

impl Schedule {
    /// Simulates the batches: each counts against budgets from the end of its bake.
    ///
    /// # Errors
    ///
    /// The violation of rule `budget` if a batch never fits.
    pub(crate) fn of(
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        batches: &[Vec<usize>],
        settings: &Settings,
    ) -> Result<Self, Violation> {
        let mut schedule = Self::default();
        let mut removals = inputs.ledger.removals.clone();
        let mut last_end = inputs.ledger.last_end.clone();
        let mut now = inputs.now;
        for (index, batch) in batches.iter().enumerate() {
            let ids: BTreeSet<HostId> = batch.iter().map(|&h| membership.host(h).id.clone()).collect();
            for _ in 0..WAITS {
                let books = Books { removals: &removals, last_end: &last_end, now };
                let waits = waits(inputs, membership, &ids, &books)?;
                let later = [&waits.budget, &waits.interval].into_iter().flatten().map(|w| w.until).max();
                let Some(until) = later else { break };
                now = until;
                if index == 0 && schedule.interval.is_none() {
                    schedule.interval = waits.interval;
                }
                // A budget that opens during an interval that must be waited for anyway requires nothing.
                if let Some(wait) = waits.budget.filter(|wait| wait.until == until) {
                    schedule.budgets.push((index + 1, wait));
                }
            }
            now = now.plus(settings.bake);
            for &host in batch {
                let subsystems: BTreeSet<_> =
                    membership.of(host).map(|s| membership.subsystem(s).name.clone()).collect();
                last_end.extend(subsystems.iter().map(|name| (name.clone(), now)));
                let id = membership.host(host).id.clone();
                let units = BTreeMap::new();
                removals.push(Removal { host: id, run: "this".into(), subsystems, units, at: Some(now) });
            }
        }
        // The reference: three samples, `every` apart.
        schedule.takes = now.since(inputs.now).saturating_add(settings.every.saturating_mul(2));
        Ok(schedule)
    }

    /// The latest time until which a budget makes a batch wait.
    pub(crate) fn not_before(&self) -> Option<Time> {
        self.budgets.iter().map(|(_, wait)| wait.until).max()
    }
}
