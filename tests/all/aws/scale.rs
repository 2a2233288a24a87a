//! Large regions and slow answers: what is read, how long it takes, and how many calls it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use safe_remove::fleet::aws::Timeouts;
use safe_remove::model::{FleetSnapshot, GroupName, Host, Scope};
use safe_remove::ports::Fleet;
use serde_json::{Value, json};

use crate::support::cloud::{ACCOUNT, Cloud, TIMEOUTS, observe, open};

use super::story::{SMALL, Shape, Story, texts};

/// Every answer takes this long: what was measured in a large account.
const SLOW: f64 = 1.2;

/// Groups of other teams, one host each, that no policy selects.
fn others(count: usize) -> Value {
    let group = |n| json!({"name": format!("other-{n:03}"), "count": 1, "min": 0, "tags": {"team": "other"}});
    json!({"groups": (0..count).map(group).collect::<Vec<_>>()})
}

#[tokio::test]
async fn s3_a_plan_is_made_of_ten_pages_that_take_more_than_a_second_each() {
    let story = Story::adopted(&SMALL).await;
    story.cloud.moto.fixture(&others(117));
    story.cloud.moto.set(&json!({"max_page": 12}));
    story.cloud.moto.faults(&json!([{"delay": SLOW, "times": null}]));
    let (groups, hooks) = ("DescribeAutoScalingGroups", "DescribeLifecycleHooks");
    let before = (story.cloud.moto.calls(groups), story.cloud.moto.calls(hooks));
    let begun = Instant::now();
    let plan = story.environment.run(&["plan", "--subsystem", "index", "--count", "2", "-o", "json"]).exits(0).json();
    eprintln!("a plan of 10 pages at {SLOW} s each: {:?}", begun.elapsed());
    assert_eq!(plan["batches"][0]["hosts"].as_array().map(Vec::len), Some(2), "{plan:#}");
    assert_eq!(story.cloud.moto.calls(groups) - before.0, 10, "the list has ten pages");
    // Details cost several calls a group: only those of groups that a policy selects hosts of matter to a plan.
    assert_eq!(story.cloud.moto.calls(hooks) - before.1, 3);
}

/// When the calls of a service arrived, in seconds.
fn times(cloud: &Cloud, service: &str) -> Vec<f64> {
    let calls = cloud.moto.calls_in_full();
    let of = |call: &&Value| call["service"] == service;
    calls.iter().filter(of).map(|call| call["time"].as_f64().expect("a time")).collect()
}

/// AWS gives an account 40 calls of Elastic Load Balancing that change nothing, and ten more a second (Elastic Load
/// Balancing User Guide, "Request throttling").
#[tokio::test]
async fn half_of_an_accounts_calls_is_left_to_others() {
    let cloud = Cloud::new().await;
    let groups: Vec<Value> = (0..60).map(|n| json!({"name": format!("tg-{n}")})).collect();
    cloud.moto.fixture(&json!({"target_groups": groups, "groups": [{"name": "index", "count": 2}]}));
    let fleet = cloud.fleet().await;
    assert_eq!(observe(&fleet).await.hosts().len(), 2);
    let times = times(&cloud, "elasticloadbalancing");
    assert!(times.len() >= 60, "one call a target group: {}", times.len());
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            // A call may be under way for longer than the next one.
            let most = 20.0 + 5.0 * (to - from) + 3.0;
            assert!((last - first) as f64 <= most, "{} calls within {:.1} s", last - first + 1, to - from);
        }
    }
}

/// How often each action was called.
fn counts(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for call in cloud.moto.calls_in_full() {
        *all.entry(call["action"].as_str().expect("an action").to_owned()).or_default() += 1;
    }
    all
}

fn since(before: &BTreeMap<String, usize>, now: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let more = |(action, count): (String, usize)| {
        let count = count - before.get(&action).copied().unwrap_or(0);
        (count > 0).then_some((action, count))
    };
    now.into_iter().filter_map(more).collect()
}

/// The scope of a run that touches and watches these groups, as it would ask.
fn scope(snapshot: &FleetSnapshot, groups: &[&str]) -> Scope {
    let groups: BTreeSet<GroupName> = groups.iter().map(|name| GroupName::new(*name)).collect();
    let is_in = |host: &&Host| host.group.as_ref().is_some_and(|name| groups.contains(name));
    let hosts = snapshot.hosts().filter(is_in).map(|host| host.id.clone()).collect();
    Scope { groups, hosts, ..Scope::default() }
}

/// The API server is slower than AWS by far: nothing here is about time.
const PATIENT: Timeouts = Timeouts {
    attempt: Duration::from_secs(120),
    attempts: 2,
    read: Duration::from_secs(240),
    observation: Duration::from_secs(600),
    part: Duration::from_secs(600),
    ..TIMEOUTS
};

/// For how long details of groups and of target groups are remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// What is remembered.
const REMEMBERED: [&str; 6] = [
    "DescribeInstanceRefreshes",
    "DescribeLifecycleHooks",
    "DescribePolicies",
    "DescribeScalingActivities",
    "DescribeScheduledActions",
    "DescribeTags",
];

/// 1,000 hosts in four groups, each with five target groups. A region of 10,000 is counted at a tenth of its size: pages
/// have 100 hosts instead of 1,000.
#[tokio::test]
async fn what_a_look_costs_is_bounded() {
    let cloud = Cloud::new().await;
    let group = |n: usize| {
        let target_groups: Vec<String> = (0..5).map(|of| format!("tg-{n}-{of}")).collect();
        json!({"name": format!("group-{n}"), "count": 250, "min": 0, "target_groups": target_groups})
    };
    cloud.moto.fixture(&json!({"groups": (0..4).map(group).collect::<Vec<_>>()}));
    for (hosts, page, [region, four, one]) in [(1_000, 1_000, [45, 25, 20]), (10_000, 100, [63, 36, 22])] {
        let fleet = open(cloud.moto.url(), ACCOUNT, Timeouts { page, ..PATIENT }).await.expect("opened");
        let (before, begun) = (counts(&cloud), Instant::now());
        let whole = observe(&fleet).await;
        assert_eq!(whole.hosts().len(), 1_000);
        let mut told = vec![("the whole region", region, since(&before, counts(&cloud)))];
        for (what, groups, most) in [
            ("a sample, all four groups", &["group-0", "group-1", "group-2", "group-3"][..], four),
            ("a sample, one group", &["group-0"][..], one),
        ] {
            let scope = scope(&whole, groups);
            let before = counts(&cloud);
            let part = fleet.observe_part(&scope).await.expect("complete");
            assert_eq!(part.hosts().len(), 250 * groups.len(), "{what}");
            let mut calls = since(&before, counts(&cloud));
            if begun.elapsed() > REMEMBERED_FOR {
                // A slow machine: what is remembered is read again, no more than once.
                let again: usize = REMEMBERED.iter().filter_map(|action| calls.remove(*action)).sum();
                assert!(again <= REMEMBERED.len() * groups.len(), "{what}: {again} of what is remembered");
            }
            told.push((what, most, calls));
        }
        for (what, most, calls) in told {
            let total: usize = calls.values().sum();
            eprintln!("{hosts} hosts, {what}: {total} calls, {calls:?}");
            assert!(total <= most, "{hosts} hosts, {what}: {total} calls, at most {most}: {calls:?}");
        }
    }
}

/// What a run sees of its part of the region is what the whole region shows of it, whatever became of the hosts.
#[tokio::test]
async fn s3_a_part_of_the_region_is_seen_as_in_the_whole() {
    let cloud = Cloud::new().await;
    let (web, spare) = (cloud.target_group("web").await, cloud.target_group("spare").await);
    let index = cloud.group("index", 25, 0, &[&web]).await;
    let moving = cloud.group("moving", 3, 0, &[]).await;
    let other = cloud.group("other", 9, 0, &[]).await;
    let alone = [cloud.instance(&[("role", "cron")]).await, cloud.instance(&[("role", "cron")]).await];
    cloud.register(&spare, &index[4], 80).await;
    cloud.register(&spare, &alone[0], 80).await;
    let fleet = cloud.fleet().await;
    let asked = scope(&observe(&fleet).await, &["index", "moving"]);
    let asked = Scope { hosts: asked.hosts.into_iter().chain(alone.clone()).collect(), ..asked };

    cloud.moto.post(
        "instance",
        &json!({index[0].as_str(): {"status": "impaired"}, alone[1].as_str(): {"status": "impaired"}}),
    );
    cloud.moto.post("target-health", &json!({index[1].as_str(): ["unhealthy", "Target.FailedHealthChecks"]}));
    cloud.ec2.stop_instances().instance_ids(index[2].as_str()).send().await.expect("stopped");
    let enter = cloud.autoscaling.enter_standby().auto_scaling_group_name("index").instance_ids(index[3].as_str());
    enter.should_decrement_desired_capacity(true).send().await.expect("in standby");
    for (host, decrement) in [(&index[5], true), (&index[6], false)] {
        let end = cloud.autoscaling.terminate_instance_in_auto_scaling_group().instance_id(host.as_str());
        end.should_decrement_desired_capacity(decrement).send().await.expect("ended");
    }
    let detach =
        cloud.autoscaling.detach_instances().auto_scaling_group_name("moving").instance_ids(moving[0].as_str());
    detach.should_decrement_desired_capacity(true).send().await.expect("detached");
    cloud.deregister(&spare, &alone[0]).await;
    for settled in [false, true] {
        if settled {
            cloud.moto.settle();
        }
        // The part first: it goes by what this process saw before.
        let part = fleet.observe_part(&asked).await.expect("complete");
        let whole = observe(&cloud.fleet().await).await;
        assert!(whole.is_whole() && !part.is_whole());
        let named = |host: &&Host| {
            asked.hosts.contains(&host.id) || host.group.as_ref().is_some_and(|g| asked.groups.contains(g))
        };
        let expected: Vec<&Host> = whole.hosts().filter(named).collect();
        assert_eq!(part.hosts().collect::<Vec<_>>(), expected, "settled: {settled}");
        for name in &asked.groups {
            assert_eq!(part.group(name), whole.group(name), "settled: {settled}");
        }
        assert_eq!(part.contradictions, []);
        // Hosts of others are not gone because nobody asked for them.
        assert!(other.iter().all(|id| part.host(id).is_none() && !part.lacks(id) && whole.host(id).is_some()));
    }
    let part = fleet.observe_part(&asked).await.expect("complete");
    assert!(part.lacks(&index[5]) && part.lacks(&index[6]));
    assert_eq!(part.host(&moving[0]).map(|host| host.group.clone()), Some(None), "found by its id");
    // Somebody puts it into a group that nobody asked for: that group is read too.
    let attach = cloud.autoscaling.update_auto_scaling_group().auto_scaling_group_name("other").max_size(20);
    attach.send().await.expect("room");
    let attach = cloud.autoscaling.attach_instances().auto_scaling_group_name("other").instance_ids(moving[0].as_str());
    attach.send().await.expect("attached");
    cloud.moto.settle();
    let part = fleet.observe_part(&asked).await.expect("complete");
    assert_eq!(part.host(&moving[0]).and_then(|host| host.group.clone()), Some("other".into()));
    assert_eq!(part.contradictions, []);
}

/// A controller registers a host in a target group that nobody connected with it.
#[tokio::test]
async fn s3_a_target_group_that_is_new_to_a_host_is_found_in_its_turn() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 3, 0, &[]).await;
    let mut groups = Vec::new();
    for n in 0..25 {
        groups.push(cloud.target_group(&format!("other-{n}")).await);
    }
    let fleet = cloud.fleet().await;
    let asked = scope(&observe(&fleet).await, &["index"]);
    cloud.register(&groups[24], &index[0], 80).await;
    let mut looks = 0;
    while fleet.observe_part(&asked).await.expect("complete").host(&index[0]).expect("listed").target_groups.is_empty()
    {
        looks += 1;
        assert!(looks < 3, "ten others are read with each look");
    }
    let before = cloud.moto.calls("DescribeTargetHealth");
    let part = fleet.observe_part(&asked).await.expect("complete");
    assert_eq!(part.host(&index[0]).expect("listed").target_groups.len(), 1, "from now on it is read with every look");
    assert_eq!(cloud.moto.calls("DescribeTargetHealth") - before, 11);
}

/// 1,000 hosts in four groups, 20 target groups. It prints what docs/numbers.md tells.
#[tokio::test]
async fn a_removal_of_three_of_a_thousand_is_timed_and_counted() {
    let story = Story::new(&Shape { index: 250, placement: 250, billing: 247, alone: 3, bake: "20s", ..SMALL }).await;
    let target_groups: Vec<Value> = (0..18).map(|n| json!({"name": format!("other-{n}")})).collect();
    // Short pages: the server takes seconds for a long one where other tests run beside it.
    story.cloud.moto.set(&json!({"max_page": 100}));
    story.cloud.moto.fixture(&json!({
        "target_groups": target_groups,
        "groups": [{"name": "other", "count": 250, "min": 0, "target_groups": ["other-0", "other-1"]}],
    }));
    for name in ["index", "placement", "billing"] {
        story.environment.replace(&format!("policies/{name}.toml"), "every = \"1s\"", "every = \"5s\"");
    }
    // Only the group of index concerns the run.
    let of_tags = "tags = { \"subsystem:billing\" = [\"true\"] }";
    story.environment.replace("policies/billing.toml", of_tags, "auto_scaling_groups = [\"billing\"]");
    story.environment.replace("policies/placement.toml", "depends_on = [\"index\"]", "depends_on = []");
    story.adopt();
    let remove = ["--subsystem", "index", "--count", "3", "-o", "json"];
    let before = counts(&story.cloud);
    let begun = Instant::now();
    story.environment.run(&[&["plan"], &remove[..]].concat()).exits(0);
    let plan = since(&before, counts(&story.cloud));
    eprintln!("a plan: {:?}, {} calls: {plan:?}", begun.elapsed(), plan.values().sum::<usize>());
    let before = counts(&story.cloud);
    let begun = Instant::now();
    let done = story.environment.run(&[&remove[..], &["--yes"]].concat()).exits(0).json();
    let run = since(&before, counts(&story.cloud));
    assert_eq!(texts(&done["terminated"]).len(), 3, "{done:#}");
    // One page of groups a look.
    let looks = run["DescribeAutoScalingGroups"];
    let total: usize = run.values().sum();
    eprintln!(
        "a removal of 3 of 1,000: {:?}, {total} calls, {looks} looks, {:.1} calls a look: {run:?}",
        begun.elapsed(),
        total as f64 / looks as f64
    );
    assert!(total < 30 * looks, "{total} calls in {looks} looks: {run:?}");
    let effects = ["EnterStandby", "TerminateInstanceInAutoScalingGroup", "SuspendProcesses"];
    assert_eq!(effects.map(|action| run[action]), [1, 3, 1], "{run:?}");
}
