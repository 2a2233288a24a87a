//! The binary on the AWS API server: what an operator does, and what must be seen in the account afterwards.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::environment::Ran;
use crate::removal::{signal, signal_until_it_ends};
use crate::support::cloud::ACCOUNT;

use super::story::{
    GROUPS, SMALL, Shape, Story, TIMEOUT, ZONES, ended, named_by, removal, rules, run, sorted, start, texts,
    write_fleet,
};

#[tokio::test]
async fn s1_s8_exactly_the_confirmed_hosts_of_two_hundred_are_gone() {
    // One zone a batch: after each, the group is uneven, and AZRebalance would take somebody else's host.
    let pace = "batch = 2\nzones_per_batch = 1";
    let story = Story::new(&Shape { index: 90, placement: 60, billing: 42, alone: 8, pace, ..SMALL }).await;
    assert_eq!(story.before.running.len(), 200);
    let remove = ["--subsystem", "index", "--count", "6", "-o", "json"];
    let refused = story.environment.run(&[&remove[..], &["--yes"]].concat()).exits(3);
    assert_eq!(rules(&refused.json()), BTreeSet::from(["foreign-ledger", "too-few-candidates"]), "{}", refused.stderr);
    assert!(refused.stderr.contains("safe-remove ledger adopt"), "{}", refused.stderr);
    assert!(refused.stderr.contains("Terraform"), "{}", refused.stderr);
    story.untouched(&story.now().await);

    let shown = story.adopt();
    assert!(GROUPS.iter().all(|group| shown.contains(group)) && shown.contains(&story.id("alone-0001")), "{shown}");
    let unwrapped = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains("ignore_tags { key_prefixes = [\"safe-remove:\"] }"), "{shown}");
    assert!(unwrapped.contains("desired_capacity"), "{shown}");
    assert_eq!(story.now().await, story.before, "an adoption marks and does nothing else");
    let reads = story.cloud.moto.calls("DescribeInstances");
    let plan = story.environment.run(&[&["plan"], &remove[..]].concat()).exits(0).json();
    assert!(story.cloud.moto.calls("DescribeInstances") >= reads + 4, "the list has pages");
    let confirmed: Vec<String> = plan["batches"]
        .as_array()
        .expect("batches")
        .iter()
        .flat_map(|batch| batch["hosts"].as_array().expect("hosts"))
        .map(|host| host["id"].as_str().expect("an id").to_owned())
        .collect();

    let done = story.environment.run(&[&remove[..], &["--yes"]].concat()).exits(0).json();
    let confirmed = sorted(confirmed);
    assert_eq!(done["batches"].as_array().expect("batches").len(), 3, "{done:#}");
    assert_eq!(sorted(texts(&done["terminated"])), confirmed);
    story.cloud.moto.settle();
    let now = story.now().await;
    // No other left or appeared, desired capacity went down once each, AZRebalance and targets are as they were.
    assert_eq!(now, story.without(&confirmed));
    assert_eq!((now.groups["index"].desired, now.groups["index"].suspended.len()), (84, 0));
    assert_eq!(named_by(&story, "EnterStandby"), confirmed);
    assert_eq!(named_by(&story, "TerminateInstanceInAutoScalingGroup"), confirmed);
    // It was resumed once, and once tried before the first cordon.
    assert_eq!((story.cloud.moto.calls("SuspendProcesses"), story.cloud.moto.calls("ResumeProcesses")), (1, 2));
    assert_eq!(done["subsystems"][0]["remaining"], 84, "{done:#}");
}

/// What the suspension is for: this server, like AWS, evens out the zones of a group that is left alone with it.
#[tokio::test]
async fn without_the_suspension_the_group_takes_another_host() {
    let story = Story::new(&SMALL).await;
    let of_zone: Vec<String> = story.built["groups"]["index"]["instances"]
        .as_array()
        .expect("instances")
        .iter()
        .filter(|instance| instance["zone"] == ZONES[0])
        .take(2)
        .map(|instance| instance["id"].as_str().expect("an id").to_owned())
        .collect();
    let enter = story.cloud.autoscaling.enter_standby().auto_scaling_group_name("index");
    let enter = enter.set_instance_ids(Some(of_zone.clone())).should_decrement_desired_capacity(true);
    enter.send().await.expect("in standby");
    story.cloud.moto.settle();
    story.cloud.described("index").await;
    story.cloud.moto.settle();
    let running = story.now().await.running;
    let lost = story.before.running.difference(&running).filter(|id| !of_zone.contains(*id)).count();
    assert_eq!(lost, 1, "one that nobody named");
}

#[tokio::test]
async fn s9_throttling_and_lost_replies_take_every_host_once() {
    let story = Story::adopted(&SMALL).await;
    let hosts = story.one_of_each();
    let [index, placement, billing, alone] = &hosts[..] else { panic!("four") };
    let throttled = |action: &str, id: &str| json!({"action": action, "match": id, "code": "Throttling"});
    let lost = |action: &str, id: &str, when: &str| json!({"action": action, "match": id, "when": when, "drop": true});
    let (enter, terminate) = ("EnterStandby", "TerminateInstanceInAutoScalingGroup");
    story.cloud.moto.faults(&json!([
        throttled("SuspendProcesses", ""),
        throttled(enter, index),
        lost(enter, placement, "after"),
        lost(enter, billing, "before"),
        throttled("DeregisterTargets", alone),
        lost(terminate, index, "after"),
        throttled(terminate, placement),
        lost(terminate, billing, "before"),
        lost("TerminateInstances", alone, "after"),
        // Behind one trial for each of three groups.
        json!({"action": "ResumeProcesses", "skip": 3, "when": "after", "drop": true}),
    ]));
    let done = run(&story.environment, &removal("billing", &hosts)).exits(0).json();
    assert_eq!(sorted(texts(&done["terminated"])), sorted(hosts.clone()));
    assert_eq!(done["in_doubt"], json!([]));
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.without(&hosts));
    // What was done and only its answer lost was not sent again.
    assert_eq!(named_by(&story, enter), sorted([&hosts[..3], &[index.clone(), billing.clone()]].concat()));
    assert_eq!(named_by(&story, terminate), sorted([&hosts[..3], &[placement.clone(), billing.clone()]].concat()));
    assert_eq!(story.cloud.moto.calls("TerminateInstances"), 1);
}

#[tokio::test]
async fn s7_a_regression_while_hosts_are_out_puts_everything_back() {
    let story = Story::adopted(&Shape { bake: "20s", ..SMALL }).await;
    let hosts = story.one_of_each();
    let mut child = start(&story.environment, &removal("billing", &hosts));
    story.wait_for_standby(&mut child, "billing", 1).await;
    story.environment.write("trouble", "");
    let aborted = ended(child, 7);
    assert_eq!((aborted["outcome"].as_str(), aborted["cause"]["kind"].as_str()), (Some("aborted"), Some("probe")));
    assert_eq!(aborted["cause"]["probe"], "index/ready", "{aborted:#}");
    assert_eq!(sorted(texts(&aborted["restored"])), sorted(hosts.clone()), "{aborted:#}");
    // Without waiting for anything more: the tool said that all is back.
    assert_eq!(story.now().await, story.before);
    assert_eq!(named_by(&story, "TerminateInstanceInAutoScalingGroup"), Vec::<String>::new());

    // While that lasts nothing is begun.
    let refused = run(&story.environment, &removal("billing", &hosts)).exits(3);
    assert_eq!(rules(&refused.json()), BTreeSet::from(["unhealthy-now"]));
    std::fs::remove_file(story.environment.path().join("trouble")).expect("the trouble is over");

    // The same by a probe over HTTP, of hosts outside groups.
    let alone = vec![story.id("alone-0002"), story.id("alone-0003")];
    let child = start(&story.environment, &removal("billing", &alone));
    let begun = Instant::now();
    while story.cloud.moto.calls("DeregisterTargets") < 2 {
        assert!(begun.elapsed() < TIMEOUT, "deregistered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    story.cloud.moto.set(&json!({"terminated_visible_seconds": 5000}));
    let aborted = ended(child, 7);
    assert_eq!(aborted["cause"]["probe"], "billing/ready", "{aborted:#}");
    assert_eq!(aborted["cause"]["measured"], 5000.0, "{aborted:#}");
    assert_eq!(sorted(texts(&aborted["restored"])), sorted(alone.clone()));
    assert_eq!(story.now().await, story.before);
    for id in &alone {
        let tags = story.cloud.tags(&id.as_str().into(), "safe-remove:").await;
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["safe-remove:ledger"], "no trace of the cordon");
    }
}

#[tokio::test]
async fn s6_s7_a_signal_in_the_bake_puts_everything_back() {
    let story = Story::adopted(&Shape { bake: "60s", ..SMALL }).await;
    let hosts = story.one_of_each();
    let mut child = start(&story.environment, &removal("billing", &hosts));
    story.wait_for_standby(&mut child, "billing", 1).await;
    // Another run finds that these are held: a race, for they may come back.
    let refused = run(&story.environment, &removal("billing", &hosts[..1])).exits(10);
    assert!(rules(&refused.json()).contains("not-removable"), "{}", refused.stderr);
    signal_until_it_ends(&mut child, "-TERM");
    let halted = ended(child, 9);
    assert_eq!(halted["outcome"], "halted");
    assert_eq!(sorted(texts(&halted["restored"])), sorted(hosts), "{halted:#}");
    assert_eq!(story.now().await, story.before);
}

/// One batch of a subsystem at a time: the second run of a group waits for the first, which leaves the group as it was.
/// (Two that have hosts of one group out at once, of subsystems that share none: schedule 20.)
#[tokio::test]
async fn s4_a_second_run_in_a_group_waits_until_the_first_has_left_it() {
    let story = Story::adopted(&SMALL).await;
    let [slow, fast] = ["index-0001", "index-0002"].map(|name| vec![story.id(name)]);
    let mut child = start(&story.environment, &removal("index", &slow));
    story.wait_for_standby(&mut child, "index", 1).await;
    signal(&child, "-STOP");
    let mut second = removal("index", &fast);
    second.push("--no-wait".to_owned());
    let deferred = run(&story.environment, &second).exits(11);
    assert!(deferred.stderr.contains("1 host out since"), "{}", deferred.stderr);
    signal(&child, "-TERM");
    signal(&child, "-CONT");
    signal_until_it_ends(&mut child, "-TERM");
    let halted = ended(child, 9);
    assert_eq!(texts(&halted["restored"]), slow, "{halted:#}");
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.before);
    // Each tried to resume, without touching what the first had suspended; only the first resumed.
    assert_eq!((story.cloud.moto.calls("SuspendProcesses"), story.cloud.moto.calls("ResumeProcesses")), (1, 3));
    run(&story.environment, &removal("index", &fast)).exits(0);
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.without(&fast));
    assert_eq!((story.cloud.moto.calls("SuspendProcesses"), story.cloud.moto.calls("ResumeProcesses")), (2, 5));
}

#[tokio::test]
async fn s3_what_cannot_be_established_ends_with_exit_5_and_touches_nothing() {
    let story = Story::new(&SMALL).await;
    let remove = ["--subsystem", "index", "--count", "1", "--yes", "-o", "json"];
    let check = |what: &str, expected: &[&str]| {
        let ran = story.environment.run(&remove).exits(5);
        let error = ran.json();
        assert_eq!(error["schema"], "safe-remove/error/v1", "{what}");
        let hint = error["hint"].as_str().unwrap_or_default();
        assert!(!hint.is_empty(), "{what}: {error:#}");
        for word in expected {
            assert!(ran.stderr.contains(word), "{what} says {word:?}: {}", ran.stderr);
        }
    };
    write_fleet(&story.environment, "999999999999", "");
    check("another account in the policy", &["999999999999", ACCOUNT, "fleet.toml"]);
    write_fleet(&story.environment, ACCOUNT, "");
    for (what, settings, expected) in [
        (
            "credentials of another account",
            json!({"accounts": {"AKIAIOSFODNN7EXAMPLE": "210987654321"}}),
            "210987654321",
        ),
        ("expired credentials", json!({"accounts": {}, "expired_keys": true}), "aws sso login"),
        (
            "a permission that is missing",
            json!({"expired_keys": [], "deny": ["autoscaling:DescribeAutoScalingGroups"]}),
            "allow autoscaling:DescribeAutoScalingGroups",
        ),
        ("clocks that disagree", json!({"deny": [], "clock_shift_seconds": 600}), "synchronise"),
    ] {
        story.cloud.moto.set(&settings);
        check(what, &[expected]);
    }
    story.cloud.moto.set(&json!({"clock_shift_seconds": 0}));
    for (what, fault, expected) in [
        (
            "throttling on every call",
            json!({"code": "Throttling", "message": "Rate exceeded"}),
            "try again in a minute",
        ),
        ("a page that never comes", json!({"action": "DescribeInstances", "skip": 1, "delay": 600}), "network"),
        ("a page that is cut short", json!({"action": "DescribeInstances", "cut": 0.5}), "cut short"),
    ] {
        let mut fault = fault;
        fault["times"] = Value::Null;
        story.cloud.moto.set(&json!({"max_page": 5}));
        story.cloud.moto.faults(&json!([fault]));
        check(what, &[expected]);
        story.cloud.moto.faults(&json!([]));
    }
    story.untouched(&story.now().await);
    assert!(!story.environment.path().join("state/ledger.db").exists(), "no ledger was made");
}

#[tokio::test]
async fn s8_protected_hosts_are_refused_and_never_chosen() {
    let story = Story::adopted(&SMALL).await;
    let member = story.id("billing-0001");
    for id in [&member, &story.id("alone-0001")] {
        story.cloud.protect(&id.as_str().into()).await;
        let refused = story.environment.run(&["plan", "--subsystem", "billing", "--host", id, "-o", "json"]).exits(3);
        let plan = refused.json();
        assert_eq!(rules(&plan), BTreeSet::from(["protected"]), "{plan:#}");
        assert!(refused.stderr.contains(id) && refused.stderr.contains("termination protection"), "{}", refused.stderr);
    }
    // Whom a count would take is asked too, until the choice holds: with all but one protected, that one.
    let alone = ["alone-0002", "alone-0003"].map(|name| story.id(name));
    let members: Vec<String> = story.before.groups["billing"].members.keys().cloned().collect();
    let free = members.last().expect("a member").clone();
    for id in members.iter().chain(&alone).filter(|id| **id != free) {
        story.cloud.protect(&id.as_str().into()).await;
    }
    let plan = story.environment.run(&["plan", "--subsystem", "billing", "--count", "1", "-o", "json"]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["batches"][0]["hosts"][0]["id"], free.as_str(), "{plan:#}");
    assert_eq!(story.now().await, story.before);
}

#[tokio::test]
async fn other_peoples_text_never_reaches_the_terminal_raw() {
    let story = Story::new(&Shape { capacity: "units = { tag = \"weight\" }", ..SMALL }).await;
    write_fleet(&story.environment, ACCOUNT, "subsystem_tag = \"serves\"");
    // The eight-bit form of an escape sequence, and a change of direction: XML cannot carry ESC itself.
    let evil = "\u{9b}2J\u{202e}evil";
    let alone = story.id("alone-0001");
    let placement = story.id("placement-0006");
    for (id, key) in [(&alone, "weight"), (&alone, "Name"), (&placement, "serves"), (&placement, "Name")] {
        let tag = aws_sdk_ec2::types::Tag::builder().key(key).value(evil).build();
        story.cloud.ec2.create_tags().resources(id).tags(tag).send().await.expect("tagged");
    }
    let clean = |ran: &Ran| {
        for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{name} of {}: {text:?}", ran.arguments);
        }
    };
    for output in ["text", "json", "ndjson"] {
        let weight =
            story.environment.run(&["plan", "--subsystem", "billing", "--host", &alone, "-o", output]).exits(5);
        assert!(weight.stderr.contains("evil") && weight.stderr.contains(&alone), "{}", weight.stderr);
        clean(&weight);
        let no_policy = ["plan", "--subsystem", "placement", "--host", &placement, "-o", output];
        let no_policy = story.environment.run(&no_policy).exits(3);
        // A person reads it in the answer, and not twice; a program's log has it on stderr.
        let said = if output == "text" { &no_policy.stdout } else { &no_policy.stderr };
        assert!(said.contains("evil") && said.contains(&placement), "{no_policy:?}");
        clean(&no_policy);
    }
    clean(&story.environment.run(&["headroom", "--subsystem", "placement"]));
}

#[tokio::test]
async fn s1_a_fleet_that_another_checkout_adopted_is_refused_here() {
    let story = Story::adopted(&SMALL).await;
    let hosts = story.one_of_each();
    run(&story.environment, &[vec!["plan".to_owned()], removal("billing", &hosts)].concat());
    let marked = story.cloud.tags(&hosts[3].as_str().into(), "safe-remove:").await;
    // Another checkout: the same policies, a ledger of its own.
    std::fs::rename(story.environment.path().join("state"), story.environment.path().join("elsewhere")).expect("moved");
    let refused = run(&story.environment, &removal("billing", &hosts)).exits(3);
    assert_eq!(rules(&refused.json()), BTreeSet::from(["foreign-ledger"]), "{}", refused.stderr);
    let ledger = &marked["safe-remove:ledger"];
    assert!(refused.stderr.contains(ledger.as_str()), "the message names {ledger}: {}", refused.stderr);
    assert_eq!(story.now().await, story.before);
}

/// A copy of the directory that names another region: there the hosts that are out do not exist, and whoever believed that
/// called them gone.
#[cfg(debug_assertions)]
#[tokio::test]
async fn s3_a_run_is_not_taken_over_from_another_region() {
    let story = Story::adopted(&SMALL).await;
    let hosts = ["index-0001", "index-0002"].map(|name| story.id(name)).to_vec();
    let mut remove = removal("index", &hosts);
    remove.extend(["--request-id", "job-1"].map(str::to_owned));
    let arguments: Vec<&str> = remove.iter().map(String::as_str).collect();
    let killed = story
        .environment
        .command(&arguments)
        .env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned")
        .output()
        .expect("it starts");
    assert_eq!(killed.status.code(), None, "{}", String::from_utf8_lossy(&killed.stderr));
    let run_id = crate::takeover::run_id(&story.environment);
    let killed = story.now().await;
    assert_eq!(killed.groups["index"].members.values().filter(|state| *state == "Standby").count(), 2, "{killed:?}");
    let journals = |story: &Story| story.environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string();
    let told = journals(&story);

    for name in ["fleet.toml", "index.toml", "placement.toml", "billing.toml"] {
        let text = std::fs::read_to_string(story.environment.path().join("policies").join(name)).expect("a file");
        story.environment.write(&format!("other/{name}"), &text.replace("us-east-1", "eu-west-1"));
    }
    for verb in [&["abandon", &run_id][..], &["resume", &run_id, "--yes"], &arguments] {
        let refused = story.environment.run(&[verb, &["--policies", "other"]].concat()).exits(5);
        let regions = ["us-east-1", "eu-west-1"].map(|region| refused.stderr.contains(region));
        assert_eq!(regions, [true, true], "both are named: {}", refused.stderr);
        assert_eq!((story.now().await, journals(&story)), (killed.clone(), told.clone()), "{verb:?}");
    }
    story.environment.run(&["abandon", &run_id]).exits(0);
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.before, "both serve again, and the group rebalances as before");
    crate::takeover::nothing_is_held(&story.environment);
}
