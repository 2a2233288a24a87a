//! How much capacity a subsystem must keep, and how fast it may lose hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::duration_ms;
use crate::model::ZoneName;

/// `[capacity]`, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityPolicy {
    /// Units at full strength: every percentage refers to this.
    pub baseline: u64,
    /// Units that must remain. A percentage is already resolved, rounded up.
    pub minimum: u64,
    /// Units that must remain in each zone.
    pub minimum_per_zone: Option<ZoneMinimum>,
    /// The zones; `None` means every zone in which the subsystem has a host in any state.
    pub zones: Option<BTreeSet<ZoneName>>,
    /// Capacity less its largest zone must still be at least `minimum`.
    pub survive_zone_loss: bool,
    /// How many units a host counts for.
    pub units: UnitsSource,
    /// Whether the provider itself must hold the minimum.
    #[serde(default)]
    pub provider_floor: ProviderFloor,
}

/// `provider_floor`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderFloor {
    /// A group whose MinSize would let it shrink below the minimum is a warning.
    #[default]
    Advised,
    /// Nothing goes from a group whose MinSize holds less than its share of the minimum.
    Required,
}

impl ProviderFloor {
    /// Whether hosts stay where the provider does not hold the minimum.
    pub(crate) fn is_required(self) -> bool {
        self == Self::Required
    }
}

/// `minimum_per_zone`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneMinimum {
    /// This many units.
    Units(u64),
    /// This percentage (0 to 100) of baseline / number of zones, rounded up.
    Percent(Decimal),
}

impl ZoneMinimum {
    /// The units that each of `zones` zones must keep. Rounded up: rounding never makes a minimum smaller.
    pub(crate) fn units(self, baseline: u64, zones: usize) -> u64 {
        match self {
            Self::Units(units) => units,
            Self::Percent(percent) => {
                let share = Decimal::from(baseline) * percent / Decimal::from(zones.max(1) * 100);
                // Decimal division rounds at 28 digits; a product of the inputs determines the ceiling exactly.
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
    /// Positive units by instance type.
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
    #[serde(rename = "interval_ms", with = "duration_ms")]
    pub interval: Duration,
    /// Batches of 1, 2, 4, … up to `batch`.
    pub ramp: bool,
    /// Percentage (0 to 100) of the subsystem's hosts, in any state, that may already not serve; 100 is no limit.
    #[serde(deserialize_with = "percent_or_no_limit")]
    pub max_unserving: Decimal,
    /// Zones that one batch may touch, at least 1.
    pub zones_per_batch: Option<u64>,
    /// Refuse while the groups' recent launches fail.
    pub requires_launch: bool,
    /// Hosts per window of time, counted over all runs. Required in the file; empty only if `[]` was written.
    pub budgets: Vec<Budget>,
}

/// `max_unserving` if a policy does not set it, in per cent. Others draw the same line: Karpenter does not repair nodes
/// while more than 20% of their pool is unhealthy (its documentation, "Node Auto Repair"), and Azure does not upgrade a
/// scale set in which more than 20% of the instances are unhealthy (`maxUnhealthyInstancePercent`).
pub(crate) const MAX_UNSERVING: Decimal = Decimal::from_parts(20, 0, 0, false, 0);

/// Ledgers of earlier versions hold policies without a limit.
fn percent_or_no_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(Decimal::ONE_HUNDRED))
}

/// `batch`: hosts, or units resolved from a percentage of baseline (rounded down, at least 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchLimit {
    /// This many hosts.
    Hosts(u64),
    /// This many units: hosts join while their units fit. A batch always takes at least one host.
    Units(u64),
}

/// One budget: at most `hosts` in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Budget {
    /// Hosts, at least 1. A percentage of baseline is already resolved, rounded down.
    pub hosts: u64,
    /// The window.
    #[serde(rename = "per_ms", with = "duration_ms")]
    pub per: Duration,
}
