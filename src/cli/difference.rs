//! The differences between two policies of one subsystem.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::output::{Align, Table, Text};
use crate::policy::{self, SubsystemPolicy, loosened};

/// Every field that differs, by name; looser ones are marked.
pub(super) fn difference(was: Option<&SubsystemPolicy>, is: Option<&SubsystemPolicy>) -> Text {
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
    let mut text = Text::default();
    if is.is_none() && was.is_some() {
        text.paragraph("The policy is gone: its hosts would no longer be protected by it.");
    }
    text.table(2, table);
    text
}

/// Flattens a document into paths such as `capacity.minimum`, each with its value as text.
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
                // Probes are identified by their names, so that one more probe does not shift the others.
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| n.to_string(), str::to_owned);
                flatten(&format!("{path}.{name}"), item, into);
            }
        }
        Value::Null => {}
        Value::String(text) => _ = into.insert(path.to_owned(), text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => _ = into.insert(path.to_owned(), value.to_string()),
    }
}
