//! Windows and freezes: when a subsystem may lose hosts.
//!
//! The wall clock of the policy's own time zone counts. A window that a change to summer time skips does not happen on
//! that day; a window that a change back repeats happens twice. The time zones are built into this program, so that two
//! operators' machines cannot disagree. This module must not look at the clock: the time is an argument.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

use super::types::{AllowWindow, Freeze, Windows};
use crate::model::Time;

/// The form of a window, for messages.
pub(super) const FORM: &str = "days and times, such as \"Mon-Thu 09:00-16:00\" or \"Sat,Sun 22:00-02:00\"";

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_PER_DAY: u16 = 1_440;

/// Why removal is not allowed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// In words: `outside of Mon-Thu 09:00-16:00 (Europe/London)`, `frozen from … to … (year end)`.
    pub(crate) why: String,
    /// When it is allowed next; `None` if that cannot be told.
    pub(crate) opens_at: Option<Time>,
}

impl Windows {
    /// `None` if removal is allowed at `now`; otherwise why not, and until when.
    pub(crate) fn closed_at(&self, now: Time) -> Option<Closed> {
        let Some(zone) = zone(&self.zone) else {
            // S3: the loader refuses unknown zones; a policy from elsewhere with an unknown zone is never open.
            return Some(Closed { why: format!("the time zone {} is unknown", self.zone), opens_at: None });
        };
        let why = self.reason(&zone, now.to_jiff())?;
        Some(Closed { why, opens_at: self.next_opening(&zone, now.to_jiff()).map(Time::from_jiff) })
    }

    fn reason(&self, zone: &TimeZone, at: Timestamp) -> Option<String> {
        let civil = zone.to_datetime(at);
        if let Some(freeze) = self.freeze.iter().find(|freeze| freeze.holds(civil.date())) {
            return Some(format!("frozen from {} to {} ({}), {}", freeze.from, freeze.to, freeze.why, self.zone));
        }
        if self.allow.is_empty() || self.allow.iter().any(|window| window.is_open(civil)) {
            return None;
        }
        let allowed: Vec<_> = self.allow.iter().map(|window| window.text.as_str()).collect();
        Some(format!("outside of {} ({})", allowed.join(", "), self.zone))
    }

    /// The first instant after `now` at which removal is allowed.
    ///
    /// Removal becomes allowed only when a window begins, when a freeze ends, or when the clocks change. Windows repeat
    /// weekly, so the next opening is within eight days of `now` or of a freeze's end.
    fn next_opening(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let mut bases = vec![zone.to_datetime(now).date()];
        bases.extend(self.freeze.iter().filter_map(|freeze| freeze.to.tomorrow().ok()));
        let mut candidates = BTreeSet::new();
        for base in bases {
            let first = base.yesterday().unwrap_or(base);
            candidates.extend(instants(zone, base.to_datetime(jiff::civil::Time::midnight())));
            for date in first.series(1.day()).take(10) {
                for window in &self.allow {
                    candidates.extend(at_minute(date, window.from).into_iter().flat_map(|at| instants(zone, at)));
                }
            }
            let Ok(begin) = zone.to_timestamp(first.to_datetime(jiff::civil::Time::midnight())) else { continue };
            let changes = zone.following(begin).map(|change| change.timestamp());
            candidates.extend(changes.take_while(|at| at.duration_since(begin).as_hours() < 11 * 24));
        }
        candidates.into_iter().filter(|at| *at > now).find(|at| self.reason(zone, *at).is_none())
    }

    /// The minutes of the week in which removal is allowed, ignoring freezes; `None` means all of them.
    pub(super) fn weekly_minutes(&self) -> Option<BTreeSet<u16>> {
        if self.allow.is_empty() {
            return None;
        }
        let week = 7 * MINUTES_PER_DAY;
        let mut minutes = BTreeSet::new();
        for window in &self.allow {
            for day in &window.days {
                let start = u16::from(day.saturating_sub(1)) * MINUTES_PER_DAY;
                minutes.extend((window.from..window.end()).map(|minute| (start + minute) % week));
            }
        }
        Some(minutes)
    }
}

impl AllowWindow {
    /// The end in minutes from the first day's midnight; above 1440 if the window ends after midnight.
    fn end(&self) -> u16 {
        if self.to > self.from { self.to } else { self.to.saturating_add(MINUTES_PER_DAY) }
    }

    fn is_open(&self, civil: DateTime) -> bool {
        // Hours and minutes are never negative.
        let minute = u16::from(civil.hour().unsigned_abs()) * 60 + u16::from(civil.minute().unsigned_abs());
        let begun_today = self.days.contains(&number(civil.weekday()));
        let begun_yesterday = self.days.contains(&number(civil.weekday().previous()));
        (begun_today && (self.from..self.end()).contains(&minute))
            || (begun_yesterday && minute + MINUTES_PER_DAY < self.end())
    }
}

impl Freeze {
    fn holds(&self, on: Date) -> bool {
        self.from <= on && on <= self.to
    }
}

fn number(day: Weekday) -> u8 {
    day.to_monday_one_offset().unsigned_abs()
}

fn at_minute(date: Date, minute: u16) -> Option<DateTime> {
    let hour = i8::try_from(minute / 60).ok()?;
    jiff::civil::Time::new(hour, i8::try_from(minute % 60).ok()?, 0, 0).ok().map(|time| date.to_datetime(time))
}

/// The instants at which the zone's clocks show this time: two if the hour is repeated. If the hour is skipped, the
/// change itself is already among the candidates.
fn instants(zone: &TimeZone, civil: DateTime) -> impl Iterator<Item = Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    [ambiguous.earlier().ok(), ambiguous.later().ok()].into_iter().flatten()
}

/// The zone with this name in the built-in database.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The zone's name in its canonical spelling, or the nearest names.
pub(super) fn zone_name(name: &str) -> Result<String, Vec<String>> {
    if let Some(zone) = zone(name)
        && let Some(canonical) = zone.iana_name()
    {
        return Ok(canonical.to_owned());
    }
    let database = TimeZoneDatabase::bundled();
    let known: Vec<String> = database.available().map(|zone| zone.as_str().to_owned()).collect();
    let near = super::problem::nearest(name, known.iter().map(String::as_str));
    Err(near.into_iter().map(str::to_owned).collect())
}

/// Reads `Mon-Thu 09:00-16:00`: days or ranges of days separated by commas, then the start (included) and the end
/// (excluded). An end that is not after the start is on the next day.
pub(super) fn parse(text: &str) -> Result<AllowWindow, String> {
    let wrong = |why: &str| Err(format!("{text:?} is not a window ({why}): {FORM}"));
    let mut words = text.split_whitespace();
    let (Some(days_text), Some(times), None) = (words.next(), words.next(), words.next()) else {
        return wrong("days, a space, times");
    };
    let mut days = BTreeSet::new();
    for part in days_text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (day(first), day(last)) else {
            return wrong("days are Mon, Tue, Wed, Thu, Fri, Sat, Sun");
        };
        let mut at = first;
        days.insert(at);
        while at != last {
            at = at % 7 + 1;
            days.insert(at);
        }
    }
    let Some((Some(from), Some(to))) = times.split_once('-').map(|(from, to)| (minutes(from), minutes(to))) else {
        return wrong("times are 00:00 to 24:00");
    };
    if from == to || from == MINUTES_PER_DAY {
        return wrong("it begins where it ends; a whole day is 00:00-24:00");
    }
    Ok(AllowWindow { days, from, to, text: text.split_whitespace().collect::<Vec<_>>().join(" ") })
}

fn day(text: &str) -> Option<u8> {
    let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))?;
    u8::try_from(at + 1).ok()
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |of: &str| (of.len() == 2 && of.bytes().all(|b| b.is_ascii_digit())).then(|| of.parse::<u16>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let of_day = hours * 60 + minutes;
    (minutes < 60 && of_day <= MINUTES_PER_DAY).then_some(of_day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(zone: &str, allow: &[&str], freeze: &[(&str, &str)]) -> Windows {
        Windows {
            zone: zone.to_owned(),
            allow: allow.iter().map(|text| parse(text).expect("valid")).collect(),
            freeze: freeze
                .iter()
                .map(|(from, to)| Freeze {
                    from: from.parse().expect("valid"),
                    to: to.parse().expect("valid"),
                    why: "year end".to_owned(),
                })
                .collect(),
        }
    }

    /// `open`, or the time at which it opens.
    fn at(windows: &Windows, now: &str) -> String {
        match windows.closed_at(now.parse().expect("valid")) {
            None => "open".to_owned(),
            Some(Closed { opens_at: Some(at), .. }) => at.to_jiff().to_string(),
            Some(Closed { opens_at: None, .. }) => "never".to_owned(),
        }
    }

    #[test]
    fn working_hours_begin_and_end_on_the_minute() {
        let hours = windows("Europe/London", &["Mon-Thu 09:00-16:00"], &[]);
        // 2026-01-08 is a Thursday; London is on UTC.
        assert_eq!(at(&hours, "2026-01-08T08:59:59.999Z"), "2026-01-08T09:00:00Z");
        assert_eq!(at(&hours, "2026-01-08T09:00:00Z"), "open");
        assert_eq!(at(&hours, "2026-01-08T15:59:59.999Z"), "open");
        assert_eq!(at(&hours, "2026-01-08T16:00:00Z"), "2026-01-12T09:00:00Z");
        // In summer London is an hour ahead.
        assert_eq!(at(&hours, "2026-07-09T08:00:00Z"), "open");
        assert_eq!(at(&hours, "2026-07-09T15:00:00Z"), "2026-07-13T08:00:00Z");
        let why = hours.closed_at("2026-01-09T12:00:00Z".parse().expect("valid")).expect("closed").why;
        assert_eq!(why, "outside of Mon-Thu 09:00-16:00 (Europe/London)");
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_begins() {
        let night = windows("UTC", &["Sun 22:00-02:00"], &[]);
        assert_eq!(at(&night, "2026-01-11T23:30:00Z"), "open");
        assert_eq!(at(&night, "2026-01-12T01:59:00Z"), "open");
        assert_eq!(at(&night, "2026-01-12T02:00:00Z"), "2026-01-18T22:00:00Z");
        assert_eq!(at(&night, "2026-01-11T01:00:00Z"), "2026-01-11T22:00:00Z");
    }

    #[test]
    fn a_skipped_hour_does_not_happen_and_a_repeated_one_happens_twice() {
        // 2026-03-29: 01:00 to 02:00 is skipped in London. 2026-10-25: 01:00 to 02:00 happens twice.
        let sundays = windows("Europe/London", &["Sun 01:15-01:45"], &[]);
        assert_eq!(at(&sundays, "2026-03-28T12:00:00Z"), "2026-04-05T00:15:00Z");
        assert_eq!(at(&sundays, "2026-03-29T01:20:00Z"), "2026-04-05T00:15:00Z");
        assert_eq!(at(&sundays, "2026-10-24T12:00:00Z"), "2026-10-25T00:15:00Z");
        assert_eq!(at(&sundays, "2026-10-25T00:50:00Z"), "2026-10-25T01:15:00Z");
        assert_eq!(at(&sundays, "2026-10-25T01:20:00Z"), "open");
        // A window that begins in the skipped hour opens at the change.
        let later = windows("Europe/London", &["Sun 01:15-05:00"], &[]);
        assert_eq!(at(&later, "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_freeze_is_whole_days_of_the_zone_and_wins_over_windows() {
        let frozen = windows("America/New_York", &["Mon-Fri 09:00-17:00"], &[("2026-12-20", "2027-01-03")]);
        assert_eq!(at(&frozen, "2026-12-22T15:00:00Z"), "2027-01-04T14:00:00Z");
        assert_eq!(at(&frozen, "2026-12-18T21:00:00Z"), "open");
        let only = windows("America/New_York", &[], &[("2026-12-20", "2027-01-03"), ("2027-01-04", "2027-01-05")]);
        assert_eq!(at(&only, "2026-12-20T04:59:00Z"), "open");
        assert_eq!(at(&only, "2026-12-20T05:00:00Z"), "2027-01-06T05:00:00Z");
        let closed = only.closed_at("2026-12-25T00:00:00Z".parse().expect("valid")).expect("closed");
        assert_eq!(closed.why, "frozen from 2026-12-20 to 2027-01-03 (year end), America/New_York");
    }

    #[test]
    fn s3_a_zone_that_is_not_known_is_never_open() {
        let nowhere = windows("Mars/Olympus", &["Mon-Sun 00:00-24:00"], &[]);
        assert_eq!(at(&nowhere, "2026-01-01T00:00:00Z"), "never");
        assert_eq!(zone_name("europe/london"), Ok("Europe/London".to_owned()));
        assert_eq!(zone_name("Europe/Londn"), Err(vec!["Europe/London".to_owned()]));
    }

    #[test]
    fn days_and_times_are_read_strictly() {
        let days = |text: &str| parse(text).map(|window| window.days.into_iter().collect::<Vec<_>>());
        assert_eq!(days("Mon-Thu 09:00-16:00"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(days("Fri-Mon 09:00-16:00"), Ok(vec![1, 5, 6, 7]));
        assert_eq!(days("sat,Sun 00:00-24:00"), Ok(vec![6, 7]));
        for text in [
            "",
            "Mon",
            "09:00-16:00",
            "Mon 9:00-16:00",
            "Mon 09:00",
            "Mon 09:00-16:60",
            "Mon 09:00-24:01",
            "Mon 09:00-09:00",
            "Mon 24:00-02:00",
            "Mon 09:00 - 16:00",
            "Mo 09:00-16:00",
            "Mon- 09:00-16:00",
            "Mon,,Tue 09:00-16:00",
            "Mon 09:00-16:00 UTC",
            "Mon +9:00-16:00",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_opens_is_open_and_was_closed_until_then(
            zone in prop::sample::select(vec!["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
            first in 0_usize..7, length in 0_usize..7, from in 0_u16..1440, to in 0_u16..=1440,
            now in 1_700_000_000_000_i64..1_800_000_000_000, frozen in prop::option::of(0_i64..400), step in 0.0_f64..1.0,
        ) {
            prop_assume!(from != to);
            let allow = AllowWindow {
                days: (0..=length).map(|i| u8::try_from((first + i) % 7 + 1).expect("small")).collect(),
                from, to, text: String::new(),
            };
            let freeze = frozen.map(|days| {
                let begin = Date::constant(2024, 1, 1).saturating_add(days.days());
                Freeze { from: begin, to: begin.saturating_add(200.days()), why: String::new() }
            });
            let windows = Windows { zone: zone.to_owned(), allow: vec![allow], freeze: freeze.into_iter().collect() };
            let now = Time::from_millis(now);
            if let Some(closed) = windows.closed_at(now) {
                let opens = closed.opens_at.expect("some day");
                prop_assert!(opens > now);
                prop_assert_eq!(windows.closed_at(opens), None);
                let between = now.plus(opens.since(now).mul_f64(step));
                prop_assert!(between == opens || windows.closed_at(between).is_some());
            }
        }
    }
}
