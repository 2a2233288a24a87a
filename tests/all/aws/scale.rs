//! Large regions and slow answers: what is read, how long it takes, and how many calls it costs.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, observe};

use super::story::{SMALL, Story};

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
