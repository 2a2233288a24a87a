//! `safe-remove ledger init | iam-policy`: what a ledger needs before the first run.

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{FleetName, LedgerId, Time, partition_of};
use crate::policy::{DynamodbPlace, LedgerKind, ProviderKind};

use super::args::Global;
use super::error::CommandError;
use super::world::{self, LedgerReader};
use super::{Answered, Exit, engines, status};

/// Every operator's identity needs these: they read and write items, and delete nothing.
const ACTIONS: [&str; 4] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];

/// What whoever makes the table must be allowed besides.
const INIT_ACTIONS: [&str; 5] = [
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
];

/// Whoever prunes the ledger needs this besides.
const PRUNE_ACTIONS: [&str; 1] = ["dynamodb:DeleteItem"];

/// What is there now.
#[derive(Debug, Serialize)]
struct Initialised {
    fleet: FleetName,
    ledger: LedgerId,
    place: String,
    /// In words; empty where everything was there before.
    done: Vec<String>,
}

/// The table where the engine has one, then the fleet's record. Both are left as they are where they exist.
pub(super) async fn init(global: &Global) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let (kind, now) = (&policies.fleet.ledger.kind, status::now(&policies.fleet));
    let mut done = engines::init(kind).await?;
    if !LedgerReader::open(&policies.fleet, now).await?.exists() {
        done.push(format!("the record of fleet {} was made", policies.fleet.name));
    }
    // It is of no time: a simulated fleet that does not exist yet has a clock of its own, which must not refuse.
    let ledger = world::writable_ledger(&policies.fleet, Time::from_millis(0)).await?;
    let (_, record) = ledger.read().await.map_err(CommandError::Ledger)?;
    let document = Initialised { fleet: policies.fleet.name.clone(), ledger: record.ledger, place: kind.place(), done };
    let mut text = format!("ledger  {} of fleet {}\nplace   {}\n", document.ledger, document.fleet, document.place);
    if document.done.is_empty() {
        text.push_str("done    nothing: it was there already\n");
    }
    for done in &document.done {
        text.push_str(&format!("done    {done}\n"));
    }
    Answered::result(Exit::DONE, "ledger init", crate::output::clean_lines(&text).into_owned(), &document, &[])
}

/// JSON on stdout in every mode, ready for `aws iam put-role-policy --policy-document`.
pub(super) fn iam_policy(global: &Global, init: bool, prune: bool) -> Result<Answered, CommandError> {
    let policies = world::policies(global)?;
    let LedgerKind::Dynamodb(place) = &policies.fleet.ledger.kind else {
        return Err(CommandError::usage(
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
        .map_err(|error| CommandError::internal("the policy cannot be written as JSON", error))?;
    text.push('\n');
    Answered::result(Exit::DONE, "ledger iam-policy", text, &policy, &[])
}

/// One table, and in it the partitions of one fleet.
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
        let place = DynamodbPlace { table: "safe-remove".to_owned(), region: Some("us-east-1".to_owned()) };
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
