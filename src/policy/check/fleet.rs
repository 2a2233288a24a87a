//! `fleet.toml`: the fleet's name, and its provider with the keys of its kind and no others.

use std::path::Path;

use super::context::{Context, text};
use super::role::role;
use crate::model::{FleetName, is_account};
use crate::policy::problem::suggest;
use crate::policy::raw::{RawFleet, RawProvider};
use crate::policy::types::{AssumedRole, FleetConfig, ProviderConfig, ProviderKind};
use crate::policy::value::Spanned;

const PROVIDER_EXAMPLE: &str = "write: [provider], kind = \"simulated\" or \"aws\", and the keys of that kind";
const LEDGER_EXAMPLE: &str = "write: [ledger], kind = \"sqlite\", path = \"../.safe-remove/ledger.db\"";

pub(super) fn fleet(context: &mut Context<'_>, raw: &RawFleet, directory: &Path) -> Option<FleetConfig> {
    let name = context.required(&raw.name, &(0..0), "name", "write: name = \"demo\"; it names the ledger's scope");
    let provider = context.section(&raw.provider, "provider", PROVIDER_EXAMPLE);
    let provider = provider.and_then(|raw| provider_config(context, raw, directory));
    let ledger = context.section(&raw.ledger, "ledger", LEDGER_EXAMPLE);
    let ledger = ledger.and_then(|at| {
        let region = raw.provider.as_ref().and_then(|provider| provider.value.region.as_ref());
        super::ledger::config(context, at, directory, region.map(|region| region.value.as_str()))
    });
    Some(FleetConfig { name: FleetName::new(name?.value.0.clone()), provider: provider?, ledger: ledger? })
}

fn provider_config(context: &mut Context<'_>, at: &Spanned<RawProvider>, directory: &Path) -> Option<ProviderConfig> {
    let raw = &at.value;
    let kind = context.required(&raw.kind, &at.span, "provider.kind", "write: kind = \"simulated\", or \"aws\"")?;
    let simulated = [("scenario", &raw.scenario), ("state", &raw.state)];
    let aws = [
        ("region", &raw.region),
        ("account", &raw.account),
        ("role_arn", &raw.role_arn),
        ("external_id", &raw.external_id),
    ];
    let parsed = match kind.value.as_str() {
        "simulated" => {
            not_of_this_kind(context, &kind.value, &aws);
            let scenario = text(context, &raw.scenario, &at.span, "provider.scenario", "the fleet's description");
            let state = text(context, &raw.state, &at.span, "provider.state", "such as \"../.safe-remove/fleet.json\"");
            (|| Some(ProviderKind::Simulated { scenario: directory.join(scenario?), state: directory.join(state?) }))()
        }
        "aws" => {
            not_of_this_kind(context, &kind.value, &simulated);
            let region = text(context, &raw.region, &at.span, "provider.region", "such as \"us-east-1\"");
            let account = text(context, &raw.account, &at.span, "provider.account", "twelve digits in quotes");
            let account = account.filter(|account| {
                let valid = is_account(account);
                if let (false, Some(at)) = (valid, &raw.account) {
                    let help = "`aws sts get-caller-identity` shows it";
                    context.error(&at.span, format!("{account:?} is not an account"), "twelve digits", help);
                }
                valid
            });
            let role = role(context, &raw.role_arn, "provider.role_arn", &at.span, account.as_deref());
            let external_id = match &raw.external_id {
                None => Some(None),
                some => text(context, some, &at.span, "provider.external_id", "as the trust policy has it").map(Some),
            };
            if let (None, Some(id)) = (&raw.role_arn, &raw.external_id) {
                let help = "add `role_arn`, or take it out";
                let message = "`external_id` without `role_arn`: no role is assumed".to_owned();
                context.error(&id.span, message, "unused", help);
            }
            (|| {
                let external_id = external_id?;
                let role = role?.map(|arn| AssumedRole { arn, external_id });
                Some(ProviderKind::Aws { region: region?, account: account?, role })
            })()
        }
        other => {
            let help = suggest(other, "kinds are", ["simulated", "aws"]);
            context.error(&kind.span, format!("there is no provider kind `{other}`"), "unknown kind", &help);
            None
        }
    };
    let tag = match &raw.subsystem_tag {
        None => Some(None),
        some => text(context, some, &at.span, "provider.subsystem_tag", "the name of a tag").map(Some),
    };
    if let (Some(settle), "aws") = (&raw.settle, kind.value.as_str())
        && settle.value.0 < crate::model::Bounds::AWS.settle
    {
        let message = "`settle` is shorter than AWS's answers have been seen to lag";
        context.warning(&settle.span, message, "2m is the default", "leave it out unless this was measured");
    }
    let settle = raw.settle.as_ref().map(|settle| settle.value.0);
    Some(ProviderConfig { kind: parsed?, subsystem_tag: tag?, settle })
}

fn not_of_this_kind(context: &mut Context<'_>, kind: &str, keys: &[(&str, &Option<Spanned<String>>)]) {
    for (key, value) in keys {
        if let Some(value) = value {
            let message = format!("`{key}` is not a key of the provider kind `{kind}`");
            context.error(&value.span, message, "of another kind", "take it out, or change `kind`");
        }
    }
}
