//! How much of a subsystem must stay, and how fast it may go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};

use super::duration_ms;
use crate::model::ZoneName;

/// `[capacity]`, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityPolicy {
    /// Units at full strength: what every percentage is of.
    pub baseline: u64,
    /// Units that must remain. A percentage is resolved, rounded up.
    pub minimum: u64,
    /// Units that must remain in each zone.
    pub minimum_per_zone: Option<ZoneMinimum>,
    /// The zones; `None` is every zone in which the subsystem has a host in any state.
    pub zones: Option<BTreeSet<ZoneName>>,
    /// Capacity less its largest zone must still be at least `minimum`.
    pub survive_zone_loss: bool,
    /// What a host counts for.
    pub units: UnitsSource,
}

/// `minimum_per_zone`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneMinimum {
    /// So many units.
    Units(u64),
    /// This percentage (0 to 100) of baseline / number of zones, rounded up.
    Percent(Decimal),
}

impl ZoneMinimum {
    /// Units that a zone must keep, of `zones` zones. Rounded up: a minimum never shrinks by rounding.
    pub(crate) fn units(self, baseline: u64, zones: usize) -> u64 {
        match self {
            Self::Units(units) => units,
            Self::Percent(percent) => {
                let share = Decimal::from(baseline) * percent / Decimal::from(zones.max(1) * 100);
                // Decimal division rounds at 28 digits: a product of the inputs decides the ceiling exactly.
                let mut units = u64::try_from(share.trunc()).unwrap_or(u64::MAX);
                while Decimal::from(units) * Decimal::from(zones.max(1) * 100) < Decimal::from(baseline) * percent {
                    units += 1;
                }
                units
            }
        }
    }
}

/// `units`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitsSource {
    /// Every host counts for 1.
    One,
    /// The positive integer in this tag.
    Tag(String),
    /// By instance type, positive.
    InstanceType(BTreeMap<String, u64>),
}

/// `[pace]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacePolicy {
    /// Hosts that one run may take, at least 1.
    pub max_hosts_per_run: u64,
    /// How much one batch may take.
    pub batch: BatchLimit,
    /// From one batch's verified termination to the next cordon.
    #[serde(with = "duration_ms")]
    pub interval: Duration,
    /// Batches of 1, 2, 4, … up to `batch`.
    pub ramp: bool,
    /// Percentage (0 to 100) of the subsystem's hosts in any state that may not serve already; 100 is no limit.
    #[serde(deserialize_with = "percent_or_no_limit")]
    pub max_unserving: Decimal,
    /// Zones that one batch may touch, at least 1.
    pub zones_per_batch: Option<u64>,
    /// Refuse while the groups' recent launches fail.
    pub requires_launch: bool,
    /// Hosts per window of time, all runs counted together. Required in the file; empty only where `[]` was written.
    pub budgets: Vec<Budget>,
}

/// `max_unserving` where a policy does not say otherwise, in per cent. Others draw the same line: Karpenter repairs no
/// node while more than 20% of its pool is unhealthy (its documentation, "Node Auto Repair"), Azure upgrades no scale set
/// in which more than 20% of the instances are (`maxUnhealthyInstancePercent`).
pub(crate) const MAX_UNSERVING: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// Ledgers of earlier versions keep policies that set no limit.
fn percent_or_no_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(Decimal::ONE_HUNDRED))
}

/// `batch`: hosts, or units resolved from a percentage of baseline (rounded down, at least 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchLimit {
    /// So many hosts.
    Hosts(u64),
    /// So many units: hosts join while their units fit. A batch always takes at least one host.
    Units(u64),
}

/// One budget: at most `hosts` in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Budget {
    /// Hosts, at least 1. A percentage of baseline is resolved, rounded down.
    pub hosts: u64,
    /// The window.
    #[serde(with = "duration_ms")]
    pub per: Duration,
}
