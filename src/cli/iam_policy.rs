//! `safe-remove ledger iam-policy`: the permissions that IAM must grant to operators who use a ledger in DynamoDB.

use serde_json::{Value, json};

use crate::model::{FleetName, partition_of};
use crate::ops::{self, OperationError};
use crate::output::Text;
use crate::policy::{DynamodbPlace, LedgerKind, ProviderKind};

use super::args::Global;
use super::{CommandOutput, Exit};

/// The actions that every operator's identity needs: it reads and writes items, and deletes nothing.
const ACTIONS: [&str; 4] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];

/// The additional actions for an identity that creates the table.
const INIT_ACTIONS: [&str; 5] = [
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
];

/// The additional action for an identity that prunes the ledger.
const PRUNE_ACTIONS: [&str; 1] = ["dynamodb:DeleteItem"];

/// The IAM policy as text, ready for `aws iam put-role-policy --policy-document`.
pub(super) fn iam_policy(global: &Global, init: bool, prune: bool) -> Result<CommandOutput, OperationError> {
    let policies = ops::policies(&global.policies)?;
    let LedgerKind::Dynamodb(place) = &policies.fleet.ledger.kind else {
        return Err(OperationError::usage(
            format!("the ledger of these policies is not in AWS but in {}", policies.fleet.ledger.kind.place()),
            "an IAM policy is for `kind = \"dynamodb\"` under `[ledger]` in fleet.toml",
        ));
    };
    let account = match &policies.fleet.provider.kind {
        ProviderKind::Aws { account, .. } => account,
        ProviderKind::Simulated { .. } => "*",
    };
    let policy = document(place, account, &policies.fleet.name, init, prune);
    let mut text = serde_json::to_string_pretty(&policy)
        .map_err(|error| OperationError::internal("the policy cannot be written as JSON", error))?;
    text.push('\n');
    CommandOutput::result(Exit::DONE, "ledger iam-policy", Text::verbatim(text), &policy, &[])
}

/// The policy document for one table, limited to the partitions of one fleet.
fn document(place: &DynamodbPlace, account: &str, fleet: &FleetName, init: bool, prune: bool) -> Value {
    let region = place.region.as_deref().unwrap_or("*");
    let table = format!("arn:{}:dynamodb:{region}:{account}:table/{}", partition_of(region), place.table);
    let items = |sid: &str, actions: &[&str]| {
        json!({
            "Sid": sid,
            "Effect": "Allow",
            "Action": actions,
            "Resource": table,
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [fleet, format!("{fleet}#*")]}},
        })
    };
    let mut statements = vec![items("Ledger", &ACTIONS)];
    if prune {
        statements.push(items("LedgerPrune", &PRUNE_ACTIONS));
    }
    if init {
        statements.push(json!({
            "Sid": "LedgerInit", "Effect": "Allow", "Action": INIT_ACTIONS, "Resource": table,
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_read_and_write_one_fleets_items_and_delete_nothing() {
        let place = DynamodbPlace {
            table: "safe-remove".to_owned(),
            region: Some("us-east-1".to_owned()),
            attempt: std::time::Duration::from_secs(1),
        };
        let fleet = FleetName::from("demo");
        let policy = document(&place, "123456789012", &fleet, false, false);
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Resource"], "arn:aws:dynamodb:us-east-1:123456789012:table/safe-remove");
        let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        assert_eq!(keys, &json!(["demo", "demo#*"]));
        assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(1));
        let all = document(&place, "123456789012", &fleet, true, false).to_string();
        assert!(all.contains("dynamodb:CreateTable") && !all.contains("Delete") && !all.contains("dynamodb:*"));
        let prunes = document(&place, "123456789012", &fleet, false, true);
        let statement = &prunes["Statement"][1];
        assert_eq!(statement["Action"], json!(["dynamodb:DeleteItem"]));
        assert_eq!(
            statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"],
            json!(["demo", "demo#*"])
        );
    }
}
