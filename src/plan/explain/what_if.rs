//! Questions about what is not so: `headroom --what-if minimum=55`, `--what-if zone-down=a`.
//!
//! [`WhatIf`] owns altered copies of what a decision depends on, and lends them as [`Inputs`]. Whatever is asked of
//! them is answered by the same code as ever. Nothing here writes, and no plan is ever made of a hypothesis: only
//! headroom is asked.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::model::{FleetSnapshot, SubsystemName, ZoneName};
use crate::policy::PolicySet;

use super::super::{Inputs, LedgerView};

/// One thing to be taken for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Assumption {
    /// The subsystem's policy had this minimum, in units. May be above its baseline: then nothing that serves can go.
    Minimum {
        /// Whose.
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

/// An assumption beside what it replaces, for documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "assumption", rename_all = "kebab-case")]
pub(crate) enum Assumed {
    /// The subsystem's minimum.
    Minimum {
        /// Whose.
        subsystem: SubsystemName,
        /// Units, as assumed.
        minimum: u64,
        /// Units, as its policy has it.
        instead_of: u64,
        /// Runs relied on a higher one: in earnest they would be refused until somebody accepts the lower.
        needs_acceptance: bool,
    },
    /// A zone that is lost.
    ZoneDown {
        /// Which zone.
        zone: ZoneName,
        /// Hosts that it has, in any state, of any subsystem.
        hosts: u64,
    },
}

/// What an assumption speaks of and what does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnknownAssumption {
    /// No policy has this name.
    #[error("there is no subsystem {0}")]
    Subsystem(SubsystemName),
    /// No host is in this zone, and no policy lists it.
    #[error("there is no zone {zone}")]
    Zone {
        /// What was asked about.
        zone: ZoneName,
        /// Every zone that there is.
        known: BTreeSet<ZoneName>,
    },
}

/// A fleet and policies that are assumed.
#[derive(Clone, Debug)]
pub(crate) struct WhatIf {
    policies: PolicySet,
    snapshot: FleetSnapshot,
    ledger: LedgerView,
    assumed: Vec<Assumed>,
}

impl WhatIf {
    /// The inputs with these assumptions, in any order.
    ///
    /// # Errors
    ///
    /// [`UnknownAssumption`] where a subsystem or zone does not exist.
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

    /// What the answer depends on: all else is as it is, probes, halts, windows and budgets included.
    pub(crate) fn inputs<'a>(&'a self, real: &Inputs<'a>) -> Inputs<'a> {
        Inputs { policies: &self.policies, snapshot: &self.snapshot, ledger: &self.ledger, ..*real }
    }

    /// What was assumed, in the order of the question.
    pub(crate) fn assumed(&self) -> &[Assumed] {
        &self.assumed
    }

    fn set_minimum(&mut self, name: &SubsystemName, units: u64) -> Result<Assumed, UnknownAssumption> {
        let unknown = || UnknownAssumption::Subsystem(name.clone());
        let policy = self.policies.subsystems.get_mut(name).ok_or_else(unknown)?;
        let instead_of = std::mem::replace(&mut policy.capacity.minimum, units);
        // The question is about numbers: that the lower minimum would have to be accepted is said beside the answer,
        // and not the answer. Whatever else was loosened still is.
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
