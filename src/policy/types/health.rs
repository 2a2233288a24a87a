//! What is watched, what a confirmation requires, and when removals may run.

use std::collections::BTreeSet;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{ProbeSpec, duration_ms};

/// `[health]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// How long the system is watched without a batch before the batch is terminated.
    #[serde(rename = "bake_ms", with = "duration_ms")]
    pub bake: Duration,
    /// Sampling period, from start to start.
    #[serde(rename = "every_ms", with = "duration_ms")]
    pub every: Duration,
    /// How long probes are sampled before the first batch. Policies that the ledger accepted earlier have none, which is
    /// zero: three samples.
    #[serde(rename = "reference_ms", with = "duration_ms", default)]
    pub reference: Duration,
    /// The longest bake, where a tested probe shows neither harm nor that there is none. Policies that the ledger accepted
    /// earlier have none, which is zero.
    #[serde(rename = "bake_max_ms", with = "duration_ms", default)]
    pub bake_max: Duration,
    /// How sure the test of relative limits must be.
    #[serde(flatten, default)]
    pub levels: TestLevels,
    /// What is read. May be empty; the plan then warns that only the fleet's own state is watched.
    pub probes: Vec<ProbeSpec>,
}

impl HealthPolicy {
    /// The samples that a reference has at least.
    pub(crate) fn reference_samples(&self) -> u64 {
        samples_in(self.reference, self.every)
    }
}

/// The load of longer ago than this is no reference (contract section 8, "Sampling").
pub(crate) const LONGEST_REFERENCE: Duration = Duration::from_secs(3600);

/// How many samples `every` apart a time has, each with the period behind it.
pub(crate) fn samples_in(length: Duration, every: Duration) -> u64 {
    let samples = length.as_millis().div_ceil(every.as_millis().max(1));
    u64::try_from(samples).unwrap_or(u64::MAX)
}

/// How sure a verdict of the test of relative limits must be: each is a share of bakes in per cent, above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestLevels {
    /// Of bakes without harm, those that are aborted.
    pub(crate) false_abort: Decimal,
    /// Of bakes with harm beyond the limit, those that end as clean.
    pub(crate) missed_harm: Decimal,
}

impl Default for TestLevels {
    /// 1% and 0.1%.
    fn default() -> Self {
        Self { false_abort: Decimal::ONE, missed_harm: Decimal::new(1, 1) }
    }
}

/// `[confirm]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmPolicy {
    /// Up to this many hosts, `--yes` is enough.
    pub(crate) unattended_max: u64,
    /// A run must say why.
    pub(crate) require_reason: bool,
    /// A count above this many times the largest completed removal of the last 90 days is unusual. Without one, a count
    /// above three times `batch` is.
    pub(crate) unusual: Option<Decimal>,
    /// A person confirms every batch after the first one too.
    pub(crate) between_batches: bool,
    /// How long such a question waits for its answer. More than zero.
    #[serde(rename = "answer_within_ms", with = "crate::policy::duration_ms")]
    pub(crate) answer_within: Duration,
    /// How many other identities must approve plans of more than `above` hosts.
    pub(crate) approvals: Vec<ApprovalRule>,
}

impl Default for ConfirmPolicy {
    fn default() -> Self {
        Self {
            unattended_max: 0,
            require_reason: false,
            unusual: None,
            between_batches: false,
            answer_within: Self::ANSWER_WITHIN,
            approvals: Vec::new(),
        }
    }
}

impl ConfirmPolicy {
    /// How long a question between batches waits where no policy says otherwise (contract section 8, "Between two batches"): as long as a plan
    /// is valid.
    pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(15 * 60);
}

/// One approval rule. Until approvals exist, it is enforced as a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ApprovalRule {
    /// Applies to plans of more hosts than this.
    pub(crate) above: u64,
    /// This many approvers, at least 1.
    pub(crate) count: u64,
}

/// `[windows]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// IANA time zone, known to the database.
    pub(crate) zone: String,
    /// When removal is allowed; empty means always.
    pub(crate) allow: Vec<AllowWindow>,
    /// When removal is not allowed, whatever `allow` says. Whole days of `zone`, both ends included.
    pub(crate) freeze: Vec<Freeze>,
}

/// `Mon-Thu 09:00-16:00`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AllowWindow {
    /// Days of the week, 1 (Monday) to 7.
    pub(crate) days: BTreeSet<u8>,
    /// Minutes since midnight, included.
    pub(crate) from: u16,
    /// Minutes since midnight, excluded; `1440` is the end of the day. If it is not after `from`, it is past midnight.
    pub(crate) to: u16,
    /// As written, for messages.
    pub(crate) text: String,
}

/// One freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freeze {
    /// First day.
    pub(crate) from: jiff::civil::Date,
    /// Last day.
    pub(crate) to: jiff::civil::Date,
    /// Why.
    pub(crate) why: String,
}
