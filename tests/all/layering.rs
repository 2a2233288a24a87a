//! The map in `src/lib.rs` holds: arrows point one way, and what decides meets no I/O and no clock.

mod imports;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use imports::Imports;

/// Every module may use those before it, and itself.
const ORDER: [&str; 16] = [
    "model",
    "policy",
    "plan",
    "health",
    "coordination",
    "run",
    "ports",
    "credentials",
    "driver",
    "fleet",
    "ledger",
    "probe",
    "hook",
    "output",
    "ops",
    "cli",
];

/// One provider, ledger or probe knows nothing of the others' kinds. `probe` may use the simulated fleet that it reads.
const APART: [(&str, &str); 2] = [("fleet", "ledger"), ("ledger", "fleet")];

/// Modules in which every safety decision is made.
const PURE: [&str; 6] = ["model", "policy", "plan", "health", "coordination", "run"];

/// What a pure module must not meet.
const IMPURE: [&str; 10] = [
    "tokio",
    "aws_",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "rand",
];

/// The thin shells among the pure modules: they read policy files from the disk, and look at the paths in them.
const SHELLS: [&str; 2] = ["policy/detour.rs", "policy/files.rs"];

fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.insert(path.strip_prefix(&root).expect("below src").to_owned(), text);
            }
        }
    }
    assert!(found.len() > 40, "only {} sources found: this test looks in the wrong place", found.len());
    found
}

/// The code of a file, without comments and without its test modules at the end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or("")))
}

fn module(path: &Path) -> String {
    let first = path.components().next().expect("not empty").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains("test") || name.contains("fixtures") || name.contains("oracle") || name.contains("conformance")
}

/// The modules of this crate that a line names.
fn named(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .map(|(at, _)| line[at + "crate::".len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let rank = |name: &str| ORDER.iter().position(|m| *m == name);
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (path, text) in sources() {
        let from = module(&path);
        if is_test(&path) || from == "main" || from == "lib" {
            continue;
        }
        let own = rank(&from).unwrap_or_else(|| panic!("{} is not on the map of src/lib.rs", path.display()));
        for (number, line) in code(&text) {
            for to in named(line) {
                let Some(other) = rank(&to) else { continue };
                arrows += 1;
                let crosses = APART.contains(&(from.as_str(), to.as_str()));
                if other > own || crosses {
                    wrong.push(format!("{}:{number}: {from} uses {to}", path.display()));
                }
            }
        }
    }
    assert!(arrows > 50, "only {arrows} arrows found: this test reads the wrong lines");
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

/// What decides names every case, so that a new one has to be decided too: clippy looks, where it is told to.
#[test]
fn what_decides_matches_without_wildcards() {
    let lint = "#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]";
    for module in PURE {
        let path = PathBuf::from(module).join("mod.rs");
        let text = sources().remove(&path).unwrap_or_else(|| panic!("{} is not there", path.display()));
        assert!(text.contains(lint), "{}: {lint}", path.display());
    }
}

/// What decides knows no provider by its name, and no thread: the ports and the shell say these things.
#[test]
fn what_decides_knows_no_provider() {
    const WORDS: [&str; 5] = ["\"aws", "\"simulated\"", "aws ", "std::thread", "EnterStandby"];
    let mut looked_at = 0;
    for (path, text) in sources() {
        // `policy` reads the names of providers from files, and `model` is told the kind of a fleet.
        let decides = ["plan", "health", "coordination", "run"].contains(&module(&path).as_str());
        if !decides || is_test(&path) {
            continue;
        }
        looked_at += 1;
        for (number, line) in code(&text) {
            let met = WORDS.iter().find(|word| line.contains(**word));
            assert_eq!(met, None, "{}:{number}: {line}", path.display());
        }
    }
    assert!(looked_at > 50, "only {looked_at} files");
}

/// One way out of the process: an intent on record, then the driver.
#[test]
fn s5_only_the_driver_performs_effects() {
    // Who may name what sends a call, and what makes one that may be sent.
    const ONLY: [(&str, &[&str]); 4] = [
        (".perform(", &["driver", "fleet"]),
        ("restore_without_ledger(", &["driver", "ports"]),
        ("RecordedCall(", &["ports"]),
        // An acknowledgement that is not looked at would be lost: every append goes through `ports::append`.
        ("ledger.append(", &["ports", "ledger"]),
    ];
    let mut met = [0; ONLY.len()];
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        for (number, line) in code(&text) {
            for (which, (word, places)) in ONLY.iter().enumerate().filter(|(_, (word, _))| line.contains(word)) {
                met[which] += 1;
                let place = module(&path);
                assert!(places.contains(&place.as_str()), "{}:{number}: {word} in {place}", path.display());
            }
        }
    }
    assert!(met.iter().all(|met| *met > 0), "{met:?}: this test looks for the wrong words");
}

/// A folder each, that nothing else knows: what they share is the port and the codec.
#[test]
fn each_ledger_engine_is_one_folder_that_the_others_do_not_know() {
    const ENGINES: [&str; 3] = ["sqlite", "dynamodb", "etcd"];
    let mut looked_at = 0;
    for (path, text) in sources() {
        let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let [first, engine, ..] = parts.as_slice() else { continue };
        if first != "ledger" || !ENGINES.contains(&engine.as_str()) {
            continue;
        }
        looked_at += 1;
        for (number, line) in code(&text).filter(|(_, line)| line.trim_start().starts_with("use ")) {
            let other = ENGINES.iter().find(|other| *other != engine && line.contains(&format!("{other}::")));
            assert_eq!(other, None, "{}:{number}: {line}", path.display());
        }
    }
    assert!(looked_at >= 10, "only {looked_at} files of engines");
}

#[test]
fn what_decides_meets_no_io_and_no_clock() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (path, text) in sources() {
        let shell = SHELLS.iter().any(|s| path == Path::new(s));
        if !PURE.contains(&module(&path).as_str()) || shell || is_test(&path) {
            continue;
        }
        looked_at += 1;
        for (number, line) in code(&text) {
            let words: Vec<&str> = line
                .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .filter(|w| !w.is_empty())
                .collect();
            for forbidden in IMPURE {
                let meets = words.iter().any(|w| {
                    *w == forbidden || w.starts_with(forbidden) || w.contains(forbidden) && forbidden.contains("::")
                });
                if meets {
                    wrong.push(format!("{}:{number}: {forbidden}", path.display()));
                }
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} pure files found");
    assert!(wrong.is_empty(), "pure modules meet the world:\n{}", wrong.join("\n"));
}

fn imports() -> Imports {
    Imports::of(sources().into_iter().filter(|(path, _)| !is_test(path) && *path != Path::new("main.rs")))
}

/// A shortest way from a node back to itself.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let back_to = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut ways = VecDeque::from([vec![start.clone()]]);
        while let Some(way) = ways.pop_front() {
            for next in graph.get(way.last()?).into_iter().flatten() {
                let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
                if next == start {
                    return Some(longer);
                }
                if seen.insert(next) {
                    ways.push_back(longer);
                }
            }
        }
        None
    };
    graph.keys().filter_map(back_to).min_by_key(Vec::len)
}

/// Within a folder, one can read the files in some order, each after all that it uses. A folder inside counts as one
/// file.
#[test]
fn no_circle_between_files() {
    let imports = imports();
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for folder in imports.folders() {
        let graph = imports.inside(&folder);
        arrows += graph.values().map(BTreeSet::len).sum::<usize>();
        let name = folder.join("/");
        wrong.extend(circle(&graph).map(|circle| format!("src/{name}: {}", circle.join(" -> "))));
    }
    assert!(arrows > 300, "only {arrows} arrows found: this test reads the wrong lines");
    assert!(wrong.is_empty(), "circles of imports:\n{}", wrong.join("\n"));
}

/// The rooms of `plan`: the solver knows numbers only, and of planning one file alone asks for an explanation.
#[test]
fn the_solver_knows_no_plan_and_one_file_asks_for_explanations() {
    let imports = imports();
    let (mut solver, mut explained) = (0, BTreeSet::new());
    for (user, used) in &imports.uses {
        let (user_path, used_path) = (user.join("/"), used.join("/"));
        if user_path.starts_with("plan/solver") {
            solver += 1;
            assert!(used_path.starts_with("plan/solver"), "src/{user_path} uses src/{used_path}");
        } else if user_path.starts_with("plan/") && !user_path.starts_with("plan/explain") {
            explained.extend(used_path.starts_with("plan/explain").then_some(user_path));
        }
    }
    assert!(solver > 20, "only {solver} arrows found in the solver");
    assert_eq!(explained, BTreeSet::from(["plan/draft".to_owned()]));
}
