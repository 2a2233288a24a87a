//! Why a count is refused and what would allow it: every claim is tested by applying it and planning again.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::oracle::{SUBSYSTEMS, TestFleet, TestHost, TestZone, ZONES, chosen, request, test_fleet};
use crate::model::{SubsystemName, Time};
use crate::plan::constraints::Constraints;
use crate::plan::gates::Gates;
use crate::plan::membership::Membership;
use crate::plan::solver::{Effort, Reach, Selector};
use crate::plan::stock::Ground;
use crate::plan::testing::{NOON, World, counted, host, policy};
use crate::plan::{Constraint, PlanDocument, Rule, Selection, Verdict, Why, WouldAllow, plan};
use crate::policy::{AllowWindow, Budget, SubsystemPolicy, Windows, ZoneMinimum};

const HOUR: Duration = Duration::from_secs(3600);

/// Index: 12 hosts of its own and 6 that also serve billing, over three zones.
fn fleet() -> World {
    World::new([policy("billing", 4), policy("index", 10)]).with("i", 12, &["a", "b", "c"], &["index"]).with(
        "s",
        6,
        &["a", "b", "c"],
        &["billing", "index"],
    )
}

fn why(world: &World, count: u64) -> Option<Why> {
    counted(world, "index", count).document.why
}

/// The sentences, constraints first.
fn told(world: &World, count: u64) -> (Vec<String>, Vec<String>) {
    let why = why(world, count).expect("it says why");
    let allow = why.would_allow.iter().map(|entry| entry.message().to_owned()).collect();
    (why.constraints.into_iter().map(|constraint| constraint.message).collect(), allow)
}

#[test]
fn what_is_allowed_is_not_explained() {
    assert_eq!(why(&fleet(), 8), None);
    let mut world = fleet();
    world.policy_mut("index").confirm.require_reason = true;
    assert_eq!(why(&world, 3), None, "a missing reason excludes no count");
}

#[test]
fn one_constraint_and_what_would_allow_more() {
    let (constraints, allow) = told(&fleet(), 9);
    assert_eq!(constraints, ["index serves 18 units and must keep 10: 8 units can go"]);
    assert_eq!(
        allow,
        ["8 hosts", "1 more unit of index in service", "the policy of index says minimum 10 (9 would do)",]
    );
}

/// A reason can be given with the next command, so it takes nothing away from how many can go.
#[test]
fn a_reason_that_the_named_subsystem_asks_for_excludes_no_host() {
    let mut world = fleet();
    world.policy_mut("index").confirm.require_reason = true;
    assert_eq!(told(&world, 9), told(&fleet(), 9));
}

#[test]
fn two_constraints_exclude_together_what_neither_does_alone() {
    let world = World::new([policy("cache", 2), policy("index", 0), policy("queue", 2)])
        .with("i", 4, &["a"], &["index"])
        .with("c", 3, &["a"], &["cache", "index"])
        .with("q", 3, &["a"], &["index", "queue"]);
    let (constraints, allow) = told(&world, 7);
    assert_eq!(
        constraints,
        ["cache serves 3 units and must keep 2: 1 unit can go", "queue serves 3 units and must keep 2: 1 unit can go"]
    );
    assert_eq!(
        allow,
        [
            "6 hosts",
            "1 more unit of cache in service",
            "1 more unit of queue in service",
            "the policy of cache says minimum 2 (1 would do)",
            "the policy of queue says minimum 2 (1 would do)",
        ]
    );
    // Beyond eight, either of them is reason enough.
    assert_eq!(told(&world, 9).0, ["cache serves 3 units and must keep 2: 1 unit can go"]);
}

#[test]
fn zones_are_told_in_their_own_terms() {
    let mut world = World::new([policy("index", 0)]).with("i", 6, &["a", "b"], &["index"]);
    world.policy_mut("index").capacity.minimum_per_zone = Some(ZoneMinimum::Units(2));
    let (constraints, allow) = told(&world, 3);
    assert_eq!(
        constraints,
        [
            "index serves 3 units in zone a and must keep 2 there: 1 unit can go",
            "index serves 3 units in zone b and must keep 2 there: 1 unit can go",
        ]
    );
    assert_eq!(
        allow,
        [
            "2 hosts",
            "1 more unit of index in service in zone a",
            "1 more unit of index in service in zone b",
            "the policy of index says minimum_per_zone 2 (1 would do)",
        ]
    );
    let mut world = World::new([policy("index", 2)]).with("i", 6, &["a", "b"], &["index"]);
    world.policy_mut("index").capacity.survive_zone_loss = true;
    let (constraints, allow) = told(&world, 3);
    assert_eq!(
        constraints,
        [
            "index must keep 2 units even if zone a were lost, and serves 3 outside it: 1 unit can go there",
            "index must keep 2 units even if zone b were lost, and serves 3 outside it: 1 unit can go there",
        ]
    );
    assert_eq!(allow[1], "1 more unit of index in service outside zone a");
}

#[test]
fn a_budget_says_when_the_rest_may_go() {
    let mut world = fleet();
    world.policy_mut("index").pace.budgets = vec![Budget { hosts: 3, per: HOUR }];
    let why = why(&world, 5).expect("it says why");
    assert_eq!(why.constraints[0].rule, Rule::Budget);
    assert_eq!(why.constraints[0].message, "the budget of index is 3 hosts in any 1h");
    // The reference takes 20 s and the bake 3 min; windows are longer by twice the tolerance.
    let opens = NOON.plus(Duration::from_secs(200 + 3600 + 120));
    let [WouldAllow::FewerHosts { count: 3, .. }, WouldAllow::SeveralRuns { runs, .. }, policy] = &why.would_allow[..]
    else {
        panic!("{:?}", why.would_allow);
    };
    let runs: Vec<(u64, Option<Time>)> = runs.iter().map(|run| (run.count, run.not_before)).collect();
    assert_eq!(runs, [(3, None), (2, Some(opens))]);
    assert_eq!(policy.message(), "the policy of index says budgets 3 per 1h (5 would do)");
}

#[test]
fn several_runs_are_no_answer_where_capacity_ends_first() {
    let mut world = fleet();
    world.policy_mut("index").pace.max_hosts_per_run = 3;
    let kinds = |count| {
        let why = why(&world, count).expect("it says why");
        why.would_allow.iter().filter(|entry| matches!(entry, WouldAllow::SeveralRuns { .. })).count()
    };
    assert_eq!((kinds(8), kinds(9)), (1, 0));
}

#[test]
fn capacity_is_told_before_the_size_of_a_run_and_a_policy_in_all_its_fields() {
    let mut world = fleet();
    let pace = &mut world.policy_mut("index").pace;
    pace.max_hosts_per_run = 3;
    pace.budgets = vec![Budget { hosts: 4, per: HOUR }, Budget { hosts: 99, per: HOUR }];
    world.policy_mut("index").capacity.minimum_per_zone = Some(ZoneMinimum::Units(4));
    let (constraints, allow) = told(&world, 9);
    // Three runs would not be enough either.
    assert_eq!(constraints, ["index serves 18 units and must keep 10: 8 units can go"]);
    assert_eq!(
        allow,
        [
            "3 hosts",
            "the policy of index says minimum 10 (9 would do), minimum_per_zone 4 (3 would do), \
             max_hosts_per_run 3 (9 would do), budgets 4 per 1h (9 would do)"
        ]
    );
}

#[test]
fn a_group_tells_its_own_minimum() {
    let mut world = fleet();
    world.hosts.iter_mut().for_each(|h| h.group = Some("asg".into()));
    world.groups.insert("asg".into(), 15);
    let (constraints, allow) = told(&world, 4);
    assert_eq!(
        constraints,
        ["group asg has 18 hosts in service, and the provider keeps its minimum of 15: 3 hosts can go"]
    );
    assert_eq!(allow, ["3 hosts", "group asg has minimum size 15 at the provider (14 would do)"]);
}

#[test]
fn more_than_there_are() {
    let (constraints, allow) = told(&fleet(), 19);
    assert_eq!(constraints, ["asked for: 19 hosts; candidates of index: 18"]);
    assert_eq!(allow, ["8 hosts"]);
}

#[test]
fn what_is_closed_is_a_reason_only_where_the_numbers_are_none() {
    let mut world = fleet();
    world.policy_mut("index").capacity.minimum = 2;
    world.ledger.halts = vec![(Some("billing".into()), "fire drill".to_owned())];
    let (constraints, allow) = told(&world, 13);
    assert_eq!((constraints, allow), (vec!["billing is halted: fire drill".to_owned()], vec!["12 hosts".to_owned()]));
    assert_eq!(told(&world, 17).0, ["billing serves 6 units and must keep 4: 2 units can go"]);
    world.ledger.halts = vec![(None, "fire drill".to_owned())];
    assert_eq!(why(&world, 13), None, "the violation says all there is to say");
}

#[test]
fn a_window_says_when_it_opens() {
    let mut world = fleet();
    let days = (1..=7).collect();
    let window = AllowWindow { days, from: 13 * 60, to: 14 * 60, text: "Mon-Sun 13:00-14:00".to_owned() };
    let windows = Windows { zone: "UTC".to_owned(), allow: vec![window], freeze: Vec::new() };
    world.policy_mut("billing").windows = Some(windows.clone());
    world.policy_mut("index").capacity.minimum = 4;
    let entries = |count| why(&world, count).expect("it says why").would_allow;
    // Billing allows two from one o'clock on; the minimums would not allow more than 14 then either.
    let at = NOON.plus(HOUR);
    let fewer = WouldAllow::FewerHosts { count: 12, message: "12 hosts".to_owned() };
    let later = WouldAllow::Later { at, message: format!("13 hosts from {at} on (1h from now)") };
    assert_eq!(entries(13), [fewer, later]);
    assert!(!entries(15).iter().any(|entry| matches!(entry, WouldAllow::Later { .. })));
}

impl TestFleet {
    /// Whether a set of hosts stays within what the constraint says it allows.
    fn keeps(&self, mask: u32, constraint: &Constraint) -> bool {
        let of = constraint.subsystem.as_ref().and_then(|name| SUBSYSTEMS.iter().position(|s| *s == name.as_str()));
        let zone = constraint.zone.as_ref().and_then(|name| ZONES.iter().position(|z| *z == name.as_str()));
        let group = constraint.group.as_ref().map(|name| usize::from(name.as_str() == "g1"));
        let taken = self.hosts.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1).map(|(_, host)| host);
        let units = |host: &TestHost| of.map_or(0, |s| host.units[s]);
        let serves = |host: &TestHost| if TestFleet::is_capacity(host) { units(host) } else { 0 };
        let sum: u64 = match constraint.rule {
            Rule::Minimum => taken.map(serves).sum(),
            Rule::ZoneMinimum => taken.filter(|host| Some(host.zone) == zone).map(serves).sum(),
            Rule::ZoneLoss => taken.filter(|host| Some(host.zone) != zone).map(serves).sum(),
            Rule::RunSize | Rule::Budget | Rule::Halted => taken.filter(|host| units(host) > 0).count() as u64,
            Rule::GroupMinimum => taken.filter(|host| Some(host.group) == group).count() as u64,
            Rule::TooFewCandidates => taken.count() as u64,
            other => panic!("{other:?} excludes a count"),
        };
        // Doubtful hosts have no units, and stay if there are already too few.
        let zones = |is_in: &dyn Fn(usize) -> bool| (0..3).filter(|z| is_in(*z)).collect::<Vec<_>>();
        let policy = of.map(|s| &self.policies[s]);
        let minimum = policy.map_or(0, |policy| policy.minimum);
        let (zones, least) = match constraint.rule {
            Rule::Minimum => (zones(&|_| true), minimum),
            Rule::ZoneMinimum => (zones(&|z| Some(z) == zone), policy.and_then(|p| p.zone_minimum).unwrap_or(0)),
            Rule::ZoneLoss => (zones(&|z| Some(z) != zone), minimum),
            _ => (Vec::new(), 0),
        };
        let of_doubt: Vec<TestZone> = zones.into_iter().map(|z| self.zone(mask, of.unwrap_or(0), z)).collect();
        sum <= constraint.allows && !TestZone::bar(&of_doubt, least)
    }
}

fn ask(world: &World, count: u64) -> PlanDocument {
    world.ask(|inputs| plan(inputs, &request(Selection::counted(count)))).expect("judged").document
}

fn is_allowed(world: &World, count: u64) -> bool {
    ask(world, count).verdict == Verdict::Allowed
}

/// Sets a field of a policy from what it is to what it would have to be.
fn set(policy: &mut SubsystemPolicy, field: &str, is: u64, value: u64) {
    match field {
        "minimum" => policy.capacity.minimum = value,
        "minimum_per_zone" => policy.capacity.minimum_per_zone = Some(ZoneMinimum::Units(value)),
        "max_hosts_per_run" => policy.pace.max_hosts_per_run = value,
        "budgets" => policy.pace.budgets.iter_mut().filter(|b| b.hosts == is).for_each(|b| b.hosts = value),
        other => panic!("{other}"),
    }
}

/// Applies an entry to the fleet and plans again; the strictest value must be just enough.
fn holds(fleet: &TestFleet, count: u64, entry: &WouldAllow) -> Result<(), TestCaseError> {
    let mut world = fleet.world();
    match entry {
        WouldAllow::FewerHosts { count: fewer, .. } => {
            prop_assert!(*fewer < count && is_allowed(&world, *fewer));
            prop_assert!(!is_allowed(&world, fewer + 1));
        }
        WouldAllow::Later { .. } => prop_assert!(false, "there are no windows"),
        WouldAllow::SeveralRuns { runs, .. } => {
            prop_assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), count);
            prop_assert!(runs.len() > 1 && runs[0].not_before.is_none());
            for run in runs {
                world.now = run.not_before.unwrap_or(world.now);
                let snapshot = world.snapshot();
                let made = plan(&world.inputs(&snapshot), &request(Selection::counted(run.count))).expect("judged");
                prop_assert_eq!(made.document.verdict, Verdict::Allowed, "{:?}", made.document.violations);
                prop_assert!(run.not_before.is_none() || made.document.not_before.is_none());
                let (gone, end) = (chosen(&made.document), made.expected_end(world.now));
                for id in &gone {
                    world.removed(id.as_str(), Some(end));
                }
                let names: BTreeSet<SubsystemName> = world.policies.subsystems.keys().cloned().collect();
                world.ledger.last_end.extend(names.into_iter().map(|name| (name, end)));
                world.hosts.retain(|host| !gone.contains(&host.id));
                world.now = end;
            }
        }
        WouldAllow::MoreCapacity { subsystem, zone, outside_zone, units, .. } => {
            let s = SUBSYSTEMS.iter().position(|name| *name == subsystem.as_str()).expect("it is there");
            let own: BTreeSet<&str> =
                fleet.hosts.iter().filter(|host| host.units[s] > 0).map(|host| ZONES[host.zone]).collect();
            let meant = |name: &&str| {
                zone.as_ref().is_none_or(|z| z.as_str() == *name)
                    && outside_zone.as_ref().is_none_or(|z| z.as_str() != *name)
            };
            let places: Vec<&str> = own.into_iter().filter(meant).collect();
            for place in places {
                let mut world = fleet.world();
                for number in 0..*units {
                    // Not a candidate, though it serves: the claim is about capacity.
                    let mut more = host(&format!("more-{number}"), place, &[subsystem.as_str()]);
                    more.tags_mut().insert("keep".to_owned(), "for-good".to_owned());
                    world.hosts.push(more);
                }
                prop_assert!(is_allowed(&world, count), "{} in {}", entry.message(), place);
                world.hosts.pop();
                // Elsewhere, the number is for the worst of the zones.
                let is_least = zone.is_none() || !is_allowed(&world, count);
                prop_assert!(is_least, "{} is more than it takes", entry.message());
            }
        }
        WouldAllow::Policy { subsystem, changes, .. } => {
            for change in changes {
                prop_assert_ne!(change.is, change.would_be);
                set(world.policy_mut(subsystem.as_str()), &change.field, change.is, change.would_be);
            }
            prop_assert!(is_allowed(&world, count), "{}", entry.message());
            for change in changes {
                let stricter = if change.is > change.would_be { change.would_be + 1 } else { change.would_be - 1 };
                set(world.policy_mut(subsystem.as_str()), &change.field, change.would_be, stricter);
                prop_assert!(!is_allowed(&world, count), "{} is looser than it takes", entry.message());
                set(world.policy_mut(subsystem.as_str()), &change.field, stricter, change.would_be);
            }
        }
        WouldAllow::GroupMinimum { group, is, would_be, .. } => {
            prop_assert!(world.groups.insert(group.clone(), *would_be) == Some(*is) && would_be < is);
            prop_assert!(is_allowed(&world, count));
            world.groups.insert(group.clone(), would_be + 1);
            prop_assert!(!is_allowed(&world, count));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whether a count is possible: the answer agrees with the maximum.
    #[test]
    fn a_count_can_be_given_up_to_the_maximum(fleet in test_fleet(), gated in any::<bool>()) {
        let world = fleet.world();
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let gates = Gates::new(&inputs, &membership);
        let named = membership.find_subsystem(&SUBSYSTEMS[0].into()).expect("it is there");
        let ground = Ground::new(&inputs, &membership, &gates);
        let Constraints { problem, .. } = Constraints::new(&ground, named).expect("judged");
        let selector = Selector::new(&problem, gated);
        let maximum = selector.maximum(&Effort::about(Duration::from_secs(1)));
        prop_assert!(maximum.proved);
        for count in 0..=fleet.hosts.len() as u64 + 1 {
            // Without any work left, there is no guess.
            for seconds in [0, 1] {
                match selector.reach(count, &Effort::about(Duration::from_secs(seconds))) {
                    Reach::Found(choice) => prop_assert!((count..=maximum.hosts).contains(&choice.hosts)),
                    Reach::Impossible => prop_assert!(count > maximum.hosts),
                    Reach::Unknown => prop_assert_eq!(seconds, 0),
                }
            }
        }
    }

    /// The constraints together exclude the count, none of them is superfluous, and every remedy is one.
    #[test]
    fn every_reason_and_every_way_out_is_true(fleet in test_fleet()) {
        let world = fleet.world();
        let candidates = fleet.hosts.iter().enumerate().filter(|(_, host)| fleet.is_candidate(host));
        let candidates = candidates.fold(0_u32, |mask, (index, _)| mask | 1 << index);
        for count in 1..=fleet.hosts.len() as u64 + 1 {
            let document = ask(&world, count);
            prop_assert!(document.why.is_none() || document.verdict == Verdict::Refused);
            let fits = document.largest_allowed_count >= Some(count);
            prop_assert!(document.why.is_some() || fits, "a count that the numbers exclude has its reason");
            let Some(why) = document.why else { continue };
            let is_possible = |constraints: &[&Constraint]| {
                (0..1_u32 << fleet.hosts.len()).any(|mask| {
                    mask & !candidates == 0
                        && u64::from(mask.count_ones()) == count
                        && constraints.iter().all(|constraint| fleet.keeps(mask, constraint))
                })
            };
            let all: Vec<&Constraint> = why.constraints.iter().collect();
            prop_assert!(!is_possible(&all), "{:?}", why.constraints);
            if why.constraints[0].rule != Rule::TooFewCandidates {
                for index in 0..all.len() {
                    let mut rest = all.clone();
                    let spare = rest.remove(index);
                    prop_assert!(is_possible(&rest), "{:?} is to spare", spare);
                }
            }
            for entry in &why.would_allow {
                holds(&fleet, count, entry)?;
            }
        }
    }
}
