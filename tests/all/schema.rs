//! The schemas of policy files, as an editor uses them: every file that is shipped passes, and one slip is one error.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environment::TestEnvironment;

const KINDS: [&str; 2] = ["subsystem", "fleet"];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(shipped(name)).expect("a shipped file")
}

fn schema(kind: &str) -> Value {
    TestEnvironment::new().run(&["policy", "schema", kind]).exits(0).json()
}

/// What an editor underlines, as a path, and what it says.
fn errors(schema: &Value, toml: &str) -> Vec<(String, String)> {
    let file: Value = toml::from_str(toml).expect("TOML");
    let validator = jsonschema::draft202012::new(schema).expect("a schema");
    validator.iter_errors(&file).map(|error| (error.instance_path().to_string(), error.to_string())).collect()
}

/// The first line of every sample names a schema that lies beside it and is what the program prints.
#[test]
fn editors_find_the_schema_of_every_sample_and_every_sample_passes() {
    let directory = std::fs::read_dir(shipped("")).expect("a directory");
    let mut names: Vec<String> = directory
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|n| n.ends_with(".toml"))
        .collect();
    names.retain(|name| name != "scenario.toml");
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let sample = text(&name);
        let kind = if name == "fleet.toml" { "fleet" } else { "subsystem" };
        assert_eq!(sample.lines().next(), Some(format!("#:schema ./{kind}.schema.json").as_str()), "{name}");
        assert_eq!(errors(&schema(kind), &sample), Vec::new(), "{name}");
    }
    for kind in KINDS {
        let printed = TestEnvironment::new().run(&["policy", "schema", kind]).exits(0).stdout;
        let file = format!("{kind}.schema.json");
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(shipped(&file), &printed).expect("written");
        }
        assert_eq!(text(&file), printed, "safe-remove policy schema {kind} > policies/{file}");
        assert_eq!(schema(kind)["$id"], format!("urn:safe-remove:{kind}:v1"));
    }
    // Without a word it is the kind that there are most files of.
    assert_eq!(TestEnvironment::new().run(&["policy", "schema"]).exits(0).json(), schema("subsystem"));
    TestEnvironment::new().run(&["policy", "schema", "scenario"]).exits(2);
}

/// One misspelt key gave 89 errors in taplo: it was an error of the file, and taplo shows such an error at every key.
#[test]
fn one_misspelt_key_is_one_error_that_names_it() {
    let (subsystem, fleet) = (schema("subsystem"), schema("fleet"));
    for (schema, file, key, slip) in [
        (&subsystem, "index.toml", "owner", "ownr"),
        (&subsystem, "index.toml", "depends_on", "depend_on"),
        (&subsystem, "index.toml", "minimum_per_zone", "minimum_zone"),
        (&subsystem, "index.toml", "[confirm]", "[comfirm]"),
        (&fleet, "fleet.toml", "subsystem_tag", "subsytem_tag"),
        (&fleet, "fleet.toml", "state", "stat"),
    ] {
        let sample = text(file);
        let at = sample.find(&format!("\n{key}")).unwrap_or_else(|| panic!("{file} has no {key}"));
        let wrong = format!("{}\n{slip}{}", &sample[..at], &sample[at + 1 + key.len()..]);
        let found = errors(schema, &wrong);
        assert_eq!(found.len(), 1, "{slip}: {found:#?}");
        let last = found[0].0.rsplit('/').next();
        assert_eq!(last, Some(slip.trim_matches(['[', ']'])), "{slip}: {found:#?}");
    }
    // A required key is missing besides, which is another error.
    let found = errors(&subsystem, &text("index.toml").replacen("\nminimum =", "\nminimun =", 1));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().any(|(at, _)| at == "/capacity/minimun"), "{found:#?}");
    let is_missing = |(at, what): &(String, String)| at == "/capacity" && what.contains("\"minimum\"");
    assert!(found.iter().any(is_missing), "{found:#?}");
    // And a file of the other kind is not taken for this one.
    assert!(!errors(&fleet, &text("index.toml")).is_empty() && !errors(&subsystem, &text("fleet.toml")).is_empty());
}
