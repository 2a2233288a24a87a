//! When a recurring scheduled action is due next. Main type: [`Cron`]. Pure.
//!
//! The form is Unix cron's: minute, hour, day of the month, month, day of the week (Auto Scaling API reference,
//! `PutScheduledUpdateGroupAction`). Where both days are limited, either is enough, as in cron.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// How many days are searched. A run that takes longer looks again before each batch.
const HORIZON: u8 = 9;

/// A recurrence.
#[derive(Debug)]
pub(super) struct Cron {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: Option<BTreeSet<i8>>,
    months: BTreeSet<i8>,
    weekdays: Option<BTreeSet<i8>>,
}

impl Cron {
    /// `None` for what is not understood.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let limited = |text: &str| !matches!(text, "*" | "?");
        let weekdays_of = |text: &str| {
            let found = field(text, 0, 7, &DAYS, 0)?;
            // Sunday is 0 and 7.
            Some(found.into_iter().map(|day| day % 7).collect::<BTreeSet<i8>>())
        };
        let (days, weekdays) = (
            if limited(days) { Some(field(days, 1, 31, &[], 0)?) } else { None },
            if limited(weekdays) { Some(weekdays_of(weekdays)?) } else { None },
        );
        Some(Self {
            minutes: field(minutes, 0, 59, &[], 0)?,
            hours: field(hours, 0, 23, &[], 0)?,
            days,
            months: field(months, 1, 12, &MONTHS, 1)?,
            weekdays,
        })
    }

    fn is_on(&self, date: Date) -> bool {
        let by_day = self.days.as_ref().map(|days| days.contains(&date.day()));
        let by_weekday = self.weekdays.as_ref().map(|days| days.contains(&date.weekday().to_sunday_zero_offset()));
        let is_day = match (by_day, by_weekday) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(one), Some(other)) => one || other,
        };
        is_day && self.months.contains(&date.month())
    }

    /// The first time it is due at or after `from`, in that zone, within some days.
    pub(super) fn next(&self, zone: &TimeZone, from: Timestamp) -> Option<Timestamp> {
        let mut date = zone.to_datetime(from).date();
        for _ in 0..HORIZON {
            if self.is_on(date) {
                let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                // A time that the clocks skip is due right after; one that they repeat, the first time.
                let at = |(hour, minute)| zone.to_timestamp(date.at(hour, minute, 0, 0)).ok();
                if let Some(found) = times.filter_map(at).filter(|at| *at >= from).min() {
                    return Some(found);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

/// The values of a field: `*`, `5`, `1-5`, `*/15`, `10-50/20`, `MON-FRI`, and lists of those.
fn field(text: &str, low: i8, high: i8, names: &[&str], first: i8) -> Option<BTreeSet<i8>> {
    let value = |text: &str| {
        let named = names.iter().zip(first..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = named.map(|(_, value)| value).or_else(|| text.parse().ok())?;
        (low..=high).contains(&value).then_some(value)
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (low, high),
            Some((from, to)) => (value(from)?, value(to)?),
            None => (value(range)?, if step.is_some() { high } else { value(range)? }),
        };
        if from > to {
            return None;
        }
        all.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;

    use super::*;

    fn next(text: &str, zone: &str, from: &str) -> String {
        let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone");
        let found = Cron::read(text).expect("valid").next(&zone, from.parse().expect("a time"));
        found.map_or_else(|| "never".to_owned(), |at| at.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        // 2026-11-29 is a Sunday.
        for (text, expected) in [
            ("0 22 * * *", "2026-11-29T22:00:00Z"),
            ("0 9 * * *", "2026-11-30T09:00:00Z"),
            ("30 12 * * *", "2026-11-29T12:30:00Z"),
            ("0 9 * * MON-FRI", "2026-11-30T09:00:00Z"),
            ("0 9 * * 7", "2026-12-06T09:00:00Z"),
            ("0 13 * * 0", "2026-11-29T13:00:00Z"),
            ("*/20 * ? * *", "2026-11-29T12:40:00Z"),
            ("15-55/20 12 * * *", "2026-11-29T12:35:00Z"),
            ("0 0 1 * *", "2026-12-01T00:00:00Z"),
            ("0 0 1,15 dec Fri", "2026-12-01T00:00:00Z"),
            ("0 0 1 1,6 *", "never"),
        ] {
            assert_eq!(next(text, "UTC", "2026-11-29T12:30:00Z").as_str(), expected, "{text}");
        }
    }

    #[test]
    fn the_zone_of_the_action_counts() {
        assert_eq!(next("0 9 * * *", "America/New_York", "2026-11-29T12:30:00Z"), "2026-11-29T14:00:00Z");
        // Skipped on that night: due when the clocks have changed.
        assert_eq!(next("30 1 29 3 *", "Europe/London", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn s3_what_is_not_understood_is_not_read() {
        for text in
            ["", "0 9 * *", "0 9 * * * 2026", "60 9 * * *", "0 9 L * *", "0 9 * * FOO", "5-1 9 * * *", "*/0 * * * *"]
        {
            assert!(Cron::read(text).is_none(), "{text:?}");
        }
    }
}
