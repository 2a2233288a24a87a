//! The journal: past-tense events of one run, numbered without gaps. `safe-remove/event/v4`.
//!
//! It is the intent log: what a run may have done to the fleet is always in it before it is done (S5), and
//! [`super::report`] makes the run document of nothing else. Changes of this format:
//! v1 was the first. v2: a journal begins when the run is confirmed, before its first grant, so that one request id is one
//! journal for good; the reference is a record of its own; a run that took nothing ends with `not-started`, and only then
//! may the same journal go on with another opening; one that was pruned is a single `journal-pruned`. v3: `sampled` has
//! every reading of every round as it was judged, numbers as numbers, with the capacity of everything touched or watched that
//! the round showed (its minimums stand in `run-opened`); the limits stand in `reference-taken`; readings go on behind
//! `run-ended` for one bake if hosts were put back. v4: `reference-taken` has every sample of the reference; `bake-extended`.

use serde::{Deserialize, Serialize};

use crate::model::{RunId, Time};

use super::Event;

/// The schema of journal records and of ndjson events.
pub const EVENT_SCHEMA: &str = "safe-remove/event/v4";

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// [`EVENT_SCHEMA`]
    pub schema: String,
    /// Which run.
    pub run: RunId,
    /// From 0, without gaps.
    pub seq: u64,
    /// When, by the writer's clock.
    pub at: Time,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}
