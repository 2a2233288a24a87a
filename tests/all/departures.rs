//! Hosts that leave by nobody's order while a run is under way.

use serde_json::Value;

use crate::environment::{START, TestEnvironment};
use crate::fleets::FLEET_TOML;

/// Twelve hosts of `web`, of which `store` needs all that it has, and what happens by itself.
fn fleet(events: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.write("policies/fleet.toml", FLEET_TOML);
    let pool = |name: &str, count: u64| {
        format!("[[hosts]]\npool = '{name}'\ncount = {count}\nzones = ['a', 'b', 'c']\ntags = {{ role = '{name}' }}\n")
    };
    let pools = [pool("web", 12), pool("store", 6), pool("other", 6)].concat();
    environment.write("policies/scenario.toml", &format!("clock = 'virtual'\nstart = '{START}'\n{pools}{events}"));
    for (name, baseline, needs) in [("web", 12, ""), ("store", 6, "'web'"), ("other", 6, "")] {
        let policy = format!(
            "name = '{name}'\ndepends_on = [{needs}]\n[hosts]\ntags = {{ role = ['{name}'] }}\n\
             [capacity]\nbaseline = {baseline}\nminimum = 3\n\
             [pace]\nmax_hosts_per_run = 6\nbatch = 2\ninterval = '2m'\nbudgets = [{{ hosts = 6, per = '1h' }}]\n\
             [health]\nbake = '1m'\nevery = '10s'\n\
             [[health.probe]]\nname = 'errors'\nkind = 'simulated'\nmetric = 'error_rate'\nmax = 0.01\n\
             [confirm]\nunattended_max = 6\n"
        );
        environment.write(&format!("policies/{name}.toml"), &policy);
    }
    environment
}

const REMOVE: [&str; 7] = ["--subsystem", "web", "--count", "4", "--yes", "-o", "json"];

/// The run stopped for these hosts, put back what was out, and says so.
#[track_caller]
fn stopped(run: &Value, hosts: &[&str], terminated: usize) {
    assert_eq!((&run["outcome"], &run["cause"]["kind"]), (&"aborted".into(), &"inventory".into()), "{run:#}");
    let message = run["cause"]["message"].as_str().expect("a message");
    assert!(hosts.iter().all(|host| message.contains(&format!("host {host} ("))), "{message}");
    assert!(message.contains(" is gone, seen at 2017-"), "{message}");
    assert_eq!((&run["dropped"], &run["in_doubt"]), (&Value::Array(Vec::new()), &Value::Array(Vec::new())));
    assert_eq!(run["terminated"].as_array().map(Vec::len), Some(terminated), "{run:#}");
}

#[test]
fn s1_a_host_that_vanishes_stops_the_run_and_what_is_out_comes_back() {
    let out = "[[events]]\nafter = { pool = 'web', cordoned = 2 }\nat = '20s'\n";
    for (events, hosts, terminated) in [
        (format!("{out}vanish = ['web-0012']\n"), &["web-0012"][..], 0),
        (format!("{out}vanish = ['web-0012', 'web-0011']\n"), &["web-0011", "web-0012"], 0),
        // It depends on what is touched, and is watched.
        (format!("{out}vanish = ['store-0001']\n"), &["store-0001"], 0),
        // Between two batches nothing is out.
        ("[[events]]\nafter = { terminated = 2 }\nat = '30s'\nvanish = ['web-0012']\n".to_owned(), &["web-0012"], 2),
    ] {
        let environment = fleet(&events);
        let ran = environment.run(&REMOVE).exits(7);
        stopped(&ran.json(), hosts, terminated);
        assert!(ran.stderr.contains(hosts[0]), "{}", ran.stderr);
        assert_eq!(environment.run(&["status", "-o", "json"]).exits(0).json()["runs"], Value::Array(Vec::new()));
    }
}

#[test]
fn what_vanishes_before_the_run_or_elsewhere_stops_nothing() {
    for events in [
        "[[events]]\nat = '1ms'\nvanish = ['web-0012']\n",
        "[[events]]\nafter = { pool = 'web', cordoned = 2 }\nvanish = ['other-0001']\n",
    ] {
        let run = fleet(events).run(&REMOVE).exits(0).json();
        assert_eq!(run["terminated"].as_array().map(Vec::len), Some(4), "{run:#}");
    }
}
