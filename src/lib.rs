//! Removes capacity from a fleet slowly, reversibly first, and never below any subsystem's minimum.
//!
//! # The map
//!
//! Everything that decides is a pure, synchronous function of its inputs, time included; everything that
//! touches the world is a thin shell around it. Each module may use only those above it in this list
//! (`tests/layering.rs` checks it):
//!
//! | module | what it is | |
//! | --- | --- | --- |
//! | [`model`] | the nouns | pure |
//! | [`policy`] | policy files to validated policies | pure but for reading the files |
//! | [`plan`] | which hosts, in which batches, or why not | pure |
//! | [`health`] | samples and reference to a verdict | pure |
//! | [`coordination`] | the shared record and every change of it | pure |
//! | [`run`] | the run's state machine and journal | pure |
//! | [`ports`] | the traits that the shell implements | |
//! | [`driver`] | the only loop that performs effects | async |
//! | [`fleet`], [`ledger`], [`probe`] | providers, ledgers, probes: one folder each | async |
//! | [`output`] | documents and screens | |
//! | [`cli`] | arguments, commands, prompts, exit codes | |

pub mod cli;
pub mod coordination;
pub mod driver;
pub mod fleet;
pub mod health;
pub mod ledger;
pub mod model;
pub mod output;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod probe;
pub mod run;
