//! Whatever the code and the documents cite can be looked up: sections of the contract and of the protocol, schedules, and
//! files of `docs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

use crate::safety::rust_files;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every text that cites: sources and tests, and the documents for people.
fn texts() -> Vec<(String, String)> {
    let files = ["src", "tests/all", "benches"].iter().flat_map(|folder| rust_files(folder));
    let sources = files.map(|(path, text)| (path.display().to_string(), text));
    let documents = ["SAFETY.md", "SECURITY.md", "README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/aws.md"];
    sources.chain(documents.map(|name| (name.to_owned(), document(name)))).collect()
}

/// Comments as one line of words: a citation may be broken by the end of a line.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// The numbers of a document's sections, and the titles below each: `## 8. In detail`, `### Signals` or `**Silence.**`.
fn sections(text: &str) -> Vec<(u32, String)> {
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| (part.split('.').next().and_then(|n| n.parse().ok()).expect("a number"), part.to_owned()))
        .collect()
}

#[test]
fn every_section_that_is_cited_is_there() {
    let cited =
        Regex::new(r#"(?i)\b(contract|protocol) section (\d+)(?:, (?:"([^"]+)"|`([^`]+)`))?"#).expect("a pattern");
    let mut found = BTreeSet::new();
    for (path, text) in texts() {
        for citation in cited.captures_iter(&joined(&text)) {
            let name = citation[1].to_lowercase();
            let number: u32 = citation[2].parse().expect("a number");
            let of = sections(&document(&format!("docs/{name}.md")));
            let section = of.iter().find(|(n, _)| *n == number).map(|(_, text)| text);
            let section = section.unwrap_or_else(|| panic!("{path}: there is no {}", &citation[0]));
            if let Some(title) = citation.get(3).or(citation.get(4)) {
                let title = title.as_str();
                let forms = [format!("### {title}\n"), format!("**{title}.**"), format!("`{title}")];
                assert!(forms.iter().any(|form| section.contains(form)), "{path}: {} has no {title}", &citation[0]);
            }
            found.insert(citation[0].to_owned());
        }
    }
    assert!(found.len() > 15, "{found:?}");
}

#[test]
fn nothing_is_cited_that_is_not_here() {
    // Of documents that stand somewhere else, so that these words are not found here themselves.
    let elsewhere = ["design", "peers", "habits", "incidents"].map(|name| [name, " section"].concat());
    let numbered = Regex::new(r"(?i)\bpeers T\d+|\bcontract\.md section|\bschedules? (\d+)").expect("a pattern");
    let files = Regex::new(r"docs/[a-z-]+\.md").expect("a pattern");
    for (path, text) in texts() {
        let text = joined(&text);
        for words in &elsewhere {
            assert!(!text.to_lowercase().contains(words.as_str()), "{path} cites a {words}");
        }
        for citation in numbered.captures_iter(&text) {
            let schedule = citation.get(1).and_then(|number| number.as_str().parse::<u32>().ok());
            assert!(schedule.is_some_and(|number| (1..=20).contains(&number)), "{path}: {}", &citation[0]);
        }
        for file in files.find_iter(&text) {
            document(file.as_str());
        }
    }
    let protocol = document("docs/protocol.md");
    for number in 1..=20 {
        let row = Regex::new(&format!(r"(?m)^\| {number} (M )?\|")).expect("a pattern");
        assert!(row.is_match(&protocol), "docs/protocol.md has no schedule {number}");
    }
}

/// `src/run/judge.rs`, or `run/judge.rs` as `docs/architecture.md` has it.
fn source(name: &str) -> Option<String> {
    let name = name.strip_prefix("src/").unwrap_or(name);
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name)).ok()
}

#[test]
fn every_source_file_that_a_document_names_is_there() {
    let named =
        Regex::new(r"`((?:src/)?[a-z_]+(?:/[a-z_]+)*\.rs)`(?: \(`(?:[A-Za-z]+::)?([A-Za-z_]+)`)?").expect("a pattern");
    let mut found = 0;
    for document_name in ["SAFETY.md", "docs/architecture.md", "CONTRIBUTING.md", "docs/protocol.md"] {
        let text = joined(&document(document_name));
        for citation in named.captures_iter(&text).filter(|citation| citation[1].contains('/')) {
            let is_test = citation[1].starts_with("tests/");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&citation[1]);
            let text = if is_test { fs::read_to_string(path).ok() } else { source(&citation[1]) };
            let text = text.unwrap_or_else(|| panic!("{document_name} names {}, which is not there", &citation[1]));
            if let Some(item) = citation.get(2) {
                let item = Regex::new(&format!(r"\b{}\b", item.as_str())).expect("a pattern");
                assert!(item.is_match(&text), "{document_name}: {} has no {item}", &citation[1]);
            }
            found += 1;
        }
    }
    assert!(found > 80, "{found}");
}

/// What a reader needs for a safety decision can be read in one sitting.
#[test]
fn the_files_that_keep_a_promise_are_short() {
    let named = Regex::new(r"`(src/[a-z_/]+\.rs)`").expect("a pattern");
    let safety = document("SAFETY.md");
    let places = safety.split("\n- **Code.**").skip(1).map(|part| part.split("\n- **").next().unwrap_or_default());
    let mut lengths = Vec::new();
    for name in places.flat_map(|part| named.captures_iter(part).map(|found| found[1].to_owned()).collect::<Vec<_>>()) {
        let text = source(&name).unwrap_or_else(|| panic!("{name} is not there"));
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        lengths.push((code.lines().count(), name));
    }
    lengths.sort();
    assert!(lengths.len() > 30, "{lengths:?}");
    let (longest, name) = lengths.last().expect("some");
    assert!(*longest < 300, "{name} has {longest} lines");
}
