//! Names and identities, each with its own type, so that a run cannot be passed as a host.
//!
//! Their text is shared: a hundred thousand hosts name the same zone, and many lists name the same host.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it is; the caller has checked it where that is necessary.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text as it was given. May be other people's text: escape it before a terminal sees it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// One EC2 instance (`i-0123…`) or one simulated host (`index-0001`).
    HostId
);
text_id!(
    /// A named function that hosts serve together; the `name` of one policy file.
    SubsystemName
);
text_id!(
    /// An availability zone, in the provider's spelling (`us-east-1a`, or `a` when simulated).
    ZoneName
);
text_id!(
    /// An Auto Scaling group, or the pool of a simulated fleet.
    GroupName
);
text_id!(
    /// A target group: its ARN on AWS.
    TargetGroupId
);
text_id!(
    /// `name` of `fleet.toml`: the scope of the ledger's record.
    FleetName
);
text_id!(
    /// One run, for ever. Derived from the request id where there is one.
    RunId
);
text_id!(
    /// The operator's idempotency key (`--request-id`).
    RequestId
);
text_id!(
    /// Identity of a ledger, written beside the hosts that it governs.
    LedgerId
);
text_id!(
    /// Who acts: the AWS caller's ARN, else `user@host`.
    OperatorId
);
text_id!(
    /// Digest over fleet, policies and the hosts of each batch: what a confirmation is bound to.
    PlanDigest
);
text_id!(
    /// Marks one write to the ledger, so that its writer recognises it after a lost reply.
    Nonce
);

/// The number of a batch within its plan, from 1. Batches that became empty keep theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct BatchNumber(u64);

impl BatchNumber {
    /// The batch of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BatchNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for BatchNumber {
    fn from(number: u64) -> Self {
        Self(number)
    }
}
