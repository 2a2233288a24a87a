//! [`OperationError`]: the errors that an operation can end with, and what to do about each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::fleet::simulated::ScenarioError;
use crate::model::{HookKey, ProbeKey, SubsystemName};
use crate::output::next;
use crate::plan::AssessError;
use crate::policy::{self, PolicyErrors, PolicySet};
use crate::ports::{FleetError, LedgerError};
use crate::run::Failure;

/// How the contents of a copy, or of an older state, become a ledger of their own.
pub(crate) const IMPORT: &str = "what was removed since is not in it. `safe-remove ledger export` shows what is: keep that, \
     correct what it lacks, name an empty place under `[ledger]` in fleet.toml, and there: safe-remove ledger import FILE";

/// Why an operation has no result. A plan that is refused is a result, not an error.
#[derive(Debug, Error)]
pub(crate) enum OperationError {
    /// The command line makes no sense as it stands.
    #[error("{message}")]
    Usage {
        /// The error.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// A well-formed name that does not exist.
    #[error("{message}")]
    NoSuch {
        /// The name that does not exist.
        message: String,
        /// The nearest names that exist.
        hint: Option<String>,
    },
    /// A run that is not taken over. Nothing was touched.
    #[error("{message}")]
    NotTaken {
        /// What was refused.
        message: String,
        /// Why.
        causes: Vec<String>,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The fleet's state cannot be established.
    #[error("the state of the fleet cannot be established")]
    Fleet(#[source] FleetError),
    /// What the fleet reports of its hosts cannot be judged.
    #[error("the state of the fleet cannot be judged")]
    Assess(#[source] AssessError),
    /// Probes cannot be read for want of something on this machine, each with what it is.
    #[error("probes cannot be read")]
    Probes(BTreeMap<ProbeKey, String>),
    /// Programs of hooks are not there, or cannot be executed, each with why.
    #[error("hooks cannot be called")]
    Hooks(BTreeMap<HookKey, String>),
    /// The ledger cannot be used.
    #[error("the ledger cannot be used")]
    Ledger(#[source] LedgerError),
    /// A policy file is invalid.
    #[error(transparent)]
    Policy(Box<PolicyErrors>),
    /// There is no policy directory where it was looked for.
    #[error("there is no policy directory {}", directory.display())]
    NoPolicies {
        /// The directory that was given.
        directory: PathBuf,
        /// Policy directories that are near, from this working directory.
        near: Vec<PathBuf>,
    },
    /// A directory that was to be written is not empty.
    #[error("{} is there already, and nothing is written over; nothing was touched", directory.display())]
    Occupied {
        /// The directory that was given.
        directory: PathBuf,
    },
    /// The simulated fleet's scenario is invalid.
    #[error("the scenario of the simulated fleet cannot be used")]
    Scenario(#[source] Box<ScenarioError>),
    /// This build does not support AWS.
    #[error("the policies name a fleet on AWS, and this safe-remove was built without AWS")]
    #[cfg_attr(feature = "aws", expect(dead_code, reason = "made only where AWS is left out"))]
    WithoutAws,
    /// This build does not support the ledger's engine.
    #[error("the policies name a ledger in {0}, and this safe-remove was built without it")]
    #[cfg_attr(
        all(feature = "dynamodb", feature = "etcd"),
        expect(dead_code, reason = "made only where an engine is left out")
    )]
    WithoutEngine(&'static str),
    /// A confirmed change that was not begun, for the reason that the exit code gives.
    #[error("{message}")]
    NotStarted {
        /// The kind of failure.
        failure: Failure,
        /// What happened.
        message: String,
        /// Why.
        causes: Vec<String>,
        /// What to do.
        hint: &'static str,
    },
    /// A person did not confirm a change that needs confirmation.
    #[error("not confirmed: {why}")]
    NotConfirmed {
        /// What happened instead.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A document that cannot be written, or a file that is not what it was: a bug.
    #[error("internal failure: {tried}")]
    Internal {
        /// The action that failed.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OperationError {
    /// An error for a request that makes no sense as it stands.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// An internal failure.
    pub(crate) fn internal(tried: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { tried, source: source.into() }
    }

    /// An error for policies that cannot be used: they are invalid, or not there.
    pub(crate) fn policies(errors: PolicyErrors) -> Self {
        let missing = std::fs::metadata(&errors.directory).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        match missing {
            true => Self::NoPolicies { near: near(), directory: errors.directory },
            false => Self::Policy(Box::new(errors)),
        }
    }

    /// The causes, from the nearest to the root. An error that only passes on its cause is told once.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes = match self {
            Self::Policy(errors) => errors.problems.iter().map(ToString::to_string).collect(),
            Self::Probes(missing) => missing.iter().map(|(key, why)| format!("{key}: {why}")).collect(),
            Self::Hooks(missing) => missing.iter().map(|(key, why)| format!("{key}: {why}")).collect(),
            Self::NotStarted { causes, .. } | Self::NotTaken { causes, .. } => causes.clone(),
            _ => Vec::new(),
        };
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        causes
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::NoSuch { hint, .. }
            | Self::NotTaken { hint, .. }
            | Self::NotConfirmed { hint, .. } => hint.clone(),
            Self::Fleet(FleetError::Provider { hint, .. }) => hint.clone(),
            Self::Fleet(FleetError::WrongFleet(_)) => {
                Some("check the credentials, and `account` and `region` in fleet.toml".to_owned())
            }
            Self::Fleet(FleetError::Clock { .. }) => Some("synchronise this machine's clock and try again".to_owned()),
            Self::Fleet(FleetError::Inventory(_)) | Self::Assess(AssessError::Inventory(_)) => {
                Some("try again; if it persists, somebody must look at the provider".to_owned())
            }
            Self::Assess(AssessError::Weight { subsystem, .. }) => {
                Some(format!("give each its weight, or correct `units` in the policy of {subsystem}, then try again"))
            }
            Self::Assess(AssessError::Zone { subsystem, .. }) => {
                Some(format!("correct `zones` in the policy of {subsystem}, then try again"))
            }
            Self::Assess(AssessError::Digest(_)) => Some("this is a bug: please report it".to_owned()),
            Self::Hooks(_) => Some("install the program, or correct `command` in the policy".to_owned()),
            Self::Probes(_) => Some("give this machine what is missing, then: safe-remove policy check --probe".to_owned()),
            Self::Ledger(LedgerError::Newer { .. }) => Some("use the newer version of safe-remove".to_owned()),
            Self::Ledger(LedgerError::Corrupt { .. }) => Some(
                "restore the ledger from a backup; or repair what `safe-remove ledger export` prints, and import it into an \
                     empty place; a new ledger would not know what was removed"
                    .to_owned(),
            ),
            Self::Ledger(LedgerError::PutBack { .. }) => Some(format!(
                "where its file was moved on purpose, and no copy of it is in use, use `safe-remove ledger adopt --reason TEXT`. Else {IMPORT}"
            )),
            Self::Ledger(LedgerError::Unreachable { .. } | LedgerError::InDoubt { .. }) => {
                Some("correct what is said above, permissions or `[ledger]` in fleet.toml, then try again".to_owned())
            }
            Self::NoPolicies { near, .. } => Some(match near.first() {
                Some(near) => {
                    format!("say which one is meant. Nearest: --policies {}", next::quoted(&near.display().to_string()))
                }
                None => "name it with --policies DIR or SAFE_REMOVE_POLICIES; the default is ./policies".to_owned(),
            }),
            Self::Occupied { .. } => Some("name a directory that does not exist yet: --out DIR".to_owned()),
            Self::Policy(_) => Some("correct the files, then: safe-remove policy check".to_owned()),
            Self::Scenario(_) => Some("correct the scenario that fleet.toml names".to_owned()),
            Self::WithoutAws | Self::WithoutEngine(_) => Some("build it with its default features".to_owned()),
            Self::NotStarted { hint, .. } => Some((*hint).to_owned()),
            Self::Internal { .. } => {
                Some("this is a bug: please report it, with what `safe-remove status` says".to_owned())
            }
        }
    }

    /// The error for a subsystem that no policy has, with the nearest names that exist.
    pub(crate) fn unknown_subsystem(name: &SubsystemName, policies: &PolicySet) -> Self {
        Self::unknown("subsystem", name.as_str(), policies.subsystems.keys().map(|name| name.as_str()))
    }

    /// The same for anything else that has a name.
    pub(crate) fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let nearest = policy::nearest(name, names.clone());
        let hint = if nearest.is_empty() {
            format!("there are: {}", names.collect::<Vec<_>>().join(" "))
        } else {
            format!("did you mean {}?", nearest.join(" or "))
        };
        Self::NoSuch { message: format!("there is no {what} {name}"), hint: Some(hint) }
    }
}

/// The policy directories that a person may have meant: this directory itself, and those beside the directories above.
fn near() -> Vec<PathBuf> {
    let is_one = |directory: &Path| directory.join("fleet.toml").is_file();
    let above = std::iter::successors(Some(PathBuf::from("..")), |last| Some(last.join(".."))).take(LEVELS_ABOVE);
    let named = above.map(|above| above.join("policies"));
    std::iter::once(PathBuf::from(".")).chain(named).filter(|directory| is_one(directory)).collect()
}

/// How many directories above the working directory are looked into.
const LEVELS_ABOVE: usize = 8;
