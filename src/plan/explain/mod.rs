//! Why a count is refused, how many can go instead, and what would allow it.
//!
//! Everything said here was computed with the rules and the solver that planning uses: no rule is restated. This module
//! decides nothing: it must not let a plan through or refuse one.
//!
//! The files in reading order:
//!
//! | file | what it is |
//! | --- | --- |
//! | `exclusion` | the few rows that together exclude a count |
//! | `headroom` | how much can be removed now, and what limits it |
//! | `what_if` | the same for a fleet or a policy that is assumed |
//! | `query` | the count that is refused, and what it is judged by |
//! | `remedies` | more capacity or other limits that would allow it |
//! | `several_runs` | when it could go: once windows open, or in several runs |
//! | `refusal` | all of it put together: the `why` of a refused plan |

mod exclusion;
mod headroom;
mod query;
mod refusal;
mod remedies;
mod several_runs;
mod what_if;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use exclusion::{Exclusion, exclusion};
#[cfg(test)]
pub(super) use headroom::is_meant;
pub use headroom::{Headroom, InTurn, Spread, headroom};
pub(super) use query::CountQuery;
pub(super) use refusal::explain;
pub(crate) use what_if::{Assumed, Assumption, UnknownAssumption, WhatIf};
