//! `policy schema`: a JSON Schema of the policy files, generated from the types that read them.
//!
//! One document covers both kinds of file: a file is valid as `Fleet` or as `Subsystem`. The schema describes the shape
//! of a file; `policy check` finds what only the values or the files together show (a minimum above its baseline, an
//! unknown name in `depends_on`).

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, json_schema};
use serde_json::Value;

use super::raw::{RawFleet, RawSubsystem};

/// The JSON Schema (draft 2020-12) of `fleet.toml` and of a subsystem's file.
pub(crate) fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let fleet = generator.subschema_for::<RawFleet>();
    let subsystem = generator.subschema_for::<RawSubsystem>();
    let definitions = generator.take_definitions(true);
    let mut schema = json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "safe-remove policy files",
        "description": "fleet.toml, or the file of one subsystem",
        "anyOf": [fleet, subsystem],
        "$defs": definitions,
    });
    NoNull.transform(&mut schema);
    schema.to_value()
}

/// TOML has no null: a key that may be left out may not be null.
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        let is_null = |value: &Value| *value == "null" || value.get("type").is_some_and(|of| of == "null");
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|of| !is_null(of));
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
            any.retain(|of| !is_null(of));
            if let [Value::Object(only)] = any.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.insert(key, value);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

/// The tables in which a key of this name is valid, as `in [pace]`: for keys that ended up in the wrong table.
pub(super) fn homes_of(key: &str) -> Vec<String> {
    let schema = schema();
    let mut homes = Vec::new();
    for (root, at_top) in [("Subsystem", "at the top of a subsystem's file"), ("Fleet", "at the top of fleet.toml")] {
        if let Some(root) = schema.pointer(&format!("/$defs/{root}")) {
            search(&schema, root, &mut Vec::new(), key, at_top, &mut homes);
        }
    }
    homes.truncate(2);
    homes
}

fn search<'s>(
    schema: &'s Value,
    at: &'s Value,
    path: &mut Vec<&'s str>,
    key: &str,
    at_top: &str,
    homes: &mut Vec<String>,
) {
    let at = at.get("items").unwrap_or(at);
    let reference = at.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    let at = reference.and_then(|to| schema.pointer(to)).unwrap_or(at);
    // The types are not recursive; the bound makes sure of it.
    let Some(Value::Object(properties)) = at.get("properties").filter(|_| path.len() < 5) else { return };
    if properties.contains_key(key) {
        let home = if path.is_empty() { at_top.to_owned() } else { format!("in [{}]", path.join(".")) };
        if !homes.contains(&home) {
            homes.push(home);
        }
    }
    for (property, of) in properties {
        path.push(property);
        search(schema, of, path, key, at_top, homes);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_know_their_tables() {
        assert_eq!(homes_of("batch"), ["in [pace]"]);
        assert_eq!(homes_of("depends_on"), ["at the top of a subsystem's file"]);
        assert_eq!(homes_of("failures"), ["in [health.probe]"]);
        assert!(homes_of("nonsense").is_empty());
    }

    #[test]
    fn nothing_may_be_null_and_required_keys_are_required() {
        let schema = schema();
        assert!(!schema.to_string().contains("null"), "{schema:#}");
        assert_eq!(
            schema.pointer("/$defs/Subsystem/properties/capacity/required"),
            Some(&serde_json::json!(["baseline", "minimum"])),
            "{schema:#}"
        );
        assert_eq!(schema.pointer("/$defs/Subsystem/properties/pace/additionalProperties"), Some(&Value::Bool(false)));
    }
}
