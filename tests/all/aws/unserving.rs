//! What load balancers say of hosts, and what that is worth: unhealthy is not idle.

use serde_json::{Map, Value, json};

use super::story::{SMALL, Shape, Story, rules, texts};

const SHAPE: Shape = Shape { pace: "batch = 2\nmax_unserving = \"100%\"", ..SMALL };

impl Story {
    /// These hosts fail in whichever target group they are in, or in this one.
    fn fails(&self, names: impl IntoIterator<Item = String>, target_group: Option<&str>) {
        let place = |name: String| match target_group {
            Some(group) => format!("{group}/{}", self.id(&name)),
            None => self.id(&name),
        };
        let words: Map<String, Value> =
            names.into_iter().map(|name| (place(name), json!(["unhealthy", "Target.FailedHealthChecks"]))).collect();
        self.cloud.moto.post("target-health", &Value::Object(words));
    }
}

fn index(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = String> {
    numbers.into_iter().map(|number| format!("index-{number:04}"))
}

#[tokio::test]
async fn s1_a_load_balancer_all_of_whose_targets_fail_sends_work_to_all_of_them() {
    let story = Story::adopted(&SHAPE).await;
    story.fails(index(1..=9), None);
    story.fails((1..=6).map(|number| format!("placement-{number:04}")), None);
    let before = story.now().await;
    let refused = story.environment.run(&["--subsystem", "index", "--count", "3", "--yes", "-o", "json"]).exits(3);
    let plan = refused.json();
    assert!(rules(&plan).contains("minimum"), "{plan:#}");
    assert_eq!(plan["largest_allowed_count"], 0);
    assert_eq!(plan["batches"][0]["hosts"][0]["doubtful"], true, "{plan:#}");
    assert_eq!(story.now().await, before, "nothing was touched");
}

#[tokio::test]
async fn hosts_that_fail_where_others_pass_go_first_and_freely() {
    let story = Story::adopted(&SHAPE).await;
    story.fails(index([4, 8]), Some("web"));
    let run = story.environment.run(&["--subsystem", "index", "--count", "2", "--yes", "-o", "json"]).exits(0).json();
    let mut gone = texts(&run["terminated"]);
    gone.sort_unstable();
    let mut expected: Vec<String> = index([4, 8]).map(|name| story.id(&name)).collect();
    expected.sort_unstable();
    assert_eq!(gone, expected);
}

#[tokio::test]
async fn s1_a_host_that_fails_in_one_target_group_and_passes_in_another_is_not_free() {
    let story = Story::adopted(&SHAPE).await;
    // Six of nine fail in a second target group: three count, and index must keep four.
    let admin = story.cloud.target_group("admin").await;
    for number in 1..=9 {
        story.cloud.register(&admin, &story.id(&format!("index-{number:04}")).as_str().into(), 81).await;
    }
    let attach = story.cloud.autoscaling.attach_load_balancer_target_groups().auto_scaling_group_name("index");
    attach.target_group_arns(&admin).send().await.expect("attached: standby takes its members out there too");
    story.cloud.moto.settle();
    story.fails(index(1..=6), Some("admin"));
    let named = ["plan", "--subsystem", "index", "--host", &story.id("index-0001"), "-o", "json"];
    let plan = story.environment.run(&named).exits(3).json();
    let of_index = plan["violations"].as_array().expect("violations").iter().find(|v| v["subsystem"] == "index");
    assert_eq!(of_index.map(|v| (&v["rule"], &v["remaining"])), Some((&json!("minimum"), &json!(3))), "{plan:#}");
    // It fails in both, and others pass in both.
    story.fails(index([1]), Some("web"));
    let plan = story.environment.run(&named).exits(0).json();
    assert_eq!(plan["batches"][0]["hosts"][0].get("doubtful"), None, "{plan:#}");
}
