//! Writing to the ledger without looking away: while a write has no answer the run goes on being watched, and where it
//! has to stop, the write is given up.
//!
//! A write that is given up may be there all the same. An append keeps its nonce in the appender's backlog and is
//! repeated under it before the next; a change of the record that may be there is the machine's to know of.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use crate::model::{Time, chain};
use crate::ports::LedgerError;
use crate::run::{Input, Loss, Machine};

use super::{StopSignal, World, change, look};

/// Between two tries of a write that failed often: an engine in trouble is not helped by more.
const PAUSE: Duration = Duration::from_millis(500);

/// How often one write is repeated, and what the ledger said last.
#[derive(Debug)]
pub(super) struct Tries {
    /// Until whoever waits for it gives it up.
    without_end: bool,
    heard: Mutex<Option<String>>,
}

impl Tries {
    /// [`change::WRITE_TRIES`] repeats.
    pub(super) fn few() -> Self {
        Self { without_end: false, heard: Mutex::default() }
    }

    fn of(machine: &Machine, now: Time) -> Self {
        Self { without_end: machine.is_patient(now), ..Self::few() }
    }

    /// After that many failures: pauses and says yes, or says no.
    pub(super) async fn again(&self, failures: u32, error: &LedgerError) -> bool {
        let why = chain(error);
        tracing::debug!(failures, error = %why, "a write to the ledger failed");
        *self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
        if failures <= change::WRITE_TRIES {
            change::pause(failures).await;
        } else if self.without_end {
            tokio::time::sleep(PAUSE).await;
        } else {
            return false;
        }
        true
    }

    fn lost(&self) -> Input {
        Input::Lost(Loss::Unreachable(self.said()))
    }

    /// What the ledger said last, or that it says nothing.
    fn said(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        heard.unwrap_or_else(|| "it does not answer".to_owned())
    }
}

/// Awaits an answer for so long. A process that was stopped wakes up with its time over, and with an answer that only has
/// to be taken: it gets a quarter more before it says that there is none.
pub(super) async fn answered<T>(within: Duration, answer: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut answer = answer;
    match tokio::time::timeout(within, &mut answer).await {
        Ok(answer) => Some(answer),
        Err(_) => tokio::time::timeout(within / 4, answer).await.ok(),
    }
}

/// Performs a write; looks at the world when a sample is due meanwhile; gives the write up where the machine says so, or
/// where an order came.
pub(super) async fn patiently<'w, W: Future<Output = Input>>(
    world: &World,
    machine: &mut Machine,
    stop: &mut StopSignal,
    tries: &'w mut Option<Tries>,
    write: impl FnOnce(&'w Tries) -> W,
) -> Input {
    let now = world.clock.now();
    let tries: &'w Tries = tries.insert(Tries::of(machine, now));
    let (mut until, answer) = (machine.gives_write_up_at(now), machine.answer_patience());
    let mut write = std::pin::pin!(write(tries));
    if let Some(input) = answered(answer, &mut write).await {
        return input;
    }
    if world.clock.now() < until {
        let said = tries.said();
        tracing::warn!("no answer from the ledger ({said}): waiting for it until {until}, nothing goes forward");
    }
    loop {
        let now = world.clock.now();
        // S7: a clock that was ahead when the wait began and came back makes it no longer.
        until = until.min(machine.gives_write_up_at(now));
        if now >= until {
            return tries.lost();
        }
        let look_at = machine.glimpse_at(now);
        if look_at.is_some_and(|at| at <= now) {
            let specs = machine.probes();
            let round = tokio::select! {
                input = &mut write => return input,
                round = look::glimpse(world, &specs) => round,
            };
            if machine.glimpse(round, world.clock.now()) {
                return tries.lost();
            }
        }
        let now = world.clock.now();
        let wake = machine.glimpse_at(now).map_or(until, |at| at.min(until)).max(now);
        tokio::select! {
            input = &mut write => return input,
            // S6: an order is not kept waiting by a ledger in trouble. A restore is never interrupted.
            () = stop.ordered(), if !machine.is_stopping() => {
                while let Some(order) = stop.pending() {
                    machine.order(order);
                }
                return tries.lost();
            }
            // The run's clock may be a virtual one, on which a wait takes no time: the ledger is given some.
            _ = futures_util::future::join(world.clock.sleep_until(wake), tokio::time::sleep(PAUSE)) => {}
        }
    }
}
