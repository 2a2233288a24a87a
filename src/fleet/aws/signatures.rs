//! How long AWS takes a signature: 5 minutes or 15, by service. Main type: [`Lives`].
//!
//! AWS documents both ("in most cases, a request must reach AWS within five minutes of the time stamp", IAM User Guide,
//! "Signing AWS API requests"; 15 minutes under RequestExpired in the "Common errors" of each API). A deadline always
//! assumes the longer ([`Bounds::AWS`]): a call must not be believed out of reach too early. The shorter matters where
//! a call has less time than that and is signed so much earlier (`Acting::at`): a service that takes 5 minutes refuses
//! it at once. Its refusal says so, and the next attempt is signed by what it said.
//!
//! Nothing here decides what a refusal means for a run: [`super::errors`] does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::{Bounds, Time};

/// The shorter of the two lives.
const SHORT: Duration = Duration::from_secs(5 * 60);

/// The service that a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    AutoScaling,
    Ec2,
    LoadBalancing,
}

/// The lives that refusals told.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<BTreeMap<Service, Duration>>);

impl Lives {
    /// How long a signature lives at a service; the longer until it said otherwise.
    pub(super) fn of(&self, service: Service) -> Duration {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&service).copied().unwrap_or(Bounds::AWS.call_life)
    }

    /// Takes in the answer to a call that was signed at that time. S7: a refusal for the age of its signature is the
    /// refusal of this attempt alone, whatever code it has.
    pub(super) fn judge<T, E>(
        &self,
        service: Service,
        signed_at: Time,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Failed<E>>
    where
        E: ProvideErrorMetadata,
    {
        answer.map_err(|error| {
            let late = late(&error, signed_at);
            if let Some(late) = late {
                self.learn(service, late);
            }
            Failed { error, is_late: late.is_some() }
        })
    }

    fn learn(&self, service: Service, late: Late) {
        if let Some(life) = late.life {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(service, life);
        }
    }
}

/// The error of an effect.
pub(super) struct Failed<E> {
    pub(super) error: SdkError<E, HttpResponse>,
    /// It was refused for the age of its signature.
    pub(super) is_late: bool,
}

/// A call was refused because its signature was too old, or seemed to come from the future: certainly not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Late {
    /// How long the service takes a signature, where the refusal shows it.
    life: Option<Duration>,
}

/// Whether a call that was signed at that time was refused for its age.
fn late<E>(error: &SdkError<E, HttpResponse>, signed_at: Time) -> Option<Late>
where
    E: ProvideErrorMetadata,
{
    let SdkError::ServiceError(context) = error else { return None };
    let date = context.raw().headers().get("date");
    let answered_at = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok()?.to_millis().ok());
    let age = answered_at.map(|at| Time::from_millis(at).since(signed_at));
    judged(context.err().code().unwrap_or_default(), context.err().message().unwrap_or_default(), age)
}

/// `age`: of the signature, by AWS's clock, when the answer was made.
fn judged(code: &str, message: &str, age: Option<Duration>) -> Option<Late> {
    if names_its_time(message) {
        return Some(Late { life: told(message) });
    }
    // EC2 does not say more than this (aws/aws-sdk-java#1443, #519), and uses either for other reasons too: a session
    // that ended, a wrong key. S2: how long it takes a signature is not learnt from that. Were the shorter life assumed
    // where it takes the longer one, a call could land after its deadline.
    let age = age.filter(|_| matches!(code, "RequestExpired" | "AuthFailure"))? + Duration::from_secs(1);
    (age > SHORT).then_some(Late { life: None })
}

/// Whether a message says that a signature came outside its time, whatever its code. Seen with SignatureDoesNotMatch of
/// Auto Scaling (aws/aws-sdk-ruby#522) and Elastic Load Balancing (aws/aws-sdk-js#142), with InvalidSignatureException
/// of DynamoDB (hassy/artillery-dino#2).
pub(super) fn names_its_time(message: &str) -> bool {
    message.starts_with("Signature expired") || message.starts_with("Signature not yet current")
}

/// The life in `Signature expired: 20140423T223837Z is now earlier than 20140423T224401Z (20140423T224901Z - 5 min.)`.
/// Never longer than deadlines assume.
fn told(message: &str) -> Option<Duration> {
    let (_, end) = message.strip_prefix("Signature expired")?.rsplit_once(" - ")?;
    let minutes: u64 = end.strip_suffix(" min.)")?.parse().ok()?;
    let life = Duration::from_secs(minutes.checked_mul(60)?);
    (!life.is_zero() && life <= Bounds::AWS.call_life).then_some(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: &str = "Signature expired: 20140423T223837Z is now earlier than 20140423T224401Z (20140423T224901Z";

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn s7_a_refusal_says_how_long_a_signature_lives() {
        let life = |message: &str| judged("SignatureDoesNotMatch", message, None).map(|late| late.life);
        assert_eq!(life(&format!("{EXPIRED} - 5 min.)")), Some(Some(minutes(5))));
        assert_eq!(life(&format!("{EXPIRED} - 15 min.)")), Some(Some(minutes(15))));
        for odd in ["0 min.)", "60 min.)", "99999999999999999999 min.)", "5 hours.)", ""] {
            assert_eq!(life(&format!("{EXPIRED} - {odd}")), Some(None), "{odd}");
        }
        assert_eq!(
            life(
                "Signature not yet current: 20130730T204752Z is still later than 20130730T204123Z (20130730T203623Z + 5 min.)"
            ),
            Some(None),
            "the clock is ahead"
        );
        assert_eq!(life("The request signature we calculated does not match the signature you provided."), None);
    }

    #[test]
    fn s2_a_refusal_that_does_not_say_it_teaches_no_shorter_life() {
        for code in ["RequestExpired", "AuthFailure"] {
            let life = |age: Option<Duration>| judged(code, "Request has expired.", age).map(|late| late.life);
            assert_eq!(life(None), None);
            assert_eq!(life(Some(minutes(1))), None, "for another reason");
            for late in [minutes(6), minutes(15) - Duration::from_secs(1), minutes(40)] {
                assert_eq!(life(Some(late)), Some(None), "certainly not done, and nothing is learnt");
            }
        }
        assert_eq!(judged("AccessDenied", "no", Some(minutes(6))), None);
    }

    #[test]
    fn s2_until_it_is_known_the_longer_life_is_assumed() {
        let lives = Lives::default();
        lives.learn(Service::Ec2, Late { life: None });
        lives.learn(Service::AutoScaling, Late { life: Some(SHORT) });
        assert_eq!(
            [Service::AutoScaling, Service::Ec2, Service::LoadBalancing].map(|service| lives.of(service)),
            [minutes(5), minutes(15), minutes(15)]
        );
    }
}
