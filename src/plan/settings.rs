//! The strictest setting of every policy that a run touches or watches (contract section 5, "Several subsystems, one
//! run", and section 8).

use std::collections::BTreeSet;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::model::SubsystemName;
use crate::policy::{BatchLimit, ConfirmPolicy, samples_in};

use super::Inputs;
use super::membership::Membership;
use super::weights::units;

/// The least samples of a reference.
const LEAST_REFERENCE: u64 = 3;

/// The most, where one policy asks for a long reference and another one for frequent samples: the record has them all.
const MOST_REFERENCE: u64 = 120;

/// A plan's settings: the strictest of each in the policies of everything that it touches and watches (contract section
/// 5, "Several subsystems, one run").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The longest of everything watched.
    #[serde(rename = "bake_ms", with = "crate::policy::duration_ms")]
    pub(crate) bake: Duration,
    /// The shortest of everything watched.
    #[serde(rename = "every_ms", with = "crate::policy::duration_ms")]
    pub(crate) every: Duration,
    /// The longest of everything watched: how long probes are sampled before the first batch.
    #[serde(rename = "reference_ms", with = "crate::policy::duration_ms", default)]
    pub(crate) reference: Duration,
    /// The longest of everything watched: how long a bake may last where a tested probe shows nothing yet.
    #[serde(rename = "bake_max_ms", with = "crate::policy::duration_ms", default)]
    pub(crate) bake_max: Duration,
    /// The longest of everything touched.
    #[serde(rename = "interval_ms", with = "crate::policy::duration_ms")]
    pub(crate) interval: Duration,
    /// The smallest of everything touched.
    pub(crate) unattended_max: u64,
    /// Whether any policy touched considers the count unusual: the count is then typed as `NAME COUNT`.
    pub(crate) unusual: bool,
    /// Whether every batch after the first one is confirmed too: any policy touched says so, or `--step`.
    pub(crate) between_batches: bool,
    /// How long such a question waits for its answer: the shortest of everything touched.
    #[serde(rename = "answer_within_ms", with = "crate::policy::duration_ms")]
    pub(crate) answer_within: Duration,
    /// How long the run may restore without its ledger. It applies as long as the run lives, whoever continues the run
    /// and whatever their `fleet.toml` says: others base their waiting on it (S7, schedule 7).
    #[serde(rename = "offline_limit_ms", with = "crate::policy::duration_ms")]
    pub(crate) offline_limit: Duration,
}

impl Settings {
    /// The samples that the reference has: at least three.
    pub(crate) fn reference_samples(&self) -> usize {
        let samples = samples_in(self.reference, self.every).clamp(LEAST_REFERENCE, MOST_REFERENCE);
        usize::try_from(samples).unwrap_or(usize::MAX)
    }
}

/// The settings of a run that takes `count` hosts of these subsystems.
pub(crate) fn strictest(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    named: &SubsystemName,
    touched: &BTreeSet<usize>,
    watched: &BTreeSet<SubsystemName>,
    count: u64,
) -> Settings {
    let policies = || touched.iter().map(|&s| membership.subsystem(s));
    let seen = || watched.iter().filter_map(|name| inputs.policies.subsystems.get(name));
    Settings {
        bake: seen().map(|p| p.health.bake).max().unwrap_or_default(),
        every: seen().map(|p| p.health.every).min().unwrap_or_default(),
        reference: seen().map(|p| p.health.reference).max().unwrap_or_default(),
        bake_max: seen().map(|p| p.health.bake_max.max(p.health.bake)).max().unwrap_or_default(),
        interval: policies().map(|p| p.pace.interval).max().unwrap_or_default(),
        unattended_max: policies().map(|p| p.confirm.unattended_max).min().unwrap_or(0),
        unusual: touched.iter().any(|&s| is_unusual(inputs, membership, named, s, count)),
        between_batches: policies().any(|p| p.confirm.between_batches),
        answer_within: policies().map(|p| p.confirm.answer_within).min().unwrap_or(ConfirmPolicy::ANSWER_WITHIN),
        offline_limit: inputs.policies.fleet.ledger.offline_limit,
    }
}

/// The batches that are usual where nothing was removed yet.
const USUAL_BATCHES: u64 = 3;

/// The operator's history is the history of the named subsystem; each policy touched may be stricter about it. Without
/// history there is nothing to multiply, and three batches of the policy are usual.
fn is_unusual(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    named: &SubsystemName,
    touched: usize,
    count: u64,
) -> bool {
    let Some(factor) = membership.subsystem(touched).confirm.unusual else { return false };
    match inputs.ledger.largest_removal.get(named).copied().filter(|&largest| largest > 0) {
        // A product beyond what decimals can hold is beyond any count.
        Some(largest) => factor.checked_mul(Decimal::from(largest)).is_some_and(|limit| Decimal::from(count) > limit),
        None => count > hosts_of_a_batch(membership, touched).saturating_mul(USUAL_BATCHES),
    }
}

/// How many hosts a batch has whichever they are: of units so many as fit if each is the heaviest, and at least one.
fn hosts_of_a_batch(membership: &Membership<'_>, subsystem: usize) -> u64 {
    match membership.subsystem(subsystem).pace.batch {
        BatchLimit::Hosts(hosts) => hosts,
        BatchLimit::Units(batch) => {
            let members = membership.members(subsystem);
            // A host whose weight is not known is an error elsewhere, and as heavy as can be here.
            let heaviest = members.map(|host| units(membership, subsystem, host).unwrap_or(u64::MAX)).max();
            batch.checked_div(heaviest.unwrap_or(1)).unwrap_or(0).max(1)
        }
    }
}

/// The limits that every batch of a run must fit: the smallest of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// Hosts.
    pub(crate) hosts: Option<u64>,
    /// Units of a subsystem, serving or not.
    pub(crate) units: Vec<(usize, u64)>,
    /// Different zones.
    pub(crate) zones: Option<u64>,
    /// Batches of 1, 2, 4, … hosts.
    pub(crate) ramp: bool,
}

impl BatchLimits {
    pub(crate) fn strictest(membership: &Membership<'_>, touched: &BTreeSet<usize>) -> Self {
        let mut limits = Self::default();
        for &subsystem in touched {
            let pace = &membership.subsystem(subsystem).pace;
            match pace.batch {
                BatchLimit::Hosts(hosts) => limits.hosts = Some(limits.hosts.map_or(hosts, |h| h.min(hosts))),
                BatchLimit::Units(units) => limits.units.push((subsystem, units)),
            }
            if let Some(zones) = pace.zones_per_batch {
                limits.zones = Some(limits.zones.map_or(zones, |z| z.min(zones)));
            }
            limits.ramp |= pace.ramp;
        }
        limits
    }

    /// Hosts that the batch of this number (from 1) may take.
    pub(crate) fn hosts_in(&self, number: u64) -> u64 {
        let ramp = if self.ramp {
            let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
            1_u64.checked_shl(doublings).unwrap_or(u64::MAX)
        } else {
            u64::MAX
        };
        self.hosts.unwrap_or(u64::MAX).min(ramp)
    }
}
