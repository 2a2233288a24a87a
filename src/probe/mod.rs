//! Reads probes: the thin shell between a policy's `[[health.probe]]` and a [`Sample`].
//!
//! [`Probes`] implements [`Prober`] and passes each kind to its own file. Any failure is a bad sample with a message
//! that says what was tried (S3). Nothing here returns an error or waits longer than the probe's `timeout`. Whether a
//! number is good is decided in `health`.
//!
//! Each kind has a function that reads once and returns `Result<Reading, String>`. To add a kind: a variant of
//! [`ProbeKind`], a file here, a line in [`Probes::read`].

mod exec;
mod http;
mod json;
#[cfg(feature = "aws")]
mod target_group;
mod tcp;
mod text;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{ProbeKey, Reading, Sample, SubsystemName};
use crate::policy::{AssumedRole, ProbeKind, ProbeSpec};
use crate::ports::{Clock, Prober};

/// Longer timeouts are cut to this one: clocks cannot count for ever.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// The source of the simulated fleet's metrics.
#[async_trait]
pub(crate) trait SimulatedMetrics: Send + Sync {
    /// The current metric of a subsystem, or why there is none.
    async fn metric(&self, subsystem: &SubsystemName, metric: crate::policy::SimulatedMetric) -> Result<f64, String>;
}

/// Reads every kind of probe.
pub(crate) struct Probes {
    clock: Arc<dyn Clock>,
    http: http::HttpClient,
    simulated: Option<Arc<dyn SimulatedMetrics>>,
    #[cfg(feature = "aws")]
    target_groups: target_group::TargetGroups,
}

impl Probes {
    /// `clock` dates the samples. `simulated` is the simulated fleet; without it, probes of that kind are bad.
    pub(crate) fn new(clock: Arc<dyn Clock>, simulated: Option<Arc<dyn SimulatedMetrics>>) -> Self {
        Self {
            clock,
            http: http::HttpClient::new(),
            simulated,
            #[cfg(feature = "aws")]
            target_groups: target_group::TargetGroups::default(),
        }
    }

    /// The same, where the fleet is reached with this role.
    pub(crate) fn with_role(self, role: Option<&AssumedRole>) -> Self {
        #[cfg(feature = "aws")]
        let this = Self { target_groups: target_group::TargetGroups::with(role.cloned()), ..self };
        #[cfg(not(feature = "aws"))]
        let (this, _) = (self, role);
        this
    }

    async fn read(&self, key: &ProbeKey, spec: &ProbeSpec) -> Result<Reading, String> {
        let timeout = spec.timeout.min(LONGEST_TIMEOUT);
        match &spec.kind {
            ProbeKind::Simulated { metric } => match &self.simulated {
                None => Err("needs the simulated fleet, which this provider is not".to_owned()),
                Some(fleet) => {
                    // The fleet's state is a local file that other processes may have locked.
                    match tokio::time::timeout(timeout, fleet.metric(&key.subsystem, *metric)).await {
                        Ok(answer) => answer.and_then(finite),
                        Err(_) => Err(text::timed_out("the simulated fleet", timeout)),
                    }
                }
            },
            ProbeKind::Http { url, method, expect_status, pointer } => {
                let request = http::Request {
                    url: url.clone(),
                    method: method.clone(),
                    expect_status: expect_status.clone(),
                    pointer: pointer.clone(),
                    max_age: spec.max_age,
                    timeout,
                };
                self.http.read(request).await
            }
            ProbeKind::Tcp { address } => tcp::read(address, timeout).await,
            #[cfg(feature = "aws")]
            ProbeKind::TargetGroup { arn } => self.target_groups.read(arn, timeout).await,
            #[cfg(not(feature = "aws"))]
            ProbeKind::TargetGroup { .. } => Err("this safe-remove was built without AWS".to_owned()),
            ProbeKind::Exec { command } => exec::read(key, command, timeout).await,
        }
    }
}

#[async_trait]
impl Prober for Probes {
    async fn sample(&self, subsystem: &SubsystemName, probe: &ProbeSpec) -> Sample {
        let key = ProbeKey { subsystem: subsystem.clone(), probe: probe.name.clone() };
        let begun_at = self.clock.now();
        let reading = self.read(&key, probe).await.map_err(|why| text::clean(&why));
        Sample { begun_at, ended_at: self.clock.now(), reading, key }
    }
}

/// S3: a number that is not finite is not a reading, whatever its source.
fn finite(number: f64) -> Result<Reading, String> {
    if number.is_finite() { Ok(Reading::Number(number)) } else { Err(format!("read {number}, not a finite number")) }
}

/// Milliseconds with three decimals: finer digits are noise.
fn millis(elapsed: Duration) -> Reading {
    #[expect(clippy::cast_precision_loss, reason = "a probe's microseconds are far below 2^53")]
    let micros = elapsed.as_micros() as f64;
    Reading::Number(micros / 1_000.0)
}

#[cfg(test)]
mod tests;
