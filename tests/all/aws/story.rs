//! A fleet in an AWS account, and what the account looked like at the beginning.
//!
//! It has the shape of the outage that this tool answers: hosts of `index` and `placement` that serve `billing` too, in
//! three groups over three zones, and instances of `billing` outside groups.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::{Duration, Instant};

use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;
use serde_json::{Value, json};

use crate::environment::{Ran, TestEnvironment};
use crate::support::cloud::{ACCOUNT, Cloud, Described};

pub(super) const GROUPS: [&str; 3] = ["index", "placement", "billing"];
pub(super) const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
/// Far above what a loaded machine takes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(90);

/// How large the fleet is and how a run goes about it.
pub(super) struct Shape {
    pub(super) index: u64,
    pub(super) placement: u64,
    pub(super) billing: u64,
    pub(super) alone: u64,
    pub(super) bake: &'static str,
    /// More of every subsystem's `[pace]`.
    pub(super) pace: &'static str,
    /// More of billing's `[capacity]`.
    pub(super) capacity: &'static str,
}

pub(super) const SMALL: Shape =
    Shape { index: 9, placement: 6, billing: 6, alone: 3, bake: "3s", pace: "batch = 4", capacity: "" };

/// A fleet, a place to work from, and what the account looked like at the beginning.
pub(super) struct Story {
    pub(super) cloud: Cloud,
    pub(super) environment: TestEnvironment,
    pub(super) built: Value,
    pub(super) before: Account,
}

/// Everything that a removal may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) running: BTreeSet<String>,
    pub(super) groups: BTreeMap<&'static str, Described>,
    pub(super) targets: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// A place to work from, with credentials for the account.
pub(super) fn caller(cloud: &Cloud) -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", cloud.moto.url()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        environment.set(name, value);
    }
    environment
}

impl Story {
    pub(super) async fn new(shape: &Shape) -> Self {
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
        let environment = caller(&cloud);
        write_policies(&environment, shape, cloud.moto.url());
        let before = Account::of(&cloud, &built).await;
        assert!(before.targets["web"].values().all(|state| state == "healthy"), "{before:?}");
        Self { cloud, environment, built, before }
    }

    /// The same, with the fleet put under the ledger of this place.
    pub(super) async fn adopted(shape: &Shape) -> Self {
        let story = Self::new(shape).await;
        story.adopt();
        story
    }

    /// What somebody types who adopts the fleet; the terminal's text, with the answer.
    pub(super) fn adopt(&self) -> String {
        let adopt = ["ledger", "adopt", "--reason", "this checkout governs the fleet from now on"];
        let timeout = u64::try_from(TIMEOUT.as_millis()).ok();
        let mut session = spawn_command(self.environment.interactive(&adopt), timeout).expect("it starts");
        let shown = session.exp_string("Type demo to adopt").expect("the question");
        session.send_line("demo").expect("typed");
        let rest = session.exp_eof().expect("it ends");
        match session.process().wait().expect("it ends") {
            WaitStatus::Exited(_, 0) => format!("{shown}{rest}"),
            other => panic!("{other:?}: {shown}{rest}"),
        }
    }

    /// The id of a host by its name in the fixture.
    pub(super) fn id(&self, name: &str) -> String {
        self.built["names"][name].as_str().unwrap_or_else(|| panic!("no {name} in the fixture")).to_owned()
    }

    /// One host of each kind: of `index`, of `placement`, of `billing`, outside groups. All of them serve billing.
    pub(super) fn one_of_each(&self) -> Vec<String> {
        ["index-0001", "placement-0001", "billing-0001", "alone-0001"].map(|name| self.id(name)).to_vec()
    }

    pub(super) async fn now(&self) -> Account {
        Account::of(&self.cloud, &self.built).await
    }

    /// As the account should be without these hosts, which were taken for good.
    pub(super) fn without(&self, hosts: &[String]) -> Account {
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
    pub(super) fn untouched(&self, now: &Account) {
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
    pub(super) async fn wait_for_standby(&self, child: &mut Child, group: &str, count: usize) {
        let begun = Instant::now();
        loop {
            let members = self.cloud.described(group).await.members;
            if members.values().filter(|state| *state == "Standby").count() >= count {
                return;
            }
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < TIMEOUT, "{count} in standby: {members:?}, {ended:?}");
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

pub(super) fn write_fleet(environment: &TestEnvironment, account: &str, more: &str) {
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
pub(super) fn removal(subsystem: &str, hosts: &[String]) -> Vec<String> {
    let hosts = hosts.iter().flat_map(|host| ["--host".to_owned(), host.clone()]);
    ["--subsystem", subsystem, "--yes", "-o", "json"].map(str::to_owned).into_iter().chain(hosts).collect()
}

pub(super) fn run(environment: &TestEnvironment, arguments: &[String]) -> Ran {
    environment.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn start(environment: &TestEnvironment, arguments: &[String]) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    environment.command(&arguments).spawn().expect("the binary starts")
}

/// The child's exit code, its run document, and what it said.
pub(super) fn ended(child: Child, code: i32) -> Value {
    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{stdout}\n{stderr}"))
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("an array").iter().map(|v| v.as_str().expect("a text").to_owned()).collect()
}

pub(super) fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable();
    ids
}

pub(super) fn rules(plan: &Value) -> BTreeSet<&str> {
    plan["violations"].as_array().expect("violations").iter().filter_map(|v| v["rule"].as_str()).collect()
}

/// The ids that calls of the action named, in order.
pub(super) fn named_by(story: &Story, action: &str) -> Vec<String> {
    let calls = story.cloud.moto.parameters(action);
    let ids = calls.iter().flat_map(|call| match &call["InstanceIds"] {
        Value::Array(_) => texts(&call["InstanceIds"]),
        _ => vec![call["InstanceId"].as_str().expect("an id").to_owned()],
    });
    sorted(ids.collect())
}
