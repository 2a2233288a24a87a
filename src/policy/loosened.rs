//! [`loosened`]: where a policy is not provably as strict as the accepted one (rule `policy-loosened`).
//!
//! The burden of proof is on the new policy: each field is either equal, or ordered by a relation stated here, under
//! which the old value allowed everything that the new one allows. Everything else counts as loosened, even if it looks
//! stricter: a wider selector, for example, counts more hosts as capacity. `description` and `owner` are only words.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::show::{Plain, list, plain};
use super::types::{
    ApprovalRule, BatchLimit, Budget, CapacityPolicy, CloudwatchMetricProbe, Freeze, HookSpec, HttpProbe, MissingData,
    PacePolicy, ProbeKind, ProbeSpec, SubsystemPolicy, UnitsSource, Windows, ZoneMinimum,
};
use crate::model::duration_text;

/// One field that may allow more than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loosening {
    /// The key with its tables: `capacity.minimum`.
    pub(crate) field: String,
    /// The accepted value.
    pub(crate) was: String,
    /// The value in the file now.
    pub(crate) is: String,
}

/// Every field of `now` that is not provably as strict as in `accepted`. Empty if the policies are equal.
pub(crate) fn loosened(accepted: &SubsystemPolicy, now: &SubsystemPolicy) -> Vec<Loosening> {
    // The usual case; describing old and new values costs more than comparing.
    if accepted == now {
        return Vec::new();
    }
    // Destructured completely, so that a new field cannot be forgotten here.
    let SubsystemPolicy {
        name,
        description: _,
        owner: _,
        depends_on,
        hosts,
        capacity,
        pace,
        health,
        hooks,
        confirm,
        windows,
    } = accepted;
    let mut found = Findings(Vec::new());
    found.unless(*name == now.name, "name", name.as_str(), now.name.as_str());
    // One more dependency is one more subsystem whose runs watch this one.
    found.unless(depends_on.is_subset(&now.depends_on), "depends_on", list(depends_on), list(&now.depends_on));
    found.unless(hosts.tags == now.hosts.tags, "hosts.tags", plain(&hosts.tags), plain(&now.hosts.tags));
    let groups = (&hosts.auto_scaling_groups, &now.hosts.auto_scaling_groups);
    found.unless(groups.0 == groups.1, "hosts.auto_scaling_groups", list(groups.0), list(groups.1));
    // Hosts that are kept out still count as capacity: more of them only means fewer candidates.
    let kept = hosts.never.iter().all(|(tag, was)| now.hosts.never.get(tag).is_some_and(|is| was.is_subset(is)));
    found.unless(kept, "hosts.never", plain(&hosts.never), plain(&now.hosts.never));
    let managed = (hosts.managed, now.hosts.managed);
    found.unless(managed.1 <= managed.0, "hosts.managed", plain(&managed.0), plain(&managed.1));
    capacity_loosened(&mut found, capacity, &now.capacity);
    pace_loosened(&mut found, pace, &now.pace, &capacity.units, &now.capacity.units);

    let (was, is) = (health, &now.health);
    found.unless(is.bake >= was.bake, "health.bake", duration_text(was.bake), duration_text(is.bake));
    found.unless(is.every <= was.every, "health.every", duration_text(was.every), duration_text(is.every));
    // `bake_max` allows nothing: only evidence ends a bake as clean, however long it lasts.
    found.unless(
        is.reference_samples() >= was.reference_samples(),
        "health.reference",
        duration_text(was.reference),
        duration_text(is.reference),
    );
    let (old, new) = (was.levels, is.levels);
    let text = |percent: Decimal| format!("{percent}%");
    found.unless(
        new.false_abort >= old.false_abort,
        "health.false_abort",
        text(old.false_abort),
        text(new.false_abort),
    );
    found.unless(
        new.missed_harm <= old.missed_harm,
        "health.missed_harm",
        text(old.missed_harm),
        text(new.missed_harm),
    );
    for probe in &was.probes {
        let field = format!("health.probe.{}", probe.name);
        match is.probes.iter().find(|other| other.name == probe.name) {
            None => found.unless(false, &field, plain(probe), "gone"),
            Some(other) => probe_loosened(&mut found, &field, probe, other),
        }
    }

    hooks_loosened(&mut found, hooks, &now.hooks);

    let (was, is) = (confirm, &now.confirm);
    let most = (was.unattended_max, is.unattended_max);
    found.unless(most.1 <= most.0, "confirm.unattended_max", most.0, most.1);
    found.unless(
        is.require_reason >= was.require_reason,
        "confirm.require_reason",
        was.require_reason,
        is.require_reason,
    );
    found.unless(at_most(was.unusual, is.unusual), "confirm.unusual", plain(&was.unusual), plain(&is.unusual));
    let asks = (was.between_batches, is.between_batches);
    found.unless(asks.1 >= asks.0, "confirm.between_batches", asks.0, asks.1);
    // `answer_within` allows nothing: a question that waits longer has nothing out of service.
    let asked = |rule: &ApprovalRule| is.approvals.iter().any(|r| r.above <= rule.above && r.count >= rule.count);
    found.unless(was.approvals.iter().all(asked), "confirm.approvals", plain(&was.approvals), plain(&is.approvals));

    match (windows, &now.windows) {
        (None, _) => {}
        (Some(was), None) => found.unless(false, "windows", plain(was), "none: always"),
        (Some(was), Some(is)) => windows_loosened(&mut found, was, is),
    }
    found.0
}

fn capacity_loosened(found: &mut Findings, was: &CapacityPolicy, is: &CapacityPolicy) {
    // `baseline` allows nothing by itself: the values that are resolved from it are compared below.
    let CapacityPolicy { baseline: _, minimum, minimum_per_zone, zones, survive_zone_loss, units, provider_floor } =
        was;
    found.unless(is.minimum >= *minimum, "capacity.minimum", minimum, is.minimum);
    if let Some(zone_minimum) = minimum_per_zone {
        let as_strict = is.minimum_per_zone.is_some_and(|other| zone_minimum_as_strict(was, *zone_minimum, is, other));
        let field = "capacity.minimum_per_zone";
        found.unless(as_strict, field, zone_minimum_text(was), zone_minimum_text(is));
    }
    found.unless(*zones == is.zones, "capacity.zones", plain(zones), plain(&is.zones));
    let survive = (*survive_zone_loss, is.survive_zone_loss);
    found.unless(survive.1 >= survive.0, "capacity.survive_zone_loss", survive.0, survive.1);
    let floor = (*provider_floor, is.provider_floor);
    found.unless(floor.1 >= floor.0, "capacity.provider_floor", plain(&floor.0), plain(&floor.1));
    found.unless(*units == is.units, "capacity.units", plain(units), plain(&is.units));
}

fn zone_minimum_text(of: &CapacityPolicy) -> String {
    match of.minimum_per_zone {
        Some(ZoneMinimum::Percent(percent)) => format!("{percent}% of {} / zones", of.baseline),
        Some(ZoneMinimum::Units(units)) => units.to_string(),
        None => "none".to_owned(),
    }
}

fn zone_minimum_as_strict(was: &CapacityPolicy, old: ZoneMinimum, is: &CapacityPolicy, new: ZoneMinimum) -> bool {
    match (old, new) {
        (ZoneMinimum::Units(old), ZoneMinimum::Units(new)) => new >= old,
        // Whatever the number of zones, it is the same for both.
        (ZoneMinimum::Percent(old), ZoneMinimum::Percent(new)) => {
            new * rust_decimal::Decimal::from(is.baseline) >= old * rust_decimal::Decimal::from(was.baseline)
        }
        // The fewer zones there are, the more a percentage keeps in each: a single zone is the worst case.
        (ZoneMinimum::Percent(_), ZoneMinimum::Units(new)) => {
            new >= old.units(was.baseline, was.zones.as_ref().map_or(1, BTreeSet::len))
        }
        // Without `zones`, their number may grow, and each zone's share shrinks.
        (ZoneMinimum::Units(old), ZoneMinimum::Percent(_)) => {
            is.zones.as_ref().is_some_and(|zones| new.units(is.baseline, zones.len()) >= old)
        }
    }
}

fn pace_loosened(
    found: &mut Findings,
    was: &PacePolicy,
    is: &PacePolicy,
    units_were: &UnitsSource,
    units_are: &UnitsSource,
) {
    let PacePolicy {
        max_hosts_per_run,
        batch,
        interval,
        ramp,
        max_unserving,
        zones_per_batch,
        requires_launch,
        budgets,
    } = was;
    let most = (max_hosts_per_run, is.max_hosts_per_run);
    found.unless(most.1 <= *most.0, "pace.max_hosts_per_run", most.0, most.1);
    let as_strict = match (*batch, is.batch) {
        (BatchLimit::Hosts(old), BatchLimit::Hosts(new)) | (BatchLimit::Units(old), BatchLimit::Units(new)) => {
            new <= old
        }
        // Every host counts for at least one unit.
        (BatchLimit::Hosts(old), BatchLimit::Units(new)) => new <= old,
        (BatchLimit::Units(old), BatchLimit::Hosts(new)) => {
            new <= old && *units_were == UnitsSource::One && *units_are == UnitsSource::One
        }
    };
    found.unless(as_strict, "pace.batch", plain(batch), plain(&is.batch));
    found.unless(is.interval >= *interval, "pace.interval", duration_text(*interval), duration_text(is.interval));
    found.unless(is.ramp >= *ramp, "pace.ramp", ramp, is.ramp);
    let unserving = (max_unserving, is.max_unserving);
    let text = |percent: &Decimal| format!("{percent}%");
    found.unless(unserving.1 <= *unserving.0, "pace.max_unserving", text(unserving.0), text(&unserving.1));
    let zones = (zones_per_batch, is.zones_per_batch);
    found.unless(at_most(*zones.0, zones.1), "pace.zones_per_batch", plain(zones.0), plain(&zones.1));
    found.unless(is.requires_launch >= *requires_launch, "pace.requires_launch", requires_launch, is.requires_launch);
    // A budget is kept if some new budget allows no more hosts in no less time.
    let kept = |budget: &Budget| is.budgets.iter().any(|b| b.hosts <= budget.hosts && b.per >= budget.per);
    found.unless(budgets.iter().all(kept), "pace.budgets", plain(budgets), plain(&is.budgets));
}

fn probe_loosened(found: &mut Findings, field: &str, was: &ProbeSpec, is: &ProbeSpec) {
    // A unit is for people: no reading is judged by it.
    let ProbeSpec { name: _, kind, timeout, max_age, limits, failures, role, unit: _ } = was;
    let same = match (kind, &is.kind) {
        (ProbeKind::Http(old), ProbeKind::Http(new)) => http_as_strict(old, new),
        (ProbeKind::CloudwatchMetric(old), ProbeKind::CloudwatchMetric(new)) => {
            let missing = if new.missing == MissingData::Bad { new.missing } else { old.missing };
            *new == CloudwatchMetricProbe { missing, ..old.clone() }
        }
        (old, new) => old == new,
    };
    let key = |key: &str| format!("{field}.{key}");
    found.unless(same, &key("kind"), plain(kind), plain(&is.kind));
    found.unless(is.timeout <= *timeout, &key("timeout"), duration_text(*timeout), duration_text(is.timeout));
    let age = (*max_age, is.max_age);
    found.unless(at_most(age.0, age.1), &key("max_age"), age_text(age.0), age_text(age.1));
    // One that must be good all through a run must be good before it too.
    found.unless(is.role >= *role, &key("role"), plain(role), plain(&is.role));
    // Neither the test nor a comparison is stricter in everything.
    let counted = |of: Option<u64>| of.unwrap_or(1);
    let as_strict =
        is.is_tested() == was.is_tested() && (was.is_tested() || counted(is.failures) <= counted(*failures));
    found.unless(as_strict, &key("failures"), failures_text(was), failures_text(is));
    let new = is.limits;
    found.unless(at_most(limits.max, new.max), &key("max"), plain(&limits.max), plain(&new.max));
    let min_kept = limits.min.is_none_or(|old| new.min.is_some_and(|new| new >= old));
    found.unless(min_kept, &key("min"), plain(&limits.min), plain(&new.min));
    let increase = (&limits.max_increase, &new.max_increase);
    found.unless(at_most(*increase.0, *increase.1), &key("max_increase"), plain(increase.0), plain(increase.1));
    let decrease = (&limits.max_decrease, &new.max_decrease);
    found.unless(at_most(*decrease.0, *decrease.1), &key("max_decrease"), plain(decrease.0), plain(decrease.1));
}

/// Who was asked is asked the same, and what was drained is drained in the same way. `timeout` allows nothing: no answer is no.
fn hooks_loosened(found: &mut Findings, was: &[HookSpec], is: &[HookSpec]) {
    for hook in was {
        let HookSpec { name, on, kind, timeout: _ } = hook;
        let field = format!("hooks.{name}");
        let key = |key: &str| format!("{field}.{key}");
        match is.iter().find(|other| other.name == *name) {
            None => found.unless(false, &field, plain(hook), "gone"),
            Some(other) => {
                found.unless(other.on == *on, &key("on"), plain(on), plain(&other.on));
                found.unless(other.kind == *kind, &key("kind"), plain(kind), plain(&other.kind));
            }
        }
    }
}

/// Fewer statuses may be good, and fewer redirects be followed. Everything else must be equal: with other headers, a server
/// may answer of something else.
fn http_as_strict(was: &HttpProbe, is: &HttpProbe) -> bool {
    let HttpProbe { url, method, expect_status, pointer, of, parse, redirects, headers } = was;
    (url, method, pointer, of, headers) == (&is.url, &is.method, &is.pointer, &is.of, &is.headers)
        && is.expect_status.is_subset(expect_status)
        && is.parse <= *parse
        && is.redirects <= *redirects
}

/// `2`; of a probe that is tested, that it is.
fn failures_text(of: &ProbeSpec) -> String {
    if of.is_tested() { "none: it is tested".to_owned() } else { of.failures.unwrap_or(1).to_string() }
}

fn age_text(age: Option<Duration>) -> String {
    age.map_or_else(|| "any".to_owned(), duration_text)
}

fn windows_loosened(found: &mut Findings, was: &Windows, is: &Windows) {
    found.unless(was.zone == is.zone, "windows.zone", &was.zone, &is.zone);
    let within = match (was.weekly_minutes(), is.weekly_minutes()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(was), Some(is)) => is.is_subset(&was),
    };
    let texts = |of: &Windows| list(of.allow.iter().map(|window| &window.text));
    found.unless(within, "windows.allow", texts(was), texts(is));
    let kept = was.freeze.iter().all(|freeze| is_frozen(&is.freeze, freeze.from, freeze.to));
    found.unless(kept, "windows.freeze", plain(&was.freeze), plain(&is.freeze));
}

/// Whether every day from `from` to `to` lies in one of the freezes.
fn is_frozen(freezes: &[Freeze], from: Date, to: Date) -> bool {
    let mut day = from;
    // Each iteration moves `day` past at least one freeze.
    for _ in 0..=freezes.len() {
        if day > to {
            return true;
        }
        let Some(last) = freezes.iter().filter(|f| f.from <= day && day <= f.to).map(|f| f.to).max() else {
            return false;
        };
        match last.tomorrow() {
            Ok(next) => day = next,
            Err(_) => return true,
        }
    }
    day > to
}

/// Whether an optional upper limit is no higher than before. `None` is no limit.
fn at_most<T: PartialOrd>(was: Option<T>, is: Option<T>) -> bool {
    was.is_none_or(|was| is.is_some_and(|is| is <= was))
}

struct Findings(Vec<Loosening>);

impl Findings {
    fn unless(&mut self, as_strict: bool, field: &str, was: impl Plain, is: impl Plain) {
        if !as_strict {
            let (was, mut is) = (was.into_text(), is.into_text());
            if was == is {
                is.push_str(" (other than before in what is not shown)");
            }
            self.0.push(Loosening { field: field.to_owned(), was, is });
        }
    }
}

#[cfg(test)]
mod tests;
