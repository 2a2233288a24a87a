//! The scenario file as it is written: only its shape is checked here, with the place of everything that
//! [`super::check`] may have to point at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::{Spanned, Value};

pub(super) type Ids = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub clock: Option<Spanned<Value>>,
    pub start: Option<Spanned<Value>>,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub hosts: Vec<Spanned<RawPool>>,
    #[serde(default)]
    pub load: Vec<RawLoad>,
    #[serde(default)]
    pub events: Vec<Spanned<RawEvent>>,
    #[serde(default)]
    pub faults: Vec<Spanned<RawFault>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub pool: Spanned<String>,
    pub count: Spanned<u64>,
    pub zones: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub tags: Arc<BTreeMap<String, String>>,
    /// Tags of single hosts, over those of the pool.
    #[serde(default)]
    pub host_tags: BTreeMap<Spanned<String>, BTreeMap<String, String>>,
    pub instance_type: Option<String>,
    #[serde(default)]
    pub unhealthy: Ids,
    /// Hosts of which some check fails, and not their own: they may still get work.
    #[serde(default)]
    pub doubtful: Ids,
    #[serde(default)]
    pub standby: Ids,
    #[serde(default)]
    pub pending: Ids,
    #[serde(default)]
    pub terminating: Ids,
    /// Hosts under scale-in protection.
    #[serde(default)]
    pub protected: Ids,
    pub group_minimum: Option<Spanned<u64>>,
    pub group_maximum: Option<Spanned<u64>>,
    /// A time for the whole pool, or a table of times by host.
    pub launched_at: Option<Spanned<Value>>,
    /// `true`, or the provider's words.
    pub launches_fail: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoad {
    pub subsystem: Spanned<String>,
    pub demand: Spanned<f64>,
    pub per_unit: Spanned<f64>,
    pub latency: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub at: Spanned<String>,
    #[serde(default)]
    pub fail: Ids,
    #[serde(default)]
    pub doubt: Ids,
    #[serde(default)]
    pub recover: Ids,
    pub demand: Option<RawDemand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDemand {
    pub subsystem: Spanned<String>,
    pub factor: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    pub call: super::FaultyCall,
    pub nth: Option<Spanned<u64>>,
    pub every: Option<Spanned<u64>>,
    pub error: Spanned<super::FaultError>,
}
