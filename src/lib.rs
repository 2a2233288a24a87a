//! Removes capacity from a fleet slowly, reversibly first, and never below any subsystem's minimum.
//!
//! # The map
//!
//! `docs/architecture.md` has it too, with the life of a removal and where each invariant lives.
//!
//! Everything that decides is a pure, synchronous function of its inputs, time included; everything that
//! touches the world is a thin shell around it. Each module may use only those above it in this list
//! (`tests/all/layering.rs` checks it):
//!
//! | module | what it is | | what it holds of SAFETY.md's invariants |
//! | --- | --- | --- | --- |
//! | [`model`] | the nouns | pure | the bounds of time that all rest on (`bounds.rs`) |
//! | [`policy`] | policy files to validated policies | pure but for reading the files | S3: nothing is defaulted |
//! | [`plan`] | which hosts, in which batches, or why not; a solver, and explanations | pure | S1: `verify.rs` |
//! | [`health`] | samples and reference to a verdict | pure | S2: a bake is an unbroken chain (`chain.rs`) |
//! | [`coordination`] | the shared record and every change of it | pure | S1, S4: `grant.rs`, `terminate.rs`; S9: `guard.rs` |
//! | [`run`] | the run's state machine and journal | pure | S2, S5, S6, S7, S8: `preflight.rs`, `bake.rs`, `queue.rs`, `restore.rs` |
//! | [`ports`] | the traits that the shell implements | | |
//! | `credentials` | the AWS credentials that fleet and ledger share | | |
//! | [`driver`] | the only loop that performs effects | async | S5: the record before the call |
//! | [`fleet`], [`ledger`], [`probe`] | providers, ledgers, probes: one folder each | async | S3; S9: deadlines, nonces |
//! | `hook` | calls what the policies' hooks name | async | S3: anything but an answer is no |
//! | [`output`] | documents and screens | | |
//! | [`ops`] | what each command does | | S8: what is confirmed; S9: request ids |
//! | [`cli`] | arguments, prompts, the screen, exit codes | | |

pub mod cli;
pub mod coordination;
#[cfg(any(feature = "aws", feature = "dynamodb"))]
mod credentials;
pub mod driver;
pub mod fleet;
pub mod health;
mod hook;
pub mod ledger;
pub mod model;
pub mod ops;
pub mod output;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod probe;
pub mod run;

/// The ledgers' conformance suite names the crate as `tests/all` does.
#[cfg(test)]
extern crate self as safe_remove;
