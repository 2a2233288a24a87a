//! `cloudwatch-alarm` and `cloudwatch-metric`: alarms by `DescribeAlarms`, metrics by `GetMetricData`.
//!
//! All alarms of a region are asked about in one call (100 names in each, API reference `DescribeAlarms`), and so are all
//! metrics of one period (500 queries in each, `GetMetricData`). Only periods that are over are asked for: the newest may
//! still grow while data come late, the one under way is not whole.

mod judged;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::future::join_all;
use tokio::sync::Mutex;

use self::judged::{Alarm, Series, alarm_reading, metric_reading, share_reading};
use super::{LONGEST_TIMEOUT, Taken, text};
use crate::credentials;
use crate::model::{ProbeKey, chain};
use crate::policy::{
    AssumedRole, CloudwatchAlarmProbe, CloudwatchMetricProbe, ProbeKind, ProbeSpec, ProviderKind, alarm_of,
};

/// Names in one call (API reference `DescribeAlarms`, `AlarmNames`).
const ALARMS: usize = 100;

/// Probes in one call, each of one metric or two: 500 queries (API reference `GetMetricData`, `MetricDataQueries`).
const METRICS: usize = 250;

/// Pages of one call; more of what is asked for here do not exist.
const PAGES: usize = 20;

/// What became of each probe.
type Round = Vec<(ProbeKey, Result<Taken, String>)>;

/// A client for each region, with the fleet's role.
#[derive(Debug, Default)]
pub(super) struct CloudWatch {
    role: Option<AssumedRole>,
    /// `None`: what the environment says.
    region: Option<String>,
    clients: Mutex<BTreeMap<Option<String>, Client>>,
}

/// Probes that one call asks about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    region: Option<String>,
    timeout: Duration,
    /// Of metrics, their period and how old a reading may be; `None`: alarms.
    metrics: Option<(Duration, Duration)>,
}

impl CloudWatch {
    /// With the role and the region of a fleet.
    pub(super) fn of(provider: &ProviderKind) -> Self {
        let region = match provider {
            ProviderKind::Aws { region, .. } => Some(region.clone()),
            ProviderKind::Simulated { .. } => None,
        };
        Self { role: provider.role().cloned(), region, clients: Mutex::default() }
    }

    /// Reads all of these probes that are CloudWatch's, each within its timeout, in as few calls as there can be.
    pub(super) async fn round(&self, probes: &[(&ProbeKey, &ProbeSpec)]) -> Round {
        let mut alarms: BTreeMap<Call, Vec<(&ProbeKey, &CloudwatchAlarmProbe)>> = BTreeMap::new();
        let mut metrics: BTreeMap<Call, Vec<(&ProbeKey, &CloudwatchMetricProbe)>> = BTreeMap::new();
        for (key, spec) in probes {
            let timeout = spec.timeout.min(LONGEST_TIMEOUT);
            let region = |own: Option<&str>| own.map(str::to_owned).or_else(|| self.region.clone());
            match &spec.kind {
                ProbeKind::CloudwatchAlarm(alarm) => {
                    let own = alarm_of(&alarm.alarm).map(|(region, _)| region).or(alarm.region.as_deref());
                    let call = Call { region: region(own), timeout, metrics: None };
                    alarms.entry(call).or_default().push((key, alarm));
                }
                ProbeKind::CloudwatchMetric(metric) => {
                    let age = spec.max_age.unwrap_or(LONGEST_TIMEOUT).min(LONGEST_TIMEOUT);
                    let region = region(metric.region.as_deref());
                    let call = Call { region, timeout, metrics: Some((metric.period, age)) };
                    metrics.entry(call).or_default().push((key, metric));
                }
                ProbeKind::Simulated { .. }
                | ProbeKind::Http(_)
                | ProbeKind::Tcp { .. }
                | ProbeKind::Exec { .. }
                | ProbeKind::Prometheus(_)
                | ProbeKind::TargetGroup { .. } => {}
            }
        }
        let alarms = alarms.iter().flat_map(|(call, of)| of.chunks(ALARMS).map(move |of| self.alarms(call, of)));
        let metrics = metrics.iter().flat_map(|(call, of)| of.chunks(METRICS).map(move |of| self.metrics(call, of)));
        let (alarms, metrics) = tokio::join!(join_all(alarms), join_all(metrics));
        alarms.into_iter().chain(metrics).flatten().collect()
    }

    async fn alarms(&self, call: &Call, probes: &[(&ProbeKey, &CloudwatchAlarmProbe)]) -> Round {
        let name = |probe: &CloudwatchAlarmProbe| {
            alarm_of(&probe.alarm).map_or_else(|| probe.alarm.clone(), |(_, name)| name.to_owned())
        };
        let names: BTreeSet<String> = probes.iter().map(|(_, probe)| name(probe)).collect();
        let found = within(call.timeout, "read alarms", self.described(call, names)).await;
        let taken = |probe: &CloudwatchAlarmProbe| {
            let found = found.as_ref().map_err(Clone::clone)?;
            let tried = |why: String| format!("alarm {}: {why}", text::cut(&probe.alarm, 200));
            alarm_reading(&probe.alarm, found.get(&name(probe))).map_err(tried)
        };
        probes.iter().map(|(key, probe)| ((*key).clone(), taken(probe))).collect()
    }

    /// Alarms of both types: without `AlarmTypes` composite ones are left out.
    async fn described(&self, call: &Call, names: BTreeSet<String>) -> Result<BTreeMap<String, Alarm>, String> {
        let cloudwatch = self.client(call.region.as_deref()).await;
        let (mut found, mut token) = (BTreeMap::new(), None);
        for _ in 0..PAGES {
            let asked = cloudwatch
                .describe_alarms()
                .set_alarm_names(Some(names.iter().cloned().collect()))
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .set_next_token(token.take());
            let answer = asked.send().await.map_err(|error| refused(&error))?;
            found.extend(answer.metric_alarms().iter().filter_map(Alarm::of_metric));
            found.extend(answer.composite_alarms().iter().filter_map(Alarm::composite));
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
        Err("the answer does not end".to_owned())
    }

    async fn metrics(&self, call: &Call, probes: &[(&ProbeKey, &CloudwatchMetricProbe)]) -> Round {
        let Some((period, most)) = call.metrics else { return Vec::new() };
        let now = jiff::Timestamp::now().as_duration();
        let until = whole_periods(Duration::try_from(now).unwrap_or_default(), period);
        let found = within(call.timeout, "read metrics", self.data(call, probes, until)).await;
        let now = Duration::try_from(now).unwrap_or_default();
        let taken = |place: usize, probe: &CloudwatchMetricProbe| {
            let found = found.as_ref().map_err(Clone::clone)?;
            let tried = |why: String| format!("metric {} {}: {why}", probe.namespace, probe.metric);
            let [metric, of] = [id(place), id_of_all(place)].map(|id| found.get(&id));
            match &probe.of {
                None => metric_reading(probe, metric, now, most).map_err(tried),
                Some(_) => share_reading(probe, metric, of, now, most).map_err(tried),
            }
        };
        probes.iter().enumerate().map(|(place, (key, probe))| ((*key).clone(), taken(place, probe))).collect()
    }

    /// The data of all periods that are over at `until` and young enough to matter, by the query's id.
    async fn data(
        &self,
        call: &Call,
        probes: &[(&ProbeKey, &CloudwatchMetricProbe)],
        until: Duration,
    ) -> Result<BTreeMap<String, Series>, String> {
        let Some((period, most)) = call.metrics else { return Ok(BTreeMap::new()) };
        let since = until.saturating_sub(whole_periods(most, period)).saturating_sub(period.saturating_mul(2));
        let cloudwatch = self.client(call.region.as_deref()).await;
        let queries = probes.iter().enumerate().flat_map(|(place, (_, probe))| queries(place, probe));
        let queries: Vec<MetricDataQuery> = queries.collect();
        let (mut found, mut token) = (BTreeMap::<String, Series>::new(), None);
        for _ in 0..PAGES {
            let asked = cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(seconds(since))
                .end_time(seconds(until))
                .scan_by(ScanBy::TimestampDescending)
                .set_next_token(token.take());
            let answer = asked.send().await.map_err(|error| refused(&error))?;
            for result in answer.metric_data_results() {
                found.entry(result.id().unwrap_or_default().to_owned()).or_default().add(result);
            }
            if let Some(message) = answer.messages().first() {
                let (code, value) = (message.code().unwrap_or_default(), message.value().unwrap_or_default());
                return Err(format!("the answer is not whole: {code}: {value}"));
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
        Err("the answer does not end".to_owned())
    }

    async fn client(&self, region: Option<&str>) -> Client {
        let mut clients = self.clients.lock().await;
        let region = region.map(str::to_owned);
        if let Some(client) = clients.get(&region) {
            return client.clone();
        }
        let client = Client::new(&credentials::sdk(region.as_deref(), self.role.as_ref()).await);
        clients.insert(region, client.clone());
        client
    }
}

/// The answer within this time, which covers fetching credentials too.
async fn within<T>(
    timeout: Duration,
    tried: &str,
    answer: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(|why| format!("{tried}: {why}")),
        Err(_) => Err(text::timed_out(tried, timeout)),
    }
}

fn refused<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", message.unwrap_or("without a message")),
        (None, _) => chain(error),
    }
}

/// An id begins with a small letter.
fn id(place: usize) -> String {
    format!("m{place}")
}

/// Of the query for all that a share is of.
fn id_of_all(place: usize) -> String {
    format!("of{place}")
}

/// The query of a probe's metric, and that for all that it is a share of.
fn queries(place: usize, probe: &CloudwatchMetricProbe) -> impl Iterator<Item = MetricDataQuery> {
    let all = probe.of.as_ref().map(|of| query(id_of_all(place), of, probe));
    [query(id(place), &probe.metric, probe)].into_iter().chain(all)
}

fn query(id: String, metric: &str, probe: &CloudwatchMetricProbe) -> MetricDataQuery {
    let dimension = |(name, value): (&String, &String)| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace(&probe.namespace)
        .metric_name(metric)
        .set_dimensions(Some(probe.dimensions.iter().map(dimension).collect()))
        .build();
    let period = i32::try_from(probe.period.as_secs()).unwrap_or(i32::MAX);
    let stat = MetricStat::builder().metric(metric).period(period).stat(&probe.statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// So many whole periods as fit: periods begin at multiples of their length since 1970.
fn whole_periods(of: Duration, period: Duration) -> Duration {
    let period = period.as_secs().max(1);
    Duration::from_secs(of.as_secs() / period * period)
}

fn seconds(of: Duration) -> DateTime {
    DateTime::from_secs(i64::try_from(of.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::MissingData;

    fn probe(of: Option<&str>) -> CloudwatchMetricProbe {
        CloudwatchMetricProbe {
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: "HTTPCode_Target_5XX_Count".to_owned(),
            of: of.map(str::to_owned),
            dimensions: BTreeMap::from([("LoadBalancer".to_owned(), "app/index/1".to_owned())]),
            statistic: "Sum".to_owned(),
            period: Duration::from_secs(60),
            missing: MissingData::Bad,
            region: None,
        }
    }

    #[test]
    fn a_share_is_two_queries_that_differ_in_metric_and_id_alone() {
        let probes = [probe(None), probe(Some("RequestCount")), probe(Some("RequestCount"))];
        let queries: Vec<_> = probes.iter().enumerate().flat_map(|(place, probe)| queries(place, probe)).collect();
        let ids: BTreeSet<_> = queries.iter().map(|query| query.id().expect("an id")).collect();
        assert_eq!((queries.len(), ids.len()), (5, 5), "{ids:?}");
        let stats: Vec<_> = queries.iter().map(|query| query.metric_stat().expect("a metric")).collect();
        let named = |stat: &MetricStat| stat.metric().and_then(|metric| metric.metric_name()).map(str::to_owned);
        assert_eq!(named(stats[2]).as_deref(), Some("RequestCount"));
        for (events, of) in [(1, 2), (3, 4)] {
            let metric = |place: usize| stats[place].metric().expect("a metric");
            assert_eq!(metric(events).dimensions(), metric(of).dimensions());
            assert_eq!(metric(events).namespace(), metric(of).namespace());
            assert_eq!((stats[events].period(), stats[of].period()), (Some(60), Some(60)));
            assert_eq!((stats[events].stat(), stats[of].stat()), (Some("Sum"), Some("Sum")));
        }
    }
}
