//! `role_arn`, of the fleet and of its ledger.

use std::ops::Range;

use super::context::{Context, text};
use crate::model::Arn;
use crate::policy::value::Spanned;

/// The role that is to be assumed, if one is named: in the account, if that is known.
pub(super) fn role(
    context: &mut Context<'_>,
    value: &Option<Spanned<String>>,
    path: &str,
    table: &Range<usize>,
    account: Option<&str>,
) -> Option<Option<String>> {
    const EXAMPLE: &str = "such as \"arn:aws:iam::123456789012:role/safe-remove\"";
    let Some(at) = value else { return Some(None) };
    let arn = text(context, value, table, path, EXAMPLE)?;
    match Arn::parse(&arn).filter(|arn| arn.service == "iam" && arn.resource.starts_with("role/")) {
        None => context.error(&at.span, format!("{arn:?} is not the ARN of a role"), "here", EXAMPLE),
        Some(role) => {
            let Some(account) = account.filter(|account| *account != role.account) else { return Some(Some(arn)) };
            let message = format!("the role is in account {}, and the fleet in account {account}", role.account);
            context.error(&at.span, message, "of another account", "correct `account` or `role_arn`");
        }
    }
    None
}
