//! Every field, weakened and strengthened; windows are checked against an oracle.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::model::{HookStage, Time};
use crate::policy::fixtures;
use crate::policy::types::{
    AllowWindow, HeaderSource, HookKind, HookSpec, Limits, Managed, Masked, NumberForm, ProbeRole, ProviderFloor,
    SimulatedMetric, ValueSource,
};

type Change = fn(&mut SubsystemPolicy);

fn longer(of: &mut Duration) {
    *of += Duration::from_millis(1);
}

fn shorter(of: &mut Duration) {
    *of -= Duration::from_millis(1);
}

fn fewer(of: &mut u64) {
    *of = of.saturating_sub(1);
}

fn set(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

fn window(text: &str) -> AllowWindow {
    crate::policy::windows::parse(text).expect("valid")
}

fn limits(policy: &mut SubsystemPolicy) -> &mut Limits {
    &mut policy.health.probes[0].limits
}

fn windows(policy: &mut SubsystemPolicy) -> &mut Windows {
    policy.windows.as_mut().expect("windows")
}

fn freeze(policy: &mut SubsystemPolicy) -> &mut Freeze {
    &mut windows(policy).freeze[0]
}

/// Changes a probe of kind `http`, if it is still there.
fn http(policy: &mut SubsystemPolicy, name: &str, change: fn(&mut HttpProbe)) {
    if let Some(ProbeKind::Http(probe)) = kind(policy, name) {
        change(probe);
    }
}

/// Changes the probe of kind `cloudwatch-metric`, if it is still there.
fn metric(policy: &mut SubsystemPolicy, change: fn(&mut CloudwatchMetricProbe)) {
    if let Some(ProbeKind::CloudwatchMetric(probe)) = kind(policy, "fails") {
        change(probe);
    }
}

fn kind<'p>(policy: &'p mut SubsystemPolicy, name: &str) -> Option<&'p mut ProbeKind> {
    policy.health.probes.iter_mut().find(|probe| probe.name == name).map(|probe| &mut probe.kind)
}

/// Ways in which the fixture's policy can allow more, each with the field that must be named.
const WEAKER: &[(&str, Change)] = &[
    ("name", |p| p.name = "other".into()),
    ("depends_on", |p| p.depends_on.clear()),
    ("hosts.tags", |p| p.hosts.tags.clear()),
    // Looks stricter, but counts other hosts as capacity.
    ("hosts.tags", |p| _ = p.hosts.tags.insert("role".to_owned(), set(&["index", "index-*", "billing"]))),
    ("hosts.tags", |p| _ = p.hosts.tags.insert("role".to_owned(), set(&["index"]))),
    ("hosts.tags", |p| _ = p.hosts.tags.insert("stage".to_owned(), set(&["prod"]))),
    ("hosts.auto_scaling_groups", |p| p.hosts.auto_scaling_groups.clear()),
    ("hosts.auto_scaling_groups", |p| _ = p.hosts.auto_scaling_groups.insert("*".to_owned())),
    ("hosts.never", |p| p.hosts.never.clear()),
    ("hosts.never", |p| _ = p.hosts.never.insert("keep".to_owned(), set(&["yes"]))),
    ("hosts.managed", |p| p.hosts.managed = Managed::Allow),
    ("capacity.minimum", |p| p.capacity.minimum -= 1),
    ("capacity.minimum_per_zone", |p| p.capacity.minimum_per_zone = None),
    ("capacity.minimum_per_zone", |p| p.capacity.minimum_per_zone = Some(ZoneMinimum::Percent(Decimal::from(49)))),
    ("capacity.minimum_per_zone", |p| p.capacity.minimum_per_zone = Some(ZoneMinimum::Units(14))),
    // The same percentage of a smaller baseline.
    ("capacity.minimum_per_zone", |p| p.capacity.baseline -= 1),
    ("capacity.zones", |p| p.capacity.zones = None),
    ("capacity.zones", |p| _ = p.capacity.zones.as_mut().map(|zones| zones.insert("d".into()))),
    ("capacity.zones", |p| _ = p.capacity.zones.as_mut().map(|zones| zones.remove("a"))),
    ("capacity.survive_zone_loss", |p| p.capacity.survive_zone_loss = false),
    ("capacity.provider_floor", |p| p.capacity.provider_floor = ProviderFloor::Advised),
    ("capacity.units", |p| p.capacity.units = UnitsSource::One),
    ("capacity.units", |p| p.capacity.units = UnitsSource::Tag("weight".to_owned())),
    ("pace.max_hosts_per_run", |p| p.pace.max_hosts_per_run += 1),
    ("pace.batch", |p| p.pace.batch = BatchLimit::Units(5)),
    // Hosts are weighed: four hosts may be eight units.
    ("pace.batch", |p| p.pace.batch = BatchLimit::Hosts(4)),
    ("pace.interval", |p| shorter(&mut p.pace.interval)),
    ("pace.ramp", |p| p.pace.ramp = false),
    ("pace.max_unserving", |p| p.pace.max_unserving = Decimal::from(21)),
    ("pace.max_unserving", |p| p.pace.max_unserving = Decimal::ONE_HUNDRED),
    ("pace.zones_per_batch", |p| p.pace.zones_per_batch = Some(3)),
    ("pace.zones_per_batch", |p| p.pace.zones_per_batch = None),
    ("pace.requires_launch", |p| p.pace.requires_launch = false),
    ("pace.budgets", |p| _ = p.pace.budgets.pop()),
    ("pace.budgets", |p| p.pace.budgets[0].hosts += 1),
    ("pace.budgets", |p| shorter(&mut p.pace.budgets[0].per)),
    ("health.bake", |p| shorter(&mut p.health.bake)),
    ("health.every", |p| longer(&mut p.health.every)),
    ("health.probe.errors", |p| _ = p.health.probes.remove(0)),
    ("health.probe.errors", |p| p.health.probes[0].name = "mistakes".to_owned()),
    ("health.probe.errors.kind", |p| {
        p.health.probes[0].kind = ProbeKind::Simulated { metric: SimulatedMetric::Utilization };
    }),
    ("health.probe.errors.timeout", |p| longer(&mut p.health.probes[0].timeout)),
    ("health.probe.errors.max_age", |p| p.health.probes[0].max_age = Some(Duration::from_secs(3600))),
    ("health.probe.errors.max_age", |p| p.health.probes[0].max_age = None),
    ("health.probe.errors.failures", |p| p.health.probes[0].failures = Some(3)),
    ("health.probe.errors.failures", |p| p.health.probes[0].failures = None),
    ("hooks.brokers", |p| _ = p.hooks.remove(0)),
    ("hooks.brokers.on", |p| p.hooks[0].on = HookStage::Drain),
    ("hooks.undrain.kind", |p| p.hooks[2].kind = HookKind::Exec { command: vec!["true".to_owned()] }),
    // Neither the test nor a comparison is stricter in everything.
    ("health.probe.latency.failures", |p| p.health.probes[9].failures = Some(1)),
    ("health.reference", |p| p.health.reference /= 2),
    ("health.false_abort", |p| p.health.levels.false_abort = Decimal::new(19, 1)),
    ("health.missed_harm", |p| p.health.levels.missed_harm = Decimal::new(6, 1)),
    ("health.probe.errors.max", |p| limits(p).max = Some(0.011)),
    ("health.probe.errors.max", |p| limits(p).max = None),
    ("health.probe.errors.min", |p| limits(p).min = Some(-0.1)),
    ("health.probe.errors.min", |p| limits(p).min = None),
    ("health.probe.errors.max_increase", |p| limits(p).max_increase = Some(Decimal::from(21))),
    ("health.probe.errors.max_increase", |p| limits(p).max_increase = None),
    ("health.probe.errors.max_decrease", |p| limits(p).max_decrease = Some(Decimal::from(91))),
    ("health.probe.errors.max_decrease", |p| limits(p).max_decrease = None),
    ("health.probe.front.kind", |p| http(p, "front", |of| _ = of.expect_status.insert(500))),
    ("health.probe.front.kind", |p| http(p, "front", |of| of.url = Masked::url("https://index.internal/health2"))),
    ("health.probe.front.kind", |p| http(p, "front", |of| of.pointer = None)),
    ("health.probe.front.kind", |p| http(p, "front", |of| _ = of.headers.remove("x-team"))),
    ("health.probe.front.kind", |p| {
        http(p, "front", |of| {
            let from = ValueSource::Value(Masked::secret("another"));
            of.headers.insert("x-team".to_owned(), HeaderSource { from, scheme: None });
        });
    }),
    ("health.probe.page.kind", |p| http(p, "page", |of| of.redirects = 3)),
    ("health.probe.page.kind", |p| http(p, "page", |of| of.parse = NumberForm::String)),
    // Its password.
    ("health.probe.page.kind", |p| {
        http(p, "page", |of| of.url = Masked::url("https://somebody:else@index.internal/?key=secret"));
    }),
    ("health.probe.errors.role", |p| p.health.probes[0].role = ProbeRole::Precondition),
    ("health.probe.deploys.kind", |p| {
        if let Some(ProbeKind::Prometheus(prometheus)) = kind(p, "deploys") {
            prometheus.query.push_str(" - 1");
        }
    }),
    // Another share, and none.
    ("health.probe.share.kind", |p| {
        if let Some(ProbeKind::Prometheus(prometheus)) = kind(p, "share") {
            prometheus.of = Some("sum(increase(requests[2m]))".to_owned());
        }
    }),
    ("health.probe.share.kind", |p| {
        if let Some(ProbeKind::Prometheus(prometheus)) = kind(p, "share") {
            prometheus.of = None;
        }
    }),
    ("health.probe.front.kind", |p| http(p, "front", |of| of.of = Some("/all".to_owned()))),
    ("health.probe.fails.kind", |p| metric(p, |of| of.of = Some("RequestCount".to_owned()))),
    ("health.probe.alarm.kind", |p| {
        if let Some(ProbeKind::CloudwatchAlarm(alarm)) = kind(p, "alarm") {
            alarm.alarm = "another".to_owned();
        }
    }),
    ("health.probe.fails.kind", |p| metric(p, |of| of.statistic = "Average".to_owned())),
    ("health.probe.fails.kind", |p| metric(p, |of| longer(&mut of.period))),
    ("health.probe.port.kind", |p| p.health.probes[2].kind = ProbeKind::Tcp { address: "localhost:1".to_owned() }),
    ("health.probe.check.kind", |p| p.health.probes[3].kind = ProbeKind::Exec { command: vec!["true".to_owned()] }),
    ("confirm.unattended_max", |p| p.confirm.unattended_max += 1),
    ("confirm.require_reason", |p| p.confirm.require_reason = false),
    ("confirm.unusual", |p| p.confirm.unusual = Some(Decimal::from(3))),
    ("confirm.unusual", |p| p.confirm.unusual = None),
    ("confirm.approvals", |p| p.confirm.approvals.clear()),
    ("confirm.approvals", |p| p.confirm.approvals[0].above += 1),
    ("confirm.approvals", |p| p.confirm.approvals[0].count -= 1),
    ("windows", |p| p.windows = None),
    ("windows.zone", |p| windows(p).zone = "UTC".to_owned()),
    ("windows.allow", |p| windows(p).allow.clear()),
    ("windows.allow", |p| windows(p).allow.push(window("Sat 09:00-10:00"))),
    ("windows.allow", |p| windows(p).allow[0] = window("Mon-Thu 08:59-16:00")),
    ("windows.allow", |p| windows(p).allow[1] = window("Fri 22:00-02:01")),
    ("windows.freeze", |p| windows(p).freeze.clear()),
    ("windows.freeze", |p| freeze(p).to = freeze(p).to.yesterday().expect("a day")),
    ("windows.freeze", |p| freeze(p).from = freeze(p).from.tomorrow().expect("a day")),
];

/// Ways in which it can only allow less, or just as much.
const STRICTER: &[Change] = &[
    |_| {},
    |p| p.description = None,
    |p| p.owner = Some("somebody else".to_owned()),
    |p| _ = p.depends_on.insert("network".into()),
    |p| _ = p.hosts.never.insert("owner".to_owned(), set(&["ceo"])),
    |p| _ = p.hosts.never.insert("keep".to_owned(), set(&["true", "yes"])),
    |p| p.capacity.minimum += 1,
    |p| p.capacity.baseline += 1,
    |p| p.capacity.minimum_per_zone = Some(ZoneMinimum::Percent(Decimal::from(51))),
    |p| p.capacity.minimum_per_zone = Some(ZoneMinimum::Units(15)),
    |p| fewer(&mut p.pace.max_hosts_per_run),
    |p| p.pace.batch = BatchLimit::Units(3),
    |p| longer(&mut p.pace.interval),
    |p| p.pace.max_unserving = Decimal::from(19),
    |p| p.pace.zones_per_batch = Some(1),
    |p| p.pace.budgets.push(Budget { hosts: 1, per: Duration::from_secs(60) }),
    |p| p.pace.budgets.reverse(),
    |p| fewer(&mut p.pace.budgets[0].hosts),
    |p| longer(&mut p.pace.budgets[0].per),
    |p| longer(&mut p.health.bake),
    |p| shorter(&mut p.health.every),
    |p| p.health.probes.push(ProbeSpec { name: "more".to_owned(), ..fixtures::probe() }),
    |p| p.health.probes.reverse(),
    |p| shorter(&mut p.health.probes[0].timeout),
    |p| p.health.probes[0].max_age = Some(Duration::from_secs(1)),
    |p| p.health.probes[0].failures = Some(1),
    |p| p.hooks.push(HookSpec { name: "more".to_owned(), ..p.hooks[0].clone() }),
    |p| p.hooks.reverse(),
    |p| longer(&mut p.hooks[0].timeout),
    |p| longer(&mut p.health.reference),
    |p| longer(&mut p.health.bake_max),
    |p| shorter(&mut p.health.bake_max),
    |p| p.health.levels.false_abort = Decimal::new(3, 0),
    |p| p.health.levels.missed_harm = Decimal::new(4, 1),
    |p| limits(p).max = Some(0.009),
    |p| limits(p).min = Some(0.001),
    |p| limits(p).max_increase = Some(Decimal::from(19)),
    |p| limits(p).max_decrease = Some(Decimal::from(89)),
    |p| p.health.probes[2].limits.max = Some(100.0),
    |p| http(p, "front", |of| _ = of.expect_status.remove(&204)),
    |p| http(p, "front", |of| of.parse = NumberForm::Number),
    |p| http(p, "page", |of| of.redirects = 1),
    |p| p.health.probes[5].role = ProbeRole::Watch,
    |p| metric(p, |of| of.missing = MissingData::Bad),
    |p| fewer(&mut p.confirm.unattended_max),
    |p| p.confirm.unusual = Some(Decimal::from(2)),
    |p| p.confirm.approvals.push(ApprovalRule { above: 2, count: 1 }),
    |p| fewer(&mut p.confirm.approvals[0].above),
    |p| p.confirm.approvals[0].count += 1,
    |p| _ = windows(p).allow.pop(),
    // The same minutes, written differently.
    |p| {
        windows(p).allow = vec![window("Mon-Thu 09:00-12:00"), window("Mon-Thu 12:00-16:00"), window("Fri 22:00-02:00")]
    },
    |p| freeze(p).why = "something else".to_owned(),
    |p| freeze(p).to = freeze(p).to.tomorrow().expect("a day"),
    |p| {
        let middle: Date = "2026-12-25".parse().expect("a day");
        let second = Freeze { from: middle.tomorrow().expect("a day"), ..freeze(p).clone() };
        freeze(p).to = middle;
        windows(p).freeze.insert(0, second);
    },
];

#[test]
fn every_weakening_is_found_and_named() {
    let accepted = fixtures::subsystem();
    for (index, (field, weaken)) in WEAKER.iter().enumerate() {
        let mut now = accepted.clone();
        weaken(&mut now);
        let found = loosened(&accepted, &now);
        let fields: Vec<_> = found.iter().map(|loosening| loosening.field.as_str()).collect();
        assert_eq!(fields, [*field], "weakening {index}");
        assert_ne!(found[0].was, found[0].is, "weakening {index}");
    }
}

#[test]
fn what_is_provably_as_strict_is_not_found() {
    let accepted = fixtures::subsystem();
    for (index, strengthen) in STRICTER.iter().enumerate() {
        let mut now = accepted.clone();
        strengthen(&mut now);
        assert_eq!(loosened(&accepted, &now), [], "strengthening {index}");
    }
}

#[test]
fn what_was_not_limited_may_be() {
    let all = fixtures::subsystem();
    let mut none = all.clone();
    none.capacity.minimum_per_zone = None;
    none.capacity.survive_zone_loss = false;
    none.capacity.provider_floor = ProviderFloor::Advised;
    none.pace = PacePolicy {
        ramp: false,
        max_unserving: Decimal::ONE_HUNDRED,
        zones_per_batch: None,
        requires_launch: false,
        budgets: Vec::new(),
        ..none.pace
    };
    none.health.probes.clear();
    none.hooks.clear();
    none.confirm.require_reason = false;
    none.confirm.unusual = None;
    none.confirm.approvals.clear();
    none.windows = None;
    none.hosts.never.clear();
    assert_eq!(loosened(&none, &all), []);
    assert_eq!(loosened(&all, &none).len(), 27, "and all of it is found the other way round");
}

#[test]
fn s1_a_ledger_that_remembers_no_limit_on_what_does_not_serve_finds_the_default_stricter() {
    let file = fixtures::subsystem();
    let mut remembered = serde_json::to_value(&file).expect("written");
    remembered["pace"]["max_unserving"] = serde_json::Value::Null;
    let accepted: SubsystemPolicy = serde_json::from_value(remembered).expect("a policy of an earlier version");
    assert_eq!(accepted.pace.max_unserving, Decimal::ONE_HUNDRED);
    assert_eq!(loosened(&accepted, &file), []);
    let found = loosened(&file, &accepted);
    let said: Vec<_> = found.iter().map(|f| (f.field.as_str(), f.was.as_str(), f.is.as_str())).collect();
    assert_eq!(said, [("pace.max_unserving", "20%", "100%")]);
}

#[test]
fn hosts_and_units_are_compared_where_they_can_be() {
    let with = |units: UnitsSource, batch: BatchLimit| {
        let mut policy = fixtures::subsystem();
        policy.capacity.units = units;
        policy.pace.batch = batch;
        policy
    };
    let (one, tag) = (UnitsSource::One, UnitsSource::Tag("weight".to_owned()));
    let found =
        |units: &UnitsSource, was, is| !loosened(&with(units.clone(), was), &with(units.clone(), is)).is_empty();
    assert!(!found(&one, BatchLimit::Units(4), BatchLimit::Hosts(4)));
    assert!(found(&one, BatchLimit::Units(4), BatchLimit::Hosts(5)));
    assert!(found(&tag, BatchLimit::Units(4), BatchLimit::Hosts(1)));
    assert!(!found(&tag, BatchLimit::Hosts(4), BatchLimit::Units(4)), "every host counts for at least one unit");
    assert!(found(&tag, BatchLimit::Hosts(4), BatchLimit::Units(5)));
}

#[test]
fn a_percentage_per_zone_is_compared_in_the_worst_case() {
    let with = |zones: Option<&[&str]>, minimum| {
        let mut policy = fixtures::subsystem();
        policy.capacity.zones = zones.map(|zones| zones.iter().map(|zone| (*zone).into()).collect());
        policy.capacity.minimum_per_zone = Some(minimum);
        policy
    };
    let half = ZoneMinimum::Percent(Decimal::from(50));
    let found = |zones, was, is| !loosened(&with(zones, was), &with(zones, is)).is_empty();
    // Of 90 units: 45 in one zone, 15 in each of three.
    assert!(found(None, half, ZoneMinimum::Units(44)));
    assert!(!found(None, half, ZoneMinimum::Units(45)));
    assert!(found(None, ZoneMinimum::Units(1), half), "nobody knows how many zones there will be");
    let three: Option<&[&str]> = Some(&["a", "b", "c"]);
    assert!(!found(three, ZoneMinimum::Units(15), half));
    assert!(found(three, ZoneMinimum::Units(16), half));
}

fn windows_like(seed: &(u8, u16, u16, i16, i16)) -> (AllowWindow, Freeze) {
    let (day, from, length, first, days) = *seed;
    let to = (from + length) % 1_440;
    let begin = Date::constant(2026, 1, 1).saturating_add(jiff::Span::new().days(first));
    (
        AllowWindow { days: [day].into(), from, to, text: String::new() },
        Freeze { from: begin, to: begin.saturating_add(jiff::Span::new().days(days)), why: String::new() },
    )
}

proptest! {
    #[test]
    fn any_weakening_is_found_whatever_is_strengthened_beside_it(
        weaken in prop::sample::select(WEAKER), strengthen in prop::collection::vec(prop::sample::select(STRICTER), 0..4),
    ) {
        let accepted = fixtures::subsystem();
        let mut now = accepted.clone();
        weaken.1(&mut now);
        let found = loosened(&accepted, &now);
        prop_assert!(!found.is_empty());
        // In the other direction it is a strengthening, or incomparable, but never an equal policy.
        prop_assert!(now != accepted);
        prop_assert_eq!(loosened(&now, &now), []);
        let mut stricter = accepted.clone();
        for change in strengthen {
            let mut next = stricter.clone();
            change(&mut next);
            if loosened(&stricter, &next).is_empty() {
                stricter = next;
            }
        }
        // Strictness is transitive: as strict as something that is as strict.
        prop_assert_eq!(loosened(&accepted, &stricter), []);
    }

    #[test]
    fn windows_that_are_not_loosened_never_open_when_they_were_closed(
        was in prop::collection::vec((1_u8..=7, 0_u16..1440, 1_u16..1440, 0_i16..60, 0_i16..9), 1..4),
        is in prop::collection::vec((1_u8..=7, 0_u16..1440, 1_u16..600, 0_i16..60, 0_i16..30), 0..3),
        keep in 0_usize..4, times in prop::collection::vec(0_i64..70 * 86_400, 50),
    ) {
        let of = |seeds: &[(u8, u16, u16, i16, i16)]| {
            let (allow, freeze) = seeds.iter().map(windows_like).unzip();
            Windows { zone: "Europe/London".to_owned(), allow, freeze }
        };
        let accepted = of(&was);
        let mut now = of(&is);
        now.allow.extend(accepted.allow.iter().take(keep).cloned());
        now.freeze.extend(accepted.freeze.iter().cloned());
        let mut found = Findings(Vec::new());
        windows_loosened(&mut found, &accepted, &now);
        let begin: Time = "2026-01-01T00:00:00Z".parse().expect("a time");
        for time in times {
            let at = begin.plus(Duration::from_secs(time.unsigned_abs()));
            if found.0.is_empty() && accepted.closed_at(at).is_some() {
                prop_assert!(now.closed_at(at).is_some(), "{at}");
            }
        }
    }
}
