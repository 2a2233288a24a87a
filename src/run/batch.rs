//! One batch on its way forward: suspend, cordon, bake, terminate, verify. The choke point is here.

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::HostOutcome;
use crate::health;
use crate::model::{CALL_HOSTS, Effect, GroupName, HostId, HostState, HostTargets, Process, Time, duration_text};
use crate::plan::Stage;

use super::action::{NotStarted, RecordUpdate};
use super::cause::plain;
use super::machine::{Machine, Phase, Todo};
use super::reservation::{Calls, Last, ReservedHost};
use super::{CauseKind, Event, timeouts};

impl Machine {
    /// Suspends AZRebalance on the groups of the batch: left running it "might terminate instances in other zones".
    pub(super) fn suspend(&mut self, now: Time) {
        let groups: BTreeSet<GroupName> = self.batch_reserved().filter_map(|h| h.group.clone()).collect();
        for name in groups {
            let Some(suspended) =
                self.snapshot.as_ref().and_then(|s| s.group(&name)).map(|group| group.suspended.clone())
            else {
                let message = format!("group {name} is no longer listed");
                self.stop(plain(CauseKind::Inventory, message), None, now);
                return;
            };
            let is_suspended = suspended.contains(&Process::AzRebalance);
            let Some(calls) = self.groups.get(&name).map(|g| g.suspend.clone()) else {
                self.queue.push_back(Todo::RecordUpdate(RecordUpdate::RequireSuspension { group: name, suspended }));
                return;
            };
            if is_suspended || calls.last == Last::Done {
                continue;
            }
            if let Some(why) = calls.gave_up() {
                let message = format!("AZRebalance of group {name} cannot be suspended: {why}");
                self.stop(plain(CauseKind::Provider, message), None, now);
            } else if calls.may_try(now) {
                self.intend_for_group(&name, true, now);
            } else {
                self.observe_at(now.plus(timeouts::POLL), now);
            }
            return;
        }
        self.phase = Phase::Cordoning { since: now };
    }

    /// Looks once more before an effect, but not for ever: a provider or a probe that is always slower than what may be
    /// acted on is in trouble, and the batch must not stay out of service for it.
    pub(super) fn observe_again(&mut self, probes: bool, now: Time) {
        self.stale_observations += 1;
        if self.stale_observations > timeouts::STALE_OBSERVATIONS {
            let message = format!("{} looks in a row took too long to be acted on", timeouts::STALE_OBSERVATIONS);
            self.stop(plain(CauseKind::Timeout, message), None, now);
            return;
        }
        self.queue.push_back(Todo::Observe { probes });
    }

    /// S1: the choke point before every cordon and every terminate. `Some` where the effect may follow.
    ///
    /// A young and complete observation of fleet and record in which every rule holds with what this run has out counted
    /// as gone, and every host is in the state that the effect needs.
    fn preflight(&mut self, hosts: &BTreeSet<HostId>, needs: HostState, now: Time) -> bool {
        if !self.is_young(now) {
            self.observe_again(false, now);
            return false;
        }
        let Some(snapshot) = self.snapshot.clone() else { return false };
        for id in hosts {
            let state = snapshot.host(id).map(|h| h.state);
            if state != Some(needs) {
                let message = format!("host {id} {} by itself", state_words(state));
                self.stop(plain(CauseKind::Inventory, message), None, now);
                return false;
            }
        }
        // A host that serves again when it is to be cordoned is judged as serving, now and from now on; so is one that may.
        if needs == HostState::InService {
            let may_serve = self.may_serve(hosts, now);
            for id in hosts {
                let serves = snapshot.host(id).is_some_and(crate::model::Host::is_serving);
                if let Some(reserved) = self.reserved.get_mut(id) {
                    reserved.serving = reserved.serving || serves;
                    reserved.may_serve = reserved.may_serve || may_serve.contains(id);
                }
            }
        }
        // Everything that is reserved counts as taken, not only what this call takes.
        let taking = if needs == HostState::InService {
            self.batch_reserved().filter(|h| !h.is_out()).map(|h| h.id.clone()).collect()
        } else {
            BTreeSet::new()
        };
        match self.violations(taking, Stage::Hold, now) {
            Ok(violations) => {
                if violations.is_empty() {
                    return true;
                }
                self.stop_for_rules(&violations, NotStarted::Rules(violations.clone()), now);
                false
            }
            Err(message) => {
                self.stop(plain(CauseKind::Inventory, message), None, now);
                false
            }
        }
    }

    pub(super) fn cordon(&mut self, since: Time, now: Time) {
        let all: Vec<ReservedHost> = self.batch_reserved().cloned().collect();
        if all.iter().all(ReservedHost::is_cordoned) {
            let batch = self.batch().map_or(0, |b| b.0);
            self.queue.push_back(Todo::Record(Event::BatchCordoned { batch }));
            self.start_baking(now);
            return;
        }
        let bounds = self.spec.bounds;
        if let Some(gone) = all.iter().find(|h| h.gone_at(bounds).is_some()) {
            // S7: the others are not kept out of service while one is waited for that will never come.
            let message = format!("host {} vanished by itself", gone.id);
            self.stop(plain(CauseKind::Inventory, message), None, now);
            return;
        }
        let given_up = all.iter().filter(|h| !h.is_cordoned()).find_map(|h| h.cordon.gave_up().map(|why| (h, why)));
        if let Some((reserved, why)) = given_up {
            // An earlier call may have done it: what is seen decides, not what was answered.
            if reserved.cordon.may_yet_show(reserved.observed, bounds) {
                self.observe_for(&reserved.cordon, now);
                return;
            }
            let message = format!("host {} cannot be cordoned: {why}", reserved.id);
            self.stop(plain(CauseKind::Provider, message), None, now);
            return;
        }
        if now.since(since) > timeouts::CORDON_TIMEOUT {
            let late: Vec<&str> = all.iter().filter(|h| !h.is_cordoned()).map(|h| h.id.as_str()).collect();
            let message = format!("not seen out of service in time: {}", late.join(", "));
            self.stop(plain(CauseKind::Timeout, message), None, now);
            return;
        }
        // One call for as many hosts of one group as it takes.
        let ready: Vec<&ReservedHost> = all.iter().filter(|h| !h.is_cordoned() && h.cordon.may_try(now)).collect();
        if let Some(group) = ready.first().map(|h| h.group.clone()) {
            if self.is_sample_due(now) {
                // S6: a batch of many groups takes many calls; orders are seen between them.
                self.observe_again(true, now);
                return;
            }
            let chunk: HostTargets = ready
                .iter()
                .filter(|h| h.group == group)
                .take(CALL_HOSTS)
                .map(|h| (h.id.clone(), h.target_groups.clone()))
                .collect();
            let ids = chunk.keys().cloned().collect();
            if self.preflight(&ids, HostState::InService, now) {
                self.intend(Effect::Cordon { group, hosts: chunk }, now);
            }
            return;
        }
        self.observe_at(now.plus(timeouts::POLL), now);
    }

    /// Looks at once after an answer, and then now and again.
    fn observe_for(&mut self, calls: &Calls, now: Time) {
        if calls.observations == 0 {
            self.queue.push_back(Todo::Observe { probes: false });
        } else {
            self.observe_at(now.plus(timeouts::POLL), now);
        }
    }

    fn start_baking(&mut self, now: Time) {
        let settings = self.settings();
        let (length, every) = (settings.bake, settings.every);
        let watch = self.watch.take().unwrap_or_else(|| health::Watch::new(self.probes(), self.reference.clone()));
        self.phase = Phase::Baking { bake: Box::new(health::Bake::new(length, every, now, watch)) };
    }

    pub(super) fn bake(&mut self, now: Time) {
        let Phase::Baking { bake } = &self.phase else { return };
        let next = bake.next_round_at();
        // A ledger that is lost must be noticed while there is time to restore without it: the last acknowledged
        // append is never older than a third of `offline_limit` while hosts are out.
        let beat = self.acked_at.map(|at| at.plus(self.settings().offline_limit / 3));
        if beat.is_some_and(|at| at <= now) && next > now {
            let batch = self.batch().map_or(0, |b| b.0);
            self.queue.push_back(Todo::Record(Event::Sampled { batch, readings: BTreeMap::new() }));
            self.queue.push_back(Todo::Sleep { until: next.min(now.plus(timeouts::POLL)) });
            return;
        }
        // S7: only a beat that is yet to come is slept for. Where a process was stopped until beat and sample were both
        // due, the sample comes first: it is recorded, and that is the beat.
        if let Some(beat) = beat.filter(|beat| now < *beat && *beat < next) {
            self.queue.push_back(Todo::Sleep { until: beat });
            return;
        }
        if next > now {
            self.queue.push_back(Todo::Sleep { until: next });
        }
        self.queue.push_back(Todo::Observe { probes: true });
    }

    /// The bake is clean: the chain of samples spans all of it.
    pub(super) fn baked(&mut self) {
        let batch = self.batch().map_or(0, |b| b.0);
        let Phase::Baking { bake } = &self.phase else { return };
        let progress = bake.progress(bake.next_round_at());
        if let Some(slow) = progress.slow {
            let message = format!(
                "sampling took up to {} a round, slower than `every` = {}",
                duration_text(slow),
                duration_text(self.settings().every)
            );
            self.queue.push_back(Todo::Record(Event::Warned { message }));
        }
        self.queue.push_back(Todo::Record(Event::BakeEnded { batch, rounds: progress.rounds }));
        self.watch = Some(bake.watch().clone());
        self.phase = Phase::Terminating { granted: false };
    }

    /// S2, schedule 17: a process that was stopped after its bake bakes again, since nobody watched meanwhile.
    fn is_unwatched(&self, now: Time) -> bool {
        let tolerated = health::tolerated_gap(self.settings().every);
        self.probed_at.is_none_or(|at| now.since(at) > tolerated)
    }

    /// Whether the next effect must wait for a sample. Where a round takes longer than `every`, the next is due `every`
    /// after its end: counted from its start it would be due at once, for ever, and the batch would stay cordoned.
    fn is_sample_due(&self, now: Time) -> bool {
        let every = self.settings().every;
        let just_sampled = self
            .observation
            .as_ref()
            .is_some_and(|observation| observation.probed && now.since(observation.ended_at) < every);
        self.next_sample(now) <= now && !just_sampled
    }

    pub(super) fn terminate(&mut self, granted: bool, now: Time) {
        let all: Vec<ReservedHost> = self.batch_reserved().cloned().collect();
        if self.is_unwatched(now) {
            if granted {
                self.observe_again(true, now);
            } else {
                let batch = self.batch().map_or(0, |b| b.0);
                let gap = now.since(self.probed_at.unwrap_or(now));
                let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
                self.queue.push_back(Todo::Record(Event::BakeRestarted { batch, gap_ms }));
                self.start_baking(now);
            }
            return;
        }
        if granted && self.is_sample_due(now) {
            self.observe_again(true, now);
            return;
        }
        if !granted {
            let hosts: BTreeSet<HostId> = all.iter().map(|h| h.id.clone()).collect();
            if self.preflight(&hosts, HostState::Cordoned, now)
                && let Some(snapshot) = self.snapshot.clone()
            {
                self.queue.push_back(Todo::RecordUpdate(RecordUpdate::StartTermination { hosts, snapshot }));
            }
            return;
        }
        let bounds = self.spec.bounds;
        let pending: Vec<&ReservedHost> = all
            .iter()
            .filter(|h| h.terminate.last != Last::Done && h.gone_at(bounds).is_none() && !is_going(h))
            .collect();
        if pending.is_empty() {
            self.phase = Phase::Verifying { since: now };
            return;
        }
        if let Some((reserved, why)) = pending.iter().find_map(|h| h.terminate.gave_up().map(|why| (h, why))) {
            if reserved.terminate.may_yet_show(reserved.observed, bounds) {
                self.observe_for(&reserved.terminate, now);
                return;
            }
            let message = format!("host {} cannot be terminated: {why}", reserved.id);
            self.stop(plain(CauseKind::Provider, message), None, now);
            return;
        }
        let Some(reserved) = pending.iter().find(|h| h.terminate.may_try(now)) else {
            self.observe_at(now.plus(timeouts::POLL), now);
            return;
        };
        // One id a call: bulk calls fail half-way.
        let (host, group) = (reserved.id.clone(), reserved.group.clone());
        if self.preflight(&BTreeSet::from([host.clone()]), HostState::Cordoned, now) {
            self.intend(Effect::Terminate { group, host }, now);
        }
    }

    pub(super) fn verify_gone(&mut self, since: Time, now: Time) {
        let bounds = self.spec.bounds;
        let batch = self.batch().map_or(0, |b| b.0);
        let gone: Vec<(HostId, Time)> =
            self.batch_reserved().filter_map(|h| h.gone_at(bounds).map(|at| (h.id.clone(), at))).collect();
        if !gone.is_empty() {
            self.resolve_gone(batch, gone);
            return;
        }
        if self.batch_reserved().next().is_none() {
            self.queue.push_back(Todo::Record(Event::BatchTerminated { batch }));
            self.explain();
            self.current += 1;
            self.phase = Phase::Opening { not_before: now, fresh: false, stale: 0 };
            return;
        }
        if now.since(since) > timeouts::TERMINATION_TIMEOUT {
            let late: Vec<&str> = self.batch_reserved().map(|h| h.id.as_str()).collect();
            let message = format!("terminated, but still listed: {}", late.join(", "));
            self.stop(plain(CauseKind::Timeout, message), None, now);
            return;
        }
        let sent_after_look = self.batch_reserved().any(|h| h.terminate.observations == 0);
        if sent_after_look {
            self.queue.push_back(Todo::Observe { probes: true });
        } else {
            self.observe_at(now.plus(timeouts::POLL), now);
        }
    }

    /// Records what is gone and lets the ledger know.
    pub(super) fn resolve_gone(&mut self, batch: u64, gone: Vec<(HostId, Time)>) {
        for (host, _) in &gone {
            self.queue.push_back(Todo::Record(Event::HostTerminated { batch, host: host.clone() }));
        }
        let outcomes = gone.into_iter().map(|(host, at)| (host, HostOutcome::Removed(at))).collect();
        self.queue.push_back(Todo::RecordUpdate(RecordUpdate::Resolve { outcomes }));
    }

    /// After a termination: desired capacity equals the members that count towards it, and nothing else left or appeared.
    fn explain(&mut self) {
        let (Some(before), Some(after)) = (&self.before_batch, &self.snapshot) else { return };
        let mut messages = Vec::new();
        let ours: BTreeSet<&HostId> = self.document().batches.iter().flat_map(|b| &b.hosts).map(|h| &h.id).collect();
        let claimed = self
            .record
            .as_ref()
            .map(|r| r.view(Some(&self.spec.identity.run), &BTreeSet::new(), after.begun_at).claims);
        let explained =
            |id: &HostId| ours.contains(id) || claimed.as_ref().is_some_and(|claims| claims.contains_key(id));
        for host in before.hosts().filter(|h| after.host(&h.id).is_none() && !explained(&h.id)) {
            messages.push(format!("host {} left by itself while the batch was terminated", host.id));
        }
        for host in after.hosts().filter(|h| before.host(&h.id).is_none()) {
            messages.push(format!("host {} appeared by itself while the batch was terminated", host.id));
        }
        let groups: BTreeSet<&GroupName> =
            self.document().batches.iter().flat_map(|b| &b.hosts).filter_map(|h| h.group.as_ref()).collect();
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
        self.before_batch = None;
        for message in messages {
            self.queue.push_back(Todo::Record(Event::Warned { message }));
        }
    }
}

/// On its way out, by the provider's word.
fn is_going(reserved: &ReservedHost) -> bool {
    reserved.terminate.may_be_done() && reserved.observed.is_some_and(|s| s.state == Some(HostState::Terminating))
}

fn state_words(state: Option<HostState>) -> &'static str {
    match state {
        None => "vanished",
        Some(HostState::Pending) => "is pending",
        Some(HostState::InService) => "is in service",
        Some(HostState::Cordoned) => "is cordoned",
        Some(HostState::Terminating) => "is terminating",
    }
}
