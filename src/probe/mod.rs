//! Reads probes: the thin shell between a policy's `[[health.probe]]` and a [`Sample`].
//!
//! [`Probes`] implements [`Prober`] and passes each kind to its own file. Any failure is a bad sample with a message
//! that says what was tried (S3). Nothing here returns an error or waits longer than the probe's `timeout`. Whether a
//! number is good is decided in `health`.
//!
//! Each kind has a function that reads once and returns `Result<Reading, String>`; what asks by HTTP shares [`web`] and
//! [`secrets`]. To add a kind: a variant of [`ProbeKind`], a file here, a line in [`Probes::read`].

#[cfg(feature = "aws")]
mod cloudwatch;
mod exec;
mod http;
mod json;
pub(crate) mod program;
mod prometheus;
mod secrets;
#[cfg(feature = "aws")]
mod target_group;
mod tcp;
pub(crate) mod text;
pub(crate) mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::model::{HostId, OwnTime, ProbeKey, Reading, Sample, Share, SubsystemName, Time, duration_text};
use crate::policy::{ProbeKind, ProbeSpec, ProviderKind, SimulatedMetric};
use crate::ports::{Clock, Prober};

/// Longer timeouts are cut to this one: clocks cannot count for ever.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// The source of the simulated fleet's metrics.
#[async_trait]
pub(crate) trait SimulatedMetrics: Send + Sync {
    /// The current metric of a subsystem, or why there is none.
    async fn metric(&self, subsystem: &SubsystemName, metric: SimulatedMetric) -> Result<f64, String>;
}

/// What probes need of this machine and is not there: the files and variables of headers.
pub(crate) fn missing(probes: &BTreeMap<ProbeKey, ProbeSpec>) -> BTreeMap<ProbeKey, String> {
    let missing = |(key, spec): (&ProbeKey, &ProbeSpec)| {
        let (headers, url) = match &spec.kind {
            ProbeKind::Http(http) => (&http.headers, &http.url),
            ProbeKind::Prometheus(prometheus) => (&prometheus.headers, &prometheus.url),
            ProbeKind::Simulated { .. }
            | ProbeKind::Tcp { .. }
            | ProbeKind::Exec { .. }
            | ProbeKind::TargetGroup { .. }
            | ProbeKind::CloudwatchAlarm(_)
            | ProbeKind::CloudwatchMetric(_) => return None,
        };
        Some((key.clone(), secrets::Secrets::of(headers, url).err()?))
    };
    probes.iter().filter_map(missing).collect()
}

/// A reading, and what is known of its own time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    reading: Reading,
    own_time: OwnTime,
}

impl Taken {
    /// A reading of a moment that nobody else dates.
    fn now(reading: Reading) -> Self {
        Self { reading, own_time: OwnTime::default() }
    }

    /// A reading that was this old when it came.
    fn aged(reading: Reading, age: Option<Duration>) -> Self {
        Self { reading, own_time: OwnTime { age, span: None } }
    }

    fn sample(taken: Result<Self, String>, key: &ProbeKey, begun_at: Time, ended_at: Time) -> Sample {
        let own_time = taken.as_ref().map(|taken| taken.own_time).unwrap_or_default();
        let reading = taken.map(|taken| taken.reading).map_err(|why| text::clean(&why));
        Sample { key: key.clone(), begun_at, ended_at, reading, own_time }
    }
}

/// Reads every kind of probe.
pub(crate) struct Probes {
    clock: Arc<dyn Clock>,
    web: web::Web,
    simulated: Option<Arc<dyn SimulatedMetrics>>,
    #[cfg(feature = "aws")]
    target_groups: target_group::TargetGroups,
    #[cfg(feature = "aws")]
    cloudwatch: cloudwatch::CloudWatch,
}

impl Probes {
    /// `clock` dates the samples. `simulated` is the simulated fleet; without it, probes of that kind are bad.
    pub(crate) fn new(clock: Arc<dyn Clock>, simulated: Option<Arc<dyn SimulatedMetrics>>) -> Self {
        Self {
            clock,
            web: web::Web::new(),
            simulated,
            #[cfg(feature = "aws")]
            target_groups: target_group::TargetGroups::default(),
            #[cfg(feature = "aws")]
            cloudwatch: cloudwatch::CloudWatch::default(),
        }
    }

    /// The same with the role that the fleet is reached with, and its region.
    pub(crate) fn for_fleet(self, provider: &ProviderKind) -> Self {
        #[cfg(feature = "aws")]
        let this = Self {
            target_groups: target_group::TargetGroups::with(provider.role().cloned()),
            cloudwatch: cloudwatch::CloudWatch::of(provider),
            ..self
        };
        #[cfg(not(feature = "aws"))]
        let (this, _) = (self, provider);
        this
    }

    async fn sample(&self, key: &ProbeKey, spec: &ProbeSpec, out: &BTreeSet<HostId>) -> Sample {
        let begun_at = self.clock.now();
        let taken = self.read(key, spec, out).await;
        Taken::sample(taken, key, begun_at, self.clock.now())
    }

    async fn read(&self, key: &ProbeKey, spec: &ProbeSpec, out: &BTreeSet<HostId>) -> Result<Taken, String> {
        let timeout = spec.timeout.min(LONGEST_TIMEOUT);
        match &spec.kind {
            ProbeKind::Simulated { metric } => self.simulated(&key.subsystem, *metric, timeout).await.map(Taken::now),
            ProbeKind::Http(probe) => http::read(&self.web, probe, spec.max_age, timeout).await,
            ProbeKind::Tcp { address } => tcp::read(address, timeout).await.map(Taken::now),
            ProbeKind::Exec { command } => exec::read(key, command, out, timeout).await.map(Taken::now),
            ProbeKind::Prometheus(probe) => prometheus::read(&self.web, probe, spec.max_age, timeout).await,
            #[cfg(feature = "aws")]
            ProbeKind::TargetGroup { arn } => self.target_groups.read(arn, timeout).await.map(Taken::now),
            #[cfg(not(feature = "aws"))]
            ProbeKind::TargetGroup { .. } => Err(WITHOUT_AWS.to_owned()),
            #[cfg(feature = "aws")]
            ProbeKind::CloudwatchAlarm(_) | ProbeKind::CloudwatchMetric(_) => {
                Err("is read with all others of CloudWatch".to_owned())
            }
            #[cfg(not(feature = "aws"))]
            ProbeKind::CloudwatchAlarm(_) | ProbeKind::CloudwatchMetric(_) => Err(WITHOUT_AWS.to_owned()),
        }
    }

    /// Those of CloudWatch, which share calls.
    #[cfg(feature = "aws")]
    async fn together(&self, probes: &[(&ProbeKey, &ProbeSpec)]) -> Vec<Sample> {
        let begun_at = self.clock.now();
        let taken = self.cloudwatch.round(probes).await;
        let ended_at = self.clock.now();
        taken.into_iter().map(|(key, taken)| Taken::sample(taken, &key, begun_at, ended_at)).collect()
    }

    #[cfg(not(feature = "aws"))]
    async fn together(&self, probes: &[(&ProbeKey, &ProbeSpec)]) -> Vec<Sample> {
        let nothing = BTreeSet::new();
        join_all(probes.iter().map(|(key, spec)| self.sample(key, spec, &nothing))).await
    }

    /// The samples of these probes, or after `patience` a bad one of each (S7).
    async fn patiently(
        &self,
        keys: &[&ProbeKey],
        patience: Option<Duration>,
        reads: impl Future<Output = Vec<Sample>>,
    ) -> Vec<Sample> {
        let Some(patience) = patience else { return reads.await };
        let begun_at = self.clock.now();
        tokio::time::timeout(patience, reads).await.unwrap_or_else(|_| {
            let why = format!("no answer within {}: hosts are put back meanwhile", duration_text(patience));
            let late = |key: &&ProbeKey| Taken::sample(Err(why.clone()), key, begun_at, self.clock.now());
            keys.iter().map(late).collect()
        })
    }

    async fn simulated(
        &self,
        subsystem: &SubsystemName,
        metric: SimulatedMetric,
        timeout: Duration,
    ) -> Result<Reading, String> {
        let Some(fleet) = &self.simulated else {
            return Err("needs the simulated fleet, which this provider is not".to_owned());
        };
        // The fleet's state is a local file that other processes may have locked.
        match tokio::time::timeout(timeout, fleet.metric(subsystem, metric)).await {
            Ok(answer) => answer.and_then(finite),
            Err(_) => Err(text::timed_out("the simulated fleet", timeout)),
        }
    }
}

#[cfg(not(feature = "aws"))]
const WITHOUT_AWS: &str = "this safe-remove was built without AWS";

#[async_trait]
impl Prober for Probes {
    async fn round(
        &self,
        probes: &BTreeMap<ProbeKey, ProbeSpec>,
        out: &BTreeSet<HostId>,
        patience: Option<Duration>,
    ) -> Vec<Sample> {
        let shares_calls = |(_, spec): &(&ProbeKey, &ProbeSpec)| {
            matches!(spec.kind, ProbeKind::CloudwatchAlarm(_) | ProbeKind::CloudwatchMetric(_))
        };
        let (together, alone): (Vec<_>, Vec<_>) = probes.iter().partition(shares_calls);
        let alone = alone.into_iter().map(async |(key, spec)| {
            self.patiently(&[key], patience, async { vec![self.sample(key, spec, out).await] }).await
        });
        let keys: Vec<&ProbeKey> = together.iter().map(|(key, _)| *key).collect();
        let together = self.patiently(&keys, patience, self.together(&together));
        let (alone, together) = tokio::join!(join_all(alone), together);
        alone.into_iter().flatten().chain(together).collect()
    }
}

/// S3: a number that is not finite is not a reading, whatever its source.
fn finite(number: f64) -> Result<Reading, String> {
    if number.is_finite() { Ok(Reading::Number(number)) } else { Err(format!("read {number}, not a finite number")) }
}

/// S3: the same of two counts, such as 0 of 0, where nothing says how it would have gone.
fn share(events: Reading, of: Reading) -> Result<Reading, String> {
    match (events, of) {
        (Reading::Number(events), Reading::Number(of)) => {
            let share = Share { events, of };
            share.flaw().map_or(Ok(Reading::Share(share)), Err)
        }
        (
            Reading::Number(_) | Reading::Share(_) | Reading::Good,
            Reading::Number(_) | Reading::Share(_) | Reading::Good,
        ) => Err("two counts are two numbers".to_owned()),
    }
}

/// Milliseconds with three decimals: finer digits are noise.
fn millis(elapsed: Duration) -> Reading {
    #[expect(clippy::cast_precision_loss, reason = "a probe's microseconds are far below 2^53")]
    let micros = elapsed.as_micros() as f64;
    Reading::Number(micros / 1_000.0)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
