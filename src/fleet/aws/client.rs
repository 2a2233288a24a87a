//! Two kinds of SDK clients. Main type: [`Clients`].
//!
//! Reads may be retried, within limits. Effects are sent once: their clients have no retries, and every request is
//! signed with the time of its intent, or an earlier time if its deadline comes sooner. AWS refuses a call at most 15 minutes
//! after its intent, whatever happens here: also a call that was queued somewhere, or whose process was frozen.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_async::time::StaticTimeSource;

use super::answers::WholeAnswers;
use super::clock::{Attention, ClockWatch};
use crate::model::Time;

/// How old a group's activities, hooks, scheduled actions, scaling policies and instance refreshes may be, and the tags of
/// target groups. Capacity does not depend on them. Three calls per group for every sample of a bake would use up the
/// account's call rate, which the group's own control loop needs too.
pub(super) const DETAIL_AGE: Duration = Duration::from_secs(60);

/// Concurrent calls, per kind.
pub(super) const CONCURRENCY: usize = 8;

/// The timeouts and limits of calls.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The timeout of one request of a read. A page that does not arrive is requested again.
    pub attempt: Duration,
    /// How many attempts a read has in all.
    pub attempts: u32,
    /// The timeout of one read with its retries.
    pub read: Duration,
    /// The timeout of an observation of the whole region. Lists have pages that are read one after the other, and each read
    /// has a timeout of its own: this one only ends what never ends. An observation older than `max_age` can be shown, but
    /// not acted on.
    pub observation: Duration,
    /// The timeout of an observation of the part of the region that concerns a run.
    pub part: Duration,
    /// The timeout of one effect. Longer than a read's: giving up early turns an answer into a doubt that holds the
    /// host for a quarter of an hour.
    pub effect: Duration,
    /// The wait before a contradictory observation is made a second and last time: long enough for an instance that was
    /// just launched or terminated to show in both lists.
    pub reread: Duration,
    /// The most items on one page of a list; each service has its own limit. Few long pages are faster than many short
    /// ones, and an observation must be young.
    pub page: i32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(5),
            attempts: 4,
            read: Duration::from_secs(12),
            observation: Duration::from_secs(180),
            part: Duration::from_secs(30),
            effect: Duration::from_secs(20),
            reread: Duration::from_secs(2),
            page: 1000,
        }
    }
}

/// The timeout of a connection: it is made at once or not at all.
const CONNECT: Duration = Duration::from_secs(3);

/// The first wait between two attempts of a read; it doubles, with jitter, up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(400);
/// An observation is useless after 10 s, and so are longer waits.
const MAX_BACKOFF: Duration = Duration::from_secs(3);

/// The clients of one region.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) reads: Services,
    /// Send once. Use them only through [`signed`].
    pub(super) effects: Services,
}

/// The services that hosts belong to.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) elb: aws_sdk_elasticloadbalancingv2::Client,
}

impl Clients {
    pub(super) fn new(sdk: &SdkConfig, timeouts: &Timeouts, clock: &Arc<ClockWatch>) -> Self {
        let reading = sdk
            .to_builder()
            .retry_config(
                RetryConfig::adaptive()
                    .with_max_attempts(timeouts.attempts.max(1))
                    .with_initial_backoff(BACKOFF)
                    .with_max_backoff(MAX_BACKOFF),
            )
            .timeout_config(timeout_config(timeouts.attempt, timeouts.read))
            .build();
        let acting = sdk
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeout_config(timeouts.effect, timeouts.effect))
            // It measures against the signing time, which stands still here; the timeout is enough.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            sts: aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::config::Builder::from(&reading)
                    .interceptor(Attention(Arc::clone(clock)))
                    .interceptor(WholeAnswers)
                    .disable_clock_skew_correction(true)
                    .build(),
            ),
            reads: Services::new(&reading, clock),
            effects: Services::new(&acting, clock),
        }
    }
}

impl Services {
    fn new(sdk: &SdkConfig, clock: &Arc<ClockWatch>) -> Self {
        // The SDK learns the difference of the clocks from the answers and adds it to the time of the next signature.
        // Here the signing time is held at the intent's, so the SDK would take the age of a call for such a difference
        // and sign the next call as if it were younger. Reads do not need it either: a clock that is off is reported,
        // not worked around.
        Self {
            autoscaling: aws_sdk_autoscaling::Client::from_conf(
                aws_sdk_autoscaling::config::Builder::from(sdk)
                    .interceptor(Attention(Arc::clone(clock)))
                    .interceptor(WholeAnswers)
                    .disable_clock_skew_correction(true)
                    .build(),
            ),
            ec2: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(sdk)
                    .interceptor(Attention(Arc::clone(clock)))
                    .interceptor(WholeAnswers)
                    .disable_clock_skew_correction(true)
                    .build(),
            ),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                aws_sdk_elasticloadbalancingv2::config::Builder::from(sdk)
                    .interceptor(Attention(Arc::clone(clock)))
                    .interceptor(WholeAnswers)
                    .disable_clock_skew_correction(true)
                    .build(),
            ),
        }
    }
}

fn timeout_config(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// The signing time of a call: AWS refuses the call 15 minutes later at the latest ([`super::signatures`]).
pub(super) fn signing_time(intent_at: Time) -> StaticTimeSource {
    let millis = u64::try_from(intent_at.as_millis()).unwrap_or(0);
    StaticTimeSource::new(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}
