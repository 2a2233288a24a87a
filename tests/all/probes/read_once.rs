//! `policy check --probe`: what every probe reads now.

use serde_json::json;

use crate::support::page::{Answer, Page};

use super::with_probe;

fn page(headers: &'static str, body: &'static str) -> Page {
    Page::new(move |_| Answer::and(Answer::json(body), headers))
}

fn probe_of(page: &Page) -> String {
    format!(
        "name = \"page\"\nkind = \"http\"\nurl = \"http://{}/\"\npointer = \"/load\"\nmax = 5\nmax_increase = \"20%\"\n\
         failures = 3\nunit = \"req/s\"\n",
        page.address
    )
}

#[test]
fn every_probe_is_read_once_with_its_limits_and_its_age() {
    let page = page("Age: 12", r#"{"load": 4}"#);
    let environment = with_probe(&probe_of(&page));
    let ran = environment.run(&["policy", "check", "--probe"]).exits(0);
    for told in ["index/page", "4 req/s", "max 5, at most +20%", "12s", "4 probes read, all good"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    let document = environment.run(&["policy", "check", "--probe", "-o", "json"]).exits(0).json();
    let probes = document["result"]["probes"].as_array().expect("probes").clone();
    let found = probes.iter().find(|probe| probe["probe"] == "index/page").expect("index/page");
    assert_eq!((&found["value"], &found["good"], &found["age_ms"]), (&json!(4.0), &json!(true), &json!(12_000)));
    assert_eq!((&found["max_increase"], &found["unit"]), (&json!("20%"), &json!("req/s")));
    assert!(found["took_ms"].is_u64(), "{found}");
    assert!(!environment.path().join("state/ledger.db").exists(), "nothing is recorded");
}

#[test]
fn a_probe_that_is_bad_or_cannot_be_read_is_exit_5() {
    let page = page("X-A: b", r#"{"load": 6}"#);
    let environment = with_probe(&probe_of(&page));
    let ran = environment.run(&["policy", "check", "--probe"]).exits(5);
    for told in ["BAD: 6 req/s", "1 of 4 probes bad: index/page"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    drop(page);
    let ran = environment.run(&["policy", "check", "--probe"]).exits(5);
    assert!(ran.stdout.contains("refused"), "{}", ran.stdout);
}
