//! Before each batch: the reference, the wait, the second look at the rest of the plan, the grant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::coordination::{Refusal, WaitOn};
use crate::health;
use crate::model::{FleetSnapshot, HostId, TargetGroupId, Time};
use crate::plan::{Rule, Stage};

use super::act::{Change, Finish, NotStarted};
use super::cause::{plain, violation};
use super::hold::{Calls, Held};
use super::journal::GrantedHost;
use super::machine::{Machine, Phase, Todo};
use super::{CauseKind, Past, patience};

impl Machine {
    pub(super) fn forward(&mut self, now: Time) {
        match &self.phase {
            Phase::Reference { .. } => self.take_reference(now),
            Phase::TakingOver { since } => self.take_stock(*since, now),
            Phase::Opening { .. } => self.open_batch(now),
            Phase::Suspending => self.suspend(now),
            Phase::Cordoning { since } => self.cordon(*since, now),
            Phase::Baking { .. } => self.bake(now),
            Phase::Terminating { granted } => self.terminate(*granted, now),
            Phase::Verifying { since } => self.verify_gone(*since, now),
            Phase::Restoring { .. } | Phase::Leaving { .. } | Phase::Over => {}
        }
    }

    /// Looks again after a pause, or at the next sample where that is due before: whatever the run waits for, health is
    /// watched, and a stop order is seen within one sampling period (S6).
    pub(super) fn look_at(&mut self, at: Time, now: Time) {
        let at = at.min(self.next_sample(now).max(now));
        self.beat(at);
        let probes = self.next_sample(at) <= at;
        self.queue.push_back(Todo::Sleep { until: at });
        self.queue.push_back(Todo::Look { probes });
    }

    /// S7: a ledger that is lost must be noticed while there is time to restore without it, so the last acknowledged
    /// append is never much older than a third of `offline_limit` while hosts are held.
    pub(super) fn beat(&mut self, now: Time) {
        let Some(batch) = self.held.values().next().map(|held| held.batch) else { return };
        let due = self.acked_at.map(|at| at.plus(self.settings().offline_limit / 3));
        if due.is_some_and(|due| due <= now) {
            self.queue.push_back(Todo::Record(Past::Sampled { batch, readings: BTreeMap::new() }));
        }
    }

    /// When the next sample is due: `every` from the start of the last.
    pub(super) fn next_sample(&self, now: Time) -> Time {
        self.probed_at.map_or(now, |at| at.plus(self.settings().every))
    }

    fn take_reference(&mut self, now: Time) {
        let Phase::Reference { rounds, next_at } = &mut self.phase else { return };
        if let Some(round) = self.round.take() {
            if round.fleet.is_ok() && round.record.is_ok() {
                rounds.push(Arc::clone(&round));
            }
            *next_at = round.begun_at.plus(self.spec.confirmed.settings().every);
            self.round = Some(round);
        }
        let Phase::Reference { rounds, next_at } = &self.phase else { return };
        let (taken, next_at) = (rounds.len(), *next_at);
        if taken < health::REFERENCE_SAMPLES {
            if next_at > now {
                self.queue.push_back(Todo::Sleep { until: next_at });
            }
            self.queue.push_back(Todo::Look { probes: true });
            return;
        }
        let samples: Vec<_> = rounds.iter().flat_map(|r| r.samples.clone()).collect();
        match health::reference(&samples, &self.probes()) {
            Ok(mut reference) => {
                // An overlapping run's reference is older: two runs cannot each call the other's damage normal
                // (schedule 16).
                let identity = &self.spec.identity;
                let older = self.record.as_ref().and_then(|r| r.reference_for(&identity.run, &identity.watched));
                reference.extend(older.unwrap_or_default());
                self.refer_to(reference);
                self.phase = Phase::Opening { not_before: now, fresh: true, stale: 0 };
            }
            Err(bad) => {
                let refused = bad
                    .into_iter()
                    .map(|(key, message)| violation(Rule::UnhealthyNow, Some(key.subsystem), message))
                    .collect();
                self.finish(Finish::NotStarted(NotStarted::Rules(refused)));
            }
        }
    }

    pub(super) fn refer_to(&mut self, reference: health::Reference) {
        self.watch = Some(health::Watch::new(self.probes(), reference.clone()));
        self.reference = reference;
    }

    /// Looks, judges the rest of the plan again, and asks for the batch.
    fn open_batch(&mut self, now: Time) {
        let Phase::Opening { not_before, fresh, stale } = self.phase else { return };
        if self.batches.len() <= self.current {
            self.start_leaving();
            return;
        }
        if now < not_before {
            self.look_at(not_before, now);
            return;
        }
        if !fresh || !self.is_young(now) {
            self.phase = Phase::Opening { not_before, fresh: true, stale };
            self.look_again(true, now);
            return;
        }
        let Some(snapshot) = self.snapshot.clone() else { return };
        self.drop_vanished(&snapshot);
        if !self.queue.is_empty() {
            // The dropped hosts are recorded first; the batch may be empty now.
            return;
        }
        let Some((number, hosts)) = self.batch().cloned() else { return };
        if hosts.is_empty() {
            self.current += 1;
            return;
        }
        let rest: BTreeSet<HostId> = self.batches[self.current..].iter().flat_map(|(_, h)| h.iter().cloned()).collect();
        match self.violations(rest, Stage::Grant, now) {
            Ok(violations) if violations.is_empty() => {}
            Ok(violations) => {
                self.grant_refused(Refusal::Rules(violations), now);
                return;
            }
            Err(message) => {
                let blind = NotStarted::Blind(message.clone());
                self.stop(plain(CauseKind::Inventory, message), Some(blind), now);
                return;
            }
        }
        let hosts =
            hosts.iter().filter_map(|id| snapshot.host(id)).map(|h| (h.id.clone(), h.target_groups.clone())).collect();
        let reference = self.reference.clone();
        self.queue.push_back(Todo::Change(Change::Grant { batch: number, hosts, snapshot, reference }));
    }

    /// S8: a host that vanished by itself is dropped from the plan; none is ever put in its place.
    fn drop_vanished(&mut self, snapshot: &FleetSnapshot) {
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
        if self.opened {
            for (batch, host) in gone {
                self.queue.push_back(Todo::Record(Past::HostDropped { batch, host }));
            }
        } else {
            self.dropped_before_start.extend(gone);
        }
    }

    pub(super) fn grant_refused(&mut self, refusal: Refusal, now: Time) {
        let stale = match self.phase {
            Phase::Opening { stale, .. } => stale,
            _ => 0,
        };
        match refusal {
            Refusal::Stale { .. } if stale < patience::STALE_GRANTS => {
                self.phase = Phase::Opening { not_before: now, fresh: false, stale: stale + 1 };
            }
            Refusal::Wait { until, why, on } => self.wait(until, why, on, now),
            Refusal::Rules(violations) => {
                let not_started = if self.is_others_doing(now) {
                    NotStarted::TakenByOthers(violations.clone())
                } else {
                    NotStarted::Rules(violations.clone())
                };
                self.stop_for_rules(&violations, not_started, now);
            }
            Refusal::Consumed { run, same, .. } => {
                self.finish(Finish::NotStarted(NotStarted::Consumed { run, same }));
            }
            Refusal::Clock { .. } => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Ledger, message.clone()), Some(NotStarted::Clock(message)), now);
            }
            Refusal::Stale { .. } | Refusal::Assess(_) => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Inventory, message.clone()), Some(NotStarted::Blind(message)), now);
            }
            Refusal::Fenced { .. } | Refusal::Illegal(_) => {
                let message = refusal.to_string();
                self.stop(plain(CauseKind::Ledger, message.clone()), Some(NotStarted::Ledger(message)), now);
            }
        }
    }

    /// Whether the plan would hold if no other run held anything: then others took the headroom (exit 10, not 3).
    fn is_others_doing(&self, now: Time) -> bool {
        let (Some(snapshot), Some(record)) = (&self.snapshot, &self.record) else { return false };
        let mut alone = (**record).clone();
        alone.runs.retain(|run, _| *run == self.spec.identity.run);
        alone.removed.retain(|host, _| snapshot.host(host).is_none());
        let rest: BTreeSet<HostId> = self.batches[self.current..].iter().flat_map(|(_, h)| h.iter().cloned()).collect();
        self.violations_by(&alone, rest, Stage::Grant, now).is_ok_and(|v| v.is_empty())
    }

    fn wait(&mut self, until: Time, why: String, on: WaitOn, now: Time) {
        // An interval is always waited, also where another run's batch came before (contract section 2, `--no-wait`).
        if !self.opened && on == WaitOn::Budget && until.since(now) > self.spec.max_wait {
            self.finish(Finish::NotStarted(NotStarted::Deferred { until, why }));
            return;
        }
        if self.opened {
            self.queue.push_back(Todo::Record(Past::Waiting { until, why }));
        }
        self.phase = Phase::Opening { not_before: until, fresh: false, stale: 0 };
    }

    /// The batch is reserved.
    pub(super) fn granted(
        &mut self,
        batch: u64,
        hosts: &BTreeMap<HostId, BTreeSet<TargetGroupId>>,
        snapshot: &Arc<FleetSnapshot>,
        reference: &health::Reference,
    ) {
        if !self.opened {
            // What the record says the run is judged by: an older run's where one came first.
            self.refer_to(reference.clone());
            self.opened = true;
            let identity = &self.spec.identity;
            let document = self.document().clone();
            self.queue.push_back(Todo::Record(Past::RunOpened {
                settings: self.settings().clone(),
                fleet: document.fleet.clone(),
                operator: identity.operator.clone(),
                reason: document.request.reason.clone(),
                request_id: document.request.request_id.clone(),
                process: identity.process.clone(),
                confirmed: self.spec.confirmed.how().to_owned(),
                reference: self.reference.clone(),
                plan: Box::new(document),
            }));
            for (batch, host) in std::mem::take(&mut self.dropped_before_start) {
                self.queue.push_back(Todo::Record(Past::HostDropped { batch, host }));
            }
        }
        self.futile_looks = 0;
        self.hold(batch, hosts, snapshot);
        self.before_batch = Some(Arc::clone(snapshot));
        self.phase = Phase::Suspending;
    }

    /// Holds hosts that the record reserves for the run, or may reserve.
    pub(super) fn hold(
        &mut self,
        batch: u64,
        hosts: &BTreeMap<HostId, BTreeSet<TargetGroupId>>,
        snapshot: &FleetSnapshot,
    ) {
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
            let mut held = Held {
                id: id.clone(),
                batch,
                group: host.group.clone(),
                target_groups: target_groups.clone(),
                serving: host.is_serving(),
                cordon: Calls::default(),
                terminate: Calls::default(),
                restore: Calls::default(),
                sight: None,
                absent_since: None,
            };
            held.see(snapshot);
            self.held.insert(id.clone(), held);
        }
        self.queue.push_back(Todo::Record(Past::BatchGranted { batch, granted }));
    }
}
