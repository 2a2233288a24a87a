//! The bounds of time that the protocol rests on (protocol section 2), in one place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a provider and its clock can be relied on for. All waiting in the protocol derives from these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How old an observation may be when it is acted on, counted from the beginning of its first read.
    pub(crate) max_age: Duration,
    /// How far in the past a provider's answer may lie.
    pub(crate) settle: Duration,
    /// How far clocks may disagree.
    pub(crate) tolerance: Duration,
    /// How long after its intent a call can still take effect; later, the provider refuses it.
    pub call_life: Duration,
    /// Whether every look takes calls of an account that others need too: then a run that waits for something to show
    /// looks no more often than it samples.
    pub(crate) metered: bool,
}

/// How long a run tries to put back what it has cordoned (contract section 8, "Signals").
pub(crate) const PUT_BACK: Duration = Duration::from_secs(300);

impl Bounds {
    /// How old an observation may be: long enough to read a fleet of some thousand hosts,
    /// short enough that little can fail by itself in between.
    pub(crate) const MAX_AGE: Duration = Duration::from_secs(10);
    /// For the clocks of operators' machines and of providers: NTP keeps them far below this, a broken clock is far
    /// above it.
    pub(crate) const TOLERANCE: Duration = Duration::from_secs(60);

    /// The simulated fleet answers from its present state and refuses calls 5 s after their intent
    /// (contract section 6); all its processes share one clock.
    pub const SIMULATED: Self = Self {
        max_age: Self::MAX_AGE,
        settle: Duration::ZERO,
        tolerance: Self::TOLERANCE,
        call_life: Duration::from_secs(5),
        metered: false,
    };

    /// AWS: describes are eventually consistent (2 min is beyond what is seen), and a signature
    /// is refused 15 minutes after it was made at the latest; by some services after 5 (`fleet/aws/signatures.rs`).
    /// Source: "Common Errors" in the API reference of each service, RequestExpired.
    pub(crate) const AWS: Self = Self {
        max_age: Self::MAX_AGE,
        settle: Duration::from_secs(120),
        tolerance: Self::TOLERANCE,
        call_life: Duration::from_secs(15 * 60),
        metered: true,
    };
}
