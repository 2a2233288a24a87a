//! Hypothetical questions: `headroom --what-if minimum=55`, `--what-if zone-down=a`.
//!
//! [`WhatIf`] owns altered copies of what a decision depends on, and lends them as [`Inputs`]. The usual code answers
//! every question about them. Nothing here writes, and no plan is ever made from a hypothesis: only headroom is
//! computed.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::model::{FleetSnapshot, SubsystemName, ZoneName};
use crate::policy::PolicySet;

use super::super::{Inputs, LedgerView};

/// One thing that is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Assumption {
    /// The subsystem's policy has this minimum, in units. It may be above the baseline: then no serving host can go.
    Minimum {
        /// Which subsystem.
        subsystem: SubsystemName,
        /// Units.
        units: u64,
    },
    /// No host of this zone serves, and none is a candidate.
    ZoneDown {
        /// Which zone.
        zone: ZoneName,
    },
}

/// An assumption together with what it replaces, for documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "assumption", rename_all = "kebab-case")]
pub(crate) enum Assumed {
    /// The subsystem's minimum.
    Minimum {
        /// Which subsystem.
        subsystem: SubsystemName,
        /// Units, as assumed.
        minimum: u64,
        /// Units, according to its policy.
        instead_of: u64,
        /// Runs relied on a higher minimum: a real run would be refused until somebody accepts the lower one.
        needs_acceptance: bool,
    },
    /// A zone that is lost.
    ZoneDown {
        /// Which zone.
        zone: ZoneName,
        /// The number of hosts in it, in any state, of any subsystem.
        hosts: u64,
    },
}

/// An assumption that names something that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnknownAssumption {
    /// No policy has this name.
    #[error("there is no subsystem {0}")]
    Subsystem(SubsystemName),
    /// No host is in this zone, and no policy lists it.
    #[error("there is no zone {zone}")]
    Zone {
        /// The zone that the assumption names.
        zone: ZoneName,
        /// Every zone that exists.
        known: BTreeSet<ZoneName>,
    },
}

/// A fleet and policies with assumptions applied.
#[derive(Clone, Debug)]
pub(crate) struct WhatIf {
    policies: PolicySet,
    snapshot: FleetSnapshot,
    ledger: LedgerView,
    assumed: Vec<Assumed>,
}

impl WhatIf {
    /// Applies these assumptions to the inputs, in any order.
    ///
    /// # Errors
    ///
    /// [`UnknownAssumption`] if a subsystem or zone does not exist.
    pub(crate) fn new(inputs: &Inputs<'_>, assumptions: &[Assumption]) -> Result<Self, UnknownAssumption> {
        let mut made = Self {
            policies: inputs.policies.clone(),
            snapshot: inputs.snapshot.clone(),
            ledger: inputs.ledger.clone(),
            assumed: Vec::new(),
        };
        for assumption in assumptions {
            let assumed = match assumption {
                Assumption::Minimum { subsystem, units } => made.set_minimum(subsystem, *units)?,
                Assumption::ZoneDown { zone } => made.lose_zone(zone)?,
            };
            made.assumed.push(assumed);
        }
        Ok(made)
    }

    /// The inputs with the assumptions: everything else is real, including probes, halts, windows and budgets.
    pub(crate) fn inputs<'a>(&'a self, real: &Inputs<'a>) -> Inputs<'a> {
        Inputs { policies: &self.policies, snapshot: &self.snapshot, ledger: &self.ledger, ..*real }
    }

    /// The assumptions, in the order of the question.
    pub(crate) fn assumed(&self) -> &[Assumed] {
        &self.assumed
    }

    fn set_minimum(&mut self, name: &SubsystemName, units: u64) -> Result<Assumed, UnknownAssumption> {
        let unknown = || UnknownAssumption::Subsystem(name.clone());
        let policy = self.policies.subsystems.get_mut(name).ok_or_else(unknown)?;
        let instead_of = std::mem::replace(&mut policy.capacity.minimum, units);
        // The question is about numbers: that the lower minimum would have to be accepted is reported beside the answer
        // and is not the answer. Anything else that was loosened still counts as loosened.
        let accepted = self.ledger.accepted.get_mut(name).filter(|accepted| accepted.capacity.minimum > units);
        let needs_acceptance = accepted.is_some();
        if let Some(accepted) = accepted {
            accepted.capacity.minimum = units;
        }
        Ok(Assumed::Minimum { subsystem: name.clone(), minimum: units, instead_of, needs_acceptance })
    }

    fn lose_zone(&mut self, zone: &ZoneName) -> Result<Assumed, UnknownAssumption> {
        let listed = self.policies.subsystems.values().filter_map(|policy| policy.capacity.zones.as_ref()).flatten();
        let known: BTreeSet<ZoneName> = self
            .snapshot
            .hosts()
            .map(|host| &host.zone)
            .chain(listed)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .cloned()
            .collect();
        if !known.contains(zone) {
            return Err(UnknownAssumption::Zone { zone: zone.clone(), known });
        }
        Ok(Assumed::ZoneDown { zone: zone.clone(), hosts: self.snapshot.lose_zone(zone) })
    }
}
