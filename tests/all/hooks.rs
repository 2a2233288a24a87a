//! Hooks in a removal, as programs and as a server: what they are told, what they may answer, and what becomes of the hosts.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::cordoned;
use crate::support::page::{Answer, Page};

/// A fleet whose subsystem index has these hooks. Each is a shell script beside its policies that finds the document in `$DOCUMENT`
/// and a file of its own in `$SEEN`.
struct Hooked(TestEnvironment);

impl Hooked {
    fn new(hooks: &[(&str, &str)]) -> Self {
        let environment = TestEnvironment::new();
        Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
        let this = Self(environment);
        for (on, script) in hooks {
            this.add(on, script);
        }
        this
    }

    fn add(&self, on: &str, script: &str) {
        self.add_named(on, on, script);
    }

    fn add_named(&self, name: &str, on: &str, script: &str) {
        let seen = self.0.path().join(format!("{name}.seen")).display().to_string();
        let head = format!("#!/bin/sh\nSEEN='{seen}'\nDOCUMENT=$(cat)\nprintf '%s\\n' \"$DOCUMENT\" >> \"$SEEN\"\n");
        let file = self.0.write(&format!("policies/{name}"), &format!("{head}{script}\n"));
        make_executable(&file);
        let hook = format!(
            "[[hooks]]\nname = \"{name}\"\non = \"{on}\"\nkind = \"exec\"\ncommand = [\"./{name}\"]\ntimeout = \"3s\"\n"
        );
        self.0.replace("policies/index.toml", "[confirm]", &format!("{hook}[confirm]"));
    }

    /// Takes every hook out of the policy.
    fn forget_hooks(&self) {
        let policy = std::fs::read_to_string(self.0.path().join("policies/index.toml")).expect("a policy");
        let (begin, rest) = policy.split_once("[[hooks]]").expect("a hook");
        let (_, end) = rest.split_once("[confirm]").expect("what follows");
        self.0.write("policies/index.toml", &format!("{begin}[confirm]{end}"));
    }

    #[track_caller]
    fn removal(&self, count: &str, code: i32) -> Value {
        let command = ["--subsystem", "index", "--count", count, "--yes", "-o", "json"];
        let run = self.0.run(&command).exits(code).json();
        assert_eq!(cordoned(self.0.path()), 0, "{run:#}");
        run
    }

    /// The documents that a hook was given.
    fn told(&self, on: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.path().join(format!("{on}.seen"))).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn make_executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = std::fs::metadata(file).expect("it is there").permissions();
    permissions.set_mode(0o755);
    std::fs::set_permissions(file, permissions).expect("ours");
}

const ALLOW: &str = "echo '{\"answer\": \"allow\"}'";

fn len(of: &Value) -> usize {
    of.as_array().expect("a list").len()
}

#[test]
fn s2_hooks_are_asked_about_these_hosts_and_drain_them_before_the_bake() {
    let hooked = Hooked::new(&[("consult", ALLOW), ("drain", ALLOW), ("undrain", ALLOW)]);
    let run = hooked.removal("2", 0);
    assert_eq!(len(&run["terminated"]), 2, "{run:#}");
    let (consulted, drained) = (hooked.told("consult"), hooked.told("drain"));
    let before: Vec<&Value> = consulted.iter().map(|document| &document["before"]).collect();
    assert_eq!(before, ["cordon", "terminate"]);
    let [drained] = drained.as_slice() else { panic!("{drained:?}") };
    assert_eq!(drained["schema"], "safe-remove/hook/v1");
    assert_eq!(
        (&drained["on"], &drained["fleet"], &drained["subsystem"]),
        (&"drain".into(), &"demo".into(), &"index".into())
    );
    assert_eq!((&drained["run"], &drained["batch"], &drained["attempt"]), (&run["run"], &1.into(), &1.into()));
    let host = &drained["hosts"][0];
    for key in ["id", "zone", "group"] {
        assert!(host[key].is_string(), "{drained:#}");
    }
    assert!(host["address"].as_str().is_some_and(|address| address.starts_with("10.0.0.")), "{drained:#}");
    assert_eq!(host["tags"]["role"], "index");
    assert_eq!(hooked.told("undrain"), Vec::<Value>::new(), "nothing was put back");
}

#[test]
fn s3_a_hook_that_says_no_refuses_with_its_name_and_reason() {
    let hooked = Hooked::new(&[("consult", "echo '{\"answer\": \"deny\", \"reason\": \"two replicas are behind\"}'")]);
    let plan = hooked.removal("2", 3);
    assert_eq!(plan["violations"][0]["rule"], "consult", "{plan:#}");
    assert_eq!(plan["violations"][0]["message"], "hook index/consult (consult) says no: two replicas are behind");
}

/// The third of six hosts may not go.
#[test]
fn s8_a_hook_that_denies_the_third_of_six_hosts_lets_the_others_go() {
    let third = "index-0003";
    let script = format!(
        "case \"$DOCUMENT\" in\n*{third}*) KEPT=$(printf '%s' \"$DOCUMENT\" | grep -o '\"id\":\"[^\"]*\"' | cut -d: -f2 | grep -v {third} | paste -sd, -)\n\
         echo \"{{\\\"answer\\\": \\\"only\\\", \\\"hosts\\\": [$KEPT]}}\" ;;\n*) {ALLOW} ;;\nesac"
    );
    let hooked = Hooked::new(&[("consult", &script)]);
    let hosts = "index-0001,index-0002,index-0003,index-0004,index-0005,index-0006";
    let list: Vec<&str> = hosts.split(',').flat_map(|host| ["--host", host]).collect();
    let command = [&["--subsystem", "index"], &list[..], &["--yes", "-o", "json"]].concat();
    let run = hooked.0.run(&command).exits(7).json();
    assert_eq!((len(&run["terminated"]), &run["cause"]["kind"]), (5, &"hook".into()), "{run:#}");
    assert!(!run["terminated"].as_array().expect("hosts").contains(&third.into()), "{run:#}");
    assert_eq!(len(&run["batches"]), 4, "it is in a batch of its own now: {run:#}");
    let report = hooked.0.run(&["report", run["run"].as_str().expect("an id")]).exits(0).stdout;
    assert!(report.contains("because a hook said no"), "{report}");
}

#[test]
fn s2_a_hook_that_says_not_yet_for_five_minutes_is_waited_for() {
    let script = format!(
        "if [ $(wc -l < \"$SEEN\") -le 5 ]; then echo '{{\"answer\": \"wait\", \"seconds\": 60, \"reason\": \"moves shards\"}}'; else {ALLOW}; fi"
    );
    for on in ["consult", "drain"] {
        let hooked = Hooked::new(&[(on, &script), ("undrain", ALLOW)]);
        let run = hooked.removal("2", 0);
        let (from, to) = (moment(&run["started_at"]), moment(&run["ended_at"]));
        assert!(to - from >= 300, "{on}: {from} {to}");
        let attempts: Vec<u64> = hooked.told(on).iter().filter_map(|document| document["attempt"].as_u64()).collect();
        assert_eq!(attempts[..6], [1, 2, 3, 4, 5, 6], "{on}");
    }
    let hooked = Hooked::new(&[("consult", &script)]);
    let command = ["--subsystem", "index", "--count", "2", "--yes", "--max-wait", "2m", "-o", "json"];
    let deferred = hooked.0.run(&command).exits(11);
    assert!(deferred.stderr.contains("hook index/consult says not yet: moves shards"), "{}", deferred.stderr);
}

fn moment(of: &Value) -> i64 {
    of.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time").as_second()
}

/// Its time-out is in real time.
#[test]
fn s3_a_hook_that_hangs_is_no() {
    let hooked = Hooked::new(&[("consult", "sleep 60")]);
    let plan = hooked.removal("2", 3);
    let message = plan["violations"][0]["message"].as_str().expect("a message");
    assert!(message.contains("has no answer, which is no") && message.contains("no answer within 3s"), "{message}");

    let hooked = Hooked::new(&[("drain", "echo 'moves 2 of 3' >&2; sleep 60"), ("undrain", ALLOW)]);
    let command = ["--subsystem", "index", "--count", "2", "--yes", "-o", "json"];
    let ended = hooked.0.run(&command).exits(7);
    assert!(ended.stderr.contains("index/drain: moves 2 of 3"), "its progress is shown: {}", ended.stderr);
    assert_eq!(hooked.told("undrain").len(), 1);
    assert_eq!(cordoned(hooked.0.path()), 0);
}

/// It dies half-way through a drain: the hosts are back in service, and then undrained.
#[test]
fn s7_a_drain_that_dies_half_way_is_undrained() {
    let hooked = Hooked::new(&[("drain", "echo 'index-0001 is drained' >&2; kill -9 $$"), ("undrain", ALLOW)]);
    let run = hooked.removal("2", 7);
    assert_eq!((len(&run["restored"]), &run["cause"]["kind"]), (2, &"hook".into()), "{run:#}");
    let undrained = hooked.told("undrain");
    let [undrained] = undrained.as_slice() else { panic!("{undrained:?}") };
    assert_eq!(len(&undrained["hosts"]), 2, "{undrained:#}");
}

#[test]
fn s7_an_undrain_that_fails_leaves_the_hosts_in_service_and_needs_a_person() {
    let hooked = Hooked::new(&[
        ("drain", "echo '{\"answer\": \"deny\", \"reason\": \"no room\"}'"),
        ("undrain", "echo 'no route' >&2; exit 1"),
    ]);
    let run = hooked.removal("2", 8);
    assert_eq!((len(&run["restored"]), len(&run["in_doubt"])), (2, 0), "{run:#}");
    let warnings = run["warnings"].to_string();
    assert!(
        warnings.contains("hook index/undrain did not undrain index-") && warnings.contains("no route"),
        "{warnings}"
    );
    assert_eq!(hooked.told("undrain").len(), 3);
}

/// Between the drain and the bake the process dies; whoever resumes the run drains again, and bakes the whole of it.
#[cfg(debug_assertions)]
#[test]
fn s9_a_crash_between_drain_and_bake_drains_again_after_resume() {
    let hooked = Hooked::new(&[("consult", ALLOW), ("drain", ALLOW), ("undrain", ALLOW)]);
    let mut command = hooked.0.command(&["--subsystem", "index", "--count", "2", "--yes"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:before-append-batch-drained").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    assert_eq!((hooked.told("drain").len(), cordoned(hooked.0.path())), (1, 2));
    let status = hooked.0.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    let run = hooked.0.run(&["resume", &id, "--yes", "-o", "json"]).exits(0).json();
    assert_eq!((len(&run["terminated"]), hooked.told("drain").len()), (2, 2), "{run:#}");
    let export = hooked.0.run(&["ledger", "export"]).exits(0).json();
    let names: Vec<&str> = export["journals"][&id]
        .as_array()
        .expect("a journal")
        .iter()
        .filter_map(|line| line["event"].as_str())
        .collect();
    let place = |name: &str| names.iter().position(|of| *of == name).expect(name);
    assert!(
        place("run-taken-over") < place("batch-drained") && place("batch-drained") < place("bake-ended"),
        "{names:?}"
    );
}

/// The same in the middle of the drain, and abandoned.
#[cfg(debug_assertions)]
#[test]
fn s7_a_crash_in_a_drain_is_undrained_by_whoever_abandons_the_run() {
    let hooked = Hooked::new(&[("drain", ALLOW), ("undrain", ALLOW)]);
    let mut command = hooked.0.command(&["--subsystem", "index", "--count", "2", "--yes"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-ask-drain").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    let status = hooked.0.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    let run = hooked.0.run(&["abandon", &id, "-o", "json"]).exits(0).json();
    assert_eq!(len(&run["restored"]), 2, "{run:#}");
    assert_eq!((hooked.told("undrain").len(), cordoned(hooked.0.path())), (1, 0));
}

#[test]
fn a_hook_may_be_a_server() {
    let hooked = Hooked::new(&[]);
    let page = Page::new(|head| {
        assert!(head.starts_with("POST /may-go HTTP/1.1") && head.contains("content-type: application/json"), "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer open-sesame"), "{head}");
        Answer::json(r#"{"answer": "deny", "reason": "the quorum is small, says open-sesame"}"#)
    });
    hooked.0.write("policies/token", "open-sesame");
    let hook = format!(
        "[[hooks]]\nname = \"brokers\"\non = \"consult\"\nkind = \"http\"\nurl = \"http://{}/may-go\"\n\
         headers = {{ Authorization = {{ file = \"token\", scheme = \"Bearer\" }} }}\n",
        page.address
    );
    hooked.0.replace("policies/index.toml", "[confirm]", &format!("{hook}[confirm]"));
    let plan = hooked.removal("2", 3);
    assert_eq!(
        plan["violations"][0]["message"],
        "hook index/brokers (consult) says no: the quorum is small, says (hidden)"
    );
}

#[test]
fn the_answers_have_a_schema() {
    let environment = TestEnvironment::new();
    let schema: Value =
        serde_json::from_str(&environment.run(&["policy", "schema", "hook-answer"]).exits(0).stdout).expect("JSON");
    let schema = jsonschema::draft202012::new(&schema).expect("a schema");
    for answer in [
        serde_json::json!({ "answer": "allow" }),
        serde_json::json!({ "answer": "deny", "reason": "no" }),
        serde_json::json!({ "answer": "wait", "seconds": 60, "reason": "no" }),
        serde_json::json!({ "answer": "only", "hosts": ["index-0001"] }),
    ] {
        assert!(schema.is_valid(&answer), "{answer}");
    }
    for answer in [
        serde_json::json!({ "answer": "failed", "message": "no" }),
        serde_json::json!({ "answer": "allow", "hosts": [] }),
        serde_json::json!({ "answer": "wait", "reason": "no" }),
    ] {
        assert!(!schema.is_valid(&answer), "{answer}");
    }
}

#[test]
fn a_program_that_is_not_there_is_an_invalid_policy() {
    let hooked = Hooked::new(&[("consult", ALLOW)]);
    std::fs::remove_file(hooked.0.path().join("policies/consult")).expect("it was there");
    for command in [&["plan", "--subsystem", "index", "--count", "2"][..], &["policy", "check"]] {
        let refused = hooked.0.run(command).exits(4);
        assert!(
            refused.stderr.contains("index/consult: ") && refused.stderr.contains("No such file"),
            "{}",
            refused.stderr
        );
    }
}

/// All are asked at once, and one that answers at once is in nobody's way.
#[test]
fn s5_two_hooks_of_a_stage_are_both_asked() {
    let hooked = Hooked::new(&[]);
    for (name, on) in
        [("one", "consult"), ("two", "consult"), ("three", "drain"), ("four", "drain"), ("five", "undrain")]
    {
        hooked.add_named(name, on, ALLOW);
    }
    let run = hooked.removal("4", 0);
    assert_eq!(len(&run["terminated"]), 4, "{run:#}");
    let asked = ["one", "two", "three", "four", "five"].map(|name| hooked.told(name).len());
    assert_eq!(asked, [4, 4, 2, 2, 0]);
}

/// The hooks that the ledger has accepted undrain what was drained, whatever the policy says by now.
#[cfg(debug_assertions)]
#[test]
fn s7_a_hook_that_is_taken_out_after_a_crash_undrains_all_the_same() {
    let hooked = Hooked::new(&[("drain", ALLOW), ("undrain", ALLOW)]);
    let mut command = hooked.0.command(&["--subsystem", "index", "--count", "2", "--yes"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-ask-drain").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    hooked.forget_hooks();
    let status = hooked.0.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    let run = hooked.0.run(&["abandon", &id, "-o", "json"]).exits(0).json();
    assert_eq!((len(&run["restored"]), hooked.told("undrain").len()), (2, 1), "{run:#}");
}

/// Whoever takes a hook out of a policy must say so.
#[test]
fn a_hook_that_is_taken_out_is_a_policy_that_is_loosened() {
    let hooked = Hooked::new(&[("consult", ALLOW)]);
    hooked.removal("2", 0);
    hooked.forget_hooks();
    let plan = hooked.0.run(&["plan", "--subsystem", "index", "--count", "2", "-o", "json"]).exits(3).json();
    assert_eq!(plan["violations"][0]["rule"], "policy-loosened", "{plan:#}");
}
