//! A lifecycle hook holds a terminated host: what is waited for is said wherever somebody looks.

use std::time::{Duration, Instant};

use super::story::{SMALL, Story, TIMEOUT, removal, run, start, texts};
use crate::removal::signal;

#[tokio::test]
async fn s6_what_a_lifecycle_hook_holds_is_said_by_the_run_by_status_and_after_a_stop() {
    let story = Story::adopted(&SMALL).await;
    let hook = story.cloud.autoscaling.put_lifecycle_hook().auto_scaling_group_name("billing");
    let hook = hook.lifecycle_hook_name("bye-bye").lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING");
    hook.heartbeat_timeout(3600).send().await.expect("a hook");
    let host = story.id("billing-0001");
    let held = format!("{host} is in Terminating:Wait: lifecycle hook bye-bye may hold it for up to 3600 s");

    let child = start(&story.environment, &removal("billing", std::slice::from_ref(&host)));
    let begun = Instant::now();
    let status = loop {
        let status = run(&story.environment, &["status".to_owned(), "-o".to_owned(), "json".to_owned()]).json();
        if status["runs"][0]["state"].as_str().is_some_and(|state| state.contains("Terminating:Wait")) {
            break status;
        }
        assert!(begun.elapsed() < TIMEOUT, "{status:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(status["runs"][0]["state"].as_str().is_some_and(|state| state.ends_with(&held)), "{status:#}");
    signal(&child, "-TERM");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let done = story.cloud.autoscaling.complete_lifecycle_action().auto_scaling_group_name("billing");
    let done = done.lifecycle_hook_name("bye-bye").instance_id(&host).lifecycle_action_result("CONTINUE");
    done.send().await.expect("let go");

    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (before, after) = stderr.split_once("STOPPING: asked to stop (SIGTERM)").expect("it says that it stops");
    assert!(before.contains(&held), "{stderr}");
    let said = after.lines().find(|line| line.contains(&held)).unwrap_or_else(|| panic!("{stderr}"));
    assert!(said.contains("verifying"), "it is waited for, and not put back: {said}");
    let document: serde_json::Value = serde_json::from_str(&stdout).expect("a document");
    assert_eq!(texts(&document["terminated"]), [host]);
    assert_eq!(output.status.code(), Some(0), "all that was asked for is gone: {document:#}");
}
