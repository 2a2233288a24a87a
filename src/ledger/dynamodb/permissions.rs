//! Tries what a ledger's user must be allowed to do, with writes whose condition never holds. Main function: [`tried`].
//!
//! DynamoDB looks at permissions before conditions (Amazon DynamoDB Developer Guide, "Using IAM policy conditions": an
//! action that is not allowed is refused as such; API reference, `ConditionalCheckFailedException`: the condition "could
//! not be met"). Nothing is written: an item with and without a partition key does not exist.

use aws_sdk_dynamodb::types::AttributeValue;

use super::error::DynamoDbError;
use super::table::{Failed, PK, SK, Table};
use crate::model::{FleetName, chain};
use crate::ports::{LedgerError, Permission, Trial};

/// The sort key of an item that no ledger has.
const NOBODY: &str = "nothing";

const NEVER: &str = "attribute_exists(#pk) AND attribute_not_exists(#pk)";

/// Tries every action that a run needs.
pub(super) async fn tried(table: &Table, fleet: &FleetName, place: &str) -> Result<Vec<Permission>, LedgerError> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let (pk, sk) = (text(fleet.as_str()), text(NOBODY));
    let judge = |action, answer: Result<(), Failed>| {
        let trial = match answer {
            Ok(()) => Trial::Allowed,
            Err(Failed { error: error @ DynamoDbError::Denied(_), .. }) => Trial::Denied(chain(&error)),
            Err(failed) => return Err(failed.error.at(place, "tried")),
        };
        Ok(Permission { action, resource: format!("table {}", table.name), trial })
    };
    let got = table
        .call(|| table.client.get_item().table_name(&table.name).key(PK, pk.clone()).key(SK, sk.clone()).send())
        .await;
    let queried = table
        .call(|| {
            let query = table.client.query().table_name(&table.name).limit(1);
            let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", PK);
            query.expression_attribute_values(":pk", pk.clone()).send()
        })
        .await;
    let put = table
        .call(|| {
            let put = table.client.put_item().table_name(&table.name).item(PK, pk.clone()).item(SK, sk.clone());
            put.condition_expression(NEVER).expression_attribute_names("#pk", PK).send()
        })
        .await;
    let updated = table
        .call(|| {
            let update = table.client.update_item().table_name(&table.name).key(PK, pk.clone()).key(SK, sk.clone());
            let update = update.update_expression("SET nothing = :nothing").condition_expression(NEVER);
            let update = update.expression_attribute_names("#pk", PK);
            update.expression_attribute_values(":nothing", text(NOBODY)).send()
        })
        .await;
    Ok(vec![
        judge("dynamodb:GetItem", got.map(drop))?,
        judge("dynamodb:Query", queried.map(drop))?,
        judge("dynamodb:PutItem", put.map(drop))?,
        judge("dynamodb:UpdateItem", updated.map(drop))?,
    ])
}
