//! Where credentials may come from, and which way calls go: each source and setting of docs/aws.md, "Credentials and the
//! network", on loopback.

use std::collections::BTreeSet;

use serde_json::json;

use crate::doctor::states;
use crate::support::sources::Sources;

use super::story::{SMALL, Story};

/// What the environment has besides.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// What the stories set, and a source must do without.
const OWN: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"];

/// The keys with which groups were asked about since the last time.
fn keys(story: &Story) -> BTreeSet<String> {
    let calls = story.cloud.moto.take_calls();
    let calls = calls.iter().filter(|call| call["service"] == "autoscaling");
    calls.map(|call| call["access_key"].as_str().expect("a key").to_owned()).collect()
}

#[tokio::test]
async fn every_source_of_credentials_serves() {
    let sources = Sources::new();
    let profiles = "\
[profile base]
region = us-east-1
aws_access_key_id = AKIABASE
aws_secret_access_key = secret
[profile role]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
external_id = agreed
role_session_name = ops
[profile chain]
role_arn = arn:aws:iam::123456789012:role/further
source_profile = role
[profile of-instance]
role_arn = arn:aws:iam::123456789012:role/ops
credential_source = Ec2InstanceMetadata
[profile sso]
sso_session = ops
sso_account_id = 123456789012
sso_role_name = ops
[sso-session ops]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access
[profile process]
credential_process = /bin/cat process.json
";
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "pod-token");
    let (pod, task) = (format!("{}/pod", sources.url()), format!("{}/task", sources.url()));
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pods");
    let all: [(&str, Variables<'_>, &str); 9] = [
        ("a profile with role_arn", &[("AWS_PROFILE", "role")], "ASIA"),
        ("a role by a role", &[("AWS_PROFILE", "chain")], "ASIA"),
        ("a role by the instance's", &[("AWS_PROFILE", "of-instance")], "ASIA"),
        ("single sign-on", &[("AWS_PROFILE", "sso")], "ASIASSO"),
        ("credential_process", &[("AWS_PROFILE", "process")], "ASIAPROCESS"),
        ("web identity", &[role, ("AWS_WEB_IDENTITY_TOKEN_FILE", "web-token")], "ASIA"),
        ("a pod's identity", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &pod), token], "ASIAPOD"),
        ("a task of ECS", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &task)], "ASIATASK"),
        ("an instance's role", &[], "ASIAINSTANCE"),
    ];
    let mut story = Story::adopted(&SMALL).await;
    OWN.iter().for_each(|name| story.environment.unset(name));
    let expires = "2099-01-01T00:00:00Z";
    for (path, text) in [
        ("config", profiles),
        ("pod-token", "the-pod"),
        ("web-token", "a.web.token"),
        (
            "process.json",
            &format!(
                r#"{{"Version": 1, "AccessKeyId": "ASIAPROCESS", "SecretAccessKey": "s", "Expiration": "{expires}"}}"#
            ),
        ),
        // Named by the SHA-1 of the session's name, as `aws sso login` does.
        (
            ".aws/sso/cache/c62973cc56845b0e473e9e3c40b6e1f0a84662ef.json",
            &format!(r#"{{"accessToken": "t", "expiresAt": "{expires}", "region": "us-east-1"}}"#),
        ),
    ] {
        story.environment.write(path, text);
    }
    for (name, value) in [
        ("AWS_CONFIG_FILE", "config"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", sources.url()),
        ("AWS_ENDPOINT_URL_SSO", sources.url()),
    ] {
        story.environment.set(name, value);
    }
    for (source, variables, key) in all {
        variables.iter().for_each(|(name, value)| story.environment.set(name, value));
        story.cloud.moto.take_calls();
        let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(0).json();
        assert_eq!(states(&doctor, "fleet"), ["ok"], "{source}: {doctor:#}");
        let keys = keys(&story);
        assert!(keys.len() == 1 && keys.iter().all(|of| of.starts_with(key)), "{source}: {keys:?}");
        // Each renews what it gave, and doctor says so.
        assert_eq!(states(&doctor, "credentials"), ["ok"], "{source}: {doctor:#}");
        assert_eq!(states(&doctor, "environment"), Vec::<&str>::new(), "{source}: {doctor:#}");
        variables.iter().for_each(|(name, _)| story.environment.unset(name));
    }
}

#[tokio::test]
async fn what_the_sdk_does_not_do_is_told_with_what_to_do_instead() {
    let mut story = Story::adopted(&SMALL).await;
    OWN[..2].iter().for_each(|name| story.environment.unset(name));
    let config = "\
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = secret
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ops
[profile console]
login_session = arn:aws:iam::123456789012:user/ops
";
    story.environment.write("config", config);
    story.environment.set("AWS_CONFIG_FILE", "config");
    // AWS refuses the role without a code; the setting that nobody heeded is named beside it.
    story.cloud.moto.set(&json!({"deny": ["sts:AssumeRole"]}));
    for (profile, words, states_of) in [
        ("mfa", "aws configure export-credentials --profile mfa --format env", "warning"),
        ("console", "credential_process = aws configure export-credentials --profile console --format process", "bad"),
    ] {
        story.environment.set("AWS_PROFILE", profile);
        let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(5).json();
        assert_eq!(states(&doctor, "environment"), [states_of], "{doctor:#}");
        assert_eq!(states(&doctor, "fleet"), ["bad"], "{doctor:#}");
        assert!(doctor.to_string().contains(words), "{doctor:#}");
    }
}

/// Nothing leaves this machine: the proxy refuses what it is asked, and keeps where that would have gone.
#[tokio::test]
async fn calls_go_through_the_proxy_to_the_endpoints_of_partition_fips_and_dual_stack() {
    let mut story = Story::new(&SMALL).await;
    story.environment.unset("AWS_ENDPOINT_URL");
    let fleet = std::fs::read_to_string(story.environment.path().join("policies/fleet.toml")).expect("a policy");
    let (provider, _) = fleet.split_once("[ledger]").expect("a ledger");
    let ledger = "[ledger]\nkind = \"dynamodb\"\ntable = \"safe-remove\"\n";
    story.environment.write("policies/fleet.toml", &format!("{provider}{ledger}"));
    let (fips, dual) = (("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true"));
    let all: [(&str, Variables<'_>, [&str; 2]); 7] = [
        ("us-east-1", &[], ["sts.us-east-1.amazonaws.com", "dynamodb.us-east-1.amazonaws.com"]),
        ("us-east-1", &[fips], ["sts-fips.us-east-1.amazonaws.com", "dynamodb-fips.us-east-1.amazonaws.com"]),
        ("us-east-1", &[dual], ["sts.us-east-1.api.aws", "dynamodb.us-east-1.api.aws"]),
        ("us-east-1", &[fips, dual], ["sts-fips.us-east-1.api.aws", "dynamodb-fips.us-east-1.api.aws"]),
        ("cn-north-1", &[], ["sts.cn-north-1.amazonaws.com.cn", "dynamodb.cn-north-1.amazonaws.com.cn"]),
        ("us-gov-west-1", &[fips], ["sts.us-gov-west-1.amazonaws.com", "dynamodb.us-gov-west-1.amazonaws.com"]),
        ("eusc-de-east-1", &[], ["sts.eusc-de-east-1.amazonaws.eu", "dynamodb.eusc-de-east-1.amazonaws.eu"]),
    ];
    let mut region = "us-east-1";
    for (to, variables, expected) in all {
        let proxy = Sources::new();
        story.environment.replace("policies/fleet.toml", region, to);
        region = to;
        story.environment.set("HTTPS_PROXY", &proxy.url().replace("://", "://me:secret@"));
        variables.iter().for_each(|(name, value)| story.environment.set(name, value));
        let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(5).json();
        assert_eq!(states(&doctor, "environment"), ["ok"], "{doctor:#}");
        assert!(!doctor.to_string().contains("secret"), "{doctor:#}");
        let asked: BTreeSet<String> = proxy.asked().into_iter().collect();
        let expected = expected.iter().map(|host| format!("CONNECT {host}:443 HTTP/1.1")).collect();
        assert_eq!(asked, expected, "{to} {variables:?}");
        variables.iter().for_each(|(name, _)| story.environment.unset(name));
    }
    assert_eq!(story.cloud.moto.calls("GetCallerIdentity"), 0);
}

#[tokio::test]
async fn a_proxy_leaves_out_what_it_is_told_to_and_takes_the_metadata_services_where_it_is_not() {
    let (proxy, sources) = (Sources::new(), Sources::new());
    let mut story = Story::adopted(&SMALL).await;
    OWN.iter().for_each(|name| story.environment.unset(name));
    story.environment.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", sources.url());
    story.environment.set("HTTP_PROXY", proxy.url());
    story.environment.set("NO_PROXY", "127.0.0.1");
    let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(0).json();
    assert_eq!(states(&doctor, "environment"), ["warning"], "{doctor:#}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
    story.environment.unset("NO_PROXY");
    story.environment.run(&["doctor", "-o", "json"]).exits(5);
    let asked = proxy.asked();
    assert!(asked.iter().any(|line| line.starts_with("PUT http://127.0.0.1:")), "{asked:?}");
}

/// Interface endpoints with names of their own: each service has its variable, and FIPS cannot be asked of them.
#[tokio::test]
async fn each_service_may_have_an_endpoint_of_its_own() {
    let mut story = Story::adopted(&SMALL).await;
    story.environment.unset("AWS_ENDPOINT_URL");
    for service in ["STS", "EC2", "AUTO_SCALING", "ELASTIC_LOAD_BALANCING_V2"] {
        story.environment.set(&format!("AWS_ENDPOINT_URL_{service}"), story.cloud.moto.url());
    }
    story.environment.run(&["doctor"]).exits(0);
    story.environment.set("AWS_USE_FIPS_ENDPOINT", "true");
    let doctor = story.environment.run(&["doctor", "-o", "json"]).exits(5).json();
    assert!(doctor.to_string().contains("FIPS and custom endpoint are not supported"), "{doctor:#}");
}
