//! Changes of the shared record: read, decide, compare-and-swap, and again on a conflict.

use std::collections::BTreeSet;

use crate::coordination::{Context, FleetRecord, Refusal, decide};
use crate::model::chain;
use crate::ports::{Ledger, LedgerError, Version, Written};
use crate::run::{Loss, RecordUpdate, Response, Spec};

use super::append::taker;
use super::retry::{Tries, nonce, pause, with_retries};
use super::{Ports, liveness};

/// Conflicts in a row, at most. With jitter, fifty contenders pass in far fewer.
pub(super) const CONFLICTS: u32 = 200;

/// A pause of real time with jitter before a whole plan is tried again: growing to about two seconds.
pub(crate) async fn pause_for(tries: u32) {
    for _ in 0..10 {
        pause(tries).await;
    }
}

/// Why the record was not changed.
#[derive(Debug)]
pub enum Unchanged<E> {
    /// `decide` refused.
    Refused(E),
    /// This many writes of others came first, one after the other.
    Busy(u32),
    /// The ledger cannot be used; after [`LedgerError::InDoubt`] the change may be there.
    Lost(LedgerError),
}

/// Reads the record, has `decide` make the next one, and writes that; again if another write came first, with
/// pauses, `conflicts` times at most. Where `decide` makes none there is nothing to write.
///
/// # Errors
///
/// [`Unchanged`].
pub async fn update<T, E>(
    ledger: &dyn Ledger,
    conflicts: u32,
    decide: impl FnMut(&FleetRecord) -> Result<(Option<FleetRecord>, T), E>,
) -> Result<T, Unchanged<E>> {
    update_with(ledger, conflicts, &Tries::few(), decide).await
}

async fn update_with<T, E>(
    ledger: &dyn Ledger,
    conflicts: u32,
    tries: &Tries,
    mut decide: impl FnMut(&FleetRecord) -> Result<(Option<FleetRecord>, T), E>,
) -> Result<T, Unchanged<E>> {
    let (mut lost, mut failures) = (0, 0);
    loop {
        let (version, record) = match ledger.read().await {
            Ok(read) => read,
            Err(error) => {
                failures += 1;
                if tries.again(failures, &error).await {
                    continue;
                }
                return Err(Unchanged::Lost(error));
            }
        };
        let (next, answer) = decide(&record).map_err(Unchanged::Refused)?;
        let Some(next) = next else { return Ok(answer) };
        match write(ledger, version, &next, tries).await.map_err(Unchanged::Lost)? {
            Written::Acknowledged(_) => return Ok(answer),
            Written::Conflict if lost < conflicts => {
                lost += 1;
                pause(lost).await;
            }
            Written::Conflict => return Err(Unchanged::Busy(conflicts)),
        }
    }
}

/// Makes an update of a run, or says why not. If another run is in the way, the driver looks whether its process lives, and
/// decided again if it does not.
pub(super) async fn update_record(ports: &Ports, spec: &Spec, update: &RecordUpdate, tries: &Tries) -> Response {
    let ledger = ports.ledger.as_ref();
    let own = &spec.identity.run;
    let mut silent = BTreeSet::new();
    loop {
        let mut in_the_way = None;
        // A conflict decides again on the same observation: `decide` refuses it once it is too old, so that foreign
        // writes cannot starve a run and an old observation cannot lend it headroom (schedule 14).
        let decided = |record: &FleetRecord| {
            let context = Context {
                policies: &spec.policies,
                identity: &spec.fleet,
                bounds: spec.bounds,
                now: ports.clock.now(),
                silent: &silent,
                room: ledger.room(),
            };
            let decided = decide(record, &update.command(&spec.identity), &context);
            if let Err(refusal) = &decided {
                let suspects = refusal.in_the_way(record, own);
                in_the_way = (!suspects.is_empty()).then(|| (record.clone(), suspects));
            }
            decided.map(|(next, granted)| (Some(next), granted))
        };
        let updated = update_with(ledger, CONFLICTS, tries, decided).await;
        if let (Err(Unchanged::Refused(_)), Some((record, suspects))) = (&updated, in_the_way) {
            let (processes, now) = (ports.processes.as_ref(), ports.clock.now());
            let found = liveness::silent(ledger, processes, &record, &suspects, spec.bounds, now).await;
            if !found.is_subset(&silent) {
                silent.extend(found);
                continue;
            }
        }
        return match updated {
            Ok(granted) => Response::Updated(granted),
            Err(Unchanged::Refused(Refusal::Fenced { run, why })) => {
                let taker = taker(ledger, &run, &spec.identity.process).await;
                refused(Refusal::Fenced { run, why: taker.unwrap_or(why) })
            }
            Err(Unchanged::Refused(refusal)) => refused(refusal),
            Err(Unchanged::Busy(others)) => {
                Response::Lost(Loss::Unreachable(format!("{others} writes of others came first")))
            }
            Err(Unchanged::Lost(error)) => Response::Lost(Loss::Unreachable(chain(&error))),
        };
    }
}

fn refused(refusal: Refusal) -> Response {
    tracing::debug!(%refusal, "the record refused a change");
    Response::Refused(refusal)
}

/// One conditional write; repeated with its nonce where its answer is missing, so that it cannot count twice.
async fn write(
    ledger: &dyn Ledger,
    version: Version,
    next: &FleetRecord,
    tries: &Tries,
) -> Result<Written<Version>, LedgerError> {
    let nonce = nonce();
    with_retries(tries, || ledger.compare_and_swap(version, next, &nonce)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::memory::MemoryLedger;
    use crate::ledger::unreliable::{Faults, Unreliable};
    use crate::model::Time;

    /// A ledger at version 1, and a bad connection to it.
    fn storm(conflicts: u32, lost_replies: u32) -> (MemoryLedger, Unreliable) {
        let memory = MemoryLedger::new(&FleetRecord::new("ledger-1".into(), "demo".into(), Time::from_millis(0)));
        let ledger = Unreliable::new(Arc::new(memory.clone()), Faults { conflicts, lost_replies });
        (memory, ledger)
    }

    /// Writes something, and says how often it was decided.
    async fn updated(ledger: &Unreliable, conflicts: u32) -> Result<u32, Unchanged<&'static str>> {
        let mut decided = 0;
        update(ledger, conflicts, |record| {
            decided += 1;
            let mut next = record.clone();
            next.written_at = Time::from_millis(7);
            Ok((Some(next), decided))
        })
        .await
    }

    #[tokio::test]
    async fn s6_a_storm_of_conflicts_is_outlasted_and_not_for_ever() {
        let (memory, ledger) = storm(12, 0);
        assert_eq!(updated(&ledger, 20).await.expect("written"), 13, "each conflict decides again");
        let (version, record) = memory.contents().read().expect("reads");
        assert_eq!((version, record.written_at), (Version(14), Time::from_millis(7)));
        let (_, ledger) = storm(u32::MAX, 0);
        assert!(matches!(updated(&ledger, 5).await, Err(Unchanged::Busy(5))));
    }

    #[tokio::test]
    async fn s9_a_reply_that_was_lost_is_asked_for_and_not_written_twice() {
        let (memory, ledger) = storm(0, super::super::retry::WRITE_TRIES);
        assert_eq!(updated(&ledger, 0).await.expect("written"), 1);
        assert_eq!(memory.contents().version, 2);
        let (_, ledger) = storm(0, super::super::retry::WRITE_TRIES + 1);
        assert!(matches!(updated(&ledger, 0).await, Err(Unchanged::Lost(_))));
    }

    #[tokio::test]
    async fn what_is_refused_or_there_already_writes_nothing() {
        let (memory, ledger) = storm(0, u32::MAX);
        let refused = update(&ledger, 0, |_| Err::<(Option<FleetRecord>, ()), _>("no")).await;
        assert!(matches!(refused, Err(Unchanged::Refused("no"))));
        update(&ledger, 0, |_| Ok::<_, &str>((None, ()))).await.expect("nothing to write");
        assert_eq!(memory.contents().version, 1);
    }
}
