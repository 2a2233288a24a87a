//! The two places of the way forward at which hooks have a say: a batch that is about to be cordoned or terminated, and one
//! that is cordoned and drained before its bake.

use std::collections::BTreeSet;

use crate::coordination::{Context, Refusal, WaitOn, decide};
use crate::model::{BatchNumber, ConsultedBefore, HookStage, HostId, Time};

use super::Event;
use super::action::RecordUpdate;
use super::hook_calls::{Question, Verdict};
use super::machine::Machine;
use super::phase::BatchStep;
use super::reason::Reason;
use super::reservation::ReservedHost;

impl Machine {
    /// Whether the hooks let the batch be asked for. If not now, what comes next is queued, or the batch has fewer hosts. A person
    /// is asked first: what hooks say is about now.
    ///
    /// # Errors
    ///
    /// A hook says no, or asks for more time than there is.
    pub(super) fn is_let_go(&mut self, grant: &RecordUpdate, now: Time) -> Result<bool, Reason> {
        let RecordUpdate::Grant { batch, hosts, asking: None, .. } = grant else { return Ok(true) };
        let (batch, hosts) = (*batch, hosts.keys().cloned().collect::<BTreeSet<HostId>>());
        if self.hooks_of(HookStage::Consult, &hosts).is_empty() {
            return Ok(true);
        }
        if let Some(refusal) = self.waits_anyway(grant, now) {
            self.not_granted(refusal, now)?;
            return Ok(false);
        }
        let (on, before) = (HookStage::Consult, Some(ConsultedBefore::Cordon));
        match self.ask_hooks(Question { on, before, batch, hosts: hosts.clone() }, now)? {
            Verdict::Allowed => Ok(true),
            Verdict::Awaited => Ok(false),
            Verdict::Only(kept) => {
                let left: BTreeSet<HostId> = hosts.difference(&kept).cloned().collect();
                if let Some(later) = self.batches.leave_for_later(&left) {
                    self.record(Event::BatchShrunk { batch, hosts: left, later });
                }
                Ok(false)
            }
        }
    }

    /// The wait for a budget or an interval that the record asks for: hooks are asked where the batch could go. Whether another
    /// run is waited for, only the ledger's own answer tells.
    fn waits_anyway(&self, grant: &RecordUpdate, now: Time) -> Option<Refusal> {
        let record = self.observed.record.as_ref()?;
        let silent = BTreeSet::new();
        let context = Context {
            policies: &self.spec.policies,
            identity: &self.spec.fleet,
            bounds: self.spec.bounds,
            now,
            silent: &silent,
            room: None,
        };
        let refused = decide(record, &grant.command(&self.spec.identity), &context).err()?;
        let is_wait =
            |refusal: &Refusal| matches!(refusal, Refusal::Wait { on: WaitOn::Budget | WaitOn::Interval, .. });
        Some(refused).filter(is_wait)
    }

    /// Whether the hooks let hosts be terminated that are out.
    ///
    /// # Errors
    ///
    /// As [`Self::is_let_go`]; and where only some of them may go: the others cannot be put back without the whole batch.
    pub(super) fn is_let_end(
        &mut self,
        batch: BatchNumber,
        hosts: &BTreeSet<HostId>,
        now: Time,
    ) -> Result<bool, Reason> {
        let (on, before) = (HookStage::Consult, Some(ConsultedBefore::Terminate));
        match self.ask_hooks(Question { on, before, batch, hosts: hosts.clone() }, now)? {
            Verdict::Allowed => Ok(true),
            Verdict::Awaited => Ok(false),
            Verdict::Only(kept) => {
                let left: Vec<&str> = hosts.difference(&kept).map(HostId::as_str).collect();
                let message = format!("the hooks do not let {} be terminated, which is out already", left.join(" "));
                Err(Reason::Hook { key: None, message })
            }
        }
    }

    /// The batch is cordoned: hooks drain it, if there are any, and the bake begins.
    pub(super) fn drain_or_bake(&mut self, batch: BatchNumber, now: Time) {
        if self.hooks_of(HookStage::Drain, &self.of_batch(batch)).is_empty() {
            self.start_baking(now);
        } else {
            self.go_on(BatchStep::Draining);
        }
    }

    /// Has the hooks drain the batch, and begins the bake when all are done.
    ///
    /// # Errors
    ///
    /// A hook says no, or asks for more time than there is.
    pub(super) fn drain(&mut self, batch: BatchNumber, now: Time) -> Result<(), Reason> {
        let question = Question { on: HookStage::Drain, before: None, batch, hosts: self.of_batch(batch) };
        match self.ask_hooks(question, now)? {
            Verdict::Allowed => {
                self.record(Event::BatchDrained { batch });
                self.start_baking(now);
            }
            // To a drain `only` is no answer.
            Verdict::Awaited | Verdict::Only(_) => {}
        }
        Ok(())
    }

    fn of_batch(&self, batch: BatchNumber) -> BTreeSet<HostId> {
        self.reservations.of_batch(batch).map(|host: &ReservedHost| host.id.clone()).collect()
    }
}
