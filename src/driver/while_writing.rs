//! Writing to the ledger without looking away: while a write has no answer the run goes on being watched, and where it
//! has to stop, the write is given up.
//!
//! A write that is given up may be there all the same. An append keeps its nonce in the appender's backlog and is
//! repeated under it before the next; a change of the record that may be there is the machine's to know of.

use std::future::Future;

use crate::run::{Loss, Machine, Response};

use super::retry::{PAUSE, Tries, answered};
use super::{Ports, StopSignal, observe};

fn lost(tries: &Tries) -> Response {
    Response::Lost(Loss::Unreachable(tries.said()))
}

/// Performs a write; observes the world when a sample is due meanwhile; gives the write up where the machine says so, or
/// if an order came.
pub(super) async fn write_while_observing<'w, W: Future<Output = Response>>(
    ports: &Ports,
    machine: &mut Machine,
    stop: &mut StopSignal,
    tries: &'w mut Option<Tries>,
    write: impl FnOnce(&'w Tries) -> W,
) -> Response {
    let now = ports.clock.now();
    let tries: &'w Tries = tries.insert(if machine.repeats_writes(now) { Tries::without_end() } else { Tries::few() });
    let (mut until, answer) = (machine.gives_write_up_at(now), machine.answer_timeout());
    let mut write = std::pin::pin!(write(tries));
    if let Some(response) = answered(answer, &mut write).await {
        return response;
    }
    if ports.clock.now() < until {
        let said = tries.said();
        tracing::warn!("no answer from the ledger ({said}): waiting for it until {until}, nothing goes forward");
    }
    loop {
        let now = ports.clock.now();
        // S7: a clock that was ahead when the wait began and came back makes it no longer.
        until = until.min(machine.gives_write_up_at(now));
        if now >= until {
            return lost(tries);
        }
        let observe_at = machine.observe_without_ledger_at(now);
        if observe_at.is_some_and(|at| at <= now) {
            let specs = machine.probes();
            let observation = tokio::select! {
                response = &mut write => return response,
                observation = observe::observe_without_ledger(ports, machine, &specs) => observation,
            };
            if machine.observed_without_ledger(observation, ports.clock.now()) {
                return lost(tries);
            }
        }
        let now = ports.clock.now();
        let wake = machine.observe_without_ledger_at(now).map_or(until, |at| at.min(until)).max(now);
        tokio::select! {
            response = &mut write => return response,
            // S6: an order is not kept waiting by a ledger in trouble. A restore is never interrupted.
            () = stop.ordered(), if machine.heeds_orders() => {
                while let Some(order) = stop.pending() {
                    machine.order(order);
                }
                return lost(tries);
            }
            // The run's clock may be a virtual one, on which a wait takes no time: the ledger is given some.
            _ = futures_util::future::join(ports.clock.sleep_until(wake), tokio::time::sleep(PAUSE)) => {}
        }
    }
}
