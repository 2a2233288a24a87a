//! The meaning of an SDK error: an outcome for an effect, a message with a hint for a read. Main functions:
//! [`outcome`] and [`provider`].
//!
//! For an effect the only question is whether it can have happened. "No" needs proof: a refusal in AWS's own words, or
//! a request that was never sent. Everything else is [`CallOutcome::Unknown`].

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error;

use super::codes::{self, ProviderError};
use super::signatures::{Failed, names_its_time};
use crate::model::{CallOutcome, causes, chain};
use crate::ports::FleetError;

impl ProviderError {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                if causes(error).any(|e| e.is::<CredentialsError>()) {
                    Self::Credentials
                } else if matches!(error, SdkError::ConstructionFailure(_)) || causes(error).any(is_connection_refused)
                {
                    Self::NotSent
                } else {
                    Self::Lost
                }
            }
            SdkError::ServiceError(context) if names_its_time(context.err().message().unwrap_or_default()) => {
                Self::Late
            }
            SdkError::ServiceError(context) => Self::of_code(context.err().code(), context.raw().status().as_u16()),
            _ => Self::Unreadable,
        }
    }

    /// Judges by the service's code, and by the HTTP status where the code is not known. Only a refusal in AWS's own
    /// words counts as a refusal: a status alone may come from anything in between.
    fn of_code(code: Option<&str>, status: u16) -> Self {
        if let Some(meaning) = code.and_then(codes::meaning) {
            return meaning;
        }
        match code {
            // 408 is the one client error that does not say what was done.
            Some(code) if (400..500).contains(&status) && status != 408 && !code.is_empty() => Self::Refused,
            Some(_) | None if status >= 500 => Self::Server,
            Some(_) | None => Self::Unreadable,
        }
    }

    /// The outcome of an effect that ended with this error.
    pub(super) fn outcome(self, message: String) -> CallOutcome {
        match self {
            Self::Throttled | Self::Busy | Self::Late | Self::NotSent => {
                CallOutcome::Refused { message, retryable: true }
            }
            Self::Credentials | Self::Permission | Self::Refused => CallOutcome::Refused { message, retryable: false },
            Self::Server | Self::Lost | Self::Unreadable => CallOutcome::Unknown { message },
        }
    }

    fn hint(self, action: &str) -> Option<String> {
        Some(match self {
            Self::Credentials => {
                "the credentials are missing, expired or invalid: renew them (aws sso login, or set AWS_PROFILE) and try again"
                    .to_owned()
            }
            Self::Late => "the call was under way for too long, or this machine's clock is wrong: synchronise it, and try again"
                .to_owned(),
            Self::Permission => format!("allow {action} to this identity; `safe-remove` reads the whole fleet or nothing"),
            Self::Throttled => "AWS limits how often this account may ask: try again in a minute".to_owned(),
            Self::NotSent | Self::Lost => {
                "check the network, the proxy and the region's endpoint, and try again".to_owned()
            }
            Self::Server => "AWS has trouble of its own: see its health page, and try again".to_owned(),
            Self::Unreadable => {
                "the answer makes no sense: a proxy in between, or control characters in somebody's tags".to_owned()
            }
            Self::Busy | Self::Refused => return None,
        })
    }
}

fn is_connection_refused(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// The provider's own message, without the SDK's wrapping. It may contain other people's text.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Words(String);

impl Words {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        if let SdkError::ServiceError(context) = error {
            let status = context.raw().status().as_u16();
            return Self(match (context.err().code(), context.err().message()) {
                (Some(code), Some(message)) => format!("{code}: {}", readable(message)),
                (Some(code), None) => format!("{code} (HTTP {status})"),
                (None, Some(message)) => format!("HTTP {status}: {}", readable(message)),
                (None, None) => format!("HTTP {status}, without an error that can be read"),
            });
        }
        Self(chain(error))
    }
}

/// EC2's refusals end in hundreds of letters for a program (AWS STS API reference, `DecodeAuthorizationMessage`), on a single
/// line.
fn readable(message: &str) -> &str {
    message.split_once("Encoded authorization failure message").map_or(message, |(words, _)| words.trim_end())
}

/// The error of a failed read: `tried` completes "cannot …".
pub(super) fn provider<E>(tried: &str, action: &str, error: &SdkError<E, HttpResponse>) -> FleetError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    FleetError::Provider {
        tried: format!("cannot {tried}"),
        hint: ProviderError::of(error).hint(action),
        source: Box::new(Words::of(error)),
    }
}

/// The error where the source of credentials has none.
pub(super) fn no_credentials(error: &CredentialsError) -> FleetError {
    FleetError::Provider {
        tried: "cannot get AWS credentials".to_owned(),
        hint: ProviderError::Credentials.hint(""),
        source: Box::new(Words(chain(error))),
    }
}

/// The outcome of an effect: `tried` names the action and its object.
pub(super) fn outcome<T, E>(tried: &str, result: Result<T, Failed<E>>) -> CallOutcome
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match result {
        Ok(_) => CallOutcome::Done,
        Err(Failed { error, is_late }) => {
            let kind = if is_late { ProviderError::Late } else { ProviderError::of(&error) };
            kind.outcome(format!("{tried}: {}", Words::of(&error)))
        }
    }
}

/// The error of a list whose pages do not end.
pub(super) fn endless(tried: &str, why: &str) -> FleetError {
    FleetError::Provider {
        tried: format!("cannot {tried}"),
        hint: Some("this is a fault of the provider, or of a proxy before it".to_owned()),
        source: Box::new(Words(why.to_owned())),
    }
}

/// The error of an observation that took too long.
pub(super) fn too_slow(region: &str, limit: &str) -> FleetError {
    FleetError::Provider {
        tried: format!("cannot observe the fleet in {region}"),
        hint: Some("check the network; an observation that old could not be acted on".to_owned()),
        source: Box::new(Words(format!("it was not complete after {limit}"))),
    }
}

/// The error where no answer had a date.
pub(super) fn undated() -> FleetError {
    FleetError::Provider {
        tried: "cannot compare this machine's clock with AWS's".to_owned(),
        hint: Some("a proxy may have removed the Date header".to_owned()),
        source: Box::new(Words("no answer said when it was made".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_a_program_is_left_out() {
        let said = "You are not authorized to perform this operation.";
        assert_eq!(readable(&format!("{said} Encoded authorization failure message: 0oaZLrVV")), said);
        assert_eq!(readable("Rate exceeded"), "Rate exceeded");
    }

    #[test]
    fn only_a_refusal_in_words_or_a_call_never_sent_is_certainly_not_done() {
        let retry = |t: ProviderError| match t.outcome(String::new()) {
            CallOutcome::Refused { retryable, .. } => Some(retryable),
            CallOutcome::Unknown { .. } => None,
            CallOutcome::Done => panic!("an error is never done"),
        };
        for (code, status, expected) in [
            (Some("Throttling"), 400, Some(true)),
            (Some("RequestLimitExceeded"), 503, Some(true)),
            (Some("ScalingActivityInProgress"), 400, Some(true)),
            // AWS sends it with this status, and has done nothing.
            (Some("ResourceContention"), 500, Some(true)),
            (Some("ResourceContention"), 400, Some(true)),
            (Some("HealthUnavailable"), 500, None),
            (Some("ValidationError"), 400, Some(false)),
            (Some("AccessDenied"), 403, Some(false)),
            (Some("ExpiredToken"), 400, Some(false)),
            // S7: the restore may be sent again, with a new deadline.
            (Some("RequestExpired"), 400, Some(true)),
            (Some("SignatureDoesNotMatch"), 403, Some(false)),
            (Some("InternalFailure"), 500, None),
            (Some("ServiceUnavailable"), 503, None),
            (Some("RequestTimeout"), 408, None),
            (Some(""), 400, None),
            (None, 400, None),
            (None, 500, None),
            (None, 302, None),
            (Some("Anything"), 200, None),
        ] {
            assert_eq!(retry(ProviderError::of_code(code, status)), expected, "{code:?} with status {status}");
        }
    }
}
