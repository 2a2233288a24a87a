//! What is watched, what a confirmation requires, and when removals may run.

use std::collections::BTreeSet;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::duration_ms;

/// `[health]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// How long the system is watched without a batch before the batch is terminated.
    #[serde(rename = "bake_ms", with = "duration_ms")]
    pub bake: Duration,
    /// Sampling period, from start to start.
    #[serde(rename = "every_ms", with = "duration_ms")]
    pub every: Duration,
    /// What is read. May be empty; the plan then warns that only the fleet's own state is watched.
    pub probes: Vec<ProbeSpec>,
}

/// `[[health.probe]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Unique within its subsystem.
    pub(crate) name: String,
    /// What is read, and where.
    #[serde(flatten)]
    pub(crate) kind: ProbeKind,
    /// A read that takes longer is a bad sample. If the file has none: `every`, at most 10 s.
    #[serde(rename = "timeout_ms", with = "duration_ms")]
    pub(crate) timeout: Duration,
    /// A reading that is older by its own account is bad. If the file has none: twice `every`, at least 60 s. Policies that
    /// the ledger accepted earlier have none, which means any age.
    #[serde(rename = "max_age_ms", with = "duration_ms::optional", skip_serializing_if = "Option::is_none", default)]
    pub(crate) max_age: Option<Duration>,
    /// What makes a number good.
    pub(crate) limits: Limits,
    /// Consecutive bad samples that make a regression, at least 1.
    pub(crate) failures: u64,
    /// The unit of its number, as the file names it. Policies that the ledger accepted earlier have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) unit: Option<String>,
}

impl ProbeSpec {
    /// The unit that its number is shown with: the file's, or `ms` where the kind reads milliseconds.
    pub(crate) fn shown_unit(&self) -> Option<&str> {
        let millis = match &self.kind {
            ProbeKind::Simulated { metric } => *metric == SimulatedMetric::LatencyMs,
            ProbeKind::Http { pointer, .. } => pointer.is_none(),
            ProbeKind::Tcp { .. } => true,
            ProbeKind::Exec { .. } | ProbeKind::TargetGroup { .. } => false,
        };
        self.unit.as_deref().or(millis.then_some("ms"))
    }
}

/// Probe kinds of this version. The AWS and Prometheus kinds will come with the issue on health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ProbeKind {
    /// A metric of the simulated fleet, of the probe's own subsystem.
    Simulated {
        /// Which.
        metric: SimulatedMetric,
    },
    /// A request; the reading is the number at `pointer`, or milliseconds.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// `GET` by default.
        method: String,
        /// Statuses that are good; never empty.
        expect_status: BTreeSet<u16>,
        /// JSON pointer to a number.
        pointer: Option<String>,
    },
    /// A connection; the reading is milliseconds.
    Tcp {
        /// `host:port`
        address: String,
    },
    /// The share of a target group's registered targets that are healthy, 0 to 1.
    TargetGroup {
        /// The target group's ARN, which has its region.
        arn: String,
    },
    /// A program, never a shell. Exit status 0 is good; a number alone on stdout is the reading.
    Exec {
        /// Program and arguments; never empty. A program with a `/` is relative to the policy file.
        command: Vec<String>,
    },
}

/// `metric` of a simulated probe (contract section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SimulatedMetric {
    /// Share of requests that fail, 0 to 1.
    ErrorRate,
    /// Milliseconds.
    LatencyMs,
    /// Demand over capacity.
    Utilization,
}

/// Limits of a numeric probe. All finite. The relative ones are percentages of the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// A reading above is bad.
    pub(crate) max: Option<f64>,
    /// A reading below is bad.
    pub(crate) min: Option<f64>,
    /// A reading this many per cent above the reference is bad. At least 0, may exceed 100.
    pub(crate) max_increase: Option<Decimal>,
    /// A reading this many per cent below the reference is bad. 0 to 100.
    pub(crate) max_decrease: Option<Decimal>,
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
