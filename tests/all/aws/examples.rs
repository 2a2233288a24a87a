//! AWS's own examples, as its API references show them: the answers to each read come from there, and not from a model of
//! ours (tests/moto/examples.py), and the client reads them.

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::support::cloud::Cloud;

use super::story::caller;

/// The group and the account of the examples.
const GROUP: &str = "my-auto-scaling-group";

/// A group of three of the examples' name, and policies that select it.
async fn place() -> (Cloud, TestEnvironment) {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    cloud.group(GROUP, 3, 0, &[&web]).await;
    let environment = caller(&cloud);
    environment.write(
        "policies/fleet.toml",
        "name = \"demo\"\n[provider]\nkind = \"aws\"\nregion = \"us-east-1\"\naccount = \"123456789012\"\n\
         [ledger]\nkind = \"sqlite\"\npath = \"../state/ledger.db\"\n",
    );
    environment.write(
        "policies/web.toml",
        "name = \"web\"\ndepends_on = []\n[hosts]\nauto_scaling_groups = [\"my-*\"]\n[capacity]\nbaseline = 3\n\
         minimum = 1\n[pace]\nmax_hosts_per_run = 2\nbatch = 1\ninterval = \"1m\"\nbudgets = [{ hosts = 4, per = \"1h\" }]\n\
         [health]\nbake = \"1m\"\nevery = \"10s\"\n",
    );
    (cloud, environment)
}

#[tokio::test]
async fn what_awss_own_examples_say_is_read() {
    let (cloud, environment) = place().await;
    let told = |action: &str| {
        cloud.moto.set(&json!({"examples": [action]}));
        environment.run(&["hosts", "-o", "json"])
    };
    let none = told("none").exits(0).json();
    let plain = none["hosts"].to_string();
    for (action, says) in [
        ("autoscaling:DescribeInstanceRefreshes", "instance refresh 08b91cf7-8fa6-48af-b6a6-d227f40f1b9b (InProgress)"),
        ("autoscaling:DescribeLifecycleHooks", "launch hook my-lifecycle-hook of its group my-auto-scaling-group"),
    ] {
        assert!(!plain.contains(says), "{plain}");
        let shown = told(action).exits(0).json();
        assert!(shown["hosts"].to_string().contains(says), "{action}: {shown:#}");
    }
    // Of these nothing is against anybody today: what a policy may do, a launch of 2013, a date in 2016, targets and hosts
    // that are not ours.
    for action in [
        "autoscaling:DescribePolicies",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeScheduledActions",
        "ec2:DescribeInstanceStatus",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:DescribeTags",
    ] {
        let calls = || cloud.moto.calls(action.split(':').next_back().expect("an action"));
        let before = calls();
        let shown = told(action);
        assert_eq!(shown.code, Some(0), "{action}: {}", shown.stderr);
        let hosts: Vec<Value> = shown.json()["hosts"].as_array().expect("hosts").clone();
        assert_eq!(hosts.len(), 3, "{action}");
        assert!(calls() > before, "{action} is not called");
    }
    // Its members are in another list, which does not have them: that is said of each, and nothing is guessed.
    let groups = told("autoscaling:DescribeAutoScalingGroups").exits(5);
    assert!(groups.stderr.contains("group my-auto-scaling-group lists host i-05b4f7d5be44822a6"), "{}", groups.stderr);
}
