//! What must never happen, with sums of its own: nothing here uses the planner or the record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet::{Fleet, SimHost};
use super::{BAKE, BUDGET, MINIMUM, WINDOW};
use crate::model::{Bounds, Call, Effect, HostId, HostState, Time};
use crate::run::{JournalRecord, Outcome, Past, RunDocument};

/// What the checker remembers of the world; runs are numbered.
#[derive(Default)]
pub(super) struct Checker {
    /// By whom and since when a host is cordoned.
    cordoned: BTreeMap<HostId, (usize, Time)>,
    /// Every termination: host, run, when.
    terminated: Vec<(HostId, usize, Time)>,
    /// When a host died by itself.
    died: BTreeMap<HostId, Time>,
    /// What each run was asked for.
    pub(super) asked: Vec<BTreeSet<HostId>>,
    pub(super) violations: Vec<String>,
}

impl Checker {
    pub(super) fn has_died(&mut self, host: &HostId, now: Time, vanished: bool) {
        self.died.entry(host.clone()).or_insert(now);
        if vanished {
            self.cordoned.remove(host);
        }
    }

    /// S5, S6: what is sent was intended in the journal that the ledger has, and comes before any stop.
    pub(super) fn is_sent(&mut self, run: usize, call: &Call, journal: &[JournalRecord], unheard: bool, ordered: bool) {
        let intended = journal.iter().any(|r| matches!(&r.event, Past::CallIntended { intent, .. } if intent == call));
        let forward = matches!(call.effect, Effect::Cordon { .. } | Effect::Terminate { .. });
        if !intended && (forward || !unheard) {
            self.violations.push(format!("s5: run {run} sent without a recorded intent: {call:?}"));
        }
        // What was intended before another process took the run over may still leave, until its deadline.
        let is_intent = |r: &JournalRecord| matches!(&r.event, Past::CallIntended { intent, .. } if intent == call);
        let intent = journal.iter().position(is_intent).unwrap_or(journal.len());
        let is_fence = |r: &JournalRecord| matches!(r.event, Past::RunTakenOver { .. });
        let own = journal[intent..].iter().position(is_fence).map_or(journal.len(), |fence| intent + fence);
        let stopped = journal[..own].iter().any(|r| matches!(r.event, Past::Stopped { .. }));
        if forward && (stopped || ordered) {
            self.violations.push(format!("s6: run {run} sent after a stop: {call:?}"));
        }
    }

    /// S1, S2, S4, S8, S9: a call took effect.
    pub(super) fn is_done(&mut self, run: usize, call: &Call, fleet: &Fleet, bounds: Bounds, now: Time) {
        match &call.effect {
            Effect::Cordon { hosts, .. } => {
                for id in hosts.keys() {
                    self.cordoned.insert(id.clone(), (run, now));
                    if !self.asked[run].contains(id) {
                        self.violations.push(format!("s8: run {run} cordoned {id}, which it was not asked for"));
                    }
                }
                self.floor(run, hosts.keys().collect(), fleet, bounds, now);
            }
            Effect::Restore { hosts, .. } => {
                for id in hosts.keys() {
                    if let Some((by, _)) = self.cordoned.remove(id)
                        && by != run
                    {
                        self.violations.push(format!("s9: run {run} restored {id}, cordoned by run {by}"));
                    }
                }
            }
            Effect::Terminate { host, .. } => {
                match self.cordoned.remove(host) {
                    None => self.violations.push(format!("s2: run {run} terminated {host} in service")),
                    Some((by, _)) if by != run => {
                        self.violations.push(format!("s2: run {run} terminated {host}, cordoned by run {by}"));
                    }
                    Some((_, since)) if now.since(since) < BAKE => {
                        self.violations.push(format!("s2: run {run} terminated {host} unbaked"));
                    }
                    Some(_) => {}
                }
                if self.terminated.iter().any(|(id, _, _)| id == host) {
                    self.violations.push(format!("s9: {host} terminated twice"));
                }
                if !self.asked[run].contains(host) {
                    self.violations.push(format!("s8: run {run} terminated {host}, which it was not asked for"));
                }
                self.terminated.push((host.clone(), run, now));
                if self.terminated.iter().filter(|(_, by, _)| *by == run).count() > self.asked[run].len() {
                    self.violations.push(format!("s9: run {run} terminated more than it was asked for"));
                }
                self.floor(run, vec![host], fleet, bounds, now);
                self.pace(fleet, now);
            }
            Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } => {}
        }
    }

    /// S1: what serves, and what died so lately that nobody can have seen it.
    fn floor(&mut self, run: usize, taken: Vec<&HostId>, fleet: &Fleet, bounds: Bounds, now: Time) {
        let unseen = bounds.max_age + bounds.settle + bounds.call_life + Duration::from_secs(1);
        for subsystem in ["index", "billing"] {
            if !taken.iter().any(|id| fleet.hosts.get(*id).is_some_and(|h| h.serves(subsystem))) {
                continue;
            }
            let counts = |(id, host): &(&HostId, &SimHost)| {
                host.serves(subsystem)
                    && (host.now() == Some((HostState::InService, true))
                        || self.died.get(*id).is_some_and(|at| now.since(*at) <= unseen))
            };
            let serving = fleet.hosts.iter().filter(counts).count();
            if serving < MINIMUM {
                self.violations.push(format!("s1: run {run} leaves {subsystem} {serving} of {MINIMUM} at {now}"));
            }
        }
    }

    /// S4: what was terminated within the window, all runs together.
    fn pace(&mut self, fleet: &Fleet, now: Time) {
        for subsystem in ["index", "billing"] {
            let within = self.terminated.iter().filter(|(id, _, at)| {
                now.since(*at) < WINDOW && fleet.hosts.get(id).is_some_and(|h| h.serves(subsystem))
            });
            let count = within.count();
            if count > BUDGET {
                self.violations.push(format!("s4: {count} hosts of {subsystem} terminated within the window"));
            }
        }
    }

    /// S7, S8: what a run leaves behind when it ends and everything has landed.
    pub(super) fn has_ended(&mut self, run: usize, document: Option<&RunDocument>) {
        let left: Vec<&HostId> = self.cordoned.iter().filter(|(_, (by, _))| *by == run).map(|(id, _)| id).collect();
        for id in left {
            let named = document.is_some_and(|d| d.outcome == Outcome::NeedsAttention && d.in_doubt.contains(id));
            if !named {
                self.violations.push(format!("s7: run {run} left {id} cordoned and does not say so"));
            }
        }
        let Some(document) = document else { return };
        for id in &document.restored {
            if self.terminated.iter().any(|(host, by, _)| host == id && *by == run) {
                self.violations.push(format!("s7: run {run} says that it restored {id}, which it terminated"));
            }
        }
        let mine: BTreeSet<&HostId> = self.terminated.iter().filter(|t| t.1 == run).map(|t| &t.0).collect();
        for id in mine {
            if !document.terminated.contains(id) && !document.in_doubt.contains(id) {
                self.violations.push(format!("s9: run {run} terminated {id} and its document does not say so"));
            }
        }
    }
}
