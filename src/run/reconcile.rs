//! Taking stock: what a process that took a run over waits for, and how it finds out where the batch is, before it goes
//! forward.

use crate::model::{HostId, HostState, Time};

use super::action::{NotStarted, RecordUpdate};
use super::cause::plain;
use super::machine::{Machine, Phase, Todo};
use super::reservation::{Calls, ReservedHost};
use super::{CauseKind, Event, timeouts};
use crate::coordination::HostOutcome;

/// What one look says of a host of the batch.
enum Found {
    /// Out of service, and no call that was sent for it can reach it any more.
    Cordoned,
    /// In service, and proved to be: it is cordoned again.
    InService,
    /// Gone, since then.
    Gone(Time),
    /// Nothing yet that can be relied on.
    Unsettled,
}

impl Machine {
    /// S2, S9: nothing goes forward before the last call of the earlier process is out of reach and every host of the
    /// batch was seen where it is. Then the batch is cordoned where it is not, and bakes from the start.
    pub(super) fn reconcile(&mut self, since: Time, now: Time) {
        let bounds = self.spec.bounds;
        if self.is_dated_ahead() {
            // S7: the batch does not stay out of service for years.
            let quiet_at = self.quiet_at.unwrap_or(now);
            let message =
                format!("by this run's journal an earlier process may act until {quiet_at}: its clock was ahead");
            self.stop(plain(CauseKind::Ledger, message.clone()), Some(NotStarted::Clock(message)), now);
            return;
        }
        // Up to then the earlier process may have put hosts back without the ledger, of which no record tells, and a look
        // may show what was up to `settle` ago: a host that serves again must not pass for one that is out (schedule 5).
        let told_from = self.quiet_at.unwrap_or(now).plus(bounds.settle);
        let seen = self
            .observation
            .as_ref()
            .is_some_and(|observation| observation.begun_at >= told_from && observation.fleet.is_ok());
        if now < told_from || !seen {
            // Watched all the while: a regression puts the batch back at once.
            self.observe_at(told_from.max(now), now);
            return;
        }
        let found: Vec<(HostId, Found)> =
            self.reserved.values().map(|reserved| (reserved.id.clone(), found(reserved, bounds))).collect();
        let gone: Vec<(HostId, Time)> = found
            .iter()
            .filter_map(|(id, found)| match found {
                Found::Gone(at) => Some((id.clone(), *at)),
                Found::Cordoned | Found::InService | Found::Unsettled => None,
            })
            .collect();
        if !gone.is_empty() {
            self.let_go_of_gone(gone);
            return;
        }
        if found.iter().any(|(_, found)| matches!(found, Found::Unsettled)) {
            if now.since(since) > timeouts::TERMINATION_TIMEOUT {
                let late: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
                let message = format!("where they are cannot be established: {}", late.join(", "));
                self.stop(plain(CauseKind::Timeout, message), None, now);
                return;
            }
            self.observe_at(now.plus(timeouts::POLL), now);
            return;
        }
        for (id, found) in found {
            let Some(reserved) = self.reserved.get_mut(&id) else { continue };
            reserved.terminate = Calls::default();
            reserved.restore = Calls::default();
            match found {
                Found::Cordoned => reserved.cordon.seen_done(),
                Found::InService | Found::Gone(_) | Found::Unsettled => reserved.cordon = Calls::default(),
            }
        }
        if self.reserved.is_empty() {
            self.past_the_batch(now);
        } else {
            self.phase = Phase::Suspending;
        }
    }

    /// Hosts that the earlier process terminated, and hosts that vanished by themselves: none takes their place (S8).
    fn let_go_of_gone(&mut self, gone: Vec<(HostId, Time)>) {
        for (host, _) in &gone {
            let Some(reserved) = self.reserved.get(host) else { continue };
            let (batch, host) = (reserved.batch, host.clone());
            let is_ours = reserved.terminate.may_be_done();
            self.queue.push_back(Todo::Record(match is_ours {
                true => Event::HostTerminated { batch, host },
                false => Event::HostDropped { batch, host },
            }));
        }
        for (_, hosts) in &mut self.batches {
            hosts.retain(|id| gone.iter().all(|(host, _)| host != id));
        }
        let outcomes = gone.into_iter().map(|(host, at)| (host, HostOutcome::Removed(at))).collect();
        self.queue.push_back(Todo::RecordUpdate(RecordUpdate::Resolve { outcomes }));
    }

    /// Nothing is held: the next batch that has hosts left comes next.
    fn past_the_batch(&mut self, now: Time) {
        let is_over = |(_, hosts): &(u64, Vec<HostId>)| hosts.is_empty();
        if let Some((number, _)) = self.batches.get(self.current).filter(|batch| is_over(batch)) {
            let batch = *number;
            let is_told = |event: &Event| matches!(event, Event::BatchTerminated { batch: told } if *told == batch);
            if self.was_granted(batch) && !self.journal().iter().any(|record| is_told(&record.event)) {
                self.queue.push_back(Todo::Record(Event::BatchTerminated { batch }));
            }
        }
        self.phase = Phase::Opening { not_before: now, fresh: false, stale: 0 };
    }

    fn was_granted(&self, number: u64) -> bool {
        self.journal().iter().any(|r| matches!(&r.event, Event::BatchGranted { batch, .. } if *batch == number))
    }
}

fn found(reserved: &ReservedHost, bounds: crate::model::Bounds) -> Found {
    if let Some(at) = reserved.gone_at(bounds) {
        return Found::Gone(at);
    }
    let Some(observed) = reserved.observed else { return Found::Unsettled };
    // A terminate that may have been done is over where a read that cannot lie before its end shows the host; one that
    // was acknowledged is only waited for.
    let is_past_calls = reserved.provable_from(bounds).is_none_or(|at| observed.begun_at >= at);
    match observed.state {
        Some(HostState::Cordoned) if reserved.terminate.acked_at.is_none() => match reserved.terminate.may_be_done() {
            true if !is_past_calls => Found::Unsettled,
            _ => Found::Cordoned,
        },
        Some(HostState::InService) if is_past_calls && reserved.terminate.acked_at.is_none() => Found::InService,
        Some(HostState::Cordoned | HostState::InService | HostState::Pending | HostState::Terminating) | None => {
            Found::Unsettled
        }
    }
}
