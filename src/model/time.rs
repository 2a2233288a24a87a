//! Points in time as whole milliseconds, so that arithmetic is exact and saturating.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: milliseconds since the Unix epoch, UTC.
///
/// Documents have it as RFC 3339 with milliseconds, sentences to the second: `2017-02-28 17:37:00 UTC`. Both can be read
/// back. Under the virtual clock it is the fleet's time.
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

    /// For programs: RFC 3339 with milliseconds, `2017-02-28T17:37:00.250Z`.
    pub(crate) fn rfc3339(self) -> impl fmt::Display {
        let at = self.to_jiff();
        fmt::from_fn(move |f| write!(f, "{at:.3}"))
    }

    /// The time of day, to the second.
    pub(crate) fn time_of_day(self) -> impl fmt::Display {
        self.to_jiff().strftime("%H:%M:%S UTC")
    }
}

fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC"))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.rfc3339(), f)
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix(" UTC") {
            Some(shown) => format!("{shown}Z").parse::<jiff::Timestamp>(),
            None => text.parse::<jiff::Timestamp>(),
        }
        .map(Self::from_jiff)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The units of a duration, the longest first, in milliseconds. A day has 24 hours.
const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration exactly, as a policy writes it: a whole number of one unit, such as `90s`, `24h`, `7d`. It can be read back.
pub(crate) fn duration_text(of: Duration) -> String {
    let whole = of.as_millis();
    if whole == 0 {
        return "0s".to_owned();
    }
    // One day is 24 hours to those who write budgets; nobody writes 1d.
    let fits = |(unit, size): &&(&str, u128)| whole.is_multiple_of(*size) && (*unit != "d" || whole / size > 1);
    let (unit, size) = UNITS.iter().find(fits).unwrap_or(&("ms", 1));
    format!("{}{unit}", whole / size)
}

/// How long something takes or took, for people: `52m 25s`. In whole seconds, rounded up, so that a countdown does not
/// flicker and promises nothing too early.
pub(crate) fn span_text(of: Duration) -> String {
    let mut rest = of.as_millis().div_ceil(1_000) * 1_000;
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        let is_a_day = unit == "d" && rest / size == 1;
        if rest >= size && !is_a_day {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
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
        assert_eq!(serde_json::to_value(at).expect("serialises"), "2017-02-28T17:37:00.250Z");
        assert_eq!(at.plus(Duration::from_millis(750)).to_string(), "2017-02-28 17:37:01 UTC");
        assert_eq!(at.to_string().parse::<Time>().expect("it is what is shown"), at.minus(Duration::from_millis(250)));
        assert_eq!(at.time_of_day().to_string(), "17:37:00 UTC");
        assert_eq!(at.since(at.plus(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(Time::from_millis(i64::MAX).plus(Duration::MAX), Time::from_millis(i64::MAX));
    }

    #[test]
    fn durations_read_like_policies() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("2m", 120), ("24h", 86_400), ("36h", 129_600), ("7d", 604_800)]
        {
            assert_eq!(duration_text(Duration::from_secs(seconds)), text);
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(duration_text(Duration::from_millis(1_500)), "1500ms");
    }

    #[test]
    fn spans_are_for_a_glance() {
        for (text, millis) in [
            ("0s", 0),
            ("1s", 444),
            ("1m 30s", 89_001),
            ("52m 25s", 3_144_444),
            ("1h", 3_600_000),
            ("1h 1s", 3_600_001),
            ("24h", 86_400_000),
            ("25h 1m", 90_060_000),
            ("2d 1h", 176_400_000),
        ] {
            assert_eq!(span_text(Duration::from_millis(millis)), text, "{millis}");
        }
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
