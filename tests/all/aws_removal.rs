//! The binary on the AWS API server: what an operator does, and what must be seen in the account afterwards.
//!
//! The fleet has the shape of the outage that this tool answers: hosts of `index` and `placement` that serve
//! `billing` too, in three groups over three zones, and instances of `billing` outside groups.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::{Duration, Instant};

use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;
use serde_json::{Value, json};

use crate::environment::{Ran, TestEnvironment};
use crate::removal::signal;
use crate::support::cloud::{ACCOUNT, Cloud, Described};

const GROUPS: [&str; 3] = ["index", "placement", "billing"];
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
/// Far above what a loaded machine takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// How large the fleet is and how a run goes about it.
struct Shape {
    index: u64,
    placement: u64,
    billing: u64,
    alone: u64,
    bake: &'static str,
    /// More of every subsystem's `[pace]`.
    pace: &'static str,
    /// More of billing's `[capacity]`.
    capacity: &'static str,
}

const SMALL: Shape =
    Shape { index: 9, placement: 6, billing: 6, alone: 3, bake: "3s", pace: "batch = 4", capacity: "" };

/// A fleet, a place to work from, and what the account looked like at the beginning.
struct Story {
    cloud: Cloud,
    environment: TestEnvironment,
    built: Value,
    before: Account,
}

/// Everything that a removal may change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    running: BTreeSet<String>,
    groups: BTreeMap<&'static str, Described>,
    targets: BTreeMap<&'static str, BTreeMap<String, String>>,
}

impl Story {
    async fn new(shape: &Shape) -> Self {
        let cloud = Cloud::new().await;
        cloud.moto.set(&json!({
            "entering_standby_seconds": 0.2, "pending_seconds": 0.2, "terminating_seconds": 0.3,
            "initial_seconds": 0.3, "draining_seconds": 0.5, "max_page": 50,
        }));
        let group = |name: &str, count: u64, shared: u64, target_group: &str, suspended: Value| {
            json!({
                "name": name, "count": count, "min": 0, "tags": {format!("subsystem:{name}"): "true", "weight": "1"},
                "extra_tags": [{"first": shared, "tags": {"subsystem:billing": "true"}}],
                "target_groups": [target_group], "suspended": suspended,
            })
        };
        let built = cloud.moto.fixture(&json!({
            "groups": [
                group("index", shape.index, shape.index, "web", json!([])),
                group("placement", shape.placement, shape.placement / 3, "web", json!(["AZRebalance"])),
                group("billing", shape.billing, shape.billing, "bills", json!([])),
            ],
            "instances": [{
                "name": "alone", "count": shape.alone, "tags": {"subsystem:billing": "true", "weight": "1"},
                "target_groups": ["bills"],
            }],
        }));
        let mut environment = TestEnvironment::new();
        for (name, value) in [
            ("AWS_ENDPOINT_URL", cloud.moto.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ] {
            environment.set(name, value);
        }
        write_policies(&environment, shape, cloud.moto.url());
        let before = Account::of(&cloud, &built).await;
        assert!(before.targets["web"].values().all(|state| state == "healthy"), "{before:?}");
        Self { cloud, environment, built, before }
    }

    /// The same, with the fleet put under the ledger of this place.
    async fn adopted(shape: &Shape) -> Self {
        let story = Self::new(shape).await;
        story.adopt();
        story
    }

    /// What somebody types who adopts the fleet; the terminal's text.
    fn adopt(&self) -> String {
        let adopt = ["ledger", "adopt", "--reason", "this checkout governs the fleet from now on"];
        let patience = u64::try_from(PATIENCE.as_millis()).ok();
        let mut session = spawn_command(self.environment.interactive(&adopt), patience).expect("it starts");
        let shown = session.exp_string("Type demo to adopt").expect("the question");
        session.send_line("demo").expect("typed");
        let rest = session.exp_eof().expect("it ends");
        match session.process().wait().expect("it ends") {
            WaitStatus::Exited(_, 0) => shown,
            other => panic!("{other:?}: {shown}{rest}"),
        }
    }

    /// The id of a host by its name in the fixture.
    fn id(&self, name: &str) -> String {
        self.built["names"][name].as_str().unwrap_or_else(|| panic!("no {name} in the fixture")).to_owned()
    }

    /// One host of each kind: of `index`, of `placement`, of `billing`, outside groups. All of them serve billing.
    fn one_of_each(&self) -> Vec<String> {
        ["index-0001", "placement-0001", "billing-0001", "alone-0001"].map(|name| self.id(name)).to_vec()
    }

    async fn now(&self) -> Account {
        Account::of(&self.cloud, &self.built).await
    }

    /// As the account should be without these hosts, which were taken for good.
    fn without(&self, hosts: &[String]) -> Account {
        let mut account = self.before.clone();
        for id in hosts {
            assert!(account.running.remove(id), "{id} ran before");
            for group in account.groups.values_mut() {
                if group.members.remove(id).is_some() {
                    group.desired -= 1;
                }
            }
            for targets in account.targets.values_mut() {
                targets.remove(id);
            }
        }
        account
    }

    /// Nothing was touched: no effect was sent, and all is as it was.
    #[track_caller]
    fn untouched(&self, now: &Account) {
        for effect in [
            "EnterStandby",
            "ExitStandby",
            "TerminateInstanceInAutoScalingGroup",
            "TerminateInstances",
            "DeregisterTargets",
            "RegisterTargets",
            "SuspendProcesses",
            "ResumeProcesses",
            "CreateTags",
            "DeleteTags",
            "SetDesiredCapacity",
        ] {
            assert_eq!(self.cloud.moto.calls(effect), 0, "{effect}");
        }
        assert_eq!(*now, self.before);
    }

    /// Waits until so many members of the group are in standby.
    async fn wait_for_standby(&self, child: &mut Child, group: &str, count: usize) {
        let begun = Instant::now();
        loop {
            let members = self.cloud.described(group).await.members;
            if members.values().filter(|state| *state == "Standby").count() >= count {
                return;
            }
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{count} in standby: {members:?}, {ended:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Account {
    async fn of(cloud: &Cloud, built: &Value) -> Self {
        let mut groups = BTreeMap::new();
        for name in GROUPS {
            groups.insert(name, cloud.described(name).await);
        }
        let mut targets = BTreeMap::new();
        for name in ["web", "bills"] {
            let arn = built["target_groups"][name].as_str().expect("an ARN");
            targets.insert(name, cloud.target_health(arn).await);
        }
        Self { running: cloud.running().await, groups, targets }
    }
}

fn write_policies(environment: &TestEnvironment, shape: &Shape, url: &str) {
    write_fleet(environment, ACCOUNT, "");
    let probe = environment.write("policies/probe", "#!/bin/sh\ntest ! -e \"$(dirname \"$0\")/../trouble\"\n");
    std::fs::set_permissions(probe, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let exec = "kind = \"exec\"\ncommand = [\"./probe\"]\ntimeout = \"5s\"".to_owned();
    // Any number that a test can change; this one has no part in these stories.
    let http = format!(
        "kind = \"http\"\nurl = \"{url}/lab/settings\"\npointer = \"/terminated_visible_seconds\"\nmax = 4000\n\
         timeout = \"5s\""
    );
    let shared = shape.index + shape.placement / 3 + shape.billing + shape.alone;
    for (name, depends_on, baseline, probe, capacity) in [
        ("index", "[]", shape.index, &exec, ""),
        ("placement", "[\"index\"]", shape.placement, &exec, ""),
        ("billing", "[]", shared, &http, shape.capacity),
    ] {
        let (bake, pace, minimum) = (shape.bake, shape.pace, baseline / 2);
        environment.write(
            &format!("policies/{name}.toml"),
            &format!(
                r#"name = "{name}"
depends_on = {depends_on}
[hosts]
tags = {{ "subsystem:{name}" = ["true"] }}
[capacity]
baseline = {baseline}
minimum = {minimum}
{capacity}
[pace]
max_hosts_per_run = 6
interval = "1s"
budgets = [{{ hosts = 12, per = "24h" }}]
{pace}
[health]
bake = "{bake}"
every = "1s"
[[health.probe]]
name = "ready"
{probe}
[confirm]
unattended_max = 6
"#
            ),
        );
    }
}

fn write_fleet(environment: &TestEnvironment, account: &str, more: &str) {
    environment.write(
        "policies/fleet.toml",
        &format!(
            r#"name = "demo"
[provider]
kind = "aws"
region = "us-east-1"
account = "{account}"
settle = "1s"
{more}
[ledger]
kind = "sqlite"
path = "../state/ledger.db"
"#
        ),
    );
}

/// The arguments of a removal of these hosts.
fn removal(subsystem: &str, hosts: &[String]) -> Vec<String> {
    let hosts = hosts.iter().flat_map(|host| ["--host".to_owned(), host.clone()]);
    ["--subsystem", subsystem, "--yes", "-o", "json"].map(str::to_owned).into_iter().chain(hosts).collect()
}

fn run(environment: &TestEnvironment, arguments: &[String]) -> Ran {
    environment.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn start(environment: &TestEnvironment, arguments: &[String]) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    environment.command(&arguments).spawn().expect("the binary starts")
}

/// The child's exit code, its run document, and what it said.
fn ended(child: Child, code: i32) -> Value {
    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{stdout}\n{stderr}"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("an array").iter().map(|v| v.as_str().expect("a text").to_owned()).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable();
    ids
}

fn rules(plan: &Value) -> BTreeSet<&str> {
    plan["violations"].as_array().expect("violations").iter().filter_map(|v| v["rule"].as_str()).collect()
}

/// The ids that calls of the action named, in order.
fn named_by(story: &Story, action: &str) -> Vec<String> {
    let calls = story.cloud.moto.parameters(action);
    let ids = calls.iter().flat_map(|call| match &call["InstanceIds"] {
        Value::Array(_) => texts(&call["InstanceIds"]),
        _ => vec![call["InstanceId"].as_str().expect("an id").to_owned()],
    });
    sorted(ids.collect())
}

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
    story.untouched(&story.now().await);

    let shown = story.adopt();
    assert!(GROUPS.iter().all(|group| shown.contains(group)) && shown.contains(&story.id("alone-0001")), "{shown}");
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
    assert_eq!((story.cloud.moto.calls("SuspendProcesses"), story.cloud.moto.calls("ResumeProcesses")), (1, 1));
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
        lost("ResumeProcesses", "", "after"),
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
        assert!(begun.elapsed() < PATIENCE, "deregistered");
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
    // Another run finds that these are held.
    let refused = run(&story.environment, &removal("billing", &hosts[..1])).exits(3);
    assert!(rules(&refused.json()).contains("not-removable"), "{}", refused.stderr);
    signal(&child, "-TERM");
    let halted = ended(child, 9);
    assert_eq!(halted["outcome"], "halted");
    assert_eq!(sorted(texts(&halted["restored"])), sorted(hosts), "{halted:#}");
    assert_eq!(story.now().await, story.before);
}

/// Schedule 20: of two runs in one group the last to leave puts AZRebalance back, whichever suspended it.
#[tokio::test]
async fn s7_a_group_that_two_runs_share_stays_as_the_slower_one_needs_it() {
    let story = Story::adopted(&SMALL).await;
    let [slow, fast] = ["index-0001", "index-0002"].map(|name| vec![story.id(name)]);
    let mut child = start(&story.environment, &removal("index", &slow));
    story.wait_for_standby(&mut child, "index", 1).await;
    signal(&child, "-STOP");
    run(&story.environment, &removal("index", &fast)).exits(0);
    let suspended = story.cloud.described("index").await.suspended;
    assert_eq!((suspended.len(), story.cloud.moto.calls("ResumeProcesses")), (1, 0), "{suspended:?}");
    signal(&child, "-TERM");
    signal(&child, "-CONT");
    let halted = ended(child, 9);
    assert_eq!(texts(&halted["restored"]), slow, "{halted:#}");
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.without(&fast));
    assert_eq!((story.cloud.moto.calls("SuspendProcesses"), story.cloud.moto.calls("ResumeProcesses")), (1, 1));
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
        assert!(no_policy.stderr.contains("evil") && no_policy.stderr.contains(&placement), "{}", no_policy.stderr);
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
