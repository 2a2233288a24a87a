//! [`State`]: the state of a simulated fleet, and how a call or an event changes it. Pure: `store` has the files,
//! `clock` the clock.
//!
//! The properties that never change in a host's life (zone, tags, type) stay in the scenario; the state names the hosts
//! that are not gone.

mod listed;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use listed::listed;

use super::past::Replaced;
use super::scenario::{Blueprint, Scenario, TiedEvent};
use super::status::{GroupState, HostStatus};
use super::tied::{Due, Tied};
use crate::model::{
    CALL_HOSTS, Effect, Group, GroupName, Health, Host, HostId, HostState, LedgerId, OwnChanges, SubsystemName, Time,
};

/// Written into the state file; a file with another schema is refused.
pub(super) const SCHEMA: &str = "safe-remove/simulated-fleet/v1";

/// How long before the fleet's creation a host was launched for which the scenario gives no launch time.
const DEFAULT_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything about a simulated fleet that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(crate) schema: String,
    /// Random: distinguishes this fleet from an earlier one in the same place.
    pub(crate) fleet: String,
    /// The digest of the scenario that it was created from.
    pub(crate) scenario: String,
    /// The fleet's own time.
    pub(crate) created_at: Time,
    /// The machine's time at that moment: the origin of a running clock.
    pub(crate) created_on_machine: Time,
    /// The ledger that governs the fleet, from its first run on.
    pub(crate) ledger: Option<LedgerId>,
    /// How many of the scenario's events that count from the creation have fired.
    pub(crate) events_fired: usize,
    /// The events that are tied to the fleet's state, by number, once their condition was met.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tied: BTreeMap<usize, Tied>,
    /// Factors on the scenario's demand, where events set one.
    pub(crate) demand: BTreeMap<SubsystemName, f64>,
    pub(crate) groups: BTreeMap<GroupName, GroupState>,
    /// Hosts that are not gone.
    #[serde(deserialize_with = "listed")]
    pub(crate) hosts: BTreeMap<HostId, HostStatus>,
    /// The parts that the last changes replaced, oldest first; empty where answers never lie in the past.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) past: Vec<Replaced>,
}

/// Why the provider refused a call. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallRefusal(pub String);

impl State {
    /// The fleet as the scenario describes it.
    pub(super) fn create(scenario: &Scenario, fleet: String, created_at: Time, created_on_machine: Time) -> Self {
        let hosts: BTreeMap<_, _> =
            scenario.hosts.iter().map(|b| (b.host.id.clone(), HostStatus::new(b.host.state, b.host.health))).collect();
        let mut groups: BTreeMap<_, _> =
            scenario.pools.keys().map(|name| (name.clone(), GroupState::default())).collect();
        for blueprint in scenario.hosts.iter() {
            let counts = matches!(blueprint.host.state, HostState::InService | HostState::Pending);
            if let Some(group) = blueprint.host.group.as_ref().and_then(|g| groups.get_mut(g)).filter(|_| counts) {
                group.desired += 1;
            }
        }
        let mut state = Self {
            schema: SCHEMA.to_owned(),
            fleet,
            scenario: scenario.digest.clone(),
            created_at,
            created_on_machine,
            ledger: None,
            events_fired: 0,
            tied: BTreeMap::new(),
            demand: BTreeMap::new(),
            groups,
            hosts,
            past: Vec::new(),
        };
        state.meet(scenario, created_at);
        state
    }

    /// Writes down which conditions of tied events are met for the first time. Only calls can meet one, so this is asked
    /// after every call.
    pub(super) fn meet(&mut self, scenario: &Scenario, now: Time) {
        for (number, TiedEvent { after, .. }) in scenario.tied.iter().enumerate() {
            if !self.tied.contains_key(&number) && after.is_met(scenario, &self.hosts) {
                self.tied.insert(number, Tied { met_at: now, fired: false });
            }
        }
    }

    /// The events that are due and have not fired, in the order of their time; of the same instant, tied ones last.
    pub(super) fn due<'a>(&self, scenario: &'a Scenario, now: Time) -> Vec<Due<'a>> {
        let of_clock = scenario.events.get(self.events_fired..).unwrap_or_default().iter();
        let of_clock = of_clock.map(|event| Due { at: self.created_at.plus(event.at), event, tied: None });
        let waiting = self.tied.iter().filter(|(_, tied)| !tied.fired);
        let tied = waiting.filter_map(|(number, Tied { met_at, .. })| {
            let event = &scenario.tied.get(*number)?.event;
            Some(Due { at: met_at.plus(event.at), event, tied: Some(*number) })
        });
        let mut due: Vec<_> = of_clock.chain(tied).filter(|due| due.at <= now).collect();
        due.sort_by_key(|due| due.at);
        due
    }

    /// Fires one event. A host that is gone stays gone.
    pub(super) fn fire(&mut self, scenario: &Scenario, Due { event, tied, .. }: &Due<'_>) {
        let all = [(&event.fail, Health::Failed), (&event.doubt, Health::Doubtful), (&event.recover, Health::Healthy)];
        for (ids, health) in all {
            for id in ids {
                if let Some(host) = self.hosts.get_mut(id) {
                    *host = HostStatus::new(host.state, health);
                }
            }
        }
        for id in &event.vanish {
            let counted = |gone: HostStatus| matches!(gone.state, HostState::InService | HostState::Pending);
            let of = scenario.hosts.get(id.as_str()).and_then(|blueprint| blueprint.host.group.as_ref());
            if self.hosts.remove(id).is_some_and(counted)
                && let Some(group) = of.and_then(|name| self.groups.get_mut(name))
            {
                group.desired = group.desired.saturating_sub(1);
            }
        }
        if let Some((subsystem, factor)) = &event.demand {
            self.demand.insert(subsystem.clone(), *factor);
        }
        match tied.and_then(|number| self.tied.get_mut(&number)) {
            Some(tied) => tied.fired = true,
            None => self.events_fired += 1,
        }
    }

    /// Every host that is not gone, as an observation lists it.
    pub(super) fn hosts<'a>(&'a self, scenario: &'a Scenario) -> impl Iterator<Item = Host> + 'a {
        self.blueprints(scenario).map(|(blueprint, status)| {
            let launched_at = blueprint.launched_at.unwrap_or_else(|| self.created_at.minus(DEFAULT_AGE));
            Host { state: status.state, health: status.health(), launched_at, ..blueprint.host.clone() }
        })
    }

    /// Every host that is not gone, with its state: both lists are in the order of ids.
    fn blueprints<'a>(&'a self, scenario: &'a Scenario) -> impl Iterator<Item = (&'a Blueprint, HostStatus)> {
        let mut of = scenario.hosts.iter().peekable();
        self.hosts.iter().filter_map(move |(id, status)| {
            while of.next_if(|blueprint| blueprint.host.id < *id).is_some() {}
            of.next_if(|blueprint| blueprint.host.id == *id).map(|blueprint| (blueprint, *status))
        })
    }

    /// Every group, as an observation lists it.
    pub(super) fn groups<'a>(&'a self, scenario: &'a Scenario) -> impl Iterator<Item = Group> + 'a {
        let mut members: BTreeMap<&GroupName, u64> = BTreeMap::new();
        for (blueprint, _) in self.blueprints(scenario) {
            if let Some(group) = &blueprint.host.group {
                *members.entry(group).or_default() += 1;
            }
        }
        scenario.pools.iter().filter_map(move |(name, pool)| {
            let state = self.groups.get(name)?;
            Some(Group {
                name: name.clone(),
                min_size: state.minimum.unwrap_or(pool.minimum),
                max_size: pool.maximum,
                desired: state.desired,
                stated_members: members.get(name).copied().unwrap_or(0),
                launch_failure: pool.launch_failure.clone(),
                ledger: None,
                suspended: state.suspended.clone(),
                deleting: false,
                obstacles: Vec::new(),
                changes: OwnChanges::default(),
                notes: Vec::new(),
            })
        })
    }

    /// Performs a call completely, or not at all.
    pub(super) fn perform(&mut self, scenario: &Scenario, effect: &Effect) -> Result<(), CallRefusal> {
        match effect {
            Effect::Cordon { group, hosts } => {
                let ids: Vec<_> = hosts.keys().collect();
                self.check_hosts(scenario, group.as_ref(), &ids, HostState::InService)?;
                self.lower(scenario, group.as_ref(), ids.len() as u64)?;
                self.set(&ids, HostState::Cordoned);
            }
            Effect::Restore { group, hosts } => {
                let ids: Vec<_> = hosts.keys().collect();
                self.check_hosts(scenario, group.as_ref(), &ids, HostState::Cordoned)?;
                self.raise(scenario, group.as_ref(), ids.len() as u64)?;
                self.set(&ids, HostState::InService);
            }
            Effect::Terminate { group, host } => {
                let status = self.status(scenario, group.as_ref(), host)?;
                match status.state {
                    // Standby already gave up its desired capacity when it was entered (docs/aws.md).
                    HostState::Cordoned => {}
                    HostState::InService | HostState::Pending => self.lower(scenario, group.as_ref(), 1)?,
                    HostState::Terminating => return Err(CallRefusal(format!("host {host} is terminating already"))),
                }
                self.hosts.remove(host);
            }
            Effect::Suspend { group, process } => {
                self.group(group)?.suspended.insert(*process);
            }
            Effect::Resume { group, process } => {
                self.group(group)?.suspended.remove(process);
            }
            Effect::RaiseMinimum { group, from, to } => self.raise_minimum(scenario, group, *from, *to)?,
            Effect::Adopt { ledger, replaces, .. } => match &self.ledger {
                // Two first runs with two ledgers would coordinate nothing: the ledger that comes first governs the
                // fleet until somebody who was shown its mark adopts the fleet.
                Some(other) if other != ledger && !replaces.contains(other) => {
                    return Err(CallRefusal(format!("the fleet is governed by ledger {other}")));
                }
                _ => self.ledger = Some(ledger.clone()),
            },
        }
        Ok(())
    }

    /// Keeps the difference to the state before for `settle`; an answer of this fleet never lies further back.
    pub(super) fn remember(&mut self, before: &Self, now: Time, settle: Duration) {
        self.past.retain(|replaced| replaced.at >= now.minus(settle));
        if !settle.is_zero() {
            let (before, after) = ((&before.hosts, &before.groups), (&self.hosts, &self.groups));
            self.past.push(Replaced::of(now, before, after));
        }
    }

    /// The fleet as it was at `then`, as far back as it is remembered.
    pub(super) fn as_of(&self, then: Time) -> Self {
        let mut state = self.clone();
        for replaced in self.past.iter().rev().take_while(|replaced| replaced.at > then) {
            replaced.put_back(&mut state.hosts, &mut state.groups);
        }
        state
    }

    fn group(&mut self, name: &GroupName) -> Result<&mut GroupState, CallRefusal> {
        self.groups.get_mut(name).ok_or_else(|| CallRefusal(format!("there is no group {name}")))
    }

    /// The state of a host that is not gone and is in exactly that group.
    fn status(&self, scenario: &Scenario, group: Option<&GroupName>, id: &HostId) -> Result<HostStatus, CallRefusal> {
        let status = self.hosts.get(id).ok_or_else(|| CallRefusal(format!("there is no host {id}")))?;
        let member_of = scenario.hosts.get(id.as_str()).and_then(|b| b.host.group.as_ref());
        if member_of == group {
            return Ok(*status);
        }
        let name = |g: Option<&GroupName>| g.map_or_else(|| "no group".to_owned(), |g| format!("group {g}"));
        Err(CallRefusal(format!("host {id} is in {}, not in {}", name(member_of), name(group))))
    }

    fn check_hosts(
        &self,
        scenario: &Scenario,
        group: Option<&GroupName>,
        ids: &[&HostId],
        wanted: HostState,
    ) -> Result<(), CallRefusal> {
        if ids.is_empty() || ids.len() > CALL_HOSTS {
            return Err(CallRefusal(format!("a call takes 1 to {CALL_HOSTS} hosts, not {}", ids.len())));
        }
        for id in ids {
            let found = self.status(scenario, group, id)?.state;
            if found != wanted {
                return Err(CallRefusal(format!("host {id} is {}, not {}", in_words(found), in_words(wanted))));
            }
        }
        Ok(())
    }

    /// Lowers desired capacity, as `EnterStandby` does with `ShouldDecrementDesiredCapacity`.
    /// S1: the provider's own minimum, whoever asks.
    fn lower(&mut self, scenario: &Scenario, group: Option<&GroupName>, by: u64) -> Result<(), CallRefusal> {
        let Some(name) = group else { return Ok(()) };
        let of_pool = scenario.pools.get(name).map_or(0, |p| p.minimum);
        let group = self.group(name)?;
        let minimum = group.minimum.unwrap_or(of_pool);
        match group.desired.checked_sub(by).filter(|left| *left >= minimum) {
            Some(left) => group.desired = left,
            None => {
                let desired = group.desired;
                return Err(CallRefusal(format!(
                    "group {name}: desired {desired} less {by} is below its minimum {minimum}"
                )));
            }
        }
        Ok(())
    }

    fn raise_minimum(&mut self, scenario: &Scenario, name: &GroupName, from: u64, to: u64) -> Result<(), CallRefusal> {
        let of_pool = scenario.pools.get(name).map_or(0, |p| p.minimum);
        let group = self.group(name)?;
        let is = group.minimum.unwrap_or(of_pool);
        if is != from {
            return Err(CallRefusal(format!("group {name}: its minimum is {is}, not {from}")));
        }
        if to <= is || to > group.desired {
            let desired = group.desired;
            return Err(CallRefusal(format!(
                "group {name}: {to} is not between its minimum {is} and desired {desired}"
            )));
        }
        group.minimum = Some(to);
        Ok(())
    }

    fn raise(&mut self, scenario: &Scenario, group: Option<&GroupName>, by: u64) -> Result<(), CallRefusal> {
        let Some(name) = group else { return Ok(()) };
        let maximum = scenario.pools.get(name).map_or(0, |p| p.maximum);
        let group = self.group(name)?;
        let desired = group.desired;
        if desired.saturating_add(by) > maximum {
            return Err(CallRefusal(format!(
                "group {name}: desired {desired} and {by} more is above its maximum {maximum}"
            )));
        }
        group.desired = desired + by;
        Ok(())
    }

    fn set(&mut self, ids: &[&HostId], state: HostState) {
        for id in ids {
            if let Some(host) = self.hosts.get_mut(*id) {
                host.state = state;
            }
        }
    }
}

fn in_words(state: HostState) -> &'static str {
    match state {
        HostState::Pending => "pending",
        HostState::InService => "in service",
        HostState::Cordoned => "in standby",
        HostState::Terminating => "terminating",
    }
}

#[cfg(test)]
mod tests;
