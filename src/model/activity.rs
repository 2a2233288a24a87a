//! What a provider says that it did by itself: why a host left, and what it launched.

use serde::{Deserialize, Serialize};

use super::{HostId, Time};

/// Why a host left, or is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// When it began, by the provider's clock.
    pub at: Option<Time>,
    /// The provider's words.
    pub why: String,
}

/// A launch that nothing but a missing member explains. It may answer a termination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The new host, if the provider names it: a launch may fail.
    pub host: Option<HostId>,
    /// When it began, by the provider's clock.
    pub at: Time,
    /// The provider's words.
    pub why: String,
}
