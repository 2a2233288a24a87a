//! `safe-remove policy check | show | schema | accept`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::model::{OperatorId, SubsystemName};
use crate::ops::{self, Acceptance, OperationError};
use crate::output::{Align, Table, clean, clean_lines};
use crate::policy::{self, SubsystemPolicy, loosened};

use super::args::Global;
use super::screen::Screen;
use super::terminal::Terminal;
use super::{Answered, Exit};

/// `policy check`
pub(super) fn check(global: &Global) -> Result<Answered, OperationError> {
    let policies = ops::policies(&global.policies)?;
    let names: Vec<_> = policies.subsystems.keys().cloned().collect();
    let warnings: Vec<String> = policies.warnings.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} is valid: fleet {}, {} subsystems: {}\n",
        policies.directory.display(),
        policies.fleet.name,
        names.len(),
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    );
    for warning in &warnings {
        text.push_str(&format!("warning: {}\n", clean(warning)));
    }
    let result = serde_json::json!({ "fleet": policies.fleet.name, "subsystems": names });
    Answered::result(Exit::DONE, "policy check", clean_lines(&text).into_owned(), &result, &warnings)
}

/// `policy show [NAME]`
pub(super) fn show(global: &Global, name: Option<&SubsystemName>) -> Result<Answered, OperationError> {
    let policies = ops::policies(&global.policies)?;
    let mut document = policy::show(&policies);
    if let Some(name) = name {
        let Some(only) = policies.subsystems.get(name) else {
            return Err(OperationError::unknown_subsystem(name, &policies));
        };
        document.subsystems = vec![policy::effective(only)];
    }
    let text = clean_lines(&document.text()).into_owned();
    Answered::result(Exit::DONE, "policy show", text, &document, &document.warnings)
}

/// `policy schema`: the schema itself, in every format, so that an editor can read it.
pub(super) fn schema() -> Result<Answered, OperationError> {
    let schema = policy::schema();
    let text = crate::output::json_document(&schema)
        .map_err(|error| OperationError::internal("the schema cannot be written as JSON", error))?;
    Answered::document(Exit::DONE, text, &schema)
}

/// `policy accept NAME --reason TEXT`
pub(super) async fn accept(
    global: &Global,
    name: &SubsystemName,
    reason: &str,
    screen: &Arc<Screen>,
) -> Result<Answered, OperationError> {
    let acceptance = ops::accept(&global.policies, name, reason, &Terminal::of(screen)).await?;
    let (text, accepted_by) = match acceptance {
        Acceptance::FirstRunDoes => {
            (format!("Nothing to accept: the first run of this fleet accepts {name} as it finds it.\n"), None)
        }
        Acceptance::AsItWas => (format!("Nothing to accept: {name} is as it was accepted.\n"), None),
        Acceptance::Accepted { by } => (format!("Accepted: {name}, by {by}.\n"), Some(by)),
    };
    let result = Accepted { subsystem: name, accepted_by, reason };
    Answered::result(Exit::DONE, "policy accept", clean_lines(&text).into_owned(), &result, &[])
}

/// What an acceptance changed.
#[derive(Debug, Serialize)]
struct Accepted<'a> {
    subsystem: &'a SubsystemName,
    /// `None`: there was nothing to accept.
    accepted_by: Option<OperatorId>,
    reason: &'a str,
}

/// Every field that differs, those that are looser first and marked.
pub(super) fn difference(was: Option<&SubsystemPolicy>, is: Option<&SubsystemPolicy>) -> String {
    let fields = |policy: Option<&SubsystemPolicy>| {
        let mut fields = BTreeMap::new();
        if let Some(policy) = policy {
            flatten("", &policy::effective(policy), &mut fields);
        }
        fields
    };
    let (before, after) = (fields(was), fields(is));
    let looser: BTreeSet<String> = match (was, is) {
        (Some(was), Some(is)) => loosened(was, is).into_iter().map(|found| found.field).collect(),
        _ => BTreeSet::new(),
    };
    let is_looser = |field: &str| {
        looser
            .iter()
            .any(|of| field == of || field.starts_with(&format!("{of}.")) || of.starts_with(&format!("{field}.")))
    };
    let mut table =
        Table::new(&[("", Align::Left), ("field", Align::Whole), ("accepted", Align::Left), ("now", Align::Left)]);
    for field in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(field), after.get(field));
        if was != is {
            let shown = |value: Option<&String>| value.map_or("-".to_owned(), ToString::to_string);
            table.row([if is_looser(field) { "looser" } else { "" }, field, &shown(was), &shown(is)]);
        }
    }
    match (was, is) {
        (Some(_), None) => {
            format!("The policy is gone: its hosts would no longer be protected by it.\n{}", table.render("  "))
        }
        _ => table.render("  "),
    }
}

/// `capacity.minimum` and so on, each with its value as text.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (n, item) in items.iter().enumerate() {
                // Probes are known by their names: one more of them moves no other.
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| n.to_string(), str::to_owned);
                flatten(&format!("{path}.{name}"), item, into);
            }
        }
        Value::Null => {}
        Value::String(text) => _ = into.insert(path.to_owned(), text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => _ = into.insert(path.to_owned(), value.to_string()),
    }
}
