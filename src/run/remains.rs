//! [`Remains`]: what would still go if somebody went on with a run, answered from its journal and the record alone.
//!
//! For the question before it (contract section 8, "Taking over"): a run whose process died is not gone on with silently. Nothing here
//! judges whether these hosts may go.

use crate::coordination::FleetRecord;
use crate::model::{HostId, RunId};
use crate::plan::{Batch, PlanDocument};

use super::{JournalRecord, RunHistory};

/// The rest of a run's plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remains {
    /// The plan that was confirmed.
    pub(crate) plan: PlanDocument,
    /// Its hosts that are not known to be gone, in their batches. No batch is empty.
    pub(crate) batches: Vec<Batch>,
}

impl Remains {
    /// Every host that is left, in the plan's order.
    pub(crate) fn hosts(&self) -> Vec<HostId> {
        self.batches.iter().flat_map(|batch| &batch.hosts).map(|host| host.id.clone()).collect()
    }
}

/// What whoever resumes the run would go forward with; `None` if nothing goes forward: it recorded no plan, was
/// stopping (S6: it goes on stopping, whoever takes it over), was abandoned, has ended, its journal is out of order, or
/// nothing of its plan is left.
pub(crate) fn remains(journal: &[JournalRecord], record: &FleetRecord, run: &RunId) -> Option<Remains> {
    let history = RunHistory::of(journal);
    let plan = history.opening?.plan;
    // Without an entry only the journal's last line is missing.
    if history.has_ended() || record.runs.get(run).is_none_or(|entry| entry.ended_at.is_some()) {
        return None;
    }
    if history.cause.is_some() || history.abandoned().is_some() || history.illegal.is_some() {
        return None;
    }
    let is_gone = |id: &HostId| history.terminated.contains(id) || history.dropped.contains(id);
    let mut batches = history.planned(&plan.batches);
    for batch in &mut batches {
        batch.hosts.retain(|host| !is_gone(&host.id));
    }
    batches.retain(|batch| !batch.hosts.is_empty());
    (!batches.is_empty()).then(|| Remains { plan: plan.clone(), batches })
}
