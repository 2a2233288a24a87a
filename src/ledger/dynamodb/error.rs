//! The errors of a DynamoDB table. Their messages say what to do.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error;

use crate::model::{LedgerId, RunId, causes, chain};
use crate::ports::LedgerError;

/// The error that AWS or the network reported, on one line and without the SDK's wrapping.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Said(String);

impl Said {
    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let SdkError::ServiceError(context) = error else {
            let words = chain(error);
            // Some causes are lists of several lines.
            return Self(words.split_whitespace().collect::<Vec<_>>().join(" "));
        };
        let code = context.err().code().unwrap_or("an error without a name");
        let message = context.err().message().map(|message| format!(": {message}")).unwrap_or_default();
        Self(format!("{code}{message} (HTTP {})", context.raw().status()))
    }
}

/// The cause inside a [`LedgerError`].
#[derive(Debug, Error)]
pub(super) enum DynamoDbError {
    #[error("no region is known: write `region` under `[ledger]` in fleet.toml, or set AWS_REGION")]
    NoRegion,
    #[error("there is no such table in this account and region: `safe-remove ledger init` makes it")]
    NoTable(#[source] Said),
    #[error(
        "the table is not a ledger's: its key must be the strings `pk` (partition) and `sk` (sort). See `[ledger] \
         table` in fleet.toml; `safe-remove ledger init` makes one of the right form under a new name"
    )]
    WrongKey(#[source] Option<Said>),
    #[error("AWS does not allow it to this identity: `safe-remove iam-policy --ledger` prints what must be allowed")]
    Denied(#[source] Said),
    #[error("the credentials are missing, expired or invalid: renew them (aws sso login, or set AWS_PROFILE)")]
    Credentials(#[source] Said),
    #[error("the call was under way for too long, or this machine's clock is wrong: synchronise it, and try again")]
    Late(#[source] Said),
    #[error(
        "DynamoDB throttles: try again in a minute; a table with provisioned capacity needs more, or on-demand billing"
    )]
    Throttled(#[source] Said),
    #[error(
        "the record takes {kilobytes} KB and an item of DynamoDB holds 400: nothing was written. A fleet of this size \
         needs its ledger in etcd or SQLite, or several policy directories with a fleet each"
    )]
    TooLarge { kilobytes: usize },
    #[error("DynamoDB refuses")]
    Refused(#[source] Said),
    #[error("the endpoint cannot be reached: look at the network, the proxy, the region and AWS_ENDPOINT_URL")]
    NotSent(#[source] Said),
    #[error("no answer in time, or none that makes sense: look at the network and at AWS's health page")]
    Lost(#[source] Said),
    #[error("the table is being made and is not ready after a minute: repeat `safe-remove ledger init`")]
    NotActive,
    #[error("it was opened to be read only")]
    OpenedToRead,
    #[error("it was replaced: this process began with ledger {opened}, and now it is {found}")]
    Replaced { opened: LedgerId, found: String },
    #[error("the item {0} does not hold what a ledger writes there")]
    Unreadable(String),
    #[error("the record is of another fleet or ledger than its place says")]
    Misfiled,
    #[error("the journal of run {run} is not whole: record {seq} comes, and the one before it is not there")]
    Gap { run: RunId, seq: u64 },
    #[error("a listing has more than {0} pages")]
    TooLong(usize),
}

/// What the caller does after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The condition of a write did not hold.
    Condition,
    /// Certainly not done; a retry may succeed.
    Again,
    /// Certainly not done, and a retry will not succeed.
    GiveUp,
    /// It may have been done.
    Unknown,
}

const CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];

/// Source: Amazon DynamoDB Developer Guide, "Error handling with DynamoDB": the errors after which nothing was done and
/// a retry is allowed.
const THROTTLED: [&str; 5] = [
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
];

/// Judges an error by AWS's error code where there is one, otherwise by what happened to the request. A request counts
/// as not done only where that is proved.
pub(super) fn judge<E>(error: &SdkError<E, HttpResponse>) -> (Next, DynamoDbError)
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let said = Said::of(error);
    match error {
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
            if causes(error).any(|cause| cause.is::<CredentialsError>()) {
                (Next::GiveUp, DynamoDbError::Credentials(said))
            } else if matches!(error, SdkError::ConstructionFailure(_)) {
                (Next::GiveUp, DynamoDbError::NotSent(said))
            } else if causes(error).any(is_refused) {
                (Next::Again, DynamoDbError::NotSent(said))
            } else {
                (Next::Unknown, DynamoDbError::Lost(said))
            }
        }
        SdkError::ServiceError(context) => {
            let (code, message) = (context.err().code().unwrap_or_default(), context.err().message());
            by_code(code, message.unwrap_or_default(), context.raw().status().as_u16(), said)
        }
        _ => (Next::Unknown, DynamoDbError::Lost(said)),
    }
}

fn by_code(code: &str, message: &str, status: u16, said: Said) -> (Next, DynamoDbError) {
    match code {
        "ConditionalCheckFailedException" => (Next::Condition, DynamoDbError::Refused(said)),
        "ResourceNotFoundException" => (Next::GiveUp, DynamoDbError::NoTable(said)),
        "AccessDeniedException" => (Next::GiveUp, DynamoDbError::Denied(said)),
        // Each attempt is signed anew; "not yet current" is a clock that is ahead.
        "InvalidSignatureException"
            if message.starts_with("Signature expired") || message.contains("not yet current") =>
        {
            (Next::Again, DynamoDbError::Late(said))
        }
        code if CREDENTIALS.contains(&code) => (Next::GiveUp, DynamoDbError::Credentials(said)),
        code if THROTTLED.contains(&code) => (Next::Again, DynamoDbError::Throttled(said)),
        // AWS has no code of its own for this; servers word it in several ways.
        "ValidationException" if message.to_ascii_lowercase().contains("key") && !message.contains("reserved") => {
            (Next::GiveUp, DynamoDbError::WrongKey(Some(said)))
        }
        _ if (400..500).contains(&status) && status != 408 && !code.is_empty() => {
            (Next::GiveUp, DynamoDbError::Refused(said))
        }
        _ => (Next::Unknown, DynamoDbError::Lost(said)),
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl DynamoDbError {
    /// The source of credentials has none.
    pub(super) fn no_credentials(error: &CredentialsError) -> Self {
        Self::Credentials(Said(chain(error).split_whitespace().collect::<Vec<_>>().join(" ")))
    }

    /// Converts to the port's error, for a case in which nothing was written.
    pub(super) fn at(self, place: &str, tried: &'static str) -> LedgerError {
        let place = place.to_owned();
        let source = Box::new(self);
        match *source {
            Self::Replaced { .. }
            | Self::Unreadable(_)
            | Self::Misfiled
            | Self::Gap { .. }
            | Self::WrongKey(_)
            | Self::TooLong(_) => LedgerError::Corrupt { place, source },
            _ => LedgerError::Unreachable { place, tried, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(code: &str, message: &str, status: u16) -> Next {
        by_code(code, message, status, Said(String::new())).0
    }

    #[test]
    fn s3_only_a_refusal_in_awss_own_words_is_proof_that_nothing_was_done() {
        assert_eq!(next("ConditionalCheckFailedException", "", 400), Next::Condition);
        assert_eq!(next("ProvisionedThroughputExceededException", "", 400), Next::Again);
        assert_eq!(next("AccessDeniedException", "", 400), Next::GiveUp);
        assert_eq!(next("ResourceNotFoundException", "", 400), Next::GiveUp);
        for (code, status) in [("InternalServerError", 500), ("", 400), ("", 503), ("RequestTimeout", 408)] {
            assert_eq!(next(code, "", status), Next::Unknown, "{code} {status}");
        }
    }

    #[test]
    fn a_late_call_is_told_from_wrong_credentials() {
        let expired =
            "Signature expired: 20160610T180547Z is now earlier than 20160610T180612Z (20160610T181112Z - 5 min.)";
        assert_eq!(next("InvalidSignatureException", expired, 400), Next::Again);
        let wrong = "The request signature we calculated does not match the signature you provided.";
        assert_eq!(next("InvalidSignatureException", wrong, 400), Next::GiveUp);
        let said = by_code("InvalidSignatureException", expired, 400, Said(String::new())).1.to_string();
        assert!(said.contains("clock"), "{said}");
    }

    #[test]
    fn a_table_of_another_form_is_told_from_other_refusals() {
        let error = |message| by_code("ValidationException", message, 400, Said(String::new())).1;
        assert!(matches!(error("The provided key element does not match the schema"), DynamoDbError::WrongKey(_)));
        assert!(matches!(error("Item size has exceeded the maximum allowed size"), DynamoDbError::Refused(_)));
    }
}
