//! [`Bound`]: a limit on one side.

/// A limit, in the unit of the samples. A sample at it is within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Above is past it.
    Above(f64),
    /// Below is past it.
    Below(f64),
}

impl Bound {
    pub(super) fn at(self) -> f64 {
        match self {
            Self::Above(at) | Self::Below(at) => at,
        }
    }

    /// How far a number lies past it; negative within.
    pub(super) fn past(self, number: f64) -> f64 {
        match self {
            Self::Above(at) => number - at,
            Self::Below(at) => at - number,
        }
    }
}
