//! [`BatchQuestion`]: the question before a batch, with everything that a person decides by.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::health::Measured;
use crate::model::{BatchNumber, HostId, RunId, SubsystemName, Time};
use crate::plan::{OtherRun, SubsystemCapacity};

use super::RunHistory;
use super::machine::Machine;
use super::phase::Phase;

/// A batch that could go now, if a person lets it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchQuestion {
    /// The run.
    pub(crate) run: RunId,
    /// The subsystem that it names.
    pub(crate) subsystem: SubsystemName,
    /// The batch, and how many there are.
    pub(crate) batch: (BatchNumber, u64),
    /// Its hosts. Their number is the answer that means yes.
    pub(crate) hosts: Vec<HostId>,
    /// The hosts of the run that are gone.
    pub(crate) gone: Vec<HostId>,
    /// How many hosts of the plan are left behind the batch.
    pub(crate) behind: usize,
    /// Every subsystem that the plan touches: its capacity now, and what the batch leaves of it.
    pub(crate) subsystems: Vec<SubsystemCapacity>,
    /// The runs of others that touch or watch what this one touches or watches.
    pub(crate) others: Vec<OtherRun>,
    /// Each probe's last reading, with its limits.
    pub(crate) readings: Vec<Measured>,
    /// Whether this process's terminal asks. If it does not, `continue` is the answer.
    pub(crate) attended: bool,
    /// When the run ends without an answer.
    pub(crate) until: Time,
    /// How long the rest of the plan takes: its bakes, and the intervals between them. Budgets may add to it.
    pub(crate) rest: Duration,
}

impl Machine {
    /// The question that is open.
    pub(crate) fn question(&self, now: Time) -> Option<BatchQuestion> {
        let Phase::Asking { batch, until } = self.phase else { return None };
        let hosts = self.batches.current().filter(|current| current.number == batch)?.hosts.clone();
        let behind = self.batches.behind_current();
        let gone = RunHistory::of(self.journal()).terminated.into_iter().cloned().collect();
        let batches = 1 + behind.values().collect::<BTreeSet<_>>().len() as u32;
        let settings = self.settings();
        Some(BatchQuestion {
            run: self.spec().identity.run.clone(),
            subsystem: self.spec().identity.subsystem.clone(),
            batch: (batch, self.batches.count()),
            subsystems: self.left_by(&hosts.iter().cloned().collect(), now),
            hosts,
            gone,
            behind: behind.len(),
            others: self.others(now),
            readings: self.progress(now).readings,
            attended: self.spec().attended,
            until,
            rest: settings.bake * batches + settings.interval * (batches - 1),
        })
    }
}
