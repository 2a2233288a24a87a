//! Members of a group that somebody else takes while a run is under way: the run stops, and says what AWS says.

use serde_json::{Value, json};

use super::story::{SMALL, Shape, Story, ended, removal, run, sorted, start, texts};

#[tokio::test]
async fn s1_a_member_that_somebody_terminates_in_a_bake_stops_the_run_with_the_words_of_aws() {
    let story = Story::adopted(&Shape { bake: "20s", ..SMALL }).await;
    let hosts = story.one_of_each();
    let other = story.id("index-0005");
    assert!(!hosts.contains(&other));
    let mut child = start(&story.environment, &removal("billing", &hosts));
    story.wait_for_standby(&mut child, "billing", 1).await;
    let terminate = story.cloud.autoscaling.terminate_instance_in_auto_scaling_group().instance_id(&other);
    terminate.should_decrement_desired_capacity(true).send().await.expect("terminated");
    let aborted = ended(child, 7);
    assert_eq!(aborted["cause"]["kind"], "inventory", "{aborted:#}");
    let message = aborted["cause"]["message"].as_str().expect("a message");
    assert!(message.starts_with(&format!("host {other} (billing, index; group index) is ")), "{message}");
    let words = format!("(the provider says: At {}", &message.split("says: At ").nth(1).expect("its words")[..4]);
    assert!(message.contains(&words), "{message}");
    assert!(message.contains("was taken out of service in response to a user request"), "{message}");
    assert_eq!(sorted(texts(&aborted["restored"])), sorted(hosts), "{aborted:#}");
    assert_eq!((&aborted["dropped"], &aborted["terminated"]), (&json!([]), &json!([])));
}

/// The other answer to what nobody measured: a termination from standby is answered by a launch.
///
/// One host went, whatever the policy says of batches, and what was out of service with it is back.
#[tokio::test]
async fn s9_a_group_that_launches_in_place_of_what_goes_stops_the_run() {
    let story = Story::adopted(&Shape { pace: "batch = 2", ..SMALL }).await;
    story.cloud.moto.set(&json!({"replaces_from_standby": true}));
    let hosts = sorted(vec![story.id("index-0001"), story.id("index-0002")]);
    let aborted = run(&story.environment, &removal("index", &hosts)).exits(7).json();
    assert_eq!(aborted["cause"]["kind"], "inventory", "{aborted:#}");
    let message = aborted["cause"]["message"].as_str().expect("a message");
    assert!(message.starts_with("group index launched host i-"), "{message}");
    assert!(message.contains("in response to a difference between desired and actual capacity"), "{message}");
    assert_eq!((&aborted["terminated"], &aborted["restored"]), (&json!(hosts[..1]), &json!(hosts[1..])), "{aborted:#}");
    assert_eq!((&aborted["dropped"], &aborted["in_doubt"]), (&json!([]), &json!([])), "{aborted:#}");
}

#[tokio::test]
async fn s9_the_first_removal_of_a_fleet_is_one_host_and_the_ledger_remembers_what_was_seen() {
    let story = Story::adopted(&Shape { pace: "batch = 2", ..SMALL }).await;
    // Behind the run the group would go on to even out its zones.
    story.cloud.moto.set(&json!({"az_rebalance": false}));
    let hosts = sorted(vec![story.id("index-0001"), story.id("index-0002")]);
    let alone = format!("host {} is terminated first, and alone", hosts[0]);
    let warnings = |hosts: &[String]| {
        let named = hosts.iter().flat_map(|host| ["--host", host.as_str()]);
        let plan: Vec<&str> = ["plan", "--subsystem", "index", "-o", "json"].into_iter().chain(named).collect();
        story.environment.run(&plan).exits(0).json()["warnings"].to_string()
    };
    assert!(warnings(&hosts).contains(&alone), "{}", warnings(&hosts));
    run(&story.environment, &removal("index", &hosts)).exits(0);
    let done = |call: &Value| call["action"] == "TerminateInstanceInAutoScalingGroup" && call["status"] == 200;
    let calls: Vec<Value> = story.cloud.moto.calls_in_full().into_iter().filter(done).collect();
    let ids: Vec<&str> = calls.iter().filter_map(|call| call["parameters"]["InstanceId"].as_str()).collect();
    assert_eq!(ids, hosts);
    let at = |call: &Value| call["time"].as_f64().expect("a time");
    // Two times `settle`, which is a second here.
    assert!(at(&calls[1]) - at(&calls[0]) > 2.0, "{calls:#?}");

    let more = vec![story.id("index-0003"), story.id("index-0004")];
    assert!(!warnings(&more).contains("is terminated first"), "{}", warnings(&more));
}
