//! Before each batch: the reference, the wait for a turn, the second look at the rest of the plan, the grant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::{Granted, REFERENCE_LIFE, Refusal, WaitOn};
use crate::health;
use crate::model::{FleetSnapshot, HostId, HostTargets, RunId, Time};
use crate::plan::Rule;

use super::action::{NotStarted, RecordUpdate};
use super::cause::{plain, violation};
use super::journal::GrantedHost;
use super::machine::{Machine, Phase, Todo};
use super::reservation::{Calls, ReservedHost};
use super::{CauseKind, Event, timeouts};

impl Machine {
    pub(super) fn forward(&mut self, now: Time) {
        match &self.phase {
            Phase::Enlisting => self.enlist(now),
            Phase::Reference { .. } => self.take_reference(now),
            Phase::TakingOver { since } => self.reconcile(*since, now),
            Phase::Opening { .. } => self.open_batch(now),
            Phase::Suspending => self.suspend(now),
            Phase::Cordoning { since } => self.cordon(*since, now),
            Phase::Baking { .. } => self.bake(now),
            Phase::Terminating { granted } => self.terminate(*granted, now),
            Phase::Verifying { since } => self.verify_gone(*since, now),
            Phase::Restoring { .. } | Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// Begins the journal, which is this run's alone from then on, and takes a place in line. In this order: what stands
    /// in the record has a journal.
    fn enlist(&mut self, now: Time) {
        if !self.is_young(now) {
            self.observe_again(false, now);
            return;
        }
        let Some(snapshot) = self.snapshot.clone() else { return };
        if !self.is_opened {
            self.queue.push_back(Todo::Record(self.opening()));
        }
        let (claims, document) = (self.claims(0), self.document());
        let (planned_at, lapses_at) = (document.observed_at, document.expires_at);
        self.queue.push_back(Todo::RecordUpdate(RecordUpdate::Enlist { claims, planned_at, lapses_at, snapshot }));
    }

    fn opening(&self) -> Event {
        let (identity, document) = (&self.spec.identity, self.document().clone());
        Event::RunOpened {
            settings: self.settings().clone(),
            fleet: document.fleet.clone(),
            operator: identity.operator.clone(),
            reason: document.request.reason.clone(),
            request_id: document.request.request_id.clone(),
            process: identity.process.clone(),
            epoch: identity.epoch,
            confirmed: self.spec.confirmed.how().to_owned(),
            expect_remaining: identity.expect_remaining,
            plan: Box::new(document),
        }
    }

    /// The record did not give the run a place in line.
    pub(super) fn not_enlisted(&mut self, refusal: Refusal, now: Time) {
        if let Refusal::Stale { .. } = refusal {
            self.observe_again(false, now);
        } else {
            self.grant_refused(refusal, now);
        }
    }

    /// Looks again after a pause, or at the next sample where that is due before: whatever the run waits for, health is
    /// watched, and a stop order is seen within one sampling period (S6).
    pub(super) fn observe_at(&mut self, at: Time, now: Time) {
        let at = at.min(self.next_sample(now).max(now));
        self.beat(at);
        let probes = self.next_sample(at) <= at;
        self.queue.push_back(Todo::Sleep { until: at });
        self.queue.push_back(Todo::Observe { probes });
    }

    /// S7: a ledger that is lost must be noticed while there is time to restore without it, so the last acknowledged
    /// append is never much older than a third of `offline_limit` while hosts are held.
    pub(super) fn beat(&mut self, now: Time) {
        let Some(batch) = self.reserved.values().next().map(|reserved| reserved.batch) else { return };
        let due = self.acked_at.map(|at| at.plus(self.settings().offline_limit / 3));
        if due.is_some_and(|due| due <= now) {
            self.queue.push_back(Todo::Record(Event::Sampled { batch, readings: BTreeMap::new() }));
        }
    }

    /// When the next sample is due: `every` from the start of the last.
    pub(super) fn next_sample(&self, now: Time) -> Time {
        self.probed_at.filter(|at| *at <= now).map_or(now, |at| at.plus(self.settings().every))
    }

    fn take_reference(&mut self, now: Time) {
        let Phase::Reference { observations, next_at } = &mut self.phase else { return };
        if let Some(observation) = self.observation.take() {
            if observation.fleet.is_ok() && observation.record.is_ok() && observation.probed {
                observations.push(Arc::clone(&observation));
            }
            *next_at = observation.begun_at.plus(self.spec.confirmed.settings().every);
            self.observation = Some(observation);
        }
        let Phase::Reference { observations, next_at } = &self.phase else { return };
        let (taken, next_at) = (observations.len(), *next_at);
        if taken < health::REFERENCE_SAMPLES {
            if next_at > now {
                self.queue.push_back(Todo::Sleep { until: next_at });
            }
            self.queue.push_back(Todo::Observe { probes: true });
            return;
        }
        let samples: Vec<_> = observations.iter().flat_map(|r| r.samples.clone()).collect();
        let sampled_at = observations.first().map_or(now, |observation| observation.begun_at);
        match health::reference(&samples, &self.probes()) {
            Ok(reference) => {
                self.reference_at = Some(sampled_at);
                self.reference_taken_at = Some(now);
                self.refer_to(reference);
                self.phase = Phase::Opening { not_before: now, fresh: true, stale: 0 };
            }
            Err(bad) => {
                let refused = bad
                    .into_iter()
                    .map(|(key, message)| violation(Rule::UnhealthyNow, Some(key.subsystem), message))
                    .collect();
                self.withdraw(NotStarted::Rules(refused));
            }
        }
    }

    pub(super) fn refer_to(&mut self, reference: health::Reference) {
        self.watch = Some(health::Watch::new(self.probes(), reference.clone()));
        self.reference = reference;
    }

    /// Waits until the batch may be asked for, looks, and asks. Whether the rest of the plan still holds is judged with
    /// the grant.
    fn open_batch(&mut self, now: Time) {
        let Phase::Opening { not_before, fresh, stale } = self.phase else { return };
        if self.batches.len() <= self.current {
            self.start_closing();
            return;
        }
        if now < not_before {
            self.observe_at(not_before, now);
            return;
        }
        if !fresh || !self.is_young(now) {
            self.phase = Phase::Opening { not_before, fresh: true, stale };
            self.observe_again(true, now);
            return;
        }
        let Some(snapshot) = self.snapshot.clone() else { return };
        if self.drop_vanished(&snapshot, now) || !self.queue.is_empty() {
            // The dropped hosts are recorded first; the batch may be empty now.
            return;
        }
        let Some((number, hosts)) = self.batch().cloned() else { return };
        if hosts.is_empty() {
            self.current += 1;
            return;
        }
        let is_old = !self.begun && self.reference_taken_at.is_none_or(|at| now.since(at) > REFERENCE_LIFE);
        let Some(reference_at) = self.reference_at.filter(|_| !is_old) else {
            // After a long wait the load of then is no reference; whoever takes over a run that was granted nothing
            // samples for himself.
            self.phase = Phase::Reference { observations: Vec::new(), next_at: now };
            return;
        };
        let hosts =
            hosts.iter().filter_map(|id| snapshot.host(id)).map(|h| (h.id.clone(), h.target_groups.clone())).collect();
        let rest = self.claims(self.current + 1);
        let reference = self.reference.clone();
        let grant = RecordUpdate::Grant { batch: number, hosts, rest, snapshot, reference, reference_at };
        self.queue.push_back(Todo::RecordUpdate(grant));
    }

    /// The hosts of the batches from that index on, each with its batch.
    pub(super) fn claims(&self, from: usize) -> BTreeMap<HostId, u64> {
        let batches = self.batches.iter().skip(from);
        batches.flat_map(|(number, hosts)| hosts.iter().map(|host| (host.clone(), *number))).collect()
    }

    /// S8: a host that vanished by itself is dropped from the plan; none is ever put in its place. One that another run
    /// has taken ends the run: less would go than was confirmed, and nobody would hear of it. Says whether it did.
    fn drop_vanished(&mut self, snapshot: &FleetSnapshot, now: Time) -> bool {
        let mut gone = Vec::new();
        for (number, hosts) in &mut self.batches[self.current..] {
            hosts.retain(|id| {
                let listed = snapshot.host(id).is_some();
                if !listed {
                    gone.push((*number, id.clone()));
                }
                listed
            });
        }
        let taken = gone.iter().find_map(|(_, host)| Some((host.clone(), self.taken_by_other(host)?)));
        if let Some((host, run)) = taken {
            let message = format!("host {host} was removed by run {run}");
            let race = violation(Rule::UnknownHost, None, message.clone());
            self.stop(plain(CauseKind::Inventory, message), Some(NotStarted::TakenByOthers(vec![race])), now);
            return true;
        }
        for (batch, host) in gone {
            self.queue.push_back(Todo::Record(Event::HostDropped { batch, host }));
        }
        false
    }

    /// The other run that removed a host, by the record.
    fn taken_by_other(&self, host: &HostId) -> Option<RunId> {
        let (record, own) = (self.record.as_ref()?, &self.spec.identity.run);
        let removals = record.removals.iter().chain(record.removed.values());
        let mut others = removals.filter(|removal| removal.host == *host && removal.run != *own);
        others.next().map(|removal| removal.run.clone())
    }

    pub(super) fn grant_refused(&mut self, refusal: Refusal, now: Time) {
        let stale = if let Phase::Opening { stale, .. } = self.phase { stale } else { 0 };
        match refusal {
            Refusal::Stale { .. } if stale < timeouts::STALE_GRANTS => {
                self.phase = Phase::Opening { not_before: now, fresh: false, stale: stale + 1 };
            }
            Refusal::Wait { until, why, on } => self.wait(until, why, &on, now),
            Refusal::Reference { .. } => {
                self.phase = Phase::Reference { observations: Vec::new(), next_at: now };
                // Samples from before are what was refused.
                self.observation = None;
            }
            Refusal::Race(violations) => {
                self.stop_for_rules(&violations, NotStarted::TakenByOthers(violations.clone()), now);
            }
            Refusal::Rules(violations) => {
                self.stop_for_rules(&violations, NotStarted::Rules(violations.clone()), now);
            }
            Refusal::Clock { .. } => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Ledger, message.clone()), Some(NotStarted::Clock(message)), now);
            }
            Refusal::OtherFleet { .. } => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Inventory, message.clone()), Some(NotStarted::OtherFleet(message)), now);
            }
            Refusal::Stale { .. } | Refusal::Assess(_) => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Inventory, message.clone()), Some(NotStarted::Blind(message)), now);
            }
            Refusal::Fenced { .. } | Refusal::Illegal(_) | Refusal::Full { .. } => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Ledger, message.clone()), Some(NotStarted::Ledger(message)), now);
            }
        }
    }

    fn wait(&mut self, until: Time, why: String, on: &WaitOn, now: Time) {
        let since = *self.waiting_since.get_or_insert(now);
        // The look was good enough to be answered.
        self.stale_observations = 0;
        self.waits_in_line = matches!(on, WaitOn::Run(_));
        // An interval is always waited, also where another run's batch came before (contract section 2, `--no-wait`).
        let ends = match on {
            WaitOn::Budget => until,
            // When it ends nobody knows: as long as the caller wants.
            WaitOn::Run(_) => now.plus(Duration::from_millis(1)),
            WaitOn::Interval | WaitOn::Provider => since,
        };
        if !self.begun && ends.since(since) > self.spec.max_wait {
            self.withdraw(NotStarted::Deferred { until: until.max(now), why });
            return;
        }
        // Others are asked about once in a sampling period; a run that is waited for is never long out of sight.
        let not_before = match on {
            WaitOn::Run(_) => now.plus(self.settings().every),
            WaitOn::Budget | WaitOn::Interval | WaitOn::Provider => until,
        };
        let is_told = |(told, until): &(String, Time)| *told == why && now < *until;
        if !self.wait_told.as_ref().is_some_and(is_told) {
            // The journal is told at least once a minute, so that nobody takes a process that waits for a silent one.
            let until = not_before.max(now.plus(timeouts::WAIT_TOLD));
            self.wait_told = Some((why.clone(), until));
            self.queue.push_back(Todo::Record(Event::Waiting { until, why }));
        }
        self.phase = Phase::Opening { not_before, fresh: false, stale: 0 };
    }

    /// The batch is reserved.
    pub(super) fn granted(
        &mut self,
        batch: u64,
        hosts: &HostTargets,
        snapshot: &Arc<FleetSnapshot>,
        granted: &Granted,
    ) {
        if !self.begun {
            self.begun = true;
            // What the record says the run is judged by: an overlapping run's where one has hosts out.
            self.refer_to(granted.reference.clone());
            self.reference_at = granted.reference_at.or(self.reference_at);
            if let Some(sampled_at) = self.reference_at {
                let reference = self.reference.clone();
                self.queue.push_back(Todo::Record(Event::ReferenceTaken { reference, sampled_at }));
            }
        }
        self.waiting_since = None;
        self.wait_told = None;
        self.waits_in_line = false;
        self.stale_observations = 0;
        self.hold(batch, hosts, snapshot);
        self.before_batch = Some(Arc::clone(snapshot));
        self.phase = Phase::Suspending;
    }

    /// Holds hosts that the record reserves for the run, or may reserve.
    pub(super) fn hold(&mut self, batch: u64, hosts: &HostTargets, snapshot: &FleetSnapshot) {
        let mut granted = BTreeMap::new();
        for (id, target_groups) in hosts {
            let Some(host) = snapshot.host(id) else { continue };
            granted.insert(
                id.clone(),
                GrantedHost {
                    group: host.group.clone(),
                    target_groups: target_groups.clone(),
                    serving: host.is_serving(),
                },
            );
            let mut reserved = ReservedHost {
                id: id.clone(),
                batch,
                group: host.group.clone(),
                target_groups: target_groups.clone(),
                serving: host.is_serving(),
                // Whether it is idle for sure is asked again before it is cordoned.
                may_serve: host.is_serving(),
                cordon: Calls::default(),
                terminate: Calls::default(),
                restore: Calls::default(),
                observed: None,
                absent_since: None,
            };
            reserved.observe(snapshot);
            self.reserved.insert(id.clone(), reserved);
        }
        self.queue.push_back(Todo::Record(Event::BatchGranted { batch, granted }));
    }
}
