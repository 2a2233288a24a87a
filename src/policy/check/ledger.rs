//! `[ledger]`: the engine, with the keys of its kind and no others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::{Context, text};
use super::role::role;
use crate::model::Arn;
use crate::policy::problem::suggest;
use crate::policy::raw::RawLedger;
use crate::policy::read::Tree;
use crate::policy::types::{AssumedRole, DynamodbPlace, EtcdPlace, LedgerConfig, LedgerKind};
use crate::policy::value::Spanned;

/// Without its ledger, a run may only restore; half a minute is enough for two calls and a retry of each.
const OFFLINE_LIMIT: Duration = Duration::from_secs(30);

const ETCD_PREFIX: &str = "/safe-remove";

const ENDPOINTS_EXAMPLE: &str = "write: endpoints = [\"https://etcd-1.example.com:2379\"], and every other member";

/// `region` is the provider's: a table should be near, and most tables are where the hosts are.
pub(super) fn config(
    context: &mut Context<'_>,
    at: &Spanned<RawLedger>,
    directory: &Path,
    region: Option<&str>,
) -> Option<LedgerConfig> {
    let raw = &at.value;
    let kind =
        context.required(&raw.kind, &at.span, "ledger.kind", "write: kind = \"sqlite\", \"dynamodb\" or \"etcd\"")?;
    of_its_kind(context, raw, &kind.value);
    let offline_limit = match &raw.offline_limit {
        None => OFFLINE_LIMIT,
        Some(limit) if limit.value.0.is_zero() => {
            let message = "`offline_limit` is 0: a run that lost its ledger could put nothing back";
            context.error(&limit.span, message, "too short", "30s is the default");
            OFFLINE_LIMIT
        }
        Some(limit) => limit.value.0,
    };
    let attempt = LedgerConfig::attempt(offline_limit);
    let kind = match kind.value.as_str() {
        "sqlite" => text(context, &raw.path, &at.span, "ledger.path", "such as \"../.safe-remove/ledger.db\"")
            .map(|path| LedgerKind::Sqlite { path: directory.join(path) }),
        "dynamodb" => dynamodb(context, at, region, attempt),
        "etcd" => etcd(context, at, directory, attempt),
        other => {
            let help = suggest(other, "kinds are", ["sqlite", "dynamodb", "etcd"]);
            context.error(&kind.span, format!("there is no ledger kind `{other}`"), "unknown kind", &help);
            None
        }
    };
    Some(LedgerConfig { kind: kind?, offline_limit })
}

/// Reports the keys of other kinds.
fn of_its_kind(context: &mut Context<'_>, raw: &RawLedger, kind: &str) {
    let texts = [
        ("path", &raw.path, "sqlite"),
        ("table", &raw.table, "dynamodb"),
        ("region", &raw.region, "dynamodb"),
        ("role_arn", &raw.role_arn, "dynamodb"),
        ("prefix", &raw.prefix, "etcd"),
        ("ca", &raw.ca, "etcd"),
        ("cert", &raw.cert, "etcd"),
        ("key", &raw.key, "etcd"),
    ];
    let spans = texts.iter().filter_map(|(key, value, of)| Some((*key, value.as_ref()?.span.clone(), *of)));
    let lists = raw.endpoints.iter().map(|value| ("endpoints", value.span.clone(), "etcd"));
    for (key, span, _) in spans.chain(lists).filter(|(_, _, of)| *of != kind) {
        let message = format!("`{key}` is not a key of the ledger kind `{kind}`");
        context.error(&span, message, "of another kind", "take it out, or change `kind`");
    }
}

fn dynamodb(
    context: &mut Context<'_>,
    at: &Spanned<RawLedger>,
    region: Option<&str>,
    attempt: Duration,
) -> Option<LedgerKind> {
    let raw = &at.value;
    let table = text(context, &raw.table, &at.span, "ledger.table", "such as table = \"safe-remove\"")?;
    let named = table_of(&table).and_then(|table| table.region);
    if let (None, Some(at)) = (table_of(&table), &raw.table) {
        let help = "3 to 255 of the letters a to z, A to Z, 0 to 9, `_`, `-` and `.`, or \
                    arn:aws:dynamodb:REGION:ACCOUNT:table/NAME";
        context.error(&at.span, format!("{table:?} is not a table's name, and no ARN of one"), "here", help);
    }
    let region = match (&raw.region, named) {
        (None, named) => named.or(region).map(str::to_owned),
        (some, _) => text(context, some, &at.span, "ledger.region", "such as \"us-east-1\""),
    };
    if let (Some(at), Some(named)) = (&raw.region, named)
        && named != at.value
    {
        let message = format!("the table is in {named}, by its ARN");
        context.error(&at.span, message, "another region", "take it out: the ARN names the region");
    }
    // The table's account, where its ARN says which: a role of another one could be let in by the table's own policy.
    let role = role(context, &raw.role_arn, "ledger.role_arn", &at.span, None)?;
    let role = role.map(|arn| AssumedRole { arn, external_id: None });
    Some(LedgerKind::Dynamodb(DynamodbPlace { table, region, role, attempt }))
}

/// A table as it may be named.
struct Named<'a> {
    /// Its region, where an ARN names it.
    region: Option<&'a str>,
}

/// A name, or the ARN of a table. `None` if it is neither.
fn table_of(text: &str) -> Option<Named<'_>> {
    let Some(arn) = Arn::parse(text) else { return is_table(text).then_some(Named { region: None }) };
    let name = arn.resource.strip_prefix("table/").filter(|_| arn.service == "dynamodb")?;
    (is_table(name) && !arn.region.is_empty()).then_some(Named { region: Some(arn.region) })
}

/// Source: Amazon DynamoDB Developer Guide, "Supported data types and naming rules".
fn is_table(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn etcd(context: &mut Context<'_>, at: &Spanned<RawLedger>, directory: &Path, attempt: Duration) -> Option<LedgerKind> {
    let raw = &at.value;
    let list = context.required(&raw.endpoints, &at.span, "ledger.endpoints", ENDPOINTS_EXAMPLE)?;
    if list.value.is_empty() {
        context.error(&list.span, "`endpoints` is empty", "empty", ENDPOINTS_EXAMPLE);
    }
    let mut endpoints = Vec::new();
    for endpoint in &list.value {
        if let Some(problem) = endpoint_problem(&endpoint.value) {
            let message = format!("{:?} is not an endpoint: {problem}", endpoint.value);
            context.error(&endpoint.span, message, "here", "such as \"https://etcd-1.example.com:2379\"");
        } else if endpoint.value.starts_with("http://") && !is_local(&endpoint.value) {
            let message = "an endpoint without TLS: whoever is on the way can read the ledger and change it";
            context.warning(&endpoint.span, message, "plain text", "use https://, with `ca`, `cert` and `key`");
        }
        endpoints.push(endpoint.value.trim_end_matches('/').to_owned());
    }
    let file = |value: &Option<Spanned<String>>| value.as_ref().map(|path| directory.join(&path.value));
    let identity = match (&raw.cert, &raw.key) {
        (Some(one), None) => {
            context.error(&one.span, "`cert` without `key`", "of what key?", "name the file of its private key");
            None
        }
        (None, Some(one)) => {
            context.error(&one.span, "`key` without `cert`", "of what certificate?", "name the certificate's file");
            None
        }
        (cert, key) => file(cert).zip(file(key)),
    };
    let tls = [&raw.ca, &raw.cert, &raw.key].into_iter().flatten().next();
    if let (Some(file), false) = (tls, endpoints.iter().any(|endpoint| endpoint.starts_with("https://"))) {
        let message = "a file for TLS, and no endpoint that begins with https://";
        context.error(&file.span, message, "of no use", "write https:// in `endpoints`, or take it out");
    }
    let prefix = match &raw.prefix {
        None => ETCD_PREFIX.to_owned(),
        some => text(context, some, &at.span, "ledger.prefix", "\"/safe-remove\" is the default")?,
    };
    let prefix = prefix.trim_end_matches('/').to_owned();
    Some(LedgerKind::Etcd(EtcdPlace { endpoints, prefix, ca: file(&raw.ca), identity, attempt }))
}

fn endpoint_problem(endpoint: &str) -> Option<&'static str> {
    let Some(rest) = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")) else {
        return Some("it begins with neither https:// nor http://");
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.starts_with(':') {
        return Some("no host is in it");
    }
    host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c)).then_some("only a host and a port belong in it")
}

/// A machine does not eavesdrop on itself.
fn is_local(endpoint: &str) -> bool {
    ["http://127.", "http://localhost:", "http://[::1]"].iter().any(|local| endpoint.starts_with(local))
}

/// Where the ledger is, read from a `fleet.toml` in which everything else may be wrong.
pub(super) fn place(directory: &Path, tree: &Tree<'_>) -> Option<LedgerKind> {
    let given = |key| tree.string(&["ledger", key]).filter(|text| !text.trim().is_empty());
    let attempt = LedgerConfig::attempt(OFFLINE_LIMIT);
    let file = |key| -> Option<PathBuf> { given(key).map(|path| directory.join(path)) };
    match given("kind")?.as_str() {
        "sqlite" => Some(LedgerKind::Sqlite { path: file("path")? }),
        "dynamodb" => {
            let table = given("table")?;
            let named = table_of(&table)?;
            let region = given("region").or(named.region.map(str::to_owned));
            let region = region.or_else(|| tree.string(&["provider", "region"]));
            let role = given("role_arn").map(|arn| AssumedRole { arn, external_id: None });
            Some(LedgerKind::Dynamodb(DynamodbPlace { table, region, role, attempt }))
        }
        "etcd" => {
            let endpoints = tree.strings("ledger", "endpoints").filter(|list| !list.is_empty())?;
            if endpoints.iter().any(|endpoint| endpoint_problem(endpoint).is_some()) {
                return None;
            }
            let prefix = given("prefix").unwrap_or_else(|| ETCD_PREFIX.to_owned());
            Some(LedgerKind::Etcd(EtcdPlace {
                endpoints: endpoints.iter().map(|endpoint| endpoint.trim_end_matches('/').to_owned()).collect(),
                prefix: prefix.trim_end_matches('/').to_owned(),
                ca: file("ca"),
                identity: file("cert").zip(file("key")),
                attempt,
            }))
        }
        _ => None,
    }
}
