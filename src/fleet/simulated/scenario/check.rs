//! Checks the parsed file and returns a [`Scenario`]: every number, name and reference is checked, and each error
//! points at the text that caused it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::{Spanned, Value};

use super::error::Finding;
use super::raw::{Ids, RawAfter, RawEvent, RawFault, RawLoad, RawPool, RawScenario};
use super::{Blueprint, ClockKind, Condition, Fault, FaultError, FaultTime, FaultyCall, Load, Pool, Scenario};
use super::{ScenarioEvent, TiedEvent};
use crate::model::{
    GroupName, Health, Host, HostId, HostState, Ordered, Protection, SubsystemName, Time, ZoneName, parse_duration,
};

/// A scenario with more hosts than this is a typing error, and would only exhaust the memory.
const MOST_HOSTS: u64 = 1_000_000;

pub(super) fn scenario(raw: RawScenario, digest: String) -> Result<Scenario, Finding> {
    let mut pools = BTreeMap::new();
    let mut made = Vec::new();
    for pool in raw.hosts {
        add_pool(pool.into_inner(), &mut pools, &mut made)?;
    }
    // No id is there twice: up to its last `-`, it is the name of its pool.
    let hosts = Ordered::of(made).map_err(|twice| Finding::new(None, format!("host `{twice}` is there twice")))?;
    let mut load = BTreeMap::new();
    for entry in raw.load {
        add_load(&entry, &mut load)?;
    }
    let (mut events, mut tied) = (Vec::new(), Vec::new());
    for entry in raw.events {
        let event = event(&entry, &hosts, &load)?;
        match &entry.get_ref().after {
            None => events.push(event),
            Some(after) => tied.push(TiedEvent { after: condition(after, &pools, &hosts)?, event }),
        }
    }
    events.sort_by_key(|e| e.at);
    let faults = raw.faults.iter().map(fault).collect::<Result<_, _>>()?;
    Ok(Scenario {
        clock: clock(raw.clock.as_ref())?,
        start: raw.start.as_ref().map(|v| time(v.get_ref(), v.span())).transpose()?,
        seed: raw.seed,
        prove_removals: raw.prove_removals,
        pools,
        hosts,
        load,
        events,
        tied,
        faults,
        digest,
    })
}

pub(super) fn clock(value: Option<&Spanned<Value>>) -> Result<ClockKind, Finding> {
    let Some(value) = value else { return Ok(ClockKind::Virtual) };
    let speed = match value.get_ref() {
        Value::String(word) if word == "virtual" => return Ok(ClockKind::Virtual),
        Value::String(word) if word == "real" => 1.0,
        #[expect(clippy::cast_precision_loss, reason = "a speed-up of more than 2^53 is no use to anyone")]
        Value::Integer(speed) => *speed as f64,
        Value::Float(speed) => *speed,
        other => {
            let finding = Finding::at(value.span(), format!("{other} is no clock"));
            return Err(match other {
                Value::String(word) => finding.nearest(word, ["virtual", "real"]),
                _ => finding.help("`\"virtual\"`, `\"real\"`, or a speed-up such as `60`"),
            });
        }
    };
    if speed.is_finite() && speed > 0.0 {
        Ok(ClockKind::Real(speed))
    } else {
        Err(Finding::at(value.span(), "a clock's speed-up is a positive, finite number"))
    }
}

fn time(value: &Value, span: Range<usize>) -> Result<Time, Finding> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Datetime(datetime) => datetime.to_string(),
        other => return Err(Finding::at(span, format!("{other} is no time")).help(TIME_HELP)),
    };
    text.parse().map_err(|e| Finding::at(span, format!("`{text}` is no time: {e}")).help(TIME_HELP))
}

const TIME_HELP: &str = "a time with its offset, such as `2017-02-28T17:37:00Z`";

/// A whole number and its unit (contract section 4).
fn duration(text: &Spanned<String>) -> Result<Duration, Finding> {
    parse_duration(text.get_ref()).map_err(|_| {
        Finding::at(text.span(), format!("`{}` is no duration", text.get_ref()))
            .help("a whole number and `ms`, `s`, `m`, `h` or `d`: `\"90s\"`, `\"7m\"`")
    })
}

fn number(value: &Spanned<f64>, key: &str, positive: bool) -> Result<f64, Finding> {
    let number = *value.get_ref();
    if number.is_finite() && (number > 0.0 || !positive && number == 0.0) {
        return Ok(number);
    }
    let wanted = if positive { "a positive" } else { "zero or a positive" };
    Err(Finding::at(value.span(), format!("`{key}` is {wanted} finite number, not {number}")))
}

fn add_pool(raw: RawPool, pools: &mut BTreeMap<GroupName, Pool>, hosts: &mut Vec<Blueprint>) -> Result<(), Finding> {
    let name = raw.pool.get_ref();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(Finding::at(raw.pool.span(), format!("{name:?} is no name of a pool"))
            .help("letters, digits, `-`, `_` and `.`"));
    }
    let group = GroupName::new(name.as_str());
    if pools.contains_key(&group) {
        return Err(Finding::at(raw.pool.span(), format!("pool `{name}` is there twice")));
    }
    let count = *raw.count.get_ref();
    if count > MOST_HOSTS.saturating_sub(hosts.len() as u64) {
        return Err(Finding::at(raw.count.span(), format!("more than {MOST_HOSTS} hosts in one fleet")));
    }
    if let Some(zone) = raw.zones.get_ref().iter().find(|z| z.get_ref().is_empty()) {
        return Err(Finding::at(zone.span(), "a zone needs a name"));
    }
    if raw.zones.get_ref().is_empty() {
        return Err(Finding::at(raw.zones.span(), format!("pool `{name}` is in no zone")));
    }
    hosts.reserve(usize::try_from(count).unwrap_or_default());

    let known = Known { pool: name, count };
    let unhealthy = id_list(&raw.unhealthy, known)?;
    let doubtful = id_list(&raw.doubtful, known)?;
    if let Some(both) = raw.doubtful.iter().find(|id| unhealthy.contains(id.get_ref().as_str())) {
        let message = format!("host `{}` is both unhealthy and doubtful", both.get_ref());
        return Err(Finding::at(both.span(), message));
    }
    let protected = id_list(&raw.protected, known)?;
    let states = states(&raw, known)?;
    for id in raw.host_tags.keys() {
        known.check(id)?;
    }
    let launched = launched_at(raw.launched_at.as_ref(), known)?;

    // Counted as Auto Scaling counts: a host in standby gave up its desired capacity, and a terminating host has none.
    let out = states.values().filter(|s| matches!(s, HostState::Cordoned | HostState::Terminating)).count();
    let desired = count - out as u64;
    let minimum = raw.group_minimum.as_ref().map_or(0, |m| *m.get_ref());
    let maximum = raw.group_maximum.as_ref().map_or(count.max(minimum), |m| *m.get_ref());
    if let Some(stated) = raw.group_maximum.as_ref().filter(|_| maximum < minimum.max(desired)) {
        let message = format!("`group_maximum` is {maximum}, below the group's {}", {
            if maximum < minimum { format!("minimum of {minimum}") } else { format!("{desired} hosts in service") }
        });
        return Err(Finding::at(stated.span(), message));
    }
    let launch_failure = launches_fail(raw.launches_fail.as_ref())?;
    pools.insert(group.clone(), Pool { minimum, maximum, launch_failure });

    let zones: Vec<ZoneName> = raw.zones.get_ref().iter().map(|zone| zone.get_ref().as_str().into()).collect();
    let instance_type: Arc<str> = raw.instance_type.as_deref().unwrap_or("simulated").into();
    for (id, zone) in known.ids().zip(zones.iter().cycle()) {
        let tags = match raw.host_tags.get(id.as_str()) {
            Some(own) => raw.tags.with(own),
            None => raw.tags.clone(),
        };
        let health = match id.as_str() {
            id if unhealthy.contains(id) => Health::Failed,
            id if doubtful.contains(id) => Health::Doubtful,
            _ => Health::Healthy,
        };
        let launched_at = launched.each.get(id.as_str()).copied().or(launched.all);
        let host = Host {
            id: HostId::new(id.as_str()),
            zone: zone.clone(),
            group: Some(group.clone()),
            instance_type: Arc::clone(&instance_type),
            tags,
            state: states.get(id.as_str()).copied().unwrap_or(HostState::InService),
            health,
            launched_at: launched_at.unwrap_or(Time::from_millis(0)),
            protection: protected.contains(id.as_str()).then_some(Protection::ScaleIn),
            ledger: None,
            address: address_of(hosts.len()),
            target_groups: BTreeSet::new(),
            target_health: BTreeMap::new(),
            obstacles: Vec::new(),
        };
        hosts.push(Blueprint { host, launched_at });
    }
    Ok(())
}

/// The hosts of a pool, by number.
#[derive(Clone, Copy)]
struct Known<'a> {
    pool: &'a str,
    count: u64,
}

impl Known<'_> {
    fn id(self, number: u64) -> String {
        format!("{}-{number:04}", self.pool)
    }

    fn ids(self) -> impl Iterator<Item = String> {
        (1..=self.count).map(move |number| self.id(number))
    }

    /// That it is the id of one of them.
    fn check(self, id: &Spanned<String>) -> Result<(), Finding> {
        let wanted = id.get_ref();
        let number = wanted.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        if number.is_some_and(|number| (1..=self.count).contains(&number) && self.id(number) == *wanted) {
            return Ok(());
        }
        let ids: Vec<String> = self.ids().collect();
        let finding = Finding::at(id.span(), format!("pool `{}` has no host `{wanted}`", self.pool));
        Err(finding.nearest(wanted, ids.iter().map(String::as_str)))
    }
}

fn id_list<'a>(list: &'a Ids, known: Known<'_>) -> Result<BTreeSet<&'a str>, Finding> {
    let mut ids = BTreeSet::new();
    for id in list {
        known.check(id)?;
        if !ids.insert(id.get_ref().as_str()) {
            return Err(Finding::at(id.span(), format!("host `{}` is listed twice", id.get_ref())));
        }
    }
    Ok(ids)
}

fn states<'a>(raw: &'a RawPool, known: Known<'_>) -> Result<BTreeMap<&'a str, HostState>, Finding> {
    let mut states = BTreeMap::new();
    for (list, state) in [
        (&raw.standby, HostState::Cordoned),
        (&raw.pending, HostState::Pending),
        (&raw.terminating, HostState::Terminating),
    ] {
        for id in list {
            known.check(id)?;
            if states.insert(id.get_ref().as_str(), state).is_some() {
                let message = format!("host `{}` is in more than one of standby, pending, terminating", id.get_ref());
                return Err(Finding::at(id.span(), message));
            }
        }
    }
    Ok(states)
}

#[derive(Default)]
struct Launched {
    all: Option<Time>,
    each: BTreeMap<String, Time>,
}

fn launched_at(value: Option<&Spanned<Value>>, known: Known<'_>) -> Result<Launched, Finding> {
    let Some(value) = value else { return Ok(Launched::default()) };
    let span = value.span();
    let Value::Table(table) = value.get_ref() else {
        return Ok(Launched { all: Some(time(value.get_ref(), span)?), each: BTreeMap::new() });
    };
    let mut each = BTreeMap::new();
    for (id, at) in table {
        known.check(&Spanned::new(span.clone(), id.clone()))?;
        each.insert(id.clone(), time(at, span.clone())?);
    }
    Ok(Launched { all: None, each })
}

fn launches_fail(value: Option<&Spanned<Value>>) -> Result<Option<String>, Finding> {
    match value.map(|v| (v.get_ref(), v)) {
        None | Some((Value::Boolean(false), _)) => Ok(None),
        Some((Value::Boolean(true), _)) => {
            Ok(Some("InsufficientInstanceCapacity: the provider has no capacity for this instance type".to_owned()))
        }
        Some((Value::String(words), _)) if !words.is_empty() => Ok(Some(words.clone())),
        Some((other, at)) => Err(Finding::at(at.span(), format!("`launches_fail` cannot be {other}"))
            .help("`true`, `false`, or the provider's words")),
    }
}

fn add_load(raw: &RawLoad, load: &mut BTreeMap<SubsystemName, Load>) -> Result<(), Finding> {
    let name = SubsystemName::new(raw.subsystem.get_ref().as_str());
    let entry = Load {
        demand: number(&raw.demand, "demand", false)?,
        per_unit: number(&raw.per_unit, "per_unit", true)?,
        latency: number(&raw.latency, "latency", false)?,
    };
    match load.insert(name, entry) {
        None => Ok(()),
        Some(_) => {
            Err(Finding::at(raw.subsystem.span(), format!("subsystem `{}` has two loads", raw.subsystem.get_ref())))
        }
    }
}

fn event(
    raw: &Spanned<RawEvent>,
    hosts: &Ordered<Blueprint>,
    load: &BTreeMap<SubsystemName, Load>,
) -> Result<ScenarioEvent, Finding> {
    let (span, raw) = (raw.span(), raw.get_ref());
    if raw.fail.is_empty()
        && raw.doubt.is_empty()
        && raw.recover.is_empty()
        && raw.vanish.is_empty()
        && raw.demand.is_none()
    {
        let finding = Finding::at(span, "an event in which nothing happens");
        return Err(finding.help("`fail`, `doubt`, `recover`, `vanish` or `demand`"));
    }
    if raw.at.is_none() && raw.after.is_none() {
        return Err(Finding::at(span, "an event that never happens").help(
            "`at = \"5m\"` counts from the fleet's creation; `after = { terminated = 2 }` waits for a state of the fleet",
        ));
    }
    let ids = |list: &Ids| -> Result<Vec<HostId>, Finding> {
        list.iter()
            .map(|id| match hosts.get(id.get_ref().as_str()) {
                Some(known) => Ok(known.host.id.clone()),
                None => Err(Finding::at(id.span(), format!("the fleet has no host `{}`", id.get_ref()))
                    .nearest(id.get_ref(), hosts.iter().map(|known| known.host.id.as_str()))),
            })
            .collect()
    };
    let (fail, doubt, recover) = (ids(&raw.fail)?, ids(&raw.doubt)?, ids(&raw.recover)?);
    let vanish = ids(&raw.vanish)?;
    for (one, other, words) in [
        (&raw.fail, &raw.recover, "fails and recovers"),
        (&raw.fail, &raw.doubt, "fails and becomes doubtful"),
        (&raw.doubt, &raw.recover, "becomes doubtful and recovers"),
    ] {
        if let Some(both) = other.iter().find(|id| one.contains(id)) {
            return Err(Finding::at(both.span(), format!("host `{}` {words} at once", both.get_ref())));
        }
    }
    let demand = raw.demand.as_ref().map(|demand| {
        let name = demand.subsystem.get_ref();
        match load.get_key_value(name.as_str()) {
            Some((known, _)) => Ok((known.clone(), number(&demand.factor, "factor", false)?)),
            None => Err(Finding::at(demand.subsystem.span(), format!("subsystem `{name}` has no `[[load]]`"))
                .nearest(name, load.keys().map(SubsystemName::as_str))),
        }
    });
    let at = raw.at.as_ref().map_or(Ok(Duration::ZERO), duration)?;
    Ok(ScenarioEvent { at, fail, doubt, recover, vanish, demand: demand.transpose()? })
}

fn condition(
    raw: &Spanned<RawAfter>,
    pools: &BTreeMap<GroupName, Pool>,
    hosts: &Ordered<Blueprint>,
) -> Result<Condition, Finding> {
    let (span, raw) = (raw.span(), raw.get_ref());
    let pool = raw.pool.as_ref().map(|pool| match pools.get_key_value(pool.get_ref().as_str()) {
        Some((known, _)) => Ok(known.clone()),
        None => Err(Finding::at(pool.span(), format!("the fleet has no pool `{}`", pool.get_ref()))
            .nearest(pool.get_ref(), pools.keys().map(GroupName::as_str))),
    });
    let pool = pool.transpose()?;
    let count = |of: &Option<Spanned<u64>>| match of.as_ref().map(|count| (*count.get_ref(), count.span())) {
        None => Ok(0),
        Some((0, span)) => Err(Finding::at(span, "hosts are counted from 1")),
        Some((count, _)) => Ok(count),
    };
    let (cordoned, terminated) = (count(&raw.cordoned)?, count(&raw.terminated)?);
    if cordoned == 0 && terminated == 0 {
        return Err(Finding::at(span, "`after` waits for nothing").help("`cordoned` or `terminated`: how many hosts"));
    }
    let counted = pools.iter().filter(|(name, _)| pool.as_ref().is_none_or(|pool| pool == *name));
    let most: u64 = counted.map(|(name, pool)| most_out(name, pool, hosts)).sum();
    let wanted = cordoned.saturating_add(terminated);
    if wanted > most {
        let whose = pool.as_ref().map_or_else(|| "the fleet".to_owned(), |pool| format!("pool `{pool}`"));
        let message = format!(
            "`after` waits for {wanted} hosts of {whose}, of which at most {most} can be out of service at once"
        );
        return Err(Finding::at(span, message).help("`group_minimum` keeps the others in service"));
    }
    Ok(Condition { pool, cordoned, terminated })
}

/// The most hosts of a pool that can be cordoned or gone: the provider refuses to go below the group's minimum, and nobody
/// can cordon or terminate a host that is terminating.
fn most_out(name: &GroupName, pool: &Pool, hosts: &Ordered<Blueprint>) -> u64 {
    let (mut desired, mut out) = (0_u64, 0);
    for blueprint in hosts.iter().filter(|blueprint| blueprint.host.group.as_ref() == Some(name)) {
        match blueprint.host.state {
            HostState::InService | HostState::Pending => desired += 1,
            HostState::Cordoned => out += 1,
            HostState::Terminating => {}
        }
    }
    out + desired.saturating_sub(pool.minimum)
}

fn fault(raw: &Spanned<RawFault>) -> Result<Fault, Finding> {
    let (span, raw) = (raw.span(), raw.get_ref());
    let (count, when): (_, fn(u64) -> FaultTime) = match (&raw.nth, &raw.every) {
        (Some(nth), None) => (nth, FaultTime::Nth),
        (None, Some(every)) => (every, FaultTime::Every),
        _ => return Err(Finding::at(span, "a fault has either `nth` or `every`")),
    };
    if *count.get_ref() == 0 {
        return Err(Finding::at(count.span(), "calls are counted from 1"));
    }
    let of_reads = match raw.error.get_ref() {
        FaultError::Partial => Some("partial"),
        FaultError::Stale => Some("stale"),
        FaultError::Throttled | FaultError::Internal | FaultError::Timeout | FaultError::LostReply => None,
    };
    if let Some(word) = of_reads.filter(|_| raw.call != FaultyCall::Observe) {
        return Err(Finding::at(raw.error.span(), format!("only `observe` can be `{word}`")));
    }
    Ok(Fault { call: raw.call, when: when(*count.get_ref()), error: *raw.error.get_ref() })
}

/// The private address of the host with this index: 10.0.0.1 and on.
fn address_of(index: usize) -> Option<core::net::IpAddr> {
    const FIRST: u32 = 0x0a00_0001;
    let number = FIRST.checked_add(u32::try_from(index).ok()?)?;
    Some(core::net::Ipv4Addr::from_bits(number).into())
}
