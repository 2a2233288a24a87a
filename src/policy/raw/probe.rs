//! `[[health.probe]]` as written: the keys of every kind in one table, because the kind is itself one of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::policy::types::{AuthScheme, MissingData, NumberForm, ProbeRole};
use crate::policy::value::{Count, DurationValue, Increase, Name, Number, Percent, Spanned};

/// `[[health.probe]]`. Numbers are compared with the limits; without one, only `http`, `tcp`, `exec` and
/// `cloudwatch-alarm` can be bad.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, [[health.probe]]")]
#[schemars(rename = "Probe")]
pub(in crate::policy) struct RawProbe {
    /// Unique in its file.
    #[schemars(required)]
    pub(in crate::policy) name: Option<Spanned<Name>>,
    /// What is read: the keys depend on it.
    #[schemars(required, extend("enum" = ["simulated", "http", "tcp", "exec", "prometheus", "target-group", "cloudwatch-alarm", "cloudwatch-metric"]))]
    pub(in crate::policy) kind: Option<Spanned<String>>,
    /// `watch`: good before a run and all through it. `precondition`: good before every batch; what it reads during a bake
    /// aborts nothing. Default `watch`.
    pub(in crate::policy) role: Option<ProbeRole>,
    /// A read that takes longer is a bad sample. Default `every`, at most 10s.
    pub(in crate::policy) timeout: Option<Spanned<DurationValue>>,
    /// A reading that is older by its own account is bad: an answer from a cache, a metric that has stopped. Default twice
    /// `every`, at least 60s; of `prometheus` 150s, of `cloudwatch-metric` three periods.
    pub(in crate::policy) max_age: Option<Spanned<DurationValue>>,
    /// A reading above is bad.
    pub(in crate::policy) max: Option<Spanned<Number>>,
    /// A reading below is bad.
    pub(in crate::policy) min: Option<Spanned<Number>>,
    /// A reading this much above the reference from before the first batch is bad. Without `failures` a sequential test
    /// judges it, which allows for noise: `reference`, `bake_max`.
    pub(in crate::policy) max_increase: Option<Spanned<Increase>>,
    /// A reading this much below the reference is bad. Judged as `max_increase`.
    pub(in crate::policy) max_decrease: Option<Spanned<Percent>>,
    /// Consecutive bad samples that make a regression. Default 1. Given beside a relative limit, each sample is compared with
    /// the median of the reference, and there is no test.
    pub(in crate::policy) failures: Option<Spanned<Count>>,
    /// The unit of the number, for people: `ms`, `%`. At most 16 characters. Default `ms` where the kind reads milliseconds.
    pub(in crate::policy) unit: Option<Spanned<String>>,
    /// simulated: `error_rate`, `latency_ms` or `utilization`. cloudwatch-metric: the metric's name.
    pub(in crate::policy) metric: Option<Spanned<String>>,
    /// http: `http://` or `https://`. prometheus: the server, without `/api/v1/query`.
    pub(in crate::policy) url: Option<Spanned<String>>,
    /// http: default `GET`.
    pub(in crate::policy) method: Option<Spanned<String>>,
    /// http: statuses that are good. Default 200.
    pub(in crate::policy) expect_status: Option<Spanned<Vec<Spanned<Count>>>>,
    /// http, prometheus, cloudwatch-metric: the count of what happened, such as requests that failed, with `of`. Both are
    /// counts of the same stretch of time, such as the last minute, and the reading is the share of one in the other, 0 to 1:
    /// limits are about it, and a relative one is judged by a test for proportions. http: a JSON pointer, in place of
    /// `pointer`. prometheus: PromQL that answers with one sample, in place of `query`. cloudwatch-metric: a metric's name, in
    /// place of `metric`.
    pub(in crate::policy) events: Option<Spanned<String>>,
    /// The count of all that could have happened in that time, such as all requests, with `events` and written as it. http:
    /// in the same answer. cloudwatch-metric: of the same namespace, dimensions and period. 0 of 0 is a bad sample.
    pub(in crate::policy) of: Option<Spanned<String>>,
    /// http: JSON pointer to the number; without one, and without `events`, the reading is milliseconds.
    pub(in crate::policy) pointer: Option<Spanned<String>>,
    /// http: `string` takes a JSON string for a number too. Default `number`.
    pub(in crate::policy) parse: Option<Spanned<NumberForm>>,
    /// http: how many redirects are followed, one after the other. Default 0: a redirect is its status.
    pub(in crate::policy) redirects: Option<Spanned<Count>>,
    /// http, prometheus: headers of the request, which are never printed.
    pub(in crate::policy) headers: Option<Spanned<BTreeMap<String, Spanned<RawHeader>>>>,
    /// tcp: `host:port`.
    pub(in crate::policy) address: Option<Spanned<String>>,
    /// exec: program and arguments, never a shell. A program with a `/` is relative to this file.
    pub(in crate::policy) command: Option<Spanned<Vec<String>>>,
    /// prometheus: PromQL that answers with one sample.
    pub(in crate::policy) query: Option<Spanned<String>>,
    /// target-group: the target group, by its ARN. The reading is the share of its targets that are healthy, 0 to 1.
    pub(in crate::policy) arn: Option<Spanned<String>>,
    /// cloudwatch-alarm: the alarm's name or ARN. `OK` is good, `ALARM` and `INSUFFICIENT_DATA` are bad.
    pub(in crate::policy) alarm: Option<Spanned<String>>,
    /// cloudwatch-metric: such as `AWS/ApplicationELB`.
    pub(in crate::policy) namespace: Option<Spanned<String>>,
    /// cloudwatch-metric: every dimension of the metric, by name. Default none.
    pub(in crate::policy) dimensions: Option<Spanned<BTreeMap<String, String>>>,
    /// cloudwatch-metric: `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or such as `p99`. With `events` it is `Sum`,
    /// and may be left out.
    pub(in crate::policy) statistic: Option<Spanned<String>>,
    /// cloudwatch-metric: 1s, 5s, 10s, 20s, 30s or whole minutes. The newest period that is over is read.
    pub(in crate::policy) period: Option<Spanned<DurationValue>>,
    /// cloudwatch-metric: what no data means, `bad` or `zero`. Default `bad`. With `events` it is about these: no data of `of`
    /// is bad.
    pub(in crate::policy) missing: Option<Spanned<MissingData>>,
    /// cloudwatch-alarm, cloudwatch-metric: the region. Default the provider's.
    pub(in crate::policy) region: Option<Spanned<String>>,
}

/// A header's value, or where it is.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged, rename = "Header")]
pub(in crate::policy) enum RawHeader {
    /// The value itself.
    Value(String),
    /// Where it is.
    From(RawHeaderSource),
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawHeader;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a header's value, or where it is, such as { file = \"token\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawHeader, E> {
                Ok(RawHeader::Value(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, of: A) -> Result<RawHeader, A::Error> {
                RawHeaderSource::deserialize(de::value::MapAccessDeserializer::new(of)).map(RawHeader::From)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Where a header's value is: `file` or `env`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, { file = ... } or { env = ... }")]
#[schemars(rename = "HeaderSource")]
pub(in crate::policy) struct RawHeaderSource {
    /// A file, relative to this one, read anew for every request.
    pub(in crate::policy) file: Option<String>,
    /// A variable of the environment.
    pub(in crate::policy) env: Option<String>,
    /// `Basic`: the value is `user:password`, and is encoded. `Bearer`: it is a token. Default none: it is the header as it is.
    pub(in crate::policy) scheme: Option<AuthScheme>,
}
