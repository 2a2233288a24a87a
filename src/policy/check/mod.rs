//! From the texts of a policy directory to a [`PolicySet`]: the rules of content, within a file and between files.
//!
//! [`check`] is all of it, and pure. Every rule reports and goes on, so that one pass shows everything that is wrong. A
//! value comes only from what was written, or from a default that its key's description in [`super::raw`] states.

mod between;
mod capacity;
mod context;
mod fleet;
mod health;
mod hook;
mod hosts;
mod ledger;
mod pace;
mod probe;
mod role;
mod tested;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use between::{Checked, dependencies_are_known, dependencies_have_no_cycle, names_are_unique};
use context::Context;
#[cfg(feature = "aws")]
pub(crate) use probe::{alarm_of, region_of};

use super::matching::Matcher;
use super::problem::{PolicyErrors, PolicyProblem, Reporter};
use super::raw::{RawFleet, RawSubsystem};
use super::read::{Damaged, Tree};
use super::types::{FleetConfig, LedgerKind, PolicySet, SubsystemPolicy};
use super::value::Spanned;
use crate::model::{FleetName, SubsystemName};

/// The text of one policy file.
#[derive(Clone, Debug)]
pub(crate) struct PolicyText {
    /// The file's name, without its directory: `index.toml`.
    pub(crate) name: String,
    /// Its whole text, or why it could not be read.
    pub(crate) text: Result<String, PolicyProblem>,
}

/// Checks a whole directory. `problems` are problems of the directory itself; they make the result an error.
///
/// # Errors
///
/// [`PolicyErrors`] with every problem of every file.
pub(crate) fn check(
    directory: &Path,
    texts: &[PolicyText],
    problems: Vec<PolicyProblem>,
) -> Result<PolicySet, PolicyErrors> {
    let mut errors = problems;
    errors.extend(texts.iter().filter_map(|text| text.text.as_ref().err().cloned()));
    let mut warnings = Vec::new();
    let (fleet, left_out) = fleet_file(directory, texts, &mut errors, &mut warnings);

    let mut files = Vec::new();
    for PolicyText { name, text } in texts.iter().filter(|text| text.name != FLEET_FILE) {
        let stem = name.strip_suffix(".toml").unwrap_or(name);
        if left_out.as_ref().is_some_and(|out| out.contains(&normal(&directory.join(name)))) {
            continue;
        }
        let Ok(text) = text else {
            files.push((stem.to_owned(), Reporter::new(&directory.join(name), ""), None));
            continue;
        };
        let mut reporter = Reporter::new(&directory.join(name), text);
        let tree = Tree::parse(text, &mut reporter);
        if left_out.is_none() && tree.looks_like_scenario() {
            continue;
        }
        let checked = read_file::<RawSubsystem>(tree, &mut reporter).map(|(raw, damaged)| {
            let mut context = Context { reporter: &mut reporter, damaged: &damaged };
            subsystem(&mut context, &raw, stem)
        });
        files.push((stem.to_owned(), reporter, checked));
    }
    if files.is_empty() && errors.is_empty() {
        errors.push(PolicyProblem::of_file(
            format!("there is no subsystem in {}", directory.display()),
            "each subsystem has a file of its own beside fleet.toml, such as index.toml; without one nothing could \
             ever be removed",
        ));
    }
    names_are_unique(&mut files);
    dependencies_are_known(&mut files);
    dependencies_have_no_cycle(&mut files);

    let mut subsystems = BTreeMap::new();
    for (_, reporter, checked) in files {
        let (found, odd) = reporter.finish();
        errors.extend(found);
        warnings.extend(odd);
        if let Some(policy) = checked.and_then(|checked| checked.policy) {
            subsystems.insert(policy.name.clone(), policy);
        }
    }
    // Patterns that compile one by one may still be too large together.
    if let Err(error) = Matcher::new(subsystems.values()) {
        let message = format!("the patterns under [hosts] cannot be used together: {error}");
        errors.push(PolicyProblem::of_file(message, "use fewer or simpler patterns"));
    }
    match fleet {
        Some(fleet) if errors.is_empty() => {
            Ok(PolicySet { directory: directory.to_owned(), fleet, subsystems, warnings })
        }
        Some(_) | None => Err(PolicyErrors { directory: directory.to_owned(), problems: errors }),
    }
}

/// Checks `fleet.toml`, for every command alike. Returns the fleet if it is valid, and the files that `[provider]`
/// names, which are not a subsystem's; `None` if not even those can be read.
fn fleet_file(
    directory: &Path,
    texts: &[PolicyText],
    errors: &mut Vec<PolicyProblem>,
    warnings: &mut Vec<PolicyProblem>,
) -> (Option<FleetConfig>, Option<BTreeSet<PathBuf>>) {
    let text = match texts.iter().find(|text| text.name == FLEET_FILE) {
        None => {
            errors.push(PolicyProblem::of_file(
                format!("there is no {} in {}", FLEET_FILE, directory.display()),
                "it names the fleet, its [provider] and its [ledger]; is this the right directory (--policies)?",
            ));
            return (None, None);
        }
        // The reason is reported with the other texts.
        Some(PolicyText { text: Err(_), .. }) => return (None, None),
        Some(PolicyText { text: Ok(text), .. }) => text,
    };
    let mut reporter = Reporter::new(&directory.join(FLEET_FILE), text);
    let tree = Tree::parse(text, &mut reporter);
    let left_out = tree.strings_under("provider");
    let raw_fleet = read_file::<RawFleet>(tree, &mut reporter);
    let fleet = raw_fleet.and_then(|(raw, damaged)| {
        let mut context = Context { reporter: &mut reporter, damaged: &damaged };
        fleet::fleet(&mut context, &raw, directory)
    });
    let (found, odd) = reporter.finish();
    errors.extend(found);
    warnings.extend(odd);
    let left_out = left_out.map(|paths| paths.iter().map(|path| normal(&directory.join(path))).collect());
    (fleet, left_out)
}

/// The pure part of [`super::load_fleet`]: checks only `fleet.toml` of the texts. `names` are the directory's files.
///
/// # Errors
///
/// [`PolicyErrors`] with every problem of the directory and of `fleet.toml`.
pub(super) fn fleet_alone(
    directory: &Path,
    texts: &[PolicyText],
    names: &[String],
    problems: Vec<PolicyProblem>,
) -> Result<FleetAlone, PolicyErrors> {
    let mut errors = problems;
    errors.extend(texts.iter().filter_map(|text| text.text.as_ref().err().cloned()));
    let (fleet, left_out) = fleet_file(directory, texts, &mut errors, &mut Vec::new());
    let is_left_out = |name: &str| {
        let path = normal(&directory.join(name));
        left_out.as_ref().is_some_and(|out| out.contains(&path))
    };
    match fleet {
        Some(fleet) if errors.is_empty() => {
            let others = names.iter().filter(|name| *name != FLEET_FILE && !is_left_out(name));
            let subsystems = others.filter_map(|name| name.strip_suffix(".toml")).map(SubsystemName::from).collect();
            Ok(FleetAlone { directory: directory.to_owned(), fleet, subsystems })
        }
        Some(_) | None => Err(PolicyErrors { directory: directory.to_owned(), problems: errors }),
    }
}

/// A policy directory in which only `fleet.toml` is known to be valid: enough to find its fleet and its ledger.
///
/// Nothing may be removed on the basis of it. It is for commands that stop, lift, look and put back: a typo in one
/// subsystem's file must not stand in their way.
#[derive(Clone, Debug)]
pub(crate) struct FleetAlone {
    /// Where it was read from, for people.
    pub(crate) directory: PathBuf,
    /// `fleet.toml`, checked as strictly as always.
    pub(crate) fleet: FleetConfig,
    /// The subsystems that have a file, whatever it contains.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
}

impl FleetAlone {
    /// The fleet with the policies that its ledger's record has accepted, instead of those in the directory: for a run
    /// that only puts back.
    pub(crate) fn with_accepted(self, subsystems: BTreeMap<SubsystemName, SubsystemPolicy>) -> PolicySet {
        PolicySet { directory: self.directory, fleet: self.fleet, subsystems, warnings: Vec::new() }
    }
}

/// Where a fleet's ledger is, read from a `fleet.toml` in which everything else may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerPlace {
    /// The fleet's name.
    pub(crate) fleet: FleetName,
    /// Its ledger.
    pub(crate) ledger: LedgerKind,
    /// The subsystems that have a file, whatever it contains.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
}

/// The pure part of [`super::ledger_place`]. `names` are the directory's files.
pub(super) fn place(directory: &Path, fleet: &str, names: &[String]) -> Option<LedgerPlace> {
    let mut reporter = Reporter::new(&directory.join(FLEET_FILE), fleet);
    let tree = Tree::parse(fleet, &mut reporter);
    let name = tree.string(&["name"]).filter(|name| !name.trim().is_empty())?;
    let ledger = ledger::place(directory, &tree)?;
    let others = names.iter().filter(|name| *name != FLEET_FILE).filter_map(|name| name.strip_suffix(".toml"));
    Some(LedgerPlace { fleet: FleetName::new(name), ledger, subsystems: others.map(SubsystemName::from).collect() })
}

/// `fleet.toml` describes the fleet; every other `*.toml` describes a subsystem.
pub(super) const FLEET_FILE: &str = "fleet.toml";

fn read_file<T: serde::de::DeserializeOwned>(tree: Tree<'_>, reporter: &mut Reporter) -> Option<(T, Damaged)> {
    if tree.is_empty() {
        reporter.error(0..0, "the file is empty", "", "an empty policy says nothing, and nothing is ever assumed");
        return None;
    }
    let (raw, damaged) = tree.read(reporter);
    raw.map(|raw| (raw, damaged))
}

/// The path without `.` and with `..` resolved textually, for comparing paths named in `fleet.toml` with the
/// directory's files.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.file_name().is_some() => _ = out.pop(),
            other @ (std::path::Component::ParentDir
            | std::path::Component::Normal(_)
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_)) => out.push(other),
        }
    }
    out
}

fn subsystem(context: &mut Context<'_>, raw: &RawSubsystem, stem: &str) -> Checked {
    let top = 0..0;
    let name = context.required(&raw.name, &top, "name", &format!("write: name = \"{stem}\""));
    if let Some(name) = name
        && name.value.0 != stem
    {
        let help = format!("rename the file to {}.toml, or write: name = \"{stem}\"", name.value.0);
        let message = format!("the name `{}` is not that of its file, {stem}.toml", name.value.0);
        context.error(&name.span, message, "not the file's", &help);
    }
    let hosts = hosts::hosts(context, raw.hosts.as_ref());
    let capacity = capacity::capacity(context, raw.capacity.as_ref());
    let pace = pace::pace(context, raw.pace.as_ref(), capacity.as_ref());
    let health = health::health(context, raw.health.as_ref());
    let confirm = pace::confirm(context, raw.confirm.as_ref());
    let windows = match &raw.windows {
        None => Some(None),
        Some(windows) => pace::windows(context, windows).map(Some),
    };
    let hooks = hook::hooks(context, raw.hooks.as_ref());
    let depends_on = raw.depends_on.as_ref().map(|list| list.value.clone()).unwrap_or_default();
    let policy = (|| {
        Some(SubsystemPolicy {
            name: SubsystemName::new(name?.value.0.clone()),
            description: raw.description.as_ref().map(|text| text.value.clone()),
            owner: raw.owner.as_ref().map(|text| text.value.clone()),
            depends_on: depends_on.iter().map(|name| SubsystemName::new(name.value.clone())).collect(),
            hosts: hosts?,
            capacity: capacity?,
            pace: pace?,
            health: health?,
            hooks: hooks?,
            confirm: confirm?,
            windows: windows?,
        })
    })();
    // If the name is missing, subsystems that depend on it by its file's name are not wrong as well.
    let name = name.map_or_else(
        || Spanned { value: stem.to_owned(), span: top.clone() },
        |name| Spanned { value: name.value.0.clone(), span: name.span.clone() },
    );
    Checked { name, depends_on, policy }
}
