//! Small fleets for tests, built in a line or two: [`World`] owns everything that [`Inputs`] borrows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{
    Bounds, FleetIdentity, FleetMark, FleetSnapshot, Group, GroupName, Health, Host, HostId, HostState, OwnChanges,
    ProbeKey, Scope, SubsystemName, Time,
};
use crate::policy::{
    BatchLimit, CapacityPolicy, ConfirmPolicy, FleetConfig, HealthPolicy, LedgerConfig, LedgerKind, Managed,
    PacePolicy, PolicySet, ProviderConfig, ProviderFloor, ProviderKind, Selector, SubsystemPolicy, TestLevels,
    UnitsSource,
};

use super::{
    AssessError, Claim, Inputs, LedgerView, Plan, Removal, Request, Rule, Selection, Stage, Taking, Violation, plan,
    verify,
};

/// Noon of the day of the outage.
pub(crate) const NOON: Time = Time::from_millis(1_488_283_200_000);

/// A policy that selects hosts by a tag of its own name, with wide limits.
pub(crate) fn policy(name: &str, minimum: u64) -> SubsystemPolicy {
    SubsystemPolicy {
        name: name.into(),
        description: None,
        owner: None,
        depends_on: BTreeSet::new(),
        hosts: Selector {
            tags: BTreeMap::from([(name.to_owned(), BTreeSet::from(["*".to_owned()]))]),
            auto_scaling_groups: BTreeSet::new(),
            never: BTreeMap::from([("keep".to_owned(), BTreeSet::from(["for-good".to_owned()]))]),
            managed: Managed::Refuse,
        },
        capacity: CapacityPolicy {
            baseline: 100,
            minimum,
            minimum_per_zone: None,
            zones: None,
            survive_zone_loss: false,
            units: UnitsSource::One,
            provider_floor: ProviderFloor::Advised,
        },
        pace: PacePolicy {
            max_hosts_per_run: 1000,
            batch: BatchLimit::Hosts(1000),
            interval: Duration::from_secs(300),
            ramp: false,
            max_unserving: 100.into(),
            zones_per_batch: None,
            requires_launch: false,
            budgets: Vec::new(),
        },
        health: HealthPolicy {
            bake: Duration::from_secs(180),
            every: Duration::from_secs(10),
            reference: Duration::from_secs(30),
            bake_max: Duration::from_secs(540),
            levels: TestLevels::default(),
            probes: Vec::new(),
        },
        hooks: Vec::new(),
        confirm: ConfirmPolicy::default(),
        windows: None,
    }
}

/// A host in service that carries the tags of these subsystems, each with `1` as its value.
pub(crate) fn host(id: &str, zone: &str, subsystems: &[&str]) -> Host {
    Host {
        id: id.into(),
        zone: zone.into(),
        group: None,
        instance_type: "m6i.large".into(),
        tags: subsystems.iter().map(|s| (s, "1")).collect(),
        state: HostState::InService,
        health: Health::Healthy,
        launched_at: NOON.minus(Duration::from_secs(86_400)),
        protection: None,
        ledger: None,
        target_groups: BTreeSet::new(),
        address: None,
        target_health: BTreeMap::new(),
        obstacles: Vec::new(),
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
///
/// It makes the same choices on every machine, whatever a random-number crate does.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True once in `one_in` times.
    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX).saturating_add(1)))
    }
}

/// Everything that a decision depends on.
pub(crate) struct World {
    pub(crate) policies: PolicySet,
    pub(crate) hosts: Vec<Host>,
    /// Group to its MinSize; the other fields follow from the hosts.
    pub(crate) groups: BTreeMap<GroupName, u64>,
    /// MaxSize of every group.
    pub(crate) group_maximum: u64,
    pub(crate) group_changes: OwnChanges,
    pub(crate) launch_failure: Option<String>,
    pub(crate) ledger: LedgerView,
    pub(crate) bad_probes: BTreeMap<ProbeKey, String>,
    pub(crate) identity: FleetIdentity,
    pub(crate) mark: FleetMark,
    pub(crate) credentials_end: Option<Time>,
    pub(crate) prove: Duration,
    pub(crate) now: Time,
}

impl World {
    /// Three hosts of index, of which two must stay.
    pub(crate) fn with_one_to_spare() -> Self {
        let mut world = Self::new([policy("index", 2)]);
        world.hosts.extend(["i-1", "i-2", "i-3"].map(|id| host(id, "a", &["index"])));
        world
    }

    pub(crate) fn new(policies: impl IntoIterator<Item = SubsystemPolicy>) -> Self {
        let fleet = FleetConfig {
            name: "demo".into(),
            provider: ProviderConfig {
                kind: ProviderKind::Simulated { scenario: PathBuf::new(), state: PathBuf::new() },
                subsystem_tag: Some("subsystems".to_owned()),
                settle: None,
            },
            ledger: LedgerConfig {
                kind: LedgerKind::Sqlite { path: PathBuf::new() },
                offline_limit: Duration::from_secs(30),
            },
        };
        let subsystems = policies.into_iter().map(|p| (p.name.clone(), p)).collect();
        Self {
            policies: PolicySet { directory: PathBuf::from("policies"), fleet, subsystems, warnings: Vec::new() },
            hosts: Vec::new(),
            groups: BTreeMap::new(),
            group_maximum: 10_000,
            group_changes: OwnChanges::default(),
            launch_failure: None,
            ledger: LedgerView::empty("ledger-1".into()),
            bad_probes: BTreeMap::new(),
            identity: FleetIdentity::simulated("fleet-1"),
            mark: FleetMark::Open,
            credentials_end: None,
            prove: Inputs::PROVE,
            now: NOON,
        }
    }

    /// Adds `count` hosts `NAME-01`, `NAME-02`, … dealt over the zones in turn.
    pub(crate) fn with(mut self, name: &str, count: usize, zones: &[&str], subsystems: &[&str]) -> Self {
        for number in 0..count {
            let zone = zones[number % zones.len()];
            self.hosts.push(host(&format!("{name}-{:02}", number + 1), zone, subsystems));
        }
        self
    }

    pub(crate) fn host_mut(&mut self, id: &str) -> &mut Host {
        self.hosts.iter_mut().find(|h| h.id.as_str() == id).expect("the host is there")
    }

    pub(crate) fn policy_mut(&mut self, name: &str) -> &mut SubsystemPolicy {
        self.policies.subsystems.get_mut(name).expect("the policy is there")
    }

    pub(crate) fn reserve(&mut self, id: &str) {
        self.ledger.claims.insert(id.into(), Claim::Reserved { run: "other".into() });
        self.removed(id, None);
    }

    /// A removal in the ledger's books, of every subsystem.
    pub(crate) fn removed(&mut self, id: &str, at: Option<Time>) {
        let subsystems: BTreeSet<SubsystemName> = self.policies.subsystems.keys().cloned().collect();
        let units = subsystems.iter().map(|name| (name.clone(), 1)).collect();
        self.ledger.removals.push(Removal { host: id.into(), run: "other".into(), subsystems, units, at });
    }

    pub(crate) fn snapshot(&self) -> FleetSnapshot {
        let members = |name: &GroupName, in_service: bool| {
            let all = self.hosts.iter().filter(|h| h.group.as_ref() == Some(name));
            all.filter(|h| !in_service || h.state == HostState::InService).count() as u64
        };
        let names: BTreeSet<&GroupName> = self.hosts.iter().filter_map(|h| h.group.as_ref()).collect();
        let groups = names.into_iter().map(|name| Group {
            name: name.clone(),
            min_size: self.groups.get(name).copied().unwrap_or(0),
            max_size: self.group_maximum,
            desired: members(name, true),
            stated_members: members(name, false),
            launch_failure: self.launch_failure.clone(),
            ledger: None,
            suspended: BTreeSet::new(),
            deleting: false,
            obstacles: Vec::new(),
            changes: self.group_changes.clone(),
            notes: Vec::new(),
        });
        FleetSnapshot::new(self.now, self.now, self.hosts.iter().cloned(), groups, self.mark.clone())
            .expect("no contradiction")
    }

    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let snapshot = self.snapshot();
        question(&self.inputs(&snapshot))
    }

    pub(crate) fn inputs<'a>(&'a self, snapshot: &'a FleetSnapshot) -> Inputs<'a> {
        Inputs {
            policies: &self.policies,
            snapshot,
            ledger: &self.ledger,
            bad_probes: &self.bad_probes,
            identity: &self.identity,
            bounds: Bounds::SIMULATED,
            credentials_end: self.credentials_end,
            prove: self.prove,
            now: self.now,
        }
    }

    pub(crate) fn verify(&self, taking: &Taking, stage: Stage) -> Result<Vec<Violation>, AssessError> {
        self.ask(|inputs| verify(inputs, taking, stage))
    }

    /// What a grant of these hosts violates: rule, subsystem or group or host, zone, required and remaining.
    pub(crate) fn refusals(&self, hosts: &[&str]) -> Vec<String> {
        let found = self.verify(&taking(hosts), Stage::Grant).expect("the fleet can be judged");
        found.iter().map(brief).collect()
    }
}

/// The plan for a removal of `count` hosts.
pub(crate) fn counted(world: &World, subsystem: &str, count: u64) -> Plan {
    let request = Request {
        subsystem: subsystem.into(),
        selection: Selection::counted(count),
        reason: None,
        request_id: None,
        expect_remaining: None,
    };
    world.ask(|inputs| plan(inputs, &request)).expect("the fleet can be judged")
}

pub(crate) fn ids(hosts: &[&str]) -> BTreeSet<HostId> {
    hosts.iter().map(|h| HostId::from(*h)).collect()
}

pub(crate) fn taking(hosts: &[&str]) -> Taking {
    Taking { hosts: ids(hosts), out: BTreeSet::new() }
}

pub(crate) fn rule_name(rule: Rule) -> String {
    serde_json::to_value(rule).expect("a rule has a name").as_str().expect("a text").to_owned()
}

/// `minimum index 59/60`
pub(crate) fn brief(violation: &Violation) -> String {
    let mut text = rule_name(violation.rule);
    let names = [
        violation.subsystem.as_ref().map(ToString::to_string),
        violation.zone.as_ref().map(ToString::to_string),
        violation.group.as_ref().map(ToString::to_string),
        violation.host.as_ref().map(ToString::to_string),
    ];
    for name in names.into_iter().flatten() {
        text.push(' ');
        text.push_str(&name);
    }
    if let (Some(required), Some(remaining)) = (violation.required, violation.remaining) {
        text.push_str(&format!(" {remaining}/{required}"));
    }
    text
}

/// What an observation of this scope would show of the fleet.
pub(crate) fn part(seen: &FleetSnapshot, scope: Scope) -> FleetSnapshot {
    let mut names = scope.groups.clone();
    // A host brings its group, with every member.
    names.extend(scope.hosts.iter().filter_map(|id| seen.host(id)?.group.clone()));
    let is_member = |host: &Host| host.group.as_ref().is_some_and(|name| names.contains(name));
    let hosts = seen.hosts().filter(|host| scope.hosts.contains(&host.id) || is_member(host)).cloned();
    let groups = seen.groups().filter(|group| names.contains(&group.name)).cloned();
    let part = FleetSnapshot::new(seen.begun_at, seen.completed_at, hosts, groups, seen.mark.clone());
    let of_hosts = || scope.hosts.iter().cloned();
    part.expect("consistent")
        .with_contradictions(seen.contradictions.clone())
        .with_held(of_hosts().filter_map(|id| Some((id.clone(), seen.held(&id)?.to_owned()))).collect())
        .with_departures(of_hosts().filter_map(|id| Some((id.clone(), seen.departure(&id)?.clone()))).collect())
        .with_launches(names.iter().map(|name| (name.clone(), seen.launches(name).to_vec())).collect())
        .proving_removals(seen.proves_removals)
        .within(Some(scope))
}
