//! The probes of AWS in a removal: a bake that is clean, one that is bad, one in which they cannot be read.

use serde_json::{Value, json};

use super::story::{SMALL, Shape, Story, ended, removal, run, sorted, start, texts};

/// Adds a probe to index.
fn add(story: &Story, probe: &str) {
    story.environment.replace("policies/index.toml", "[confirm]", &format!("[[health.probe]]\n{probe}\n[confirm]"));
}

const ALARM: &str = "name = \"page\"\nkind = \"cloudwatch-alarm\"\nalarm = \"index-errors\"\n";

const METRIC: &str = "name = \"page\"\nkind = \"cloudwatch-metric\"\nnamespace = \"AWS/ApplicationELB\"\n\
                      metric = \"TargetResponseTime\"\ndimensions = { LoadBalancer = \"app/index/1\" }\n\
                      statistic = \"Average\"\nperiod = \"5s\"\nmax = 5\n";

/// Settings of the metric that [`METRIC`] reads.
fn metric(settings: &Value) -> Value {
    let mut metric = json!({"value": 4, "dimensions": {"LoadBalancer": "app/index/1"}});
    for (key, value) in settings.as_object().expect("fields") {
        metric[key] = value.clone();
    }
    json!({"metrics": {"AWS/ApplicationELB/TargetResponseTime": metric}})
}

/// Removes a host of index; `None`: it goes, else it is put back, and the cause says this.
async fn removes(probe: &str, settings: &Value, faults: &Value, why: Option<&str>) {
    let story = Story::adopted(&SMALL).await;
    add(&story, probe);
    story.cloud.moto.set(settings);
    story.cloud.moto.faults(faults);
    let hosts = vec![story.id("index-0001")];
    let code = if why.is_some() { 7 } else { 0 };
    let document = run(&story.environment, &removal("index", &hosts)).exits(code).json();
    match why {
        None => assert_eq!(texts(&document["terminated"]), hosts, "{document:#}"),
        Some(why) => {
            assert_eq!(texts(&document["restored"]), hosts, "{document:#}");
            assert_eq!(document["cause"]["probe"], "index/page", "{document:#}");
            let message = document["cause"]["message"].as_str().expect("a message");
            assert!(message.contains(why), "{message}");
            assert_eq!(story.now().await, story.before);
        }
    }
}

/// Once a run has taken its reference and looked for its first batch.
fn later(action: &str) -> Value {
    let fault = |code| json!({"service": "cloudwatch", "action": action, "skip": 6, "times": null, "code": code});
    json!([fault("AccessDenied")])
}

#[tokio::test]
async fn s2_s3_an_alarm() {
    let none = json!([]);
    removes(ALARM, &json!({"alarms": {"index-errors": {}}}), &none, None).await;
    let bad = json!({"alarms": {"index-errors": {"in_standby": {"state": "ALARM", "reason": "5 of 5 are above"}}}});
    removes(ALARM, &bad, &none, Some("alarm index-errors: is in ALARM: 5 of 5 are above")).await;
    let blind = json!({"alarms": {"index-errors": {"in_standby": {"state": "INSUFFICIENT_DATA"}}}});
    removes(ALARM, &blind, &none, Some("is in INSUFFICIENT_DATA")).await;
    let good = json!({"alarms": {"index-errors": {}}});
    removes(ALARM, &good, &later("DescribeAlarms"), Some("read alarms: AccessDenied")).await;
}

/// Without their type in the request they are left out of the answer.
#[tokio::test]
async fn s2_a_composite_alarm_by_its_arn() {
    let arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:all";
    let probe = ALARM.replace("index-errors", arn);
    let composite = |more: Value| json!({"alarms": {"all": {"composite": true, "in_standby": more}}});
    removes(&probe, &composite(json!({})), &json!([]), None).await;
    removes(&probe, &composite(json!({"state": "ALARM"})), &json!([]), Some("is in ALARM")).await;
}

#[tokio::test]
async fn s2_s3_a_metric() {
    let none = json!([]);
    removes(METRIC, &metric(&json!({})), &none, None).await;
    let bad = metric(&json!({"in_standby": {"value": 9}}));
    removes(METRIC, &bad, &none, Some("read 9, above its limit max = 5")).await;
    // The source dies with the host: no data is no good news, and is not 0.
    let dead = metric(&json!({"in_standby": {"value": null}}));
    removes(METRIC, &dead, &none, Some("it has no data of the last 1m")).await;
    let partial = metric(&json!({"in_standby": {"status": "InternalError"}}));
    removes(METRIC, &partial, &none, Some("the answer is InternalError")).await;
    removes(METRIC, &metric(&json!({})), &later("GetMetricData"), Some("read metrics: AccessDenied")).await;
}

/// Errors and requests are two queries of one call, of the same period.
#[tokio::test]
async fn s2_s3_a_share_of_two_metrics() {
    const SHARE: &str = "name = \"page\"\nkind = \"cloudwatch-metric\"\nnamespace = \"AWS/ApplicationELB\"\n\
                         events = \"HTTPCode_Target_5XX_Count\"\nof = \"RequestCount\"\n\
                         dimensions = { LoadBalancer = \"app/index/1\" }\nperiod = \"1s\"\nmax_increase = \"60%\"\n";
    let counts = |failed: Value| {
        let dimensions = json!({"LoadBalancer": "app/index/1"});
        json!({"metrics": {
            "AWS/ApplicationELB/HTTPCode_Target_5XX_Count":
                {"value": 200, "dimensions": dimensions, "in_standby": {"value": failed}},
            "AWS/ApplicationELB/RequestCount": {"value": 10_000, "dimensions": dimensions},
        }})
    };
    let none = json!([]);
    removes(SHARE, &counts(json!(200)), &none, None).await;
    removes(SHARE, &counts(json!(450)), &none, Some("(max_increase = 60% of its reference 0.02)")).await;
    removes(SHARE, &counts(json!(null)), &none, Some("there is no period of the last 1m with both counts")).await;
}

#[tokio::test]
async fn s2_s3_a_target_group() {
    for (trouble, why) in [
        (None, ""),
        (Some(json!({"health": true})), "below its limit min = 1"),
        (Some(json!({"health": false})), "read the health of"),
    ] {
        let story = Story::adopted(&Shape { bake: if trouble.is_some() { "30s" } else { "3s" }, ..SMALL }).await;
        let other = story.cloud.moto.fixture(&json!({
            "groups": [{"name": "other", "count": 2, "min": 0, "tags": {"team": "other"}, "target_groups": ["other"]}],
        }));
        story.cloud.moto.settle();
        let arn = other["target_groups"]["other"].as_str().expect("an ARN");
        add(&story, &format!("name = \"page\"\nkind = \"target-group\"\narn = \"{arn}\"\nmin = 1\n"));
        let hosts = vec![story.id("index-0001")];
        let mut child = start(&story.environment, &removal("index", &hosts));
        let Some(trouble) = trouble else {
            assert_eq!(texts(&ended(child, 0)["terminated"]), hosts);
            continue;
        };
        story.wait_for_standby(&mut child, "index", 1).await;
        match trouble["health"].as_bool() {
            Some(true) => {
                let id = other["names"]["other-0001"].as_str().expect("an id");
                let unhealthy = json!({id: ["unhealthy", "Target.FailedHealthChecks"]});
                story.cloud.moto.post("target-health", &unhealthy);
            }
            Some(false) | None => {
                let fault = json!({"action": "DescribeTargetHealth", "match": arn, "times": null, "code": "TargetGroupNotFound"});
                story.cloud.moto.faults(&json!([fault]));
            }
        }
        let aborted = ended(child, 7);
        assert_eq!(sorted(texts(&aborted["restored"])), hosts, "{aborted:#}");
        assert_eq!(aborted["cause"]["probe"], "index/page", "{aborted:#}");
        let message = aborted["cause"]["message"].as_str().expect("a message");
        assert!(message.contains(why), "{message}");
    }
}

/// Thirty probes cost two calls, not thirty.
#[tokio::test]
async fn many_alarms_are_one_call_and_so_are_many_metrics() {
    let story = Story::adopted(&SMALL).await;
    let named = |probe: &str, n: usize| probe.replace("\"page\"", &format!("\"page-{n}\""));
    for n in 0..15 {
        add(&story, &named(ALARM, n).replace("index-errors", &format!("index-{n}")));
        add(&story, &named(METRIC, 100 + n));
    }
    let alarms: Value = (0..15).map(|n| (format!("index-{n}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    story.cloud.moto.set(&json!({"alarms": alarms}));
    story.cloud.moto.set(&metric(&json!({})));
    let read = story.environment.run(&["policy", "check", "--probe", "-o", "json"]).exits(0).json();
    assert_eq!(read["result"]["probes"].as_array().map(Vec::len), Some(33), "{read:#}");
    let calls = |action: &str| story.cloud.moto.calls(action);
    assert_eq!((calls("DescribeAlarms"), calls("GetMetricData")), (1, 1));
    // A bake shorter than what an alarm looks at sees nothing of it.
    let warnings = read["warnings"].to_string();
    assert!(warnings.contains("index/page-0 tells of 1m, and a bake takes 3s"), "{warnings}");
    // Metrics of two periods are two calls: a call has one time for all of its queries.
    add(&story, &named(METRIC, 300).replace("5s", "10s"));
    story.environment.run(&["policy", "check", "--probe"]).exits(0);
    assert_eq!((calls("DescribeAlarms"), calls("GetMetricData")), (2, 3));
}
