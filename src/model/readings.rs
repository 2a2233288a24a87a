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
    /// Two counts.
    Share(Share),
    /// Good, without a number.
    Good,
}

impl Reading {
    /// What limits are compared with; `None` without a number.
    pub(crate) fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Number(number) => Some(Quantity::Number(number)),
            Self::Share(share) => Some(Quantity::Share(share)),
            Self::Good => None,
        }
    }
}

/// What was read as a number. In JSON `0.1`, or `[3, 120]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// As it was read, in the probe's unit.
    Number(f64),
    /// The share that one count is of another.
    Share(Share),
}

impl Quantity {
    /// The number that limits are about, in the probe's unit: of a share, 0 to 1.
    pub fn value(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Share(share) => share.value(),
        }
    }

    /// Why nothing may be judged by it, in words; `None` where all is well.
    pub(crate) fn flaw(self) -> Option<String> {
        match self {
            Self::Number(number) => {
                (!number.is_finite()).then(|| format!("read {number}, which is not a finite number"))
            }
            Self::Share(share) => share.flaw(),
        }
    }
}

impl From<f64> for Quantity {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// How many of so many: counts of the same stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 2]", from = "[f64; 2]")]
pub struct Share {
    /// What is counted, such as requests that failed.
    pub events: f64,
    /// All that there were, such as requests.
    pub of: f64,
}

impl Share {
    /// The share itself, 0 to 1; no number where it has a flaw.
    pub fn value(self) -> f64 {
        self.events / self.of
    }

    /// Why these are not the counts of a share, in words; `None` if they are.
    pub(crate) fn flaw(self) -> Option<String> {
        let Self { events, of } = self;
        let read = format!("read {events} of {of}");
        if !events.is_finite() || !of.is_finite() {
            return Some(format!("{read}, which are not finite numbers"));
        }
        if events < 0.0 || of < 0.0 {
            return Some(format!("{read}: a count is not negative"));
        }
        if of == 0.0 && events == 0.0 {
            return Some(format!("{read}: nothing happened that could fail"));
        }
        (events > of).then(|| format!("{read}: more than there are"))
    }
}

impl From<Share> for [f64; 2] {
    fn from(Share { events, of }: Share) -> Self {
        [events, of]
    }
}

impl From<[f64; 2]> for Share {
    fn from([events, of]: [f64; 2]) -> Self {
        Self { events, of }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_two_counts_are_a_share_only_where_something_was_counted() {
        let flaw = |events, of| Share { events, of }.flaw();
        for (events, of) in [(0.0, 1.0), (3.0, 120.0), (5.0, 5.0), (0.25, 0.5)] {
            assert_eq!(flaw(events, of), None, "{events} of {of}");
        }
        for (events, of, why) in [
            (0.0, 0.0, "read 0 of 0: nothing happened that could fail"),
            (1.0, 0.0, "read 1 of 0: more than there are"),
            (6.0, 5.0, "read 6 of 5: more than there are"),
            (-1.0, 5.0, "read -1 of 5: a count is not negative"),
            (-2.0, -1.0, "read -2 of -1: a count is not negative"),
            (f64::NAN, 5.0, "read NaN of 5, which are not finite numbers"),
            (1.0, f64::INFINITY, "read 1 of inf, which are not finite numbers"),
        ] {
            assert_eq!(flaw(events, of).as_deref(), Some(why));
        }
    }

    #[test]
    fn numbers_are_numbers_and_shares_are_pairs() {
        let kept = [Quantity::Number(0.1), Quantity::Share(Share { events: 3.0, of: 120.0 })];
        let text = serde_json::to_string(&kept).expect("JSON");
        assert_eq!(text, "[0.1,[3.0,120.0]]");
        assert_eq!(serde_json::from_str::<Vec<Quantity>>(&text).expect("reads back"), kept);
        assert_eq!(serde_json::from_str::<Vec<Quantity>>("[2,[3,120]]").expect("whole")[0], Quantity::Number(2.0));
        assert_eq!((kept[0].value(), kept[1].value()), (0.1, 0.025));
    }
}
