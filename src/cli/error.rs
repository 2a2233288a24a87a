//! What a command can end with instead of an answer, and the exit code of each.

use thiserror::Error;

use crate::fleet::simulated::ScenarioError;
use crate::output::{ErrorDocument, WIDTH};
use crate::plan::AssessError;
use crate::policy::{Look, PolicyErrors};
use crate::ports::{FleetError, LedgerError};

use super::exit::Exit;

/// How what is in a copy, or in an older state, becomes a ledger of its own.
pub(super) const IMPORT: &str = "what was removed since is not in it. safe-remove ledger export shows what is: keep that, \
     correct what it lacks, name an empty place under `[ledger]` in fleet.toml, and there: safe-remove ledger import";

/// Why a command has no answer. Where it has one (a refused plan is an answer), it is an [`super::Answered`].
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The command line cannot be meant as it stands.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// A name that is well formed and does not exist.
    #[error("{message}")]
    NoSuch {
        /// What does not exist.
        message: String,
        /// The nearest that do.
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
    /// What the fleet says of its hosts cannot be judged.
    #[error("the state of the fleet cannot be judged")]
    Assess(#[source] AssessError),
    /// The ledger cannot be used.
    #[error("the ledger cannot be used")]
    Ledger(#[source] LedgerError),
    /// A policy file is invalid.
    #[error(transparent)]
    Policy(Box<PolicyErrors>),
    /// The simulated fleet's scenario is invalid.
    #[error("the scenario of the simulated fleet cannot be used")]
    Scenario(#[source] Box<ScenarioError>),
    /// This build cannot speak to AWS.
    #[error("the policies name a fleet on AWS, and this safe-remove was built without AWS")]
    #[cfg_attr(feature = "aws", expect(dead_code, reason = "made only where AWS is left out"))]
    WithoutAws,
    /// This build cannot speak to the ledger's engine.
    #[error("the policies name a ledger in {0}, and this safe-remove was built without it")]
    #[cfg_attr(
        all(feature = "dynamodb", feature = "etcd"),
        expect(dead_code, reason = "made only where an engine is left out")
    )]
    WithoutEngine(&'static str),
    /// A confirmed change that was not begun, for a reason that the exit code says.
    #[error("{message}")]
    NotStarted {
        /// What it means.
        exit: Exit,
        /// What happened.
        message: String,
        /// Why.
        causes: Vec<String>,
        /// What to do.
        hint: &'static str,
    },
    /// A person did not confirm what needs confirmation.
    #[error("not confirmed: {why}")]
    NotConfirmed {
        /// What happened instead.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A document that cannot be written down, a file that is not what it was: a bug.
    #[error("internal failure: {tried}")]
    Internal {
        /// What was tried.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CommandError {
    /// A usage error.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// An internal failure.
    pub(super) fn internal(tried: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { tried, source: source.into() }
    }

    /// The process's exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::USAGE,
            Self::NoSuch { .. } | Self::NotTaken { .. } => Exit::REFUSED,
            Self::Fleet(_) | Self::Assess(_) => Exit::FLEET_UNKNOWN,
            Self::Ledger(_) => Exit::LEDGER,
            Self::Policy(_) | Self::Scenario(_) => Exit::INVALID_POLICY,
            Self::WithoutAws => Exit::FLEET_UNKNOWN,
            Self::WithoutEngine(_) => Exit::LEDGER,
            Self::NotStarted { exit, .. } => *exit,
            Self::NotConfirmed { .. } => Exit::NOT_CONFIRMED,
            Self::Internal { .. } => Exit::INTERNAL,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
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
            Self::Fleet(FleetError::Inventory(_)) => {
                Some("try again; if it persists, somebody must look at the provider".to_owned())
            }
            Self::Assess(AssessError::Weight { subsystem, .. }) => {
                Some(format!("give each its weight, or correct `units` in the policy of {subsystem}, then try again"))
            }
            Self::Assess(AssessError::Zone { subsystem, .. }) => {
                Some(format!("correct `zones` in the policy of {subsystem}, then try again"))
            }
            Self::Assess(AssessError::Digest(_)) => Some("this is a bug: please report it".to_owned()),
            Self::Ledger(LedgerError::Newer { .. }) => Some("use the newer version of safe-remove".to_owned()),
            Self::Ledger(LedgerError::Corrupt { .. }) => Some(
                "restore the ledger from a backup, or: safe-remove ledger export, repair what it prints, and ledger \
                     import into an empty place; a new ledger would not know what was removed"
                    .to_owned(),
            ),
            Self::Ledger(LedgerError::PutBack { .. }) => Some(format!(
                "where its file was moved on purpose, and no copy of it is in use: safe-remove ledger adopt. Else {IMPORT}"
            )),
            Self::Ledger(LedgerError::Unreachable { .. } | LedgerError::InDoubt { .. }) => {
                Some("correct what is said above, permissions or `[ledger]` in fleet.toml, then try again".to_owned())
            }
            Self::Policy(_) => Some("correct the files, then: safe-remove policy check".to_owned()),
            Self::Scenario(_) => Some("correct the scenario that fleet.toml names".to_owned()),
            Self::WithoutAws | Self::WithoutEngine(_) => Some("build it with its default features".to_owned()),
            Self::NotStarted { hint, .. } => Some((*hint).to_owned()),
            Self::Internal { .. } => {
                Some("this is a bug: please report it, with what `safe-remove status` says".to_owned())
            }
        }
    }

    /// The whole complaint, the chain of causes told once.
    pub(crate) fn complaint(&self) -> Complaint {
        let (mut causes, details) = match self {
            Self::Policy(errors) => {
                let look = Look { color: false, unicode: true, width: WIDTH };
                (errors.problems.iter().map(ToString::to_string).collect(), Some(errors.render(look)))
            }
            Self::NotStarted { causes, .. } | Self::NotTaken { causes, .. } => (causes.clone(), None),
            _ => (Vec::<String>::new(), None),
        };
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            // An error that only passes on its cause says it once.
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        Complaint { message: self.to_string(), causes, details, hint: self.hint() }
    }
}

/// What goes wrong, for people: on stderr, in every mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What was tried on what.
    pub(crate) message: String,
    /// Why, from the nearest cause to the root.
    pub(crate) causes: Vec<String>,
    /// Several lines that were laid out elsewhere, shown instead of the causes.
    pub(crate) details: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Complaint {
    /// One sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), details: None, hint: None }
    }

    /// With something to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As `safe-remove/error/v1`.
    pub(crate) fn document(&self, exit: Exit) -> ErrorDocument {
        ErrorDocument {
            schema: ErrorDocument::SCHEMA,
            exit_code: exit.code(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            hint: self.hint.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_chain_is_told_once() {
        let source = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let error = CommandError::Ledger(LedgerError::Unreachable {
            place: "a.db".to_owned(),
            tried: "written",
            source: Box::new(source),
        });
        let complaint = error.complaint();
        assert_eq!(complaint.message, "the ledger cannot be used");
        assert_eq!(complaint.causes, ["the ledger a.db cannot be written", "no space left"]);
        assert_eq!(error.exit(), Exit::LEDGER);
        assert_eq!(complaint.document(error.exit()).exit_code, 10);
    }

    #[test]
    fn every_error_says_what_to_do() {
        for error in [
            CommandError::Fleet(FleetError::WrongFleet("x".to_owned())),
            CommandError::Assess(AssessError::Weight { subsystem: "s".into(), hosts: Vec::new(), more: 1 }),
            CommandError::internal("x", "y"),
        ] {
            assert!(error.complaint().hint.is_some(), "{error}");
        }
    }
}
