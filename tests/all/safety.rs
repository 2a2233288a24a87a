//! SAFETY.md, the code and the tests speak of the same invariants.

use std::fs;
use std::path::{Path, PathBuf};

const INVARIANTS: [&str; 9] = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9"];

pub(crate) fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path, text));
            }
        }
    }
    found
}

/// `S4: …` or `S4, S9: …` in a comment of the code.
fn comment_names(line: &str, id: &str) -> bool {
    line.split_once("//").is_some_and(|(_, comment)| comment.split(|c: char| !c.is_alphanumeric()).any(|w| w == id))
}

fn safety() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SAFETY.md")).expect("SAFETY.md is there")
}

/// The section of one invariant.
fn section(id: &str) -> String {
    let text = safety();
    let start = text.find(&format!("## {id} ")).unwrap_or_else(|| panic!("SAFETY.md has no section for {id}"));
    let rest = &text[start + 3..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

#[test]
fn every_invariant_is_named_by_code_and_by_tests() {
    let code = rust_files("src");
    let tests = rust_files("tests");
    for id in INVARIANTS {
        let named = code.iter().any(|(_, text)| text.lines().any(|line| comment_names(line, id)));
        assert!(named, "no comment in src/ says where {id} is held");
        let prefix = format!("fn {}_", id.to_lowercase());
        let tested = code.iter().chain(&tests).any(|(_, text)| text.contains(&prefix));
        assert!(tested, "no test is named {prefix}…");
    }
}

#[test]
fn safety_md_names_only_what_exists() {
    let code = rust_files("src");
    let tests = rust_files("tests");
    for id in INVARIANTS {
        let section = section(id);
        let mut tests_named = 0;
        for quoted in section.split('`').skip(1).step_by(2) {
            if quoted.starts_with("src/") || quoted.starts_with("tests/") {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(quoted);
                assert!(path.exists(), "{id}: SAFETY.md names {quoted}, which is not there");
            } else if quoted.starts_with(&format!("{}_", id.to_lowercase())) {
                let function = format!("fn {quoted}(");
                let found = code.iter().chain(&tests).any(|(_, text)| text.contains(&function));
                assert!(found, "{id}: SAFETY.md names the test {quoted}, which is not there");
                tests_named += 1;
            }
        }
        assert!(tests_named > 0, "{id}: SAFETY.md names no test");
        for part in ["Hazard", "Mechanism", "Code", "Tests", "Not covered"] {
            assert!(section.contains(&format!("**{part}")), "{id}: SAFETY.md says nothing under {part}");
        }
    }
}

/// The twenty schedules of the protocol's model: each is told by a test, and SAFETY.md names every such test.
#[test]
fn every_schedule_of_the_model_is_told_and_named() {
    let tests = rust_files("tests");
    let lines = tests.iter().flat_map(|(_, text)| text.lines());
    let told: Vec<&str> =
        lines.filter_map(|line| line.strip_prefix("fn schedule_")?.split_once('(').map(|(name, _)| name)).collect();
    let text = safety();
    let named: Vec<&str> =
        text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.strip_prefix("schedule_")).collect();
    for name in &told {
        assert!(named.contains(name), "SAFETY.md does not name schedule_{name}");
    }
    for name in &named {
        assert!(told.contains(name), "SAFETY.md names schedule_{name}, which is not there");
    }
    for number in 1..=20 {
        let prefix = format!("{number:02}_s");
        assert!(told.iter().any(|name| name.starts_with(&prefix)), "no test tells schedule {number}");
    }
}
