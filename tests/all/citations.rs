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
    let documents = ["SAFETY.md", "README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/aws.md"];
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
