//! Specs and samples for the tests of this module.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ProbeSpecs;
use crate::model::{OwnTime, ProbeKey, Reading, Sample, Share, Time};
use crate::policy::{Limits, ProbeKind, ProbeRole, ProbeSpec, SimulatedMetric};

pub(super) const EVERY: Duration = Duration::from_secs(10);

pub(super) fn key(probe: &str) -> ProbeKey {
    ProbeKey { subsystem: "index".into(), probe: probe.to_owned() }
}

pub(super) fn spec(limits: Limits) -> ProbeSpec {
    ProbeSpec {
        name: "errors".to_owned(),
        kind: ProbeKind::Simulated { metric: SimulatedMetric::ErrorRate },
        timeout: Duration::from_secs(5),
        max_age: None,
        limits,
        failures: None,
        role: ProbeRole::Watch,
        unit: None,
    }
}

/// One probe, `index/errors`; `failures` consecutive readings above 1 are a regression.
pub(super) fn specs(failures: u64) -> ProbeSpecs {
    let limits = Limits { max: Some(1.0), ..Limits::default() };
    BTreeMap::from([(key("errors"), ProbeSpec { failures: Some(failures), ..spec(limits) })])
}

pub(super) fn second(s: i64) -> Time {
    Time::from_millis(s * 1_000)
}

fn sample(at: i64, reading: Result<Reading, String>) -> Sample {
    Sample { key: key("errors"), begun_at: second(at), ended_at: second(at), reading, own_time: OwnTime::default() }
}

pub(super) fn number(at: i64, number: f64) -> Sample {
    sample(at, Ok(Reading::Number(number)))
}

pub(super) fn share(at: i64, events: f64, of: f64) -> Sample {
    sample(at, Ok(Reading::Share(Share { events, of })))
}

pub(super) fn good(at: i64) -> Sample {
    sample(at, Ok(Reading::Good))
}

pub(super) fn failed(at: i64, why: &str) -> Sample {
    sample(at, Err(why.to_owned()))
}
