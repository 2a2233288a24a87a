//! Parsers of single command-line values: numbers, names, durations and points in time. Each error message is a
//! sentence that clap puts after the option's name.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{BadDuration, HostId, RequestId, RunId, SubsystemName, Time, ZoneName, parse_duration};

/// The longest request id, in bytes: room for two UUIDs and a pipeline's name.
const REQUEST_ID_MAX: usize = 128;

/// `--what-if`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Supposed {
    /// `minimum=UNITS`, for the subsystem that `--subsystem` names.
    Minimum(u64),
    /// `zone-down=ZONE`
    ZoneDown(ZoneName),
}

/// `--since`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// A point in time.
    At(Time),
    /// This long ago.
    Ago(Duration),
}

impl Since {
    /// The point in time, relative to `now`.
    pub(crate) fn time(self, now: Time) -> Time {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.minus(ago),
        }
    }
}

fn whole(text: &str, what: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{what} is a whole number"));
    }
    if text.starts_with('-') {
        return Err(format!("{what} is never negative"));
    }
    digits.parse().map_err(|_| format!("{what} is at most {}", u64::MAX))
}

pub(super) fn count(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(whole(text, "a count")?).ok_or_else(|| "a count is at least 1".to_owned())
}

pub(super) fn remaining(text: &str) -> Result<u64, String> {
    whole(text, "a number of hosts")
}

/// Names and ids on the command line: nothing empty, no white space at the ends, no control characters.
fn name(text: &str, what: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is never empty"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(format!("{what} has no white space around it and no control characters"));
    }
    Ok(())
}

pub(super) fn subsystem(text: &str) -> Result<SubsystemName, String> {
    name(text, "a subsystem's name").map(|()| text.into())
}

/// A host id; also used for hosts read from stdin.
pub(super) fn host(text: &str) -> Result<HostId, String> {
    name(text, "a host's id").map(|()| text.into())
}

pub(super) fn what_if(text: &str) -> Result<Supposed, String> {
    let keys = "minimum=UNITS or zone-down=ZONE";
    let (key, value) = text.split_once('=').ok_or_else(|| format!("say what is assumed: {keys}"))?;
    match key {
        "minimum" => whole(value, "a minimum, in units,").map(Supposed::Minimum),
        "zone-down" => name(value, "a zone's name").map(|()| Supposed::ZoneDown(value.into())),
        _ => Err(format!("what can be assumed is {keys}")),
    }
}

pub(super) fn run(text: &str) -> Result<RunId, String> {
    name(text, "a run's id").map(|()| text.into())
}

pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason says something".to_owned());
    }
    Ok(text.trim().to_owned())
}

pub(super) fn request_id(text: &str) -> Result<RequestId, String> {
    name(text, "a request id")?;
    if text.len() > REQUEST_ID_MAX {
        return Err(format!("a request id has at most {REQUEST_ID_MAX} bytes"));
    }
    Ok(text.into())
}

/// A whole number and `ms`, `s`, `m`, `h` or `d`, as in policies.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|why| match why {
        BadDuration::Form => "a duration is a whole number and ms, s, m, h or d, such as 90s".to_owned(),
        BadDuration::TooLong => "that is longer than can be counted".to_owned(),
    })
}

/// A file that will be created. Its name is written into the ledger, so it must be text.
pub(super) fn new_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text == "-" || path.file_name().is_none() || text.chars().any(char::is_control) {
        return Err("name a file that does not exist yet".to_owned());
    }
    Ok(path)
}

pub(super) fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<Time>() {
        return Ok(Since::At(at));
    }
    if let Ok(ago) = duration(text) {
        return Ok(Since::Ago(ago));
    }
    text.parse::<jiff::civil::Date>()
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|at| Since::At(Time::from_jiff(at.timestamp())))
        .map_err(|_| "give a time (2017-02-28T17:37:00Z), a date (2017-02-28, UTC) or how long ago (24h)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_positive() {
        assert_eq!(count("3").map(NonZeroU64::get), Ok(3));
        assert_eq!(count("18446744073709551615").map(NonZeroU64::get), Ok(u64::MAX));
        for bad in
            ["0", "-1", "-0", "", "x", "1.5", "1e3", "18446744073709551616", "+3", "99999999999999999999999999", " 3"]
        {
            assert!(count(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn assumptions_are_a_key_and_a_value() {
        assert_eq!(what_if("minimum=55"), Ok(Supposed::Minimum(55)));
        assert_eq!(what_if("minimum=0"), Ok(Supposed::Minimum(0)));
        assert_eq!(what_if("zone-down=a=b"), Ok(Supposed::ZoneDown("a=b".into())));
        for bad in [
            "",
            "=",
            "minimum",
            "minimum=",
            "minimum=-1",
            "minimum=+1",
            "minimum=1.5",
            "minimum=70%",
            "minimum= 5",
            "minimum=18446744073709551616",
            "zone-down",
            "zone-down=",
            "zone-down= a",
            "zone-down=a\n",
            "zone=a",
            "Minimum=5",
            "maximum=5",
        ] {
            assert!(what_if(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn since_is_a_time_a_date_or_an_age() {
        let at = |text: &str| Since::At(text.parse().expect("valid"));
        assert_eq!(since("2017-02-28T17:37:00Z"), Ok(at("2017-02-28T17:37:00Z")));
        assert_eq!(since("2017-02-28"), Ok(at("2017-02-28T00:00:00Z")));
        assert_eq!(since("24h"), Ok(Since::Ago(Duration::from_secs(86_400))));
        for bad in ["", "yesterday", "-1h", "2017-02-30"] {
            assert!(since(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_never_empty_or_hostile() {
        for bad in ["", " ", " index", "index\n", "a\x1b[2J"] {
            assert!(subsystem(bad).is_err() && host(bad).is_err() && request_id(bad).is_err(), "{bad:?}");
        }
        assert!(request_id(&"x".repeat(REQUEST_ID_MAX)).is_ok());
        assert!(request_id(&"x".repeat(REQUEST_ID_MAX + 1)).is_err());
    }
}
