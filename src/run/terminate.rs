//! A baked batch on its way to being gone: the ledger's step to termination, one call for each host, proof.

use std::collections::BTreeSet;

use crate::coordination::HostOutcome;
use crate::health;
use crate::model::{BatchNumber, Effect, GroupName, HostId, HostState, Time};

use super::action::RecordUpdate;
use super::bake::millis;
use super::calls::Last;
use super::machine::Machine;
use super::phase::{BatchStep, Phase};
use super::reason::Reason;
use super::reservation::ReservedHost;
use super::{Event, timeouts};

impl Machine {
    /// S2, schedule 17: a process that was stopped after its bake bakes again, since nobody watched meanwhile.
    fn is_unwatched(&self, now: Time) -> bool {
        let tolerated = health::tolerated_gap(self.settings().every);
        self.observed.probed_at.is_none_or(|at| now.since(at) > tolerated)
    }

    /// Terminates the batch, host by host, once the ledger took the step.
    pub(super) fn terminate(&mut self, batch: BatchNumber, granted: bool, now: Time) -> Result<(), Reason> {
        if self.is_unwatched(now) {
            if granted {
                return self.observe_again(true);
            }
            let gap = now.since(self.observed.probed_at.unwrap_or(now));
            self.record(Event::BakeRestarted { batch, gap_ms: millis(gap) });
            self.start_baking(now);
            return Ok(());
        }
        if !granted {
            if self.awaits_proof(now)? {
                return Ok(());
            }
            let hosts = self.next_to_go(batch);
            if !self.is_let_end(batch, &hosts, now)? {
                return Ok(());
            }
            if self.preflight(batch, &hosts, HostState::Cordoned, now)?
                && let Some(snapshot) = self.observed.fleet.clone()
            {
                self.update(RecordUpdate::StartTermination { hosts, snapshot });
            }
            return Ok(());
        }
        if self.is_sample_due(now) {
            return self.observe_again(true);
        }
        let bounds = self.spec.bounds;
        let all: Vec<ReservedHost> = self.started(batch).cloned().collect();
        let pending: Vec<&ReservedHost> = all
            .iter()
            .filter(|h| h.terminate.last != Last::Done && h.gone_at(bounds).is_none() && !is_going(h))
            .collect();
        if pending.is_empty() {
            self.go_on(BatchStep::Verifying { since: now });
            return Ok(());
        }
        if let Some((host, why)) = pending.iter().find_map(|h| h.terminate.gave_up().map(|why| (h, why))) {
            if host.terminate.may_yet_show(host.observed_at(), bounds) {
                self.observe_for(&host.terminate, now);
                return Ok(());
            }
            return Err(Reason::Provider(format!("host {} cannot be terminated: {why}", host.id)));
        }
        let Some(host) = pending.iter().find(|host| host.terminate.may_try(now)) else {
            self.observe_at(self.poll_at(now), now);
            return Ok(());
        };
        // One id a call: bulk calls fail half-way.
        let (id, group) = (host.id.clone(), host.granted.group.clone());
        if self.preflight(batch, &BTreeSet::from([id.clone()]), HostState::Cordoned, now)? {
            self.intend(Effect::Terminate { group, host: id }, now);
        }
        Ok(())
    }

    /// The hosts of the batch to whose termination the record took the step.
    fn started(&self, batch: BatchNumber) -> impl Iterator<Item = &ReservedHost> {
        self.reservations.of_batch(batch).filter(|host| host.is_started)
    }

    /// Waits until the provider shows that what was terminated of the batch is gone.
    pub(super) fn verify_gone(&mut self, batch: BatchNumber, since: Time, now: Time) -> Result<(), Reason> {
        let bounds = self.spec.bounds;
        let hosts = || self.started(batch);
        let gone: Vec<(HostId, Time)> =
            hosts().filter_map(|host| host.gone_at(bounds).map(|at| (host.id.clone(), at))).collect();
        if !gone.is_empty() {
            for (host, _) in &gone {
                self.record(Event::HostTerminated { batch, host: host.clone() });
            }
            let outcomes = gone.into_iter().map(|(host, at)| (host, HostOutcome::Removed(at))).collect();
            self.update(RecordUpdate::Resolve { outcomes });
            return Ok(());
        }
        if hosts().next().is_none() {
            if self.reservations.of_batch(batch).next().is_some() {
                // What is left of the batch stays cordoned, and is watched, until it may go too.
                self.go_on(BatchStep::Terminating { granted: false });
                return Ok(());
            }
            self.record(Event::BatchTerminated { batch });
            self.explain();
            self.batches.advance();
            self.waiting.batch_over_at = Some(now);
            if let Some(watch) = &mut self.baseline.watch {
                watch.forget_preconditions();
            }
            self.phase = Phase::opening_at(now);
            return Ok(());
        }
        if now.since(since) > timeouts::TERMINATION_TIMEOUT {
            let late: Vec<&str> = hosts().map(|host| host.id.as_str()).collect();
            let held = self.held();
            let held = if held.is_empty() { String::new() } else { format!(" ({})", held.join("; ")) };
            return Err(Reason::Timeout(format!("terminated, but still listed: {}{held}", late.join(", "))));
        }
        let is_unseen = hosts().any(|host| host.terminate.observations == 0);
        self.tell_held(now);
        if is_unseen {
            self.observe(true);
        } else {
            self.observe_at(self.poll_at(now), now);
        }
        Ok(())
    }

    /// Tells the journal what holds hosts on their way out: it may be hours, and no call of this run ends it.
    pub(super) fn tell_held(&mut self, now: Time) {
        let held = self.held();
        if !held.is_empty() {
            self.tell_waiting(held.join("; "), now, now);
        }
    }

    /// What holds hosts that this run terminated, in words.
    pub(super) fn held(&self) -> Vec<String> {
        let of = |host: &ReservedHost| host.held.as_ref().map(|held| format!("{} is in {held}", host.id));
        self.reservations.hosts.values().filter(|host| host.terminate.may_be_done()).filter_map(of).collect()
    }

    /// After a termination: desired capacity equals the members that count towards it, and nothing appeared.
    fn explain(&mut self) {
        let Phase::InBatch(batch) = &self.phase else { return };
        let (Some(before), Some(after)) = (&batch.before, &self.observed.fleet) else { return };
        let mut messages = Vec::new();
        let planned = || self.document().batches.iter().flat_map(|batch| &batch.hosts);
        for host in after.hosts().filter(|h| before.host(&h.id).is_none()) {
            messages.push(format!("host {} appeared by itself while the batch was terminated", host.id));
        }
        let groups: BTreeSet<&GroupName> = planned().filter_map(|host| host.group.as_ref()).collect();
        for name in groups {
            let Some(group) = after.group(name) else { continue };
            let counted = after
                .hosts()
                .filter(|h| h.group.as_ref() == Some(name))
                .filter(|h| matches!(h.state, HostState::InService | HostState::Pending))
                .count() as u64;
            if group.desired != counted {
                messages.push(format!(
                    "group {name} wants {} members, {counted} are in service or on their way: the provider may launch or terminate some",
                    group.desired
                ));
            }
        }
        for message in messages {
            self.record(Event::Warned { message });
        }
    }
}

/// On its way out, by the provider's word.
fn is_going(host: &ReservedHost) -> bool {
    host.terminate.may_be_done() && host.observed.is_some_and(|seen| seen.state == Some(HostState::Terminating))
}
