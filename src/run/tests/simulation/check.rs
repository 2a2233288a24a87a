//! What must never happen, with sums of its own: nothing here uses the planner or the record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet::{Fleet, SimHost};
use super::{BAKE, BATCH, BUDGET, INTERVAL, MINIMUM, RUN_SIZE, WINDOW};
use crate::model::{Bounds, Call, Effect, Health, HostId, HostState, Time};
use crate::run::{Event, JournalRecord, Outcome, RunDocument};

/// What the checker remembers of the world; runs are numbered.
#[derive(Default)]
pub(super) struct Checker {
    /// By whom and since when a host is cordoned.
    cordoned: BTreeMap<HostId, (usize, Time)>,
    /// Every termination: host, run, when.
    terminated: Vec<(HostId, usize, Time)>,
    /// When a host died by itself, or began to serve less than it should.
    died: BTreeMap<HostId, Time>,
    /// What each run was asked for.
    pub(super) asked: Vec<BTreeSet<HostId>>,
    /// Runs whose id was used again after months.
    again: BTreeSet<usize>,
    /// Which fleets were touched: one ledger is of one.
    touched: BTreeSet<usize>,
    /// When hosts of a subsystem last went or came back, by which run, and whether they came back.
    last_end: BTreeMap<&'static str, (Time, usize, bool)>,
    pub(super) violations: Vec<String>,
}

const SUBSYSTEMS: [&str; 2] = ["index", "billing"];

impl Checker {
    /// A run is asked for these hosts.
    pub(super) fn asks(&mut self, hosts: BTreeSet<HostId>) {
        self.asked.push(hosts);
    }

    /// The id of a run that is long over is used for these.
    pub(super) fn asks_again(&mut self, run: usize, hosts: BTreeSet<HostId>) {
        self.asked[run] = hosts;
        self.again.insert(run);
    }

    /// Whether a run terminated anything.
    pub(super) fn has_taken(&self, run: usize) -> bool {
        self.terminated.iter().any(|(_, by, _)| *by == run)
    }

    /// Whether a run has hosts out of service.
    pub(super) fn has_out(&self, run: usize) -> bool {
        self.cordoned.values().any(|(by, _)| *by == run)
    }

    /// How many hosts of a subsystem are out.
    pub(super) fn out_of(&self, subsystem: &str, fleet: &Fleet) -> usize {
        self.cordoned.keys().filter(|id| fleet.hosts.get(*id).is_some_and(|h| h.serves(subsystem))).count()
    }

    /// When hosts of a subsystem last went or came back.
    pub(super) fn last_end(&self, subsystem: &str) -> Option<Time> {
        self.last_end.get(subsystem).map(|(at, ..)| *at)
    }

    /// Whether hosts of a subsystem were out at some time since then.
    pub(super) fn is_out_or_was(&self, subsystem: &str, ended: Option<Time>, since: Time, fleet: &Fleet) -> bool {
        ended.is_some_and(|at| at > since) && self.out_of(subsystem, fleet) == 0
    }

    pub(super) fn has_died(&mut self, host: &HostId, now: Time, vanished: bool) {
        self.died.insert(host.clone(), now);
        if vanished {
            self.has_vanished(host);
        }
    }

    pub(super) fn has_vanished(&mut self, host: &HostId) {
        self.cordoned.remove(host);
    }

    /// S5, S6: what is sent was intended in the journal that the ledger has, and comes before any stop.
    pub(super) fn is_sent(&mut self, run: usize, call: &Call, journal: &[JournalRecord], unheard: bool, ordered: bool) {
        let intended = journal.iter().any(|r| matches!(&r.event, Event::CallIntended { intent, .. } if intent == call));
        let forward = matches!(call.effect, Effect::Cordon { .. } | Effect::Terminate { .. });
        if !intended && (forward || !unheard) {
            self.violations.push(format!("s5: run {run} sent without a recorded intent: {call:?}"));
        }
        // What was intended before another process took the run over may still leave, until its deadline.
        let is_intent = |r: &JournalRecord| matches!(&r.event, Event::CallIntended { intent, .. } if intent == call);
        let intent = journal.iter().position(is_intent).unwrap_or(journal.len());
        let is_fence = |r: &JournalRecord| matches!(r.event, Event::RunTakenOver { .. });
        let own = journal[intent..].iter().position(is_fence).map_or(journal.len(), |fence| intent + fence);
        let stopped = journal[..own].iter().any(|r| matches!(r.event, Event::Stopped { .. }));
        if forward && (stopped || ordered) {
            self.violations.push(format!("s6: run {run} sent after a stop: {call:?}"));
        }
    }

    /// S1 to S4, S8, S9: a call took effect.
    #[expect(clippy::too_many_arguments, reason = "everything that an effect is judged by")]
    pub(super) fn is_done(
        &mut self,
        run: usize,
        which: usize,
        call: &Call,
        fleet: &Fleet,
        claims: &BTreeSet<HostId>,
        bounds: Bounds,
        now: Time,
    ) {
        self.touched.insert(which);
        if self.touched.len() > 1 {
            self.violations.push(format!("s3: run {run} touches a second fleet under one ledger: {call:?}"));
        }
        if self.again.contains(&run) {
            self.violations.push(format!("s9: request id of run {run} was used again: {call:?}"));
        }
        match &call.effect {
            Effect::Cordon { hosts, .. } => {
                for id in hosts.keys() {
                    self.is_its_turn(run, id, fleet, bounds, now);
                    if claims.contains(id) {
                        self.violations.push(format!("s9: claim of another run on {id}, which run {run} cordoned"));
                    }
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
                    self.has_come_to_an_end(id, run, true, fleet, now);
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
                self.has_come_to_an_end(host, run, false, fleet, now);
                self.run_size(run, fleet);
                if self.terminated.iter().filter(|(_, by, _)| *by == run).count() > self.asked[run].len() {
                    self.violations.push(format!("s9: run {run} terminated more than it was asked for"));
                }
                self.floor(run, vec![host], fleet, bounds, now);
                self.pace(fleet, now);
            }
            Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } | Effect::RaiseMinimum { .. } => {}
        }
    }

    /// S4: one batch of a subsystem at a time, all runs counted; and then the interval, by clocks that may disagree.
    fn is_its_turn(&mut self, run: usize, host: &HostId, fleet: &Fleet, bounds: Bounds, now: Time) {
        for subsystem in SUBSYSTEMS.into_iter().filter(|s| fleet.hosts.get(host).is_some_and(|h| h.serves(s))) {
            let out = self.cordoned.iter().filter(|(id, _)| fleet.hosts.get(*id).is_some_and(|h| h.serves(subsystem)));
            let (own, others): (Vec<_>, Vec<_>) = out.partition(|(_, (by, _))| *by == run);
            if let Some((id, (by, _))) = others.first() {
                let message = format!("s4: batch of run {run} takes {host} of {subsystem} while run {by} has {id} out");
                self.violations.push(message);
            }
            if own.len() >= BATCH {
                self.violations.push(format!("s4: batch of run {run} takes more than {BATCH} of {subsystem}"));
            }
            // A batch that its run put back without its ledger may go on as the same batch.
            let ended = self.last_end.get(subsystem).filter(|(_, by, back)| !(*back && *by == run));
            let least = INTERVAL.saturating_sub(bounds.tolerance);
            if let Some((at, by, _)) = ended.filter(|(at, ..)| now.since(*at) < least) {
                let message =
                    format!("s4: interval of {subsystem}: run {run} cordons at {now}, run {by} ended at {at}");
                self.violations.push(message);
            }
        }
    }

    fn has_come_to_an_end(&mut self, host: &HostId, run: usize, back: bool, fleet: &Fleet, now: Time) {
        for subsystem in SUBSYSTEMS.into_iter().filter(|s| fleet.hosts.get(host).is_some_and(|h| h.serves(s))) {
            self.last_end.insert(subsystem, (now, run, back));
        }
    }

    /// S4: `max_hosts_per_run`.
    fn run_size(&mut self, run: usize, fleet: &Fleet) {
        for subsystem in SUBSYSTEMS {
            let serves = |id: &HostId| fleet.hosts.get(id).is_some_and(|h| h.serves(subsystem));
            let count = self.terminated.iter().filter(|(id, by, _)| *by == run && serves(id)).count();
            if count > RUN_SIZE {
                self.violations.push(format!("s4: run size: run {run} terminated {count} hosts of {subsystem}"));
            }
        }
    }

    /// S1: what serves, and what died so lately that nobody can have seen it.
    fn floor(&mut self, run: usize, taken: Vec<&HostId>, fleet: &Fleet, bounds: Bounds, now: Time) {
        let unseen = bounds.max_age + bounds.settle + bounds.call_life + Duration::from_secs(1);
        for subsystem in SUBSYSTEMS {
            if !taken.iter().any(|id| fleet.hosts.get(*id).is_some_and(|h| h.serves(subsystem))) {
                continue;
            }
            let counts = |(id, host): &(&HostId, &SimHost)| {
                host.serves(subsystem)
                    && (host.now() == Some((HostState::InService, Health::Healthy))
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
        for subsystem in SUBSYSTEMS {
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
