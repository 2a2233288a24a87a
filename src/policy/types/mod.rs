//! Validated policies: percentages are resolved where possible, every bound is checked, and no default is left open.
//!
//! The ledger also keeps these types as the *accepted* policy, so they must read back what they write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::SubsystemName;

mod capacity;
pub(crate) mod duration_ms;
mod fleet;
mod health;
mod hook;
mod masked;
mod probe;

pub use capacity::*;
pub use fleet::*;
pub use health::*;
pub use hook::*;
pub(crate) use masked::Masked;
pub use probe::*;

/// One policy directory, whole and checked.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Where it was read from, for people.
    pub directory: PathBuf,
    /// `fleet.toml`.
    pub fleet: FleetConfig,
    /// The other files, by name. Empty only for commands that never remove (see [`super::FleetAlone`]).
    pub subsystems: BTreeMap<SubsystemName, SubsystemPolicy>,
    /// What is legal but should be checked by a person (contract section 4), each with its place.
    pub warnings: Vec<super::PolicyProblem>,
}

impl PolicySet {
    /// The subsystems whose health a run watches: `touched` and every subsystem that depends on one of them,
    /// transitively.
    pub(crate) fn watched(&self, touched: &BTreeSet<SubsystemName>) -> BTreeSet<SubsystemName> {
        let mut dependents: BTreeMap<&SubsystemName, Vec<&SubsystemName>> = BTreeMap::new();
        for policy in self.subsystems.values() {
            for needed in &policy.depends_on {
                dependents.entry(needed).or_default().push(&policy.name);
            }
        }
        let mut watched = touched.clone();
        let mut ahead: Vec<&SubsystemName> = touched.iter().collect();
        while let Some(name) = ahead.pop() {
            for &dependent in dependents.get(name).into_iter().flatten() {
                if !watched.contains(dependent) {
                    watched.insert(dependent.clone());
                    ahead.push(dependent);
                }
            }
        }
        watched
    }
}

/// One subsystem's policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubsystemPolicy {
    /// Its name; the stem of its file.
    pub name: SubsystemName,
    /// What it is for.
    pub description: Option<String>,
    /// Whom to ask.
    pub owner: Option<String>,
    /// Which subsystems it needs.
    pub depends_on: BTreeSet<SubsystemName>,
    /// Which hosts serve it.
    pub hosts: Selector,
    /// What it must keep.
    pub capacity: CapacityPolicy,
    /// How fast it may lose hosts.
    pub pace: PacePolicy,
    /// How its health is watched.
    pub health: HealthPolicy,
    /// Who is asked about the hosts of a batch, and what drains them. Policies that the ledger accepted earlier have none.
    #[serde(default)]
    pub hooks: Vec<HookSpec>,
    /// Who must agree.
    pub confirm: ConfirmPolicy,
    /// When it may lose hosts; `None` means always.
    pub windows: Option<Windows>,
}

/// Which hosts serve a subsystem: every given key must match; one of its patterns is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Tag key to patterns (globs) of its value.
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Patterns (globs) of the group's name; empty if the key is not given.
    pub auto_scaling_groups: BTreeSet<String>,
    /// `never`: hosts that match any of these tags serve the subsystem but are never removed.
    pub never: BTreeMap<String, BTreeSet<String>>,
    /// Whether hosts may go that something else manages.
    #[serde(default)]
    pub managed: Managed,
}

/// Whether hosts may go that something else manages and replaces (rule `managed-elsewhere`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Managed {
    /// They may not.
    #[default]
    Refuse,
    /// The policy knows that they stay gone.
    Allow,
}
