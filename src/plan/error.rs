//! [`AssessError`]: why a fleet cannot be judged.

use std::fmt;

use thiserror::Error;

use crate::model::{HostId, InventoryError, SubsystemName, ZoneName, counted};

/// Why a fleet cannot be judged: exit 5.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AssessError {
    /// Weights are missing, zero or unreadable. Covers all such hosts of one subsystem.
    #[error(
        "{} of subsystem {subsystem} without a usable weight (a positive integer): {}",
        counted(hosts.len() + more, "host"),
        listed(hosts, *more)
    )]
    Weight {
        /// The subsystem whose policy weighs them.
        subsystem: SubsystemName,
        /// The first of them, by id.
        hosts: Vec<Unweighed>,
        /// How many more there are.
        more: usize,
    },
    /// A host is in a zone that its subsystem's policy does not list.
    #[error("host {host} of subsystem {subsystem} is in zone {zone}, which the policy's zones do not list")]
    Zone {
        /// The host.
        host: HostId,
        /// The subsystem.
        subsystem: SubsystemName,
        /// The zone.
        zone: ZoneName,
    },
    /// Its lists contradict each other about hosts that a policy could select.
    #[error(transparent)]
    Inventory(InventoryError),
    /// A plan could not be encoded for its digest.
    #[error("the plan has no digest: {0}")]
    Digest(String),
}

/// A host without a usable weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unweighed {
    /// The host.
    pub(crate) host: HostId,
    /// What its policy looked for, and what was found.
    pub(crate) why: String,
}

impl fmt::Display for Unweighed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.why)
    }
}

/// `i-03 (no tag "units"), i-05 (tag "units" is "+1") and 2 more`
fn listed(hosts: &[Unweighed], more: usize) -> String {
    let names: Vec<String> = hosts.iter().map(Unweighed::to_string).collect();
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
