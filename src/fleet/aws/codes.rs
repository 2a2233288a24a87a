//! AWS's error codes, with what each says of the call. Main type: [`ProviderError`].
//!
//! A code is read before the status: EC2 Auto Scaling sends `ResourceContention` with status 500, and means that
//! nothing was done. A code that is not here is judged by its status ([`super::errors`]).

use self::ProviderError::{Busy, Credentials, Late, Permission, Refused, Server, Throttled};

/// The kind of an error, as far as it matters to what is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProviderError {
    /// The credentials are missing, expired or invalid.
    Credentials,
    /// The call came after its time, or this machine's clock is wrong: certainly not done, and a new call may be.
    Late,
    /// The identity is not allowed to do this.
    Permission,
    /// Too many calls: certainly not done.
    Throttled,
    /// Something else is in progress on the same group: certainly not done.
    Busy,
    /// Refused because of what it asks: certainly not done.
    Refused,
    /// Never sent.
    NotSent,
    /// The server failed, in its own words or those of something in between: may have been done.
    Server,
    /// No answer in time, or the connection broke: may have been done.
    Lost,
    /// An answer that makes no sense: may have been done.
    Unreadable,
}

/// An error code of AWS.
struct Code {
    code: &'static str,
    /// The status that its source states; it is not compared with that of the answer.
    #[cfg_attr(not(test), expect(dead_code, reason = "stated for people, and compared with the models in the test"))]
    status: u16,
    meaning: ProviderError,
}

const fn code(code: &'static str, status: u16, meaning: ProviderError) -> Code {
    Code { code, status, meaning }
}

/// The codes that the service models mark for the operations called here (botocore's `service-2.json`, of which
/// `tests/moto/error_codes.json` keeps the part). `senderFault` says that the call was refused for what it asked or for
/// when it came: certainly not done. EC2's model marks none.
const MODELLED: [Code; 16] = [
    code("AlreadyExists", 400, Refused),
    code("HealthUnavailable", 500, Server),
    code("InvalidNextToken", 400, Refused),
    code("InvalidTarget", 400, Refused),
    code("LimitExceeded", 400, Refused),
    code("ListenerNotFound", 400, Refused),
    code("LoadBalancerNotFound", 400, Refused),
    // "You already have a pending update to an Amazon EC2 Auto Scaling resource": it passes by itself.
    code("ResourceContention", 500, Busy),
    code("ResourceInUse", 400, Refused),
    code("RuleNotFound", 400, Refused),
    // "The operation can't be performed because there are scaling activities in progress": it passes by itself.
    code("ScalingActivityInProgress", 400, Busy),
    code("ServiceLinkedRoleFailure", 500, Refused),
    code("TargetGroupNotFound", 400, Refused),
    code("TooManyRegistrationsForTargetId", 400, Refused),
    code("TooManyTargets", 400, Refused),
    code("TrustStoreNotFound", 400, Refused),
];

/// The codes that every operation may send. Sources: "Common Errors" in each service's API reference; "Error codes for
/// the Amazon EC2 API"; of throttling, the AWS SDKs' shared list. The status is the one that AWS states, or 400.
const COMMON: [Code; 31] = [
    code("AccessDenied", 403, Permission),
    code("AccessDeniedException", 400, Permission),
    code("UnauthorizedAccess", 400, Permission),
    code("UnauthorizedOperation", 403, Permission),
    code("AuthFailure", 401, Credentials),
    code("ExpiredToken", 400, Credentials),
    code("ExpiredTokenException", 400, Credentials),
    code("IncompleteSignature", 400, Credentials),
    code("InvalidAccessKeyId", 403, Credentials),
    code("InvalidClientTokenId", 403, Credentials),
    code("InvalidSignatureException", 403, Credentials),
    code("MissingAuthenticationToken", 403, Credentials),
    code("MissingAuthenticationTokenException", 403, Credentials),
    code("SignatureDoesNotMatch", 403, Credentials),
    code("UnrecognizedClientException", 400, Credentials),
    // The call was under way so long that its signature expired; the second one is Amazon S3's code for the same.
    code("RequestExpired", 400, Late),
    code("RequestTimeTooSkewed", 403, Late),
    code("BandwidthLimitExceeded", 509, Throttled),
    code("EC2ThrottledException", 503, Throttled),
    code("PriorRequestNotComplete", 400, Throttled),
    code("RequestLimitExceeded", 503, Throttled),
    code("RequestThrottled", 400, Throttled),
    code("RequestThrottledException", 400, Throttled),
    code("SlowDown", 503, Throttled),
    code("ThrottledException", 400, Throttled),
    code("Throttling", 400, Throttled),
    code("ThrottlingException", 400, Throttled),
    code("TooManyRequests", 429, Throttled),
    code("TooManyRequestsException", 429, Throttled),
    // The shapes' names, which other protocols send in place of the codes.
    code("ResourceContentionFault", 500, Busy),
    code("ScalingActivityInProgressFault", 400, Busy),
];

/// What a code says of the call, whatever the status; `None` for a code that is not known.
pub(super) fn meaning(code: &str) -> Option<ProviderError> {
    MODELLED.iter().chain(&COMMON).find(|known| known.code == code).map(|known| known.meaning)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::*;
    use crate::model::CallOutcome;

    /// `{service: {operation: {code: …}}}`; tests/moto/error_codes.py makes it of botocore's models.
    type Extract = BTreeMap<String, BTreeMap<String, BTreeMap<String, Marked>>>;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Marked {
        status: u16,
        /// The caller's fault, by AWS's word.
        sender: bool,
    }

    fn marked() -> BTreeSet<(String, Marked)> {
        let extract: Extract =
            serde_json::from_str(include_str!("../../../tests/moto/error_codes.json")).expect("ours");
        extract.into_values().flat_map(BTreeMap::into_values).flatten().collect()
    }

    #[test]
    fn every_code_that_the_service_models_mark_is_in_the_table_with_its_status() {
        let listed: BTreeSet<(String, u16)> = MODELLED.iter().map(|c| (c.code.to_owned(), c.status)).collect();
        let modelled: BTreeSet<(String, u16)> = marked().into_iter().map(|(code, of)| (code, of.status)).collect();
        assert_eq!(listed, modelled);
    }

    #[test]
    fn a_code_is_certainly_not_done_exactly_where_the_model_calls_it_the_callers_fault() {
        for (code, marked) in marked() {
            let outcome = meaning(&code).map(|meaning| meaning.outcome(String::new()));
            let is_certain = matches!(outcome, Some(CallOutcome::Refused { .. }));
            assert_eq!(is_certain, marked.sender, "{code}");
        }
    }

    #[test]
    fn no_code_is_listed_twice() {
        let all: Vec<&str> = MODELLED.iter().chain(&COMMON).map(|c| c.code).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
