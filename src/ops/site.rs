//! [`Site`]: the fleet and the ledger of a policy directory, whatever is wrong with its subsystems' files.
//!
//! For what stops, lifts, looks and puts back: `halt`, `unhalt`, `status` and `abandon`. A typo in one policy must not
//! stand between a person and these. Nothing that removes may be built on it: planning and removing read all policies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::model::SubsystemName;
use crate::policy::{self, FleetAlone, FleetConfig, PolicyErrors, PolicySet};

use super::environment::Environment;
use super::error::OperationError;
use super::fleets;
use super::frontend::Frontend;
use super::reader::LedgerReader;

/// Where the fleet and its ledger are.
pub(crate) struct Site {
    pub(crate) directory: PathBuf,
    pub(crate) fleet: FleetConfig,
    /// Those that have a policy file, whatever is in it.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
    policies: Result<Arc<PolicySet>, PolicyErrors>,
}

impl Site {
    /// The whole directory where it is valid, else `fleet.toml` alone.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, where `fleet.toml` is not valid either: exit 4.
    pub(crate) fn find(directory: &Path) -> Result<Self, OperationError> {
        let invalid = match policy::load(directory) {
            Ok(policies) => return Ok(Self::of(Arc::new(policies))),
            Err(invalid) => invalid,
        };
        match policy::load_fleet(directory) {
            Ok(FleetAlone { directory, fleet, subsystems }) => {
                Ok(Self { directory, fleet, subsystems, policies: Err(invalid) })
            }
            Err(_) => Err(OperationError::Policy(Box::new(invalid))),
        }
    }

    fn of(policies: Arc<PolicySet>) -> Self {
        Self {
            directory: policies.directory.clone(),
            fleet: policies.fleet.clone(),
            subsystems: policies.subsystems.keys().cloned().collect(),
            policies: Ok(policies),
        }
    }

    /// What is wrong with the policies, where something is.
    pub(crate) fn invalid(&self) -> Option<&PolicyErrors> {
        self.policies.as_ref().err()
    }

    /// The same for people, with the command that shows all of it.
    pub(crate) fn warning(&self) -> Option<String> {
        let problems = &self.invalid()?.problems;
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let more = match problems.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Some(format!(
            "the policies are invalid, and nothing can be planned or removed until they are corrected: {first}{more}; \
             all of it: safe-remove policy check"
        ))
    }

    /// The directory's policies; where they are not valid, those that the record has accepted: what a run relied on.
    pub(crate) fn policies_to_put_back(&self, record: &FleetRecord) -> Arc<PolicySet> {
        match &self.policies {
            Ok(policies) => Arc::clone(policies),
            Err(_) => {
                let accepted = record.accepted.iter().map(|(name, of)| (name.clone(), of.policy.clone())).collect();
                let (directory, fleet) = (self.directory.clone(), self.fleet.clone());
                let alone = FleetAlone { directory, fleet, subsystems: self.subsystems.clone() };
                Arc::new(alone.with_accepted(accepted))
            }
        }
    }

    /// Everything that a run needs which only puts back.
    pub(crate) async fn world_to_put_back(self, frontend: &dyn Frontend) -> Result<Environment, OperationError> {
        if let Ok(policies) = self.policies {
            return Environment::of(policies).await;
        }
        if let Some(warning) = self.warning() {
            frontend.tell(&format!("warning: {warning}\n"));
        }
        let reader = LedgerReader::open(&self.fleet, fleets::now(&self.fleet)).await?;
        let (_, record) = reader.read().await?;
        Environment::of(self.policies_to_put_back(&record)).await
    }
}
