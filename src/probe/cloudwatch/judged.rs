//! What an alarm or a metric says, as a reading. Nothing here asks anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{
    CompositeAlarm, EvaluationState, MetricAlarm, MetricDataResult, StateValue, StatusCode,
};

use crate::model::{OwnTime, Reading, span_text};
use crate::policy::{CloudwatchMetricProbe, MissingData};
use crate::probe::{Taken, finite, share, text};

/// An alarm of either type.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    arn: String,
    state: Option<StateValue>,
    reason: String,
    evaluation: Option<EvaluationState>,
    /// Over which it is evaluated; `None` of a composite one, which follows its children.
    span: Option<Duration>,
}

impl Alarm {
    /// A metric's, with its name.
    pub(super) fn of_metric(alarm: &MetricAlarm) -> Option<(String, Self)> {
        let seconds = |of: Option<i32>| of.and_then(|of| u64::try_from(of).ok());
        // One by metric math has a period in each of its queries.
        let queries = alarm.metrics().iter().filter_map(|query| {
            seconds(
                query.period().or_else(|| query.metric_stat().and_then(aws_sdk_cloudwatch::types::MetricStat::period)),
            )
        });
        let period = seconds(alarm.period()).or_else(|| queries.max());
        let span = period
            .zip(seconds(alarm.evaluation_periods()))
            .map(|(period, periods)| Duration::from_secs(period.saturating_mul(periods)));
        let this = Self {
            arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
            state: alarm.state_value().cloned(),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            evaluation: alarm.evaluation_state().cloned(),
            span,
        };
        Some((alarm.alarm_name()?.to_owned(), this))
    }

    /// A composite one, with its name.
    pub(super) fn composite(alarm: &CompositeAlarm) -> Option<(String, Self)> {
        let this = Self {
            arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
            state: alarm.state_value().cloned(),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            evaluation: None,
            span: None,
        };
        Some((alarm.alarm_name()?.to_owned(), this))
    }
}

/// `OK` is good. Everything else is bad (S3): another state, an alarm that judges by a part of its data, no such alarm, or
/// one of another account than the ARN names.
pub(super) fn alarm_reading(wanted: &str, found: Option<&Alarm>) -> Result<Taken, String> {
    let Some(alarm) = found else { return Err("there is no such alarm in this account and region".to_owned()) };
    if wanted.starts_with("arn:") && alarm.arn != wanted {
        return Err(format!("the one of this name here is {}", text::cut(&alarm.arn, 200)));
    }
    if let Some(evaluation) = &alarm.evaluation {
        return Err(format!("it is evaluated by less than all of its data: {evaluation}"));
    }
    match &alarm.state {
        Some(StateValue::Ok) => Ok(Taken { reading: Reading::Good, own_time: OwnTime { age: None, span: alarm.span } }),
        Some(other) => Err(format!("is in {other}: {}", text::cut(&text::clean(&alarm.reason), 150))),
        None => Err("has no state".to_owned()),
    }
}

/// The data of one query.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// By when the period began, in seconds since 1970, its value.
    points: BTreeMap<i64, f64>,
    status: Option<StatusCode>,
    messages: Vec<String>,
}

impl Series {
    /// A page of it. That of an earlier page is whole only with the last one.
    pub(super) fn add(&mut self, page: &MetricDataResult) {
        self.points.extend(page.timestamps().iter().zip(page.values()).map(|(at, value)| (at.secs(), *value)));
        self.status = page.status_code().cloned();
        let said = page.messages().iter().filter_map(aws_sdk_cloudwatch::types::MessageData::value);
        self.messages.extend(said.map(str::to_owned));
    }

    /// Its points, if the answer to the query is whole.
    fn whole(&self) -> Result<&BTreeMap<i64, f64>, String> {
        match &self.status {
            Some(StatusCode::Complete) => Ok(&self.points),
            Some(other) => {
                let said = self.messages.join("; ");
                Err(format!("the answer is {other}: {}", text::cut(&text::clean(&said), 150)))
            }
            None => Err("the answer does not say whether it is complete".to_owned()),
        }
    }
}

/// The points of a query, if it is answered and whole.
fn points(found: Option<&Series>) -> Result<&BTreeMap<i64, f64>, String> {
    found.ok_or_else(|| "the answer leaves it out".to_owned())?.whole()
}

/// How long ago a period ended that began at this time; `None` while it is under way.
fn age(began_at: i64, period: Duration, now: Duration) -> Option<Duration> {
    now.checked_sub(Duration::from_secs(u64::try_from(began_at).ok()?) + period)
}

/// The value of the newest period that is over, if it ended at most `most` ago. `now` since 1970.
pub(super) fn metric_reading(
    probe: &CloudwatchMetricProbe,
    found: Option<&Series>,
    now: Duration,
    most: Duration,
) -> Result<Taken, String> {
    let newest = points(found)?.last_key_value();
    let newest = newest.and_then(|(at, value)| Some((age(*at, probe.period, now)?, *value)));
    let own_time = |age| OwnTime { age, span: Some(probe.period) };
    match (newest, probe.missing) {
        (Some((age, value)), _) if age <= most => Ok(Taken { reading: finite(value)?, own_time: own_time(Some(age)) }),
        (_, MissingData::Zero) => Ok(Taken { reading: Reading::Number(0.0), own_time: own_time(None) }),
        (Some((age, _)), MissingData::Bad) => {
            Err(format!("its newest period is {} old, of {} allowed", span_text(age), span_text(most)))
        }
        (None, MissingData::Bad) => Err(format!("it has no data of the last {}", span_text(most))),
    }
}

/// The share of the events in all that there were, of the newest period that is over and has both, if it ended at most `most`
/// ago. `now` since 1970. No data of the events may mean 0; no data of what they are a share of is bad.
pub(super) fn share_reading(
    probe: &CloudwatchMetricProbe,
    events: Option<&Series>,
    of: Option<&Series>,
    now: Duration,
    most: Duration,
) -> Result<Taken, String> {
    let events = points(events)?;
    let of = points(of).map_err(|why| format!("its `of`, {}: {why}", probe.of.as_deref().unwrap_or_default()))?;
    let count = |at: &i64| match probe.missing {
        MissingData::Zero => Some(events.get(at).copied().unwrap_or(0.0)),
        MissingData::Bad => events.get(at).copied(),
    };
    let both = |(at, of): (&i64, &f64)| Some((age(*at, probe.period, now)?, count(at)?, *of));
    match of.iter().rev().find_map(both) {
        Some((age, events, of)) if age <= most => {
            let own_time = OwnTime { age: Some(age), span: Some(probe.period) };
            Ok(Taken { reading: share(Reading::Number(events), Reading::Number(of))?, own_time })
        }
        Some((age, _, _)) => {
            let (age, most) = (span_text(age), span_text(most));
            Err(format!("the newest period with both counts is {age} old, of {most} allowed"))
        }
        None => Err(format!("there is no period of the last {} with both counts", span_text(most))),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::primitives::DateTime;

    use super::*;
    use crate::model::Share;

    const ARN: &str = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:index";

    fn alarm(state: StateValue) -> Alarm {
        let alarm = MetricAlarm::builder()
            .alarm_name("index")
            .alarm_arn(ARN)
            .state_value(state)
            .state_reason("Threshold Crossed")
            .period(60)
            .evaluation_periods(5)
            .build();
        Alarm::of_metric(&alarm).expect("a name").1
    }

    #[test]
    fn s3_ok_alone_is_good() {
        let taken = alarm_reading("index", Some(&alarm(StateValue::Ok))).expect("good");
        assert_eq!((taken.reading, taken.own_time.span), (Reading::Good, Some(Duration::from_secs(300))));
        assert!(alarm_reading(ARN, Some(&alarm(StateValue::Ok))).is_ok());
        for state in ["ALARM", "INSUFFICIENT_DATA", "of-next-year"] {
            let why = alarm_reading("index", Some(&alarm(StateValue::from(state)))).expect_err(state);
            assert_eq!(why, format!("is in {state}: Threshold Crossed"));
        }
        assert!(alarm_reading("index", None).is_err());
        let elsewhere = ARN.replace("123456789012", "210987654321");
        assert!(alarm_reading(&elsewhere, Some(&alarm(StateValue::Ok))).is_err(), "of another account");
        let partial = Alarm { evaluation: Some(EvaluationState::PartialData), ..alarm(StateValue::Ok) };
        assert!(alarm_reading("index", Some(&partial)).is_err());
        assert!(alarm_reading("index", Some(&Alarm { state: None, ..alarm(StateValue::Ok) })).is_err());
    }

    fn probe(missing: MissingData) -> CloudwatchMetricProbe {
        CloudwatchMetricProbe {
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: "RequestCount".to_owned(),
            of: None,
            dimensions: BTreeMap::new(),
            statistic: "Sum".to_owned(),
            period: Duration::from_secs(60),
            missing,
            region: None,
        }
    }

    fn series(points: &[(i64, f64)], status: StatusCode) -> Series {
        let mut series = Series::default();
        let mut page = MetricDataResult::builder().status_code(status);
        for (at, value) in points {
            page = page.timestamps(DateTime::from_secs(*at)).values(*value);
        }
        series.add(&page.build());
        series
    }

    fn read(series: &Series, missing: MissingData) -> Result<f64, String> {
        let (now, most) = (Duration::from_secs(100_000), Duration::from_secs(120));
        match metric_reading(&probe(missing), Some(series), now, most)?.reading {
            Reading::Number(number) => Ok(number),
            Reading::Share(_) | Reading::Good => panic!("no number"),
        }
    }

    #[test]
    fn s3_the_newest_period_that_is_over_is_read_and_no_older_one_than_allowed() {
        for (points, reading) in [
            // Over at 99 960, 40 s ago.
            (&[(99_900, 5.0), (99_840, 6.0)][..], Ok(5.0)),
            (&[(99_840, 6.0)], Ok(6.0)),
            (&[(99_820, 6.0)], Ok(6.0)),
            (&[(99_780, 6.0)], Err("its newest period is 2m 40s old, of 2m allowed")),
            // Under way still.
            (&[(99_960, 5.0)], Err("it has no data of the last 2m")),
            (&[], Err("it has no data of the last 2m")),
            (&[(99_900, f64::NAN)], Err("read NaN, not a finite number")),
        ] {
            let read = read(&series(points, StatusCode::Complete), MissingData::Bad);
            assert_eq!(read, reading.map_err(str::to_owned), "{points:?}");
        }
    }

    #[test]
    fn no_data_is_zero_only_where_the_policy_says_so_and_the_answer_is_complete() {
        assert_eq!(read(&series(&[], StatusCode::Complete), MissingData::Zero), Ok(0.0));
        assert_eq!(read(&series(&[(99_780, 6.0)], StatusCode::Complete), MissingData::Zero), Ok(0.0));
        assert_eq!(read(&series(&[(99_900, 6.0)], StatusCode::Complete), MissingData::Zero), Ok(6.0));
        for status in [StatusCode::PartialData, StatusCode::InternalError, StatusCode::Forbidden] {
            assert!(read(&series(&[], status.clone()), MissingData::Zero).is_err(), "{status}");
            assert!(read(&series(&[(99_900, 6.0)], status.clone()), MissingData::Bad).is_err(), "{status}");
        }
        assert!(metric_reading(&probe(MissingData::Zero), None, Duration::ZERO, Duration::ZERO).is_err());
    }

    fn share_of(events: &[(i64, f64)], of: &[(i64, f64)], missing: MissingData) -> Result<(f64, f64, u64), String> {
        let probe = CloudwatchMetricProbe { of: Some("All".to_owned()), ..probe(missing) };
        let (now, most) = (Duration::from_secs(100_000), Duration::from_secs(120));
        let series = |points| series(points, StatusCode::Complete);
        let taken = share_reading(&probe, Some(&series(events)), Some(&series(of)), now, most)?;
        assert_eq!(taken.own_time.span, Some(Duration::from_secs(60)));
        let Reading::Share(Share { events, of }) = taken.reading else { panic!("no share") };
        Ok((events, of, taken.own_time.age.expect("an age").as_secs()))
    }

    #[test]
    fn s3_a_share_is_of_the_newest_period_that_has_both_counts() {
        let late = "there is no period of the last 2m with both counts";
        for (events, of, bad, zero) in [
            (&[(99_900, 5.0)][..], &[(99_900, 50.0), (99_840, 60.0)][..], Ok((5.0, 50.0, 40)), Ok((5.0, 50.0, 40))),
            // One of them comes later.
            (&[(99_840, 6.0)], &[(99_900, 50.0), (99_840, 60.0)], Ok((6.0, 60.0, 100)), Ok((0.0, 50.0, 40))),
            (&[(99_900, 5.0), (99_840, 6.0)], &[(99_840, 60.0)], Ok((6.0, 60.0, 100)), Ok((6.0, 60.0, 100))),
            (&[(99_900, 5.0)], &[(99_840, 60.0)], Err(late), Ok((0.0, 60.0, 100))),
            (&[], &[(99_900, 50.0)], Err(late), Ok((0.0, 50.0, 40))),
            // No traffic is no good news, whatever `missing` says.
            (&[(99_900, 5.0)], &[], Err(late), Err(late)),
            (&[], &[], Err(late), Err(late)),
            (&[], &[(99_900, 0.0)], Err(late), Err("read 0 of 0: nothing happened that could fail")),
            // Under way still.
            (&[(99_960, 5.0)], &[(99_960, 50.0)], Err(late), Err(late)),
            (
                &[(99_780, 5.0)],
                &[(99_780, 50.0)],
                Err("the newest period with both counts is 2m 40s old, of 2m allowed"),
                Err("the newest period with both counts is 2m 40s old, of 2m allowed"),
            ),
            (
                &[(99_900, 6.0)],
                &[(99_900, 5.0)],
                Err("read 6 of 5: more than there are"),
                Err("read 6 of 5: more than there are"),
            ),
        ] {
            assert_eq!(share_of(events, of, MissingData::Bad), bad.map_err(str::to_owned), "{events:?} {of:?}");
            assert_eq!(share_of(events, of, MissingData::Zero), zero.map_err(str::to_owned), "{events:?} {of:?}");
        }
    }

    #[test]
    fn s3_a_share_of_an_answer_that_is_not_whole_is_bad() {
        let probe = CloudwatchMetricProbe { of: Some("All".to_owned()), ..probe(MissingData::Zero) };
        let (now, most) = (Duration::from_secs(100_000), Duration::from_secs(120));
        let good = series(&[(99_900, 5.0)], StatusCode::Complete);
        let part = series(&[(99_900, 5.0)], StatusCode::PartialData);
        for (events, of, why) in [
            (Some(&part), Some(&good), "the answer is PartialData: "),
            (Some(&good), Some(&part), "its `of`, All: the answer is PartialData: "),
            (None, Some(&good), "the answer leaves it out"),
            (Some(&good), None, "its `of`, All: the answer leaves it out"),
        ] {
            assert_eq!(share_reading(&probe, events, of, now, most), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_series_in_pages_is_whole_with_the_last_of_them() {
        let mut series = series(&[(99_900, 5.0)], StatusCode::PartialData);
        assert!(read(&series, MissingData::Bad).is_err());
        let last = MetricDataResult::builder().status_code(StatusCode::Complete);
        series.add(&last.timestamps(DateTime::from_secs(99_840)).values(6.0).build());
        assert_eq!(read(&series, MissingData::Bad), Ok(5.0));
    }
}
