//! Samples and a reference in, a verdict out.
//!
//! [`judge`] decides whether one sample is good; [`Watch`] finds out when a probe is a regression; [`reference`] takes the
//! samples that relative limits are measured from; [`Bake`] folds rounds of samples into an unbroken chain that spans the whole
//! bake (S2). [`Sequential`] tests a number that varies against a relative limit, and `docs/judge.md` has its error rates.
//! Nothing here reads a probe or a clock: the time is an argument, and a probe that was not sampled is bad (S3).

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod chain;
mod judge;
mod number;
mod probes;
mod reading;
mod reference;
mod sequential;
mod tested;
mod watch;

#[cfg(test)]
mod fixtures;

pub(crate) use chain::{Bake, BakeTimes, BakeVerdict, Gap, Round, tolerated_gap};
pub(crate) use number::at_a_glance;
pub(crate) use probes::{ProbeSpecs, probes_of};
pub use reading::{Limit, ProbeLimits, ProbeReading};
pub(crate) use reading::{Measured, Shown, Tally, limits_of};
pub(crate) use reference::{Reference, bad_now, reference};
pub use sequential::{Bound, Latest, Levels, Sequential, Summary};
pub(crate) use tested::{levels_of, too_noisy};
pub(crate) use watch::{Finding, Watch};
