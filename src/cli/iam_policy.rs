//! `safe-remove iam-policy`: the least that IAM must grant to whoever removes, adopts, or only uses the ledger.
//!
//! Sources: the Service Authorization Reference says which actions take which resources and condition keys. Every action on
//! an Auto Scaling group takes `autoscaling:ResourceTag`, every action on an instance `ec2:ResourceTag`; the lists take none.
//! Target groups have no tag of ours, so that RegisterTargets and DeregisterTargets are limited by account and region alone.
//! `sts:GetCallerIdentity` is left out: "No permissions are required to perform this operation" (AWS STS API reference).

use serde_json::{Value, json};

use crate::model::{Arn, FleetName, LedgerId, partition_of};
use crate::ops::{self, OperationError};
use crate::output::Text;
use crate::policy::{DynamodbPlace, LedgerKind, PolicySet, ProbeKind, ProviderKind};

use super::args::Global;
use super::screen::Screen;
use super::{CommandOutput, Exit};

/// The tag that names the ledger (`fleet/aws`), and those of a cordon outside groups.
const LEDGER_TAG: &str = "safe-remove:ledger";
const MARKER_TAGS: [&str; 2] = ["safe-remove:cordoned", "safe-remove:cordoned:*"];

/// Whoever plans, checks or reports looks with these.
const LOOK: [&str; 14] = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeScheduledActions",
    "autoscaling:DescribeWarmPool",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstances",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

/// Whoever reads probes of CloudWatch, besides. Neither action takes a resource for what is asked.
const ALARMS: &str = "cloudwatch:DescribeAlarms";
const METRICS: &str = "cloudwatch:GetMetricData";

/// Members of groups.
const MEMBERS: [&str; 5] = [
    "autoscaling:EnterStandby",
    "autoscaling:ExitStandby",
    "autoscaling:ResumeProcesses",
    "autoscaling:SuspendProcesses",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
];

/// Hosts outside groups.
const MARKERS: [&str; 2] = ["ec2:CreateTags", "ec2:DeleteTags"];
const OUTSIDE: [&str; 1] = ["ec2:TerminateInstances"];
const TARGETS: [&str; 2] = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"];

/// Whoever raises the minimum of groups. Nothing in IAM limits it to that.
const FIX: [&str; 1] = ["autoscaling:UpdateAutoScalingGroup"];

/// Every user of a ledger in DynamoDB: it reads and writes items, and deletes nothing.
const LEDGER: [&str; 4] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];

/// Whoever creates the table, besides.
const LEDGER_INIT: [&str; 5] = [
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
];

/// Whoever prunes the ledger, besides.
const LEDGER_PRUNE: [&str; 1] = ["dynamodb:DeleteItem"];

/// Whose policy is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The role that removes and puts back.
    Removes,
    /// The role that puts hosts under the ledger.
    Adopts,
    /// The role that raises the minimum of groups.
    Fixes,
    /// A user of the ledger alone, with what `ledger init` and `ledger prune` need besides.
    Ledger {
        /// `--init`
        init: bool,
        /// `--prune`
        prune: bool,
    },
}

/// The IAM policy as text, ready for `aws iam put-role-policy --policy-document`.
pub(super) async fn iam_policy(global: &Global, role: Role, screen: &Screen) -> Result<CommandOutput, OperationError> {
    let policies = ops::policies(&global.policies)?;
    let ledger = match role {
        Role::Ledger { .. } => None,
        Role::Removes | Role::Adopts | Role::Fixes => ops::ledger_id(&policies).await,
    };
    let statements = statements(&policies, role, ledger.as_ref())?;
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    let mut text = serde_json::to_string_pretty(&policy)
        .map_err(|error| OperationError::internal("the policy cannot be written as JSON", error))?;
    text.push('\n');
    let mut warnings = Vec::new();
    if ledger.is_none() && !matches!(role, Role::Ledger { .. }) {
        screen.note(NO_LEDGER);
        warnings.push(NO_LEDGER.to_owned());
    }
    CommandOutput::result(Exit::DONE, "iam-policy", Text::verbatim(text), &policy, &warnings)
}

const NO_LEDGER: &str = "the ledger has no id yet, or it cannot be read: the policy asks for any ledger's tag. Print it again \
     once the hosts are adopted";

fn statements(policies: &PolicySet, role: Role, ledger: Option<&LedgerId>) -> Result<Vec<Value>, OperationError> {
    let aws = match &policies.fleet.provider.kind {
        ProviderKind::Aws { region, account, .. } => Some((region.as_str(), account.as_str())),
        ProviderKind::Simulated { .. } => None,
    };
    let mut found = match (role, aws) {
        (Role::Ledger { .. }, _) | (_, None) => Vec::new(),
        (Role::Removes, Some((region, account))) => removes(region, account, ledger),
        (Role::Adopts, Some((region, account))) => adopts(region, account, ledger),
        (Role::Fixes, Some((region, account))) => fixes(region, account, ledger),
    };
    if role == Role::Removes && !found.is_empty() {
        found.extend(reads_probes(policies));
    }
    if let LedgerKind::Dynamodb(place) = &policies.fleet.ledger.kind {
        let (init, prune) = match role {
            Role::Ledger { init, prune } => (init, prune),
            Role::Removes | Role::Adopts | Role::Fixes => (false, false),
        };
        found.extend(uses_ledger(place, aws.map_or("*", |(_, account)| account), &policies.fleet.name, init, prune));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let place = policies.fleet.ledger.kind.place();
    Err(match role {
        Role::Ledger { .. } => OperationError::usage(
            format!("the ledger of these policies is not in AWS but in {place}"),
            "`--ledger` is for `kind = \"dynamodb\"` under `[ledger]` in fleet.toml",
        ),
        Role::Removes | Role::Adopts | Role::Fixes => OperationError::usage(
            format!("nothing of these policies is in AWS: the fleet is simulated, and the ledger in {place}"),
            "an IAM policy is for `kind = \"aws\"` under `[provider]`, or `kind = \"dynamodb\"` under `[ledger]`, in fleet.toml",
        ),
    })
}

/// A statement that allows these actions on one kind of resource, under conditions.
fn allow(sid: &str, actions: &[&str], resource: &str, conditions: &Value) -> Value {
    let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
    if let (Value::Object(fields), Some(true)) = (&mut statement, conditions.as_object().map(|c| !c.is_empty())) {
        fields.insert("Condition".to_owned(), conditions.clone());
    }
    statement
}

/// The condition that the resource has the ledger's tag.
fn of_ledger(service: &str, ledger: Option<&LedgerId>) -> Value {
    let key = format!("{service}:ResourceTag/{LEDGER_TAG}");
    match ledger {
        Some(ledger) => json!({"StringEquals": {key: ledger.as_str()}}),
        None => json!({"Null": {key: "false"}}),
    }
}

/// The same, and the call names tags, and none but these. `ForAllValues` alone also holds where no tag is named, and
/// DeleteTags without tags deletes all of them.
fn with_tags(mut conditions: Value, keys: &[&str]) -> Value {
    conditions["ForAllValues:StringLike"] = json!({"aws:TagKeys": keys});
    conditions["Null"]["aws:TagKeys"] = json!("false");
    conditions
}

fn arn(service: &str, region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:{service}:{region}:{account}:{resource}", partition_of(region))
}

fn groups(region: &str, account: &str) -> String {
    arn("autoscaling", region, account, "autoScalingGroup:*:autoScalingGroupName/*")
}

fn instances(region: &str, account: &str) -> String {
    arn("ec2", region, account, "instance/*")
}

/// Only in this region.
fn look(region: &str) -> Value {
    allow("Look", &LOOK, "*", &json!({"StringEquals": {"aws:RequestedRegion": region}}))
}

/// Only what the policies ask for, in whichever region.
fn reads_probes(policies: &PolicySet) -> Option<Value> {
    let probes = || policies.subsystems.values().flat_map(|policy| &policy.health.probes);
    let has_alarms = probes().any(|probe| matches!(probe.kind, ProbeKind::CloudwatchAlarm(_)));
    let has_metrics = probes().any(|probe| matches!(probe.kind, ProbeKind::CloudwatchMetric(_)));
    let actions: Vec<&str> = [(has_alarms, ALARMS), (has_metrics, METRICS)]
        .into_iter()
        .filter_map(|(has, action)| has.then_some(action))
        .collect();
    (!actions.is_empty()).then(|| allow("Probes", &actions, "*", &json!({})))
}

fn removes(region: &str, account: &str, ledger: Option<&LedgerId>) -> Vec<Value> {
    let target_groups = arn("elasticloadbalancing", region, account, "targetgroup/*/*");
    let markers = with_tags(of_ledger("ec2", ledger), &MARKER_TAGS);
    vec![
        look(region),
        allow("Members", &MEMBERS, &groups(region, account), &of_ledger("autoscaling", ledger)),
        allow("Outside", &OUTSIDE, &instances(region, account), &of_ledger("ec2", ledger)),
        allow("Markers", &MARKERS, &instances(region, account), &markers),
        allow("Targets", &TARGETS, &target_groups, &json!({})),
    ]
}

/// Adopting writes the ledger's tag and no other, also where another ledger's is.
fn adopts(region: &str, account: &str, ledger: Option<&LedgerId>) -> Vec<Value> {
    let tag = match ledger {
        Some(ledger) => json!({"StringEquals": {format!("aws:RequestTag/{LEDGER_TAG}"): ledger.as_str()}}),
        None => json!({}),
    };
    let tag = with_tags(tag, &[LEDGER_TAG]);
    vec![
        look(region),
        allow("AdoptGroups", &["autoscaling:CreateOrUpdateTags"], &groups(region, account), &tag),
        allow("AdoptHosts", &["ec2:CreateTags"], &instances(region, account), &tag),
    ]
}

/// Groups of the ledger alone.
fn fixes(region: &str, account: &str, ledger: Option<&LedgerId>) -> Vec<Value> {
    vec![look(region), allow("Minimums", &FIX, &groups(region, account), &of_ledger("autoscaling", ledger))]
}

/// For one table, limited to the partitions of one fleet.
fn uses_ledger(place: &DynamodbPlace, account: &str, fleet: &FleetName, init: bool, prune: bool) -> Vec<Value> {
    let region = place.region.as_deref().unwrap_or("*");
    let table = match Arn::parse(&place.table) {
        Some(_) => place.table.clone(),
        None => arn("dynamodb", region, account, &format!("table/{}", place.table)),
    };
    let fleets = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [fleet, format!("{fleet}#*")]}});
    let mut found = vec![allow("Ledger", &LEDGER, &table, &fleets)];
    if prune {
        found.push(allow("LedgerPrune", &LEDGER_PRUNE, &table, &fleets));
    }
    if init {
        found.push(allow("LedgerInit", &LEDGER_INIT, &table, &json!({})));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_read_and_write_one_fleets_items_and_delete_nothing() {
        let place = DynamodbPlace {
            table: "safe-remove".to_owned(),
            region: Some("us-east-1".to_owned()),
            role: None,
            attempt: std::time::Duration::from_secs(1),
        };
        let fleet = FleetName::from("demo");
        let of = |init, prune| uses_ledger(&place, "123456789012", &fleet, init, prune);
        let keys =
            |statement: &Value| statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].clone();
        let plain = of(false, false);
        assert_eq!(plain[0]["Resource"], "arn:aws:dynamodb:us-east-1:123456789012:table/safe-remove");
        assert_eq!((plain.len(), keys(&plain[0])), (1, json!(["demo", "demo#*"])));
        let init = Value::from(of(true, false)).to_string();
        assert!(init.contains("dynamodb:CreateTable") && !init.contains("Delete") && !init.contains("dynamodb:*"));
        let prunes = of(false, true);
        assert_eq!(
            (&prunes[1]["Action"], keys(&prunes[1])),
            (&json!(["dynamodb:DeleteItem"]), json!(["demo", "demo#*"]))
        );
    }

    #[test]
    fn everything_but_looking_and_target_groups_is_tied_to_the_ledgers_tag() {
        let ledger = LedgerId::from("ledger-1");
        for (ledger, expected) in [(Some(&ledger), "ledger-1"), (None, "false")] {
            let found = removes("cn-north-1", "123456789012", ledger);
            for statement in &found {
                let actions = statement["Action"].as_array().expect("actions");
                let service = actions[0].as_str().expect("an action").split(':').next().expect("a service");
                let operator = if ledger.is_some() { "StringEquals" } else { "Null" };
                let tag = &statement["Condition"][operator][format!("{service}:ResourceTag/{LEDGER_TAG}")];
                match statement["Sid"].as_str().expect("a sid") {
                    "Look" => assert_eq!(statement["Resource"], "*"),
                    "Targets" => assert_eq!(statement.get("Condition"), None),
                    _ => assert_eq!(tag, expected, "{statement:#}"),
                }
                assert!(statement["Resource"] == "*" || statement["Resource"].to_string().contains("arn:aws-cn:"));
            }
        }
    }

    #[test]
    fn tags_are_named_and_none_but_ours_may_be_written() {
        let found = removes("us-east-1", "123456789012", None);
        let markers = found.iter().find(|statement| statement["Sid"] == "Markers").expect("a statement");
        assert_eq!(markers["Condition"]["ForAllValues:StringLike"]["aws:TagKeys"], json!(MARKER_TAGS));
        assert_eq!(markers["Condition"]["Null"]["aws:TagKeys"], "false");
        assert_eq!(markers["Condition"]["Null"][format!("ec2:ResourceTag/{LEDGER_TAG}")], "false");
        for statement in adopts("us-east-1", "123456789012", Some(&LedgerId::from("ledger-1"))).iter().skip(1) {
            let condition = &statement["Condition"];
            assert_eq!(condition["ForAllValues:StringLike"]["aws:TagKeys"], json!([LEDGER_TAG]));
            assert_eq!(condition["StringEquals"][format!("aws:RequestTag/{LEDGER_TAG}")], "ledger-1");
        }
    }
}
