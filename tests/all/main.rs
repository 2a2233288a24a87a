//! The integration tests, as one binary: one link instead of many.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod at_the_wheel;
#[cfg(feature = "aws")]
mod aws;
mod bad_days;
mod between_batches;
mod citations;
mod commands_said;
mod completions;
mod crowd;
mod departures;
mod doctor;
mod documents;
mod environment;
#[cfg(debug_assertions)]
mod fault_points;
mod fleets;
mod halts;
mod hooks;
mod inventory;
mod layering;
mod ledger;
mod manual;
mod meta;
mod outage;
mod permissions;
mod policy_init;
mod probes;
mod prompt;
mod proofs;
mod reading_on;
mod recipes;
mod removal;
mod reports;
#[cfg(debug_assertions)]
mod resume;
mod safety;
#[cfg(debug_assertions)]
mod schedules;
mod schema;
mod screens;
mod screens_of_a_run;
mod support;
mod takeover;
mod terminals;
mod tour;
mod trust;
mod unserving;
mod usage;
mod wider_world;
