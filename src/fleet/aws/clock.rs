//! Checks that AWS's clock and this machine's agree. Main type: [`ClockWatch`]; every client reports to it through
//! [`Attention`].
//!
//! A run's deadlines bind because AWS compares a signature's time with its own clock. A clock that is off by more than
//! the tolerance therefore stops everything (S3).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::date_time::Format;

use crate::model::Time;
use crate::ports::FleetError;

/// Compares the `Date` of every answer with this machine's clock.
#[derive(Debug)]
pub(super) struct ClockWatch {
    tolerance: Duration,
    seen: Mutex<Seen>,
}

/// The result of the latest answer with a `Date`.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Nothing,
    Agrees,
    Differs { ours: Time, theirs: Time },
}

impl ClockWatch {
    pub(super) fn new(tolerance: Duration) -> Self {
        Self { tolerance, seen: Mutex::new(Seen::Nothing) }
    }

    /// Whether the clock of the latest answer agreed.
    pub(super) fn verdict(&self) -> Result<(), FleetError> {
        match *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Nothing | Seen::Agrees => Ok(()),
            Seen::Differs { ours, theirs } => Err(FleetError::Clock { ours, theirs }),
        }
    }

    /// As [`ClockWatch::verdict`], and at least one answer must have had a date (S3).
    pub(super) fn proved(&self) -> Result<(), FleetError> {
        self.verdict()?;
        match *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Nothing => Err(super::errors::undated()),
            Seen::Agrees | Seen::Differs { .. } => Ok(()),
        }
    }

    /// Notes that an answer, sent and received at those times, gave `theirs` as its time, to the second.
    fn note(&self, sent: Time, theirs: Time, received: Time) {
        let latest = theirs.plus(Duration::from_millis(999));
        let differs = theirs > received.plus(self.tolerance) || latest < sent.minus(self.tolerance);
        let seen = if differs { Seen::Differs { ours: received, theirs } } else { Seen::Agrees };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Notes the date of every answer.
#[derive(Debug)]
pub(super) struct Attention(pub(super) Arc<ClockWatch>);

#[derive(Clone, Copy, Debug)]
struct Sent(Time);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Attention {
    fn name(&self) -> &'static str {
        "ClockWatch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(Sent(super::now()));
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // An answer from a cache has an old date.
        if headers.get("age").is_some() {
            return Ok(());
        }
        let Some(&Sent(sent)) = bag.load::<Sent>() else { return Ok(()) };
        // A proxy may add a date of its own: every date must agree.
        for text in headers.get_all("date") {
            if let Some(Ok(theirs)) = DateTime::from_str(text, Format::HttpDate).ok().map(|date| date.to_millis()) {
                self.0.note(sent, Time::from_millis(theirs), super::now());
                if self.0.verdict().is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn s3_a_clock_that_disagrees_is_reported_with_both_times() {
        let watch = ClockWatch::new(Duration::from_secs(60));
        assert!(watch.proved().is_err(), "no answer told the time yet");
        watch.note(at(1_000), at(1_060), at(1_000));
        assert!(watch.proved().is_ok(), "exactly the tolerance");
        watch.note(at(1_000), at(1_061), at(1_000));
        assert!(
            matches!(watch.verdict(), Err(FleetError::Clock { ours, theirs }) if ours == at(1_000) && theirs == at(1_061))
        );
        watch.note(at(1_000), at(938), at(1_005));
        assert!(watch.verdict().is_err(), "61.001 s behind at least");
        watch.note(at(1_000), at(940), at(1_005));
        assert!(watch.verdict().is_ok(), "a slow answer is no wrong clock");
    }
}
