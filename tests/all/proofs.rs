//! A count about which nothing is proved, `--prove`, and the proof itself. `plan::tests::kept` checks such proofs.

use serde_json::{Value, json};

use crate::environment::{START, TestEnvironment};
use crate::fleets::{FLEET_TOML, subsystem};

/// Fleets that `tests/planner/oracle.py` made, one a line, with how many hosts of `all` can go.
const KEPT: &str = include_str!("../planner/kept.jsonl");

/// Twenty hosts, each in 6 to 10 of 16 subsystems with another weight in each, as a fleet on the disk.
fn hard() -> (TestEnvironment, u64) {
    let kept = KEPT.lines().map(|line| serde_json::from_str::<Value>(line).expect("a fleet"));
    let fleet = kept.into_iter().find(|fleet| fleet["shape"] == "dense 20" && fleet["seed"] == 18).expect("it is kept");
    let environment = TestEnvironment::new();
    environment.write("policies/fleet.toml", FLEET_TOML);
    let mut scenario = format!("clock = \"virtual\"\nstart = \"{START}\"\n");
    for (number, host) in fleet["hosts"].as_array().expect("hosts").iter().enumerate() {
        let units = host[1].as_object().expect("units").iter();
        let tags: Vec<String> = units.map(|(name, units)| format!("{name} = \"{units}\"")).collect();
        scenario.push_str(&format!(
            "[[hosts]]\npool = \"h{number:02}\"\ncount = 1\nzones = [{}]\ntags = {{ {} }}\ninstance_type = \"m6i.large\"\n",
            host[0],
            tags.join(", ")
        ));
    }
    for (name, limits) in fleet["limits"].as_object().expect("limits") {
        scenario.push_str(&format!("[[load]]\nsubsystem = \"{name}\"\ndemand = 1\nper_unit = 1\nlatency = 1\n"));
        let minimum = limits[0].as_u64().expect("units");
        let policy = subsystem(name, "[\"*\"]", "[]", 10_000, minimum, "[{ hosts = 24, per = \"24h\" }]")
            .replace("role =", &format!("{name} ="))
            .replace("[pace]", &format!("units = {{ tag = \"{name}\" }}\n[pace]\nmax_unserving = \"100%\""));
        environment.write(&format!("policies/{name}.toml"), &policy);
    }
    environment.write("policies/scenario.toml", &scenario);
    (environment, fleet["found"].as_u64().expect("a count"))
}

#[test]
fn s1_what_is_not_proved_in_no_time_is_proved_in_more() {
    let (environment, most) = hard();
    let more = (most + 1).to_string();
    let asked = |time: &str| {
        let plan = ["plan", "--subsystem", "all", "--count", &more, "--prove", time, "--output=json"];
        let headroom = ["headroom", "--subsystem", "all", "--prove", time, "--output=json"];
        let (plan, headroom) = (environment.run(&plan).exits(3).json(), environment.run(&headroom).exits(0).json());
        let rules: Vec<Value> =
            plan["violations"].as_array().expect("rules").iter().map(|v| v["rule"].clone()).collect();
        (rules, plan["exact"].clone(), headroom["subsystems"][0]["exact"].clone())
    };
    assert_eq!(asked("0s"), (vec![json!("not-proved")], json!(false), json!(false)));
    let (rules, exact, exact_too) = asked("60s");
    assert!(rules.iter().all(|rule| rule == "minimum"), "{rules:?}");
    assert_eq!((exact, exact_too), (json!(true), json!(true)));
}

#[test]
fn s1_a_refusal_because_of_numbers_carries_its_proof() {
    let (environment, most) = hard();
    let asked = |count: u64, certificate: &[&str], exit: i32| {
        let count = count.to_string();
        let plan = ["plan", "--subsystem", "all", "--count", &count, "--output=json"];
        environment.run(&[&plan[..], certificate].concat()).exits(exit).json()
    };
    let plan = asked(most + 1, &["--certificate"], 3);
    let certificate = &plan["certificate"];
    assert_eq!(
        (&certificate["schema"], &certificate["count"]),
        (&json!("safe-remove/certificate/v1"), &json!(most + 1))
    );
    let hosts =
        certificate["columns"].as_array().expect("columns").iter().flat_map(|hosts| hosts.as_array().expect("ids"));
    assert_eq!(hosts.count(), 20);
    assert!(certificate["parts"].as_array().expect("parts").len() > 1, "it takes some search");
    assert_eq!(asked(most + 1, &[], 3)["certificate"], Value::Null, "nobody asked for it");
    assert_eq!(asked(most, &["--certificate"], 0)["certificate"], Value::Null, "so many can go");
    // With less effort there is neither a proof nor a certificate.
    let plan = asked(most + 1, &["--certificate", "--prove", "0s"], 3);
    assert_eq!((&plan["certificate"], &plan["violations"][0]["rule"]), (&Value::Null, &json!("not-proved")));
}
