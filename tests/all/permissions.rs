//! The policies that `iam-policy` prints name the calls that the source makes, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::environment::TestEnvironment;

const FLEET: &str = r#"name = "demo"
[provider]
kind = "aws"
region = "us-east-1"
account = "123456789012"
[ledger]
kind = "sqlite"
path = "../state/ledger.db"
"#;

const POLICY: &str = r#"name = "index"
depends_on = []
[hosts]
tags = { "role" = ["index"] }
[capacity]
baseline = 9
minimum = 3
[pace]
max_hosts_per_run = 2
batch = 1
interval = "1m"
budgets = [{ hosts = 4, per = "1h" }]
[health]
bake = "1m"
every = "10s"
"#;

fn printed(environment: &TestEnvironment, options: &[&str]) -> BTreeSet<String> {
    let ran = environment.run(&[&["iam-policy"], options].concat()).exits(0);
    actions(&serde_json::from_str(&ran.stdout).expect("a policy"))
}

/// The actions that a policy allows.
pub(crate) fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().expect("statements");
    let all = statements.iter().flat_map(|statement| statement["Action"].as_array().expect("actions"));
    all.map(|action| action.as_str().expect("a text").to_owned()).collect()
}

fn policies(ledger: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    let fleet = &FLEET[..FLEET.find("[ledger]").expect("a ledger")];
    environment.write("policies/fleet.toml", &format!("{fleet}{ledger}"));
    environment.write("policies/index.toml", POLICY);
    environment
}

/// The calls of the SDK's clients in these sources, as IAM's actions: `.ec2.describe_instances()` is
/// `ec2:DescribeInstances`, and so is `.ec2().await.describe_instances()`. Clients are named by their services.
fn called(folder: &str) -> BTreeSet<String> {
    let call =
        regex::Regex::new(r"\b(autoscaling|cloudwatch|ec2|elb|sts|client)(?:\(\)\s*\.\s*await)?\s*\.\s*([a-z_]+)\(\)");
    let call = call.expect("a pattern");
    let mut found = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    for entry in fs::read_dir(folder).expect("sources") {
        let Ok(text) = fs::read_to_string(entry.expect("a file").path()) else { continue };
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in call.captures_iter(code) {
            let service = match &call[1] {
                "elb" => "elasticloadbalancing",
                "client" => "dynamodb",
                service => service,
            };
            let words = call[2].split('_').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]));
            found.insert(format!("{service}:{}", words.collect::<String>()));
        }
    }
    found
}

/// Probes of CloudWatch, one of each kind.
const PROBES: &str = r#"[[health.probe]]
name = "alarm"
kind = "cloudwatch-alarm"
alarm = "index"
[[health.probe]]
name = "metric"
kind = "cloudwatch-metric"
namespace = "AWS/ApplicationELB"
metric = "RequestCount"
statistic = "Sum"
period = "10s"
min = 1
"#;

#[test]
fn probes_are_allowed_to_be_read_by_who_removes_where_there_are_any() {
    let environment = policies(&FLEET[FLEET.find("[ledger]").expect("a ledger")..]);
    let without = printed(&environment, &[]);
    environment.write("policies/index.toml", &format!("{POLICY}{PROBES}"));
    let with = printed(&environment, &[]);
    let more: BTreeSet<String> = with.difference(&without).cloned().collect();
    let called: BTreeSet<String> =
        called("probe").into_iter().filter(|action| action.starts_with("cloudwatch:")).collect();
    assert_eq!(called.len(), 2, "{called:?}: this test reads the wrong lines");
    assert_eq!(more, called);
    assert!(printed(&environment, &["--adopt"]).is_disjoint(&called));
    assert!(printed(&environment, &["--fix"]).is_disjoint(&called));
}

#[test]
fn the_policies_allow_the_calls_of_the_source_and_no_other() {
    let environment = policies(&FLEET[FLEET.find("[ledger]").expect("a ledger")..]);
    let (removes, adopts) = (printed(&environment, &[]), printed(&environment, &["--adopt"]));
    let fixes = printed(&environment, &["--fix"]);
    let mut calls = called("fleet/aws");
    assert!(calls.len() > 8, "{calls:?}: this test reads the wrong lines");
    // AWS STS API reference: "No permissions are required to perform this operation".
    assert!(calls.remove("sts:GetCallerIdentity"));
    assert_eq!([&removes, &adopts, &fixes].into_iter().flatten().cloned().collect::<BTreeSet<_>>(), calls);
    assert_eq!(fixes.difference(&removes).collect::<Vec<_>>(), ["autoscaling:UpdateAutoScalingGroup"]);
    assert_eq!(fixes.intersection(&removes).filter(|action| !action.contains(":Describe")).count(), 0);
    let adopts_alone: Vec<_> = adopts.difference(&removes).collect();
    assert_eq!(adopts_alone, ["autoscaling:CreateOrUpdateTags"]);
    let cannot: Vec<_> = removes.difference(&adopts).filter(|action| action.contains(":Describe")).collect();
    assert_eq!(cannot, Vec::<&String>::new(), "who adopts looks at the same");
    environment.run(&["iam-policy", "--ledger"]).exits(2);
    environment.run(&["iam-policy", "--ledger", "--adopt"]).exits(2);
    environment.run(&["iam-policy", "--ledger", "--fix"]).exits(2);
    environment.run(&["iam-policy", "--adopt", "--fix"]).exits(2);
    environment.run(&["iam-policy", "--init"]).exits(2);
}

#[test]
fn a_ledger_in_dynamodb_is_in_every_policy() {
    let environment = policies("[ledger]\nkind = \"dynamodb\"\ntable = \"safe-remove\"\n");
    let all = printed(&environment, &["--ledger", "--init", "--prune"]);
    assert_eq!(all, called("ledger/dynamodb"));
    let user = printed(&environment, &["--ledger"]);
    assert!(user.is_subset(&printed(&environment, &[])) && user.is_subset(&printed(&environment, &["--adopt"])));
    assert!(!user.iter().any(|action| action.contains("Delete") || action.contains("Create")), "{user:?}");
}
