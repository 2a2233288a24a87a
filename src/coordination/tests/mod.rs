//! `decide` by commands, by the schedules of the protocol's model, and by random sequences against an oracle.

mod commands;
mod random;
mod schedules;
mod takeovers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Bounds, FleetSnapshot, HostId, HostState, LedgerId, ProbeKey, RunId, Time};
use crate::plan::Rule;
use crate::plan::testing::{NOON, World, ids, policy, rule_name};

use super::*;

/// A record, and the fleet and policies that it is decided on.
pub(super) struct Room {
    pub(super) world: World,
    pub(super) record: FleetRecord,
    pub(super) bounds: Bounds,
    pub(super) reference: BTreeMap<ProbeKey, f64>,
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
        request: None,
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
        Self { world, record, bounds: Bounds::AWS, reference: BTreeMap::new() }
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

    pub(super) fn grant_on(
        &mut self,
        run: &RunIdentity,
        batch: u64,
        hosts: &[&str],
        snapshot: &FleetSnapshot,
    ) -> Result<Granted, Refusal> {
        let hosts = ids(hosts).into_iter().map(|id| (id, BTreeSet::new())).collect();
        let reference = self.reference.clone();
        self.decide(&Command::Grant { run, batch, hosts, snapshot, reference: &reference })
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
        self.decide(&Command::TakeOver { run: run.run.clone(), epoch: run.epoch, process: &run.process })
    }

    pub(super) fn held(&self) -> BTreeMap<HostId, RunId> {
        let mut held = BTreeMap::new();
        for (run, entry) in &self.record.runs {
            for host in entry.holds.keys() {
                assert_eq!(held.insert(host.clone(), run.clone()), None, "S9: host {host} is held twice");
            }
        }
        held
    }
}

/// The rules in a refusal, or the refusal's own name.
pub(super) fn why<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    match result.expect_err("refused") {
        Refusal::Rules(violations) => {
            let names: BTreeSet<String> = violations.iter().map(|v| rule_name(v.rule)).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        }
        Refusal::Wait { .. } => "wait".to_owned(),
        Refusal::Stale { .. } => "stale".to_owned(),
        Refusal::Clock { .. } => "clock".to_owned(),
        Refusal::Fenced { .. } => "fenced".to_owned(),
        Refusal::Consumed { same, .. } => format!("consumed, same: {same}"),
        Refusal::Assess(_) => "assess".to_owned(),
        Refusal::Illegal(_) => "illegal".to_owned(),
    }
}

pub(super) fn name(rule: Rule) -> String {
    rule_name(rule)
}
