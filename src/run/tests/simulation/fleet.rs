//! The shared fleet of the simulation: a provider with a past, which it shows late, and calls that land when they like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Call, CallOutcome, Effect, FleetMark, FleetSnapshot, Group, GroupName, Health, Host, HostId, HostState, OwnChanges,
    Process, Time,
};
use crate::plan::testing::Seeded;

/// A call that was signed further from the provider's time than this is refused.
/// Source: AWS General Reference, "Signature Version 4": requests are valid for five minutes, and more for some services.
const SKEW: Duration = Duration::from_secs(900);

/// A change of a host that no run made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Vanishes,
    /// It is on its way out, unasked, and vanishes later.
    Leaves,
    /// Its health is this from then on.
    Turns(Health),
}

/// What a host was from some moment on; `None` is gone.
type Was = (Time, Option<(HostState, Health)>);

pub(super) struct SimHost {
    pub(super) role: &'static str,
    zone: &'static str,
    past: Vec<Was>,
}

impl SimHost {
    fn at(&self, time: Time) -> Option<(HostState, Health)> {
        self.past.iter().rev().find(|(from, _)| *from <= time).or(self.past.first()).and_then(|(_, was)| *was)
    }

    pub(super) fn now(&self) -> Option<(HostState, Health)> {
        self.past.last().and_then(|(_, was)| *was)
    }

    pub(super) fn serves(&self, subsystem: &str) -> bool {
        self.role == subsystem || self.role == "both"
    }
}

pub(super) struct Fleet {
    pub(super) hosts: BTreeMap<HostId, SimHost>,
    pub(super) suspended: BTreeMap<GroupName, BTreeSet<Process>>,
    /// A provider without this mechanism takes calls however late they come.
    pub(super) heeds_not_after: bool,
    /// Hosts that may or may not serve are shown as if they did.
    pub(super) hides_doubt: bool,
}

impl Fleet {
    /// Seven hosts of each subsystem alone, and three that serve both.
    pub(super) fn new(start: Time) -> Self {
        let mut hosts = BTreeMap::new();
        for (role, count) in [("index", 7), ("billing", 7), ("both", 3)] {
            for n in 1..=count {
                let host = SimHost {
                    role,
                    zone: ["a", "b", "c"][n % 3],
                    past: vec![(start, Some((HostState::InService, Health::Healthy)))],
                };
                hosts.insert(HostId::new(format!("{role}-{n:04}")), host);
            }
        }
        Self { hosts, suspended: BTreeMap::new(), heeds_not_after: true, hides_doubt: false }
    }

    /// What the provider shows: each host as it was at some moment of the last `lag`.
    /// `stamp` is what the clock of whoever looks says.
    pub(super) fn observe(&self, now: Time, stamp: Time, lag: Duration, seeded: &mut Seeded) -> FleetSnapshot {
        let mut shown = Vec::new();
        for (id, host) in &self.hosts {
            let back = if seeded.chance(2) { Duration::ZERO } else { seeded.up_to(lag) };
            let Some((state, health)) = host.at(now.minus(back)) else { continue };
            shown.push(Host {
                id: id.clone(),
                zone: host.zone.into(),
                group: Some(GroupName::new(host.role)),
                instance_type: "m6i.large".into(),
                tags: [("role", host.role)].into(),
                state,
                health: if self.hides_doubt && health == Health::Doubtful { Health::Healthy } else { health },
                launched_at: Time::from_millis(0),
                protection: None,
                ledger: None,
                target_groups: BTreeSet::new(),
                address: None,
                target_health: BTreeMap::new(),
                obstacles: Vec::new(),
            });
        }
        let groups = ["index", "billing", "both"].map(|name| {
            let members = shown.iter().filter(|h| h.group.as_ref().is_some_and(|g| g.as_str() == name));
            let in_service = members.clone().filter(|h| h.state == HostState::InService).count();
            Group {
                name: GroupName::new(name),
                min_size: 0,
                max_size: 100,
                desired: in_service as u64,
                stated_members: members.count() as u64,
                launch_failure: None,
                ledger: None,
                suspended: self.suspended.get(&GroupName::new(name)).cloned().unwrap_or_default(),
                deleting: false,
                obstacles: Vec::new(),
                changes: OwnChanges::default(),
                notes: Vec::new(),
            }
        });
        FleetSnapshot::new(stamp, stamp, shown, groups, FleetMark::Open).expect("consistent")
    }

    /// How many hosts of a subsystem serve.
    pub(super) fn serving(&self, subsystem: &str) -> usize {
        let serves =
            |host: &&SimHost| host.serves(subsystem) && host.now() == Some((HostState::InService, Health::Healthy));
        self.hosts.values().filter(serves).count()
    }

    pub(super) fn set(&mut self, id: &HostId, now: Time, was: Option<(HostState, Health)>) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.past.push((now, was));
        }
    }

    /// A call reaches the provider.
    pub(super) fn land(&mut self, call: &Call, now: Time) -> CallOutcome {
        let refused = |message: String| CallOutcome::Refused { message, retryable: false };
        if self.heeds_not_after && now > call.not_after {
            return refused("it comes too late".to_owned());
        }
        if call.intent_at.since(now) > SKEW || now.since(call.intent_at) > SKEW {
            return refused("it was signed by a clock that disagrees".to_owned());
        }
        let states: Vec<_> =
            call.effect.hosts().into_iter().map(|id| (id.clone(), self.hosts.get(id).and_then(SimHost::now))).collect();
        let (needs, becomes) = match &call.effect {
            Effect::Cordon { .. } => (Some(HostState::InService), Some(HostState::Cordoned)),
            Effect::Restore { .. } => (Some(HostState::Cordoned), Some(HostState::InService)),
            // As a provider does: whatever state the host is in.
            Effect::Terminate { .. } => (None, None),
            Effect::Suspend { group, process } => {
                self.suspended.entry(group.clone()).or_default().insert(*process);
                return CallOutcome::Done;
            }
            Effect::Resume { group, process } => {
                self.suspended.entry(group.clone()).or_default().remove(process);
                return CallOutcome::Done;
            }
            Effect::Adopt { .. } | Effect::RaiseMinimum { .. } => return CallOutcome::Done,
        };
        for (id, state) in &states {
            match state {
                None => return refused(format!("{id} does not exist")),
                Some((HostState::Terminating, _)) => return refused(format!("{id} is on its way out")),
                Some((state, _)) if needs.is_some_and(|needs| needs != *state) => {
                    return refused(format!("{id} is {state:?}"));
                }
                Some(_) => {}
            }
        }
        for (id, state) in states {
            let health = state.map_or(Health::Failed, |(_, health)| health);
            self.set(&id, now, becomes.map(|state| (state, health)));
        }
        CallOutcome::Done
    }
}
