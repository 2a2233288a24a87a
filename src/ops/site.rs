//! [`Site`]: the fleet and the ledger of a policy directory, whatever is wrong with its subsystems' files.
//!
//! For commands that stop, lift, look and restore: `halt`, `unhalt`, `status` and `abandon`. A typing error in one
//! policy must not keep a person from these. Nothing that removes hosts may use it: planning and removing read all
//! policies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::model::SubsystemName;
use crate::output::{Place, next};
use crate::policy::{self, FleetAlone, FleetConfig, PolicyErrors, PolicySet};

use super::environment::Environment;
use super::error::OperationError;
use super::fleets;
use super::frontend::Frontend;
use super::reader::LedgerReader;

/// The fleet and its ledger, and where they are.
pub(crate) struct Site {
    pub(crate) directory: PathBuf,
    pub(crate) fleet: FleetConfig,
    /// The subsystems that have a policy file, whatever is in it.
    pub(crate) subsystems: BTreeSet<SubsystemName>,
    policies: Result<Arc<PolicySet>, PolicyErrors>,
}

impl Site {
    /// Reads the whole directory where it is valid, otherwise `fleet.toml` alone.
    ///
    /// # Errors
    ///
    /// All errors, where `fleet.toml` is not valid either: exit 4.
    pub(crate) fn find(directory: &Path) -> Result<Self, OperationError> {
        let invalid = match policy::load(directory) {
            Ok(policies) => return Ok(Self::of(Arc::new(policies))),
            Err(invalid) => invalid,
        };
        match policy::load_fleet(directory) {
            Ok(FleetAlone { directory, fleet, subsystems }) => {
                Ok(Self { directory, fleet, subsystems, policies: Err(invalid) })
            }
            Err(_) => Err(OperationError::policies(invalid)),
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

    /// Where all this is.
    pub(crate) fn place(&self, ledger: &LedgerReader) -> Place {
        let place = ledger.place(&self.fleet.name, &self.directory, fleets::named_identity(&self.fleet));
        Place { clock: fleets::clock_speed(&self.fleet), ..place }
    }

    /// The errors in the policies, if there are any.
    pub(crate) fn invalid(&self) -> Option<&PolicyErrors> {
        self.policies.as_ref().err()
    }

    /// A warning about them for people, with the command that shows all of them.
    pub(crate) fn warning(&self) -> Option<String> {
        let problems = &self.invalid()?.problems;
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let more = match problems.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Some(format!(
            "the policies are invalid, and nothing can be planned or removed until they are corrected: {first}{more}; \
             all of it: {}",
            next::command(&self.directory, "policy check")
        ))
    }

    /// The directory's policies; where they are not valid, the policies that the record has accepted, on which runs
    /// relied.
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

    /// The environment of an operation that only restores.
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
