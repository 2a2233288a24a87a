//! Target groups that the host's Auto Scaling group does not know, and targets by address.

use std::collections::{BTreeMap, BTreeSet};

use safe_remove::model::{CallOutcome, Effect, Host, HostId, HostState};
use serde_json::json;

use crate::support::cloud::{Cloud, named, observe, perform};

use super::story::{SMALL, Shape, Story, ended, removal, rules, run, start};

impl Story {
    /// A target group of addresses, behind a load balancer, with these hosts' in it.
    async fn addresses(&self, name: &str, hosts: &[&str]) -> String {
        let group = self.cloud.address_group(name).await;
        for host in hosts {
            let address = self.cloud.address(&HostId::new(self.id(host))).await;
            self.cloud.register(&group, &HostId::new(address), 80).await;
        }
        group
    }
}

#[tokio::test]
async fn a_member_that_gets_work_elsewhere_is_refused_and_a_count_takes_another() {
    let story = Story::adopted(&SMALL).await;
    let stray = story.cloud.target_group("nodeport").await;
    story.cloud.register(&stray, &HostId::new(story.id("index-0001")), 31_000).await;
    story.addresses("pods", &["index-0002"]).await;
    let before = story.now().await;
    for (name, target_group) in [("index-0001", "nodeport"), ("index-0002", "pods")] {
        let plan = run(&story.environment, &removal("index", &[story.id(name)])).exits(3).json();
        assert_eq!(rules(&plan), BTreeSet::from(["stray-target-group"]), "{plan:#}");
        assert!(plan["violations"][0]["message"].as_str().is_some_and(|m| m.contains(target_group)), "{plan:#}");
    }
    assert_eq!(story.now().await, before, "nothing was touched");
    let plan = story.environment.run(&["plan", "--subsystem", "index", "--count", "4", "-o", "json"]).exits(0).json();
    let chosen = plan["batches"].to_string();
    assert!(!chosen.contains(&story.id("index-0001")) && !chosen.contains(&story.id("index-0002")), "{chosen}");
}

#[tokio::test]
async fn s7_a_target_group_that_takes_up_a_host_in_standby_ends_the_run_at_once() {
    let story = Story::adopted(&Shape { bake: "12s", ..SMALL }).await;
    let pods = story.addresses("pods", &[]).await;
    let host = story.id("index-0001");
    let mut child = start(&story.environment, &removal("index", std::slice::from_ref(&host)));
    story.wait_for_standby(&mut child, "index", 1).await;
    let address = story.cloud.address(&HostId::new(host.clone())).await;
    story.cloud.register(&pods, &HostId::new(address), 80).await;
    let document = ended(child, 7);
    // In the cordon it is the rule, in the bake the host that is not out any more.
    let kind = document["cause"]["kind"].as_str();
    assert!(matches!(kind, Some("rule" | "inventory")), "{document:#}");
    assert_eq!(document["restored"], json!([host]));
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.before);
}

#[tokio::test]
async fn an_instance_outside_groups_goes_out_and_comes_back_by_its_address() {
    let cloud = Cloud::new().await;
    let (web, pods) = (cloud.target_group("web").await, cloud.address_group("pods").await);
    let (host, bystander) = (cloud.instance(&[("role", "cron")]).await, cloud.instance(&[("role", "cron")]).await);
    let (address, other) = (cloud.address(&host).await, cloud.address(&bystander).await);
    cloud.register(&web, &host, 8080).await;
    for target in [&address, &other] {
        cloud.register(&pods, &HostId::new(target.clone()), 9090).await;
    }
    let registered = (cloud.targets(&web).await, cloud.targets(&pods).await);
    let fleet = cloud.fleet().await;
    let hosts = named(&observe(&fleet).await, std::slice::from_ref(&host));
    assert_eq!(hosts[&host], BTreeSet::from([web.as_str().into(), pods.as_str().into()]));

    assert_eq!(perform(&fleet, Effect::Cordon { group: None, hosts: hosts.clone() }).await, CallOutcome::Done);
    assert_eq!(cloud.targets(&web).await, BTreeSet::new());
    assert_eq!(cloud.targets(&pods).await, BTreeSet::from([(other, 9090)]));
    let snapshot = observe(&fleet).await;
    assert_eq!(snapshot.host(&host).map(|host| host.state), Some(HostState::Pending), "still draining");
    cloud.moto.settle();
    let snapshot = observe(&fleet).await;
    assert_eq!(snapshot.host(&host).map(|host| host.state), Some(HostState::Cordoned));
    assert!(snapshot.host(&bystander).is_some_and(Host::is_serving));

    assert_eq!(perform(&fleet, Effect::Restore { group: None, hosts }).await, CallOutcome::Done);
    assert_eq!((cloud.targets(&web).await, cloud.targets(&pods).await), registered);
    assert_eq!(cloud.tags(&host, "safe-remove:").await, BTreeMap::new());
    cloud.moto.settle();
    assert!(observe(&fleet).await.host(&host).is_some_and(Host::is_serving));
    cloud.moto.post("target-health", &json!({format!("pods/{address}"): ["unhealthy", "Target.Timeout"]}));
    assert!(!observe(&fleet).await.host(&host).is_some_and(Host::is_serving), "its address fails");
}

#[tokio::test]
async fn an_instance_outside_groups_stays_where_a_controller_would_register_it_again() {
    let story = Story::adopted(&SMALL).await;
    let bills = story.built["target_groups"]["bills"].as_str().expect("an ARN");
    let alone = [story.id("alone-0001")];
    let tag = aws_sdk_elasticloadbalancingv2::types::Tag::builder().key("elbv2.k8s.aws/cluster").value("blue").build();
    story.cloud.elb.add_tags().resource_arns(bills).tags(tag).send().await.expect("tagged");
    let plan = run(&story.environment, &removal("billing", &alone)).exits(3).json();
    assert_eq!(rules(&plan), BTreeSet::from(["stray-target-group"]), "{plan:#}");
    assert!(plan["violations"][0]["message"].as_str().is_some_and(|m| m.contains("the AWS Load Balancer Controller")));
    // Its members are taken out there by standby.
    let plan = run(&story.environment, &removal("billing", &[story.id("billing-0001")]));
    plan.exits(0);
}

#[tokio::test]
async fn s3_an_address_outside_its_target_groups_vpc_is_nobodys() {
    let cloud = Cloud::new().await;
    let host = cloud.instance(&[("role", "cron")]).await;
    let pods = cloud.address_group("pods").await;
    let elsewhere = aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder();
    let elsewhere = elsewhere.id("192.168.7.7").availability_zone("all").build();
    cloud.elb.register_targets().target_group_arn(&pods).targets(elsewhere).send().await.expect("registered");
    cloud.moto.settle();
    let snapshot = observe(&cloud.fleet().await).await;
    let host = snapshot.host(&host).expect("listed");
    assert!(host.is_serving() && host.target_groups.is_empty() && host.obstacles.is_empty(), "{host:?}");
}
