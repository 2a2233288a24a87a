//! `policy schema`: a JSON Schema of the policy files, and of what hooks answer, generated from the types that read them.
//!
//! Each kind of file has a schema of its own: of a schema that offers both, an editor reports every key of the kind that the
//! file is not. The schema describes the shape of a file; `policy check` finds what only the values or the files together
//! show (a minimum above its baseline, an unknown name in `depends_on`).

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema as _, Schema, json_schema};
use serde_json::Value;

use super::raw::{RawFleet, RawSubsystem};
use crate::model::HookAnswer;

/// A kind of policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyFile {
    /// `fleet.toml`
    Fleet,
    /// The file of one subsystem.
    Subsystem,
    /// What a hook answers: no file, but written by the same people.
    HookAnswer,
}

/// The JSON Schema (draft 2020-12) of a kind of file.
pub(crate) fn schema(of: PolicyFile) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let (root, id) = match of {
        PolicyFile::Fleet => (RawFleet::json_schema(&mut generator), "urn:safe-remove:fleet:v1"),
        PolicyFile::Subsystem => (RawSubsystem::json_schema(&mut generator), "urn:safe-remove:subsystem:v1"),
        PolicyFile::HookAnswer => (HookAnswer::json_schema(&mut generator), "urn:safe-remove:hook-answer:v1"),
    };
    let title = match of {
        PolicyFile::Fleet => "fleet.toml of safe-remove",
        PolicyFile::Subsystem => "the policy of a subsystem, of safe-remove",
        PolicyFile::HookAnswer => "the answer of a hook, of safe-remove",
    };
    let mut schema = json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": id,
        "title": title,
    });
    for (key, value) in root.as_object().into_iter().flatten() {
        schema.insert(key.clone(), value.clone());
    }
    schema.insert("$defs".to_owned(), generator.take_definitions(true).into());
    NoNull.transform(&mut schema);
    ErrorAtTheKey.transform(&mut schema);
    schema.to_value()
}

/// An unknown key is an error of the key, not of its table: an editor underlines all that an error is of, and taplo shows
/// the error of a table once for each of its keys.
struct ErrorAtTheKey;

impl Transform for ErrorAtTheKey {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            let nothing = serde_json::json!({ "not": {}, "description": "There is no such key here." });
            schema.insert("additionalProperties".to_owned(), nothing);
        }
        transform_subschemas(self, schema);
    }
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
    let mut homes = Vec::new();
    for (file, at_top) in
        [(PolicyFile::Subsystem, "at the top of a subsystem's file"), (PolicyFile::Fleet, "at the top of fleet.toml")]
    {
        let schema = schema(file);
        search(&schema, &schema, &mut Vec::new(), key, at_top, &mut homes);
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
        let (fleet, subsystem) = (schema(PolicyFile::Fleet), schema(PolicyFile::Subsystem));
        assert!(!fleet.to_string().contains("null") && !subsystem.to_string().contains("null"), "{subsystem:#}");
        let required = serde_json::json!(["baseline", "minimum"]);
        assert_eq!(subsystem.pointer("/properties/capacity/required"), Some(&required), "{subsystem:#}");
        let nothing = serde_json::json!({});
        assert_eq!(subsystem.pointer("/properties/pace/additionalProperties/not"), Some(&nothing));
        for schema in [&fleet, &subsystem] {
            assert_eq!(schema["additionalProperties"]["not"], nothing, "one kind of file, and no other");
            assert!(schema["$id"].as_str().is_some_and(|id| id.starts_with("urn:safe-remove:")));
        }
    }
}
