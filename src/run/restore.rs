//! The way back: everything that was cordoned and not terminated is put back, or named (S7).

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::HostOutcome;
use crate::model::{BatchNumber, CALL_HOSTS, Effect, GroupName, HostId, HostTargets, Time};

use super::action::RecordUpdate;
use super::event::GrantedHost;
use super::knowledge::GivenUp;
use super::machine::Machine;
use super::phase::Phase;
use super::reservation::ReservedHost;
use super::{Event, timeouts};

impl Machine {
    /// The next step of putting everything back.
    pub(super) fn restore(&mut self, now: Time) {
        let Phase::Restoring { since } = self.phase else { return };
        // A run that was taken over lets go of nothing while a call of the earlier process can still land: restoring
        // is allowed meanwhile, releasing is not (protocol section 7, schedule 7).
        let is_quiet = self.predecessor.is_quiet(now);
        if is_quiet && self.reservations.hosts.is_empty() {
            self.start_closing();
            return;
        }
        let undrained = if is_quiet { self.undrain(now) } else { BTreeSet::new() };
        if is_quiet && (self.resolve_known(&undrained) || self.release_given_up(now)) {
            return;
        }
        if let Some(quiet_by) = self.predecessor.quiet_by.filter(|_| self.reservations.hosts.is_empty()) {
            if now >= quiet_by {
                // The journal is dated ahead: nobody can tell whether the earlier process is out of reach.
                self.stopping.attention = true;
                self.start_closing();
            } else {
                self.sleep(quiet_by);
            }
            return;
        }
        if self.observed.newest.is_none() {
            self.observe(false);
            return;
        }
        // A host that was told to terminate cannot be put back, only waited for.
        self.tell_held(now);
        let timeout = if self.is_only_waited_for() { timeouts::TERMINATION_TIMEOUT } else { timeouts::RESTORE_TIMEOUT };
        // A host that is back and waits to be undrained has a time of its own.
        let is_all_back = self.reservations.hosts.keys().all(|id| undrained.contains(id));
        if now.since(since) > timeout && !is_all_back {
            if undrained.is_empty() {
                self.give_up(now);
            } else {
                self.hooks.undrains_no_more = true;
            }
            return;
        }
        // All that can be put back now, at once: one regression restores the whole batch.
        let bounds = self.spec.bounds;
        let ready: Vec<&ReservedHost> = self
            .reservations
            .hosts
            .values()
            .filter(|h| h.may_restore(bounds, now) && !self.reservations.given_up.contains_key(&h.id))
            .collect();
        let mut calls: Vec<(Option<GroupName>, HostTargets)> = Vec::new();
        // A provider refuses a call for all of its hosts because of one: after a refusal each goes alone.
        let (alone, together): (Vec<_>, Vec<_>) = ready.into_iter().partition(|host| host.restore.was_refused());
        for host in together {
            let (id, GrantedHost { group, target_groups, .. }) = (host.id.clone(), host.granted.clone());
            match calls.iter_mut().find(|(of, hosts)| *of == group && hosts.len() < CALL_HOSTS) {
                Some((_, hosts)) => _ = hosts.insert(id, target_groups),
                None => calls.push((group, BTreeMap::from([(id, target_groups)]))),
            }
        }
        calls.extend(alone.into_iter().map(|host| {
            let GrantedHost { group, target_groups, .. } = host.granted.clone();
            (group, BTreeMap::from([(host.id.clone(), target_groups)]))
        }));
        for (group, hosts) in calls {
            self.intend(Effect::Restore { group, hosts }, now);
        }
        if !self.queue.is_empty() {
            self.observe(false);
            return;
        }
        // The journal shows what the readings do while hosts come back. Without its ledger the run does nothing but put back.
        let then = now.plus(timeouts::POLL);
        let probes = !self.link.offline && self.next_sample(then) <= then;
        self.beat(now);
        self.sleep(then);
        self.observe(probes);
    }

    /// Records and lets go of every host whose outcome is proved, but for those that are yet to be undrained. Says whether there
    /// was one.
    fn resolve_known(&mut self, undrained: &BTreeSet<HostId>) -> bool {
        let bounds = self.spec.bounds;
        let known: BTreeMap<HostId, (BatchNumber, Option<String>, bool, HostOutcome)> = self
            .reservations
            .hosts
            .values()
            .filter(|h| !undrained.contains(&h.id))
            .filter_map(|h| {
                let outcome = h.outcome(bounds)?;
                let why = h.left(bounds).map(|_| h.whereabouts());
                Some((h.id.clone(), (h.batch, why, h.terminate.may_be_done(), outcome)))
            })
            .collect();
        if known.is_empty() {
            return false;
        }
        for (host, (batch, why, is_ours, outcome)) in &known {
            let (batch, host, why) = (*batch, host.clone(), why.clone());
            self.record(match outcome {
                HostOutcome::Removed(_) if *is_ours => Event::HostTerminated { batch, host },
                // No terminate was sent for it: it left by itself, or others took it away.
                HostOutcome::Removed(_) | HostOutcome::GivenUp => Event::HostDropped { batch, host, why },
                HostOutcome::Restored => Event::HostRestored { batch, host },
                HostOutcome::NeverCordoned | HostOutcome::Settling(_) => Event::HostUntouched { batch, host },
            });
        }
        let outcomes: BTreeMap<HostId, HostOutcome> =
            known.into_iter().map(|(host, (.., outcome))| (host, outcome)).collect();
        if self.link.offline {
            // The hosts are where they should be; the record is told at the end, if it can be.
            self.reservations.hosts.retain(|id, _| !outcomes.contains_key(id));
            self.link.unreported.extend(outcomes);
        } else {
            self.update(RecordUpdate::Resolve { outcomes });
        }
        true
    }

    /// Lets go of the hosts that a person gave up, once no call can reach them. Says whether there was one.
    fn release_given_up(&mut self, now: Time) -> bool {
        let bounds = self.spec.bounds;
        let is_over = |reserved: &&ReservedHost| {
            reserved.observed.is_some() && reserved.provable_from(bounds).is_none_or(|at| now >= at)
        };
        let left: Vec<(ReservedHost, GivenUp)> = self
            .reservations
            .hosts
            .values()
            .filter(is_over)
            .filter_map(|reserved| {
                self.reservations.given_up.get(&reserved.id).map(|left| (reserved.clone(), left.clone()))
            })
            .collect();
        if left.is_empty() {
            return false;
        }
        // S7: it is out of the run's hands, not back: a person is needed, and the document names the host.
        self.stopping.attention = true;
        let mut outcomes = BTreeMap::new();
        for (reserved, left) in left {
            self.record(Event::HostGivenUp {
                batch: reserved.batch,
                host: reserved.id.clone(),
                operator: left.operator,
                reason: left.reason,
                why: reserved.doubt(),
            });
            outcomes.insert(reserved.id, HostOutcome::GivenUp);
        }
        self.update(RecordUpdate::Resolve { outcomes });
        true
    }

    /// The patience is over: names every host that is still cordoned or in doubt, and keeps it reserved.
    fn give_up(&mut self, now: Time) {
        let bounds = self.spec.bounds;
        self.stopping.attention = true;
        let mut outcomes = BTreeMap::new();
        let left: Vec<ReservedHost> = self.reservations.hosts.values().cloned().collect();
        // Nor can it before the earlier process is out of reach.
        let quiet_at = self.predecessor.quiet_at.filter(|at| now < *at);
        for reserved in left {
            let until = reserved.provable_from(bounds).max(quiet_at);
            self.record(Event::HostInDoubt {
                batch: reserved.batch,
                host: reserved.id.clone(),
                cordoned: reserved.is_known_cordoned(bounds, quiet_at),
                until,
                why: reserved.doubt(),
            });
            outcomes.insert(reserved.id.clone(), HostOutcome::Settling(until.unwrap_or(now)));
        }
        self.update(RecordUpdate::Resolve { outcomes });
        self.start_closing();
    }
}
