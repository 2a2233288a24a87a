//! Points in time as whole milliseconds, so that arithmetic is exact and saturating.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: milliseconds since the Unix epoch, UTC.
///
/// Documents show it as RFC 3339 with milliseconds. Under the virtual clock it is the fleet's time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time plus `by`, saturating at the end of the representable range.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This time minus `by`, saturating at the end of the representable range.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// The duration from `earlier` to this time; zero if this time is the earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same instant for calendar arithmetic, clamped to jiff's range.
    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// From jiff's timestamp, cut to whole milliseconds.
    pub(crate) fn from_jiff(at: jiff::Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(Self::from_jiff)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A duration as people write it: `90s` is `1m 30s`, `86400s` is `1d`.
pub(crate) fn duration_text(of: Duration) -> String {
    let mut rest = of.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= size {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    parts.join(" ")
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadDuration {
    /// Not a whole number followed by a unit.
    Form,
    /// Larger than can be counted.
    TooLong,
}

/// A duration as policies, scenarios and options write it: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
///
/// [`BadDuration`]; each caller says in its own words what it expects.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(BadDuration::Form)?;
    let (digits, unit) = text.split_at(unit_at);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(BadDuration::Form),
    };
    if digits.is_empty() {
        return Err(BadDuration::Form);
    }
    // Digits alone can fail to parse for one reason only.
    let number: u64 = digits.parse().map_err(|_| BadDuration::TooLong)?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or(BadDuration::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_reads_what_it_writes_and_saturates() {
        let at: Time = "2017-02-28T17:37:00.250Z".parse().expect("valid");
        assert_eq!(at.to_string(), "2017-02-28T17:37:00.250Z");
        assert_eq!(at.plus(Duration::from_millis(750)).to_string(), "2017-02-28T17:37:01.000Z");
        assert_eq!(at.since(at.plus(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(Time::from_millis(i64::MAX).plus(Duration::MAX), Time::from_millis(i64::MAX));
    }

    #[test]
    fn durations_read_like_policies() {
        assert_eq!(duration_text(Duration::from_secs(90)), "1m 30s");
        assert_eq!(duration_text(Duration::from_secs(86_400)), "1d");
        assert_eq!(duration_text(Duration::from_millis(250)), "250ms");
        assert_eq!(duration_text(Duration::ZERO), "0s");
    }

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "90", "s", "-1s", "+1s", "1.5h", "1 h", " 1h", "1w", "1h30m", "1S", "\u{664}s"] {
            assert_eq!(parse_duration(bad), Err(BadDuration::Form), "{bad:?}");
        }
        for bad in ["99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(bad), Err(BadDuration::TooLong), "{bad:?}");
        }
    }
}
