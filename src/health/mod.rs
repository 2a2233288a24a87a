//! Samples and a reference in, a verdict out.
//!
//! [`judge`] decides whether one sample is good; [`Watch`] counts consecutive bad ones until they are a [`Regression`];
//! [`reference`] computes the baseline for relative limits; [`Bake`] folds rounds of samples into an unbroken chain
//! that spans the whole bake (S2). [`Sequential`] tests a number that varies against a relative limit; `docs/judge.md` has its error
//! rates, and runs do not use it yet. Nothing here reads a probe or a clock: the time is an argument, and a probe that was
//! not sampled is bad (S3).

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod chain;
mod judge;
mod number;
mod probes;
mod reading;
mod reference;
mod sequential;
mod watch;

#[cfg(test)]
mod fixtures;

pub(crate) use chain::{Bake, BakeVerdict, Gap, Round, tolerated_gap};
pub(crate) use number::at_a_glance;
pub(crate) use probes::{ProbeSpecs, probes_of};
pub use reading::{Limit, ProbeLimits, ProbeReading};
pub(crate) use reading::{Measured, Shown, Tally, limits_of};
pub(crate) use reference::{REFERENCE_SAMPLES, Reference, bad_now, reference};
pub use sequential::{Evidence, Levels, Sequential, Summary};
pub(crate) use watch::{Regression, Watch};
