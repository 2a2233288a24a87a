//! From an account to a first plan: README's five commands, as they stand there, and what `policy init` makes of odd groups.

use std::path::Path;

use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;
use serde_json::json;

use crate::environment::TestEnvironment;
use crate::support::cloud::{ACCOUNT, Cloud};

use super::story::{TIMEOUT, caller};

/// A place of somebody who has credentials, a region, and the binary.
fn newcomer(cloud: &Cloud) -> TestEnvironment {
    let mut environment = caller(cloud);
    let binary = Path::new(env!("CARGO_BIN_EXE_safe-remove"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.parent().expect("a directory").display());
    environment.set("PATH", &path);
    environment.set("AWS_REGION", "us-east-1");
    environment
}

/// The block with the commands, without comments.
fn five_commands() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let (_, rest) = readme.split_once("**From an account to a first plan.**").expect("README has them");
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    let command = |line: &str| line.split("    #").next().unwrap_or_default().trim().to_owned();
    block.lines().map(command).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn readmes_five_commands_lead_from_an_account_to_a_plan() {
    let cloud = Cloud::new().await;
    cloud.moto.fixture(&json!({
        "target_groups": [{"name": "web"}],
        "groups": [{"name": "web", "count": 9, "min": 0, "tags": {"owner": "front"}, "target_groups": ["web"]}],
    }));
    let environment = newcomer(&cloud);
    let commands = five_commands();
    assert_eq!(commands.len(), 5, "{commands:?}");
    // The first one takes minutes, and made the binary that the others run.
    assert_eq!(commands[0], "cargo install --locked --path .");
    let mut screen = String::new();
    for line in &commands[1..] {
        let timeout = u64::try_from(TIMEOUT.as_millis()).ok();
        let mut session = spawn_command(environment.shell(line), timeout).expect("it starts");
        let mut shown = String::new();
        if line.contains("adopt") {
            let question = format!("Type aws-{ACCOUNT}-us-east-1 to adopt");
            shown.push_str(&session.exp_string(&question).expect("the question"));
            session.send_line(&format!("aws-{ACCOUNT}-us-east-1")).expect("typed");
        }
        shown.push_str(&session.exp_eof().expect("it ends"));
        let ended = session.process().wait().expect("it ends");
        assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{line}: {ended:?}\n{shown}");
        screen = shown;
    }
    assert!(screen.contains("remove 1 host of web") && screen.contains("Allowed."), "a plan: {screen}");
    let policy = std::fs::read_to_string(environment.path().join("policies/web.toml")).expect("a policy");
    assert!(policy.contains("owner = \"front\"") && policy.contains("kind = \"target-group\""), "{policy}");
    let web = cloud.described("web").await;
    assert!(web.desired == 9 && web.members.values().all(|state| state == "InService"), "{web:?}");
    // The probe reads the account: a target that fails is seen.
    let sick: Vec<&String> = web.members.keys().take(2).collect();
    let health: serde_json::Map<_, _> =
        sick.into_iter().map(|id| (id.clone(), json!(["unhealthy", "Target.FailedHealthChecks"]))).collect();
    cloud.moto.post("target-health", &health.into());
    let plan = ["plan", "--subsystem", "web", "--count", "1", "-o", "json"];
    let refused = environment.run(&plan).exits(3).json();
    assert!(refused["violations"].to_string().contains("unhealthy-now"), "{refused:#}");
}

#[tokio::test]
async fn odd_groups_get_valid_policies_too() {
    let cloud = Cloud::new().await;
    let group = |name: &str, count: u64| json!({"name": name, "count": count, "min": 0});
    let groups = ["web [blue]", "web{a,b}*", "FLEET", "fleet", "été", "0", "Web [blue]"];
    let mut all: Vec<_> = groups.iter().map(|name| group(name, 3)).collect();
    all.push(group("empty", 0));
    cloud.moto.fixture(&json!({ "groups": all, "instances": [{"name": "alone", "count": 2}] }));
    let environment = newcomer(&cloud);
    let written = environment.run(&["policy", "init", "--out", "policies", "-o", "json"]).exits(0).json();
    let result = &written["result"];
    assert_eq!(result["subsystems"].as_array().map(Vec::len), Some(groups.len()), "{written:#}");
    let left_out = result["left_out"].to_string();
    assert!(left_out.contains("2 hosts outside groups") && left_out.contains("empty"), "{written:#}");
    environment.run(&["policy", "check"]).exits(0);
    environment.run(&["headroom"]).exits(0);
    // Each host is of one subsystem.
    let hosts = environment.run(&["hosts", "-o", "json"]).exits(0).json();
    for host in hosts["hosts"].as_array().expect("hosts") {
        let of = host["subsystems"].as_array().map(Vec::len);
        assert_eq!(of, Some(usize::from(!host["group"].is_null())), "{host:#}");
    }
    environment.run(&["policy", "init", "--out", "policies"]).exits(4);
    let denied = environment.run(&["policy", "init", "--out", "more", "--region", "eu-west-1"]).exits(3);
    assert!(denied.stderr.contains("is this the region"), "{}", denied.stderr);
}
