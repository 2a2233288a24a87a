//! Changes of the shared record: read, decide, compare-and-swap, and again on a conflict.

use std::time::Duration;

use crate::coordination::{Context, Refusal, decide};
use crate::model::Nonce;
use crate::ports::{LedgerError, Written};
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

/// Makes a change, or says why not.
pub(super) async fn change(world: &World, spec: &Spec, change: &Change) -> Input {
    let mut conflicts = 0;
    let mut failures = 0;
    loop {
        let (version, record) = match world.ledger.read().await {
            Ok(read) => read,
            Err(_) if failures < WRITE_TRIES => {
                failures += 1;
                pause(failures).await;
                continue;
            }
            Err(error) => return Input::Lost(Loss::Unreachable(chain(&error))),
        };
        let context =
            Context { policies: &spec.policies, identity: &spec.fleet, bounds: spec.bounds, now: world.clock.now() };
        let (next, granted) = match decide(&record, &change.command(&spec.identity), &context) {
            Ok(decided) => decided,
            Err(refusal) => return refused(refusal),
        };
        // A conflict decides again on the same observation: `decide` refuses it once it is too old, so that foreign
        // writes cannot starve a run and an old observation cannot lend it headroom (schedule 14).
        match write(world, version, &next).await {
            Ok(Written::Acknowledged(_)) => return Input::Changed(granted),
            Ok(Written::Conflict) if conflicts < CONFLICTS => {
                conflicts += 1;
                pause(conflicts).await;
            }
            Ok(Written::Conflict) => {
                return Input::Lost(Loss::Unreachable(format!("{CONFLICTS} writes of others came first")));
            }
            Err(error) => return Input::Lost(Loss::Unreachable(chain(&error))),
        }
    }
}

fn refused(refusal: Refusal) -> Input {
    tracing::debug!(%refusal, "the record refused a change");
    Input::Refused(refusal)
}

/// One conditional write; repeated with its nonce where its answer is missing, so that it cannot count twice.
async fn write(
    world: &World,
    version: crate::ports::Version,
    next: &crate::coordination::FleetRecord,
) -> Result<Written<crate::ports::Version>, LedgerError> {
    let nonce = nonce();
    let mut tries = 0;
    loop {
        match world.ledger.compare_and_swap(version, next, &nonce).await {
            Err(_) if tries < WRITE_TRIES => {
                tries += 1;
                pause(tries).await;
            }
            answer => return answer,
        }
    }
}
