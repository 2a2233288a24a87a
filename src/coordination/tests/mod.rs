//! `decide` by commands, by the schedules of the protocol's model, and by random sequences against an oracle.

mod clocks;
mod commands;
mod edges;
mod first_removal;
mod line;
mod random;
mod schedules;
mod takeovers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{BatchNumber, Bounds, FleetSnapshot, HostId, HostState, LedgerId, ProbeKey, Quantity, RunId, Time};
use crate::plan::Rule;
use crate::plan::testing::{NOON, World, ids, policy, rule_name};

use super::*;

/// A record, and the fleet and policies that it is decided on.
pub(super) struct Room {
    pub(super) world: World,
    pub(super) record: FleetRecord,
    pub(super) bounds: Bounds,
    pub(super) reference: BTreeMap<ProbeKey, Vec<Quantity>>,
    /// When the reference was begun; `None` is now.
    pub(super) reference_at: Option<Time>,
    /// Runs whose process is known to be dead or silent.
    pub(super) silent: BTreeSet<RunId>,
    pub(super) room: Option<u64>,
}

/// A process that acts for a run.
pub(super) fn run(name: &str, process: &str) -> RunIdentity {
    RunIdentity {
        run: name.into(),
        epoch: 1,
        process: ProcessId { host: "bastion".to_owned(), pid: 7, token: process.to_owned(), pid_space: None },
        operator: format!("operator-of-{name}").as_str().into(),
        subsystem: "index".into(),
        watched: BTreeSet::new(),
        plan: "digest".into(),
        expect_remaining: None,
    }
}

pub(super) fn seconds(of: u64) -> Duration {
    Duration::from_secs(of)
}

impl Room {
    /// `index-01` and so on serve index, of which two must remain. No interval, no budget; `settle` as on AWS.
    pub(super) fn new(hosts: usize) -> Self {
        let mut index = policy("index", 2);
        index.pace.interval = Duration::ZERO;
        let world = World::new([index]).with("index", hosts, &["a", "b"], &["index"]);
        let record = FleetRecord::new(LedgerId::from("ledger-1"), "demo".into(), NOON);
        Self::of(world, record)
    }

    pub(super) fn of(world: World, record: FleetRecord) -> Self {
        let (bounds, reference) = (Bounds::AWS, BTreeMap::new());
        Self { world, record, bounds, reference, reference_at: None, silent: BTreeSet::new(), room: None }
    }

    pub(super) fn pass(&mut self, by: Duration) {
        self.world.now = self.world.now.plus(by);
    }

    pub(super) fn now(&self) -> Time {
        self.world.now
    }

    pub(super) fn set(&mut self, host: &str, state: HostState) {
        self.world.host_mut(host).state = state;
    }

    pub(super) fn lose(&mut self, host: &str) {
        self.world.hosts.retain(|h| h.id.as_str() != host);
    }

    pub(super) fn decide(&mut self, command: &Command<'_>) -> Result<Granted, Refusal> {
        let ctx = Context {
            policies: &self.world.policies,
            identity: &self.world.identity,
            bounds: self.bounds,
            now: self.world.now,
            silent: &self.silent,
            room: self.room,
        };
        let (record, granted) = decide(&self.record, command, &ctx)?;
        let text = serde_json::to_string(&record).expect("serializes");
        assert_eq!(serde_json::from_str::<FleetRecord>(&text).expect("reads back"), record);
        let before = self.held();
        let removed = std::mem::replace(&mut self.record, record).removed;
        let after = self.held();
        for (host, run) in &before {
            let is_kept = after.get(host) == Some(run) || matches!(command, Command::Resolve { .. });
            assert!(is_kept, "S9: {host} of {run} was let go by {command:?}");
        }
        for host in removed.keys() {
            let is_kept = self.record.removed.contains_key(host) || matches!(command, Command::Forget { .. });
            assert!(is_kept, "S1: {host} was forgotten by {command:?}");
        }
        Ok(granted)
    }

    /// Confirms a plan of these batches: the run stands in line.
    pub(super) fn enlist(&mut self, run: &RunIdentity, batches: &[&[&str]]) -> Result<Granted, Refusal> {
        let numbered = (1..).zip(batches);
        let claims: BTreeMap<HostId, BatchNumber> = numbered
            .flat_map(|(number, hosts)| ids(hosts).into_iter().map(move |id| (id, BatchNumber::new(number))))
            .collect();
        let snapshot = self.world.snapshot();
        self.enlist_on(run, &claims, &snapshot)
    }

    fn enlist_on(
        &mut self,
        run: &RunIdentity,
        claims: &BTreeMap<HostId, BatchNumber>,
        snapshot: &FleetSnapshot,
    ) -> Result<Granted, Refusal> {
        let (planned_at, lapses_at) = (self.now(), self.now().plus(seconds(900)));
        self.decide(&Command::Enlist { run, claims, planned_at, lapses_at, snapshot })
    }

    /// A grant of hosts that the run has confirmed: where it does not stand in line yet, it takes its place first, and
    /// where its plan had other hosts, it had these too.
    pub(super) fn grant_on(
        &mut self,
        run: &RunIdentity,
        batch: u64,
        hosts: &[&str],
        snapshot: &FleetSnapshot,
    ) -> Result<Granted, Refusal> {
        let is_known = self.record.runs.contains_key(&run.run) || self.record.ended.contains_key(&run.run);
        if !is_known && run.epoch == 1 && !hosts.is_empty() {
            let claims = ids(hosts).into_iter().map(|id| (id, batch.into())).collect();
            self.enlist_on(run, &claims, snapshot)?;
        }
        if let Some(entry) = self.record.runs.get_mut(&run.run) {
            let new = ids(hosts).into_iter().filter(|id| !entry.reservations.contains_key(id));
            entry.claims.extend(new.map(|id| (id, batch.into())).collect::<Vec<_>>());
        }
        self.grant_claimed(run, batch, hosts, snapshot)
    }

    /// A grant as a process asks for it, with the rest of its claims as the rest of its plan.
    pub(super) fn grant_claimed(
        &mut self,
        run: &RunIdentity,
        batch: u64,
        hosts: &[&str],
        snapshot: &FleetSnapshot,
    ) -> Result<Granted, Refusal> {
        let mut rest = self.record.runs.get(&run.run).map(|entry| entry.claims.clone()).unwrap_or_default();
        rest.retain(|id, _| !hosts.contains(&id.as_str()));
        let hosts = ids(hosts).into_iter().map(|id| (id, BTreeSet::new())).collect();
        let reference = self.reference.clone();
        let reference_at = self.reference_at.unwrap_or(self.world.now);
        let rest = &rest;
        let batch = batch.into();
        self.decide(&Command::Grant {
            run,
            batch,
            hosts,
            rest,
            snapshot,
            reference: &reference,
            reference_at,
            asking: None,
        })
    }

    pub(super) fn grant(&mut self, run: &RunIdentity, batch: u64, hosts: &[&str]) -> Result<Granted, Refusal> {
        let snapshot = self.world.snapshot();
        self.grant_on(run, batch, hosts, &snapshot)
    }

    pub(super) fn start(&mut self, run: &RunIdentity, hosts: &[&str]) -> Result<Granted, Refusal> {
        let snapshot = self.world.snapshot();
        self.decide(&Command::StartTermination {
            run: run.run.clone(),
            epoch: run.epoch,
            hosts: ids(hosts),
            snapshot: &snapshot,
        })
    }

    pub(super) fn resolve(&mut self, run: &RunIdentity, host: &str, outcome: HostOutcome) -> Result<Granted, Refusal> {
        let outcomes = BTreeMap::from([(HostId::from(host), outcome)]);
        self.decide(&Command::Resolve { run: run.run.clone(), epoch: run.epoch, outcomes })
    }

    pub(super) fn end(&mut self, run: &RunIdentity, completed: bool) -> Result<Granted, Refusal> {
        self.decide(&Command::End { run: run.run.clone(), epoch: run.epoch, completed })
    }

    /// The whole way of one host: granted, cordoned, terminated, gone.
    pub(super) fn remove(&mut self, run: &RunIdentity, batch: u64, host: &str) -> Result<(), Refusal> {
        self.grant(run, batch, &[host])?;
        self.set(host, HostState::Cordoned);
        self.start(run, &[host])?;
        self.lose(host);
        let at = self.now();
        self.resolve(run, host, HostOutcome::Removed(at))?;
        Ok(())
    }

    pub(super) fn take_over(&mut self, run: &RunIdentity) -> Result<Granted, Refusal> {
        self.decide(&Command::TakeOver { run: run.run.clone(), epoch: run.epoch, process: &run.process, forward: true })
    }

    pub(super) fn held(&self) -> BTreeMap<HostId, RunId> {
        let mut held = BTreeMap::new();
        for (run, entry) in &self.record.runs {
            for host in entry.reservations.keys() {
                assert_eq!(held.insert(host.clone(), run.clone()), None, "S9: host {host} is held twice");
            }
        }
        held
    }
}

/// The rules in a refusal, or the refusal's own name.
pub(super) fn why<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    let names = |violations: Vec<crate::plan::Violation>| {
        let names: BTreeSet<String> = violations.iter().map(|v| rule_name(v.rule)).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    match result.expect_err("refused") {
        Refusal::Rules(violations) => names(violations),
        Refusal::Race(violations) => format!("race: {}", names(violations)),
        Refusal::Wait { on: WaitOn::Run(run), .. } => format!("wait for {run}"),
        Refusal::Wait { .. } => "wait".to_owned(),
        Refusal::Stale { .. } => "stale".to_owned(),
        Refusal::Clock { .. } => "clock".to_owned(),
        Refusal::Fenced { .. } => "fenced".to_owned(),
        Refusal::OtherFleet { .. } => "other fleet".to_owned(),
        Refusal::Reference { .. } => "reference".to_owned(),
        Refusal::Full { .. } => "full".to_owned(),
        Refusal::Assess(_) => "assess".to_owned(),
        Refusal::Illegal(_) => "illegal".to_owned(),
    }
}

pub(super) fn name(rule: Rule) -> String {
    rule_name(rule)
}
