//! The rules between files: names are unique, every dependency exists, and dependencies form no cycle.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::problem::{Reporter, suggest};
use crate::policy::types::SubsystemPolicy;
use crate::policy::value::Spanned;

/// A subsystem's file, checked on its own, with the spans that the rules between files need.
pub(super) struct Checked {
    pub(super) name: Spanned<String>,
    pub(super) depends_on: Vec<Spanned<String>>,
    /// `None` if something is wrong with it.
    pub(super) policy: Option<SubsystemPolicy>,
}

/// Each file by its name without `.toml`; `None` if there is nothing to check.
pub(super) type Files = Vec<(String, Reporter, Option<Checked>)>;

pub(super) fn names_are_unique(files: &mut Files) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (stem, reporter, checked) in files {
        let Some(Checked { name, .. }) = checked else { continue };
        if let Some(other) = first.get(&name.value) {
            let message = format!("the name `{}` is also that of {other}.toml", name.value);
            reporter.error(name.span.clone(), message, "used twice", "every subsystem has one file and one name");
        } else {
            first.insert(name.value.clone(), stem.clone());
        }
    }
}

pub(super) fn dependencies_are_known(files: &mut Files) {
    // A file that could not be read still counts as its subsystem: it is reported once, where it is wrong.
    let mut known: BTreeSet<String> = files.iter().map(|(stem, ..)| stem.clone()).collect();
    known.extend(files.iter().filter_map(|(.., checked)| checked.as_ref().map(|checked| checked.name.value.clone())));
    for (_, reporter, checked) in files {
        let Some(Checked { name, depends_on, .. }) = checked else { continue };
        for dependency in depends_on.iter().filter(|dependency| !known.contains(&dependency.value)) {
            let others = known.iter().map(String::as_str).filter(|other| *other != name.value);
            let help = suggest(&dependency.value, "subsystems are", others);
            let message = format!("`{}` depends on `{}`, which has no policy file", name.value, dependency.value);
            reporter.error(dependency.span.clone(), message, "unknown subsystem", &help);
        }
    }
}

pub(super) fn dependencies_have_no_cycle(files: &mut Files) {
    let edges: BTreeMap<String, Vec<Spanned<String>>> = files
        .iter()
        .filter_map(|(.., checked)| checked.as_ref())
        .map(|checked| (checked.name.value.clone(), checked.depends_on.clone()))
        .collect();
    let mut told: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (_, reporter, checked) in files {
        let Some(Checked { name, depends_on, .. }) = checked else { continue };
        for dependency in depends_on {
            let Some(back) = path_between(&edges, &dependency.value, &name.value) else { continue };
            if !told.insert(back.iter().cloned().collect()) {
                continue;
            }
            let cycle: Vec<_> = std::iter::once(&name.value).chain(&back).map(String::as_str).collect();
            let message = format!("`depends_on` goes round in a circle: {}", cycle.join(" -> "));
            let help = "dependencies must end somewhere: take one of these out";
            reporter.error(dependency.span.clone(), message, "begins here", help);
        }
    }
}

/// A shortest path along the dependencies, both ends included.
fn path_between(edges: &BTreeMap<String, Vec<Spanned<String>>>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from]);
    let mut paths = std::collections::VecDeque::from([vec![from.to_owned()]]);
    while let Some(path) = paths.pop_front() {
        let last = path.last()?;
        if last == to {
            return Some(path);
        }
        for next in edges.get(last).into_iter().flatten() {
            if seen.insert(&next.value) {
                paths.push_back(path.iter().cloned().chain([next.value.clone()]).collect());
            }
        }
    }
    None
}
