//! [`Obstacle`]: what the provider's own settings have against taking a host, whatever the numbers.

use serde::{Deserialize, Serialize};

/// One thing that stands in the way of taking a host, or any member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// What would go wrong.
    pub kind: ObstacleKind,
    /// Why, as the end of a sentence: `Launch is suspended on its group web`.
    pub why: String,
}

/// What would go wrong if the host were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// It could not be put back, or not whole.
    WayBack,
    /// It would not be gone, or its group is changing its members by itself.
    NotRemovable,
    /// Something else manages it, and replaces what goes.
    ManagedElsewhere,
    /// A zonal shift keeps work from its zone, so it takes none now, and is not idle for good.
    ZoneShifted,
    /// A target group sends it work, and taking it out of service would not end that.
    StrayTargetGroup,
}

impl Obstacle {
    /// The obstacle with its reason.
    #[cfg(any(test, feature = "aws"))]
    pub(crate) fn new(kind: ObstacleKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}
