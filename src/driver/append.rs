//! Appends to the run's own journal, in order. What the ledger could not take is kept and comes first next time.

use crate::coordination::ProcessId;
use crate::model::{Call, Nonce, RunId, chain};
use crate::ports::{self, Ledger, LedgerError, RecordedCall, Written};
use crate::run::{Input, JournalRecord, Loss, taken_over_by};

use super::fault;
use super::retry::{Tries, nonce};

/// The journal's only writer.
pub(super) struct Appender<'a> {
    ledger: &'a dyn Ledger,
    /// Who writes.
    us: ProcessId,
    /// Records that were not acknowledged, in order, each with the nonce that it keeps until it is: a write in doubt
    /// may be there, and under another nonce the run would take it for another process's (S7, schedule 13).
    backlog: Vec<(JournalRecord, Nonce)>,
    /// The call whose intent was acknowledged last, until it is sent.
    acknowledged: Option<RecordedCall>,
}

impl<'a> Appender<'a> {
    pub(super) fn new(ledger: &'a dyn Ledger, us: ProcessId) -> Self {
        Self { ledger, us, backlog: Vec::new(), acknowledged: None }
    }

    /// What the ledger was never heard to take.
    pub(super) fn unrecorded(self) -> Vec<(JournalRecord, Nonce)> {
        self.backlog
    }

    /// What sends a call: its acknowledged intent, or where the ledger takes none, that it is a restore. `None` where
    /// neither is so.
    pub(super) fn permit(&mut self, call: &Call) -> Option<RecordedCall> {
        let acknowledged = self.acknowledged.take().filter(|recorded| recorded.call() == call);
        acknowledged.or_else(|| RecordedCall::restore_without_ledger(call.clone()))
    }

    /// Appends what is left over and then this record. It may be dropped at any time: what was not heard to be taken is
    /// left over.
    pub(super) async fn record(&mut self, record: JournalRecord, tries: &Tries) -> Input {
        self.backlog.push((record, nonce()));
        self.acknowledged = None;
        while let Some((first, nonce)) = self.backlog.first() {
            match append_patiently(self.ledger, first, nonce, tries).await {
                Ok(Written::Acknowledged(intended)) => {
                    self.backlog.remove(0);
                    // What was left over is past: only the record that is asked for now may be the intent of what is sent next.
                    self.acknowledged = intended.filter(|_| self.backlog.is_empty());
                }
                Ok(Written::Conflict) => {
                    let why = taker(self.ledger, &first.run, &self.us).await;
                    let why =
                        why.unwrap_or_else(|| format!("another process wrote record {} of its journal", first.seq));
                    return Input::Lost(Loss::Fenced(why));
                }
                Err(error) => return Input::Lost(Loss::Unreachable(chain(&error))),
            }
        }
        Input::Recorded
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
/// that comes of it is sent by [`super::send`]; `None` where the record intends none, or another one has its place.
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
        Written::Acknowledged(recorded) => recorded,
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
    patiently(&Tries::few(), || ledger.prune(record, &nonce)).await?;
    fault::behind();
    Ok(())
}

/// One append; a write in doubt is repeated with its nonce, which the ledger recognises.
pub(super) async fn append(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<Written<Option<RecordedCall>>, LedgerError> {
    append_patiently(ledger, record, nonce, &Tries::few()).await
}

async fn append_patiently(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
    tries: &Tries,
) -> Result<Written<Option<RecordedCall>>, LedgerError> {
    patiently(tries, || ports::append(ledger, record, nonce)).await
}

/// Repeats a write, with the nonce that it has, for as long as that is worth it.
async fn patiently<T, W: Future<Output = Result<T, LedgerError>>>(
    tries: &Tries,
    write: impl Fn() -> W,
) -> Result<T, LedgerError> {
    let mut failures = 0;
    loop {
        match write().await {
            Ok(written) => return Ok(written),
            Err(error) => {
                failures += 1;
                if !tries.again(failures, &error).await {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::coordination::FleetRecord;
    use crate::ledger::memory::MemoryLedger;
    use crate::ledger::unreliable::{Faults, Unreliable};
    use crate::model::Time;
    use crate::run::{EVENT_SCHEMA, Past};

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
            event: Past::Warned { message: "a test".to_owned() },
        }
    }

    /// Schedule 13: an append is applied and every reply to it lost; the run is not fenced by its own record.
    #[tokio::test]
    async fn s7_an_append_in_doubt_is_never_taken_for_another_process() {
        let (memory, faults) =
            (ledger(), Faults { lost_replies: super::super::retry::WRITE_TRIES + 1, ..Faults::default() });
        let ledger = Unreliable::new(Arc::new(memory.clone()), faults);
        let mut journal = Appender::new(&ledger, us());
        assert!(matches!(journal.record(record(0), &Tries::few()).await, Input::Lost(Loss::Unreachable(_))));
        let next = journal.record(record(1), &Tries::few()).await;
        assert!(matches!(next, Input::Recorded), "{next:?}");
        assert!(journal.unrecorded().is_empty());
        assert_eq!(memory.contents().journal(&"r-1".into()), [record(0), record(1)]);
    }

    #[tokio::test]
    async fn s9_a_record_of_another_process_fences() {
        let ledger = ledger();
        ledger.contents().append(&record(0), &Nonce::new("theirs")).expect("appends");
        let answer = Appender::new(&ledger, us()).record(record(0), &Tries::few()).await;
        assert!(matches!(answer, Input::Lost(Loss::Fenced(_))), "{answer:?}");
    }
}
