//! Before each batch: the wait for a turn, the second check of the rest of the plan, the grant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::{Granted, REFERENCE_LIFE, Refusal, WaitOn};
use crate::health::{Finding, Watch};
use crate::model::{BatchNumber, FleetSnapshot, HostId, HostTargets, RunId, Time};
use crate::plan::{Rule, Violation, no_room, scheduled};

use super::action::RecordUpdate;
use super::event::GrantedHost;
use super::knowledge::Waiting;
use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::{Reason, violation};
use super::reservation::ReservedHost;
use super::{Event, timeouts};

impl Machine {
    /// Waits until the batch may be asked for, observes, and asks. Whether the rest of the plan still holds is judged with
    /// the grant.
    pub(super) fn open_batch(&mut self, now: Time) -> Result<(), Reason> {
        let Phase::Opening { not_before, fresh, stale } = self.phase else { return Ok(()) };
        if self.awaits_proof(now)? {
            return Ok(());
        }
        if self.batches.current().is_none() {
            self.start_closing();
            return Ok(());
        }
        if self.stays_paused(now) {
            return Ok(());
        }
        if now < not_before {
            self.observe_at(not_before, now);
            return Ok(());
        }
        if !fresh || !self.is_young(now) {
            self.phase = Phase::Opening { not_before, fresh: true, stale };
            return self.observe_again(true);
        }
        let Some(snapshot) = self.observed.fleet.clone() else { return Ok(()) };
        self.drop_vanished(&snapshot)?;
        if !self.queue.is_empty() {
            // The dropped hosts are recorded first; the batch may be empty now.
            return Ok(());
        }
        let Some(batch) = self.batches.current().cloned() else { return Ok(()) };
        if batch.hosts.is_empty() {
            self.batches.advance();
            return Ok(());
        }
        if self.awaits_preconditions(now)? {
            return Ok(());
        }
        self.credentials_last(now)?;
        self.groups_keep_still(&snapshot, &batch.hosts, now)?;
        if self.pauses_itself(batch.number, now) {
            return Ok(());
        }
        let is_old = !self.begun && self.baseline.taken_at.is_none_or(|at| now.since(at) > REFERENCE_LIFE);
        let Some(reference_at) = self.baseline.sampled_at.filter(|_| !is_old) else {
            // After a long wait the load of then is no reference; whoever takes over a run that was granted nothing
            // samples for himself.
            self.phase = Phase::reference_from(now);
            return Ok(());
        };
        let listed = batch.hosts.iter().filter_map(|id| snapshot.host(id));
        let hosts: HostTargets = listed.map(|host| (host.id.clone(), host.target_groups.clone())).collect();
        let rest = self.batches.behind_current();
        let reference = self.baseline.reference.clone();
        let (batch, asking) = (batch.number, self.asks_about(batch.number, now));
        let grant = RecordUpdate::Grant { batch, hosts, rest, snapshot, reference, reference_at, asking };
        if self.is_let_go(&grant, now)? {
            self.update(grant);
        }
        Ok(())
    }

    /// Whether a probe that must be good before a batch was bad just now, and is sampled again first.
    ///
    /// # Errors
    ///
    /// It was bad as often as its policy bears, and the batch could begin but for it: it does not.
    fn awaits_preconditions(&mut self, now: Time) -> Result<bool, Reason> {
        let unmet: Vec<_> = self.baseline.watch.iter().flat_map(Watch::unmet).collect();
        if unmet.is_empty() {
            return Ok(false);
        }
        let settings = self.settings();
        let is_due = self.waiting.batch_over_at.is_none_or(|at| at.plus(settings.interval) <= now);
        let is_final = |(regression, is_final): &(&Finding, bool)| {
            (*is_final && is_due).then(|| {
                let message = format!("precondition {} is bad: {}", regression.key, regression.message);
                violation(Rule::UnhealthyNow, Some(regression.key.subsystem.clone()), message)
            })
        };
        let violations: Vec<Violation> = unmet.iter().filter_map(is_final).collect();
        if !violations.is_empty() {
            return Err(Reason::Rules(violations));
        }
        let again_at = now.plus(settings.every);
        let named: Vec<String> = unmet.iter().map(|(unmet, _)| unmet.key.to_string()).collect();
        // The look was good enough to be judged.
        self.observed.stale = 0;
        self.tell_waiting(format!("precondition {} is bad", named.join(" ")), again_at, now);
        self.phase = Phase::opening_at(again_at);
        Ok(true)
    }

    /// S7: credentials that end while the batch is out could not put it back.
    fn credentials_last(&self, now: Time) -> Result<(), Reason> {
        let needed_until = now.plus(self.settings().bake).plus(timeouts::RESTORE_TIMEOUT);
        match self.spec.credentials_end.filter(|end| *end < needed_until) {
            Some(end) => Err(Reason::Rules(vec![Violation::credentials(end, needed_until, now)])),
            None => Ok(()),
        }
    }

    /// S7: what the batch's groups do by themselves while it is out, as far as it is known now.
    fn groups_keep_still(&self, snapshot: &FleetSnapshot, hosts: &[HostId], now: Time) -> Result<(), Reason> {
        let hosts = || hosts.iter().filter_map(|id| snapshot.host(id));
        let until = now.plus(self.settings().bake).plus(timeouts::RESTORE_TIMEOUT);
        let mut found = scheduled(snapshot, hosts(), until);
        found.extend(no_room(snapshot, [hosts()]));
        if found.is_empty() { Ok(()) } else { Err(Reason::Rules(found)) }
    }

    /// S8: a host that vanished by itself is dropped from the plan; none is ever put in its place.
    ///
    /// # Errors
    ///
    /// [`Reason::RemovedByOther`]: another run has taken one. Less would go than was confirmed, and nobody would hear of it.
    fn drop_vanished(&mut self, snapshot: &FleetSnapshot) -> Result<(), Reason> {
        let gone = self.batches.drop_unlisted(snapshot);
        if let Some((host, run)) = gone.iter().find_map(|(_, host)| Some((host.clone(), self.taken_by_other(host)?))) {
            return Err(Reason::RemovedByOther { host, run });
        }
        for (batch, host) in gone {
            self.record(Event::HostDropped { batch, host, why: None });
        }
        Ok(())
    }

    /// The other run that removed a host, by the record.
    fn taken_by_other(&self, host: &HostId) -> Option<RunId> {
        let (record, own) = (self.observed.record.as_ref()?, &self.spec.identity.run);
        let removals = record.removals.iter().chain(record.removed.values());
        let mut others = removals.filter(|removal| removal.host == *host && removal.run != *own);
        others.next().map(|removal| removal.run.clone())
    }

    /// The record did not give the run a place in line, or its next batch: it waits, observes again, or stops.
    pub(super) fn not_granted(&mut self, refusal: Refusal, now: Time) -> Result<(), Reason> {
        let stale = if let Phase::Opening { stale, .. } = self.phase { stale } else { 0 };
        let message = refusal.to_string();
        match refusal {
            Refusal::Stale { .. } if stale < timeouts::STALE_GRANTS => {
                self.phase = Phase::Opening { not_before: now, fresh: false, stale: stale + 1 };
                Ok(())
            }
            Refusal::Wait { until, why, on } => self.wait(until, why, &on, now),
            Refusal::Reference { .. } => {
                self.phase = Phase::reference_from(now);
                // Samples from before are what was refused.
                self.observed.newest = None;
                Ok(())
            }
            Refusal::Race(violations) => Err(Reason::TakenByOthers(violations)),
            Refusal::Rules(violations) => Err(Reason::Rules(violations)),
            Refusal::Clock { .. } => Err(Reason::Clock(message)),
            Refusal::OtherFleet { .. } => Err(Reason::OtherFleet(message)),
            Refusal::Stale { .. } | Refusal::Assess(_) => Err(Reason::Fleet(message)),
            Refusal::Fenced { .. } | Refusal::Illegal(_) | Refusal::Full { .. } => Err(Reason::Ledger(message)),
        }
    }

    /// Waits for a budget, an interval, the provider, or another run.
    fn wait(&mut self, until: Time, why: String, on: &WaitOn, now: Time) -> Result<(), Reason> {
        let since = self.waiting.since.unwrap_or(now);
        // Others are asked about once in a sampling period; a run that is waited for is never long out of sight.
        let (ends, not_before) = match on {
            WaitOn::Person => {
                // The next observation shows the pause.
                self.phase = Phase::opening_at(now);
                return Ok(());
            }
            WaitOn::Budget => (until, until),
            // When it ends nobody knows: as long as the caller wants.
            WaitOn::Run(_) => (now.plus(Duration::from_millis(1)), now.plus(self.settings().every)),
            // An interval is always waited, even if another run's batch came before (contract section 2, `--no-wait`).
            WaitOn::Interval | WaitOn::Provider => (since, until),
        };
        self.waiting.since = Some(since);
        // The observation was good enough to be answered.
        self.observed.stale = 0;
        self.waiting.in_line = matches!(on, WaitOn::Run(_));
        if !self.begun && ends.since(since) > self.spec.max_wait {
            return Err(Reason::Deferred { until: until.max(now), why });
        }
        self.tell_waiting(why, not_before, now);
        self.phase = Phase::opening_at(not_before);
        Ok(())
    }

    /// The batch is reserved.
    pub(super) fn granted(
        &mut self,
        batch: BatchNumber,
        hosts: &HostTargets,
        snapshot: &Arc<FleetSnapshot>,
        granted: &Granted,
    ) {
        if !self.begun {
            self.begun = true;
            self.look_after(snapshot);
            // The record says which reference applies: an overlapping run's, if one has hosts out.
            self.refer_to(granted.reference.clone());
            self.baseline.sampled_at = granted.reference_at.or(self.baseline.sampled_at);
            if let Some(sampled_at) = self.baseline.sampled_at {
                self.tell_reference(sampled_at);
            }
        }
        self.waiting = Waiting { paused_itself: self.waiting.paused_itself, ..Waiting::default() };
        self.observed.stale = 0;
        self.reserve(batch, hosts, snapshot);
        let before = Some(Arc::clone(snapshot));
        self.phase = Phase::InBatch(BatchUnderWay { number: batch, before, step: BatchStep::Suspending });
    }

    /// Takes in hosts that the record reserves for the run, or may reserve.
    pub(super) fn reserve(&mut self, batch: BatchNumber, hosts: &HostTargets, snapshot: &FleetSnapshot) {
        let mut granted = BTreeMap::new();
        for (id, target_groups) in hosts {
            let Some(host) = snapshot.host(id) else { continue };
            let (group, target_groups) = (host.group.clone(), target_groups.clone());
            let with = GrantedHost { group, target_groups, serving: host.is_serving() };
            granted.insert(id.clone(), with.clone());
            let mut reserved = ReservedHost::new(id.clone(), batch, with);
            reserved.observe(snapshot);
            self.reservations.hosts.insert(id.clone(), reserved);
        }
        self.record(Event::BatchGranted { batch, granted });
    }
}
