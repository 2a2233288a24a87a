//! The script for a sandbox account (docs/aws-live.md), against the model: it tells a model that keeps the assumptions from
//! one that does not, leaves nothing behind, and touches nothing in an account that has other things in it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::cloud::{ACCOUNT, Cloud};
use crate::support::python::environment;

/// The script's exit code, its table, and all that it printed.
fn live(cloud: &Cloud, account: &str) -> (Option<i32>, Vec<Value>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::TempDir::new().expect("a directory");
    let table = directory.path().join("table.json");
    let mut run = Command::new(environment("aws-server", &root.join("tests/moto/requirements.txt")).join("python"));
    run.arg(root.join("tests/live/aws_live.py")).args(["--account", account, "--region", "us-east-1", "--yes"]);
    run.args(["--endpoint-url", cloud.moto.url(), "--image", "ami-12c6146b"]);
    run.args(["--watch", "2", "--poll", "0.1", "--patience", "60"]).arg("--json").arg(&table);
    run.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret").env("AWS_EC2_METADATA_DISABLED", "true");
    let Output { status, stdout, stderr } = run.output().expect("Python starts");
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let rows = std::fs::read_to_string(&table).map(|text| serde_json::from_str(&text).expect("a table"));
    (status.code(), rows.unwrap_or_default(), said)
}

async fn cloud(settings: Value) -> Cloud {
    let cloud = Cloud::new().await;
    cloud.moto.set(&json!({
        "entering_standby_seconds": 0.2, "pending_seconds": 0.2, "terminating_seconds": 0.3, "initial_seconds": 0.3,
    }));
    cloud.moto.set(&settings);
    cloud
}

/// The assumptions that do not hold.
fn broken(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter(|row| row["holds"] != true).map(|row| row["assumption"].as_str().expect("words")).collect()
}

#[tokio::test]
async fn every_assumption_holds_on_the_model_and_nothing_is_left() {
    let cloud = cloud(json!({})).await;
    let (code, rows, said) = live(&cloud, ACCOUNT);
    assert_eq!((code, rows.len(), broken(&rows)), (Some(0), 13, Vec::new()), "{said}");
    assert!(said.contains("everything that was made is removed") && said.contains("dollars"), "{said}");
    let groups = cloud.autoscaling.describe_auto_scaling_groups().send().await.expect("groups");
    assert!(groups.auto_scaling_groups().is_empty(), "{groups:?}");
}

#[tokio::test]
async fn a_model_that_replaces_what_is_terminated_in_standby_is_found_out() {
    let cloud = cloud(json!({"replaces_from_standby": true})).await;
    let (code, rows, said) = live(&cloud, ACCOUNT);
    let expected = vec![
        "terminating from Standby without decrement launches nothing",
        "and leaves desired capacity and the others as they are",
    ];
    assert_eq!((code, broken(&rows)), (Some(1), expected), "{said}");
    assert!(said.contains("everything that was made is removed"), "{said}");
}

#[tokio::test]
async fn in_another_account_or_beside_other_things_nothing_is_made() {
    let cloud = cloud(json!({})).await;
    let (code, rows, said) = live(&cloud, "210987654321");
    assert_eq!((code, rows.len()), (Some(2), 0), "{said}");
    assert!(said.contains("the credentials are of account 123456789012, not 210987654321"), "{said}");
    cloud.moto.fixture(&json!({"groups": [{"name": "web", "count": 1}]}));
    let (code, rows, said) = live(&cloud, ACCOUNT);
    assert_eq!((code, rows.len()), (Some(2), 0), "{said}");
    assert!(said.contains("what this script did not make: web") && said.contains("Nothing was made"), "{said}");
    assert_eq!(cloud.moto.calls("CreateAutoScalingGroup"), 0);
}
