//! What a probe says at one moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SubsystemName, Time};

/// Which probe: its subsystem's and its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProbeKey {
    /// The subsystem whose policy has the probe.
    pub(crate) subsystem: SubsystemName,
    /// The probe's `name`.
    pub(crate) probe: String,
}

impl std::fmt::Display for ProbeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.subsystem, self.probe)
    }
}

impl From<ProbeKey> for String {
    fn from(key: ProbeKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ProbeKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once('/') {
            Some((subsystem, probe)) => Ok(Self { subsystem: subsystem.into(), probe: probe.to_owned() }),
            None => Err(format!("{text:?} is not SUBSYSTEM/PROBE")),
        }
    }
}

/// A reading that was taken successfully.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reading {
    /// A finite number.
    Number(f64),
    /// Good, without a number.
    Good,
}

/// One sample of one probe. `Err` is a bad sample, whatever the reason (S3): a timeout, a refusal, an unreadable
/// answer, a bad status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Which probe.
    pub(crate) key: ProbeKey,
    /// When the read began.
    pub(crate) begun_at: Time,
    /// When it was answered or given up.
    pub(crate) ended_at: Time,
    /// The reading, or why there is none.
    pub(crate) reading: Result<Reading, String>,
    /// What is known of the reading's own time.
    pub(crate) own_time: OwnTime,
}

/// The time of a reading by the account of whoever gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnTime {
    /// How old it was when it came; `None` where nobody says.
    pub(crate) age: Option<Duration>,
    /// How long what it tells of took: a metric's period, the time over which an alarm is evaluated. `None`: a moment.
    pub(crate) span: Option<Duration>,
}
