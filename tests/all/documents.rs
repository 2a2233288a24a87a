//! One rule for the numbers and times of every document: a number is a count or a reading, unless its name ends in
//! `_ms`; a time is RFC 3339 in UTC with milliseconds. A program never has to guess a unit.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

/// Names of numbers that need no unit: hosts, units of capacity, and other counts, numbers of things, and readings. A
/// new number either counts something and is added here, or its name says what it is measured in. `is` and `would_be`
/// are of a policy's key, those from `limit` on of a probe.
const COUNTS: &str = "\
    allows baseline capacity claims count expect_remaining headroom holds hosts hosts_allowed largest_allowed_count \
    max_hosts_per_run minimum minimum_per_zone next_allowed remaining required unattended_max units zones_per_batch \
    above batch call epoch exit_code failures number pid records rounds runs seq tickets version \
    is of would_be limit max measured min bad percent recent reference value";

/// Objects whose keys are names of hosts, probes or subsystems.
const BY_NAME: &[&str] = &[
    "as_it_is",
    "largest_removal",
    "largest_removals",
    "reference",
    "readings",
    "capacity",
    "minimums",
    "last_end",
    "units",
];

/// Names of times.
const TIMES: &[&str] = &["at", "until", "not_before", "not_after", "was", "as_of"];

fn is_time(name: &str) -> bool {
    name.ends_with("_at") || TIMES.contains(&name)
}

/// Whether a text is a time as documents write it: `2017-02-28T17:37:00.000Z`.
fn is_written_as_time(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == shape.len()
        && text.chars().zip(shape.chars()).all(|(c, of)| if of == 'd' { c.is_ascii_digit() } else { c == of })
}

/// A number, or nothing but numbers: the samples of a reference.
fn is_of_numbers(value: &Value) -> bool {
    value.is_number() || value.as_array().is_some_and(|all| all.iter().all(is_of_numbers))
}

/// What breaks the rule, with its path.
fn faults(path: &str, name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if BY_NAME.contains(&name) => {
            for (key, inner) in fields.iter().filter(|(_, inner)| !is_of_numbers(inner)) {
                faults(&format!("{path}.{key}"), "", inner, found);
            }
        }
        Value::Object(fields) => {
            for (key, inner) in fields {
                faults(&format!("{path}.{key}"), key, inner, found);
            }
        }
        Value::Array(items) => {
            // Only what is an object itself has names for keys.
            let name = if BY_NAME.contains(&name) { "" } else { name };
            items.iter().for_each(|inner| faults(&format!("{path}[]"), name, inner, found));
        }
        Value::Number(_) if is_time(name) => found.push(format!("{path}: a time that is a number")),
        Value::Number(_) if name.ends_with("_ms") || COUNTS.split(' ').any(|known| known == name) => {}
        Value::Number(number) => found.push(format!("{path}: {number}, of no unit")),
        Value::String(text) if is_time(name) && !is_written_as_time(text) => found.push(format!("{path}: {text:?}")),
        Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Documents of every kind, and the events of runs that complete, abort and are taken over.
fn documents() -> Vec<Value> {
    let mut all = Vec::new();
    let environment = TestEnvironment::new();
    let events = "[[events]]\nat = \"400s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    let mut add = |arguments: &[&str], code: i32| {
        let json = environment.run(&[arguments, &["-o", "ndjson"]].concat()).exits(code);
        all.extend(lines(&json.stdout));
    };
    let remove = ["--subsystem", "index", "--count"];
    add(&["plan", "--subsystem", "index", "--count", "2", "--expect-remaining", "16"], 0);
    add(&["plan", "--subsystem", "index", "--count", "9"], 3);
    add(&["plan", "--subsystem", "index", "--host", "index-0001"], 0);
    add(&[&remove[..], &["2"]].concat(), 6);
    add(&[&remove[..], &["2", "--yes", "--reason", "rack 7", "--request-id", "job-1"]].concat(), 0);
    add(&["halt", "--reason", "smoke", "--subsystem", "billing"], 0);
    add(&["status"], 0);
    add(&["unhalt", "--subsystem", "billing", "--reason", "no fire"], 0);
    add(&[&remove[..], &["4", "--yes"]].concat(), 7);
    add(&["headroom", "--what-if", "zone-down=a"], 0);
    add(&["hosts", "--subsystem", "index"], 0);
    add(&["history"], 0);
    add(&["policy", "check"], 0);
    add(&["policy", "show"], 0);
    add(&["policy", "show", "nonsense"], 3);
    add(&["ledger", "init"], 0);
    add(&["ledger", "export"], 0);
    add(&["status", "r-000000000000"], 3);
    add(&["plan"], 2);
    #[cfg(debug_assertions)]
    all.extend(of_a_dead_run());
    all
}

/// A run that died with hosts out: its status, and its end.
#[cfg(debug_assertions)]
fn of_a_dead_run() -> Vec<Value> {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut command = environment.command(&["--subsystem", "index", "--count", "4", "--yes", "-o", "ndjson"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-send-cordon").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    let mut all = lines(&String::from_utf8(killed.stdout).expect("UTF-8"));
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    all.push(status);
    all.push(environment.run(&["plan", "--subsystem", "index", "--count", "1", "-o", "json"]).exits(3).json());
    all.extend(lines(&environment.run(&["abandon", &id, "-o", "ndjson"]).exits(0).stdout));
    all
}

#[test]
fn every_number_says_its_unit_and_every_time_is_written_alike() {
    let all = documents();
    let mut kinds: Vec<&str> = all.iter().filter_map(|document| document["schema"].as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in ["plan", "run", "event", "status", "history", "headroom", "hosts", "result", "error", "ledger-export"] {
        assert!(kinds.iter().any(|known| known.starts_with(&format!("safe-remove/{kind}/v"))), "{kind} of {kinds:?}");
    }
    let mut found = Vec::new();
    for document in &all {
        let name = document["event"].as_str().or(document["schema"].as_str()).unwrap_or("without a schema");
        assert_ne!(name, "without a schema", "{document:#}");
        faults(name, "", document, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.is_empty(), "{found:#?}");
}

/// What nobody wrote down, nobody can rely on.
#[test]
fn the_contract_lists_every_field() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = std::fs::read_to_string(root.join("docs/contract.md")).expect("the contract");
    let mut missing = Vec::new();
    for document in documents().iter().filter(|document| document.get("event").is_none()) {
        let kind =
            document["schema"].as_str().and_then(|schema| schema.strip_prefix("safe-remove/")).expect("a schema");
        let is_row =
            |line: &&str| line.starts_with("| `") && line.split('|').nth(1).is_some_and(|kinds| kinds.contains(kind));
        let row = contract.lines().find(is_row).unwrap_or_else(|| panic!("{kind} has no row"));
        if kind.starts_with("ledger-") {
            continue;
        }
        let fields = document.as_object().expect("an object").keys().filter(|field| *field != "schema");
        missing.extend(
            fields.filter(|field| !row.contains(&format!("`{field}`"))).map(|field| format!("{kind}: {field}")),
        );
    }
    missing.sort_unstable();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A pipeline that reads stdout alone learns from the plan how the command ended.
#[test]
fn a_plan_says_how_the_command_ended() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let remove = ["--subsystem", "index", "-o", "json", "--count"];
    for (arguments, code) in [
        ([&["plan"], &remove[..], &["2"]].concat(), 0),
        ([&["plan"], &remove[..], &["9"]].concat(), 3),
        ([&remove[..], &["2"]].concat(), 6),
        ([&remove[..], &["9", "--yes"]].concat(), 3),
    ] {
        let plan = environment.run(&arguments).exits(code).json();
        assert_eq!(plan["schema"], "safe-remove/plan/v1", "{arguments:?}");
        assert_eq!((&plan["exit_code"], &plan["confirmed"]), (&code.into(), &false.into()), "{arguments:?}");
        assert_eq!((&plan["exact"], plan["others"].is_array()), (&true.into(), true), "{arguments:?}");
    }
}

/// Confirmed, and then another run is first in line.
#[cfg(debug_assertions)]
#[test]
fn a_plan_says_that_it_was_confirmed() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let remove = ["--subsystem", "index", "--count", "2", "--yes", "--output=json"];
    let mut first = environment.command(&remove);
    let mut first = first.env("SAFE_REMOVE_FAULT", "stop:behind-append-batch-cordoned").spawn().expect("it starts");
    assert!(crate::fault_points::is_stopped(&mut first));
    let second = environment.run(&[&remove[..], &["--no-wait"]].concat()).exits(11).json();
    crate::removal::signal(&first, "-KILL");
    first.wait().expect("it is dead");
    assert_eq!((&second["schema"], &second["exit_code"]), (&"safe-remove/plan/v1".into(), &11.into()), "{second:#}");
    assert_eq!((&second["confirmed"], &second["others"][0]["holds"]), (&true.into(), &2.into()), "{second:#}");
}

/// Whoever starts a run can name it at once, on both outputs.
#[test]
fn the_id_of_a_run_is_said_first() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let ran = environment.run(&["--subsystem", "index", "--count", "2", "--yes", "-o", "ndjson"]).exits(0);
    let first = &lines(&ran.stdout)[0];
    let id = first["run"].as_str().expect("an id");
    assert_eq!(first["event"], "run-opened");
    let said = ran.stderr.find(&format!("run {id} begins")).expect("on stderr");
    assert!(said < ran.stderr.find("sampling the reference").expect("the first step"), "{}", ran.stderr);
}
