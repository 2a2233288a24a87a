//! The journal: past-tense events of one run, numbered without gaps. `safe-remove/event/v1`.

use serde::{Deserialize, Serialize};

use crate::model::{RunId, Time};

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// `safe-remove/event/v1`
    pub schema: String,
    /// Which run.
    pub run: RunId,
    /// From 0, without gaps.
    pub seq: u64,
    /// When, by the writer's clock.
    pub at: Time,
    /// What happened.
    #[serde(flatten)]
    pub event: Past,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Past {
    /// Placeholder while the state machine is being written.
    RunOpened {},
}
