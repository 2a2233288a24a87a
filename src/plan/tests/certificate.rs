//! Certificates of refusals: each is confirmed by a checker that shares nothing with the solver, and what it calls rows are
//! the rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::checker::check;
use super::program::Rules;
use crate::model::HostId;
use crate::plan::testing::{World, host, policy};
use crate::plan::{Inputs, Request, Selection, Violation, certify, plan};

fn asked(named: &str, count: u64) -> Request {
    let selection = Selection::counted(count);
    Request { subsystem: named.into(), selection, reason: None, request_id: None, expect_remaining: None }
}

/// The certificate of a count that cannot go.
pub(super) fn certificate(world: &World, named: &str, count: u64) -> Option<Value> {
    let request = asked(named, count);
    let made = world.ask(|inputs: &Inputs<'_>| certify(inputs, &request)).expect("everything can be weighed");
    made.map(|made| serde_json::to_value(made).expect("JSON"))
}

/// Asks for the certificate of a refused count, and checks it and its rows; returns the kinds of its steps.
pub(super) fn assert_certified(world: &World, named: &str, count: u64) -> BTreeSet<String> {
    let certificate = certificate(world, named, count).unwrap_or_else(|| panic!("{count} of {named}: no certificate"));
    assert_eq!(certificate["count"], count);
    assert_eq!(check(&certificate), Ok(()), "{count} of {named}");
    let rules = Rules::of(world, named);
    let mut listed = BTreeSet::new();
    let columns: Vec<Vec<HostId>> = serde_json::from_value(certificate["columns"].clone()).expect("hosts");
    columns.iter().flatten().for_each(|host| assert!(listed.insert(host.clone()), "{host} is in two columns"));
    assert_eq!(listed, rules.candidates(), "every candidate may be chosen");
    let known = rules.rows();
    for row in certificate["rows"].as_array().expect("rows") {
        let mut takes = BTreeMap::new();
        for pair in row["takes"].as_array().expect("pairs") {
            let column = usize::try_from(pair[0].as_u64().expect("a column")).expect("an index");
            let units = i128::from(pair[1].as_i64().expect("units"));
            takes.extend(columns[column].iter().map(|host| (host.clone(), units)));
        }
        let bound = i128::from(row["bound"].as_i64().expect("a bound"));
        assert!(known.contains(&(takes, bound)), "no rule says {row}");
    }
    let parts = certificate["parts"].as_array().expect("parts");
    let steps = parts.iter().flat_map(|part| part["steps"].as_array().expect("steps"));
    steps.filter_map(|step| step.as_object()?.keys().next().cloned()).collect()
}

/// Three subsystems that two hosts each share: two can go by the relaxation, one in whole hosts.
fn triangle() -> World {
    let mut world = World::new(["all", "ab", "bc", "ca"].map(|name| policy(name, u64::from(name != "all"))));
    for (id, own) in [("i-1", ["ab", "ca"]), ("i-2", ["ab", "bc"]), ("i-3", ["bc", "ca"])] {
        world.hosts.push(host(id, "a", &["all", own[0], own[1]]));
    }
    world
}

#[test]
fn s1_what_whole_hosts_cannot_do_is_certified() {
    assert_certified(&triangle(), "all", 2);
    assert_eq!(certificate(&triangle(), "all", 1), None, "one can go");
}

/// A certificate beside "that there is none was not proved" would prove it.
#[test]
fn s1_what_the_plan_calls_not_proved_has_no_certificate() {
    let (world, request) = (triangle(), asked("all", 2));
    world.ask(|inputs| {
        let mut document = plan(inputs, &request).expect("judged").document;
        let mut unproved = document.clone();
        unproved.violations = vec![Violation::not_proved(&"all".into(), 2)];
        for document in [&mut document, &mut unproved] {
            document.certified(|| certify(inputs, &request)).expect("judged");
        }
        assert!(document.certificate.is_some());
        assert_eq!((unproved.certificate, unproved.warnings), (None, document.warnings));
    });
}

#[test]
fn s1_more_than_there_are_is_certified() {
    assert_certified(&triangle(), "all", 4);
}

/// Whatever is changed to say more than is true, or less than is needed, is not confirmed.
#[test]
fn s1_a_certificate_that_is_changed_is_not_confirmed() {
    let good = certificate(&triangle(), "all", 2).expect("two cannot go");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut certificate = good.clone();
        change(&mut certificate);
        check(&certificate)
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    assert!(changed(&|c| c["count"] = json!(1)).is_err(), "one can go");
    assert!(changed(&|c| c["rows"][0]["bound"] = json!(2)).is_err(), "more may be taken");
    assert!(changed(&|c| c["parts"] = json!([])).is_err(), "no steps");
    assert!(changed(&|c| c["parts"][0]["steps"] = json!([])).is_err(), "no prices");
    assert!(changed(&|c| c["parts"][0]["split"] = json!([0, 0])).is_err(), "no halves");
    let negative = json!([{ "priced": [[0, -1]] }]);
    assert_eq!(changed(&|c| c["parts"][0]["steps"] = negative.clone()), Err("a negative price".to_owned()));
}

/// Of each two of three columns at least one host, and of all three no more than one: no single row excludes anything.
#[test]
fn s1_rows_that_cannot_be_kept_together_need_multiples_of_all() {
    let pair = |a: usize, b: usize| json!({ "takes": [[a, -1], [b, -1]], "bound": -1 });
    let all = json!({ "takes": [[0, 1], [1, 1], [2, 1]], "bound": 1 });
    let with = |multiples: Value| {
        check(&json!({
            "count": 0, "unit": 1, "columns": [["a"], ["b"], ["c"]],
            "rows": [pair(0, 1), pair(1, 2), pair(2, 0), all],
            "parts": [{ "steps": [{ "broken": multiples }], "split": null }],
        }))
    };
    assert_eq!(with(json!([[0, 1], [1, 1], [2, 1], [3, 2]])), Ok(()));
    assert_eq!(with(json!([[0, 1], [1, 1], [2, 1], [3, 1]])), Err("part 0 is not excluded".to_owned()));
}

/// A row of weights 3, 3, 3 and 5 that has 8: two of the first three go, or one of them with the last.
#[test]
fn s1_cuts_that_do_not_follow_are_not_confirmed() {
    let with = |step: &Value| {
        check(&json!({
            "count": 3, "unit": 1, "columns": [["a"], ["b"], ["c"], ["d"]],
            "rows": [{ "takes": [[0, 3], [1, 3], [2, 3], [3, 5]], "bound": 8 }],
            "parts": [{ "steps": [step, { "priced": [[1, 1]] }], "split": null }],
        }))
    };
    let cover = |takes: Value, bound: i64| json!({ "cover": { "of": 0, "takes": takes, "bound": bound } });
    assert_eq!(with(&cover(json!([[0, 1], [1, 1], [2, 1], [3, 1]]), 2)), Ok(()));
    let wrong = Err("a cover that does not follow".to_owned());
    assert_eq!(with(&cover(json!([[0, 1], [1, 1], [2, 1], [3, 1]]), 1)), wrong);
    assert_eq!(with(&cover(json!([[0, 1], [1, 1], [2, 1], [3, 2]]), 2)), wrong);
    let rounded = |divisor: i64, ends: Value| json!({ "rounded": { "rows": [[0, 1]], "divisor": divisor, "shrink": 1, "ends": ends } });
    let ends = json!([[0, 0, false], [1, 0, false], [2, 0, false], [3, 0, false]]);
    assert_eq!(with(&rounded(3, ends.clone())), Ok(()));
    assert_eq!(with(&rounded(0, ends)), Err("a divisor below 1".to_owned()));
    let inside = json!([[0, 0, true], [1, 0, false], [2, 0, false], [3, 0, false]]);
    assert_eq!(with(&rounded(3, inside)), Err("an end within the range".to_owned()));
}
