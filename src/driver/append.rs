//! Appends to the run's own journal, in order. What the ledger could not take is kept and comes first next time.

use crate::coordination::ProcessId;
use crate::model::{Call, HookCall, Nonce, RunId, chain};
use crate::ports::{self, Ledger, LedgerError, Permit, RecordedCall, RecordedHook, Written};
use crate::run::{Event, JournalRecord, Loss, Response, taken_over_by};

use super::fault;
use super::retry::{Tries, nonce, with_retries};

/// The journal's only writer.
pub(super) struct Appender<'a> {
    ledger: &'a dyn Ledger,
    /// Who writes.
    us: ProcessId,
    /// Records that were not acknowledged, in order, each with the nonce that it keeps until it is: a write in doubt
    /// may be there, and under another nonce the run would take it for another process's (S7, schedule 13).
    backlog: Vec<(JournalRecord, Nonce)>,
    /// The call that the last record intends, until it is sent.
    intended: Option<Call>,
    /// The same of a hook.
    hook: Option<HookCall>,
    /// The same, where the ledger acknowledged that record.
    acknowledged: Permit,
}

impl<'a> Appender<'a> {
    pub(super) fn new(ledger: &'a dyn Ledger, us: ProcessId) -> Self {
        Self { ledger, us, backlog: Vec::new(), intended: None, hook: None, acknowledged: Permit::Nothing }
    }

    /// The records that the ledger did not acknowledge.
    pub(super) fn unrecorded(self) -> Vec<(JournalRecord, Nonce)> {
        // Readings behind the end of a run: what it did is on record, and no file is kept for a sample.
        if self.backlog.iter().all(|(record, _)| matches!(record.event, Event::Sampled { .. })) {
            return Vec::new();
        }
        self.backlog
    }

    /// The permit to send the call that the last record intends, once. The ledger's acknowledgement gives it; without one,
    /// only a restore has it. `None` for every other call.
    pub(super) fn permit(&mut self, call: &Call) -> Option<RecordedCall> {
        let intended = self.intended.take().filter(|intended| intended == call)?;
        let acknowledged = std::mem::take(&mut self.acknowledged);
        acknowledged.call().or_else(|| RecordedCall::restore_without_ledger(intended))
    }

    /// The same of a hook: without the ledger, only what undrains may be called.
    pub(super) fn permit_hook(&mut self, call: &HookCall) -> Option<RecordedHook> {
        let intended = self.hook.take().filter(|intended| intended == call)?;
        let acknowledged = std::mem::take(&mut self.acknowledged);
        acknowledged.hook().or_else(|| RecordedHook::undrain_without_ledger(intended))
    }

    /// Appends what is left over and then this record. It may be dropped at any time: what was not heard to be taken is
    /// left over.
    pub(super) async fn record(&mut self, record: JournalRecord, tries: &Tries) -> Response {
        self.intended = record.event.intent().cloned();
        self.hook = record.event.hook_intent().cloned();
        self.acknowledged = Permit::Nothing;
        self.backlog.push((record, nonce()));
        while let Some((first, nonce)) = self.backlog.first() {
            match append_with(self.ledger, first, nonce, tries).await {
                Ok(Written::Acknowledged(intended)) => {
                    self.backlog.remove(0);
                    // An older record is no permit: only the record that is appended now may be the intent of the next
                    // call.
                    self.acknowledged = if self.backlog.is_empty() { intended } else { Permit::Nothing };
                }
                Ok(Written::Conflict) => {
                    let why = taker(self.ledger, &first.run, &self.us).await;
                    let why =
                        why.unwrap_or_else(|| format!("another process wrote record {} of its journal", first.seq));
                    return Response::Lost(Loss::Fenced(why));
                }
                Err(error) => return Response::Lost(Loss::Unreachable(chain(&error))),
            }
        }
        Response::Recorded
    }
}

/// S9: who has taken the run over, for the last words of the process that had it.
pub(super) async fn taker(ledger: &dyn Ledger, run: &RunId, us: &ProcessId) -> Option<String> {
    let journal = ledger.journal(run).await.unwrap_or_default();
    taken_over_by(&journal, us)
}

/// Appends the only record of a journal of its own: what is recorded is not of a run.
///
/// # Errors
///
/// [`LedgerError`]; the record may be there after [`LedgerError::InDoubt`].
pub async fn record_alone(ledger: &dyn Ledger, record: &JournalRecord) -> Result<Written<()>, LedgerError> {
    record_kept(ledger, record, &nonce()).await
}

/// Appends a record that another process was not heard to append, under the nonce that it had.
///
/// # Errors
///
/// [`LedgerError`]; the record may be there after [`LedgerError::InDoubt`].
pub(crate) async fn record_kept(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<Written<()>, LedgerError> {
    Ok(match append(ledger, record, nonce).await? {
        Written::Acknowledged(_) => Written::Acknowledged(()),
        Written::Conflict => Written::Conflict,
    })
}

/// Appends the intent of a call that is not of a run, under a nonce of its own or the one that it is there with. The call
/// that comes of it is sent by [`super::send`]; `None` if the record intends none, or another one has its place.
///
/// # Errors
///
/// [`LedgerError`]; nothing may be sent then.
pub(crate) async fn record_intent(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<Option<RecordedCall>, LedgerError> {
    Ok(match append(ledger, record, nonce).await? {
        Written::Acknowledged(permit) => permit.call(),
        Written::Conflict => None,
    })
}

/// Puts a record in place of the journal that it stands for; a write in doubt is repeated, which does no harm.
///
/// # Errors
///
/// [`LedgerError`]; the journal is whole, or pruned.
pub(crate) async fn prune(ledger: &dyn Ledger, record: &JournalRecord) -> Result<(), LedgerError> {
    let nonce = nonce();
    fault::before("prune");
    with_retries(&Tries::few(), || ledger.prune(record, &nonce)).await?;
    fault::behind();
    Ok(())
}

/// One append; a write in doubt is repeated with its nonce, which the ledger recognises.
pub(super) async fn append(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<Written<Permit>, LedgerError> {
    append_with(ledger, record, nonce, &Tries::few()).await
}

async fn append_with(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
    tries: &Tries,
) -> Result<Written<Permit>, LedgerError> {
    with_retries(tries, || ports::append(ledger, record, nonce)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::collections::BTreeSet;

    use super::*;
    use crate::coordination::FleetRecord;
    use crate::ledger::memory::MemoryLedger;
    use crate::ledger::unreliable::{Faults, Unreliable};
    use crate::model::{Effect, HostTargets, Time};
    use crate::run::{EVENT_SCHEMA, Event};

    fn ledger() -> MemoryLedger {
        MemoryLedger::new(&FleetRecord::new("ledger-1".into(), "demo".into(), Time::from_millis(0)))
    }

    fn us() -> ProcessId {
        ProcessId { host: "here".to_owned(), pid: 1, token: "us".to_owned(), pid_space: None }
    }

    fn record(seq: u64) -> JournalRecord {
        JournalRecord {
            schema: EVENT_SCHEMA.to_owned(),
            run: RunId::new("r-1"),
            seq,
            at: Time::from_millis(0),
            event: Event::Warned { message: "a test".to_owned() },
        }
    }

    /// Schedule 13: an append is applied and every reply to it lost; the run is not fenced by its own record.
    #[tokio::test]
    async fn s7_an_append_in_doubt_is_never_taken_for_another_process() {
        let (memory, faults) =
            (ledger(), Faults { lost_replies: super::super::retry::WRITE_TRIES + 1, ..Faults::default() });
        let ledger = Unreliable::new(Arc::new(memory.clone()), faults);
        let mut journal = Appender::new(&ledger, us());
        assert!(matches!(journal.record(record(0), &Tries::few()).await, Response::Lost(Loss::Unreachable(_))));
        let next = journal.record(record(1), &Tries::few()).await;
        assert!(matches!(next, Response::Recorded), "{next:?}");
        assert!(journal.unrecorded().is_empty());
        assert_eq!(memory.contents().journal(&"r-1".into()), [record(0), record(1)]);
    }

    #[tokio::test]
    async fn s9_a_record_of_another_process_fences() {
        let ledger = ledger();
        ledger.contents().append(&record(0), &Nonce::new("theirs")).expect("appends");
        let answer = Appender::new(&ledger, us()).record(record(0), &Tries::few()).await;
        assert!(matches!(answer, Response::Lost(Loss::Fenced(_))), "{answer:?}");
    }

    fn intent(seq: u64, effect: Effect) -> (JournalRecord, Call) {
        let intent = Call { effect, intent_at: Time::from_millis(0), not_after: Time::from_millis(5_000) };
        let event = Event::CallIntended { call: seq, intent: intent.clone() };
        (JournalRecord { event, ..record(seq) }, intent)
    }

    fn restore() -> Effect {
        Effect::Restore { group: None, hosts: HostTargets::from([("index-0001".into(), BTreeSet::new())]) }
    }

    /// One intent, one call: nothing is sent that was not intended first, and nothing twice.
    #[tokio::test]
    async fn s5_a_call_is_permitted_once_by_its_intent_and_a_restore_that_was_never_intended_is_not() {
        let ledger = ledger();
        let mut journal = Appender::new(&ledger, us());
        let (record, call) = intent(0, restore());
        assert!(journal.permit(&call).is_none(), "it was not intended");
        assert!(matches!(journal.record(record, &Tries::few()).await, Response::Recorded));
        assert!(journal.permit(&call).is_some());
        assert!(journal.permit(&call).is_none(), "it was sent");
    }

    /// S7: a ledger that takes nothing keeps no host out of service, and lets nothing go forward.
    #[tokio::test]
    async fn s7_without_the_ledger_an_intent_that_it_was_offered_permits_a_restore_and_nothing_else() {
        let terminate = Effect::Terminate { group: None, host: "index-0001".into() };
        for (effect, may) in [(restore(), true), (terminate, false)] {
            let faults = Faults { lost_replies: u32::MAX, ..Faults::default() };
            let ledger = Unreliable::new(Arc::new(ledger()), faults);
            let mut journal = Appender::new(&ledger, us());
            let (record, call) = intent(0, effect);
            assert!(matches!(journal.record(record, &Tries::few()).await, Response::Lost(Loss::Unreachable(_))));
            assert_eq!(journal.permit(&call).is_some(), may, "{call:?}");
        }
    }
}
