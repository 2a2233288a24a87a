//! The scenario file as it is written. Only its shape is checked here; the position of everything that [`super::check`]
//! may have to point at is kept.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::model::Tags;

pub(super) type Ids = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(crate) clock: Option<Spanned<Value>>,
    pub(crate) start: Option<Spanned<Value>>,
    #[serde(default)]
    pub(crate) seed: u64,
    #[serde(default)]
    pub(crate) prove_removals: bool,
    #[serde(default)]
    pub(crate) hosts: Vec<Spanned<RawPool>>,
    #[serde(default)]
    pub(crate) load: Vec<RawLoad>,
    #[serde(default)]
    pub(crate) events: Vec<Spanned<RawEvent>>,
    #[serde(default)]
    pub(crate) faults: Vec<Spanned<RawFault>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub(crate) pool: Spanned<String>,
    pub(crate) count: Spanned<u64>,
    pub(crate) zones: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(crate) tags: Tags,
    /// Tags of single hosts. They override those of the pool.
    #[serde(default)]
    pub(crate) host_tags: BTreeMap<Spanned<String>, Tags>,
    pub(crate) instance_type: Option<String>,
    #[serde(default)]
    pub(crate) unhealthy: Ids,
    /// Hosts of which some check fails, but not their own: they may still get work.
    #[serde(default)]
    pub(crate) doubtful: Ids,
    #[serde(default)]
    pub(crate) standby: Ids,
    #[serde(default)]
    pub(crate) pending: Ids,
    #[serde(default)]
    pub(crate) terminating: Ids,
    /// Hosts with scale-in protection.
    #[serde(default)]
    pub(crate) protected: Ids,
    pub(crate) group_minimum: Option<Spanned<u64>>,
    pub(crate) group_maximum: Option<Spanned<u64>>,
    /// A time for the whole pool, or a table of times by host.
    pub(crate) launched_at: Option<Spanned<Value>>,
    /// `true`, or the provider's message.
    pub(crate) launches_fail: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoad {
    pub(crate) subsystem: Spanned<String>,
    pub(crate) demand: Spanned<f64>,
    pub(crate) per_unit: Spanned<f64>,
    pub(crate) latency: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub(crate) at: Option<Spanned<String>>,
    pub(crate) after: Option<Spanned<RawAfter>>,
    #[serde(default)]
    pub(crate) fail: Ids,
    #[serde(default)]
    pub(crate) doubt: Ids,
    #[serde(default)]
    pub(crate) recover: Ids,
    #[serde(default)]
    pub(crate) vanish: Ids,
    pub(crate) demand: Option<RawDemand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as `{ terminated = 2 }`")]
pub(super) struct RawAfter {
    pub(crate) pool: Option<Spanned<String>>,
    pub(crate) cordoned: Option<Spanned<u64>>,
    pub(crate) terminated: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDemand {
    pub(crate) subsystem: Spanned<String>,
    pub(crate) factor: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    pub(crate) call: super::FaultyCall,
    pub(crate) nth: Option<Spanned<u64>>,
    pub(crate) every: Option<Spanned<u64>>,
    pub(crate) error: Spanned<super::FaultError>,
}
