//! Reconciling: a process that took a run over waits until the earlier one is out of reach, and finds out where the batch
//! is, before it goes forward.

use crate::model::{HostId, HostState, Time};

use super::action::RecordUpdate;
use super::calls::Calls;
use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::Reason;
use super::reservation::ReservedHost;
use super::{Event, RunHistory, timeouts};
use crate::coordination::HostOutcome;

/// One observation's word on a host of the batch.
enum Found {
    /// Out of service, and no call that was sent for it can reach it any more.
    Cordoned,
    /// In service, and proved to be: it is cordoned again.
    InService,
    /// It left: gone, or out of the run's reach.
    Left(HostOutcome),
    /// Nothing yet that can be relied on.
    Unsettled,
}

impl Machine {
    /// S2, S9: nothing goes forward before the last call of the earlier process is out of reach and every host of the
    /// batch was seen where it is. Then the batch is cordoned where it is not, and bakes from the start.
    ///
    /// # Errors
    ///
    /// [`Reason::Clock`], [`Reason::Timeout`]: where the hosts are cannot be established.
    pub(super) fn reconcile(&mut self, since: Time, now: Time) -> Result<(), Reason> {
        let bounds = self.spec.bounds;
        if self.predecessor.is_dated_ahead() {
            // S7: the batch does not stay out of service for years.
            let quiet_at = self.predecessor.quiet_at.unwrap_or(now);
            let message =
                format!("by this run's journal an earlier process may act until {quiet_at}: its clock was ahead");
            return Err(Reason::Clock(message));
        }
        // Up to then the earlier process may have put hosts back without the ledger, of which no record tells, and an
        // observation may show what was up to `settle` ago: a host that serves again must not pass for one that is out (schedule 5).
        let told_from = self.predecessor.quiet_at.unwrap_or(now).plus(bounds.settle);
        let newest = self.observed.newest.as_ref();
        let seen = newest.is_some_and(|newest| newest.begun_at >= told_from && newest.fleet.is_ok());
        if now < told_from || !seen {
            // Watched all the while: a regression puts the batch back at once.
            self.observe_at(told_from.max(now), now);
            return Ok(());
        }
        let found: Vec<(HostId, Found)> =
            self.reservations.hosts.values().map(|host| (host.id.clone(), found(host, bounds))).collect();
        let gone: Vec<(HostId, HostOutcome)> = found
            .iter()
            .filter_map(|(id, found)| match found {
                Found::Left(outcome) => Some((id.clone(), outcome.clone())),
                Found::Cordoned | Found::InService | Found::Unsettled => None,
            })
            .collect();
        if !gone.is_empty() {
            self.let_go_of_gone(gone);
            return Ok(());
        }
        if found.iter().any(|(_, found)| matches!(found, Found::Unsettled)) {
            if now.since(since) > timeouts::TERMINATION_TIMEOUT {
                let late: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
                let message = format!("where they are cannot be established: {}", late.join(", "));
                return Err(Reason::Timeout(message));
            }
            self.observe_at(now.plus(timeouts::POLL), now);
            return Ok(());
        }
        for (id, found) in found {
            let Some(host) = self.reservations.hosts.get_mut(&id) else { continue };
            host.is_started = false;
            host.terminate = Calls::default();
            host.restore = Calls::default();
            match found {
                Found::Cordoned => host.cordon.seen_done(),
                Found::InService | Found::Left(_) | Found::Unsettled => host.cordon = Calls::default(),
            }
        }
        match self.reservations.hosts.values().map(|host| host.batch).min() {
            None => self.past_the_batch(now),
            Some(number) => {
                self.phase = Phase::InBatch(BatchUnderWay { number, before: None, step: BatchStep::Suspending });
            }
        }
        Ok(())
    }

    /// Hosts that the earlier process terminated, and hosts that vanished by themselves: none takes their place (S8).
    fn let_go_of_gone(&mut self, gone: Vec<(HostId, HostOutcome)>) {
        for (id, _) in &gone {
            let Some(host) = self.reservations.hosts.get(id) else { continue };
            let is_ours = host.terminate.may_be_done();
            let why = host.left(self.spec.bounds).map(|_| host.whereabouts());
            let (batch, host) = (host.batch, id.clone());
            self.record(match is_ours {
                true => Event::HostTerminated { batch, host },
                false => Event::HostDropped { batch, host, why },
            });
        }
        self.batches.drop_hosts(|id| gone.iter().any(|(host, _)| host == id));
        self.update(RecordUpdate::Resolve { outcomes: gone.into_iter().collect() });
    }

    /// Nothing is held: the next batch that has hosts left comes next.
    fn past_the_batch(&mut self, now: Time) {
        if let Some(batch) = self.batches.current().filter(|batch| batch.hosts.is_empty()).map(|batch| batch.number)
            && RunHistory::of(&self.journal).is_unfinished(batch)
        {
            self.record(Event::BatchTerminated { batch });
        }
        self.phase = Phase::opening_at(now);
    }
}

fn found(host: &ReservedHost, bounds: crate::model::Bounds) -> Found {
    if let Some(at) = host.gone_at(bounds) {
        return Found::Left(HostOutcome::Removed(at));
    }
    if let Some(outcome) = host.left(bounds) {
        return Found::Left(outcome);
    }
    if host.elsewhere_since.is_some() {
        return Found::Unsettled;
    }
    let Some(observed) = host.observed else { return Found::Unsettled };
    // A terminate that may have been done is over where a read that cannot lie before its end shows the host; one that
    // was acknowledged is only waited for.
    let is_past_calls = host.provable_from(bounds).is_none_or(|at| observed.begun_at >= at);
    match observed.state {
        Some(HostState::Cordoned) if host.terminate.acked_at.is_none() => match host.terminate.may_be_done() {
            true if !is_past_calls => Found::Unsettled,
            _ => Found::Cordoned,
        },
        Some(HostState::InService) if is_past_calls && host.terminate.acked_at.is_none() => Found::InService,
        Some(HostState::Cordoned | HostState::InService | HostState::Pending | HostState::Terminating) | None => {
            Found::Unsettled
        }
    }
}
