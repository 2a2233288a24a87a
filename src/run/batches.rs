//! [`Batches`]: the batches of the plan that was confirmed, and which of them is next.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BatchNumber, FleetSnapshot, HostId};
use crate::plan::PlanDocument;

use super::RunHistory;

/// One batch of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedBatch {
    pub(super) number: BatchNumber,
    /// Its hosts that are still in the plan. A host that is dropped is never replaced (S8).
    pub(super) hosts: Vec<HostId>,
}

/// The batches of a plan, in order.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    all: Vec<PlannedBatch>,
    /// Index of the batch that is under way, or next. Past the end where all are gone.
    current: usize,
}

impl Batches {
    pub(super) fn of(plan: &PlanDocument) -> Self {
        Self::of_all(&plan.batches)
    }

    fn of_all(batches: &[crate::plan::Batch]) -> Self {
        let hosts = |batch: &crate::plan::Batch| batch.hosts.iter().map(|host| host.id.clone()).collect();
        let all = batches.iter().map(|batch| PlannedBatch { number: batch.number, hosts: hosts(batch) });
        Self { all: all.collect(), current: 0 }
    }

    /// The batches as a journal leaves them. `outstanding`: the batch of which the record holds hosts, if there is one.
    pub(super) fn as_told(plan: &PlanDocument, history: &RunHistory<'_>, outstanding: Option<BatchNumber>) -> Self {
        let mut batches = Self::of_all(&history.planned(&plan.batches));
        batches.drop_hosts(|host| history.dropped.contains(host) || history.terminated.contains(host));
        batches.go_to(outstanding);
        batches
    }

    /// The batch that people are told of, and how many there are: the one under way, or the next; once all are gone, the
    /// last one. Every screen has it from here.
    pub(super) fn shown(&self) -> (BatchNumber, u64) {
        let count = self.count();
        (self.current().map_or(BatchNumber::new(count), |batch| batch.number), count)
    }

    /// The batch under way, or the next one. `None` if there is none left.
    pub(super) fn current(&self) -> Option<&PlannedBatch> {
        self.all.get(self.current)
    }

    /// Goes on to the batch behind it.
    pub(super) fn advance(&mut self) {
        self.current += 1;
    }

    /// Goes to that batch, or if there is none, to the first that has hosts left.
    pub(super) fn go_to(&mut self, number: Option<BatchNumber>) {
        self.current = match number {
            Some(number) => self.all.iter().position(|batch| batch.number == number).unwrap_or(0),
            None => self.all.iter().position(|batch| !batch.hosts.is_empty()).unwrap_or(self.all.len()),
        };
    }

    /// The number of batches.
    pub(super) fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// Whether a host is still in the plan.
    pub(super) fn has(&self, host: &HostId) -> bool {
        self.all.iter().any(|batch| batch.hosts.contains(host))
    }

    /// Whether the plan has the batch and nothing of it is left.
    pub(super) fn is_empty(&self, number: BatchNumber) -> bool {
        self.all.iter().any(|batch| batch.number == number && batch.hosts.is_empty())
    }

    /// The hosts from the current batch on, each with its batch.
    pub(super) fn remaining(&self) -> BTreeMap<HostId, BatchNumber> {
        self.hosts_from(self.current)
    }

    /// The hosts behind the current batch, each with its batch.
    pub(super) fn behind_current(&self) -> BTreeMap<HostId, BatchNumber> {
        self.hosts_from(self.current.saturating_add(1))
    }

    fn hosts_from(&self, index: usize) -> BTreeMap<HostId, BatchNumber> {
        let batches = self.all.iter().skip(index);
        batches.flat_map(|batch| batch.hosts.iter().map(|host| (host.clone(), batch.number))).collect()
    }

    /// Leaves these hosts of the current batch for a batch behind all others, and says which that is.
    pub(super) fn leave_for_later(&mut self, left: &BTreeSet<HostId>) -> Option<BatchNumber> {
        let later = self.all.iter().map(|batch| batch.number.get()).max().map(|last| BatchNumber::new(last + 1))?;
        let batch = self.all.get_mut(self.current)?;
        let (left, kept) = batch.hosts.drain(..).partition(|host| left.contains(host));
        batch.hosts = kept;
        self.all.push(PlannedBatch { number: later, hosts: left });
        Some(later)
    }

    /// Drops these hosts from the plan.
    pub(super) fn drop_hosts(&mut self, is_gone: impl Fn(&HostId) -> bool) {
        for batch in &mut self.all {
            batch.hosts.retain(|host| !is_gone(host));
        }
    }

    /// Drops the hosts from the current batch on that the fleet does not list, and says which.
    pub(super) fn drop_unlisted(&mut self, snapshot: &FleetSnapshot) -> Vec<(BatchNumber, HostId)> {
        let mut gone = Vec::new();
        for batch in self.all.iter_mut().skip(self.current) {
            batch.hosts.retain(|host| {
                let is_listed = !snapshot.lacks(host);
                if !is_listed {
                    gone.push((batch.number, host.clone()));
                }
                is_listed
            });
        }
        gone
    }
}

/// The batch that people are told of, and how many there are, by the journal and the record. `None` before the run is opened.
pub(crate) fn shown_batch(history: &RunHistory<'_>, outstanding: Option<BatchNumber>) -> Option<(BatchNumber, u64)> {
    let plan = history.opening?.plan;
    Some(Batches::as_told(plan, history, outstanding).shown())
}
