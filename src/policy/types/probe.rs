//! What is read to see whether a subsystem works: `[[health.probe]]`, and the keys of each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Masked, duration_ms};

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
    /// A reading that is older by its own account is bad. If the file has none: twice `every`, at least 60 s, 150 s of
    /// Prometheus, three periods of a metric of CloudWatch. Policies that the ledger accepted earlier have none, which means any age.
    #[serde(rename = "max_age_ms", with = "duration_ms::optional", skip_serializing_if = "Option::is_none", default)]
    pub(crate) max_age: Option<Duration>,
    /// What makes a number good.
    pub(crate) limits: Limits,
    /// Consecutive bad samples that make a regression, at least 1. `None` if the file has none: then a relative limit is
    /// tested, and of anything else one bad sample is enough.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) failures: Option<u64>,
    /// When it must be good.
    #[serde(skip_serializing_if = "ProbeRole::is_watch", default)]
    pub(crate) role: ProbeRole,
    /// The unit of its number, as the file names it. Policies that the ledger accepted earlier have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) unit: Option<String>,
}

impl ProbeSpec {
    /// Whether the sequential test judges its relative limits; else each sample is compared with them.
    pub(crate) fn is_tested(&self) -> bool {
        let is_relative = self.limits.max_increase.is_some() || self.limits.max_decrease.is_some();
        is_relative && self.failures.is_none() && self.role.is_watch()
    }

    /// Whether its number is the share of one count in another.
    pub(crate) fn is_share(&self) -> bool {
        match &self.kind {
            ProbeKind::Http(http) => http.of.is_some(),
            ProbeKind::Prometheus(prometheus) => prometheus.of.is_some(),
            ProbeKind::CloudwatchMetric(metric) => metric.of.is_some(),
            ProbeKind::Simulated { .. }
            | ProbeKind::Tcp { .. }
            | ProbeKind::Exec { .. }
            | ProbeKind::TargetGroup { .. }
            | ProbeKind::CloudwatchAlarm(_) => false,
        }
    }

    /// The unit that its number is shown with: the file's, or `ms` where the kind reads milliseconds.
    pub(crate) fn shown_unit(&self) -> Option<&str> {
        let millis = match &self.kind {
            ProbeKind::Simulated { metric } => *metric == SimulatedMetric::LatencyMs,
            ProbeKind::Http(http) => http.pointer.is_none(),
            ProbeKind::Tcp { .. } => true,
            ProbeKind::Prometheus(_)
            | ProbeKind::Exec { .. }
            | ProbeKind::TargetGroup { .. }
            | ProbeKind::CloudwatchAlarm(_)
            | ProbeKind::CloudwatchMetric(_) => false,
        };
        self.unit.as_deref().or(millis.then_some("ms"))
    }
}

/// `role`: when a probe must be good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeRole {
    /// Before every batch. A bad reading during a bake aborts nothing.
    Precondition,
    /// Before a run, and all through it.
    #[default]
    Watch,
}

impl ProbeRole {
    /// Whether a bad reading stops a run at any time.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_watch(&self) -> bool {
        *self == Self::Watch
    }
}

/// Which kind of probe, with its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ProbeKind {
    /// A metric of the simulated fleet, of the probe's own subsystem.
    Simulated {
        /// Which.
        metric: SimulatedMetric,
    },
    /// A request; the reading is the number at `pointer`, or milliseconds.
    Http(HttpProbe),
    /// A connection; the reading is milliseconds.
    Tcp {
        /// `host:port`
        address: String,
    },
    /// A program, never a shell. Exit status 0 is good; a number alone on stdout is the reading.
    Exec {
        /// Program and arguments; never empty. A program with a `/` is relative to the policy file.
        command: Vec<String>,
    },
    /// The answer to a query of a Prometheus server, or of one that speaks its API.
    Prometheus(PrometheusProbe),
    /// The share of a target group's registered targets that are healthy, 0 to 1.
    TargetGroup {
        /// The target group's ARN, which has its region.
        arn: String,
    },
    /// The state of an alarm in CloudWatch; `OK` is good.
    CloudwatchAlarm(CloudwatchAlarmProbe),
    /// The newest complete period of a metric in CloudWatch.
    CloudwatchMetric(CloudwatchMetricProbe),
}

/// The keys of kind `http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpProbe {
    /// `http://` or `https://`.
    pub(crate) url: Masked,
    /// `GET` by default.
    pub(crate) method: String,
    /// Statuses that are good; never empty.
    pub(crate) expect_status: BTreeSet<u16>,
    /// JSON pointer to a number; with `of`, to the count of the events.
    pub(crate) pointer: Option<String>,
    /// JSON pointer to the count of all that could have been one. `None`: the number is no share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) of: Option<String>,
    /// What a number may be written as.
    #[serde(skip_serializing_if = "NumberForm::is_number", default)]
    pub(crate) parse: NumberForm,
    /// Redirects that are followed, one after the other.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) redirects: u64,
    /// Headers of the request, by name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(crate) headers: Headers,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Headers of a request, by name in lower case.
pub(crate) type Headers = BTreeMap<String, HeaderSource>;

/// Where the value of a header comes from, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeaderSource {
    /// Where from.
    #[serde(flatten)]
    pub(crate) from: ValueSource,
    /// How it becomes the value of `Authorization`. `None`: as it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) scheme: Option<AuthScheme>,
}

/// Where a secret text is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValueSource {
    /// In the policy file.
    Value(Masked),
    /// In a file, relative to the policy file, read anew for every request.
    File(String),
    /// In a variable of the environment.
    Env(String),
}

/// `scheme`: how a text becomes the value of `Authorization` (RFC 7617, RFC 6750).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) enum AuthScheme {
    /// `user:password`, which is encoded.
    Basic,
    /// A token.
    Bearer,
}

/// `parse`: what is taken for a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NumberForm {
    /// A JSON number.
    #[default]
    Number,
    /// A JSON string of a number alone, too.
    String,
}

impl NumberForm {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_number(&self) -> bool {
        *self == Self::Number
    }
}

/// The keys of kind `prometheus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrometheusProbe {
    /// The server, without `/api/v1/query`.
    pub(crate) url: Masked,
    /// `PromQL`; its answer is one sample: with `of`, the count of the events.
    pub(crate) query: String,
    /// `PromQL` of the count of all that could have been one. `None`: the number is no share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) of: Option<String>,
    /// Headers of the request, by name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(crate) headers: Headers,
}

/// The keys of kind `cloudwatch-alarm`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CloudwatchAlarmProbe {
    /// The alarm's name or ARN; composite ones too.
    pub(crate) alarm: String,
    /// The region; `None` is the ARN's, else the provider's, else the environment's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) region: Option<String>,
}

/// The keys of kind `cloudwatch-metric`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CloudwatchMetricProbe {
    /// Such as `AWS/ApplicationELB`.
    pub(crate) namespace: String,
    /// Such as `HTTPCode_Target_5XX_Count`; with `of`, the metric of the events.
    pub(crate) metric: String,
    /// The metric of all that could have been one, such as `RequestCount`. `None`: the number is no share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) of: Option<String>,
    /// All of the metric's dimensions, by name.
    pub(crate) dimensions: BTreeMap<String, String>,
    /// Such as `Average`, `Sum` or `p99`.
    pub(crate) statistic: String,
    /// 1, 5, 10, 20 or 30 seconds, or whole minutes.
    #[serde(rename = "period_ms", with = "duration_ms")]
    pub(crate) period: Duration,
    /// What no data means; with `of`, no data of the events.
    #[serde(default)]
    pub(crate) missing: MissingData,
    /// The region; `None` is the provider's, else the environment's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) region: Option<String>,
}

/// `missing`: what it means that a metric has no data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MissingData {
    /// A bad sample.
    #[default]
    Bad,
    /// 0: for a count that is published only where there is something to count.
    Zero,
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
