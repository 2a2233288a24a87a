//! `policy show`: the policies in force, with every default filled in, and percentages of the baseline
//! resolved.

use std::fmt::{Display, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};

use super::types::{CapacityPolicy, LedgerKind, PolicySet, ProviderKind, SubsystemPolicy, ZoneMinimum};
use crate::model::duration_text;

/// The JSON document that `policy show` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShowDocument {
    /// Where the policies were read from.
    pub(crate) directory: String,
    /// The fleet's name.
    pub(crate) fleet: String,
    /// `[provider]`, in words.
    pub(crate) provider: String,
    /// `[ledger]`, in words.
    pub(crate) ledger: String,
    /// Each subsystem's policy with resolved numbers; durations as text.
    pub(crate) subsystems: Vec<Value>,
    /// What is legal but should be checked by a person.
    pub(crate) warnings: Vec<String>,
}

/// The effective policies of a directory.
pub(crate) fn show(policies: &PolicySet) -> ShowDocument {
    let fleet = &policies.fleet;
    let provider = match &fleet.provider.kind {
        ProviderKind::Simulated { scenario, state } => {
            format!("simulated, scenario {}, state {}", scenario.display(), state.display())
        }
        ProviderKind::Aws { region, account, role } => {
            let role = role.as_ref().map(|role| format!(", as {}", role.arn));
            format!("aws, account {account}, region {region}{}", role.unwrap_or_default())
        }
    };
    let engine = match &fleet.ledger.kind {
        LedgerKind::Sqlite { path } => format!("sqlite {}", path.display()),
        LedgerKind::Dynamodb(table) => table.to_string(),
        LedgerKind::Etcd(etcd) => etcd.to_string(),
    };
    let limit = duration_text(fleet.ledger.offline_limit);
    ShowDocument {
        directory: policies.directory.display().to_string(),
        fleet: fleet.name.to_string(),
        provider,
        ledger: format!("{engine}, runs may restore without it for {limit}"),
        subsystems: policies.subsystems.values().map(effective).collect(),
        warnings: policies.warnings.iter().map(ToString::to_string).collect(),
    }
}

/// One subsystem's policy as it is in force: percentages are resolved if the policy alone allows it, and units of time
/// and percent signs are put back.
pub(crate) fn effective(policy: &SubsystemPolicy) -> Value {
    let mut value = serde_json::to_value(policy).unwrap_or(Value::Null);
    if let Some(minimum) = value.pointer_mut("/capacity/minimum_per_zone") {
        *minimum = zone_minimum(&policy.capacity);
    }
    let probes = value.pointer_mut("/health/probes").and_then(Value::as_array_mut);
    for (shown, probe) in probes.into_iter().flatten().zip(&policy.health.probes) {
        let (key, judge) =
            if probe.is_tested() { ("judge", "test".into()) } else { ("failures", probe.failures.unwrap_or(1).into()) };
        shown[key] = judge;
    }
    for_people(&mut value);
    value
}

/// In units if the zones are known.
pub(super) fn zone_minimum(of: &CapacityPolicy) -> Value {
    match (of.minimum_per_zone, &of.zones) {
        (None, _) => Value::Null,
        (Some(ZoneMinimum::Units(units)), _) => units.into(),
        (Some(percent @ ZoneMinimum::Percent(_)), Some(zones)) => percent.units(of.baseline, zones.len()).into(),
        (Some(ZoneMinimum::Percent(percent)), None) => format!("{percent}% of {} / zones", of.baseline).into(),
    }
}

/// The ledger keeps values for comparison; people read `5m`, `20%` and `Mon-Thu 09:00-16:00`.
fn for_people(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let (Some(text), true) = (map.get("text"), map.contains_key("days")) {
                *value = text.clone();
                return;
            }
            // A text of which a part is not shown.
            if let (Some(shown), true) = (map.get("shown"), map.contains_key("sha256")) {
                *value = shown.clone();
                return;
            }
            // The count that a file calls `events`.
            let is_share = map.get("of").is_some_and(Value::is_string);
            let ledgers = std::mem::take(map);
            for (key, mut inner) in ledgers {
                match (key.strip_suffix("_ms"), &inner) {
                    (Some(name), Value::Number(millis)) => {
                        let length = std::time::Duration::from_millis(millis.as_u64().unwrap_or(0));
                        map.insert(name.to_owned(), duration_text(length).into());
                        continue;
                    }
                    (_, Value::String(percent))
                        if matches!(
                            key.as_str(),
                            "max_unserving" | "max_increase" | "max_decrease" | "false_abort" | "missed_harm"
                        ) =>
                    {
                        inner = format!("{percent}%").into();
                    }
                    _ => for_people(&mut inner),
                }
                let is_count = is_share && ["pointer", "query", "metric"].contains(&key.as_str());
                map.insert(if is_count { "events".to_owned() } else { key }, inner);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(for_people),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl ShowDocument {
    /// The same for people: one key per line, with tables indented.
    pub(crate) fn text(&self) -> String {
        let mut out = format!(
            "fleet {} ({})\n  provider  {}\n  ledger    {}\n",
            self.fleet, self.directory, self.provider, self.ledger
        );
        for subsystem in &self.subsystems {
            let name = subsystem.get("name").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(out, "\n{name}\n");
            if let Value::Object(map) = subsystem {
                lines(map, 1, &mut out);
            }
        }
        out
    }
}

fn lines(map: &Map<String, Value>, depth: usize, out: &mut String) {
    let shown = || map.iter().filter(|(key, value)| (depth > 1 || *key != "name") && !is_nothing(value));
    let width = shown().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in shown() {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if depth == 1 => {
                let _ = writeln!(out, "{indent}{key}");
                lines(inner, depth + 1, out);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    let _ = writeln!(out, "{indent}{key:width$}  {}", words(item));
                }
            }
            Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                _ = writeln!(out, "{indent}{key:width$}  {}", words(value))
            }
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value on one line, without JSON punctuation.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !is_nothing(value))
            .map(|(key, value)| {
                let text = words(value);
                if value.is_object() { format!("{key}: {{ {text} }}") } else { format!("{key} {text}") }
            })
            .collect::<Vec<_>>()
            .join(", "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A policy's field on one line, for comparisons.
pub(super) fn plain<T: Serialize>(of: &T) -> String {
    let mut value = serde_json::to_value(of).unwrap_or(Value::Null);
    for_people(&mut value);
    let text = words(&value);
    if text.is_empty() { "none".to_owned() } else { text }
}

/// A list on one line.
pub(super) fn list<T: Display>(of: impl IntoIterator<Item = T>) -> String {
    let text = of.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

/// Any value that a comparison can show.
pub(super) trait Plain {
    fn into_text(self) -> String;
}

impl<T: Display> Plain for T {
    fn into_text(self) -> String {
        self.to_string()
    }
}
