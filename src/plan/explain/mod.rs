//! Why a count is refused, and what would be allowed.

pub(super) mod exclusion;
pub(super) mod headroom;
pub(super) mod refusal;
pub(super) mod remedies;
pub(super) mod several_runs;
pub(super) mod what_if;
