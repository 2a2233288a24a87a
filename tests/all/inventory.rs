//! What a provider says of its hosts: the order in which it says it, and weights that cannot be used.

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

/// The scenario's pools in the opposite order.
fn reversed(scenario: &str) -> String {
    let (head, rest) = scenario.split_once("[[hosts]]").expect("pools");
    let (pools, tail) = rest.split_once("[[load]]").expect("load");
    let mut pools: Vec<&str> = pools.split("[[hosts]]").collect();
    pools.reverse();
    let pools: String = pools.iter().map(|pool| format!("[[hosts]]{pool}")).collect();
    format!("{head}{pools}[[load]]{tail}")
}

#[test]
fn a_plan_does_not_depend_on_the_order_of_the_scenario() {
    let documents = |reverse: bool| {
        let environment = TestEnvironment::new();
        Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
        if reverse {
            let path = environment.path().join("policies/scenario.toml");
            let scenario = std::fs::read_to_string(&path).expect("the scenario");
            assert_ne!(reversed(&scenario), scenario);
            environment.write("policies/scenario.toml", &reversed(&scenario));
        }
        let ask = |arguments: &[&str]| {
            let mut document = environment.run(arguments).exits(0).json();
            // Of all that a document says, only the ids of ledger and fleet are new each time, and the digest over the
            // latter.
            let document_of = document.as_object_mut().expect("a document");
            document_of.remove("ledger");
            document_of.remove("plan");
            assert!(document_of["provider"].as_object_mut().expect("a provider").remove("id").is_some());
            serde_json::to_string(&document).expect("JSON")
        };
        let plan = ask(&["plan", "--subsystem", "index", "--count", "5", "--output", "json"]);
        let headroom = ask(&["headroom", "--output", "json"]);
        (plan, headroom)
    };
    assert_eq!(documents(false), documents(true));
}

#[test]
fn s3_hosts_without_a_weight_are_named_with_exit_5() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let path = environment.path().join("policies/index.toml");
    let policy = std::fs::read_to_string(&path).expect("the policy");
    let weighed = policy.replace("baseline = 18\n", "baseline = 18\nunits = { tag = \"capacity-units\" }\n");
    assert_ne!(weighed, policy);
    environment.write("policies/index.toml", &weighed);
    for command in ["plan", "remove", "headroom"] {
        let mut arguments = vec!["--subsystem", "index", "--output", "json"];
        match command {
            "plan" => arguments.extend(["--count", "1"]),
            "remove" => arguments.extend(["--count", "1", "--yes"]),
            _ => {}
        }
        if command != "remove" {
            arguments.insert(0, command);
        }
        let failed = environment.run(&arguments).exits(5);
        let document = failed.json();
        assert_eq!((&document["schema"], &document["exit_code"]), (&"safe-remove/error/v1".into(), &5.into()));
        let cause = document["causes"][0].as_str().expect("a cause");
        assert_eq!(
            cause,
            "18 hosts of subsystem index without a usable weight (a positive integer): \
             index-0001 (no tag \"capacity-units\"), index-0002 (no tag \"capacity-units\"), \
             index-0003 (no tag \"capacity-units\"), index-0004 (no tag \"capacity-units\"), \
             index-0005 (no tag \"capacity-units\") and 13 more"
        );
        assert!(failed.stderr.contains("index-0001"), "{}", failed.stderr);
        assert!(document["hint"].as_str().expect("a hint").contains("`units` in the policy of index"), "{document:#}");
    }
}
