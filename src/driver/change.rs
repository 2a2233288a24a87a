//! Changes of the shared record: read, decide, compare-and-swap, and again on a conflict.

use std::time::Duration;

use crate::coordination::{Context, FleetRecord, Refusal, decide};
use crate::model::Nonce;
use crate::ports::{Ledger, LedgerError, Version, Written};
use crate::run::{Change, Input, Loss, Spec};

use super::{World, chain};

/// Repeats of a write that got no answer, at most. Each waits for the engine's own time-outs besides.
pub(super) const WRITE_TRIES: u32 = 3;

/// Conflicts in a row, at most. With jitter, fifty contenders pass in far fewer.
const CONFLICTS: u32 = 200;

/// A mark for one write.
pub(super) fn nonce() -> Nonce {
    Nonce::new(uuid::Uuid::new_v4().simple().to_string())
}

/// A pause of real time with jitter, growing to about 200 ms.
pub(super) async fn pause(tries: u32) {
    let most = 5_u64 << tries.min(5);
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * most / 255;
    tokio::time::sleep(Duration::from_millis(most / 4 + jitter)).await;
}

/// Why the record was not changed.
#[derive(Debug)]
pub enum Unchanged<E> {
    /// `decide` refused.
    Refused(E),
    /// So many writes of others came first, one after the other.
    Busy(u32),
    /// The ledger cannot be used; after [`LedgerError::InDoubt`] the change may be there.
    Lost(LedgerError),
}

/// Reads the record, has `decide` make the next one, and writes that; again where another write came first, with
/// pauses, `conflicts` times at most. Where `decide` makes none there is nothing to write.
///
/// # Errors
///
/// [`Unchanged`].
pub async fn amend<T, E>(
    ledger: &dyn Ledger,
    conflicts: u32,
    mut decide: impl FnMut(&FleetRecord) -> Result<(Option<FleetRecord>, T), E>,
) -> Result<T, Unchanged<E>> {
    let (mut lost, mut failures) = (0, 0);
    loop {
        let (version, record) = match ledger.read().await {
            Ok(read) => read,
            Err(_) if failures < WRITE_TRIES => {
                failures += 1;
                pause(failures).await;
                continue;
            }
            Err(error) => return Err(Unchanged::Lost(error)),
        };
        let (next, answer) = decide(&record).map_err(Unchanged::Refused)?;
        let Some(next) = next else { return Ok(answer) };
        match write(ledger, version, &next).await.map_err(Unchanged::Lost)? {
            Written::Acknowledged(_) => return Ok(answer),
            Written::Conflict if lost < conflicts => {
                lost += 1;
                pause(lost).await;
            }
            Written::Conflict => return Err(Unchanged::Busy(conflicts)),
        }
    }
}

/// Makes a change of a run, or says why not.
pub(super) async fn change(world: &World, spec: &Spec, change: &Change) -> Input {
    // A conflict decides again on the same observation: `decide` refuses it once it is too old, so that foreign
    // writes cannot starve a run and an old observation cannot lend it headroom (schedule 14).
    let decided = |record: &FleetRecord| {
        let context =
            Context { policies: &spec.policies, identity: &spec.fleet, bounds: spec.bounds, now: world.clock.now() };
        decide(record, &change.command(&spec.identity), &context).map(|(next, granted)| (Some(next), granted))
    };
    match amend(world.ledger.as_ref(), CONFLICTS, decided).await {
        Ok(granted) => Input::Changed(granted),
        Err(Unchanged::Refused(refusal)) => refused(refusal),
        Err(Unchanged::Busy(others)) => Input::Lost(Loss::Unreachable(format!("{others} writes of others came first"))),
        Err(Unchanged::Lost(error)) => Input::Lost(Loss::Unreachable(chain(&error))),
    }
}

fn refused(refusal: Refusal) -> Input {
    tracing::debug!(%refusal, "the record refused a change");
    Input::Refused(refusal)
}

/// One conditional write; repeated with its nonce where its answer is missing, so that it cannot count twice.
async fn write(ledger: &dyn Ledger, version: Version, next: &FleetRecord) -> Result<Written<Version>, LedgerError> {
    let nonce = nonce();
    let mut tries = 0;
    loop {
        match ledger.compare_and_swap(version, next, &nonce).await {
            Err(_) if tries < WRITE_TRIES => {
                tries += 1;
                pause(tries).await;
            }
            answer => return answer,
        }
    }
}
