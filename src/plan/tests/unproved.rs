//! Counts about which the search ends without an answer: nobody may be told that a rule excludes them.

use std::time::Duration;

use crate::model::{Health, ProbeKey};
use crate::plan::testing::{Seeded, World, counted, host, policy};
use crate::plan::{InTurn, PlanDocument, Rule, Verdict, headroom};
use crate::policy::UnitsSource;

/// The named subsystem; every host belongs to it.
const NAMED: &str = "all";

/// The largest count that is found in [`unproved`].
const FOUND: u64 = 25;

/// A small fleet that takes some search: every host weighs differently in each of ten subsystems.
fn hard() -> World {
    let mut seeded = Seeded(2);
    let names: Vec<String> = (0..10).map(|other| format!("s{other:02}")).collect();
    let own: Vec<&str> = names.iter().map(String::as_str).chain([NAMED]).collect();
    let mut world = World::new(own.iter().map(|name| policy(name, 0)));
    for number in 0..50 {
        let mut made = host(&format!("h-{number:04}"), "a", &own);
        for name in &names {
            made.tags_mut().insert(name.clone(), (500 + seeded.next() % 501).to_string());
        }
        world.hosts.push(made);
    }
    for name in &names {
        let units = world.hosts.iter().map(|host| host.tags[name.as_str()].parse::<u64>().expect("a weight"));
        let half = units.sum::<u64>() / 2;
        let policy = world.policy_mut(name);
        policy.capacity.units = UnitsSource::Tag(name.clone());
        policy.capacity.minimum = half;
    }
    world
}

/// The same, where nobody has the time for a proof.
fn unproved() -> World {
    World { prove: Duration::ZERO, ..hard() }
}

fn broken(document: &PlanDocument) -> Vec<Rule> {
    document.violations.iter().map(|violation| violation.rule).collect()
}

fn bad_probe(world: &mut World, subsystem: &str) {
    let key = ProbeKey { subsystem: subsystem.into(), probe: "errors".into() };
    world.bad_probes.insert(key, "it reads 3".to_owned());
}

/// With the effort that everybody has, all of it is proved.
#[test]
fn s1_a_hard_fleet_is_proved() {
    let document = counted(&hard(), NAMED, FOUND).document;
    assert_eq!((document.verdict, document.exact, document.largest_allowed_count), (Verdict::Allowed, true, Some(25)));
    let document = counted(&hard(), NAMED, 26).document;
    assert!(broken(&document).iter().all(|rule| *rule == Rule::Minimum), "{:?}", document.violations);
    assert!(document.exact);
}

/// One host more is neither found nor excluded: no rule of the policies is named as if it bound.
#[test]
fn s1_a_count_that_is_not_proved_is_refused_as_that() {
    let world = unproved();
    let document = counted(&world, NAMED, FOUND).document;
    assert_eq!((document.verdict, document.exact), (Verdict::Allowed, false), "{:?}", document.violations);
    let document = counted(&world, NAMED, FOUND + 1).document;
    assert_eq!((document.verdict, broken(&document)), (Verdict::Refused, vec![Rule::NotProved]));
    assert_eq!((document.largest_text().as_deref(), document.why), (Some("at least 25"), None));
    let said = "26 hosts: no choice was found that every rule allows, and that there is none was not proved";
    assert_eq!(document.violations[0].message, said);

    let name = NAMED.into();
    let headroom = world.ask(|inputs| headroom(inputs, Some(&name), &InTurn)).expect("judged").remove(0);
    assert_eq!((headroom.hosts_allowed, headroom.exact, headroom.next_allowed), (FOUND, false, None));
    assert_eq!(headroom.binding.expect("unknown").message, said);
}

/// A count that is proved to be impossible keeps its rules. How many can go instead is "at least" all the same.
#[test]
fn s1_an_impossible_count_is_refused_by_its_rules_even_if_the_largest_is_not_proved() {
    let document = counted(&unproved(), NAMED, 45).document;
    let rules = broken(&document);
    assert!(!rules.is_empty() && rules.iter().all(|rule| *rule == Rule::Minimum), "{rules:?}");
    assert_eq!(document.why.expect("proved").would_allow[0].message(), "at least 25 hosts");
}

/// A rule excludes one host more than the count beside it, so that count is no "at least".
#[test]
fn s1_the_rule_that_would_bind_next_stands_beside_a_proved_count() {
    let mut world = unproved();
    world.hosts.truncate(20);
    for other in 0..10 {
        world.policy_mut(&format!("s{other:02}")).capacity.minimum = 7500;
    }
    world.policy_mut(NAMED).pace.max_hosts_per_run = 5;
    let of = world.ask(|inputs| headroom(inputs, Some(&NAMED.into()), &InTurn)).expect("judged").remove(0);
    assert_eq!((of.hosts_allowed, of.exact, of.binding.expect("limited").rule), (5, true, Rule::RunSize));
    assert_eq!(of.next.expect("limited").rule, Rule::Minimum);
    assert_eq!((of.next_allowed, of.next_exact), (Some(9), Some(true)));
}

/// What is closed now may be avoidable: it is named as the reason only where that is proved.
#[test]
fn s1_a_closed_subsystem_is_no_reason_unless_that_is_proved() {
    let mut world = unproved();
    world.policies.subsystems.insert("shut".into(), policy("shut", 0));
    let mut spare = host("spare", "a", &[NAMED, "shut"]);
    spare.health = Health::Failed;
    world.hosts.push(spare);
    assert_eq!(counted(&world, NAMED, FOUND + 1).document.verdict, Verdict::Allowed);
    bad_probe(&mut world, "shut");
    // The idle host would be the 26th; whether another one can be is not known.
    assert_eq!(broken(&counted(&world, NAMED, FOUND + 1).document), [Rule::NotProved]);
    // Without the idle host, 27 are proved to be too many.
    let rules = broken(&counted(&world, NAMED, FOUND + 2).document);
    assert_eq!(rules, [Rule::UnhealthyNow, Rule::NotProved]);
    // The same holds if its policy asks for a reason, or its group could not take it back.
    world.bad_probes.clear();
    world.policy_mut("shut").confirm.require_reason = true;
    assert_eq!(broken(&counted(&world, NAMED, FOUND + 1).document), [Rule::NotProved]);
    world.policy_mut("shut").confirm.require_reason = false;
    assert_eq!(counted(&world, NAMED, FOUND + 1).document.verdict, Verdict::Allowed);
    world.host_mut("spare").group = Some("asg".into());
    world.group_maximum = 0;
    assert_eq!(broken(&counted(&world, NAMED, FOUND + 1).document), [Rule::NotProved]);
    // The numbers alone are in doubt: no host of 27 is known to be needed, whatever it lacks.
    world.hosts.iter_mut().for_each(|host| host.group = Some("asg".into()));
    assert_eq!(broken(&counted(&world, NAMED, FOUND + 2).document), [Rule::NotProved]);
    bad_probe(&mut world, "shut");
    // All of the named subsystem is closed: that needs no proof.
    bad_probe(&mut world, NAMED);
    assert!(broken(&counted(&world, NAMED, FOUND + 1).document).contains(&Rule::UnhealthyNow));
}
