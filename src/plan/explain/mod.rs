//! Why a count is refused, and what would be allowed.

mod asked;
mod exclusion;
mod headroom;
mod refusal;
mod remedies;
mod several_runs;
mod what_if;

#[cfg(test)]
mod tests;

pub(super) use asked::Asked;
#[cfg(test)]
pub(super) use exclusion::exclusion;
#[cfg(test)]
pub(super) use headroom::is_meant;
pub use headroom::{Headroom, headroom};
pub(super) use refusal::explain;
pub(crate) use what_if::{Assumed, Assumption, UnknownAssumption, WhatIf};
