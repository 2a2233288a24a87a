//! Where the credentials come from, how long that takes, and when they end.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::doctor::states;
use crate::environment::Ran;
use crate::support::cloud::ACCOUNT;

use super::story::{SMALL, Story, removal, rules, run, write_fleet};

const ONE: [&str; 7] = ["plan", "--subsystem", "index", "--count", "1", "-o", "json"];

/// Credentials by a program that takes longer than an attempt of a call to DynamoDB, and counts how often it is asked.
fn slow(story: &mut Story, seconds: u64) {
    let asked = story.environment.path().join("asked");
    let program = format!(
        "#!/bin/sh\necho asked >> '{}'\nsleep {seconds}\n\
         echo '{{\"Version\": 1, \"AccessKeyId\": \"AKIAIOSFODNN7EXAMPLE\", \"SecretAccessKey\": \"secret\"}}'\n",
        asked.display()
    );
    let program = story.environment.write("credentials", &program);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let config = story
        .environment
        .write("config", &format!("[default]\nregion = us-east-1\ncredential_process = {}\n", program.display()));
    let config = config.display().to_string();
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ] {
        story.environment.set(name, value);
    }
}

#[tokio::test]
async fn s6_a_slow_source_of_credentials_is_asked_once_and_takes_no_calls_time() {
    let mut story = Story::adopted(&SMALL).await;
    write_fleet(&story.environment, ACCOUNT, "");
    let fleet = std::fs::read_to_string(story.environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    let ledger = "[ledger]\nkind = \"dynamodb\"\ntable = \"safe-remove\"\n";
    story.environment.write("policies/fleet.toml", &format!("{}{ledger}", &fleet[..start]));
    story.environment.run(&["ledger", "init"]).exits(0);
    slow(&mut story, 3);
    let asked = || {
        let text = std::fs::read_to_string(story.environment.path().join("asked")).unwrap_or_default();
        text.lines().count()
    };
    story.environment.run(&["headroom"]).exits(0);
    assert_eq!(asked(), 1, "fleet and ledger share one source");
    // The hosts are another ledger's: what matters is that it could be seen.
    let refused = story.environment.run(&ONE).exits(3);
    assert!(rules(&refused.json()).contains("foreign-ledger"), "{}", refused.stderr);
    story.environment.run(&["halt", "--reason", "smoke"]).exits(0);
    story.environment.run(&["unhalt", "--reason", "no smoke"]).exits(0);
    assert_eq!(asked(), 4, "once for each command");
}

#[tokio::test]
async fn credentials_of_the_environment_that_end_too_early_are_refused() {
    let mut story = Story::adopted(&SMALL).await;
    for (minutes, code) in [(2, 3), (600, 0)] {
        story.environment.set("AWS_CREDENTIAL_EXPIRATION", &in_minutes(minutes));
        story.environment.set("AWS_SESSION_TOKEN", "token");
        let ran = story.environment.run(&ONE).exits(code);
        let expected = if code == 3 { BTreeSet::from(["credentials"]) } else { BTreeSet::new() };
        assert_eq!(rules(&ran.json()), expected, "{}", ran.stderr);
        let (state, code) = if code == 3 { ("bad", 5) } else { ("warning", 0) };
        let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(code).json();
        assert_eq!(states(&doctor, "credentials"), [state], "{doctor:#}");
    }
    story.environment.set("AWS_CREDENTIAL_EXPIRATION", "");
    let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(0).json();
    assert!(doctor.to_string().contains("nobody says when they end"), "{doctor:#}");
    assert_eq!(story.now().await, story.before);
}

/// A fleet in one account, its ledger in another, and the operator in a third.
#[tokio::test]
async fn fleet_and_ledger_may_be_in_accounts_of_their_own_each_with_a_role() {
    const CENTRAL: &str = "210987654321";
    let mut story = Story::adopted(&SMALL).await;
    story.cloud.moto.set(&json!({
        "accounts": {"AKIAOPERATOR": "999999999999"},
        "roles": {
            format!("arn:aws:iam::{ACCOUNT}:role/ops/removes"): "our-fleet",
            format!("arn:aws:iam::{CENTRAL}:role/ledger"): null,
        },
    }));
    story.environment.set("AWS_ACCESS_KEY_ID", "AKIAOPERATOR");
    let lies = |ran: &Ran, words: &str| assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    lies(&story.environment.run(&ONE).exits(5), "the credentials are of account 999999999999");

    let provider = format!("role_arn = \"arn:aws:iam::{ACCOUNT}:role/ops/removes\"\n");
    write_fleet(&story.environment, ACCOUNT, &provider);
    lies(&story.environment.run(&ONE).exits(5), "is not authorized to perform: sts:AssumeRole");
    let provider = format!("{provider}external_id = \"our-fleet\"\n");
    write_fleet(&story.environment, ACCOUNT, &provider);
    story.environment.run(&ONE).exits(0);
    let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(0).json();
    let me = format!("arn:aws:sts::{ACCOUNT}:assumed-role/removes/safe-remove");
    assert!(doctor.to_string().contains(&me), "{doctor:#}");

    let fleet = std::fs::read_to_string(story.environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    let role = format!("role_arn = \"arn:aws:iam::{CENTRAL}:role/ledger\"");
    let arn = format!("arn:aws:dynamodb:us-east-1:{CENTRAL}:table/safe-remove");
    for table in ["safe-remove", &arn] {
        let ledger = format!("[ledger]\nkind = \"dynamodb\"\ntable = \"{table}\"\n{role}\n");
        story.environment.write("policies/fleet.toml", &format!("{}{ledger}", &fleet[..start]));
        if table != arn {
            story.environment.run(&["ledger", "init"]).exits(0);
            story.adopt();
        }
        story.environment.run(&ONE).exits(0);
    }
    let removed = run(&story.environment, &removal("index", &[story.id("index-0001")])).exits(0).json();
    assert_eq!(removed["outcome"], "completed", "{removed:#}");
    assert!(story.cloud.moto.calls("AssumeRole") > 0);
}

/// A role that is assumed with credentials that end can be assumed no longer than that.
#[tokio::test]
async fn a_role_ends_with_the_credentials_that_it_is_assumed_with() {
    let mut story = Story::adopted(&SMALL).await;
    write_fleet(&story.environment, ACCOUNT, &format!("role_arn = \"arn:aws:iam::{ACCOUNT}:role/removes\"\n"));
    story.environment.set("AWS_SESSION_TOKEN", "token");
    for (minutes, code) in [(2, 3), (600, 0)] {
        story.environment.set("AWS_CREDENTIAL_EXPIRATION", &in_minutes(minutes));
        let ran = story.environment.run(&ONE).exits(code);
        let expected = if code == 3 { BTreeSet::from(["credentials"]) } else { BTreeSet::new() };
        assert_eq!(rules(&ran.json()), expected, "{}", ran.stderr);
    }
}

/// So many minutes from now, as the AWS CLI writes it.
fn in_minutes(minutes: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
